"""The librarian: what it chooses, what it notes, shadows and what follows from them, and inputs of any size."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from habit import Budget, CallFailed, Run, RunFailed, UsageError
from habit.calls.returns import Returns
from habit.calls.usage import Tally, Usage
from habit.contexts.context import Context
from habit.events import ignore
from habit.librarian import Ended
from habit.library.librarian import _is_drawn
from habit.library.repository import Repository
from habit.library.same import same_answer
from habit.sandbox.session import Sandbox
from habit.schedulers.habit import Choice
from support.libraries import git
from support.library_bench import (
    MENDED,
    MONDAY,
    RECORDS,
    SOURCE,
    TUESDAY,
    LibraryBench,
    Model,
    afresh,
    count_label,
    root_by,
)

MATCHED = '{"habit": "count-label", "parameters": {"label": "ham"}}'
HAM = root_by({"": afresh("csv", "ham")})


def never(prompt: str) -> str:
    raise AssertionError("the root was asked")


async def test_a_shadow_that_agrees_is_noted_and_asks_leaves_anew(bench: LibraryBench) -> None:
    model = Model(HAM)
    async with bench.engine(model, shadow=1.0) as engine:
        run = await engine.ask("How many messages are ham?", TUESDAY, returns=int)
        await engine.settled()
        store = await engine.store()
        assert len(await store.runs()) == 2
    assert (run.answer, run.habit, run.usage.root.calls) == (3, "count-label@1", 0)
    assert bench.outcomes() == ["hit", "agreed"]
    assert len(model.leaf_calls) == 8  # four by the habit, four by the fresh program: none from the cache
    assert bench.uses()[1].root_tokens > 0 == bench.uses()[0].root_tokens


async def test_shadows_that_keep_disagreeing_suspend_the_version(bench: LibraryBench) -> None:
    async with bench.engine(Model(root_by({"": "answer(99)"})), shadow=1.0) as engine:
        await engine.ask("How many messages are ham?", TUESDAY, returns=int)
        await engine.settled()
        assert not any("suspended" in one for one in bench.told)
        second = await engine.ask("How many messages are spam?", TUESDAY, returns=int)
        await engine.settled()
        third = await engine.ask("How many messages are spam?", MONDAY, returns=int)
    assert second.habit == "count-label@1"
    assert (third.habit, third.answer) == (None, 99)
    assert "suspended" in third.why
    assert "2 of its last 2 shadow runs disagreed" in third.why
    assert any(one.startswith("count-label@1 and a fresh scheduler disagree: 3 against 99") for one in bench.told)
    assert any(one.startswith("count-label@1 is suspended, because 2 of its last 2") for one in bench.told)
    assert bench.outcomes() == ["hit", "disagreed", "hit", "disagreed", "abstained"]


async def test_a_disagreement_long_ago_does_not_count(bench: LibraryBench) -> None:
    answers = ["answer(99)", *[afresh("csv", "ham")] * 4, "answer(99)"]
    model = Model(lambda prompt: answers.pop(0))
    async with bench.engine(model, shadow=1.0, no_repair=True) as engine:
        for _ in range(6):
            run = await engine.ask("How many messages are ham?", TUESDAY, returns=int)
            await engine.settled()
            assert run.habit == "count-label@1"
    assert bench.outcomes().count("disagreed") == 2
    assert Repository.open(bench.library).habits()


GREEDY = SOURCE.replace('row["text"]', 'row["text"].removeprefix("win ")')
"""A scheduler that does not show the model what a message begins with."""


def mending(prompt: str) -> str:
    return f"answer({SOURCE!r})" if "Mend a Python program" in prompt else afresh("csv", "spam")


@pytest.mark.parametrize("policy", ["review", "pure-and-green"])
async def test_a_shadow_that_disagrees_opens_a_repair_that_waits_for_a_person(bench: LibraryBench, policy: str) -> None:
    quiet = "from,text\nbob,see you at noon\nann,a prize\n"
    bench.approve(replace(count_label(GREEDY, monday=quiet, policy=policy), version=None))
    model = Model(mending)
    async with bench.engine(model, shadow=1.0) as engine:
        run = await engine.ask("How many messages are spam?", MONDAY, returns=int)
        await engine.settled()
    assert (run.answer, run.habit) == (0, "count-label@2")
    assert bench.outcomes() == ["hit", "disagreed"]
    (asked,) = model.repairs_asked
    assert "it answers 0, and a program written afresh disagrees" in asked
    assert "the right answer is 2" in asked
    repository = Repository.open(bench.library)
    assert [habit.version for habit in repository.habits()] == [2]
    candidate = repository.candidate("count-label").habit
    assert (candidate.source, [case.expected for case in candidate.cases.values()]) == (SOURCE, [0, 2])
    assert candidate.spec.also == ()


async def test_a_shadow_of_a_version_that_is_not_in_use_opens_no_repair(bench: LibraryBench) -> None:
    bench.approve(replace(count_label(MENDED), version=None))
    model = Model(root_by({"": "answer(99)"}))
    async with bench.engine(model, shadow=1.0) as engine:
        await engine.use("count-label", TUESDAY, parameters={"label": "ham"}, version=1)
        await engine.settled()
    assert bench.outcomes() == ["hit", "disagreed"]
    assert model.repairs_asked == []


async def test_only_the_version_that_was_used_is_suspended(bench: LibraryBench) -> None:
    bench.approve(replace(count_label(MENDED), version=None))
    async with bench.engine(Model(root_by({"": "answer(99)"})), shadow=1.0) as engine:
        for _ in range(2):
            await engine.use("count-label", TUESDAY, parameters={"label": "ham"}, version=1)
            await engine.settled()
    assert bench.outcomes() == ["hit", "disagreed"] * 2
    assert [habit.version for habit in Repository.open(bench.library).habits()] == [2]


async def test_a_shadow_that_came_to_no_end_says_nothing_about_the_habit(bench: LibraryBench) -> None:
    async with bench.engine(Model(root_by({"": "print(1)"})), shadow=1.0, max_cells=1) as engine:
        for _ in range(2):
            run = await engine.ask("How many messages are ham?", TUESDAY, returns=int)
            assert run.answer == 3
    assert bench.outcomes() == ["hit", "hit"]
    assert len([one for one in bench.told if "Solving this afresh" in one]) == 2


async def test_a_shadow_has_what_the_run_left_of_its_budget(bench: LibraryBench) -> None:
    async with bench.engine(Model(HAM), shadow=1.0, max_calls=6) as engine:
        run = await engine.ask("How many messages are ham?", TUESDAY, returns=int)
    assert (run.answer, run.habit) == (3, "count-label@1")
    assert bench.outcomes() == ["hit"]
    assert bench.told[-1].startswith("The answer stands; looking after the library failed: ")


def test_what_a_run_left_of_its_budget() -> None:
    run = Run(
        "r", "?", "answered", usage=Usage(calls=3, root=Tally(1, 10, 5), leaf=Tally(2, 20, 5), usd=0.25), seconds=2.0
    )

    async def nothing() -> Context:
        return Context.of("")

    def left(budget: Budget) -> Budget | None:
        return Ended(run, Choice(None, ""), "", nothing, Returns.from_type(int), budget, ignore).budget_left

    assert left(Budget()) == Budget()
    assert left(Budget(4, 100, 1.0, 3.0)) == Budget(1, 60, 0.75, 1.0)
    for used_up in (Budget(max_calls=3), Budget(max_tokens=40), Budget(max_usd=0.25), Budget(max_seconds=2.0)):
        assert left(used_up) is None


def test_about_the_share_asked_for_is_drawn() -> None:
    ids = [f"run-{number}" for number in range(2_000)]
    assert not any(_is_drawn(one, 0.0) for one in ids)
    assert all(_is_drawn(one, 1.0) for one in ids)
    assert 60 < sum(_is_drawn(one, 0.05) for one in ids) < 140


async def test_a_wording_that_a_model_matched_is_remembered(bench: LibraryBench) -> None:
    model = Model(never, matched=MATCHED)
    async with bench.engine(model) as engine:
        first = await engine.ask("How many messages were ham?", TUESDAY, returns=int)
        again = await engine.ask("How many messages were spam?", TUESDAY, returns=int)
    assert (first.answer, again.answer) == (3, 1)
    assert "model" in first.why
    assert "answered before" in again.why
    assert sum("Saved programs" in call.messages[-1].content for call in model.leaf_calls) == 1
    assert bench.evidence().lookup("count-label") == ["How many messages were {label}"]


@pytest.mark.parametrize("remembered_before", [False, True])
async def test_a_wording_is_forgotten_when_a_shadow_disagrees(bench: LibraryBench, remembered_before: bool) -> None:
    if remembered_before:
        evidence = bench.evidence()
        evidence.add("count-label", "How many messages were {label}")
        evidence.close()
    async with bench.engine(Model(root_by({"": "answer(99)"}), matched=MATCHED), shadow=1.0) as engine:
        run = await engine.ask("How many messages were ham?", TUESDAY, returns=int)
    assert run.habit == "count-label@1"
    assert bench.outcomes() == ["hit", "disagreed"]
    assert bench.evidence().lookup("count-label") == []


async def test_a_phrasing_of_the_habit_itself_is_not_forgotten(bench: LibraryBench) -> None:
    async with bench.engine(Model(root_by({"": "answer(99)"})), shadow=1.0) as engine:
        await engine.ask("How many messages are ham?", TUESDAY, returns=int)
        await engine.settled()
        assert (await engine.ask("How many messages are spam?", MONDAY, returns=int)).habit == "count-label@1"


async def test_a_demanded_habit_that_gives_up_is_noted_and_not_repaired(bench: LibraryBench) -> None:
    model = Model(never, leaf=lambda prompt: CallFailed("no", reason="refused"))
    async with bench.engine(model, strategy="habit") as engine:
        with pytest.raises(RunFailed, match="no"):
            await engine.ask("How many messages are ham?", TUESDAY, returns=int)
    assert bench.outcomes() == ["fallback"]
    assert bench.told == []


async def test_a_run_that_ends_before_anything_was_chosen_is_no_evidence(bench: LibraryBench) -> None:
    async with bench.engine(Model(never), strategy="habit") as engine:
        with pytest.raises(RunFailed, match="--strategy auto"):
            await engine.ask("Who wrote most?", TUESDAY)
    assert bench.outcomes() == []


async def test_without_a_library_a_demanded_habit_is_a_sentence(tmp_path: Path, sandbox: Sandbox) -> None:
    bench = LibraryBench(tmp_path, sandbox)
    async with bench.engine(Model(never), strategy="habit") as engine:
        with pytest.raises(RunFailed, match=r"there is no library of habits in .*habit init"):
            await engine.ask("How many messages are ham?", TUESDAY, returns=int)


async def test_without_a_library_the_model_answers(tmp_path: Path, sandbox: Sandbox) -> None:
    bench = LibraryBench(tmp_path, sandbox)
    async with bench.engine(Model(HAM)) as engine:
        assert (await engine.ask("How many messages are ham?", TUESDAY, returns=int)).answer == 3
    assert not (tmp_path / "evidence.db").exists()


async def test_a_folder_that_is_no_library_keeps_nobody_from_an_answer(tmp_path: Path, sandbox: Sandbox) -> None:
    bench = LibraryBench(tmp_path, sandbox)
    bench.library.mkdir()
    async with bench.engine(Model(HAM)) as engine:
        run = await engine.ask("How many messages are ham?", TUESDAY, returns=int)
    assert (run.answer, run.habit) == (3, None)
    assert "habit init" in run.why
    async with bench.engine(Model(HAM), strategy="habit") as engine:
        with pytest.raises(RunFailed, match="habit init"):
            await engine.ask("How many messages are ham?", TUESDAY, returns=int)


async def test_a_habit_that_was_edited_by_hand_is_not_used_and_the_answer_says_so(bench: LibraryBench) -> None:
    (bench.library / "count-label" / "scheduler.py").write_text("def scheduler(): return 7\n")
    git(bench.library, "commit", "-qam", "Quick fix")
    async with bench.engine(Model(HAM)) as engine:
        run = await engine.ask("How many messages are ham?", TUESDAY, returns=int)
    assert (run.answer, run.habit) == (3, None)
    assert "count-label" in run.why


async def test_after_a_rollback_only_new_shadows_count(bench: LibraryBench) -> None:
    async with bench.engine(Model(root_by({"": "answer(99)"})), shadow=1.0) as engine:

        async def ask() -> str | None:
            run = await engine.ask("How many messages are ham?", TUESDAY, returns=int)
            await engine.settled()
            return run.habit

        assert [await ask(), await ask(), await ask()] == ["count-label@1", "count-label@1", None]
        Repository.open(bench.library).rollback("count-label", 1)
        assert [await ask(), await ask(), await ask()] == ["count-label@1", "count-label@1", None]
    assert bench.outcomes() == [*["hit", "disagreed"] * 2, "abstained"] * 2


@pytest.mark.parametrize(
    ("returns", "one", "other", "alike"),
    [
        (int, 1, 1.0, True),
        (float, 1, 1.0, True),
        (float, 0.1 + 0.2, 0.3, True),
        (float, 10_000_000_001, 10_000_000_002, False),
        (float, float("nan"), float("nan"), True),
        (Any, 1, True, False),
        (Any, [0], [False], False),
        (Any, {"a": 1.0}, {"a": 1}, True),
        (Any, None, False, False),
        (Any, 10**400, 1.5, False),
        (Any, "1", 1, False),
        (str, "1", 1, True),
        (bool, True, "yes", True),
        (list[str], ["a", "b"], ("a", "b"), True),
        (list[str], ["a", "b"], ["b", "a"], False),
        (date, date(2026, 1, 2), date(2026, 1, 2), True),
    ],
)
def test_answers_are_compared_as_their_type_demands(returns: Any, one: Any, other: Any, alike: bool) -> None:
    assert same_answer(Returns.from_type(returns), one, other) is alike
    assert same_answer(Returns.from_type(returns), other, one) is alike


class TestNamed:
    async def test_a_habit_by_name_needs_no_matching(self, bench: LibraryBench) -> None:
        async with bench.engine(Model(never), strategy="habit") as engine:
            run = await engine.use("count-label", TUESDAY, parameters={"label": "ham"})
        assert (run.answer, run.habit, run.why) == (3, "count-label@1", "it was named")
        assert run.query == "How many messages are ham?"
        assert bench.outcomes() == ["hit"]

    @pytest.mark.parametrize(
        ("name", "parameters", "version", "message"),
        [
            ("count-label", {}, None, "needs a value for label: give one with --param label=spam"),
            ("count-label", {"label": "eggs"}, None, "label of count-label must be one of spam, ham, not 'eggs'"),
            ("count-label", {"label": "ham", "lable": 1}, None, r"no parameter 'lable'; did you mean label\?"),
            ("count-label", {"label": "ham"}, 9, "its versions are 1"),
            ("count-labels", {"label": "ham"}, None, "count-label"),
        ],
    )
    async def test_what_does_not_fit_is_a_sentence_and_no_run(
        self, bench: LibraryBench, name: str, parameters: dict[str, object], version: int | None, message: str
    ) -> None:
        async with bench.engine(Model(never)) as engine:
            with pytest.raises(UsageError, match=message):
                await engine.use(name, TUESDAY, parameters=parameters, version=version)
            assert await (await engine.store()).runs() == []

    async def test_a_version_that_is_not_in_use_can_be_named(self, bench: LibraryBench) -> None:
        bench.approve(count_label(MENDED))
        async with bench.engine(Model(never)) as engine:
            old = await engine.use("count-label", TUESDAY, parameters={"label": "ham"}, version=1)
            new = await engine.use("count-label", TUESDAY, parameters={"label": "ham"})
        assert (old.habit, new.habit) == ("count-label@1", "count-label@2")

    async def test_an_input_that_the_contract_does_not_take(self, bench: LibraryBench) -> None:
        async with bench.engine(Model(never), strategy="habit") as engine:
            with pytest.raises(RunFailed, match="not about this input"):
                await engine.use("count-label", RECORDS, parameters={"label": "spam"})
        model = Model(root_by({"": afresh("records", "spam")}))
        async with bench.engine(model, strategy="auto", no_repair=True) as engine:
            run = await engine.use("count-label", RECORDS, parameters={"label": "spam"})
        assert (run.answer, run.habit) == (1, None)
        assert bench.outcomes() == ["violated", "violated"]

    async def test_the_strategy_rlm_is_refused(self, bench: LibraryBench) -> None:
        async with bench.engine(Model(never), strategy="rlm") as engine:
            with pytest.raises(UsageError, match="take habit or auto"):
                await engine.use("count-label", TUESDAY, parameters={"label": "ham"})


class TestBig:
    """Inputs that are held outside of this process, and given to a sandbox only once."""

    TEXT = "from,text\n" + "ann,win a prize\n" * 3 + ("bob," + "see you at noon " * 6_000 + "\n") * 95

    async def test_a_hit_and_its_shadow(self, bench: LibraryBench) -> None:
        source = count_label().source.replace('row["text"]', 'row["text"][:40]')
        bench.approve(count_label(source))
        program = afresh("csv", "spam").replace("text, returns", "text[:40], returns")
        async with bench.engine(Model(root_by({"": program})), shadow=1.0) as engine:
            run = await engine.ask("How many messages are spam?", self.TEXT, returns=int)
            assert len(self.TEXT) > 8 * 2**20
            assert (await engine.replay(run.id)).same
        assert (run.answer, run.habit) == (3, "count-label@2")
        assert bench.outcomes() == ["hit", "agreed"]

    async def test_a_fallback_and_a_session_that_goes_on(self, bench: LibraryBench) -> None:
        bench.approve(
            count_label(count_label().source.replace("return count", "return count // (len(context) // 10**9)"))
        )
        model = Model(lambda prompt: "answer(context.count('win'))")
        async with bench.engine(model, no_repair=True) as engine, engine.session(self.TEXT) as session:
            first = await session.ask("How many messages are spam?", returns=int)
            second = await session.ask("How many messages are spam?", returns=int)
        assert (first.answer, first.habit, second.answer) == (3, None, 3)
        assert "ZeroDivisionError" in first.why
        assert bench.outcomes() == ["fallback", "fallback"]

    async def test_a_repair(self, bench: LibraryBench) -> None:
        noon = [{"sender": "bob", "body": "good morning " * 1_200} for _ in range(600)]
        records = [{"sender": "ann", "body": "win it all"}, *noon]
        assert len(json.dumps(records)) > 8 * 2**20
        mended = MENDED.replace('row["body"]', 'row["body"][:40]').replace('row["text"]', 'row["text"][:40]')
        program = afresh("records", "spam").replace("text, returns", "text[:40], returns")
        model = Model(root_by({"Mend a Python program": f"answer({mended!r})", "": program}))
        async with bench.engine(model) as engine:
            run = await engine.ask("How many messages are spam?", records, returns=int)
        assert (run.answer, run.habit) == (1, None)
        assert bench.told[-1].startswith("A repair of count-label@1 passes its old cases and this one"), bench.told
        candidate = Repository.open(bench.library).candidate("count-label")
        new = next(case for name, case in candidate.habit.cases.items() if name.startswith("repair-"))
        assert len(new.to_json()) < 2 * 2**20

    async def test_a_repair_about_an_input_that_is_too_large_for_a_case(self, bench: LibraryBench) -> None:
        records = [{"sender": "ann", "body": "win it all"}, {"sender": "bob", "body": "good morning " * 800_000}]
        mended = MENDED.replace('row["body"]', 'row["body"][:40]')
        program = afresh("records", "spam").replace("text, returns", "text[:40], returns")
        model = Model(root_by({"Mend a Python program": f"answer({mended!r})", "": program}))
        async with bench.engine(model) as engine:
            run = await engine.ask("How many messages are spam?", records, returns=int)
        assert run.answer == 1
        assert "too large for a case" in bench.told[-1]
        assert Repository.open(bench.library).candidates() == []
