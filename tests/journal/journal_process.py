"""A process of its own that writes calls to a journal and prints the number of each once it is acknowledged.

python journal_process.py JOURNAL RUN CALLS: says ``ready``, waits for a line on stdin, then works with 16 tasks.
"""

from __future__ import annotations

import sys
from contextlib import aclosing
from pathlib import Path

import anyio
import anyio.to_thread

sys.path.insert(0, str(Path(__file__).parent))

from journal_samples import a_call, a_run

from habit.journal.sqlite import SqliteStore

TASKS = 16


async def main(journal: str, run_id: str, count: int) -> None:
    print("ready", flush=True)
    await anyio.to_thread.run_sync(sys.stdin.readline)
    async with aclosing(await SqliteStore.open(journal)) as store, store.claim(run_id):
        await store.add_run(a_run(run_id))

        async def work(task: int) -> None:
            for number in range(task, count, TASKS):
                prompt = (("system", "shared by all"), ("user", f"item {number} " * 50))
                await store.add_call(a_call(number, run=run_id, reply=f"{run_id} {number}", prompt=prompt))
                print(number, flush=True)

        async with anyio.create_task_group() as tasks:
            for task in range(TASKS):
                tasks.start_soon(work, task)
        await store.end_run(run_id, "answered", {"answer": count})


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], int(sys.argv[3]))
