"""Speculation changes no answer: random programs, with and without it, over the same oracle, in both sandboxes."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from habit.calls.call import Call, Reply
from habit.calls.kernel import Kernel
from habit.calls.returns import Returns
from habit.calls.usage import Usage
from habit.contexts.context import Context
from habit.errors import CallFailed, HabitError
from habit.journal.memory import MemoryStore
from habit.journal.records import CallRecord, RunRecord
from habit.journal.replay import Recording
from habit.sandbox.session import Sandbox
from habit.schedulers.prompts import FRONTIER
from habit.schedulers.rlm import RLM
from habit.schedulers.scheduler import Task
from sandbox.backends import BACKENDS
from schedulers.programs import CHILD, Programs, delay, oracle
from support.scripted import ScriptedProvider, block

PROGRAMS = int(os.environ.get("HABIT_SPECULATED_PROGRAMS", "60"))
"""Programs for each sandbox."""
FIRST = int(os.environ.get("HABIT_SPECULATED_FROM", "0"))
AT_ONCE = 6
WORDS = "alpha beta gamma delta alpha beta eps zeta eta theta"


@pytest.fixture(scope="module", params=list(BACKENDS))
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    sandbox = BACKENDS[request.param]()
    yield sandbox
    await sandbox.aclose()


class Oracle(ScriptedProvider):
    """Root calls get the program's cells; leaf calls what the oracle says, after a while."""

    def __init__(self, cells: list[str], seed: int) -> None:
        super().__init__()
        self.cells = cells
        self.seed = seed

    async def request(self, call: Call) -> Reply:
        self.calls.append(call)
        if call.role == "root":
            code = CHILD if call.session != "0" else self.cells[call.cell - 1]
            return Reply(block(code), 1, 1)
        prompt = call.messages[-1].content
        await anyio.sleep(delay(prompt))
        text = self.reply_to(prompt)
        if text is None:
            raise CallFailed("the oracle is silent", reason="rejected")
        return Reply(text, 1, 1)

    def reply_to(self, prompt: str) -> str | None:
        return oracle(prompt, self.seed)


@dataclass
class Seen:
    """What a run shows to the world."""

    answer: Any
    cells: list[tuple[Any, ...]]
    consumed: dict[tuple[str, int], tuple[str | None, str]]
    usage: Usage
    calls: list[CallRecord]


async def run(
    sandbox: Sandbox,
    model: ScriptedProvider,
    speculate: int,
    recording: Recording | None = None,
    *,
    replay: bool = False,
) -> Seen:
    store = MemoryStore()
    await store.add_run(RunRecord("run", "q", 0.0, {}, {}))
    kernel = Kernel(model, model, store=store, run_id="run", use_cache=False, recording=recording, replay=replay)
    rlm = RLM(kernel, sandbox, store, FRONTIER, run_id="run", speculate=speculate)
    async with kernel.running():
        try:
            answer = (await rlm.run(Task("q", Context.of(WORDS), Returns.from_type(str)))).answer
        except HabitError as error:
            answer = repr(error)
    calls = await store.calls("run")
    cells = [(c.session, c.index, c.code, c.status, c.stdout, c.error) for c in await store.cells("run")]
    consumed = {(c.key, c.occurrence): (c.reply, c.error) for c in calls if not c.unasked}
    return Seen(answer, sorted(cells), consumed, kernel.usage, calls)


async def test_speculation_changes_nothing_but_time(sandbox: Sandbox) -> None:
    seeds = iter(range(FIRST, FIRST + PROGRAMS))
    ahead = wasted = 0

    async def work() -> None:
        nonlocal ahead, wasted
        for seed in seeds:
            cells = Programs(seed, full=sandbox.name == "cpython").cells()
            told = f"program {seed} in {sandbox.name}:\n" + "\n---\n".join(cells)
            plain = await run(sandbox, Oracle(cells, seed), 0)
            model = Oracle(cells, seed)
            window = (1, 4, 32)[seed % 3]
            seen = await run(sandbox, model, window)
            assert seen.answer == plain.answer, told
            assert seen.cells == plain.cells, told
            assert seen.consumed == plain.consumed, told
            assert len(model.calls) == seen.usage.calls == plain.usage.calls + seen.usage.wasted_calls, told
            ahead, wasted = ahead + seen.usage.speculated_calls, wasted + seen.usage.wasted_calls
            if seed % 4 == 0:
                recording = Recording.for_replay(seen.calls)
                again = await run(sandbox, ScriptedProvider(), window, recording, replay=True)
                assert (again.answer, again.cells, recording.unused()) == (seen.answer, seen.cells, []), told

    async with anyio.create_task_group() as group:
        for _ in range(AT_ONCE):
            group.start_soon(work)
    print(f"{sandbox.name}: {PROGRAMS} programs, {ahead} calls ahead, {wasted} of them wasted")
    assert ahead > PROGRAMS
