"""The events of a run as a stream: real sandbox, scripted models."""

from __future__ import annotations

import re

import anyio
import pytest

from habit import RunFailed
from habit.calls.call import Call, Reply
from habit.engine import Engine
from habit.events import CellStarted
from habit.journal.memory import MemoryStore
from habit.journal.store import Store
from habit.run import RunEnded
from habit.sandbox.cpython import CPythonSandbox
from support.scripted import ScriptedModels, ScriptedProvider, block


def engine_with(model: ScriptedProvider, sandbox: CPythonSandbox, store: Store | None = None) -> Engine:
    return Engine(models=ScriptedModels(model), sandbox=sandbox, store=store or MemoryStore())


class Echo(ScriptedProvider):
    """Answers every question with itself."""

    async def request(self, call: Call) -> Reply:
        found = re.search("Question: (.*)", call.messages[1].content)
        assert found
        return Reply(block(f"answer({found[1]!r})"), 1, 1)


async def test_a_stream_gives_every_event_and_ends_with_the_run(sandbox: CPythonSandbox) -> None:
    model = ScriptedProvider([block("print(recursive_llm('what?', 'this'))"), block("answer(1)")])
    async with engine_with(model, sandbox) as engine:
        stream = engine.stream("How many?", "one", returns=int)
        names = [type(event).__name__ async for event in stream]
    assert names[0] == "RunStarted"
    assert names[-1] == "RunEnded"
    assert names.count("CellStarted") == names.count("CellFinished") == 2
    assert names.count("CallStarted") == names.count("CallFinished") == 3
    assert stream.run is not None
    assert stream.run.answer == 1


async def test_a_stream_raises_what_its_run_raised_after_its_last_event(sandbox: CPythonSandbox) -> None:
    events = []
    async with engine_with(ScriptedProvider([]), sandbox) as engine:
        stream = engine.stream("How many?", "one")

        async def listen() -> None:
            async for event in stream:
                events.append(event)

        with pytest.raises(RunFailed):
            await listen()
        assert [event async for event in stream] == []
    last = events[-1]
    assert isinstance(last, RunEnded)
    assert last.run.status == "failed"


async def test_leaving_a_stream_early_stops_its_run_when_the_engine_closes(sandbox: CPythonSandbox) -> None:
    asked = anyio.Event()

    class Silent(ScriptedProvider):
        async def request(self, call: Call) -> Reply:
            asked.set()
            await anyio.sleep_forever()
            raise AssertionError

    store = MemoryStore()
    async with engine_with(Silent(), sandbox, store) as engine:
        async for _ in engine.stream("How many?", "one"):
            break
        await asked.wait()
    assert (await store.runs())[0].status == "interrupted"


async def test_two_streams_of_one_engine_keep_their_events_apart(sandbox: CPythonSandbox) -> None:
    async with engine_with(Echo(), sandbox) as engine:
        seen: dict[str, set[str]] = {"a": set(), "b": set()}

        async def follow(query: str) -> None:
            async for event in engine.stream(query, "text"):
                if isinstance(event, CellStarted):
                    seen[query].add(event.code)

        async with anyio.create_task_group() as group:
            group.start_soon(follow, "a")
            group.start_soon(follow, "b")
    assert seen == {"a": {"answer('a')"}, "b": {"answer('b')"}}
