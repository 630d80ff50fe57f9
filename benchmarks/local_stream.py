"""What the local model gets right in one call, as RLM, and as RLM with a library: one stream asked in three ways.

    python benchmarks/local_stream.py DIR [--questions 60] [--seeds 0 1 2] [--records 16] [--model local]
    python benchmarks/local_stream.py DIR --tell

A habit is learned from the first right answer of its family, which the generator's truth approves; nothing is approved
after that. Each question is asked in all three ways before the next, and each answer is a line of DIR/outcomes.jsonl;
a second start goes on where the first one stopped. Where no habit answers, the answer with a library is the one that
the RLM has just given to the same question, and its cost is added: nothing is asked twice. ``--tell`` prints what the
outcomes come to.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import fmean, median
from typing import Any

import anyio.to_thread

from habit.bench.chances import mcnemar, wilson
from habit.bench.stream import look_after, make_stream
from habit.bench.tasks import Question
from habit.config import Settings
from habit.engine import Engine
from habit.errors import RunError
from habit.library.repository import Repository
from habit.run import Run, plain

ARMS = {"direct": "direct", "rlm": "rlm", "library": "habit"}


async def stream(folder: Path, seed: int, given: argparse.Namespace, done: set[tuple[int, int]]) -> None:
    """Ask the questions of one seed that are not done yet."""
    place = folder / f"seed-{seed}"
    place.mkdir(parents=True, exist_ok=True)
    repository = await anyio.to_thread.run_sync(Repository.init, str(place / "habits"))
    questions = make_stream(given.questions, seed, size=given.records, drift=False)
    async with AsyncExitStack() as stack:
        engines: dict[str, Engine] = {}
        for arm, strategy in ARMS.items():
            settings = Settings(
                model=given.model,
                strategy=strategy,
                journal=str(place / "journal.db"),
                library=str(place / "habits"),
                max_cells=given.cells,
                no_repair=True,
                no_cache=True,
            )
            engines[arm] = await stack.enter_async_context(Engine(settings))
        for number, question in enumerate(questions):
            if (seed, number) in done:
                continue
            lines = {arm: await ask(engine, question) for arm, engine in engines.items()}
            if lines["library"]["habit"] is None:
                lines["library"] = fallen_back(lines["library"], lines["rlm"])
                if lines["rlm"]["right"] and lines["rlm"]["status"] == "answered":
                    lines["library"]["learned"] = await learned(
                        engines["rlm"], lines["rlm"]["run"], question, repository
                    )
            lines_said = [
                json.dumps({"seed": seed, "number": number, "arm": arm, **line}) for arm, line in lines.items()
            ]
            with (folder / "outcomes.jsonl").open("a") as file:
                file.write("".join(line + "\n" for line in lines_said))


async def ask(engine: Engine, question: Question) -> dict[str, Any]:
    """Ask one question in one way; what came of it."""
    try:
        run = await engine.ask(question.text, question.context, returns=question.family.returns)
    except RunError as failure:
        if failure.run is None:
            raise
        run = failure.run
    return {
        "family": question.family.name,
        "question": question.text,
        "truth": question.truth,
        "answer": plain(run.answer),
        "status": run.status,
        "right": plain(run.answer) == question.truth,
        "habit": run.habit,
        "why": run.why,
        "error": run.error,
        **await figures(engine, run),
    }


def fallen_back(tried: dict[str, Any], rlm: dict[str, Any]) -> dict[str, Any]:
    """The RLM's line as that of an arm that first looked for a habit, or tried one, in vain."""
    spent = ("cells", "calls", "root_tokens", "leaf_tokens", "seconds")
    return {
        **rlm,
        **{name: round(rlm[name] + tried[name], 2) for name in spent},
        "why": tried["why"] or tried["error"],
    }


async def learned(engine: Engine, run: str, question: Question, repository: Repository) -> bool:
    """Learn from the first right answer of a family; whether that gave a habit."""
    name = question.family.name
    if name in await names(repository):
        return False
    await look_after(engine, repository, run, name, learned=True, mutants=0)
    return name in await names(repository)


async def names(repository: Repository) -> set[str]:
    return {one.name for one in await anyio.to_thread.run_sync(repository.habits)}


async def figures(engine: Engine, run: Run) -> dict[str, Any]:
    """Calls, tokens and seconds of a run."""
    calls = [call for call in await (await engine.store()).calls(run.id) if not call.unasked]
    tokens = {
        role: sum(call.input_tokens + call.output_tokens for call in calls if call.role == role)
        for role in ("root", "leaf")
    }
    return {
        "run": run.id,
        "cells": run.cells,
        "calls": len(calls),
        "root_tokens": tokens["root"],
        "leaf_tokens": tokens["leaf"],
        "peak_prompt_tokens": run.peak_prompt_tokens,
        "seconds": round(run.seconds, 2),
    }


def told(outcomes: Sequence[Mapping[str, Any]]) -> str:
    """What the outcomes come to: a table of the three ways, and what became of questions that a habit answered."""
    by_arm = {arm: {(one["seed"], one["number"]): one for one in outcomes if one["arm"] == arm} for arm in ARMS}
    asked = [key for key in by_arm["direct"] if all(key in mine for mine in by_arm.values())]
    lines = [
        "| | right | 95 % | root tokens | leaf tokens | seconds a question, median |",
        "|---|---|---|---|---|---|",
    ]
    for arm, mine in by_arm.items():
        each = [mine[key] for key in asked]
        right = sum(one["right"] for one in each)
        low, high = wilson(right, len(each))
        lines.append(
            f"| {arm} | {right} of {len(each)}, {100 * right / len(each):.0f} % | {100 * low:.0f}–{100 * high:.0f} "
            f"| {fmean(one['root_tokens'] for one in each):,.0f} | {fmean(one['leaf_tokens'] for one in each):,.0f} "
            f"| {median(one['seconds'] for one in each):.1f} |"
        )
    better, worse = (
        sum(by_arm["library"][key]["right"] == wins and by_arm["rlm"][key]["right"] != wins for key in asked)
        for wins in (True, False)
    )
    hits = [key for key in asked if by_arm["library"][key]["habit"]]
    lines += [
        "",
        f"Against RLM, a library made {better} answers right and {worse} wrong (p = {mcnemar(better, worse):.3f}).",
        f"Habits answered {len(hits)}, {sum(by_arm['library'][key]['right'] for key in hits)} rightly; RLM answered "
        f"{sum(by_arm['rlm'][key]['right'] for key in hits)} of the same rightly.",
        f"Questions by seed: {dict(Counter(seed for seed, _ in asked))}. "
        f"Habits learned: {sum(bool(one.get('learned')) for one in by_arm['library'].values())}.",
        "",
        "| family | asked | direct | rlm | library | by habits |",
        "|---|---|---|---|---|---|",
    ]
    for family in sorted({by_arm["rlm"][key]["family"] for key in asked}):
        keys = [key for key in asked if by_arm["rlm"][key]["family"] == family]
        rights = " | ".join(str(sum(mine[key]["right"] for key in keys)) for mine in by_arm.values())
        lines.append(f"| {family} | {len(keys)} | {rights} | {sum(key in hits for key in keys)} |")
    return "\n".join(lines)


def read(folder: Path) -> list[dict[str, Any]]:
    """The outcomes there are."""
    path = folder / "outcomes.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--records", type=int, default=16, help="records of each input")
    parser.add_argument("--cells", type=int, default=4, help="most cells of a run")
    parser.add_argument("--model", default="local")
    parser.add_argument("--tell", action="store_true", help="ask nothing, print what the outcomes come to")
    given = parser.parse_args()
    if given.tell:
        print(told(read(given.folder)))
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    for role in ("AUTHOR", "COMMITTER"):
        os.environ.setdefault(f"GIT_{role}_NAME", "bench")
        os.environ.setdefault(f"GIT_{role}_EMAIL", "bench@localhost")
    done = {(one["seed"], one["number"]) for one in read(given.folder)}
    for seed in given.seeds:
        await stream(given.folder, seed, given, done)


if __name__ == "__main__":
    asyncio.run(main())
