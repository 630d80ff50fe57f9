"""The side of ``rlms``: answers the bench's question as often as asked, and says how long it took.

Runs in an environment of its own, with that package and without Habit. Its defaults hold (environment ``local``, no
log, no limits), but for what a benchmark names: ``max_depth=2`` where children are asked for, and its logger where the
log is measured.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

QUERY = "BENCH: do as the script says."


def main() -> None:
    given: dict[str, Any] = json.loads(sys.argv[1])
    from rlm import RLM
    from rlm.logger import RLMLogger

    options: dict[str, Any] = dict(given.get("rlms", {}))
    if "log" in given:
        options["logger"] = RLMLogger(log_dir=given["log"])
    result: dict[str, Any] = {"seconds": [], "began": [], "ended": []}
    for model in [*given.get("warm", []), *[given["model"]] * given["times"]]:
        engine = RLM(
            backend="openai",
            backend_kwargs={"model_name": model, "base_url": given["url"], "api_key": "no-key"},
            **options,
        )
        result["began"].append(time.monotonic())
        context = Path(given["context"]).read_text()
        started = time.perf_counter()
        stopped: str | None = None
        try:
            completion = engine.completion(context, root_prompt=QUERY)
            result["answer"] = completion.response
            result["calls"] = sum(
                summary.total_calls for summary in completion.usage_summary.model_usage_summaries.values()
            )
        except Exception as problem:  # noqa: BLE001 - a limit that was reached; which one is told
            stopped = f"{type(problem).__name__}: {problem}"
        result["seconds"].append(time.perf_counter() - started)
        result["ended"].append(time.monotonic())
        result["stopped"] = stopped
        with contextlib.suppress(AttributeError):
            engine.close()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
