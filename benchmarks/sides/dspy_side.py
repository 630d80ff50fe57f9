"""The side of ``dspy.RLM``: answers the bench's question as often as asked, and says how long it took.

Runs in an environment of its own, with that package and without Habit. Its defaults hold (Pyodide in Deno, 8 calls of a
batch at once, no cost cap), but for ``max_llm_calls``, whose 50 would refuse the batches, and the cache of replies (a
repetition must ask the model again). ``local`` has it run its cells in a plain process instead.

``{"prepare": true}`` loads Pyodide into this environment from npm, once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

QUERY = "BENCH: do as the script says."
DENO = Path(sys.prefix) / "deno"
"""Deno's own folder: Pyodide lies in it."""
MAPPED = DENO / "without-deno-land"
"""There when one import of dspy's runner had to be replaced."""
REPLACED = f"--import-map={Path(__file__).with_name('without_deno_land.json')}"


def prepare() -> None:
    """Load what the default interpreter imports; where deno.land is out of reach, all but one function of it."""
    from deno import find_deno_bin
    from dspy.primitives import python_interpreter

    runner = Path(python_interpreter.__file__).with_name("runner.js")
    as_it_runs = [find_deno_bin(), "cache", "--no-config", "--no-lock", "--node-modules-dir=false"]
    for more in ([], [REPLACED]):
        done = subprocess.run([*as_it_runs, *more, str(runner)], capture_output=True, text=True)
        if not done.returncode:
            break
    else:
        raise SystemExit(done.stderr.strip())
    if more:
        MAPPED.touch()


def interpreter(local: bool) -> Any:
    """A fresh one for a run."""
    import dspy
    from dspy.primitives.local_interpreter import LocalInterpreter

    if local:
        return LocalInterpreter()
    if not MAPPED.exists():
        return dspy.PythonInterpreter()
    program, run, *rest = dspy.PythonInterpreter().deno_command
    return dspy.PythonInterpreter(deno_command=[program, run, REPLACED, *rest])


def measure(given: dict[str, Any]) -> dict[str, Any]:
    import dspy

    lm = dspy.LM(f"openai/{given['model']}", api_base=given["url"], api_key="no-key", cache=False)
    dspy.configure(lm=lm)
    result: dict[str, Any] = {"seconds": [], "began": [], "ended": []}
    for _ in range(given["times"]):
        rlm = dspy.RLM(
            "context, query -> answer",
            interpreter_factory=lambda: interpreter(given.get("local", False)),
            **given.get("dspy", {}),
        )
        result["began"].append(time.monotonic())
        context = Path(given["context"]).read_text()
        started = time.perf_counter()
        result["answer"] = rlm(context=context, query=QUERY).answer
        result["seconds"].append(time.perf_counter() - started)
        result["ended"].append(time.monotonic())
    result["stopped"] = None
    return result


def main() -> None:
    given: dict[str, Any] = json.loads(sys.argv[1])
    os.environ["DENO_DIR"] = str(DENO)
    if given.get("prepare"):
        prepare()
        result: dict[str, Any] = {"mapped": MAPPED.exists()}
    else:
        result = measure(given)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
