"""Random programs of store operations do the same to the store in memory and the one in SQLite."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st
from journal_samples import CALL, CELL, a_run, key_of

from habit.errors import HabitError
from habit.journal.memory import MemoryStore
from habit.journal.sqlite import SqliteStore
from habit.journal.store import Store

RUNS = st.sampled_from(["r1", "r2", "r22", "s"])
TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
STATUS = st.sampled_from(["running", "interrupted", "answered", "salvaged", "budget", "failed"])
NAMES = st.sampled_from("ab").map(key_of)
TIMES = st.sampled_from([1.0, 2.0, 3.5])

Step = Callable[[Store], Awaitable[Any]]


def step(method: str, *parts: st.SearchStrategy[Any], **named: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    def build(*arguments: Any, **keywords: Any) -> Step:
        return lambda store: getattr(store, method)(*arguments, **keywords)

    return st.builds(build, *parts, **named)


ADD_RUN = step("add_run", st.builds(a_run, RUNS, query=TEXT, status=STATUS, started=TIMES))
CELLS = st.builds(
    lambda **changes: replace(CELL, **changes),
    run=RUNS,
    session=st.sampled_from(["0", "0.1"]),
    index=st.integers(1, 2),
    stdout=TEXT,
    started=TIMES,
)
CALLS = st.builds(
    lambda **changes: replace(CALL, **changes),
    run=RUNS,
    key=NAMES,
    occurrence=st.integers(0, 1),
    role=st.sampled_from(["root", "leaf"]),
    reply=st.none() | TEXT,
    prompt=st.lists(st.tuples(TEXT, TEXT | TEXT.map(lambda text: text * 1000)), max_size=3).map(tuple),
    usd=st.none() | st.floats(0, 1),
)
STEPS = st.one_of(
    ADD_RUN,
    step("add_cell", CELLS),
    step("add_call", CALLS),
    step("end_run", RUNS, STATUS, st.dictionaries(TEXT, TEXT, max_size=2)),
    step("runs", st.integers(0, 3)),
    step("run", RUNS | TEXT | st.sampled_from(["last", "r"])),
)


async def outcome(work: Awaitable[Any]) -> Any:
    try:
        return await work
    except HabitError as error:
        return type(error), str(error)


async def compare(steps: list[Step], claimed: set[str]) -> None:
    with TemporaryDirectory() as folder:
        async with aclosing(await SqliteStore.open(Path(folder) / ".habit" / "journal.db")) as sqlite:
            memory = MemoryStore()
            async with AsyncExitStack() as claims:
                for run_id in sorted(claimed):
                    await claims.enter_async_context(sqlite.claim(run_id))
                    await claims.enter_async_context(memory.claim(run_id))
                for act in steps:
                    assert await outcome(act(sqlite)) == await outcome(act(memory))
                assert await sqlite.runs() == await memory.runs()
                for run in await memory.runs():
                    assert await sqlite.cells(run.id) == await memory.cells(run.id)
                    assert await sqlite.calls(run.id) == await memory.calls(run.id)
                for key in [key_of("a"), key_of("b")]:
                    for role in ["root", "leaf"]:
                        one = await sqlite.remember(key, 0, role=role)
                        other = await memory.remember(key, 0, role=role)
                        assert (one is None) == (other is None)  # which of several is not promised


@settings(max_examples=60, deadline=None)
@given(st.lists(ADD_RUN, max_size=3), st.lists(STEPS, max_size=25), st.sets(RUNS))
def test_both_stores_do_the_same(runs: list[Step], steps: list[Step], claimed: set[str]) -> None:
    anyio.run(compare, runs + steps, claimed)
