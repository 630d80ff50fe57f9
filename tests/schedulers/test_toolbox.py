"""Calls of tools as cells: arguments are data, whatever they hold."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit.calls.returns import Returns
from habit.calls.tools import Made
from habit.schedulers.toolbox import OVER_CONTEXT, grammar, step_of, tools_for

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([name for tool in OVER_CONTEXT for name in tool.parameters["properties"]]) | st.text(max_size=5)
ARGUMENTS = st.dictionaries(NAMES, JSON | st.just("1-3").map(lambda pages: [pages]), max_size=4)
TOOLS = st.sampled_from([tool.name for tool in tools_for(Returns.from_type(str))])
HARMLESS = (ast.Constant, ast.List, ast.Tuple, ast.UnaryOp, ast.USub, ast.Load, ast.keyword)


@given(TOOLS, ARGUMENTS)
def test_a_cell_is_one_call_and_its_arguments_are_literals(tool: str, arguments: dict[str, Any]) -> None:
    step = step_of(Made(tool, json.dumps(arguments)))
    if step.problem:
        assert "\n" not in step.problem
        assert len(step.problem) < 300
        assert all(line.startswith("#") for line in step.code.splitlines())
        return
    assert step.code.isascii()
    [statement] = ast.parse(step.code).body
    assert isinstance(statement, ast.Expr)
    call = statement.value
    assert isinstance(call, ast.Call)
    assert isinstance(call.func, ast.Name)
    assert call.func.id == ("ask_about" if tool == "recursive_llm" else tool)
    for given_value in [*call.args, *(keyword.value for keyword in call.keywords)]:
        if isinstance(given_value, ast.Call):
            assert ast.unparse(given_value.func) == "json.loads"
            given_value = given_value.args[0]
        assert all(isinstance(node, HARMLESS) for node in ast.walk(given_value))


@given(JSON)
def test_an_answer_arrives_as_it_was_given(value: Any) -> None:
    code = step_of(Made("answer", json.dumps({"value": value}))).code
    got: list[Any] = []
    exec(code, {"answer": got.append, "json": json})
    assert json.dumps(got[0]) == json.dumps(value)


@pytest.mark.parametrize(
    ("slices", "pages"),
    [
        (["1-4", "5-8"], [(1, 4), (5, 8)]),
        ("1-4, 5", [(1, 4), (5, 5)]),
        ('["1-4", "5"]', [(1, 4), (5, 5)]),
        ("pages 2 to 3", [(2, 3)]),
        (["page 7"], [(7, 7)]),
        ([[1, 2], 3], [(1, 2), (3, 3)]),
        ([9.0], [(9, 9)]),
        (4, [(4, 4)]),
        (["8-5"], [(5, 8)]),
    ],
)
def test_pages_are_read_however_they_are_written(slices: Any, pages: list[tuple[int, int]]) -> None:
    step = step_of(Made("recursive_llm", json.dumps({"query": "q", "slices": slices})))
    assert step.code == f"ask_about(query='q', slices={pages})"


@pytest.mark.parametrize("returns", [str, int, list[str], {"type": "object", "properties": {"a": {}}}, ["yes", "no"]])
def test_a_grammar_has_every_rule_that_it_names(returns: Any) -> None:
    text = grammar(tools_for(Returns.from_type(returns)))
    rules = dict(line.split(" ::= ", 1) for line in text.strip().split("\n"))
    for body in rules.values():
        bare = re.sub(r'"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|\{\d[\d,]*\}', " ", body)
        assert set(re.findall(r"[a-z][\w-]*", bare)) <= set(rules)
    assert "yes" in text or returns != ["yes", "no"]


def test_a_schema_that_needs_itself_is_left_open() -> None:
    returns = Returns.from_type({"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}, "$defs": {"n": {}}})
    assert "$defs" in tools_for(returns)[-1].parameters
