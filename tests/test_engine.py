"""The engine: runs, their ends, resume and replay, with scripted models and the real journal and sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import BaseModel, field_validator

from habit import BudgetExceeded, CallFailed, ReplayMismatch, RunFailed, Settings, UsageError
from habit.calls.budget import Budget
from habit.calls.call import Call, Reply
from habit.engine import Engine
from habit.errors import HabitError
from habit.events import Event, RunStarted
from habit.journal.sqlite import SqliteStore
from habit.run import RunEnded
from habit.sandbox.cpython import CPythonSandbox
from support.scripted import ScriptedModels, ScriptedProvider, block


class Bench:
    def __init__(self, folder: Path, sandbox: CPythonSandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox

    def engine(self, model: ScriptedProvider, **settings: Any) -> Engine:
        chosen = Settings(model="scripted", journal=str(self.folder / "journal.db"), **settings)
        return Engine(chosen, sandbox=self.sandbox, models=ScriptedModels(model))


@pytest.fixture
def bench(tmp_path: Path, sandbox: CPythonSandbox) -> Bench:
    return Bench(tmp_path, sandbox)


COUNT = [block("print(len(context.split()))"), block("answer(len(context.split()))")]


async def test_a_run_says_how_it_went(bench: Bench) -> None:
    async with bench.engine(ScriptedProvider(COUNT)) as engine:
        run = await engine.ask("How many words?", "a b c", returns=int)
    assert (run.status, run.answer, run.cells, run.depth) == ("answered", 3, 2, 0)
    assert run.usage.calls == run.usage.root.calls == 2
    assert run.peak_prompt_tokens > 0


async def test_a_pydantic_answer_is_an_instance(bench: Bench) -> None:
    class Found(BaseModel):
        word: str
        count: int

    model = ScriptedProvider([block("answer({'word': 'a', 'count': context.count('a')})")])
    async with bench.engine(model) as engine:
        run = await engine.ask("?", "aab", returns=Found)
    assert run.answer == Found(word="a", count=2)
    assert run.to_json()["answer"] == {"word": "a", "count": 2}


async def test_an_empty_question_starts_nothing(bench: Bench) -> None:
    async with bench.engine(ScriptedProvider()) as engine:
        with pytest.raises(UsageError, match="question is empty"):
            await engine.ask("  ", "x")
    assert not (bench.folder / "journal.db").exists()


async def test_a_closed_engine_says_so(bench: Bench) -> None:
    async with bench.engine(ScriptedProvider(COUNT * 2)) as engine:
        await engine.ask("How many words?", "a b c", returns=int)
    with pytest.raises(UsageError, match="This engine is closed"):
        await engine.ask("How many words?", "a b c", returns=int)


async def test_a_failed_run_carries_what_was_reached(bench: Bench) -> None:
    model = ScriptedProvider([block("print(1)"), CallFailed("the key is wrong", reason="rejected")])
    async with bench.engine(model) as engine:
        with pytest.raises(RunFailed, match="key is wrong") as failure:
            await engine.ask("?", "x")
        assert failure.value.run is not None
        assert failure.value.run.status == "failed"
        assert failure.value.run.cells == 1
        assert (await (await engine.store()).run("last")).status == "failed"


async def test_seconds_stop_a_run(bench: Bench) -> None:
    class Silent(ScriptedProvider):
        async def request(self, call: Any) -> Any:
            await anyio.sleep_forever()

    async with bench.engine(Silent()) as engine:
        with pytest.raises(BudgetExceeded) as stop:
            await engine.ask("?", "x", budget=Budget(max_seconds=0.05))
    assert stop.value.limit == "seconds"
    assert stop.value.run is not None
    assert stop.value.run.stopped_by == "seconds"


async def test_asking_again_costs_nothing(bench: Bench) -> None:
    async with bench.engine(ScriptedProvider(COUNT)) as engine:
        first = await engine.ask("How many words?", "a b c", returns=int)
        again = await engine.ask("How many words?", "a b c", returns=int)
    assert again.answer == first.answer
    assert again.usage.calls == 0
    assert again.usage.cached_calls == 2


async def test_no_cache_asks_afresh(bench: Bench) -> None:
    async with bench.engine(ScriptedProvider(COUNT * 2), no_cache=True) as engine:
        await engine.ask("How many words?", "a b c", returns=int)
        assert (await engine.ask("How many words?", "a b c", returns=int)).usage.calls == 2


async def test_asking_again_after_a_failure_is_a_fresh_attempt(bench: Bench) -> None:
    model = ScriptedProvider([block("1/0"), CallFailed("down", reason="rejected"), *COUNT])
    async with bench.engine(model) as engine:
        with pytest.raises(RunFailed):
            await engine.ask("How many words?", "a b c", returns=int)
        assert (await engine.ask("How many words?", "a b c", returns=int)).answer == 3


async def test_a_failed_run_can_be_resumed(bench: Bench) -> None:
    script = [block("n = recursive_llm('?', 'x')"), CallFailed("down", reason="rejected"), block("answer(n)")]
    model = ScriptedProvider(script)
    async with bench.engine(model) as engine:
        with pytest.raises(RunFailed) as failure:
            await engine.ask("?", "x")
        assert failure.value.run is not None
        run = await engine.resume(failure.value.run.id)
    assert run.answer == "yes"
    assert len(model.leaf_calls) == 1
    assert run.usage.leaf.calls == 1


async def test_an_interrupted_run_goes_on_where_it_was(bench: Bench) -> None:
    others_are_answered = anyio.Event()
    open_gate = False

    class Gated(ScriptedProvider):
        replies = 0

        async def request(self, call: Any) -> Any:
            if call.role == "leaf" and "item 7" in call.messages[-1].content and not open_gate:
                await anyio.sleep_forever()
            reply = await super().request(call)
            self.replies += call.role == "leaf"
            if self.replies == 9:
                others_are_answered.set()
            return reply

    model = Gated([block("answer([recursive_llm('?', f'item {n}') for n in range(10)])")], leaf=lambda prompt: "ok")
    async with bench.engine(model) as engine:
        async with anyio.create_task_group() as group:
            group.start_soon(engine.ask, "?", "x")
            await others_are_answered.wait()
            group.cancel_scope.cancel()
        store = await engine.store()
        assert (await store.run("last")).status == "interrupted"
        open_gate = True
        run = await engine.resume("last")
    assert run.status == "answered"
    assert len(model.leaf_calls) == 10
    assert run.usage.leaf.calls == 10


async def test_a_resumed_run_that_is_interrupted_again_can_be_resumed_again(bench: Bench) -> None:
    script = [block("n = 1"), CallFailed("down", reason="rejected")]
    stuck = anyio.Event()

    class Stuck(ScriptedProvider):
        async def request(self, call: Any) -> Any:
            stuck.set()
            await anyio.sleep_forever()

    async with bench.engine(ScriptedProvider(script)) as engine:
        with pytest.raises(RunFailed):
            await engine.ask("?", "x")
    async with bench.engine(Stuck()) as engine, anyio.create_task_group() as group:
        group.start_soon(engine.resume, "last")
        await stuck.wait()
        assert (await (await engine.store()).run("last")).status == "running"
        group.cancel_scope.cancel()
    async with bench.engine(ScriptedProvider([block("answer(str(n))")])) as engine:
        assert (await (await engine.store()).run("last")).status == "interrupted"
        assert (await engine.resume("last")).answer == "1"


async def test_resuming_an_answered_run_gives_it_back(bench: Bench) -> None:
    async with bench.engine(ScriptedProvider(COUNT)) as engine:
        run = await engine.ask("How many words?", "a b c", returns=int)
        assert (await engine.resume(run.id)).answer == 3


async def test_replay_needs_no_model_and_gives_the_same_answer(bench: Bench) -> None:
    script = [block("r = recursive_llm_map('?', list(context))"), block("answer(r)")]
    async with bench.engine(ScriptedProvider(script)) as engine:
        run = await engine.ask("?", "abc", returns=list[str])
    async with bench.engine(ScriptedProvider()) as engine:
        replay = await engine.replay(run.id)
    assert replay.same
    assert replay.run.answer == ["yes"] * 3
    assert replay.run.usage.calls == 0
    assert replay.run.usage.cached_calls == 5


async def test_replay_takes_the_type_with_its_validators(bench: Bench) -> None:
    class Even(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def is_even(cls, n: int) -> int:
            if n % 2:
                raise ValueError("must be even")
            return n

    model = ScriptedProvider([block("answer({'n': 3})"), block("answer({'n': 4})")])
    async with bench.engine(model) as engine:
        assert (await engine.ask("?", "x", returns=Even)).answer == Even(n=4)
        replay = await engine.replay("last", returns=Even)
    assert replay.same
    assert replay.run.answer == Even(n=4)


async def test_no_cache_holds_for_a_resumed_run_too(bench: Bench) -> None:
    script = [block("answer(recursive_llm('?', 'x'))")]
    async with bench.engine(ScriptedProvider(script)) as engine:
        await engine.ask("?", "x")
    down = CallFailed("down", reason="rejected")
    async with bench.engine(ScriptedProvider([down]), no_cache=True) as engine:
        with pytest.raises(RunFailed):
            await engine.ask("?", "x")
    async with bench.engine(ScriptedProvider(script, leaf=lambda _: "fresh")) as engine:
        assert (await engine.resume("last")).answer == "fresh"


async def test_replay_of_a_failed_and_of_a_stopped_run(bench: Bench) -> None:
    for script, budget in (
        ([block("1/0"), CallFailed("down", reason="rejected")], Budget()),
        ([block("for n in range(9): recursive_llm('?', str(n))"), "a guess"], Budget(max_calls=4)),
    ):
        async with bench.engine(ScriptedProvider(script)) as engine:
            with pytest.raises(HabitError):
                await engine.ask("?", "x", budget=budget)
            assert (await engine.replay("last")).same


async def test_a_replay_of_changed_code_is_reported(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench.engine(ScriptedProvider(COUNT)) as engine:
        await engine.ask("How many words?", "a b c", returns=int)
        monkeypatch.setattr("habit.schedulers.prompts.FRONTIER.__class__.render", lambda *a, **k: "other words")
        with pytest.raises(ReplayMismatch):
            await engine.replay("last")


async def test_a_changed_file_is_not_resumed(bench: Bench) -> None:
    path = bench.folder / "input.txt"
    path.write_text("a b c")
    model = ScriptedProvider([block("1/0"), CallFailed("down", reason="rejected")])
    async with bench.engine(model) as engine:
        with pytest.raises(RunFailed):
            await engine.ask("?", paths=[path])
        path.write_text("other")
        with pytest.raises(UsageError, match=r"input\.txt"):
            await engine.resume("last")


async def test_without_a_journal_nothing_is_written(bench: Bench) -> None:
    async with bench.engine(ScriptedProvider(COUNT), no_journal=True) as engine:
        assert (await engine.ask("How many words?", "a b c", returns=int)).answer == 3
    assert list(bench.folder.iterdir()) == []


async def test_many_runs_at_once_keep_apart(bench: Bench) -> None:
    async with (
        bench.engine(ScriptedProvider([block("print(query)\nanswer(query + context)")] * 20)) as engine,
        anyio.create_task_group() as group,
    ):
        answers: dict[int, Any] = {}

        async def one(number: int) -> None:
            answers[number] = (await engine.ask(f"q{number}", f"c{number}")).answer

        for number in range(20):
            group.start_soon(one, number)
    assert answers == {number: f"q{number}c{number}" for number in range(20)}


async def test_keys_never_reach_the_journal(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    model = ScriptedProvider([block("import os\nprint(dict(os.environ))"), block("answer('x')")])
    async with bench.engine(model) as engine:
        await engine.ask("?", "x")
        store = await engine.store()
        assert isinstance(store, SqliteStore)
    for path in bench.folder.rglob("*"):
        if path.is_file():
            assert b"sk-very-secret" not in path.read_bytes()


class InStep(ScriptedProvider):
    """Replies when so many requests are under way."""

    def __init__(self, script: list[str], together: int) -> None:
        super().__init__(script)
        self.together = together
        self.waiting: list[anyio.Event] = []

    async def request(self, call: Call) -> Reply:
        self.waiting.append(mine := anyio.Event())
        if len(self.waiting) == self.together:
            for event in self.waiting:
                event.set()
            self.waiting = []
        await mine.wait()
        return await super().request(call)


@pytest.mark.parametrize("places", [1, 2])
async def test_runs_wait_for_their_turn_where_memory_is_short(bench: Bench, places: int) -> None:
    live = most = 0

    def count(event: Event) -> None:
        nonlocal live, most
        live += isinstance(event, RunStarted) - isinstance(event, RunEnded)
        most = max(most, live)

    answers = []
    model = InStep([block("answer('done')")] * 4, places)
    async with bench.engine(model, sessions=places) as engine, anyio.create_task_group() as group:

        async def ask(number: int) -> None:
            run = await engine.ask(f"question {number}", f"text {number}", on_event=count)
            answers.append(run.answer)

        for number in range(4):
            group.start_soon(ask, number)
    assert answers == ["done"] * 4
    assert most == places


async def test_neither_children_nor_open_sessions_wait_for_a_place(bench: Bench) -> None:
    class OneWaits(ScriptedProvider):
        """The run about "c" has the only place until both sessions were answered."""

        answered = anyio.Event()

        async def request(self, call: Call) -> Reply:
            if "Who waits?" in call.messages[-1].content:
                await self.answered.wait()
            return await super().request(call)

    nested = [block("answer(recursive_llm('long?', 'word ' * 200_000))"), block("answer('the child')")]
    model = OneWaits([block("answer('one')"), block("answer('two')"), *nested])
    async with bench.engine(model, sessions=1) as engine, engine.session("a") as first, engine.session("b") as second:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:

                async def alone() -> None:
                    assert (await engine.ask("Who waits?", "c")).answer == "the child"

                group.start_soon(alone)
                await anyio.wait_all_tasks_blocked()
                assert (await first.ask("?")).answer == "one"
                assert (await second.ask("?")).answer == "two"
                model.answered.set()


@pytest.mark.parametrize("places", [1, 2])
async def test_a_run_in_the_midst_of_another_needs_no_place_of_its_own(bench: Bench, places: int) -> None:
    class AsksItself(ScriptedProvider):
        """Asks the engine whose model it is."""

        async def request(self, call: Call) -> Reply:
            if "outer?" in call.messages[-1].content:
                found.append((await engine.ask("inner?", "text")).answer)
            return await super().request(call)

    found: list[str] = []
    async with bench.engine(AsksItself([block("answer('in')"), block("answer('out')")]), sessions=places) as engine:
        with anyio.fail_after(60):
            assert (await engine.ask("outer?", "text")).answer == "out"
    assert found == ["in"]
