"""Cells as language models write them, all of which must work: (name, context, code, what is printed, answer).

The host of these cells replies with the context in capitals, or "yes" to a query without one. Those here show one thing
each; those in ``modelcells/`` are whole cells, written down as ``## name``, the name of a context, and blocks with the
code, what it prints, and its answer if it gives one. What they print was recorded in plain Python, without a sandbox.
"""

# ruff: noqa: E501 - code of cells as text
from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sandbox import modelcontexts
from sandbox.modelcontexts import SALES, TICKETS


class Case(NamedTuple):
    name: str
    context: Any
    code: str
    printed: str
    answer: Any = None


def code(text: str) -> str:
    """Cells are written between quotes from the line after them."""
    return text.removeprefix("\n")


CASES = [
    Case(
        "count lines",
        TICKETS,
        code(r"""
lines = context.split('\n')
print(f'{len(lines)} lines, first: {lines[0]!r}')
"""),
        "30 lines, first: '[000] refund request from customer 0'\n",
    ),
    Case(
        "regex without import",
        TICKETS,
        code(r"""
ids = re.findall(r'\[(\d+)\] refund', context)
print(ids[:3], len(ids))
"""),
        "['000', '003', '006'] 10\n",
    ),
    Case(
        "Counter",
        TICKETS,
        "print(Counter(l.split()[1] for l in context.splitlines()).most_common())",
        "[('delivery', 20), ('refund', 10)]\n",
    ),
    Case(
        "from collections import",
        TICKETS,
        code("""
from collections import defaultdict
groups = defaultdict(list)
for line in context.splitlines():
    groups[line.split()[-1]].append(line)
print({k: len(v) for k, v in groups.items()})
"""),
        "{'0': 5, '1': 5, '2': 4, '3': 4, '4': 4, '5': 4, '6': 4}\n",
    ),
    Case(
        "pandas from StringIO",
        SALES,
        code("""
import pandas as pd
from io import StringIO
df = pd.read_csv(StringIO(context), parse_dates=['date'])
print(df.groupby('city')['units'].sum().to_dict(), df['date'].dt.month.max(), len(df))
"""),
        "{'Oslo': 4, 'Rome': 2} 2 4\n",
    ),
    Case(
        "pandas many things",
        SALES,
        code("""
import pandas as pd, io
df = pd.read_csv(io.StringIO(context))
df['total'] = df.price * df.units
p = df.pivot_table(index='city', values='total', aggfunc='sum')
m = df.merge(p, on='city').sort_values('total_x', ascending=False)
df['date'] = pd.to_datetime(df['date'])
r = df.set_index('date').resample('ME')['units'].sum()
print(p.loc['Oslo', 'total'], m.iloc[0]['city'], list(r), df.to_csv(index=False).count(','), df.describe().shape, df.query('units > 1').shape,
      df.city.str.upper().unique().tolist(), df.to_json()[:8], len(df.to_html()) > 100, df.apply(lambda x: x['units'], axis=1).sum())
"""),
        "9.0 Oslo [3, 3] 20 (8, 4) (2, 5) ['ROME', 'OSLO'] {\"date\": True 6\n",
    ),
    Case(
        "numpy",
        "1 2 3 4",
        code("""
import numpy as np
a = np.array([float(x) for x in context.split()])
print(a.mean(), np.percentile(a, 50), a.reshape(2, 2).T.tolist())
"""),
        "2.5 2.5 [[1.0, 3.0], [2.0, 4.0]]\n",
    ),
    Case(
        "class with inheritance",
        "",
        code("""
class Base:
    def name(self): return 'base'
class Sub(Base):
    def name(self):
        return super().name() + '+sub'
print(Sub().name(), isinstance(Sub(), Base))
"""),
        "base+sub True\n",
    ),
    Case(
        "dataclass",
        TICKETS,
        code("""
from dataclasses import dataclass, field, asdict
@dataclass(order=True)
class Ticket:
    number: int
    kind: str = field(compare=False)
tickets = [Ticket(int(l[1:4]), l.split()[1]) for l in context.splitlines()]
print(max(tickets), asdict(tickets[0]))
"""),
        "Ticket(number=29, kind='delivery') {'number': 0, 'kind': 'refund'}\n",
    ),
    Case(
        "generator",
        TICKETS,
        code("""
def chunks(text, size):
    for i in range(0, len(text), size):
        yield text[i:i + size]
print(sum(1 for _ in chunks(context, 100)), next(chunks(context, 5)))
"""),
        "12 [000]\n",
    ),
    Case(
        "chunk loop with calls",
        TICKETS,
        code("""
notes = []
for i, chunk in enumerate([context[j:j+500] for j in range(0, len(context), 500)]):
    note = recursive_llm(f'Part {i}: who asks for refunds?', chunk)
    notes.append(note)
print(len(notes), notes[0][:12])
"""),
        "3 [000] REFUND\n",
    ),
    Case(
        "map and zip",
        "a b c",
        code("""
items = context.split()
for item, reply in zip(items, recursive_llm_map('capital?', items)):
    print(item, '->', reply)
"""),
        "a -> A\nb -> B\nc -> C\n",
    ),
    Case(
        "yes or no",
        TICKETS,
        code("""
hits = [l for l in context.splitlines()[:3] if 'yes' in recursive_llm(f'Is this a refund? {l}').lower()]
print(len(hits))
"""),
        "3\n",
    ),
    Case(
        "ThreadPoolExecutor.map",
        "a b c d",
        code("""
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(max_workers=4) as ex:
    results = list(ex.map(lambda c: recursive_llm('q', c), context.split()))
print(results)
"""),
        "['A', 'B', 'C', 'D']\n",
    ),
    Case(
        "as_completed futures",
        "a b",
        code("""
import concurrent.futures
with concurrent.futures.ThreadPoolExecutor() as ex:
    futures = {ex.submit(recursive_llm, 'q', c): c for c in context.split()}
    out = {futures[f]: f.result() for f in concurrent.futures.as_completed(futures)}
print(sorted(out.items()))
"""),
        "[('a', 'A'), ('b', 'B')]\n",
    ),
    Case(
        "asyncio.gather",
        "a b c",
        code("""
import asyncio
results = await asyncio.gather(*[recursive_llm('q', c) for c in context.split()])
print(results)
"""),
        "['A', 'B', 'C']\n",
    ),
    Case(
        "asyncio.run(main())",
        "a b c",
        code("""
import asyncio
async def main():
    return await asyncio.gather(*(recursive_llm('q', c) for c in context.split()))
results = asyncio.run(main())
print(results)
"""),
        "['A', 'B', 'C']\n",
    ),
    Case(
        "old loop style",
        "a b",
        code("""
import asyncio
async def f(c):
    return await recursive_llm('q', c)
loop = asyncio.new_event_loop()
print(loop.run_until_complete(asyncio.gather(*[f(c) for c in context.split()])) if False else loop.run_until_complete(f('a')))
loop.close()
"""),
        "A\n",
    ),
    Case(
        "threads and a queue",
        "a b c",
        code("""
import threading, queue
q = queue.Queue()
def work(c):
    q.put((c, recursive_llm('q', c)))
ts = [threading.Thread(target=work, args=(c,)) for c in context.split()]
[t.start() for t in ts]
[t.join() for t in ts]
print(sorted(q.get() for _ in ts))
"""),
        "[('a', 'A'), ('b', 'B'), ('c', 'C')]\n",
    ),
    Case(
        "globals and locals",
        "",
        code("""
total = 5
print('total' in globals(), globals()['total'], 'total' in locals(), [k for k in dir() if k == 'total'])
"""),
        "True 5 True ['total']\n",
    ),
    Case(
        "__main__",
        "",
        code("""
def main():
    print('ran')
if __name__ == '__main__':
    main()
"""),
        "ran\n",
    ),
    Case(
        "json context",
        {"users": [{"name": "Ann", "age": 31}, {"name": "Bob", "age": 25}]},
        code("""
users = context['users']
print(sorted(users, key=lambda u: u['age'])[0]['name'], json.dumps(users[0], indent=None))
"""),
        'Bob {"name": "Ann", "age": 31}\n',
    ),
    Case(
        "files as a dict",
        {"src/a.py": "import os\n", "README.md": "# Hi\n"},
        code("""
for path, text in context.items():
    if path.endswith('.py'):
        print(path, len(text.splitlines()))
"""),
        "src/a.py 1\n",
    ),
    Case(
        "ast of a file",
        {"a.py": "def f(x):\n    return x\n\nclass C: pass\n"},
        code("""
import ast
tree = ast.parse(context['a.py'])
print([n.name for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.ClassDef))])
"""),
        "['f', 'C']\n",
    ),
    Case(
        "datetime work",
        "2024-02-28 23:59",
        code("""
from datetime import datetime, timedelta
d = datetime.strptime(context, '%Y-%m-%d %H:%M') + timedelta(minutes=1)
print(d.isoformat(), d.strftime('%A'), (d - datetime(2024, 1, 1)).days)
"""),
        "2024-02-29T00:00:00 Thursday 59\n",
    ),
    Case(
        "time zones",
        "",
        code("""
from zoneinfo import ZoneInfo
from datetime import datetime
print(datetime(2024, 7, 1, 12, tzinfo=ZoneInfo('UTC')).astimezone(ZoneInfo('Europe/Berlin')).hour)
"""),
        "14\n",
    ),
    Case(
        "statistics and math",
        "3 1 2",
        code("""
import statistics, math
n = [int(x) for x in context.split()]
print(statistics.mean(n), statistics.median(n), math.comb(5, 2), round(statistics.stdev(n), 2))
"""),
        "2 2 10 1.0\n",
    ),
    Case(
        "csv reader",
        SALES,
        code("""
import csv, io
rows = list(csv.DictReader(io.StringIO(context)))
print(len(rows), sum(float(r['price']) for r in rows))
"""),
        "4 9.0\n",
    ),
    Case(
        "xml",
        "<r><i n='1'>x</i><i n='2'>y</i></r>",
        code("""
import xml.etree.ElementTree as ET
print([(e.get('n'), e.text) for e in ET.fromstring(context)])
"""),
        "[('1', 'x'), ('2', 'y')]\n",
    ),
    Case(
        "html",
        "<p>Tom &amp; <b>Ann</b></p>",
        code("""
from html.parser import HTMLParser
import html
class P(HTMLParser):
    def __init__(self):
        super().__init__(); self.t = []
    def handle_data(self, d): self.t.append(d)
p = P(); p.feed(context)
print(''.join(p.t), html.unescape('&lt;'))
"""),
        "Tom & Ann <\n",
    ),
    Case(
        "sqlite in memory",
        SALES,
        code("""
import sqlite3, csv, io
db = sqlite3.connect(':memory:')
db.execute('create table s (city text, units int)')
db.executemany('insert into s values (?, ?)', [(r['city'], int(r['units'])) for r in csv.DictReader(io.StringIO(context))])
print(db.execute('select city, sum(units) from s group by 1').fetchall())
"""),
        "[('Oslo', 4), ('Rome', 2)]\n",
    ),
    Case(
        "compression and hashes",
        "abc",
        code("""
import zlib, gzip, hashlib, base64
print(zlib.decompress(zlib.compress(context.encode())) == gzip.decompress(gzip.compress(b'abc')), hashlib.md5(b'a').hexdigest()[:6], base64.b64encode(b'hi').decode())
"""),
        "True 0cc175 aGk=\n",
    ),
    Case(
        "itertools and functools",
        "5 3 8",
        code("""
from functools import reduce, lru_cache
from itertools import groupby, islice
@lru_cache(None)
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
print(reduce(max, map(int, context.split())), fib(50), [k for k, _ in groupby('aabb')])
"""),
        "8 12586269025 ['a', 'b']\n",
    ),
    Case(
        "match and walrus",
        "cmd: stop",
        code("""
match context.split(': '):
    case ['cmd', action] if (n := len(action)) > 2:
        print(action, n)
"""),
        "stop 4\n",
    ),
    Case(
        "enum and namedtuple and typing",
        "",
        code("""
from enum import Enum, auto
from typing import NamedTuple, Optional
class K(Enum):
    A = auto()
    B = auto()
class P(NamedTuple):
    x: int
    y: Optional[int] = None
print(K.A.name, P(1), [k.value for k in K])
"""),
        "A P(x=1, y=None) [1, 2]\n",
    ),
    Case(
        "context manager and nested functions",
        "",
        code("""
from contextlib import contextmanager
@contextmanager
def tag(n):
    print(f'<{n}>'); yield n; print(f'</{n}>')
def outer():
    count = 0
    def inner():
        nonlocal count
        count += 1
        return count
    return inner() + inner()
with tag('b') as t:
    print(t, outer())
"""),
        "<b>\nb 3\n</b>\n",
    ),
    Case(
        "pickle and copy of own classes",
        "",
        code("""
import pickle, copy
class A:
    def __init__(self): self.x = [1]
a = pickle.loads(pickle.dumps(A()))
print(a.x, copy.deepcopy(a).x is a.x)
"""),
        "[1] False\n",
    ),
    Case(
        "signal.alarm as a time limit",
        "",
        code("""
import signal
def stop(*a): raise TimeoutError('late')
signal.signal(signal.SIGALRM, stop)
signal.setitimer(signal.ITIMER_REAL, 0.05)
try:
    while True:
        sum(range(100))
except TimeoutError as e:
    print(e)
"""),
        "late\n",
    ),
    Case(
        "multi-line f-string and textwrap",
        "",
        code("""
import textwrap
name = 'Ann'
print(textwrap.dedent(f'''
    Dear {name},
      {1 + 1:>4}
''').strip())
"""),
        "Dear Ann,\n     2\n",
    ),
    Case(
        "async generator and comprehension",
        "a b",
        code("""
async def gen():
    for c in context.split():
        yield await recursive_llm('q', c)
print([x async for x in gen()])
"""),
        "['A', 'B']\n",
    ),
    Case(
        "exec and eval",
        "",
        code("""
exec('y = 20')
print(eval('y + 1'), (lambda: y)())
"""),
        "21 20\n",
    ),
    Case(
        "logging and pprint",
        "",
        code("""
import logging, pprint
logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s')
logging.info('hello')
pprint.pprint({'b': 1, 'a': 2})
"""),
        "INFO hello\n{'a': 2, 'b': 1}\n",
    ),
    Case(
        "difflib and Decimal",
        "",
        code("""
import difflib
from decimal import Decimal
from fractions import Fraction
print(difflib.get_close_matches('appel', ['ape', 'apple']), Decimal('0.1') + Decimal('0.2'), Fraction(1, 3) + 1)
"""),
        "['apple', 'ape'] 0.3 4/3\n",
    ),
    Case(
        "unicode",
        "naïve café 日本",
        code("""
import unicodedata
print(unicodedata.normalize('NFD', context)[:6].encode('ascii', 'ignore').decode(), context.encode('shift_jis', 'ignore').decode('shift_jis')[-2:], 'ß'.upper())
"""),
        "naive 日本 SS\n",
    ),
    Case(
        "a cell fenced by comments only",
        "",
        "# nothing to do yet",
        "",
    ),
]

_CELL = re.compile(
    r"^## (?P<name>[^\n]+)\ncontext: (?P<context>\w+)\n"
    r"\n```python\n(?P<code>.*?)^```\n"
    r"(?:\n```text\n(?P<printed>.*?)^```\n)?"
    r"(?:\n```json\n(?P<answer>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)


def _read() -> Iterator[Case]:
    for path in sorted(Path(__file__).with_name("modelcells").glob("*.md")):
        text = path.read_text("utf-8")
        cells = list(_CELL.finditer(text))
        assert len(cells) == len(re.findall(r"^context: ", text, re.MULTILINE)), path
        for cell in cells:
            answer = None if cell["answer"] is None else json.loads(cell["answer"])
            context = getattr(modelcontexts, cell["context"])
            yield Case(cell["name"], context, cell["code"], cell["printed"] or "", answer)


WHOLE = list(_read())
"""Those of ``modelcells/``: as long as models write them."""
CASES += WHOLE
