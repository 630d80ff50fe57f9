"""What child runs take that are at work at once: bytes of memory for each, and of all together.

python benchmarks/children.py CONTEXT_MB SLICE_BYTES CHILDREN ...

Each child's cell waits for a model when memory is looked at: PSS of all processes, and what the host has in anonymous
files. Page tables (VmPTE) come on top, and are told beside.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import anyio
from memory import bytes_of, in_files, page_tables, tree

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from habit.calls.call import Call, Reply  # noqa: E402
from habit.config import Settings  # noqa: E402
from habit.engine import Engine  # noqa: E402
from support.scripted import ScriptedModels, ScriptedProvider, block  # noqa: E402

LINE = "2026-11-22T10:00:00 INFO a request took 90 ms\n"
PARENT = """
step = (len(context) - {size}) // {children}
answer(len(rlm_query_batched([context[n * step : n * step + {size}] for n in range({children})])))
"""
CHILD = "size = len(context)\nreply = recursive_llm('Is it?', context[:100])\nanswer(reply)"


class Held(NamedTuple):
    """Bytes that this process and those below it hold."""

    host: int
    others: int
    tables: int


def held() -> Held:
    host, *others = tree(os.getpid())
    return Held(bytes_of(host) + in_files(host), sum(map(bytes_of, others)), sum(map(page_tables, [host, *others])))


class Blocked(ScriptedProvider):
    """The only leaf call of each child waits until all have made theirs."""

    concurrency = 1000

    def __init__(self, size: int, children: int) -> None:
        super().__init__(window=20_000)
        self.size, self.children, self.waiting = size, children, 0
        self.all_wait = anyio.Event()
        self.before: Held | None = None
        self.then: Held | None = None

    async def request(self, call: Call) -> Reply:
        if call.role == "leaf":
            self.waiting += 1
            if self.waiting == self.children:
                self.then = held()
                self.all_wait.set()
            await self.all_wait.wait()
            return Reply("yes", 1, 1)
        if call.session != "0":
            return Reply(block(CHILD), 1, 1)
        if len(call.messages) == 2:
            return Reply(block("print(len(context))"), 1, 1)
        self.before = held()
        return Reply(block(PARENT.format(size=self.size, children=self.children)), 1, 1)


async def measure(megabytes: int, size: int, children: int) -> None:
    model = Blocked(size, children)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.log"
        path.write_text((LINE * (megabytes * 1_000_000 // len(LINE) + 1))[: megabytes * 1_000_000])
        settings = Settings(model="scripted", journal=f"{folder}/journal.db", no_cache=True, speculate=0)
        async with Engine(settings, models=ScriptedModels(model)) as engine:
            run = await engine.ask("children", paths=[path])
    before, then = model.before, model.then
    assert run.answer == str(children), run
    assert before is not None
    assert then is not None
    host, others, tables = ((now - at_first) / children / 1e6 for now, at_first in zip(then, before, strict=True))
    all_of_it, line = (then.host + then.others) / 1e6, 1.3 * megabytes + 150
    print(
        f"{megabytes:6,} MB, {children:4} children about {size:9,} bytes: {host + others:5.1f} MB each "
        f"({host:.1f} of it in the host; page tables {tables:.2f} more); {all_of_it:5,.0f} MB together, aim {line:,.0f}"
    )


def main(megabytes: str, size: str, *counts: str) -> None:
    if len(counts) == 1:
        anyio.run(measure, int(megabytes), int(size), int(counts[0]))
        return
    for count in counts:  # each in a process that has held nothing before
        subprocess.run([sys.executable, __file__, megabytes, size, count], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
