"""A slice gives the answer of the whole program, whatever the program, and leaves out what does not matter."""

from __future__ import annotations

import ast
import io
from contextlib import redirect_stdout
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habit.library.crystallise.composing import compose
from habit.library.crystallise.plain import program_of
from habit.library.crystallise.recording import RecordedCell
from habit.library.crystallise.refusal import CannotLearn
from habit.library.crystallise.slicing import slice_of
from habit.sandbox.session import CellResult

START = """
a, b, c = 1, 2, 3
x, y, z = [1], [2, 3], [4]
it = iter([5, 6, 7])
def grow(items):
    items.append(9)
    return items
def step():
    global a
    a += 1
    return a
def push(value):
    z.append(value)
"""
NUMBERS = st.sampled_from(
    ["a", "b", "c", "len(x)", "sum(y)", "next(it, 0)", "step()", "0", "1", "2", "max(z, default=0)"]
)
NAMES, LISTS = st.sampled_from("abc"), st.sampled_from("xyz")
SIMPLE = st.one_of(
    st.builds("{} = {} + {}".format, NAMES, NUMBERS, NUMBERS),
    st.builds("{} += {}".format, NAMES, NUMBERS),
    st.builds("{}.append({})".format, LISTS, NUMBERS),
    st.builds("{} = {}".format, LISTS, LISTS),
    st.builds("{} = list({})".format, LISTS, LISTS),
    st.builds("{} = [v + {} for v in {}]".format, LISTS, NUMBERS, LISTS),
    st.builds("{} = grow({})".format, LISTS, LISTS),
    st.builds("push({})".format, NUMBERS),
    st.builds("{}[:1] = [{}]".format, LISTS, NUMBERS),
    st.builds("print({}, {})".format, NUMBERS, LISTS),
    st.builds("{}, {} = {}, {}".format, NAMES, NAMES, NUMBERS, NUMBERS),
    st.builds("{} = (lambda: {} + len({}))()".format, NAMES, NAMES, LISTS),
    st.builds("{}, {} = {}, {}".format, LISTS, LISTS, LISTS, LISTS),
)


def indented(lines: list[str]) -> str:
    return "\n".join(f"    {line}" for text in lines for line in text.split("\n"))


def blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(inner, min_size=1, max_size=3).map(indented)
    leaving = st.sampled_from(["", "\n    if {0} % 2: continue", "\n    if {0} > 3: break"])
    return st.one_of(
        st.builds("if {} > {}:\n{}\nelse:\n{}".format, NUMBERS, NUMBERS, body, body),
        st.builds(
            lambda name, items, one, leave, two: f"for {name} in {items}[:3]:\n{one}{leave.format(name)}\n{two}",
            NAMES, LISTS, body, leaving, body,
        ),
        st.builds("try:\n    {} = 6 // {}\n{}\nexcept ZeroDivisionError:\n{}".format, NAMES, NUMBERS, body, body),
    )  # fmt: skip


STATEMENTS = st.recursive(SIMPLE, blocks, max_leaves=8)


class _Answered(BaseException):
    pass


def answer_of(code: str) -> Any:
    """What a whole cell answers."""
    given: list[Any] = []

    def answer(value: Any) -> None:
        given.append(value)
        raise _Answered

    try:
        exec(code, {"answer": answer})
    except _Answered:
        return given[0]
    return None


def sliced(*cells: str, result: CellResult | None = None) -> str:
    recorded = [RecordedCell(cell, "?", CellResult("ok")) for cell in cells]
    if result is not None:
        recorded[0].result = result
    return compose(slice_of(program_of(recorded)), {}, returns="object")


@settings(max_examples=120, deadline=None)
@given(st.lists(STATEMENTS, min_size=1, max_size=8), st.sampled_from(["a", "b", "x", "z", "(a, y)"]))
def test_a_slice_keeps_the_answer(statements: list[str], wanted: str) -> None:
    code = START + "\n".join(statements) + f"\nanswer(repr({wanted}))\n"
    with redirect_stdout(io.StringIO()):
        try:
            expected = answer_of(code)
        except IndexError:  # nothing left to pop: such a cell fails, and none of it is kept
            return
        namespace: dict[str, Any] = {}
        exec(sliced(code), namespace)
        assert namespace["scheduler"]("", None) == expected


def body_of(source: str) -> str:
    tree = ast.parse(source)
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "scheduler"]
    return "\n".join(ast.unparse(node) for node in function.body[1:])


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ("a = 1\nb = 2\nprint(a)\nanswer(b)", "b = 2\nreturn b"),
        ("a = 1\na = 2\nanswer(a)", "a = 2\nreturn a"),
        ("s = 0\nt = 0\nfor i in context:\n    s += 1\n    t += 2\nanswer(s)",
         "s = 0\nfor i in context:\n    s += 1\nreturn s"),
        ("for i in context[:5]:\n    print(i)\nn = 0\nfor i in context:\n    n += 1\nanswer(n)",
         "n = 0\nfor i in context:\n    n += 1\nreturn n"),
        ("r = recursive_llm('?', context)\nprint(r)\nanswer(len(context))", "return len(context)"),
        ("seen = []\nkind = recursive_llm('?', context)\nseen.append(kind)\nanswer(kind)",
         "kind = recursive_llm('?', context)\nreturn kind"),
        ("a = [1]\nb = a\nb.append(2)\nanswer(a)", "a = [1]\nb = a\nb.append(2)\nreturn a"),
    ],
)  # fmt: skip
def test_what_does_not_reach_the_answer_goes(code: str, kept: str) -> None:
    assert body_of(sliced(code)) == kept


def test_what_failed_is_not_kept_and_what_came_before_it_is() -> None:
    result = CellResult("error", error="Traceback (most recent call last):\n  Cell 1, line 2\n    b\nNameError: b")
    assert body_of(sliced("a = 1\nb\na = 3", "answer(a)", result=result)) == "a = 1\nreturn a"


@pytest.mark.parametrize("code", ["globals()['a'] = 1\nanswer(a)", "exec('a = 1')\nanswer(a)", "answer(show_vars)"])
def test_what_only_a_session_knows_is_refused(code: str) -> None:
    with pytest.raises(CannotLearn):
        sliced(code)


def test_a_reserved_name_that_a_cell_takes_for_itself_is_its_own_there() -> None:
    source = sliced("context = context.upper()\ntable = [context]\nsize = len(table[0])", "answer(size + len(context))")
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    assert namespace["scheduler"]("ab", None) == 4
