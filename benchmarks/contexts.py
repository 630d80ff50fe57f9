"""What a big input takes: seconds to the first cell, bytes of memory (PSS of all processes) with children alive.

python benchmarks/contexts.py PATH [CHILDREN ...]
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import anyio
from memory import PeakMemory, total

from habit.contexts.context import Context
from habit.contexts.reading import read_context
from habit.events import Event, Notice
from habit.sandbox.cpython import CPythonSandbox
from habit.sandbox.session import LlmRequest, SessionSpec
from habit.tasks import task_group

CELL = "print(type(context).__name__, len(context))"
LOOK = "some = context[1000:2000] if isinstance(context, (str, list)) else sorted(context)[:1000]\nprint(len(some))"
SIZE = """
import sys
def deep(value):
    parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return sys.getsizeof(value) + sum(map(deep, parts))
answer(deep(context))
"""
"""Bytes of the decoded value; reads all of it, so it runs last."""
SLICE = "x" * 2_000_000


class NoHost:
    """The cells ask for nothing."""

    async def recursive_llm(self, request: LlmRequest) -> Any:
        raise NotImplementedError

    async def recursive_llm_map(self, requests: Sequence[LlmRequest]) -> Sequence[Any]:
        raise NotImplementedError

    def check_answer(self, value: Any) -> None:
        """Any will do."""


def tell(event: Event) -> None:
    if isinstance(event, Notice):
        print("  ", event.text)


def memory(what: str) -> None:
    print(f"{total(os.getpid()) / 1e6:9,.0f} MB  {what}")


async def main(path: str, counts: Sequence[int]) -> None:
    started = time.perf_counter()

    def clock(what: str) -> None:
        print(f"{time.perf_counter() - started:9.2f} s   {what}")

    sandbox = CPythonSandbox()
    memory("at first")
    with PeakMemory(os.getpid()) as peak:
        started = time.perf_counter()
        async with task_group() as group:
            group.start_soon(sandbox.warm_up)
            context = await read_context([path], tell=tell)
            clock("loaded")
        clock("zygote ready as well")
        shared = await sandbox.share(context)
        clock("shared")
        first = await shared.session(SessionSpec("?"))
        print("         ", (await first.run_cell(CELL, NoHost())).stdout.strip(), f"({len(first.description)} told)")
        clock("first cell")
        _ = context.digest
        clock("digest")
    print(f"{peak.peak / 1e6:9,.0f} MB  at most so far")
    memory("with one session")
    for whole in (True, False):
        opened, seconds = [], []
        for number in range(max(counts)):
            begun = time.perf_counter()
            inner = shared if whole else await sandbox.share(Context.of(SLICE))
            session = await inner.session(SessionSpec("?"))
            result = await session.run_cell(LOOK, NoHost())
            assert result.status == "ok", result.error
            seconds.append(time.perf_counter() - begun)
            opened.append((inner, session))
            if number + 1 in counts:
                what = "of the whole" if whole else "of a slice of 2 MB"
                memory(f"with {number + 1} more sessions {what}, {1e3 * sorted(seconds)[number // 2]:.0f} ms for each")
        for inner, session in opened:
            await session.aclose()
            if not whole:
                await inner.aclose()
    result = await first.run_cell(SIZE, NoHost())
    print(f"{(result.answer or 0) / 1e6:9,.0f} MB  is the size of the decoded value {result.error}")
    await sandbox.aclose()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], [int(count) for count in sys.argv[2:]] or [1, 10, 50])
