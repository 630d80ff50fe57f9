"""Contract of every backend: the ready helpers over the context."""

# ruff: noqa: E501 - code of cells as text
from __future__ import annotations

from typing import Any

import pytest

from sandbox.conftest import Open
from sandbox.test_contract_cells import run

LOG = "INFO start\r\nERROR disk full\r\nInfo: error count 1\r\nDONE"
MARKDOWN = "# Title\nintro\n\n## One\ntext one\n```\n# no heading\n```\n## Two\ntext two\n"
CSV = '\ufeffname;price;note;zip\nAnn;1,5;"a;b";01234\nBob;2,0;"two\nlines";99999\n'
SALES = "city,price,count\nRome,1.5,3\nOslo,2.25,\nBonn,10,4\n"


async def shown(open_session: Open, context: Any, expression: str) -> Any:
    session = await open_session(context)
    result = await run(session, f"answer({expression})")
    assert result.status == "answered", result.error
    return result.answer


async def refused(open_session: Open, context: Any, expression: str) -> str:
    result = await run(await open_session(context), expression)
    assert result.status == "error", result
    return result.error


@pytest.mark.parametrize(
    ("context", "call", "expected"),
    [
        (LOG, "find('ERROR')", ["ERROR disk full"]),
        (LOG, "find('error')", ["Info: error count 1"]),
        (LOG, "find('Disk Full')", ["ERROR disk full"]),
        (LOG, "find('DONE')", ["DONE"]),
        (LOG, "find(r'count \\d')", ["Info: error count 1"]),
        (LOG, "find(re.compile('^I', re.M))", ["INFO start", "Info: error count 1"]),
        (LOG, "find('start', 'a start\\nan end')", ["a start"]),
        ("a.b\na+b", "find('a+b')", ["a+b"]),
        ("x\n\nx\n", "find('x')", ["x", "x"]),
        (["apple pie", "plum", "Apple"], "find('apple')", ["apple pie"]),
        ([{"id": 1, "t": "x"}, {"id": 2, "t": "y"}], "find('y')", [{"id": 2, "t": "y"}]),
        ([1, 22, 333], "find(2)", [22]),
        ({"a.py": "import os\nx = 1", "b.py": "y = 2"}, "find('import')", ["a.py: import os"]),
        ({"a.py": "x = 1", "b.py": "y = 2"}, "find('b.py')", ["b.py: y = 2"]),
        ({"k": {"deep": ["needle"]}}, "len(find('needle'))", 1),
    ],
)  # fmt: skip
async def test_find(open_session: Open, context: Any, call: str, expected: Any) -> None:
    assert await shown(open_session, context, call) == expected


async def test_find_helps_when_there_is_nothing(open_session: Open) -> None:
    error = await refused(open_session, "The customer complained loudly", "find('complaint')")
    assert "nothing in the context contains it" in error
    assert "complained" in error
    assert "empty" in await refused(open_session, "x", "find('')")


async def test_find_is_quick_in_a_big_text(open_session: Open) -> None:
    context = "line of text that is not it\n" * 200_000 + "the needle\n"
    assert await shown(open_session, context, "find('NEEDLE')") == ["the needle"]


@pytest.mark.parametrize(
    ("context", "headings"),
    [
        (MARKDOWN, ["# Title", "## One", "## Two"]),
        ("Intro\n\nSection 1: Start\ntext\nSection 2\nmore", ["Intro", "Section 1: Start", "Section 2"]),
        ("First\n=====\ntext\n\nSecond\n------\nmore", ["First", "Second"]),
        ("=== A ===\nx\n=== B ===\ny", ["=== A ===", "=== B ==="]),
        ("CHAPTER IV\nx\nCHAPTER V\ny", ["CHAPTER IV", "CHAPTER V"]),
        ("# A\r\nx\r\n# B\r\ny", ["# A", "# B"]),
        ("\n\n# A\nx", ["# A"]),
        ("Section 1\nAs Section 2 says, part a of it holds.\nSection 2\nPart of this is new.\n", ["Section 1", "Section 2"]),
        ("# A\n----------\nx\n# B\n", ["# A", "# B"]),
    ],
)  # fmt: skip
async def test_parts(open_session: Open, context: str, headings: list[str]) -> None:
    assert await shown(open_session, context, "[part.splitlines()[0] for part in parts()]") == headings
    assert await shown(open_session, context, "''.join(parts())") == context.lstrip("\n")


async def test_parts_of_one_text_of_many(open_session: Open) -> None:
    assert await shown(open_session, {"a.md": MARKDOWN}, "len(parts(context['a.md']))") == 3


@pytest.mark.parametrize(
    ("context", "says"),
    [("no heading\nat all", "no headings"), (["a"], "in parts already"), ({"a": "b"}, "a dict of 1")],
)
async def test_parts_explains_why_not(open_session: Open, context: Any, says: str) -> None:
    assert says in await refused(open_session, context, "parts()")


@pytest.mark.parametrize(
    ("context", "rows"),
    [
        (SALES, [
            {"city": "Rome", "price": 1.5, "count": 3},
            {"city": "Oslo", "price": 2.25, "count": None},
            {"city": "Bonn", "price": 10.0, "count": 4},
        ]),
        (CSV, [
            {"name": "Ann", "price": "1,5", "note": "a;b", "zip": "01234"},
            {"name": "Bob", "price": "2,0", "note": "two\nlines", "zip": "99999"},
        ]),
        ("a\tb\nx y\t1\nz\t2\n", [{"a": "x y", "b": 1}, {"a": "z", "b": 2}]),
        ("a|b\r\nx|1\r\ny|2\r\n", [{"a": "x", "b": 1}, {"a": "y", "b": 2}]),
        ('{"a": 1, "b": "x"}\n{"a": 2}\n', [{"a": 1, "b": "x"}, {"a": 2, "b": ""}]),
        ('[{"a": "1"}, {"a": "2"}]', [{"a": 1}, {"a": 2}]),
        ([{"a": 1, "b": [1]}, {"a": None, "b": [2]}], [{"a": 1, "b": "[1]"}, {"a": None, "b": "[2]"}]),
        ("a, a,b\nx,y,z\nq,r,s\n", [{"a": "x", "a_2": "y", "b": "z"}, {"a": "q", "a_2": "r", "b": "s"}]),
        ("1,x\n2,y\n3,z\n", [{"column 0": n, "column 1": c} for n, c in zip((1, 2, 3), "xyz", strict=True)]),
    ],
)  # fmt: skip
async def test_table(open_session: Open, context: Any, rows: list[dict[str, Any]]) -> None:
    answer = await shown(open_session, context, "table()")
    assert answer == rows
    assert [[type(v) for v in row.values()] for row in answer] == [[type(v) for v in row.values()] for row in rows]


async def test_a_column_of_numbers_can_be_summed_as_it_is_or_converted(open_session: Open) -> None:
    assert await shown(open_session, SALES, "sum(row['price'] for row in table() if row['city'] != 'Oslo')") == 11.5
    assert await shown(open_session, SALES, "sum(float(row['price']) for row in table())") == 13.75


@pytest.mark.parametrize(
    ("context", "says"),
    [
        ("just some words\nand more of them", "does not look like"),
        ({"a.csv": SALES}, "table(context[key]) with a key such as 'a.csv'"),
        (7, "no table"),
        ([], "no table"),
    ],
)
async def test_table_explains_why_not(open_session: Open, context: Any, says: str) -> None:
    assert says in await refused(open_session, context, "table()")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("classify([], ['a', 'b'])", "no items"),
        ("classify('text', ['a', 'b'])", "must be a list"),
        ("classify(['x'], 'ab')", "labels must be a list"),
        ("classify(['x'], ['a'])", "at least two"),
    ],
)
async def test_classify_explains_why_not(open_session: Open, call: str, says: str) -> None:
    assert says in await refused(open_session, "", call)


async def test_helpers_see_the_original_context(open_session: Open) -> None:
    assert (await run(await open_session("a\nb"), "context = ['x']\nprint(find('a'))")).stdout.startswith("['a']\n")
