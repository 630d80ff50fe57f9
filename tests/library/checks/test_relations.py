"""Relations hold for programs that must satisfy them, break for others, and never hold for lack of replies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habit.contexts.context import Context
from habit.library.case import Case
from habit.library.checks import RelationResult, check, examine
from habit.library.checks.relations import RELATIONS, Trial, trials_of
from habit.library.checks.scenes import Played, Scene
from habit.library.rehearsal import Rehearsed
from habit.library.same import same
from habit.library.spec import Contract, RecordField
from habit.sandbox.session import CellResult, Sandbox
from support.made_habits import LABEL, Made, case, classify, spec_of

SCHEMA = {"enum": ["spam", "ham"]}
LINES = ["buy now", "hello", "win big", "see you", "free cash", "bye", "free win"]
QUERY = "spam or ham?"
ASKED = classify(QUERY, LINES, lambda line: "ham" if line in ("hello", "see you", "bye") else "spam", SCHEMA)
EACH = (
    f"lines = context.splitlines()\n    labels = [recursive_llm('{QUERY}', x, returns=['spam', 'ham']) for x in lines]"
)


def habit(body: str, expected: Any, returns: str, lines: list[str] = LINES, asked: Any = ASKED, **more: Any) -> Made:
    source = f"def scheduler(context, recursive_llm, *, label):\n    {EACH}\n    {body}\n"
    spec = spec_of({"label": LABEL}, returns=returns, **more)
    return Made(spec, source, {"first": case("\n".join(lines), list(asked), expected, label="spam")})


async def verdicts(sandbox: Sandbox, made: Made) -> dict[str, str]:
    report = await examine(sandbox, made, mutants=0)
    assert [one.trouble for one in report.cases] == [""]
    return {one.relation: one.verdict for one in report.relations}


SPAM = ["buy now", "win big", "free cash", "free win"]
INT, STR, LIST = '{"type": "integer"}', '{"type": "string"}', '{"type": "array", "items": {"type": "string"}}'
HOLDS, BROKEN, NONE = "holds", "broken", "not applicable"


@pytest.mark.parametrize(
    ("body", "expected", "returns", "relations"),
    [
        ("return labels.count(label)", 4, INT, [HOLDS, NONE, HOLDS, NONE, HOLDS, HOLDS]),
        ("return labels.count('spam')", 4, INT, [HOLDS, NONE, HOLDS, NONE, HOLDS, BROKEN]),
        ("return labels.index('ham')", 1, INT, [BROKEN, NONE, BROKEN, NONE, HOLDS, BROKEN]),
        ("return max(len(x) for x in lines)", 9, INT, [HOLDS, NONE, BROKEN, NONE, HOLDS, HOLDS]),
        ("return lines[0]", "buy now", STR, [BROKEN, NONE, NONE, NONE, HOLDS, HOLDS]),
        ("return [x for x, y in zip(lines, labels) if y == label]", SPAM, LIST,
         [BROKEN, HOLDS, NONE, HOLDS, HOLDS, HOLDS]),
        ("return sorted(set(lines))[:2]", ["buy now", "bye"], LIST, [HOLDS, HOLDS, NONE, BROKEN, HOLDS, HOLDS]),
    ],
)  # fmt: skip
async def test_relations_hold_where_they_must(
    sandbox: Sandbox, body: str, expected: Any, returns: str, relations: list[str]
) -> None:
    found = await verdicts(sandbox, habit(body, expected, returns))
    assert found == dict(zip(RELATIONS, relations, strict=True))


async def test_a_variation_that_asks_what_was_not_recorded_is_not_applicable(sandbox: Sandbox) -> None:
    source = f"def scheduler(context, recursive_llm):\n    return recursive_llm('{QUERY}', context)\n"
    text = "\n".join(LINES)
    made = Made(spec_of(returns=""), source, {"first": case(text, classify(QUERY, [text], lambda _: "spam"), "spam")})
    found = await verdicts(sandbox, made)
    assert set(found.values()) == {NONE}
    report = await check(
        sandbox, Made(made.spec.model_copy(update={"relations": ("record-order",)}), source, made.cases)
    )
    assert report.troubles() == ["relation record-order: no case can show it any more"]


async def test_a_recorded_relation_that_breaks_makes_the_habit_red(sandbox: Sandbox) -> None:
    made = habit("return labels.index('ham')", 1, INT, relations=("record-order",))
    report = await check(sandbox, made)
    assert not report.green
    assert report.troubles()[0].startswith("relation record-order on case first: with its records in another order")
    assert report.held == []


async def test_labels_are_renamed_in_prompts_and_tables(sandbox: Sandbox) -> None:
    source = (
        "def scheduler(context, recursive_llm, *, label):\n"
        "    return sum(recursive_llm(f'Is this {label}?', x, returns=bool) for x in context.splitlines())\n"
    )
    asked = classify("Is this spam?", LINES, lambda line: len(line) > 6, {"type": "boolean"})
    made = Made(spec_of({"label": LABEL}), source, {"first": case("\n".join(LINES), asked, 5, label="spam")})
    assert (await verdicts(sandbox, made))["label-renaming"] == HOLDS

    table = "id,kind\n1,spam\n2,ham\n3,spam\n"
    kind = RecordField(name="kind", labels=("spam", "ham"))
    contract = Contract(kind="text", shape="csv", fields=(RecordField(name="id"), kind))
    for condition, verdict in (("row['kind'] == label", HOLDS), ("row['kind'] == 'spam'", BROKEN)):
        body = f"import csv\n    return sum({condition} for row in csv.DictReader(context.splitlines()))"
        source = f"def scheduler(context, recursive_llm, *, label):\n    {body}\n"
        made = Made(spec_of({"label": LABEL}, contract=contract), source, {"first": case(table, [], 2, label="spam")})
        assert (await verdicts(sandbox, made))["label-renaming"] == verdict


async def test_a_case_of_another_layout_is_taken_apart_by_that_layout(sandbox: Sandbox) -> None:
    source = (
        "def scheduler(context, recursive_llm):\n"
        "    return len(context.splitlines() if isinstance(context, str) else context)\n"
    )
    spec = spec_of(also=(Contract(kind="json", shape="list"),))
    made = Made(spec, source, {"a": case("x\ny\nz", [], 3), "b": case([1, 2, 3], [], 3)})
    report = await examine(sandbox, made, mutants=0)
    assert [one.verdict for one in report.relations if one.relation == "additivity"] == [HOLDS, HOLDS]


def play(program: Callable[[list[str]], Any], scene: Scene) -> Played:
    answer = program(scene.context.value().splitlines())
    return Played(Rehearsed(CellResult("answered"), [], [], answer), 0)


def results(program: Callable[[list[str]], Any], lines: list[str]) -> dict[str, RelationResult]:
    one = Case({}, Context.of("\n".join(lines)), [], program(lines))
    found = {}
    for trial in trials_of("first", one, spec_of()):
        if isinstance(trial, Trial):
            found[trial.relation] = trial.result([play(program, scene) for scene in trial.scenes])
    return found


WORDS = st.lists(st.text("abc", min_size=1, max_size=3), min_size=2, max_size=12)


@settings(deadline=None, max_examples=50)
@given(WORDS, st.sampled_from("abc"))
def test_counts_and_sums_are_never_said_to_break(lines: list[str], letter: str) -> None:
    programs: list[Callable[[list[str]], Any]] = [
        lambda items: sum(letter in item for item in items),
        lambda items: sum(len(item) for item in items) * 0.1,
        lambda items: dict(Counter(item[0] for item in items)),
    ]
    for program in programs:
        found = results(program, lines)
        assert {found[name].verdict for name in ("record-order", "additivity")} == {HOLDS}
        assert found["padding"].verdict in (HOLDS, NONE)


@settings(deadline=None, max_examples=50)
@given(WORDS)
def test_answers_over_sets_are_never_said_to_break_by_order_or_padding(lines: list[str]) -> None:
    programs: list[Callable[[list[str]], Any]] = [
        lambda items: len(set(items)),
        lambda items: max(items),
        lambda items: sorted(set(items)),
    ]
    for program in programs:
        found = results(program, lines)
        assert found["record-order"].verdict == HOLDS
        assert found["padding"].verdict in (HOLDS, NONE)


@settings(deadline=None, max_examples=50)
@given(WORDS)
def test_lists_of_records_are_concatenations(lines: list[str]) -> None:
    found = results(lambda items: [item for item in items if "a" in item], lines)
    assert found["concatenation"].verdict == HOLDS
    if "record-order-of-list" in found:
        assert found["record-order-of-list"].verdict == HOLDS


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (0.1 + 0.2, 0.3, True), (1, 1.0, True), (1, True, False), (True, True, True), ([1, 2], [2, 1], False),
        ({"a": 0.1 + 0.2}, {"a": 0.3}, True), ({"a": 1}, {"b": 1}, False), ("1", 1, False), (None, None, True),
    ],
)  # fmt: skip
def test_equal_answers(one: Any, other: Any, equal: bool) -> None:
    assert same(one, other) is equal
