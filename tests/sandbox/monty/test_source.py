"""The source of a cell is read without being run, whatever it is."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit.sandbox.monty.source import MAX_CHARS, SHOW, read_source


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("x = 1", "x = 1"),
        ("1", f"{SHOW}((1\n))"),
        ("x = 3; x  # why", f"x = 3; {SHOW}((x\n))  # why"),
        ("1, 2", f"{SHOW}((1, 2\n))"),
        ("(n := 3)", f"{SHOW}(((n := 3)\n))"),
        ("é = 'é'; é", f"é = 'é'; {SHOW}((é\n))"),
        ("answer |= {'ready': True}\nx = 1", "answer.update({'ready': True})\nx = 1"),
        ("answer |= {'ready': True}", f"{SHOW}((answer.update({{'ready': True}})\n))"),
        ("y = 'x' in globals()", "y = 'x' in locals( )"),
        (
            "y = globals().get('x'), globals()['x'], len(globals())",
            "y = locals( ).get('x'), locals( )['x'], len(locals( ))",
        ),
        ("globals()['x'] = 1", "globals()['x'] = 1"),
        ("g = globals()", "g = globals()"),
        ("def f():\n    return 'x' in globals()", "def f():\n    return 'x' in globals()"),
        ("x |= {'ready': True}", "x |= {'ready': True}"),
        ("\ufeff1", f"{SHOW}((1\n))"),
        ("this is no Python", "this is no Python"),
        ("", ""),
    ],
)
def test_the_last_value_is_shown(code: str, changed: str) -> None:
    assert read_source(code).code == changed


@pytest.mark.parametrize(
    ("code", "awaited"),
    [
        ("await f(1)", ["f(1)"]),
        ("x = 'é'\nr = await asyncio.gather(*[f(c) for c in x])", ["asyncio.gather(*[f(c) for c in x])", "f(c)"]),
        ("jobs = [f(1)]\nfor j in jobs:\n    await j", ["f(1)"]),
        ("x = f(1)", []),
    ],
)
def test_awaited_calls_are_found_in_bytes(code: str, awaited: list[str]) -> None:
    source = read_source(code)
    data = source.code.encode()
    assert sorted(data[start:end].decode() for start, end in source.awaited) == sorted(awaited)


@given(st.text(max_size=300) | st.text("()[]{}x=1:\n 'await answer|lmbd,", max_size=300))
def test_any_text_can_be_read(code: str) -> None:
    source = read_source(code.encode("utf-8", "replace").decode())
    if source.analysed:
        ast.parse(source.code)


@pytest.mark.parametrize(
    "code", ["(" * 5000, "-" * 20_000 + "1", "x" + ".y" * 14_000, "[" * 100 + "]" * 100, "1" + "+1" * 14_000]
)
def test_code_made_to_hurt_a_parser_is_survived(code: str) -> None:
    read_source(code)


def test_very_long_code_is_not_analysed() -> None:
    assert read_source("x = 1\n" * MAX_CHARS + "x").code.endswith("\nx")
