"""Every static rule finds its fault, at its line, and says what to do; honest code passes."""

from __future__ import annotations

import pytest

from habit.library.checks import read_code
from habit.library.checks.report import Finding
from support.made_habits import LABEL, spec_of

SPEC = spec_of({"label": LABEL})


def found(body: str, *, head: str = "") -> list[Finding]:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return read_code(f"{head}def scheduler(context, recursive_llm, *, label):\n{lines}\n", SPEC)[0]


HONEST = [
    "class A:\n    size = 1\n    twice = size * 2\nreturn A.twice",
    "return sum(recursive_llm('spam?', line) == label for line in context.splitlines())",
    "import re\nreturn len(re.findall(r'\\d+', context))",
    "import collections.abc, csv, io\nrows = list(csv.DictReader(io.StringIO(context)))\nreturn len(rows)",
    "from xml.etree import ElementTree as ET\nreturn len(ET.fromstring(context))",
    "from collections import defaultdict, Counter, namedtuple\nreturn Counter(context)[label]",
    "import ast\nreturn ast.literal_eval(context)",
    "id, hash = 1, 2\nreturn id + hash",
    "together = getattr(recursive_llm, 'map', None)\nreturn 1 if together else 0",
    "return type(context).__name__",
    "from datetime import date\nreturn date.fromisoformat(label).toordinal()",
    "def count(text):\n    return text.count('a')\nreturn count(context)",
    "items = [x for x in context.split(',') if x]\nreturn len([y for x in items for y in x])",
    "try:\n    return int(label)\nexcept ValueError as problem:\n    return len(str(problem))",
    "match context:\n    case [_, *rest]:\n        return 1\n    case {'a': a, **b}:\n        return a\nreturn 0",
    "return (lambda x, *a, k=1, **kw: x + k)(1)",
    "if (n := len(context)) > 3:\n    return n\nreturn [m := 1, m][1]",
    "with_total = {key: value for key, value in {}.items()}\nreturn len(with_total)",
]


@pytest.mark.parametrize("body", HONEST)
def test_honest_code_passes(body: str) -> None:
    assert found(body) == []


def test_constants_classes_and_functions_may_stand_at_the_top() -> None:
    head = (
        '"""Doc."""\nfrom __future__ import annotations\nimport re\nfrom dataclasses import dataclass\n'
        "LABELS = ('spam', 'ham')\nPATTERN: re.Pattern[str] = re.compile(r'\\d', re.I | re.M)\nMORE = {*LABELS, -1}\n"
        "@dataclass(order=True)\nclass Row:\n    text: str\n    size: int = 0\n"
        "    def longer(self, than):\n        return Row(self.text + than.text)\n"
        "def rows(text):\n    for line in text.splitlines():\n        yield Row(line)\n"
    )
    assert found("return len([r for r in rows(context) if PATTERN.search(r.text)])", head=head) == []


SEEDED = [
    ("imports", "import os\nreturn 1", "imports os"),
    ("imports", "import os.path\nreturn 1", "imports os.path"),
    ("imports", "from subprocess import run\nreturn 1", "imports subprocess"),
    ("imports", "import random\nreturn 1", "something else each time"),
    ("imports", "import pandas as pd\nreturn 1", "pandas"),
    ("imports", "from . import helpers\nreturn 1", "the folder it lies in"),
    ("imports", "from json import codecs\nreturn codecs", "json.codecs"),
    ("imports", "import json\nreturn json.codecs.open('x')", "json.codecs"),
    ("imports", "import json as j\nreturn j.decoder", "json.decoder"),
    ("imports", "import statistics\nreturn statistics.sys.modules", "statistics.sys"),
    ("imports", "import io\nreturn io.open('x')", "io.open"),
    ("imports", "from io import FileIO\nreturn FileIO('x')", "io.FileIO"),
    ("imports", "from operator import attrgetter\nreturn attrgetter(label)(1)", "operator.attrgetter"),
    ("imports", "import xml.etree.ElementTree as ET\nreturn ET.parse('x')", "ElementTree.parse"),
    ("imports", "import ast\nreturn ast.parse(context)", "ast.parse"),
    ("imports", "import re\nreturn re._compile", "re._compile"),
    ("imports", "import re\nre.x = 1\nreturn 1", "re.x"),
    ("imports", "import re\nreturn re.nothing_like_it", "re.nothing_like_it"),
    ("imports", "import urllib\nreturn 1", "imports urllib"),
    ("imports", "import urllib.parse\nreturn urllib.request", "urllib.request"),
    ("names", "return eval(label)", "uses eval"),
    ("names", "run = exec\nreturn 1", "uses exec"),
    ("names", "return [open(x) for x in context]", "uses open"),
    ("names", "return (lambda: __import__('os'))()", "uses __import__"),
    ("names", "return globals()['x']", "uses globals"),
    ("names", "setattr(label, 'x', 1)\nreturn 1", "uses setattr"),
    ("names", "return hash(label)", "uses hash"),
    ("names", "return id(label)", "uses id"),
    ("names", "return find('x')", "exists in a session only"),
    ("names", "return recursive_llm_map('q', [])", "exists in a session only"),
    ("names", "answer(1)", "exists in a session only"),
    ("names", "return re.findall('a', context)", "nothing defines re"),
    ("names", "class A:\n    eval = 1\n    def f(self):\n        return eval('1')\nreturn 1", "uses eval"),
    ("names", "class A:\n    run = 1\n    eval = eval\nreturn 1", "gives the name eval"),
    ("innards", "return label.__class__", "__class__"),
    ("innards", "return scheduler.__globals__", "__globals__"),
    ("innards", "return (x for x in []).gi_frame", "gi_frame"),
    ("innards", "return getattr(label, '__class__')", "computed or private"),
    ("innards", "return getattr(label, context)", "computed or private"),
    ("innards", "g = getattr\nreturn g(label, 'upper')", "computed or private"),
    ("innards", "return '{0.__class__}'.format(label)", "template"),
    ("innards", "return '{0[_x]}'.format(label)", "template"),
    ("innards", "from datetime import date\nreturn date.today()", "the day it is run"),
    ("innards", "return __builtins__", "__builtins__"),
    ("innards", "match label:\n    case str(__class__=x):\n        return x\nreturn 1", "pattern"),
    ("innards", "class A:\n    def __iter__(self):\n        return self\nreturn 1", "__iter__"),
    ("statements", "global N\nN = 1\nreturn 1", "keeps N"),
    ("statements", "try:\n    return 1\nexcept:\n    return 2", "catches everything"),
    ("statements", "class A(metaclass=type):\n    x = 1\nreturn 1", "metaclass"),
    ("statements", "async def f():\n    return 1\nreturn 1", "asynchronous"),
    ("recursion", "def f(n):\n    return f(n - 1) if n else 0\nreturn f(3)", "f can call itself"),
    ("recursion", "return scheduler(context, recursive_llm, label=label)", "scheduler can call itself"),
    ("recursion", "f = lambda n: f(n - 1)\nreturn f(3)", "f can call itself"),
    (
        "recursion",
        "def f(n):\n    return g(n)\ndef g(n):\n    return list(map(f, [n]))\nreturn f(3)",
        "can call itself",
    ),
    ("recursion", "class A:\n    def go(self):\n        return self.go()\nreturn A().go()", "go can call itself"),
]


@pytest.mark.parametrize(("rule", "body", "says"), SEEDED)
def test_each_fault_is_found_at_its_line_with_a_remedy(rule: str, body: str, says: str) -> None:
    hits = [one for one in found(body) if one.rule == rule and says in one.message]
    assert hits, found(body)
    assert all(1 <= hit.line <= 1 + body.count("\n") + 1 for hit in hits)
    assert all(hit.remedy and hit.message in str(hit) for hit in hits)


@pytest.mark.parametrize(
    "head",
    ["print('loaded')\n", "N = len('abc')\n", "for x in []:\n    pass\n", "if True:\n    N = 1\n", "A = B = 1\n"],
)
def test_the_top_of_the_file_only_defines(head: str) -> None:
    assert [one.rule for one in found("return 1", head=head)] == ["top-level"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def scheduler(context, recursive_llm): return 1", "not those of habit.toml"),
        ("def scheduler(context, recursive_llm, label): return 1", "not those of habit.toml"),
        ("def scheduler(context, recursive_llm, *, label, other=1): return 1", "not those of habit.toml"),
        ("def scheduler(context, recursive_llm, *, label, **more): return 1", "not those of habit.toml"),
        ("def scheduler(ctx, recursive_llm, *, label): return 1", "not those of habit.toml"),
        ("def scheduler(context, recursive_llm, *, label: int): return 1", "is a int here and of type choice"),
        ("import functools\n@functools.cache\ndef scheduler(context, recursive_llm, *, label): return 1", "decorated"),
        ("def other(): return 1", "does not define scheduler just once"),
        ("async def scheduler(context, recursive_llm, *, label): return 1", "does not define scheduler just once"),
    ],
)
def test_the_signature_is_the_one_of_the_spec(source: str, says: str) -> None:
    findings = [one for one in read_code(source, SPEC)[0] if one.rule == "signature"]
    assert [says in one.message for one in findings] == [True]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def scheduler(:", "not Python"),
        ("x = '\0'", "not Python"),
        ("#" * 200_000, "characters long"),
        ("x = " + "-" * 300 + "1", "nested too deeply"),
        ("x = " + "(" * 5000 + ")" * 5000, "not Python"),
    ],
)
def test_what_cannot_be_read_is_one_finding(source: str, says: str) -> None:
    findings, _ = read_code(source, SPEC)
    assert [says in one.message for one in findings] == [True]
