"""How many sessions fit on this machine: opens COUNT at once, runs a cell in each, and says what each one takes.

python benchmarks/sessions.py 1000
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import anyio

from habit.contexts.context import Context
from habit.sandbox.cpython import CPythonSandbox
from habit.sandbox.session import LlmRequest, SessionSpec

CELL = "mine = context\ncounts = Counter(str(n % 7) for n in range(1000))\nprint(mine)"


class NoHost:
    """The cells ask for nothing."""

    async def recursive_llm(self, request: LlmRequest) -> Any:
        raise NotImplementedError

    async def recursive_llm_map(self, requests: Sequence[LlmRequest]) -> Sequence[Any]:
        raise NotImplementedError

    def check_answer(self, value: Any) -> None:
        raise NotImplementedError


def available() -> int:
    """Bytes of memory that the machine has left."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) * 1024


async def all_at_once(jobs: Sequence[Callable[[], Awaitable[object]]]) -> float:
    """Seconds that these take together."""
    started = time.perf_counter()
    async with anyio.create_task_group() as group:
        for job in jobs:
            group.start_soon(job)
    return time.perf_counter() - started


async def main(count: int) -> None:
    sandbox = CPythonSandbox()
    await sandbox.warm_up()
    opened: list[tuple[str, Any]] = []
    printed: dict[str, str] = {}
    before = available()

    async def open_one(name: str) -> None:
        shared = await sandbox.share(Context.of(name))
        opened.append((name, await shared.session(SessionSpec("?"))))
        await shared.aclose()

    async def run_one(name: str, session: Any) -> None:
        printed[name] = (await session.run_cell(CELL, NoHost())).stdout

    opening = await all_at_once([lambda n=n: open_one(f"session {n}") for n in range(count)])  # type: ignore[misc]
    running = await all_at_once([lambda pair=pair: run_one(*pair) for pair in opened])  # type: ignore[misc]
    taken, descriptors = before - available(), len(os.listdir("/proc/self/fd"))
    closing = await all_at_once([session.aclose for _, session in opened])
    await sandbox.aclose()
    assert printed == {f"session {n}": f"session {n}\n" for n in range(count)}
    print(f"{count:,} sessions alive at once, each with its own output")
    print(f"opened in {opening:.1f} s, a cell in each in {running:.1f} s, closed in {closing:.1f} s")
    print(f"{taken / count / 1e6:.1f} MB of memory and {descriptors / count:.1f} descriptors for each")
    print(f"load average {os.getloadavg()[0]:.0f} on {os.cpu_count()} CPUs")


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
