"""Habit beside ``rlms`` and a bare HTTP client: the same scripted replies, from the same mock server, turn by turn."""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from environment import Finished, Server, run_side, seconds_of
from figures import Row
from replies import LEAF_USAGE

ROOT_TOKENS = 15
"""Tokens of a reply that is not a leaf's."""
_TOKEN = re.compile(r"token-\d+-")


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    rounds: int = 5
    runs: int = 11
    """Runs in one process, where the first is left out."""
    batch: int = 1000
    loop: int = 200
    dependent: int = 50
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
    children=3,
    large_bytes=2_000_000,
    journal_bytes=100_000,
    sdk=False,
)


class Comparison:
    """Runs the sides in turn and fills the rows. ``pythons`` has the sides that are there."""

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
        """``now`` answers at once, ``later`` after 50 ms, ``slow`` after 500."""
        self.folder = folder
        self.sizes = sizes
        self.say = say
        self.rows: dict[str, Row] = {}
        self.small = self._text("small.txt", 1000)
        self.middle = self._text("middle.txt", sizes.journal_bytes)
        self.large = self._text("large.txt", sizes.large_bytes)
        self._journals = 0

    def run(self) -> list[Row]:
        """Every round measures everything once, with the sides one right after the other; they start in turn."""
        measures = (
            self.cells, self.cold, self.batch, self.batch_at_once, self.loop, self.dependent,
            self.early_end, self.comprehension, self.imports, self.large_context,
            self.memory, self.logs, self.children, self.budget, self.time_limit,
        )  # fmt: skip
        for number in range(self.sizes.rounds):
            sides = [side for side in ("habit", "rlms") if side in self.pythons]
            if number % 2:
                sides.reverse()
            for measure in measures:
                self.say(f"round {number + 1} of {self.sizes.rounds}: {measure.__name__.replace('_', ' ')}")
                for side in sides:
                    measure(side)
            self.bare()
        self._against_bare()
        return list(self.rows.values())

    def cells(self, side: str) -> None:
        row = self._row("run of 2 cells, model latency 0, warm", "ms", 25)
        done, _ = self._run(side, "cells", times=self.sizes.runs)
        row.add(side, *(seconds * 1e3 for seconds in done.said["seconds"][1:]))

    def cold(self, side: str) -> None:
        done, _ = self._run(side, "cells", times=1)
        self._row("the same, whole process from start to exit", "s").add(side, done.seconds)

    def batch(self, side: str) -> None:
        name = f"{self.sizes.batch:,} leaf calls in one batch at 50 ms, defaults"
        done, _ = self._run(side, f"batch-x{self.sizes.batch}", server="later", times=2)
        self._row(name, "s").add(side, done.said["seconds"][1])
        self._expect(done, str(self.sizes.batch))

    def batch_at_once(self, side: str) -> None:
        """``rlms`` can't: its 16 at once are fixed in its code."""
        if side == "rlms":
            return
        batch = f"batch-x{self.sizes.batch}"
        ways = {"all at once": batch, "all at once through the OpenAI SDK": f"openai:{batch}"}
        for name, model in list(ways.items())[: 2 if self.sizes.sdk else 1]:
            done, _ = self._run(side, model, server="later", times=2, habit={"concurrency": self.sizes.batch})
            self._row(f"{self.sizes.batch:,} leaf calls in one batch at 50 ms, {name}", "s").add(
                side, done.said["seconds"][1]
            )
            self._expect(done, str(self.sizes.batch))

    def bare(self) -> None:
        for name, at_once in (("defaults", 64), ("all at once", self.sizes.batch)):
            given = {"url": self.servers["later"].url, "model": "bare", "count": self.sizes.batch, "at_once": at_once}
            done = run_side(Path(sys.executable), "bare", {**given, "times": 2}, self.folder)
            self.servers["later"].arrivals()
            row = self._row(f"{self.sizes.batch:,} leaf calls in one batch at 50 ms, {name}", "s")
            row.add("bare", done.said["seconds"][1])
        given = {"url": self.servers["slow"].url, "model": "bare", "count": self.sizes.batch}
        done = run_side(Path(sys.executable), "bare", {**given, "at_once": self.sizes.batch, "times": 2}, self.folder)
        self.servers["slow"].arrivals()
        row = self._row(f"a comprehension of {self.sizes.batch:,} leaf calls at 500 ms, all at once", "s")
        row.add("bare", done.said["seconds"][1])

    def loop(self, side: str) -> None:
        count = self.sizes.loop
        name = f"a `for` loop of {count} leaf calls at 50 ms"
        done, _ = self._run(side, f"loop-x{count}", server="later", times=2)
        self._row(name, "s").add(side, done.said["seconds"][1])
        self._row(f"{name} ÷ one call after the other", "×", 0.06).add(side, done.said["seconds"][1] / (count * 0.05))
        self._expect(done, str(count))
        self._wasted(side, name, done, 0)

    def dependent(self, side: str) -> None:
        """Each prompt holds the last reply: nothing can be gained, and little may be lost."""
        count = self.sizes.dependent
        name = f"a loop of {count} leaf calls at 50 ms, each about the last reply"
        done, _ = self._run(side, f"dependent-x{count}", server="later", times=2)
        self._row(f"{name} ÷ one call after the other", "×", 1.05).add(side, done.said["seconds"][1] / (count * 0.05))
        self._expect(done, str(count))
        self._wasted(side, name, done, 32)

    def early_end(self, side: str) -> None:
        """A loop that a reply ends early; the bench's own expectation is that it ends where it should."""
        count = self.sizes.loop
        name = f"a loop of {count} leaf calls at 50 ms that breaks at item 10"
        done, _ = self._run(side, f"break-x{count}", server="later", times=2)
        self._row(name, "s").add(side, done.said["seconds"][1])
        self._expect(done, "10")
        self._wasted(side, name, done, 32)

    def comprehension(self, side: str) -> None:
        """``rlms`` makes the calls one after the other, which would take it minutes."""
        if side == "rlms":
            return
        count = self.sizes.batch
        more = {"habit": {"concurrency": count}}
        for name, given in (("defaults", {}), ("all at once", more)):
            done, _ = self._run(side, f"comprehension-x{count}", server="slow", times=2, **given)
            row = self._row(f"a comprehension of {count:,} leaf calls at 500 ms, {name}", "s")
            row.add(side, done.said["seconds"][1])
            self._expect(done, str(count))

    def _wasted(self, side: str, name: str, done: Finished, aim: float) -> None:
        if side == "habit":
            self._row(f"{name}: calls wasted", "wasted", aim).add(side, done.said["wasted"])

    def imports(self, side: str) -> None:
        url = "http://127.0.0.1:9/v1"
        plain = {"habit": "import habit", "rlms": "import rlm"}
        ours = "from habit.calls.pydantic_ai import build_provider; build_provider({model!r}, base_url={url!r})"
        client = {
            "habit": ours.format(model="m", url=url),
            "rlms": "import rlm; from rlm.clients import get_client; "
            f"get_client('openai', {{'model_name': 'm', 'base_url': {url!r}, 'api_key': 'no-key'}})",
        }
        python = str(self.pythons[side])
        for name, aim, code in (
            ("import, whole process", 0.15, plain[side]),
            ("import and a client for a server at a base URL, whole process", None, client[side]),
        ):
            self._row(name, "s", aim).add(side, seconds_of([python, "-c", code], self.folder))
        if side == "habit":
            if self.sizes.sdk:
                cloud = [python, "-c", ours.format(model="openai:gpt-5-mini", url=url)]
                row = self._row("import and a client on the OpenAI SDK, whole process", "s")
                row.add(side, seconds_of(cloud, self.folder))
            command = [str(Path(python).with_name("habit")), "--help"]
            self._row("`habit --help`, whole process", "s", 0.3).add(side, seconds_of(command, self.folder))
        else:
            row = self._row("import and a client on the OpenAI SDK, whole process", "s")
            row.add(side, self.rows["import and a client for a server at a base URL, whole process"].values[side][-1])
            self.rows["import, whole process"].add("bare", seconds_of([python, "-c", "pass"], self.folder))

    def large_context(self, side: str) -> None:
        """Until the root hears of its first cell: the second request of a run."""
        size = f"{self.sizes.large_bytes // 1_000_000} MB"
        done, arrivals = self._run(side, "large", times=2, context=self.large, as_file=True)
        second = [arrival["time"] for arrival in arrivals][1::2]
        for name, began, ended in zip(("first run of a process", "second"), done.said["began"], second, strict=True):
            self._row(f"{size} context to the end of the first cell, {name}", "s", 0.6).add(side, ended - began)

    def memory(self, side: str) -> None:
        size = f"{self.sizes.large_bytes // 1_000_000} MB"
        for name, context in (("small context", self.small), (f"{size} context", self.large)):
            done, _ = self._run(side, "cells", times=1, context=context, as_file=True, weigh=True)
            row = self._row(f"peak memory (PSS, all processes), {name}", "MB")
            row.add(side, (done.peak_bytes or 0) / 1e6)

    def logs(self, side: str) -> None:
        size = f"{self.sizes.journal_bytes / 1e6:g} MB"
        for name, as_file in (("given as a file", True), ("given as text", False)):
            log = self.folder / f"log-{side}-{self._journals}"
            self._run(side, "journal", times=1, context=self.middle, as_file=as_file, log=log)
            row = self._row(f"log or journal of 2 cells, {size} context {name}", "MB", 1 if as_file else None)
            row.add(side, sum(path.stat().st_size for path in log.rglob("*") if path.is_file()) / 1e6)

    def children(self, side: str) -> None:
        """Each child prints its token, makes a leaf call, prints again; the server tells it what it then saw."""
        count = self.sizes.children
        self._children(side, f"{count} children at once", {"max_depth": 2, "max_concurrent_subcalls": count})
        if side == "rlms":
            self._children(side, f"{count} children, 4 at a time (the default of rlms)", {"max_depth": 2})

    def _children(self, side: str, name: str, rlms: dict[str, Any]) -> None:
        count = self.sizes.children
        done, arrivals = self._run(side, f"children-x{count}", server="later", times=1, rlms=rlms)
        said = json.loads(done.said["answer"])
        expected = [f"token-{number}-" for number in range(count)]
        failed = sum(not text.startswith(f"{own} saw ") for text, own in zip(said, expected, strict=True))
        foreign = sum(set(_TOKEN.findall(text)) - {own} != set() for text, own in zip(said, expected, strict=True))
        short = sum(text.count(own) < 3 for text, own in zip(said, expected, strict=True)) - failed
        self._row(f"{name}: failed", "children", 0).add(side, failed)
        self._row(f"{name}: saw another's output", "children", 0).add(side, foreign)
        self._row(f"{name}: lost some of their own output", "children", 0).add(side, short)
        self._row(f"{name}: calls made that the usage leaves out", "calls", 0).add(
            side, abs(len(arrivals) - done.said["calls"])
        )
        self._row(f"{name}: time", "s").add(side, done.said["seconds"][0])

    def budget(self, side: str) -> None:
        """A batch that needs far more than the budget of tokens; what the server was asked for counts as spent."""
        budget = max(self.sizes.batch * sum(LEAF_USAGE) // 10, 5000)
        more = {"habit": {"max_tokens": budget}, "rlms": {"max_tokens": budget}}
        _, arrivals = self._run(side, f"budget-x{self.sizes.batch}", times=1, **more)
        spent = sum(sum(LEAF_USAGE) if arrival["kind"] == "leaf" else ROOT_TOKENS for arrival in arrivals)
        self._row("tokens spent ÷ budget of tokens, in a batch that needs far more", "×", 1).add(side, spent / budget)

    def time_limit(self, side: str) -> None:
        more = {"habit": {"max_seconds": 1.0, "speculate": 0}, "rlms": {"max_timeout": 1.0}}
        done, _ = self._run(side, f"time-x{max(25, self.sizes.loop * 3)}", server="later", times=2, **more)
        self._row("a time limit of 1 s stops the run after, warm", "s", 1.2).add(side, done.said["seconds"][1])
        if done.said["stopped"] is None:
            raise RuntimeError(f"{side} was not stopped by its time limit")

    def _run(
        self,
        side: str,
        model: str,
        *,
        times: int,
        server: str = "now",
        context: Path | None = None,
        weigh: bool = False,
        log: Path | None = None,
        **more: Any,
    ) -> tuple[Finished, list[dict[str, Any]]]:
        """One process of one side, and the requests it made."""
        self._journals += 1
        journal = (log or self.folder / f"journal-{self._journals}") / "journal.db"
        given: dict[str, Any] = {
            "url": self.servers[server].url,
            "model": model,
            "times": times,
            "context": str(context or self.small),
            "journal": str(journal),
            **({"log": str(log)} if log else {}),
            **more,
        }
        self.servers[server].arrivals()
        done = run_side(self.pythons[side], side, given, self.folder, weigh=weigh)
        return done, self.servers[server].arrivals()

    def _row(self, name: str, unit: str, aim: float | None = None) -> Row:
        return self.rows.setdefault(name, Row(name, unit, aim))

    def _expect(self, done: Finished, answer: str) -> None:
        if done.said["answer"] != answer:
            raise RuntimeError(f"the answer is {done.said['answer']!r} and not {answer!r}")

    def _against_bare(self) -> None:
        """How many times the bare client's time the batches take, round by round."""
        for name in ("defaults", "all at once"):
            row = self.rows[f"{self.sizes.batch:,} leaf calls in one batch at 50 ms, {name}"]
            against = self._row(f"the batch ÷ the bare client's, {name}", "×", 1.3)
            for side in ("habit", "rlms"):
                for ours, bare in zip(row.values.get(side, ()), row.values["bare"], strict=False):
                    against.add(side, ours / bare)
        row = self.rows[f"a comprehension of {self.sizes.batch:,} leaf calls at 500 ms, all at once"]
        against = self._row("the comprehension ÷ the bare client's batch, all at once", "×", 2)
        for ours, bare in zip(row.values.get("habit", ()), row.values["bare"], strict=False):
            against.add("habit", ours / bare)

    def _text(self, name: str, size: int) -> Path:
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
