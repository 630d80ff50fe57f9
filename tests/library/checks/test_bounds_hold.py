# ruff: noqa: E501 - the programs are easier to read in a line
"""No program makes more calls than its ceiling says: random programs, run on random contexts."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from habit.contexts.context import Context
from habit.library.checks import read_code
from habit.library.records import count_for_ceiling
from habit.library.spec import Contract
from support.made_habits import spec_of

TEXT_SPEC = spec_of()
JSON_SPEC = spec_of(contract=Contract(kind="json", shape="list"))
NAMES = ("a", "b", "c")

TEXT_LISTS = [
    "context.splitlines()", "context.split('\\n')", "context.split()", "context.split(',')", "list(context)", "['x', 'y']",
    "[context[i:i + 3] for i in range(0, len(context), 3)]", "[context[i:i + 6] for i in range(0, len(context), 4)]",
    "['\\n'.join(rows[i:i + 2]) for i in range(0, len(rows), 2)]", "list(groups.values())", "list(groups)", "rows[1:]",
    "rows[:2]", "[x for x in rows if x]", "sorted(set(rows))", "re.findall('[a-c]+', context)", "context.split('\\n\\n')",
    "[x.split(',') for x in rows]", "list(zip(rows, rows[1:]))", "list(enumerate(rows))", "pieces(context)", "rows + rows",
    "[y for x in rows for y in x.split(',')]", "list(csv.reader(io.StringIO(context)))", "Counter(rows).most_common(3)",
    "list(numbered(rows))",
]  # fmt: skip
JSON_LISTS = ["context", "context[1:]", "[y for x in context for y in x]", "sorted(context)", "list(groups.values())"]
DERIVED = [
    "{v}", "{v}.splitlines()", "{v}.split(',')", "list({v})", "{v}[1:]", "groups[{v}]", "rows", "{v} + {v}", "[{v}, {v}]",
    "range(len({v}))", "{v}.strip().split()", "[context]", "[{v}] * 3", "range(0, len({v}), 2)",
]  # fmt: skip
HEAD = """
import csv, io, re
from collections import Counter, defaultdict
def pieces(text):
    for part in text.split(','):
        yield part
        yield part
def numbered(items):
    found = []
    for item in items:
        found.append(item)
        found.extend([item, item])
    return found
def each(ask, items):
    return [ask('each', item) for item in items]
def scheduler(context, recursive_llm):
    rows = context.splitlines() if isinstance(context, str) else context
    groups = defaultdict(list)
    for row in rows:
        groups[str(row)[:1]].append(row)
"""


@st.composite
def blocks(draw: st.DrawFn, lists: list[str], depth: int, variables: tuple[str, ...]) -> list[str]:
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 2))):
        kind = draw(st.sampled_from(["call", "for", "while", "if", "each", "comprehension", "assign"]))
        sources = lists + [one.format(v=v) for v in variables for one in DERIVED]
        source = draw(st.sampled_from(sources))
        name = NAMES[len(variables)] if len(variables) < len(NAMES) else NAMES[-1]
        if kind == "call" or depth == 0:
            lines.append("recursive_llm('q')")
        elif kind == "for":
            lines.append(f"for {name} in {source}:")
            lines += [f"    {line}" for line in draw(blocks(lists, depth - 1, (*variables, name)))]
        elif kind == "while":
            lines += [f"queue = list({source})", "while queue:", f"    {name} = queue.pop()"]
            lines += [f"    {line}" for line in draw(blocks(lists, depth - 1, variables))]
        elif kind == "if":
            lines.append(f"if len({source}) > 1:")
            lines += [f"    {line}" for line in draw(blocks(lists, depth - 1, variables))]
        elif kind == "each":
            lines.append(f"each(recursive_llm, {source})")
        elif kind == "comprehension":
            lines.append(f"done = [recursive_llm('c') for {name} in {source} for _ in {name} if {name}]")
        else:
            lines += [f"items = {source}", "for item in items:", "    recursive_llm('i', item)"]
    return lines


def check(spec: Any, body: list[str], context: Any) -> None:
    source = HEAD + "".join(f"    {line}\n" for line in body) + "    return 1\n"
    _, ceiling = read_code(source, spec)
    if ceiling is None:
        return
    calls = 0

    def ask(query: str, context: Any = None) -> str:
        nonlocal calls
        calls += 1
        return "reply"

    space: dict[str, Any] = {}
    exec(compile(source, "scheduler", "exec"), space)
    # Some of these programs are wrong; what they asked before counts all the same.
    with contextlib.suppress(TypeError, AttributeError, KeyError, IndexError):
        space["scheduler"](context, ask)
    known = Context.of(context)
    most = ceiling.calls(count_for_ceiling(known), len(known.payload))
    assert calls <= most, f"{calls} calls, {most} allowed by {ceiling}"


@settings(deadline=None, max_examples=150)
@given(blocks(TEXT_LISTS, 2, ()), st.text(st.sampled_from("ab,\n c"), max_size=60))
def test_programs_over_texts_keep_to_their_ceiling(body: list[str], context: str) -> None:
    check(TEXT_SPEC, body, context)


@settings(deadline=None, max_examples=100)
@given(blocks(JSON_LISTS, 2, ()), st.lists(st.lists(st.sampled_from(["ab", "c"]), max_size=6), max_size=8))
def test_programs_over_json_keep_to_their_ceiling(body: list[str], context: list[Any]) -> None:
    check(JSON_SPEC, body, context)
