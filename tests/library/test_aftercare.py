"""What a run calls for in the library: noted before its answer is given, done afterwards, once, and also if cut off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from habit import BudgetExceeded, CallFailed, Run, RunFailed
from habit.calls.call import Call, Reply
from habit.calls.returns import Returns
from habit.contexts.context import Context
from habit.library.contract import infer_contract
from habit.library.repository import Repository
from support.library_bench import MENDED, RECORDS, TUESDAY, LibraryBench, Model, afresh, count_label, root_by, spam

HOW_MANY_HAM = "How many messages are ham?"
HAM = root_by({"": afresh("csv", "ham")})
MATCHED = '{"habit": "count-label", "parameters": {"label": "ham"}}'
LAYOUT = infer_contract([Context.of(RECORDS)], answer_type=Returns.from_type(int), answers=[1])
REPAIRER = root_by({"Mend a Python program": f"answer({MENDED!r})", "": afresh("records", "spam")})


class SlowRoot(Model):
    """Its root replies when it is let go; ``asked`` says that somebody waits."""

    def __init__(self, root: Callable[[str], str], only: str = "") -> None:
        super().__init__(root)
        self.asked, self.let_go = anyio.Event(), anyio.Event()
        self._only = only

    async def request(self, call: Call) -> Reply:
        if call.role == "root" and self._only in call.messages[-1].content:
            self.asked.set()
            await self.let_go.wait()
        return await super().request(call)


class Gone(Exception):
    """Whatever ends a program in the midst of its work."""


async def cut_off(bench: LibraryBench, model: SlowRoot, question: str, context: Any, **settings: Any) -> Run:
    """Ask, or without a question resume the last run, and end the engine while its aftercare waits for the model."""
    runs: list[Run] = []

    async def ask() -> None:
        async with bench.engine(model, **settings) as engine:
            runs.append(await (engine.ask(question, context, returns=int) if question else engine.resume("last")))
            await model.asked.wait()
            raise Gone

    with pytest.raises(Gone):
        await ask()
    return runs[0]


async def test_an_answer_does_not_wait_for_its_shadow(bench: LibraryBench) -> None:
    model = SlowRoot(HAM)
    async with bench.engine(model, shadow=1.0) as engine:
        run = await engine.ask(HOW_MANY_HAM, TUESDAY, returns=int)
        assert (run.answer, bench.outcomes()) == (3, ["hit"])
        assert engine.looking_after
        model.let_go.set()
        await engine.settled()
        assert bench.outcomes() == ["hit", "agreed"]
        assert not engine.looking_after
    async with bench.engine(model) as engine:
        (shadow,) = [one for one in await (await engine.store()).runs() if one.id != run.id]
    assert (shadow.serves, shadow.status) == (run.id, "answered")


async def test_the_end_of_an_engine_waits_for_shadows_one_after_the_other(bench: LibraryBench) -> None:
    model = SlowRoot(HAM)
    async with bench.engine(model, shadow=1.0) as engine:
        for _ in range(3):
            await engine.ask(HOW_MANY_HAM, TUESDAY, returns=int)
        await model.asked.wait()
        records = await (await engine.store()).runs()
        assert sum(one.serves is not None for one in records) == 1
        model.let_go.set()
    assert sorted(bench.outcomes()) == ["agreed"] * 3 + ["hit"] * 3


async def test_an_error_ends_what_is_under_way_and_comes_out_bare(bench: LibraryBench) -> None:
    await cut_off(bench, SlowRoot(HAM), HOW_MANY_HAM, TUESDAY, shadow=1.0)
    async with bench.engine(Model(HAM)) as engine:
        (shadow,) = [one for one in await (await engine.store()).runs() if one.serves]
    assert shadow.status == "interrupted"


@pytest.mark.parametrize("times", [1, 2])
async def test_a_shadow_that_was_cut_off_is_taken_up_again_once(bench: LibraryBench, times: int) -> None:
    run = await cut_off(bench, SlowRoot(HAM), HOW_MANY_HAM, TUESDAY, shadow=1.0)
    for _ in range(1, times):
        await cut_off(bench, SlowRoot(HAM), "", None, shadow=1.0)
    for _ in range(2):
        async with bench.engine(Model(HAM), shadow=1.0) as engine:
            assert (await engine.resume(run.id)).answer == 3
    assert bench.outcomes() == ["hit", "agreed"]


async def test_a_repair_that_was_cut_off_is_taken_up_again(bench: LibraryBench) -> None:
    model = SlowRoot(REPAIRER, only="Mend a Python program")
    run = await cut_off(bench, model, "How many messages are spam?", RECORDS)
    assert (run.answer, bench.outcomes()) == (1, ["violated"])
    async with bench.engine(Model(REPAIRER)) as engine:
        await engine.resume("last")
    assert bench.told[-1].startswith("A repair of count-label@1 passes")
    assert Repository.open(bench.library).candidate("count-label").habit.source == MENDED
    assert bench.outcomes() == ["violated"]


class TestResumed:
    """A run that was stopped and resumed leaves what one leaves that never stopped."""

    async def test_a_hit(self, bench: LibraryBench) -> None:
        model = Model(HAM, matched=MATCHED)
        reached = anyio.Event()

        async def stops(call: Call) -> Reply:
            if "minutes" in call.messages[-1].content:
                reached.set()
                await anyio.sleep_forever()
            return await Model.request(model, call)

        model.request = stops  # type: ignore[method-assign]
        async with bench.engine(model, shadow=1.0, speculate=0) as engine, anyio.create_task_group() as group:

            async def ask() -> None:
                await engine.ask("How many messages were ham?", TUESDAY, returns=int)

            group.start_soon(ask)
            await reached.wait()
            group.cancel_scope.cancel()
        assert bench.outcomes() == []
        again = Model(HAM)
        async with bench.engine(again, shadow=1.0) as engine:
            run = await engine.resume("last")
            await engine.settled()
            assert (await engine.resume(run.id)).answer == 3
        assert (run.answer, run.habit) == (3, "count-label@1")
        assert bench.outcomes() == ["hit", "agreed"]
        assert bench.uses()[0].calls == 5  # the match and four messages, whoever paid for them when
        assert bench.evidence().lookup("count-label") == ["How many messages were {label}"]

    async def test_a_violated_contract(self, bench: LibraryBench) -> None:
        model = Model(root_by({"": "x = 1"}))
        async with bench.engine(model, max_calls=1) as engine:
            with pytest.raises(BudgetExceeded):
                await engine.ask("How many messages are spam?", RECORDS, returns=int)
        assert bench.outcomes() == ["violated"]
        async with bench.engine(Model(REPAIRER)) as engine:
            run = await engine.resume("last")
        assert (run.answer, run.habit) == (1, None)
        assert bench.outcomes() == ["violated"]
        assert bench.told[-1].startswith("A repair of count-label@1 passes"), bench.told

    async def test_a_demanded_habit_that_gave_up_and_answers_now(self, bench: LibraryBench) -> None:
        down = Model(HAM, leaf=lambda prompt: CallFailed("down", reason="rejected"))
        async with bench.engine(down, strategy="habit") as engine:
            with pytest.raises(RunFailed):
                await engine.ask(HOW_MANY_HAM, TUESDAY, returns=int)
        assert bench.outcomes() == ["fallback"]
        async with bench.engine(Model(HAM, leaf=spam), strategy="habit") as engine:
            assert (await engine.resume("last")).habit == "count-label@1"
        assert bench.outcomes() == ["hit"]

    async def test_a_demanded_habit_whose_contract_is_violated(self, bench: LibraryBench) -> None:
        async with bench.engine(Model(HAM), strategy="habit") as engine:
            with pytest.raises(RunFailed, match="not about this input") as failure:
                await engine.ask("How many messages are spam?", RECORDS, returns=int)
            assert failure.value.run is not None
            assert (await engine.replay("last")).same
        assert bench.outcomes() == ["violated"]
        assert bench.told == []
        candidate = Repository.open(bench.library).propose(count_label(MENDED, also=(LAYOUT,)))
        Repository.open(bench.library).approve(candidate, candidate.tree)
        async with bench.engine(Model(HAM), strategy="habit") as engine:
            run = await engine.resume(failure.value.run.id)
        assert (run.answer, run.habit) == (1, "count-label@2")  # it is looked for again: there is one now
        assert bench.outcomes() == ["hit"]

    async def test_what_serves_a_run_is_no_use_of_a_habit(self, bench: LibraryBench) -> None:
        await cut_off(bench, SlowRoot(HAM), HOW_MANY_HAM, TUESDAY, shadow=1.0)
        async with bench.engine(Model(HAM), shadow=1.0) as engine:
            (shadow,) = [one for one in await (await engine.store()).runs() if one.serves]
            assert (await engine.resume(shadow.id)).answer == 3
        assert bench.outcomes() == ["hit"]
