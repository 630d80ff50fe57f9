"""What every measure needs: the sizes, the sides in processes of their own, the servers, the texts and the rows."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environment
from environment import Finished, Server, SideFailed
from figures import Row


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    rounds: int = 5
    runs: int = 11
    """Runs in one process, where the first is left out."""
    batch: int = 1000
    loop: int = 200
    dependent: int = 50
    timed: int = 120
    """Calls of a cell that a time limit of a second stops."""
    crowd: int = 1000
    """Runs at once in one process."""
    limited: int = 3000
    """Calls at a server with a limit on its rate."""
    children: int = 48
    large_bytes: int = 100_000_000
    journal_bytes: int = 10_000_000
    sdk: bool = True
    """Whether the way of the clouds, through the OpenAI SDK, is measured too."""


QUICK = Sizes(
    rounds=1,
    runs=2,
    batch=20,
    loop=12,
    dependent=3,
    timed=25,
    crowd=4,
    limited=20,
    children=3,
    large_bytes=2_000_000,
    journal_bytes=100_000,
    sdk=False,
)


class Bench:
    """Runs one side and fills the rows. ``pythons`` has the sides that are there."""

    def __init__(
        self,
        pythons: Mapping[str, Path],
        servers: Mapping[str, Server],
        folder: Path,
        sizes: Sizes,
        *,
        say: Callable[[str], None],
    ) -> None:
        self.pythons = pythons
        self.servers = servers
        """``now`` answers at once, ``later`` after 50 ms, ``slow`` after 500, ``patient`` after 10 s."""
        self.folder = folder
        self.sizes = sizes
        self.say = say
        self.rows: dict[str, Row] = {}
        self.notes: list[str] = []
        self.small = self.text("small.txt", 1000)
        self.middle = self.text("middle.txt", sizes.journal_bytes)
        self.large = self.text("large.txt", sizes.large_bytes)
        self.journals = 0

    def run_side(
        self,
        side: str,
        model: str,
        *,
        times: int,
        server: str = "now",
        context: Path | None = None,
        weigh: bool = False,
        log: Path | None = None,
        warm: bool = False,
        **more: Any,
    ) -> tuple[Finished, list[dict[str, Any]]]:
        """One process of one side, and the requests it made; ``warm`` has it answer two cells before."""
        self.journals += 1
        journal = (log or self.folder / f"journal-{self.journals}") / "journal.db"
        given: dict[str, Any] = {
            "url": self.servers[server].url,
            "model": model,
            "times": times,
            "context": str(context or self.small),
            "journal": str(journal),
            **({"log": str(log)} if log else {}),
            **({"warm": ["cells"]} if warm else {}),
            **more,
        }
        self.servers[server].arrivals()
        if side == "dspy":
            given["dspy"] = {"max_llm_calls": 10 * self.sizes.batch}
        done = environment.run_side(self.pythons[side], side, given, self.folder, weigh=weigh)
        return done, self.servers[server].arrivals()

    def row(self, name: str, unit: str, aim: float | None = None, lead: dict[str, float] | None = None) -> Row:
        return self.rows.setdefault(name, Row(name, unit, aim, lead or {}))

    def expect(self, done: Finished, answer: str) -> None:
        if done.said["answer"] != answer:
            raise SideFailed(f"the answer is {done.said['answer']!r} and not {answer!r}")

    def text(self, name: str, size: int) -> Path:
        """A log of about ``size`` bytes, the same each time."""
        path = self.folder / name
        source = random.Random(size)
        block = "".join(
            f"2026-11-22T10:00:00 INFO request {source.randrange(10**9)} took {source.randrange(10**4)} ms\n"
            for _ in range(max(1, min(size, 10_000_000) // 56))
        )
        with path.open("w") as file:
            for _ in range(max(1, round(size / len(block)))):
                file.write(block)
        return path
