"""The side of Habit: answers the bench's question as often as asked, and says how long it took.

Its defaults hold, but for ``no_cache`` (a repetition must ask the model again) and what a benchmark names.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from habit import Engine, RunError, Settings

QUERY = "BENCH: do as the script says."


async def measure(given: dict[str, Any]) -> dict[str, Any]:
    settings = Settings(
        model=given["model"],
        base_url=given["url"],
        dialect="rlm",
        journal=given["journal"],
        no_cache=True,
        window=128_000,
        **given.get("habit", {}),
    )
    result: dict[str, Any] = {"seconds": [], "began": [], "ended": []}
    async with Engine(settings) as engine:
        if given.get("together"):
            return await together(engine, given["times"])
        for _ in range(given["times"]):
            result["began"].append(time.monotonic())
            context = None if given.get("as_file") else Path(given["context"]).read_text()
            paths = [given["context"]] if given.get("as_file") else []
            started = time.perf_counter()
            stopped: str | None = None
            try:
                run = await engine.ask(QUERY, context, paths=paths)
            except RunError as problem:
                if problem.run is None:
                    raise
                run = problem.run
                stopped = f"{type(problem).__name__}: {problem}"
            result["seconds"].append(time.perf_counter() - started)
            result["ended"].append(time.monotonic())
            result["answer"] = run.answer
            result["calls"] = run.usage.calls
            result["wasted"] = run.usage.wasted_calls
            result["stopped"] = stopped
    return result


async def together(engine: Engine, times: int) -> dict[str, Any]:
    """All runs at once, each with a context of its own."""

    async def ask(number: int) -> str:
        try:
            return str((await engine.ask(QUERY, f"context {number}")).answer)
        except RunError as problem:
            return f"{type(problem).__name__}: {problem}"

    started = time.perf_counter()
    answers = await asyncio.gather(*(ask(number) for number in range(times)))
    return {"seconds": [time.perf_counter() - started], "answers": answers}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(json.loads(sys.argv[1])))))
