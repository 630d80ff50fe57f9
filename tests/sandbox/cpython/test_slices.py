"""A slice that a cell passes on: held once by the host until a session has it, and not by the cell that waits."""

from __future__ import annotations

import os
import random
import resource
from collections.abc import AsyncIterator

import pytest

from habit.contexts import parked as parked_module
from habit.contexts.context import Context
from habit.contexts.parked import SLICE_FROM, Parked, park_slice
from habit.errors import SandboxError
from habit.sandbox.cpython import CPythonSandbox
from habit.sandbox.cpython.lean import fork
from habit.sandbox.session import LlmRequest, SessionSpec
from sandbox.cpython.test_lifecycle import descriptors, eventually
from sandbox.cpython.test_own_pages import MOST_OWN, own_kilobytes
from sandbox.hosts import RecordingHost, value_of

SPEC = SessionSpec("q")
MB = 1_000_000
SLICE = "ein Stück 12345678\n" * (2 * MB // 20)
"""2 MB."""


def sliced(text: str) -> Context:
    return Context("text", park_slice(memoryview(text.encode())))


@pytest.fixture
async def sandbox() -> AsyncIterator[CPythonSandbox]:
    sandbox = CPythonSandbox()
    await sandbox.warm_up()
    yield sandbox
    await sandbox.aclose()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may look at the pages of a locked-down process")
async def test_a_child_takes_its_slice_and_little_more(sandbox: CPythonSandbox) -> None:
    shared = await sandbox.share(sliced(SLICE))
    session = await shared.session(SPEC)
    result = await session.run_cell("print(len(context), context[-3:])", RecordingHost())
    assert result.stdout == f"{len(SLICE)} {SLICE[-3:]}\n"
    # As a str of its own, and one more page for each MiB that is decoded.
    assert own_kilobytes(session.pid) < MOST_OWN + len(SLICE) // 1000 + 200


@pytest.mark.skipif(os.getuid() != 0, reason="only root may look at the pages of a locked-down process")
@pytest.mark.parametrize(
    "asking",
    [
        "recursive_llm('q', context[:16_000_000])",
        "recursive_llm_map('q', [context[:8_000_000], context[8_000_000:16_000_000]])",
        "rlm_query_batched([context[:8_000_000], context[8_000_000:16_000_000]])",
        "rlm_query(context[:16_000_000])",
    ],
)
async def test_a_cell_that_waits_holds_nothing_of_what_it_passed_on(sandbox: CPythonSandbox, asking: str) -> None:
    shared = await sandbox.share(Context.of("x" * (16 * MB)))
    session = await shared.session(SPEC)
    assert (await session.run_cell("len(context)", RecordingHost())).status == "ok"
    before, held = own_kilobytes(session.pid), []

    def look(request: LlmRequest) -> str:
        held.append(own_kilobytes(session.pid) - before)
        return "yes"

    assert (await session.run_cell(asking, RecordingHost(look))).error == ""
    assert max(held) < 4_000, held  # kB, of 16 MB in characters and as many in bytes


async def test_the_host_holds_a_slice_until_its_session_is_over(sandbox: CPythonSandbox) -> None:
    await (await (await sandbox.share(Context.of("small"))).session(SPEC)).aclose()
    await eventually(lambda: not sandbox._dying)
    opened = descriptors()
    context = sliced(SLICE)
    assert isinstance(context.payload, Parked)
    assert descriptors() == opened + 1
    shared = await sandbox.share(context)
    assert context.payload.is_spent
    sessions = [await shared.session(SPEC) for _ in range(2)]  # the second as after a loss, or for a scout
    for session in sessions:
        assert session.description
        assert (await session.run_cell("context", RecordingHost())).stdout.count("ein Stück") > 1000
        await session.aclose()
    await shared.aclose()
    await eventually(lambda: descriptors() == opened)


async def test_a_slice_that_is_passed_on_whole_is_sent_since_a_prompt_may_hold_it(sandbox: CPythonSandbox) -> None:
    host = RecordingHost(lambda request: "yes")
    session = await (await sandbox.share(sliced(SLICE))).session(SPEC)
    assert (await session.run_cell("recursive_llm('q', context)", host)).error == ""
    passed = host.requests[0].context
    assert passed is not None
    assert isinstance(passed.payload, Parked)
    assert not passed.payload.is_spent
    assert value_of(host.requests[0]) == SLICE


def test_a_slice_is_parked_from_a_size_on_where_descriptors_are_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    large, small = memoryview(b"x" * SLICE_FROM), memoryview(b"x" * (SLICE_FROM - 1))
    assert park_slice(small) == bytes(small)
    assert isinstance(park_slice(large), Parked)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (6, 6))  # of which at least three are in use
    assert park_slice(large) == bytes(large)
    monkeypatch.undo()
    monkeypatch.setattr(parked_module, "CAN_PARK", False)
    assert park_slice(large) == bytes(large)


async def test_chance_begins_as_its_seed_says_whether_it_was_prepared_or_not(sandbox: CPythonSandbox) -> None:
    cell = "import numpy, os, random\nprint(random.random(), os.urandom(4).hex(), numpy.random.random())"
    printed = {}
    for seed in (0, 3, 0, 3):
        session = await (await sandbox.share(Context.of("text"))).session(SessionSpec("q", seed=seed))
        again = (await session.run_cell(cell, RecordingHost())).stdout
        assert printed.setdefault(seed, again) == again
        assert again.split()[0] == str(random.Random(seed).random())
    assert printed[0] != printed[3]


async def test_an_input_that_is_none_is_refused_with_a_way_on(sandbox: CPythonSandbox) -> None:
    with pytest.raises(SandboxError, match=r"can't be decoded .* pass it on as text"):
        await sandbox.share(Context("json", b"[1,"))


def test_a_fork_tells_the_parent_the_number_of_its_child() -> None:
    pid = fork()
    if pid == 0:
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


async def test_a_worker_that_was_forked_plainly_has_a_main_thread_like_any_other(sandbox: CPythonSandbox) -> None:
    cell = """
import threading, logging, concurrent.futures
assert threading.current_thread() is threading.main_thread()
assert threading.main_thread().ident == threading.get_ident()
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    assert list(pool.map(str, range(9))) == [str(n) for n in range(9)]
logging.getLogger("x").warning("heard")
answer("went well")
"""
    session = await (await sandbox.share(Context.of("text"))).session(SPEC)
    result = await session.run_cell(cell, RecordingHost())
    assert result.error == ""
    assert result.answer == "went well"
