"""What child runs take that are all at work at once: bytes of memory (PSS) for each, by the process that holds them.

python benchmarks/children.py CONTEXT_MB SLICE_BYTES CHILDREN ...
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

import anyio
from memory import bytes_of, tree

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from habit.calls.call import Call, Reply  # noqa: E402
from habit.config import Settings  # noqa: E402
from habit.engine import Engine  # noqa: E402
from support.scripted import ScriptedModels, ScriptedProvider, block  # noqa: E402

LINE = "2026-11-22T10:00:00 INFO a request took 90 ms\n"
CHILD = block("lines = context.splitlines()\nreply = recursive_llm('Is it?', context[:1000])\nanswer(reply)")


def held() -> Counter[str]:
    """Bytes that this process and those below it hold now, by what they are."""
    sizes: Counter[str] = Counter()
    base, *_ = below = tree(os.getpid())
    for pid in below:
        sizes["host" if pid == base else "sandbox"] += bytes_of(pid)
    for descriptor in os.listdir("/proc/self/fd"):
        if os.readlink(f"/proc/self/fd/{descriptor}").startswith("/memfd:"):
            sizes["files in memory"] += os.stat(f"/proc/self/fd/{descriptor}").st_blocks * 512
    return sizes


class Blocked(ScriptedProvider):
    """Each child's only leaf call waits until all of them have made theirs; then it is looked at what they hold."""

    concurrency = 1000

    def __init__(self, given: str, children: int) -> None:
        super().__init__(window=200)
        self.given, self.children = given, children
        self.before, self.then = Counter[str](), Counter[str]()
        self.waiting = 0
        self.all_wait = anyio.Event()

    async def request(self, call: Call) -> Reply:
        if call.role == "leaf":
            self.waiting += 1
            if self.waiting == self.children:
                self.then = held()
                self.all_wait.set()
            await self.all_wait.wait()
            text = "yes"
        elif call.session == "0":
            self.before = held()
            text = block(f"{self.given}\nanswer(len(recursive_llm_map('Is it?', slices)))")
        else:
            text = CHILD
        return Reply(text, 1, 1)
