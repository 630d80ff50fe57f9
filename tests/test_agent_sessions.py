"""Runs of the agent loop beside and after one another: sessions, continued runs, second attempts, many at once."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from habit import BudgetExceeded, CallFailed, ReplayMismatch, RunFailed, Settings
from habit.calls.budget import Budget
from habit.calls.call import Reply
from habit.engine import Engine
from habit.events import CellStarted
from habit.sandbox.cpython import CPythonSandbox
from support.scripted import ScriptedModels, ScriptedProvider, use

TEXT = "".join(f"line {n} user=u{n % 3}\n" for n in range(3_000))
DOWN = CallFailed("down", reason="rejected")


FIRST = [
    use("count", pattern="user=u1"),
    use("recursive_llm", query="Is it so?", slices=["1", "2"]),
    use("answer", value=1_000),
]
SECOND = [use("count", pattern="user=u2"), use("answer", value=999)]
THIRD = [use("answer", value="the first")]


class Bench:
    def __init__(self, folder: Path, sandbox: CPythonSandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox

    def engine(self, *scripts: list[Any], model: ScriptedProvider | None = None, **settings: Any) -> Engine:
        self.model = model or ScriptedProvider([reply for script in scripts for reply in script])
        usual: dict[str, Any] = {"model": "scripted", "strategy": "agent", "journal": str(self.folder / "journal.db")}
        chosen = Settings(**{**usual, **settings})
        return Engine(chosen, sandbox=self.sandbox, models=ScriptedModels(self.model))


@pytest.fixture
def bench(tmp_path: Path, sandbox: CPythonSandbox) -> Bench:
    return Bench(tmp_path, sandbox)


async def test_a_run_is_continued_in_another_process_and_the_chain_replays(bench: Bench) -> None:
    async with bench.engine(FIRST) as engine:
        first = await engine.ask("How many of u1?", TEXT, returns=int)
    async with bench.engine(SECOND) as engine:
        second = await engine.ask("And of u2?", continue_from=first.id, returns=int)
        assert (second.answer, second.strategy, second.usage.calls) == (999, "agent", 2)
    assert "The answer was given: 1000" in bench.model.calls[0].messages[-1].content
    async with bench.engine(THIRD) as engine:
        third = await engine.ask("Of whom are there more?", continue_from="last")
    async with bench.engine() as engine:
        replay = await engine.replay(third.id)
    assert (replay.same, replay.run.answer, bench.model.calls) == (True, "the first", [])


async def test_a_live_and_a_rebuilt_session_say_the_same_to_the_model(bench: Bench) -> None:
    async with bench.engine(FIRST, SECOND) as engine, engine.session(TEXT) as session:
        first = await session.ask("How many of u1?", returns=int)
        await session.ask("And of u2?", returns=int)
    live = bench.model.calls[-1].messages
    afresh = {"no_cache": True}
    async with bench.engine(SECOND) as engine, engine.session(continue_from=first.id, change=afresh) as session:
        assert (await session.ask("And of u2?", returns=int)).answer == 999
    assert bench.model.calls[-1].messages == live


async def test_a_session_goes_on_after_a_question_that_was_stopped(bench: Bench) -> None:
    async with bench.engine(FIRST, ["no use"], SECOND) as engine, engine.session(TEXT) as session:
        await session.ask("How many of u1?", returns=int)
        with pytest.raises(BudgetExceeded):
            await session.ask("Too much?", returns=int, budget=Budget(max_calls=1))
        third = await session.ask("And of u2?", returns=int)
    assert third.answer == 999
    roles = [message.role for message in bench.model.calls[-1].messages]
    assert all(before != after for before, after in pairwise(roles))
    async with bench.engine() as engine:
        assert (await engine.replay("last")).same


async def test_an_interrupted_continuation_can_be_resumed(bench: Bench) -> None:
    async with bench.engine(FIRST) as engine:
        first = await engine.ask("How many of u1?", TEXT, returns=int)
    async with bench.engine([SECOND[0], DOWN]) as engine:
        with pytest.raises(RunFailed):
            await engine.ask("And of u2?", continue_from=first.id, returns=int)
    async with bench.engine(SECOND[1:]) as engine:
        assert (await engine.resume("last")).answer == 999
        assert (await engine.replay("last")).same


async def test_asking_again_after_a_failure_is_a_fresh_attempt_that_pays_no_leaf_call_twice(bench: Bench) -> None:
    async with bench.engine(FIRST[:2], [DOWN], FIRST) as engine:
        with pytest.raises(RunFailed):
            await engine.ask("How many of u1?", TEXT, returns=int)
        run = await engine.ask("How many of u1?", TEXT, returns=int)
    assert (run.answer, run.usage.root.calls, run.usage.leaf.calls, run.usage.cached_calls) == (1_000, 3, 0, 2)


async def test_a_resumed_run_that_is_stopped_again_can_be_resumed_again(bench: Bench) -> None:
    async with bench.engine([FIRST[0], DOWN]) as engine:
        with pytest.raises(RunFailed):
            await engine.ask("How many of u1?", TEXT, returns=int)
    reached = anyio.Event()

    class Stuck(ScriptedProvider):
        async def request(self, call: Any) -> Any:
            if call.role == "leaf":
                reached.set()
                await anyio.sleep_forever()
            return await super().request(call)

    async with bench.engine(model=Stuck(FIRST[1:2])) as engine, anyio.create_task_group() as group:
        group.start_soon(engine.resume, "last")
        with anyio.fail_after(30):
            await reached.wait()
        group.cancel_scope.cancel()
    async with bench.engine(FIRST[2:]) as engine:
        assert (await (await engine.store()).run("last")).status == "interrupted"
        run = await engine.resume("last")
        assert (run.answer, run.usage.root.calls, run.usage.leaf.calls) == (1_000, 3, 2)
        assert len(bench.model.root_calls) == 1
        assert (await engine.replay("last")).same


@pytest.mark.parametrize("what", ["prompts", "tools"])
async def test_a_replay_with_other_prompts_or_tools_is_reported(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    async with bench.engine(FIRST) as engine:
        await engine.ask("How many of u1?", TEXT, returns=int)
        if what == "prompts":
            monkeypatch.setattr("habit.schedulers.prompts.FRONTIER.__class__.render", lambda *a, **k: "other words")
        else:
            from habit.schedulers.toolbox import prelude

            other = "\ndef count(pattern, ignore_case=False):\n    print('none')\n"
            monkeypatch.setattr("habit.schedulers.agent.prelude", lambda chars: prelude(chars) + other)
        with pytest.raises(ReplayMismatch):
            await engine.replay("last")


async def test_many_runs_at_once_keep_apart(bench: Bench) -> None:
    class Echo(ScriptedProvider):
        """Counts, and answers with what it was told; whoever asks."""

        async def request(self, call: Any) -> Reply:
            await anyio.lowlevel.checkpoint()
            told = call.messages[-1].content
            counted = "matches on" in told
            return Reply(use("answer", value=told.split(" match")[0]) if counted else use("count", pattern="x"), 1, 1)

    answers: dict[int, Any] = {}
    async with bench.engine(model=Echo()) as engine, anyio.create_task_group() as group:

        async def one(number: int) -> None:
            answers[number] = (await engine.ask(f"q{number}", "x\n" * number)).answer

        for number in range(1, 21):
            group.start_soon(one, number)
    assert answers == {number: f"{number}" for number in range(1, 21)}


async def test_its_steps_are_streamed_with_the_tools_that_were_called(bench: Bench) -> None:
    async with bench.engine(FIRST) as engine:
        cells = [
            event async for event in engine.stream("How many?", TEXT, returns=int) if isinstance(event, CellStarted)
        ]
    assert [(cell.index, cell.tool) for cell in cells] == [(1, "count"), (2, "recursive_llm"), (3, "answer")]
