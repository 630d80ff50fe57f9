"""Several questions about one input: live sessions, and runs that go on with earlier ones."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from habit import BudgetExceeded, ReplayMismatch, RunFailed, Settings, UsageError
from habit.calls.budget import Budget
from habit.engine import Engine
from habit.events import CellStarted, ignore
from habit.journal.sqlite import SqliteStore
from habit.sandbox.cpython import CPythonSandbox
from habit.sessions import hold
from support.scripted import ScriptedModels, ScriptedProvider, block

FIRST = [
    block(
        "import time, random\nnumbers = [int(line) for line in context.split()]\nmark = (time.time(), random.random())"
    ),
    block("total = recursive_llm('add them', str(numbers), returns=int)\nanswer(total)"),
]
SECOND = [block("print(query)\nanswer([total, len(numbers), mark[0], mark[1]])")]


class Bench:
    def __init__(self, folder: Path, sandbox: CPythonSandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox

    def engine(self, *scripts: list[str], **settings: Any) -> Engine:
        replies = [reply for script in scripts for reply in script]
        self.model = ScriptedProvider(replies, leaf=lambda prompt: "6")
        chosen = Settings(model="scripted", journal=str(self.folder / "journal.db"), **settings)
        return Engine(chosen, sandbox=self.sandbox, models=ScriptedModels(self.model))


@pytest.fixture
def bench(tmp_path: Path, sandbox: CPythonSandbox) -> Bench:
    return Bench(tmp_path, sandbox)


async def test_variables_stay_from_question_to_question(bench: Bench) -> None:
    async with bench.engine(FIRST, SECOND) as engine, engine.session("1\n2\n3") as session:
        first = await session.ask("What is the sum?", returns=int)
        second = await session.ask("And by month?", returns=list)
        records = await (await engine.store()).runs()
        cells = await (await engine.store()).cells(second.id)
    assert first.answer == 6
    assert second.answer[:2] == [6, 3]
    assert (first.cells, second.cells) == (2, 1)
    assert first.usage.calls == 3
    assert second.usage.calls == 1
    assert records[0].settings["continues"] == first.id
    assert "continues" not in records[1].settings
    assert cells[0].stdout.startswith("And by month?")


async def test_the_model_is_told_the_answer_and_the_new_question(bench: Bench) -> None:
    async with bench.engine(FIRST, SECOND) as engine, engine.session("1\n2\n3") as session:
        await session.ask("What is the sum?", returns=int)
        await session.ask("And by month?", returns=list)
    messages = bench.model.calls[-1].messages
    assert "What is the sum?" in messages[1].content
    follow_up = messages[-1].content
    assert "The answer was given: 6" in follow_up
    assert "And by month?" in follow_up
    assert "numbers: list (3)" in follow_up
    assert "must be of type list" in follow_up
    roles = [message.role for message in messages]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]


async def test_a_run_can_be_continued_in_another_process(bench: Bench) -> None:
    async with bench.engine(FIRST) as engine:
        first = await engine.ask("What is the sum?", "1\n2\n3", returns=int)
    async with bench.engine(SECOND) as engine:
        second = await engine.ask("And by month?", continue_from=first.id, returns=list)
    assert second.answer[:2] == [6, 3]
    assert second.usage.calls == 1
    assert [call.role for call in bench.model.calls] == ["root"]


async def test_a_live_and_a_rebuilt_session_say_the_same_to_the_model(bench: Bench) -> None:
    async with bench.engine(FIRST, SECOND) as engine, engine.session("1\n2\n3") as session:
        await session.ask("What is the sum?", returns=int)
        answer = (await session.ask("And by month?", returns=list)).answer
    live = bench.model.calls[-1].messages
    afresh = {"no_cache": True}
    async with bench.engine(SECOND) as engine:
        runs = await (await engine.store()).runs()
        async with engine.session(continue_from=runs[1].id, change=afresh) as session:
            assert (await session.ask("And by month?", returns=list)).answer == answer  # clock and chance included
    assert bench.model.calls[-1].messages == live


async def test_chains_of_continued_runs_replay_with_no_model(bench: Bench) -> None:
    third = [block("answer(total + 1)")]
    async with bench.engine(FIRST) as engine:
        run = await engine.ask("What is the sum?", "1\n2\n3", returns=int)
    async with bench.engine(SECOND) as engine:
        run = await engine.ask("And by month?", continue_from=run.id, returns=list)
    async with bench.engine(third) as engine:
        run = await engine.ask("One more?", continue_from="last", returns=int)
    async with bench.engine() as engine:
        replayed = await engine.replay(run.id)
    assert replayed.same
    assert replayed.run.answer == 7
    assert not bench.model.calls


async def test_rebuilding_tells_no_events_of_the_earlier_run(bench: Bench) -> None:
    async with bench.engine(FIRST) as engine:
        first = await engine.ask("What is the sum?", "1\n2\n3", returns=int)
    async with bench.engine(SECOND) as engine:
        codes = [
            event.code
            async for event in engine.stream("And by month?", continue_from=first.id, returns=list)
            if isinstance(event, CellStarted)
        ]
    assert len(codes) == 1


async def test_an_interrupted_continuation_can_be_resumed(bench: Bench) -> None:
    async with bench.engine(FIRST) as engine:
        first = await engine.ask("What is the sum?", "1\n2\n3", returns=int)
    half = [block("kept = total * 2")]
    async with bench.engine(half) as engine:
        with pytest.raises(RunFailed):
            await engine.ask("Twice?", continue_from=first.id, returns=int)
    async with bench.engine([block("answer(kept)")]) as engine:
        assert (await engine.resume("last")).answer == 12
    async with bench.engine() as engine:
        assert (await engine.replay("last")).same


async def test_a_session_goes_on_after_a_question_that_failed(bench: Bench) -> None:
    scripts = [FIRST, [block("x = 1")], [block("answer([x, total])")]]
    async with bench.engine(*scripts) as engine, engine.session("1\n2\n3") as session:
        await session.ask("What is the sum?", returns=int)
        with pytest.raises(BudgetExceeded):
            await session.ask("Too much?", budget=Budget(max_calls=1))
        third = await session.ask("And now?", returns=list)
    assert third.answer == [1, 6]
    roles = [message.role for message in bench.model.calls[-1].messages]
    assert all(before != after for before, after in pairwise(roles))
    async with bench.engine() as engine:
        assert (await engine.replay("last")).same


async def test_a_run_that_has_not_ended_cannot_be_continued(bench: Bench) -> None:
    async with bench.engine([]) as engine:
        with pytest.raises(RunFailed):
            await engine.ask("What is the sum?", "1", returns=int)
        store = await engine.store()
        record = (await store.runs())[0]
        await store.end_run(record.id, "interrupted", {})
        with pytest.raises(UsageError, match=f"habit resume {record.id}"):
            await engine.ask("And?", continue_from="last")


async def test_an_input_that_has_changed_is_refused(bench: Bench) -> None:
    file = bench.folder / "numbers.txt"
    file.write_text("1\n2\n3")
    async with bench.engine(FIRST) as engine:
        await engine.ask("What is the sum?", paths=[file], returns=int)
    file.write_text("4\n5")
    async with bench.engine(SECOND) as engine:
        with pytest.raises(UsageError, match=r"numbers\.txt"):
            await engine.ask("And?", continue_from="last", returns=list)


async def test_other_settings_change_only_what_follows(bench: Bench) -> None:
    async with bench.engine(FIRST, max_cells=9) as engine:
        await engine.ask("What is the sum?", "1\n2\n3", returns=int)
    async with bench.engine(SECOND) as engine, engine.session(continue_from="last", change={"max_cells": 5}) as session:
        await session.ask("And by month?", returns=list)
        record = (await (await engine.store()).runs())[0]
    assert record.settings["max_cells"] == 5


async def test_a_recording_that_does_not_fit_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench.engine(FIRST) as engine:
        await engine.ask("What is the sum?", "1\n2\n3", returns=int)
    monkeypatch.setattr("habit.schedulers.prompts.FRONTIER.__class__.render", lambda *a, **k: "other words")
    async with bench.engine(SECOND) as engine:
        with pytest.raises(ReplayMismatch):
            await engine.ask("And?", continue_from="last")
    assert isinstance(await _runs(bench), list)


async def _runs(bench: Bench) -> list[Any]:
    store = await SqliteStore.open(str(bench.folder / "journal.db"))
    try:
        return await store.runs()
    finally:
        await store.aclose()


async def test_the_questions_of_a_session_share_its_budget(bench: Bench) -> None:
    scripts = [FIRST, [block("answer(1)")], [block("answer(2)")]]
    async with bench.engine(*scripts) as engine, engine.session("1\n2\n3", budget=Budget(max_calls=4)) as session:
        await session.ask("What is the sum?", returns=int)  # three calls
        with pytest.raises(BudgetExceeded, match="session"):
            await session.ask("And?")
        with pytest.raises(BudgetExceeded, match="session"):
            await session.ask("And again?")
    async with bench.engine(FIRST, no_cache=True) as engine:
        assert (await engine.ask("What is the sum?", "1\n2\n3", returns=int)).answer == 6


@pytest.mark.parametrize(
    ("context", "way_on"), [(Path("a.csv"), r"paths=\['a\.csv'\]"), (b"text", "decode it"), ({1, 2}, "serializable\\.")]
)
async def test_what_is_no_context_is_told_the_way_on(context: object, way_on: str) -> None:
    with pytest.raises(UsageError, match=way_on):
        await hold(context, (), False, {}, ignore)
