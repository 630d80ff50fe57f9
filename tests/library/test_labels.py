"""A value that neither the input nor those learned from have is told, and not counted as none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from habit import Engine, Run, RunFailed
from habit.contexts.context import Context
from habit.library.contract import observe
from habit.library.crystallise.learn import Learned, learn
from habit.library.habit import Habit
from habit.library.labels import unknown_label
from habit.library.repository import Repository
from habit.library.spec import Parameter
from support.library_bench import LibraryBench, Model, root_by

PROGRAM = "rows = table()\nanswer(sum(row['kind'] == 'spam' for row in rows))"
NEVER = root_by({})


def table(*kinds: str, senders: str = "ab") -> str:
    return "id,sender,kind\n" + "".join(f"{n},{senders[n % 2]}ob,{kind}\n" for n, kind in enumerate(kinds))


MONDAY = table(*["spam", "ham", "news"] * 5)
TUESDAY = table(*["ham", "phishing", "ham"] * 3, senders="cd")
"""Without any spam, and with a label of its own."""


async def learned_by(engine: Engine) -> Learned:
    run = await engine.ask("How many messages are spam?", MONDAY, returns=int)
    assert run.answer == 5
    return await learn(engine.resources, [run.id], mutants=0)


@pytest.fixture
async def habit(bench: LibraryBench) -> Habit:
    """Learned from a run, and approved."""
    async with bench.engine(Model(root_by({"": PROGRAM})), strategy="rlm") as engine:
        habit = (await learned_by(engine)).habit
    bench.approve(habit)
    return Repository.open(bench.library).get(habit.name)


def asked_with(habit: Habit, value: str) -> dict[str, Any]:
    return dict.fromkeys(habit.spec.parameters, value)


async def use(bench: LibraryBench, habit: Habit, value: str, text: str, **settings: Any) -> Run:
    model = Model(root_by({"": "answer(41)"}) if settings else NEVER)
    async with bench.engine(model, **{"strategy": "habit", **settings}) as engine:
        return await engine.use(habit.name, text, parameters=asked_with(habit, value))


async def test_learning_notes_the_labels_of_the_column_that_the_code_compares(habit: Habit) -> None:
    noted = {one.name: one.seen for one in habit.spec.contract.fields}
    assert noted == {"id": (), "sender": (), "kind": ("ham", "news", "spam")}


@pytest.mark.parametrize(
    ("value", "text", "answer"),
    [("ham", TUESDAY, 6), ("spam", TUESDAY, 0), ("phishing", TUESDAY, 3)],
    ids=["both have it", "only known from before", "new in the input"],
)
async def test_a_label_that_either_has_is_answered(
    bench: LibraryBench, habit: Habit, value: str, text: str, answer: int
) -> None:
    run = await use(bench, habit, value, text)
    assert (run.answer, run.habit) == (answer, habit.label)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("spma", 'nearest is "spam"'),
        ("Spam", 'nearest is "spam"'),
        ("cob", 'it has "ham", "news", "phishing", "spam"'),
        ("x{1}\n'", 'it has "ham", "news", "phishing", "spam"'),
    ],
    ids=["misspelt", "other case", "of another column", "hostile"],
)
async def test_a_value_that_nothing_has_is_told_with_the_nearest_labels(
    bench: LibraryBench, habit: Habit, value: str, hint: str
) -> None:
    with pytest.raises(RunFailed) as failure:
        await use(bench, habit, value, TUESDAY)
    said = str(failure.value)
    assert said.startswith(
        f'No habit answers this: no "kind" of this input or of those that {habit.label} was learned '
    )
    assert hint in said
    assert "\n" not in said


async def test_otherwise_the_model_writes_a_program_and_no_repair_is_opened(bench: LibraryBench, habit: Habit) -> None:
    run = await use(bench, habit, "spma", TUESDAY, strategy="auto")
    assert (run.answer, run.habit) == (41, None)
    assert 'no "kind" of this input' in run.why
    assert bench.outcomes()[-1] == "abstained"
    assert not any("Repairing" in one for one in bench.told)


async def test_a_quoted_value_of_a_question_is_looked_at_too(bench: LibraryBench, habit: Habit) -> None:
    async with bench.engine(Model(NEVER), strategy="habit") as engine:
        assert (await engine.ask('How many messages are "phishing"?', TUESDAY, returns=int)).answer == 3
        with pytest.raises(RunFailed, match='nearest is "phishing"'):
            await engine.ask('How many messages are "fishing"?', TUESDAY, returns=int)


@pytest.mark.parametrize(
    ("changed", "value", "unknown"),
    [
        ("", "Spam", True),
        ("row['kind'].lower() ==", "Spam", False),
        ("row['kind'].lower() ==", "spma", True),
        ("row['sender'] == {p} or row['kind'] ==", "spma", False),
        ("{p} in row['sender'] or row['kind'] ==", "spma", False),
        ("_kind([{p}]) or row['kind'] ==", "spma", False),
    ],
    ids=[
        "case matters",
        "case does not matter",
        "misspelt",
        "a column of names too",
        "a part of a name too",
        "given away",
    ],
)
def test_what_is_unknown_goes_by_what_the_code_does(habit: Habit, changed: str, value: str, unknown: bool) -> None:
    (parameter,) = habit.spec.parameters
    code = habit.source.replace("row['kind'] ==", changed.format(p=parameter) or "row['kind'] ==")
    assert (code != habit.source) == bool(changed)
    said = unknown_label(replace(habit, source=code), {parameter: value}, observe(Context.of(TUESDAY)))
    assert bool(said) == unknown


@pytest.mark.parametrize(("values", "unknown"), [(["ham", "phishing"], ""), (["ham", "spma"], '"spma"'), ([], "")])
def test_each_item_of_a_list_is_looked_at(habit: Habit, values: list[str], unknown: str) -> None:
    (name,) = habit.spec.parameters
    spec = habit.spec.model_copy(update={"parameters": {name: Parameter(type="list", example=["spam"])}})
    listed = replace(habit, spec=spec, source=habit.source.replace("row['kind'] ==", "row['kind'] in"))
    said = unknown_label(listed, {name: values}, observe(Context.of(TUESDAY)))
    assert unknown in said
    assert bool(said) == bool(unknown)


def test_of_a_large_input_a_value_that_stands_anywhere_is_not_refused(habit: Habit) -> None:
    rows = table(*["ham", "news"] * 250_000, "rare")
    facts = observe(Context.of(rows))
    assert "rare" not in (facts.field("kind") or facts.fields[0]).values  # type: ignore[operator]
    assert unknown_label(habit, asked_with(habit, "rare"), facts) == ""
    assert unknown_label(habit, asked_with(habit, "rarer"), facts)
