# ruff: noqa: E501 - the programs are easier to read in a line
"""The ceiling of leaf calls is read off the code; what cannot be bounded is refused."""

from __future__ import annotations

import pytest

from habit.library.checks import Finding, read_code
from habit.library.spec import Ceiling, Contract, HabitSpec, Parameter
from support.made_habits import LABEL, spec_of

TEXT = spec_of(
    {"label": LABEL, "names": Parameter(type="list", example=["a"]), "n": Parameter(type="integer", example=3)}
)
JSON = TEXT.model_copy(update={"contract": Contract(kind="json", shape="records")})
HELPER = '''
def ask_each(recursive_llm, query, items, **how):
    """Ask about each item, all at once where the caller's recursive_llm can do that."""
    together = getattr(recursive_llm, "map", None)
    return together(query, items, **how) if together else [recursive_llm(query, item, **how) for item in items]
'''


def read(body: str, spec: HabitSpec = TEXT, head: str = "") -> tuple[list[Finding], Ceiling | None]:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return read_code(f"{head}\ndef scheduler(context, recursive_llm, *, label, names, n):\n{lines}\n", spec)


BOUNDED = [
    ("return 1", (0, 0, 0)),
    ("return recursive_llm('q', context)", (1, 0, 0)),
    ("for line in context.splitlines():\n    recursive_llm('q', line)\nreturn 1", (0, 1, 0)),
    ("return [recursive_llm('q', x) for x in context.split('\\n') if x]", (1, 1, 0)),
    ("return sum(recursive_llm('q', x) == label for x in context.splitlines()[1:])", (0, 1, 0)),
    ("lines = context.splitlines()\nfor i in range(len(lines)):\n    recursive_llm('q', lines[i])\nreturn 1", (0, 1, 0)),
    ("lines = context.splitlines()\nfor i in range(0, len(lines), 50):\n    recursive_llm('q', lines[i:i+50])\nreturn 1",
     (1, 0.02, 0)),
    ("size = 4000\nfor i in range(0, len(context), size):\n    recursive_llm('q', context[i:i+size])\nreturn 1",
     (1, 0, 0.00025)),
    ("for x in ['a', 'b', 'c']:\n    recursive_llm(x, context)\nrecursive_llm('last', context)\nreturn 1", (4, 0, 0)),
    ("for x in names:\n    recursive_llm(x, context)\nreturn 1", (16, 0, 0)),
    ("if label == 'a':\n    recursive_llm('q')\n    recursive_llm('r')\nelse:\n    recursive_llm('s')\nreturn 1", (2, 0, 0)),
    ("hits = [x for x in context.splitlines() if label in x]\nfor x in hits[:5]:\n    recursive_llm('q', x)\nreturn 1",
     (5, 0, 0)),
    ("import csv, io\nfor row in csv.DictReader(io.StringIO(context)):\n    recursive_llm('q', row['text'])\nreturn 1",
     (0, 1, 0)),
    ("import csv, io\nrows = list(csv.reader(io.StringIO(context)))\nheader, rows = rows[0], rows[1:]\n"
     "for row in rows:\n    recursive_llm('q', row[0])\nreturn 1", None),
    ("groups = {}\nfor line in context.splitlines():\n    groups.setdefault(line[0], []).append(line)\n"
     "for key, lines in groups.items():\n    for line in lines:\n        recursive_llm('q', line)\nreturn 1", (0, 1, 0)),
    ("from collections import defaultdict\ngroups = defaultdict(list)\nfor line in context.splitlines():\n"
     "    groups[line[0]].append(line)\nfor key in sorted(groups):\n    recursive_llm('q', '\\n'.join(groups[key]))\n"
     "return 1", (0, 1, 0)),
    ("from collections import defaultdict\ngroups = defaultdict(list)\nfor line in context.splitlines():\n"
     "    groups[line[0]].append(line)\nfor key in groups:\n    for line in groups[key]:\n        recursive_llm('q', line)\n"
     "return 1", (0, 1, 0)),
    ("lines = context.splitlines()\nchunks = ['\\n'.join(lines[i:i+20]) for i in range(0, len(lines), 20)]\n"
     "for chunk in chunks:\n    for line in chunk.splitlines():\n        recursive_llm('q', line)\nreturn 1", (0, 1, 0)),
    ("lines = context.splitlines()\nchunks = [[x.strip() for x in lines[i:i + 50]] for i in range(0, len(lines), 50)]\n"
     "return [recursive_llm('q', x) for chunk in chunks for x in chunk]", (0, 1, 0)),
    ("lines = context.splitlines()\nreturn [[recursive_llm('q', x) for x in part] for part in"
     " ([y for y in lines[i:i + 9] if y] for i in range(0, len(lines), 9))]", (0, 1, 0)),
    ("import re\nword = re.compile('x+')\nreturn [recursive_llm('q', x) for x in word.findall(context)]", (1, 0, 1)),
    ("import re\nreturn [recursive_llm('q', x.group()) for x in re.compile('x').finditer(context)]", (1, 0, 1)),
    ("lines = context.splitlines()\ni = 0\nwhile i < len(lines):\n    try:\n        int(lines[i])\n    except ValueError:\n"
     "        i += 1\n        continue\n    recursive_llm('q', lines[i])\n    i += 1\nreturn 1", (1, 1, 0)),
    ("i = 0\nwhile i < len(context):\n    if context[i] == ' ':\n        i += 1\n    else:\n        recursive_llm('q')\n"
     "        i += 10\nreturn 1", (1, 0, 1)),
    ("i = 0\nwhile i < len(context):\n    recursive_llm('q', context[i:i+1000])\n    i += 1000\nreturn 1", (1, 0, 0.001)),
    ("queue = context.splitlines()\nwhile queue:\n    recursive_llm('q', queue.pop())\nreturn 1", (0, 1, 0)),
    ("start = 0\nwhile start < len(context):\n    end = min(start + 500, len(context))\n"
     "    recursive_llm('q', context[start:end])\n    start = end\nreturn 1", (1, 0, 0.002)),
    ("def judge(line):\n    return recursive_llm('q', line)\nreturn [judge(x) for x in context.splitlines()]", (0, 1, 0)),
    ("def judge(ask, lines):\n    return [ask('q', x) for x in lines]\nreturn judge(recursive_llm, context.splitlines())",
     (0, 1, 0)),
    ("return list(map(lambda x: recursive_llm('q', x), context.splitlines()))", (0, 1, 0)),
    ("def judge(x):\n    return recursive_llm('q', x)\nreturn sorted(context.splitlines(), key=judge)", (0, 1, 0)),
    ("ask = recursive_llm\nreturn [ask('q', x) for x in context.splitlines()]", (0, 1, 0)),
    ("for a in ['x', 'y']:\n    for line in context.splitlines():\n        recursive_llm(a, line)\nreturn 1", (0, 2, 0)),
    ("def part(text):\n    return [recursive_llm('q', x) for x in text.splitlines()]\n"
     "chunks = [context[i:i+900] for i in range(0, len(context), 900)]\n"
     "return [part(chunk) for chunk in chunks]", None),
    ("import re\nfor found in re.findall('a+', context):\n    recursive_llm('q', found)\nreturn 1", (1, 0, 1)),
    ("for record in context.split('\\n\\n'):\n    recursive_llm('q', record)\nreturn 1", (1, 0, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("body", "calls"), BOUNDED)
def test_calls_are_counted(body: str, calls: tuple[float, float, float] | None) -> None:
    findings, ceiling = read(body)
    assert findings == []
    assert ceiling is not None
    if calls is not None:
        assert (ceiling.base_calls, ceiling.calls_per_record, ceiling.calls_per_byte) == calls


@pytest.mark.parametrize(
    ("body", "calls"),
    [
        ("return [recursive_llm('q', x) for x in context]", (0, 1, 0)),
        ("return [recursive_llm('q', x['text']) for x in context['messages']]", (0, 1, 0)),
        ("for k, v in context.items():\n    recursive_llm(k, v)\nreturn 1", (0, 1, 0)),
        ("return [recursive_llm('q', y) for x in context for y in x['items']]", (0, 0, 1)),
    ],
)
def test_calls_over_json_are_counted(body: str, calls: tuple[float, float, float]) -> None:
    findings, ceiling = read(body, JSON)
    assert findings == []
    assert ceiling is not None
    assert (ceiling.base_calls, ceiling.calls_per_record, ceiling.calls_per_byte) == calls


def test_code_for_two_layouts_is_counted() -> None:
    both = TEXT.model_copy(update={"also": (JSON.contract,)})
    body = "rows = context.splitlines() if isinstance(context, str) else context['rows']\n"
    findings, ceiling = read(f"{body}return [recursive_llm('q', row) for row in rows]", both)
    assert (findings, ceiling) == ([], Ceiling(calls_per_record=1.0))


def test_the_helper_for_many_calls_counts_its_items_once() -> None:
    body = "return ask_each(recursive_llm, 'q', context.splitlines(), returns=['a', 'b'])"
    findings, ceiling = read(body, head=HELPER)
    assert findings == []
    assert ceiling == Ceiling(calls_per_record=1.0)


UNBOUNDED = [
    ("def part(chunk, whole):\n    return [recursive_llm('q', x) for x in whole.splitlines()]\n"
     "for chunk in context.split(','):\n    part(chunk, context)\nreturn 1", "square"),
    ("for a in context.splitlines():\n    for b in context.splitlines():\n        recursive_llm(a, b)\nreturn 1", "square"),
    ("for x in recursive_llm('list', context, returns=list):\n    recursive_llm('q', x)\nreturn 1", "reply decides"),
    ("for i in range(recursive_llm('how many?', returns=int)):\n    recursive_llm('q', i)\nreturn 1", "decides how often"),
    ("for i in range(n):\n    recursive_llm('q', i)\nreturn 1", "decides how often"),
    ("for i, x in enumerate(context.splitlines()):\n    for j in range(i):\n        recursive_llm('q', x)\nreturn 1",
     "decides how often"),
    ("fs = [lambda: recursive_llm('q')]\nreturn [f() for f in fs]", "kept"),
    ("fs = [recursive_llm]\nreturn fs[0]('q')", "kept where"),
    ("import functools\nask = functools.partial(recursive_llm, 'q')\nreturn ask(context)", "gives recursive_llm to"),
    ("class A:\n    def go(self):\n        return recursive_llm('q')\nreturn A().go()", "class A asks"),
    ("def make():\n    return recursive_llm\nreturn make()('q')", "kept where"),
    ("items = context.splitlines()\nmore = []\nfor x in items:\n    more.extend(items)\n"
     "for y in more:\n    recursive_llm('q', y)\nreturn 1", "square"),
    ("def a(f, k):\n    return recursive_llm('q') and f(f, k - 1)\nreturn a(a, 5)", "too deeply"),
    ("items = context.splitlines()\nitems = [x for x in items for y in items]\nfor z in items:\n    recursive_llm('q', z)\n"
     "return 1", ""),
    ("return recursive_llm('q', *[context])", None),
]  # fmt: skip


@pytest.mark.parametrize(("body", "says"), UNBOUNDED)
def test_calls_without_a_bound_are_refused(body: str, says: str | None) -> None:
    findings, ceiling = read(body)
    if says is None:
        assert ceiling == Ceiling(base_calls=1)
        return
    assert [one.rule for one in findings] == ["calls"], findings
    assert says in findings[0].message
    assert ceiling is None


LOOPS = [
    "while True:\n    pass",
    "i = 0\nwhile i < len(context):\n    if label:\n        i += 1",
    "i = 0\nwhile i < len(context):\n    if label:\n        continue\n    i += 1",
    "i = 0\nwhile i < len(context):\n    i += 1\n    i = 0",
    "i = 0\nwhile i < len(context):\n    i -= 1",
    "i = 0\nwhile i < len(context):\n    try:\n        int(context[i])\n        i += 1\n    except ValueError:\n        continue",
    "i = 0\nwhile i < len(context):\n    try:\n        i += 1\n    finally:\n        continue",
    "i = 0\nwhile i < len(context):\n    with label:\n        int('x')\n        i += 1",
    "i = 0\nwhile i < len(context):\n    for x in names:\n        i += 1\n    else:\n        continue\n    i += 1",
    "i = 0\nwhile i < len(context):\n    match label:\n        case 'a':\n            i += 1",
    "items = [1]\nwhile len(items) < 10 and items:\n    items.append(1)",
    "items = [1]\ni = 0\nwhile i < len(items):\n    items.append(1)\n    i += 1",
    "items = [1]\nwhile items:\n    if label:\n        items.pop()",
    "items = [1]\nwhile items:\n    items.pop()\n    items.append(2)",
    "start = 0\nwhile start < len(context):\n    end = start + 10\n    if label:\n        end = context.rfind('x', 0, end)\n"
    "    start = end",
    "pos = context.find('x')\nwhile pos != -1:\n    pos = context.find('x', pos + 1)",
    "items = [1]\nfor x in items:\n    items.append(x)",
    "items = [1]\nfor x in items:\n    items += [x]",
    "import itertools\nfor i in itertools.count():\n    pass",
    "from itertools import cycle as c\nfor i in c([1]):\n    pass",
    "from itertools import repeat\nfor i in repeat(1):\n    pass",
    "for x in iter(lambda: 1, 2):\n    pass",
]


@pytest.mark.parametrize("body", LOOPS)
def test_loops_that_are_not_seen_to_end_are_refused(body: str) -> None:
    findings, _ = read(f"{body}\nreturn 1")
    assert [one.rule for one in findings] == ["loops"]


@pytest.mark.parametrize(
    "body",
    [
        "i = 0\nwhile i < len(context):\n    if label:\n        i += 1\n        continue\n    i += 2",
        "k = 10\nwhile k > 0:\n    k -= 1",
        "from itertools import repeat\nfor i in repeat(1, 3):\n    pass",
        "import itertools\nfor a, b in zip(itertools.repeat('x', 9), context):\n    pass",
        "items = [1]\nwhile items and label:\n    items = items[1:]",
        "items = [3]\nimport heapq\nwhile len(items) > 1:\n    x = heapq.heappop(items)",
    ],
)
def test_loops_that_end_are_seen_to(body: str) -> None:
    findings, _ = read(f"{body}\nreturn 1")
    assert findings == []
