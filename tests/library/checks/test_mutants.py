"""Weak cases let mutants survive, strong ones catch them all; mutants that never end are caught by the limits."""

from __future__ import annotations

import ast
from dataclasses import replace

import pytest

from habit.library.checks import examine
from habit.library.checks.mutants import HELPER, mutants_of
from habit.library.spec import Parameter
from habit.sandbox.session import Sandbox
from support.made_habits import Made, case, spec_of

SOURCE = '''
def scheduler(context, recursive_llm, *, least: int) -> int:
    """Count the long lines that are no comments."""
    count = 0
    for line in context.splitlines():
        if len(line) >= least and not line.startswith("#"):
            count += 1
    return count
'''
SPEC = spec_of({"least": Parameter(type="integer", example=3)})
WEAK = Made(SPEC, SOURCE, {"first": case("abcd\nabcde", [], 2, least=3)})
STRONG = Made(SPEC, SOURCE, {"first": case("abc\nab\n#abcd\nabcde\n#", [], 2, least=3)})


async def test_a_weak_case_shows_survivors_with_their_lines(sandbox: Sandbox) -> None:
    report = await examine(sandbox, WEAK)
    assert report.green
    assert report.mutation is not None
    assert report.mutation.tried == report.mutation.made
    survived = {(one.line, one.change) for one in report.survivors}
    assert {(6, ">= became >"), (6, "a condition became True"), (6, "a condition is dropped")} <= survived
    boundary = next(one for one in report.survivors if one.change == ">= became >")
    assert boundary.before == "if len(line) >= least and (not line.startswith('#')):"
    assert boundary.after == "if len(line) > least and (not line.startswith('#')):"


async def test_a_strong_case_leaves_none(sandbox: Sandbox) -> None:
    report = await examine(sandbox, STRONG)
    assert report.mutation is not None
    assert list(report.survivors) == []
    assert report.mutation.caught == report.mutation.made > 10


async def test_relations_catch_what_the_case_alone_does_not(sandbox: Sandbox) -> None:
    source = "def scheduler(context, recursive_llm):\n    return len(context.splitlines()) + 3 // 4\n"
    made = Made(spec_of(), source, {"first": case("a\nb\nc", [], 3)})
    assert "// became *" not in {one.change for one in (await examine(sandbox, made)).survivors}
    fixed = source.replace("len(context.splitlines()) + 3 // 4", "min(3, len(context.splitlines()))")
    report = await examine(sandbox, replace(made, source=fixed))
    assert "additivity" in report.held
    assert {one.change for one in report.survivors} == {"3 became 4"}


async def test_mutants_that_never_end_are_caught(sandbox: Sandbox) -> None:
    source = (
        "def scheduler(context, recursive_llm):\n    i = 0\n    while i < len(context):\n        i += 2\n    return i\n"
    )
    report = await examine(sandbox, Made(spec_of(), source, {"first": case("abcde", [], 6)}))
    assert report.mutation is not None
    assert not any("removed" in one.change for one in report.survivors)


async def test_one_mutant_does_not_see_what_another_left_behind(sandbox: Sandbox) -> None:
    """Were the names of a session shared, the function that a mutant lacks would still be there from the one before."""
    source = "def scheduler(context, recursive_llm):\n    context.append(4)\n    return len(context)\n"
    contract = spec_of().contract.model_copy(update={"kind": "json", "shape": "list"})
    made = Made(spec_of(contract=contract), source, {"first": case([1, 2, 3], [], 4)})
    report = await examine(sandbox, made)
    assert report.green
    # A removed append would be noticed by its answer, 3, only in a context that no other has added to.
    assert "a statement is removed" not in {one.change for one in report.survivors}
    assert {one.change for one in report.survivors} <= {"4 became 5", "4 became 3"}


def test_mutants_are_bounded_always_the_same_and_all_different() -> None:
    mutants, made = mutants_of(SOURCE, 1000)
    texts = [ast.unparse(mutant.tree) for mutant in mutants]
    assert len(set(texts)) == len(texts) == made
    assert ast.unparse(ast.parse(SOURCE)) not in texts
    fewer, of = mutants_of(SOURCE, 5)
    assert (len(fewer), of) == (5, made)
    assert [ast.unparse(one.tree) for one in fewer] == [ast.unparse(one.tree) for one in mutants_of(SOURCE, 5)[0]]


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("return context == label", "== became !="),
        ("return context < label", "< became <="),
        ("return label in context", "in became not in"),
        ("return len(context) + 1", "+ became -"),
        ("return context and label", "and became or"),
        ("return not label", "not is dropped"),
        ("return 3", "3 became 4"),
        ("return 3", "3 became 2"),
        ("return recursive_llm('Which?', context)", "'Which?' became 'Which?~'"),
        ("return recursive_llm('Which?', context)", "two arguments changed places"),
        ("if context:\n        return 1\n    return 2", "a condition became False"),
        ("return [x for x in context if x]", "a filter is dropped"),
        ("return context[1:]", "the start of a slice is dropped"),
        ("return context[:5]", "the end of a slice is dropped"),
        ("return min(context)", "min became max"),
        ("return context.strip()", ".strip() is dropped"),
        ("label += 1\n    return label", "a statement is removed"),
        ("label = label.lower()\n    return label", "a statement is removed"),
        ("for x in context:\n        break\n    return 1", "a statement is removed"),
        ("return sorted(context, reverse=True)", "True became False"),
    ],
)
def test_kinds_of_mutants(code: str, change: str) -> None:
    mutants, _ = mutants_of(f"def scheduler(context, recursive_llm, label):\n    {code}\n", 1000)
    assert change in {mutant.change for mutant in mutants}


@pytest.mark.parametrize(
    "code",
    ['"""Docs 1."""', "print('a', 1 + 1)", "import re", "x: int = context", "x = context"],
)
def test_what_cannot_reach_the_answer_is_not_mutated(code: str) -> None:
    assert mutants_of(f"def scheduler(context, recursive_llm):\n    {code}\n    return context\n", 1000)[1] == 0


def test_the_helper_for_many_calls_is_not_mutated() -> None:
    assert mutants_of(HELPER, 1000)[1] == 0
