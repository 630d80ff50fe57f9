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

QUERY = "BENCH: do as the script says."


async def measure(given: dict[str, Any]) -> dict[str, Any]:
    from habit import Engine, RunError, Settings

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


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(json.loads(sys.argv[1])))))
