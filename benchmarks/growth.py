"""Whose prompts grow with the input: every family of large inputs, asked by each strategy at two sizes, in a table.

    python benchmarks/growth.py [--small 100000] [--large 10000000] [--families NAME ...]

A scripted model stands in for a real one (habit.bench.server, over HTTP), so that tokens are exact: what is measured is
the scheduler. Habits are learned from a question about 20 kB. Ends with status 1 when an answer is wrong, or when a
prompt or the root's tokens of ``rlm`` or ``habit`` grow by more than a tenth.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import anyio.to_thread

from habit.accounting import Orchestration
from habit.bench.families import Family
from habit.bench.large import LARGE
from habit.bench.server import OracleServer
from habit.bench.stream import look_after
from habit.bench.tasks import Planned
from habit.config import Settings
from habit.engine import Engine
from habit.library.repository import Repository
from habit.run import plain

LEARNING = 20_000
MOST_GROWTH = 1.1


class Growth:
    def __init__(self, engines: dict[str, Engine], repository: Repository, small: int, large: int) -> None:
        self.engines = engines
        self.repository = repository
        self.sizes = (small, large)
        self.failures: list[str] = []

    async def ask(self, strategy: str, family: Family, size: int) -> tuple[str, Orchestration]:
        """The run's id, and what it took."""
        question = Planned(family, family.formats[0], size, 0).question()
        run = await self.engines[strategy].ask(question.text, question.context, returns=family.returns)
        assert run.orchestration is not None
        if plain(run.answer) != question.truth:
            self.failures.append(f"{family.name}, {strategy}, {size:,} bytes: a wrong answer")
        if strategy == "habit" and size != LEARNING and run.habit is None:
            self.failures.append(f"{family.name}, {size:,} bytes: no habit answered ({run.why})")
        return run.id, run.orchestration

    async def rows(self, family: Family) -> None:
        """A line of the table for each strategy."""
        run, _ = await self.ask("habit", family, LEARNING)
        await look_after(self.engines["habit"], self.repository, run, family.name, learned=True, mutants=0)
        for strategy in ("agent", "rlm", "habit"):
            small, large = [(await self.ask(strategy, family, size))[1] for size in self.sizes]
            cells = [f"{one.root_tokens:,} / {one.peak_prompt_tokens:,} / {one.leaf_calls:,}" for one in (small, large)]
            print(f"| {family.name} | {strategy} | {' | '.join(cells)} |", flush=True)
            if strategy != "agent" and not (
                large.root_tokens <= MOST_GROWTH * small.root_tokens
                and large.peak_prompt_tokens <= MOST_GROWTH * small.peak_prompt_tokens
            ):
                self.failures.append(f"{family.name}, {strategy}: it grows")


async def measure(names: list[str], small: int, large: int) -> list[str]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ.update(
            HOME=place,
            **{f"GIT_{role}_{part}": "bench" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")},
        )
        repository = await anyio.to_thread.run_sync(Repository.init, str(folder / "habits"))
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(OracleServer())
            engines = {}
            for strategy in ("agent", "rlm", "habit"):
                settings = Settings(
                    model=server.model,
                    base_url=server.url,
                    journal=str(folder / f"{strategy}.db"),
                    library=str(folder / "habits"),
                    strategy="auto" if strategy == "habit" else strategy,
                    no_cache=True,
                    concurrency=32,
                )
                engines[strategy] = await stack.enter_async_context(Engine(settings))
            growth = Growth(engines, repository, small, large)
            print(f"Root tokens / tokens of the largest prompt / leaf calls, at {small:,} and {large:,} bytes:\n")
            print(f"| family | strategy | {small:,} | {large:,} |\n|---|---|---|---|")
            for family in LARGE:
                if not names or family.name in names:
                    await growth.rows(family)
            return growth.failures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=100_000)
    parser.add_argument("--large", type=int, default=10_000_000)
    parser.add_argument("--families", nargs="*", default=[])
    given = parser.parse_args()
    failures = asyncio.run(measure(given.families, given.small, given.large))
    print("\n".join(["", *failures] if failures else ["\nEvery answer was right, and no prompt but the agent's grew."]))
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
