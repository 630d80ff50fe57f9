"""Whatever an agent says: its run ends in a known way, keeps to its limits, and replays and resumes exactly."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import anyio
import pytest

from habit import Settings
from habit.calls.budget import Budget
from habit.engine import Engine
from habit.errors import CallFailed, RunError
from habit.events import ChildFinished, ChildStarted
from habit.journal.memory import MemoryStore
from habit.run import Run
from habit.sandbox.cpython import CPythonSandbox
from habit.schedulers.agent import AgentLoop
from habit.schedulers.workbench import Limits
from schedulers.conftest import Bench
from support.scripted import ScriptedModels, ScriptedProvider, use

TEXT = "".join(f"line {n} user=u{n % 3}\n" for n in range(3_000))
MOST_CELLS = 8
ENDINGS = ("answered", "salvaged", "budget", "failed")


PATTERNS = ["u1", "^line 7", "(", "", "[a-z]+=(\\w+)", "nowhere", "$", "x'); answer('owned'); ('"]
SLICES = ["1", "1-2", "3-1", "9", "x"]
NO_CALLS = ["I think so.", "", use("look"), "```json search\n{broken\n```", '{"tool": "count"}', "```json\n"]


def some_call(rng: random.Random) -> str:
    """Something that a model says, sensible or not."""
    page = partial(rng.randint, -2, 6)
    match rng.randrange(8):
        case 0:
            return use("count", pattern=rng.choice(PATTERNS))
        case 1:
            return use("search", pattern=rng.choice(PATTERNS), limit=page(), skip=page())
        case 2:
            return use("read", page=page(), last_page=page())
        case 3:
            return use("peek")
        case 4 | 5:
            return use("recursive_llm", query=rng.choice(["Is it?", "Which?", ""]), slices=rng.sample(SLICES, 2))
        case 6:
            return use("answer", value=rng.choice(["done", 3, None, [1]]))
    return rng.choice(NO_CALLS)


def some_replies(rng: random.Random) -> list[str]:
    """What a model says in a whole run."""
    replies = ["\n\n".join(some_call(rng) for _ in range(rng.randint(1, 3))) for _ in range(rng.randrange(7))]
    return [*replies, use("answer", value="the end")]


async def ended(work: Any) -> Run:
    """The run, however it ended."""
    try:
        run: Run = await work
    except RunError as failure:
        if failure.run is None:
            raise
        return failure.run
    return run


def engine(sandbox: CPythonSandbox, model: ScriptedProvider, store: MemoryStore) -> Engine:
    chosen = Settings(model="scripted", strategy="agent", max_cells=MOST_CELLS, no_cache=True)
    return Engine(chosen, store=store, sandbox=sandbox, models=ScriptedModels(model))


@pytest.mark.parametrize("seed", range(24))
async def test_any_agent_ends_within_its_limits_and_replays(seed: int, sandbox: CPythonSandbox) -> None:
    rng = random.Random(seed)
    model, most = ScriptedProvider(some_replies(rng)), rng.randint(1, 9)
    async with engine(sandbox, model, MemoryStore()) as habits:
        run = await ended(habits.ask("How many?", TEXT, budget=Budget(max_calls=most)))
        assert run.status in ENDINGS
        assert run.cells <= MOST_CELLS
        assert run.answer != "owned"
        assert run.usage.calls == len(model.calls) <= most
        replay = await habits.replay(run.id)
        assert replay.same
        assert (replay.run.answer, replay.run.cells) == (run.answer, run.cells)


@pytest.mark.parametrize("seed", range(24))
async def test_any_agent_that_broke_off_is_resumed_to_the_same_end(seed: int, sandbox: CPythonSandbox) -> None:
    rng = random.Random(seed)
    replies, at = some_replies(rng), rng.randrange(9)
    whole = ScriptedProvider([*replies])
    async with engine(sandbox, whole, MemoryStore()) as habits:
        expected = await ended(habits.ask("How many?", TEXT))

    class Breaks(ScriptedProvider):
        async def request(self, call: Any) -> Any:
            if len(self.calls) == at:
                raise CallFailed("down", reason="rejected")
            return await super().request(call)

    first, store = Breaks([*replies]), MemoryStore()
    async with engine(sandbox, first, store) as habits:
        run = await ended(habits.ask("How many?", TEXT))
        assert (run.status == "failed") == (at < len(whole.calls) or expected.status == "failed")
    second = ScriptedProvider(first.script)
    if at < len(whole.calls):
        async with engine(sandbox, second, store) as habits:
            run = await ended(habits.resume(run.id))
            assert (await habits.replay(run.id)).same
    assert (run.status, run.answer, run.cells) == (expected.status, expected.answer, expected.cells)
    assert len(first.calls) + len(second.calls) == len(whole.calls)  # nothing is paid for twice


class Tree(ScriptedProvider):
    """Sessions ask for three children each, all at once, down to the lowest level, where they answer at once."""

    def __init__(self) -> None:
        super().__init__(window=9_000)

    async def request(self, call: Any) -> Any:
        if call.session.count(".") == 2 or len(call.messages) > 2:
            self.script = [use("answer", value="mine")]
        else:
            each = 26 * 3 if call.session == "0" else 26
            slices = [f"{n * each + 1}-{n * each + each}" for n in range(3)]
            self.script = [use("recursive_llm", query="?", slices=slices)]
        return await super().request(call)


@pytest.mark.parametrize("most", [1, 2])
async def test_a_tree_of_agents_wider_than_its_levels_ends(bench: Bench, most: int) -> None:
    alive, peaks = {1: 0, 2: 0}, {1: 0, 2: 0}

    def watch(event: Any) -> None:
        if isinstance(event, (ChildStarted, ChildFinished)):
            alive[event.depth] += 1 if isinstance(event, ChildStarted) else -1
            peaks[event.depth] = max(peaks[event.depth], alive[event.depth])

    text = "word of the text\n" * (3_000 // 17 * 9 * 26)
    model = Tree()
    with anyio.fail_after(120):
        limits = Limits(max_depth=2, max_children=most)
        outcome = await bench.ask(model, text, limits=limits, on_event=watch, kind=AgentLoop)
    assert outcome.answer == "mine"
    assert alive == {1: 0, 2: 0}
    assert peaks == {1: most, 2: most}
    assert len({call.session for call in model.calls}) == 1 + 3 + 9
