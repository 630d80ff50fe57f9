"""Cells as language models write them, all of which must work: (name, context, code, what is printed).

The host of these cells replies with the context in capitals, or "yes" to a query without one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

TICKETS = "\n".join(
    f"[{i:03}] {'refund' if i % 3 == 0 else 'delivery'} request from customer {i % 7}" for i in range(30)
)
SALES = "date,city,price,units\n" + "".join(
    f"2024-0{m}-1{d},{c},{m * 1.5},{d}\n" for m in (1, 2) for d, c in ((1, "Rome"), (2, "Oslo"))
)


class Case(NamedTuple):
    name: str
    context: Any
    code: str
    printed: str


CASES = [
    Case("count lines", TICKETS, "lines = context.split('\\n')\nprint(f'{len(lines)} lines, first: {lines[0]!r}')",
         "30 lines, first: '[000] refund request from customer 0'\n"),
    Case("regex without import", TICKETS, "ids = re.findall(r'\\[(\\d+)\\] refund', context)\nprint(ids[:3], len(ids))",
         "['000', '003', '006'] 10\n"),
    Case("Counter", TICKETS, "print(Counter(l.split()[1] for l in context.splitlines()).most_common())",
         "[('delivery', 20), ('refund', 10)]\n"),
    Case("from collections import", TICKETS, "from collections import defaultdict\ngroups = defaultdict(list)\n"
         "for line in context.splitlines():\n    groups[line.split()[-1]].append(line)\nprint({k: len(v) for k, v in groups.items()})",
         "{'0': 5, '1': 5, '2': 4, '3': 4, '4': 4, '5': 4, '6': 4}\n"),
    Case("pandas from StringIO", SALES, "import pandas as pd\nfrom io import StringIO\ndf = pd.read_csv(StringIO(context), parse_dates=['date'])\n"
         "print(df.groupby('city')['units'].sum().to_dict(), df['date'].dt.month.max(), len(df))", "{'Oslo': 4, 'Rome': 2} 2 4\n"),
    Case("pandas many things", SALES, "import pandas as pd, io\ndf = pd.read_csv(io.StringIO(context))\ndf['total'] = df.price * df.units\n"
         "p = df.pivot_table(index='city', values='total', aggfunc='sum')\nm = df.merge(p, on='city').sort_values('total_x', ascending=False)\n"
         "df['date'] = pd.to_datetime(df['date'])\nr = df.set_index('date').resample('ME')['units'].sum()\n"
         "print(p.loc['Oslo', 'total'], m.iloc[0]['city'], list(r), df.to_csv(index=False).count(','), df.describe().shape, df.query('units > 1').shape,\n"
         "      df.city.str.upper().unique().tolist(), df.to_json()[:8], len(df.to_html()) > 100, df.apply(lambda x: x['units'], axis=1).sum())",
         "9.0 Oslo [3, 3] 20 (8, 4) (2, 5) ['ROME', 'OSLO'] {\"date\": True 6\n"),
    Case("numpy", "1 2 3 4", "import numpy as np\na = np.array([float(x) for x in context.split()])\nprint(a.mean(), np.percentile(a, 50), a.reshape(2, 2).T.tolist())",
         "2.5 2.5 [[1.0, 3.0], [2.0, 4.0]]\n"),
    Case("class with inheritance", "", "class Base:\n    def name(self): return 'base'\nclass Sub(Base):\n    def name(self):\n        return super().name() + '+sub'\nprint(Sub().name(), isinstance(Sub(), Base))",
         "base+sub True\n"),
    Case("dataclass", TICKETS, "from dataclasses import dataclass, field, asdict\n@dataclass(order=True)\nclass Ticket:\n    number: int\n    kind: str = field(compare=False)\n"
         "tickets = [Ticket(int(l[1:4]), l.split()[1]) for l in context.splitlines()]\nprint(max(tickets), asdict(tickets[0]))",
         "Ticket(number=29, kind='delivery') {'number': 0, 'kind': 'refund'}\n"),
    Case("generator", TICKETS, "def chunks(text, size):\n    for i in range(0, len(text), size):\n        yield text[i:i + size]\nprint(sum(1 for _ in chunks(context, 100)), next(chunks(context, 5)))",
         "12 [000]\n"),
    Case("chunk loop with calls", TICKETS, "notes = []\nfor i, chunk in enumerate([context[j:j+500] for j in range(0, len(context), 500)]):\n"
         "    note = recursive_llm(f'Part {i}: who asks for refunds?', chunk)\n    notes.append(note)\nprint(len(notes), notes[0][:12])", "3 [000] REFUND\n"),
    Case("map and zip", "a b c", "items = context.split()\nfor item, reply in zip(items, recursive_llm_map('capital?', items)):\n    print(item, '->', reply)",
         "a -> A\nb -> B\nc -> C\n"),
    Case("yes or no", TICKETS, "hits = [l for l in context.splitlines()[:3] if 'yes' in recursive_llm(f'Is this a refund? {l}').lower()]\nprint(len(hits))", "3\n"),
    Case("ThreadPoolExecutor.map", "a b c d", "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(max_workers=4) as ex:\n"
         "    results = list(ex.map(lambda c: recursive_llm('q', c), context.split()))\nprint(results)", "['A', 'B', 'C', 'D']\n"),
    Case("as_completed futures", "a b", "import concurrent.futures\nwith concurrent.futures.ThreadPoolExecutor() as ex:\n    futures = {ex.submit(recursive_llm, 'q', c): c for c in context.split()}\n"
         "    out = {futures[f]: f.result() for f in concurrent.futures.as_completed(futures)}\nprint(sorted(out.items()))", "[('a', 'A'), ('b', 'B')]\n"),
    Case("asyncio.gather", "a b c", "import asyncio\nresults = await asyncio.gather(*[recursive_llm('q', c) for c in context.split()])\nprint(results)", "['A', 'B', 'C']\n"),
    Case("asyncio.run(main())", "a b c", "import asyncio\nasync def main():\n    return await asyncio.gather(*(recursive_llm('q', c) for c in context.split()))\nresults = asyncio.run(main())\nprint(results)",
         "['A', 'B', 'C']\n"),
    Case("old loop style", "a b", "import asyncio\nasync def f(c):\n    return await recursive_llm('q', c)\nloop = asyncio.new_event_loop()\nprint(loop.run_until_complete(asyncio.gather(*[f(c) for c in context.split()])) if False else loop.run_until_complete(f('a')))\nloop.close()",
         "A\n"),
    Case("threads and a queue", "a b c", "import threading, queue\nq = queue.Queue()\ndef work(c):\n    q.put((c, recursive_llm('q', c)))\nts = [threading.Thread(target=work, args=(c,)) for c in context.split()]\n"
         "[t.start() for t in ts]\n[t.join() for t in ts]\nprint(sorted(q.get() for _ in ts))", "[('a', 'A'), ('b', 'B'), ('c', 'C')]\n"),
    Case("globals and locals", "", "total = 5\nprint('total' in globals(), globals()['total'], 'total' in locals(), [k for k in dir() if k == 'total'])", "True 5 True ['total']\n"),
    Case("__main__", "", "def main():\n    print('ran')\nif __name__ == '__main__':\n    main()", "ran\n"),
    Case("json context", {"users": [{"name": "Ann", "age": 31}, {"name": "Bob", "age": 25}]},
         "users = context['users']\nprint(sorted(users, key=lambda u: u['age'])[0]['name'], json.dumps(users[0], indent=None))", "Bob {\"name\": \"Ann\", \"age\": 31}\n"),
    Case("files as a dict", {"src/a.py": "import os\n", "README.md": "# Hi\n"}, "for path, text in context.items():\n    if path.endswith('.py'):\n        print(path, len(text.splitlines()))", "src/a.py 1\n"),
    Case("ast of a file", {"a.py": "def f(x):\n    return x\n\nclass C: pass\n"}, "import ast\ntree = ast.parse(context['a.py'])\nprint([n.name for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.ClassDef))])", "['f', 'C']\n"),
    Case("datetime work", "2024-02-28 23:59", "from datetime import datetime, timedelta\nd = datetime.strptime(context, '%Y-%m-%d %H:%M') + timedelta(minutes=1)\nprint(d.isoformat(), d.strftime('%A'), (d - datetime(2024, 1, 1)).days)",
         "2024-02-29T00:00:00 Thursday 59\n"),
    Case("time zones", "", "from zoneinfo import ZoneInfo\nfrom datetime import datetime\nprint(datetime(2024, 7, 1, 12, tzinfo=ZoneInfo('UTC')).astimezone(ZoneInfo('Europe/Berlin')).hour)", "14\n"),
    Case("statistics and math", "3 1 2", "import statistics, math\nn = [int(x) for x in context.split()]\nprint(statistics.mean(n), statistics.median(n), math.comb(5, 2), round(statistics.stdev(n), 2))", "2 2 10 1.0\n"),
    Case("csv reader", SALES, "import csv, io\nrows = list(csv.DictReader(io.StringIO(context)))\nprint(len(rows), sum(float(r['price']) for r in rows))", "4 9.0\n"),
    Case("xml", "<r><i n='1'>x</i><i n='2'>y</i></r>", "import xml.etree.ElementTree as ET\nprint([(e.get('n'), e.text) for e in ET.fromstring(context)])", "[('1', 'x'), ('2', 'y')]\n"),
    Case("html", "<p>Tom &amp; <b>Ann</b></p>", "from html.parser import HTMLParser\nimport html\nclass P(HTMLParser):\n    def __init__(self):\n        super().__init__(); self.t = []\n    def handle_data(self, d): self.t.append(d)\np = P(); p.feed(context)\nprint(''.join(p.t), html.unescape('&lt;'))", "Tom & Ann <\n"),
    Case("sqlite in memory", SALES, "import sqlite3, csv, io\ndb = sqlite3.connect(':memory:')\ndb.execute('create table s (city text, units int)')\n"
         "db.executemany('insert into s values (?, ?)', [(r['city'], int(r['units'])) for r in csv.DictReader(io.StringIO(context))])\nprint(db.execute('select city, sum(units) from s group by 1').fetchall())", "[('Oslo', 4), ('Rome', 2)]\n"),
    Case("compression and hashes", "abc", "import zlib, gzip, hashlib, base64\nprint(zlib.decompress(zlib.compress(context.encode())) == gzip.decompress(gzip.compress(b'abc')), hashlib.md5(b'a').hexdigest()[:6], base64.b64encode(b'hi').decode())", "True 0cc175 aGk=\n"),
    Case("itertools and functools", "5 3 8", "from functools import reduce, lru_cache\nfrom itertools import groupby, islice\n@lru_cache(None)\ndef fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\nprint(reduce(max, map(int, context.split())), fib(50), [k for k, _ in groupby('aabb')])", "8 12586269025 ['a', 'b']\n"),
    Case("match and walrus", "cmd: stop", "match context.split(': '):\n    case ['cmd', action] if (n := len(action)) > 2:\n        print(action, n)", "stop 4\n"),
    Case("enum and namedtuple and typing", "", "from enum import Enum, auto\nfrom typing import NamedTuple, Optional\nclass K(Enum):\n    A = auto()\n    B = auto()\nclass P(NamedTuple):\n    x: int\n    y: Optional[int] = None\nprint(K.A.name, P(1), [k.value for k in K])", "A P(x=1, y=None) [1, 2]\n"),
    Case("context manager and nested functions", "", "from contextlib import contextmanager\n@contextmanager\ndef tag(n):\n    print(f'<{n}>'); yield n; print(f'</{n}>')\ndef outer():\n    count = 0\n    def inner():\n        nonlocal count\n        count += 1\n        return count\n    return inner() + inner()\nwith tag('b') as t:\n    print(t, outer())", "<b>\nb 3\n</b>\n"),
    Case("pickle and copy of own classes", "", "import pickle, copy\nclass A:\n    def __init__(self): self.x = [1]\na = pickle.loads(pickle.dumps(A()))\nprint(a.x, copy.deepcopy(a).x is a.x)", "[1] False\n"),
    Case("signal.alarm as a time limit", "", "import signal\ndef stop(*a): raise TimeoutError('late')\nsignal.signal(signal.SIGALRM, stop)\nsignal.setitimer(signal.ITIMER_REAL, 0.05)\ntry:\n    while True:\n        sum(range(100))\nexcept TimeoutError as e:\n    print(e)", "late\n"),
    Case("multi-line f-string and textwrap", "", "import textwrap\nname = 'Ann'\nprint(textwrap.dedent(f'''\n    Dear {name},\n      {1 + 1:>4}\n''').strip())", "Dear Ann,\n     2\n"),
    Case("async generator and comprehension", "a b", "async def gen():\n    for c in context.split():\n        yield await recursive_llm('q', c)\nprint([x async for x in gen()])", "['A', 'B']\n"),
    Case("exec and eval", "", "exec('y = 20')\nprint(eval('y + 1'), (lambda: y)())", "21 20\n"),
    Case("logging and pprint", "", "import logging, pprint\nlogging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s')\nlogging.info('hello')\npprint.pprint({'b': 1, 'a': 2})", "INFO hello\n{'a': 2, 'b': 1}\n"),
    Case("difflib and Decimal", "", "import difflib\nfrom decimal import Decimal\nfrom fractions import Fraction\nprint(difflib.get_close_matches('appel', ['ape', 'apple']), Decimal('0.1') + Decimal('0.2'), Fraction(1, 3) + 1)", "['apple', 'ape'] 0.3 4/3\n"),
    Case("unicode", "naïve café 日本", "import unicodedata\nprint(unicodedata.normalize('NFD', context)[:6].encode('ascii', 'ignore').decode(), context.encode('shift_jis', 'ignore').decode('shift_jis')[-2:], 'ß'.upper())", "naive 日本 SS\n"),
    Case("a cell fenced by comments only", "", "# nothing to do yet", ""),
]  # fmt: skip
