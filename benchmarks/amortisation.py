"""What a library saves: the same stream of questions with it and without, as figures and as a plot in docs/.

    python benchmarks/amortisation.py [--questions 240] [--seed 0] [--latency 0.0] [--shadow 0.05]

Counted is everything that a question leads to: learning (which asks no model for words), tests, shadow runs, repairs
and their trials. A scripted model stands in for a real one (see habit.bench.oracle), so that tokens and calls are
exact: what is measured is the scheduler, not how good a model is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
from collections import defaultdict
from itertools import accumulate
from pathlib import Path
from typing import Any

from habit.bench.plots import plot_lines
from habit.bench.stream import Step, make_stream, run_stream

ROOT = Path(__file__).resolve().parent.parent


async def measure(questions: int, seed: int, latency: float, shadow: float, *, library: bool) -> list[Step]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            HOME=folder,
            **{f"GIT_{role}_{part}": "bench" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")},
        )
        stream = make_stream(questions, seed)
        return [
            step async for step in run_stream(stream, Path(folder), library=library, shadow=shadow, latency=latency)
        ]


def summary(with_library: list[Step], without: list[Step]) -> dict[str, Any]:
    families: dict[str, dict[str, Any]] = {}
    for name in sorted({step.family for step in without}):
        mine = [step for step in with_library if step.family == name]
        plain = [step for step in without if step.family == name]
        families[name] = {
            "questions": len(mine),
            "hits": sum(step.answered_by != "rlm" for step in mine),
            "right": sum(step.right for step in mine),
            "break_even_at_use": break_even(mine, plain),
            "tokens": sum(step.tokens for step in mine),
            "tokens_without": sum(step.tokens for step in plain),
        }
    hits = [step for step in with_library if step.answered_by != "rlm"]
    return {
        "questions": len(without),
        "right_with": sum(step.right for step in with_library),
        "right_without": sum(step.right for step in without),
        "hits": len(hits),
        "root_tokens_on_hits": sum(step.root_tokens for step in hits),
        "tokens_with": sum(step.tokens for step in with_library),
        "tokens_without": sum(step.tokens for step in without),
        "seconds_with": round(sum(step.seconds + step.extra_seconds for step in with_library), 1),
        "seconds_without": round(sum(step.seconds + step.extra_seconds for step in without), 1),
        "families": families,
    }


def break_even(mine: list[Step], plain: list[Step]) -> int | None:
    """The use, from 1, from which on the library has taken no more tokens than going without it, drift left aside."""
    first = [step for step in mine if step.form == mine[0].form]
    totals = zip(
        accumulate(step.tokens for step in first),
        accumulate(step.tokens for step in plain[: len(first)]),
        strict=True,
    )
    cheaper = [number for number, (a, b) in enumerate(totals, 1) if a <= b and number > 1]
    return cheaper[0] if cheaper else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds of each model call")
    parser.add_argument("--shadow", type=float, default=0.05, help="share of hits that is solved afresh as well")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    given = parser.parse_args()
    runs: dict[str, list[Step]] = defaultdict(list)
    for name, library in (("with a library", True), ("without", False)):
        runs[name] = asyncio.run(measure(given.questions, given.seed, given.latency, given.shadow, library=library))
    found = summary(runs["with a library"], runs["without"])
    record = {
        "settings": {
            "questions": given.questions,
            "seed": given.seed,
            "latency": given.latency,
            "shadow": given.shadow,
            "model": "scripted",
        },
        "summary": found,
        "steps": {name: [step.to_json() for step in steps] for name, steps in runs.items()},
    }
    (given.out / "amortisation.json").write_text(json.dumps(record, indent=1) + "\n")
    for what, value in (("tokens", lambda s: s.tokens), ("seconds", lambda s: s.seconds + s.extra_seconds)):
        plot_lines(
            given.out / f"amortisation-{what}.svg",
            {name: list(enumerate(accumulate(map(value, steps)), 1)) for name, steps in runs.items()},
            title=f"{found['questions']} questions of {len(found['families'])} families, scripted model",
            x_label="questions asked",
            y_label=f"{what} so far, all told",
            marks={"formats change": given.questions // 2},
        )
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
