"""Habit beside its peers and a bare HTTP client: the same scripted replies, from the same mock server, turn by turn."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import environment
from environment import Finished, SideFailed, seconds_of
from figures import Row
from measuring import Bench
from replies import LEAF_USAGE, LIMITED, RATE

SIDES = ("habit", "rlms", "dspy")
WINDOW = 32
"""Calls that Habit sends ahead at most, by default."""
ROUNDS: dict[str, dict[str, int]] = {
    "cells": {"dspy": 2},
    "cold": {"dspy": 2},
    "batch": {"rlms": 3, "dspy": 1},
    "batch_at_once": {"habit": 3, "rlms": 0, "dspy": 0},
    "loop": {"rlms": 3, "dspy": 3},
    "dependent": {"rlms": 3, "dspy": 1},
    "early_end": {"rlms": 3, "dspy": 1},
    "comprehension": {"rlms": 1, "dspy": 0},
    "imports": {"habit": 3, "rlms": 3, "dspy": 3},
    "large_context": {"rlms": 3, "dspy": 0},
    "memory": {"habit": 3, "rlms": 3, "dspy": 1},
    "logs": {"habit": 1, "rlms": 1, "dspy": 0},
    "children": {"habit": 3, "rlms": 3, "dspy": 0},
    "budget": {"habit": 3, "rlms": 1, "dspy": 0},
    "time_limit": {"habit": 3, "rlms": 1, "dspy": 0},
    "limited": {"habit": 1, "rlms": 1, "dspy": 0},
    "crowd": {"habit": 1, "rlms": 0, "dspy": 0},
}
"""How often a side is measured, where that is not in each round: what takes long, what does not scatter, and what a
peer lacks (``dspy`` has no log, no children about a prompt, no budget of tokens and no limit of time;
with 100 MB it does not get through in the 300 s that a process has here)."""
ROOT_TOKENS = 15
"""Tokens of a reply that is not a leaf's."""
_TOKEN = re.compile(r"token-\d+-")


class Comparison(Bench):
    """Measures the sides in turn."""

    started = 0.0

    def run(self) -> list[Row]:
        """Every round measures everything once, with the sides one right after the other; they start in turn."""
        measures = (
            self.cells, self.cold, self.batch, self.batch_at_once, self.loop, self.dependent, self.early_end,
            self.comprehension, self.imports, self.large_context, self.memory, self.logs, self.children, self.budget,
            self.time_limit, self.limited, self.crowd,
        )  # fmt: skip
        self.started = time.monotonic()
        for number in range(self.sizes.rounds):
            order = [side for side in SIDES if side in self.pythons]
            if number % 2:
                order.reverse()
            for measure in measures:
                name = measure.__name__
                sides = [side for side in order if number < self.rounds_of(name, side)]
                if sides:
                    said = f"round {number + 1} of {self.sizes.rounds}: {name.replace('_', ' ')}"
                    self.say(f"{time.monotonic() - self.started:5.0f} s  {said} ({', '.join(sides)})")
                for side in sides:
                    self._measure(measure, side)
            self.bare()
        self._against_bare()
        return list(self.rows.values())

    def _measure(self, measure: Callable[[str], None], side: str) -> None:
        """A peer that fails or answers wrongly has no figure there, and the report says so; Habit must not fail."""
        try:
            measure(side)
        except SideFailed as problem:
            if side == "habit":
                raise
            last = str(problem).strip().rpartition("\n")[2]
            self.notes.append(f"`{side}` has no figure of one round of *{measure.__name__.replace('_', ' ')}*: {last}")
            self.say(self.notes[-1])

    @staticmethod
    def rounds_of(measure: str, side: str) -> int:
        """In how many rounds a side is measured; 0 where it has no such thing."""
        return ROUNDS.get(measure, {}).get(side, 5)

    def cells(self, side: str) -> None:
        row = self.row("run of 2 cells, model latency 0, warm", "ms", 25)
        done, _ = self.run_side(side, "cells", times=3 if side == "dspy" else self.sizes.runs)
        row.add(side, *(seconds * 1e3 for seconds in done.said["seconds"][1:]))
        if side == "dspy":
            done, _ = self.run_side(side, "cells", times=3, local=True)
            row = self.row("the same with dspy's LocalInterpreter, a plain process", "ms")
            row.add(side, *(seconds * 1e3 for seconds in done.said["seconds"][1:]))

    def cold(self, side: str) -> None:
        done, _ = self.run_side(side, "cells", times=1)
        self.row("the same, whole process from start to exit", "s").add(side, done.seconds)

    def batch(self, side: str) -> None:
        name = f"{self.sizes.batch:,} leaf calls in one batch at 50 ms, defaults"
        done = self.warm(side, f"batch-x{self.sizes.batch}")
        self.row(name, "s").add(side, done.said["seconds"][-1])

    def batch_at_once(self, side: str) -> None:
        """The peers can't: their 16 and 8 at once are fixed in their code."""
        batch = f"batch-x{self.sizes.batch}"
        ways = {"all at once": batch, "all at once through the OpenAI SDK": f"openai:{batch}"}
        for name, model in list(ways.items())[: 2 if self.sizes.sdk else 1]:
            done = self.warm(side, model, habit={"concurrency": self.sizes.batch})
            row = self.row(f"{self.sizes.batch:,} leaf calls in one batch at 50 ms, {name}", "s")
            row.add(side, done.said["seconds"][-1])

    def bare(self) -> None:
        batch = f"{self.sizes.batch:,} leaf calls in one batch at 50 ms"
        for row, server in ((f"{batch}, all at once", "later"), (self._comprehension("all at once"), "slow")):
            given = {"url": self.servers[server].url, "model": "bare", "count": self.sizes.batch, "times": 2}
            done = environment.run_side(Path(sys.executable), "bare", given, self.folder)
            self.servers[server].arrivals()
            self.row(row, "s").add("bare", done.said["seconds"][1])
        count = self.sizes.dependent
        given = {"url": self.servers["later"].url, "model": "bare", "count": count, "times": 1, "one_by_one": True}
        done = environment.run_side(Path(sys.executable), "bare", given, self.folder)
        self.servers["later"].arrivals()
        self._against_sequence("bare", self._dependent_loop(), done, count)

    def loop(self, side: str) -> None:
        count = self.sizes.loop
        name = f"a `for` loop of {count} leaf calls at 50 ms"
        done = self.warm(side, f"loop-x{count}")
        self.row(name, "s", lead={"rlms": 15, "dspy": 15}).add(side, done.said["seconds"][-1])
        self._against_sequence(side, name, done, count, 0.06)
        self._wasted(side, name, done, 0)

    def dependent(self, side: str) -> None:
        """Each prompt holds the last reply: nothing can be gained, and little may be lost."""
        count = self.sizes.dependent
        name = self._dependent_loop()
        done = self.warm(side, f"dependent-x{count}")
        self._against_sequence(side, name, done, count)
        self._wasted(side, name, done, WINDOW)

    def _dependent_loop(self) -> str:
        return f"a loop of {self.sizes.dependent} leaf calls at 50 ms, each about the last reply"

    def early_end(self, side: str) -> None:
        """A loop that a reply ends early; that it ends where it should is checked."""
        name = f"a loop of {self.sizes.loop} leaf calls at 50 ms that breaks at item 10"
        done = self.warm(side, f"break-x{self.sizes.loop}", answer="10")
        self.row(name, "s").add(side, done.said["seconds"][-1])
        self._wasted(side, name, done, WINDOW)

    def comprehension(self, side: str) -> None:
        """The peers would take 1,000 times 0.5 s; their batch by hand is the better that they can do."""
        count = self.sizes.batch
        best = self.row(f"{count:,} leaf calls at 500 ms: a comprehension in Habit, a batch in the peers", "s")
        best.lead = {"rlms": 10}
        if side != "habit":
            done = self.warm(side, f"batch-x{count}", server="slow")
            best.add(side, done.said["seconds"][-1])
            return
        for name, given in (("defaults", {}), ("all at once", {"habit": {"concurrency": count}})):
            done = self.warm(side, f"comprehension-x{count}", server="slow", **given)
            self.row(self._comprehension(name), "s").add(side, done.said["seconds"][-1])
            if name == "defaults":
                best.add(side, done.said["seconds"][-1])

    def _comprehension(self, name: str) -> str:
        return f"a comprehension of {self.sizes.batch:,} leaf calls at 500 ms, {name}"

    def _against_sequence(self, side: str, name: str, done: Finished, count: int, aim: float | None = None) -> None:
        self.row(f"{name} ÷ one call after the other", "×", aim).add(side, done.said["seconds"][-1] / (count * 0.05))

    def _wasted(self, side: str, name: str, done: Finished, aim: float) -> None:
        if side == "habit":
            self.row(f"{name}: calls wasted", "wasted", aim).add(side, done.said["wasted"])

    def imports(self, side: str) -> None:
        url, python = "http://127.0.0.1:9/v1", str(self.pythons[side])
        client = "import and a client for a server at a base URL, whole process"
        sdk = "import and a client on the OpenAI SDK, whole process"
        ours = "from habit.calls.pydantic_ai import build_provider; build_provider({model!r}, base_url={url!r})"
        processes = {
            "habit": {
                "import, whole process": "import habit",
                client: ours.format(model="m", url=url),
                **({sdk: ours.format(model="openai:gpt-5-mini", url=url)} if self.sizes.sdk else {}),
            },
            "rlms": {
                "import, whole process": "import rlm",
                client: "import rlm; from rlm.clients import get_client; "
                f"get_client('openai', {{'model_name': 'm', 'base_url': {url!r}, 'api_key': 'no-key'}})",
            },
            "dspy": {
                "import, whole process": "import dspy",
                client: f"import dspy; dspy.LM('openai/m', api_base={url!r}, api_key='no-key')",
            },
        }
        for name, code in processes[side].items():
            self.row(name, "s").add(side, seconds_of([python, "-c", code], self.folder))
        if side == "habit":
            self.rows["import, whole process"].aim = 0.15
            self.rows["import, whole process"].add("bare", seconds_of([python, "-c", "pass"], self.folder))
            command = [str(Path(python).with_name("habit")), "--help"]
            self.row("`habit --help`, whole process", "s", 0.3).add(side, seconds_of(command, self.folder))
        elif side == "rlms":
            self.row(sdk, "s").add(side, self.rows[client].values[side][-1])

    def large_context(self, side: str) -> None:
        """Until the root hears of its first cell: the second request of a run."""
        size = f"{self.sizes.large_bytes // 1_000_000} MB"
        done, arrivals = self.run_side(side, "large", times=2, context=self.large, as_file=True)
        second = [arrival["time"] for arrival in arrivals][1::2]
        for name, began, ended in zip(("first run of a process", "second"), done.said["began"], second, strict=True):
            self.row(f"{size} context to the end of the first cell, {name}", "s", 0.6).add(side, ended - began)

    def memory(self, side: str) -> None:
        size = f"{self.sizes.large_bytes // 1_000_000} MB"
        contexts = (("small context", self.small), (f"{size} context", self.large))
        for name, context in contexts[: 1 if side == "dspy" else 2]:
            done, _ = self.run_side(side, "cells", times=1, context=context, as_file=True, weigh=True)
            row = self.row(f"peak memory (PSS, all processes), {name}", "MB")
            row.add(side, (done.peak_bytes or 0) / 1e6)

    def logs(self, side: str) -> None:
        size = f"{self.sizes.journal_bytes / 1e6:g} MB"
        for name, as_file in (("given as a file", True), ("given as text", False)):
            log = self.folder / f"log-{side}-{self.journals}"
            self.run_side(side, "journal", times=1, context=self.middle, as_file=as_file, log=log)
            row = self.row(f"log or journal of 2 cells, {size} context {name}", "MB", 1 if as_file else None)
            row.add(side, sum(path.stat().st_size for path in log.rglob("*") if path.is_file()) / 1e6)

    def children(self, side: str) -> None:
        """Each child prints its token, makes a leaf call, prints again; the server tells it what it then saw."""
        count = self.sizes.children
        self._children(side, f"{count} children at once", {"max_depth": 2, "max_concurrent_subcalls": count})
        few = f"{count} children, 4 at a time (the default of rlms)"
        if side == "rlms" and f"{few}: time" not in self.rows:
            self._children(side, few, {"max_depth": 2})

    def _children(self, side: str, name: str, rlms: dict[str, Any]) -> None:
        count = self.sizes.children
        done, arrivals = self.run_side(side, f"children-x{count}", server="later", times=1, rlms=rlms)
        said = json.loads(done.said["answer"])
        expected = [f"token-{number}-" for number in range(count)]
        failed = sum(not text.startswith(f"{own} saw ") for text, own in zip(said, expected, strict=True))
        foreign = sum(set(_TOKEN.findall(text)) - {own} != set() for text, own in zip(said, expected, strict=True))
        short = sum(text.count(own) < 3 for text, own in zip(said, expected, strict=True)) - failed
        self.row(f"{name}: failed", "children", 0).add(side, failed)
        self.row(f"{name}: saw another's output", "children", 0).add(side, foreign)
        self.row(f"{name}: lost some of their own output", "children", 0).add(side, short)
        self.row(f"{name}: calls made that the usage leaves out", "calls", 0).add(
            side, abs(len(arrivals) - done.said["calls"])
        )
        self.row(f"{name}: time", "s").add(side, done.said["seconds"][0])

    def budget(self, side: str) -> None:
        """A batch that needs far more than the budget of tokens; what the server was asked for counts as spent."""
        budget = max(self.sizes.batch * sum(LEAF_USAGE) // 10, 5000)
        more = {"habit": {"max_tokens": budget}, "rlms": {"max_tokens": budget}}
        _, arrivals = self.run_side(side, f"budget-x{self.sizes.batch}", times=1, **more)
        spent = sum(sum(LEAF_USAGE) if arrival["kind"] == "leaf" else ROOT_TOKENS for arrival in arrivals)
        self.row("tokens spent ÷ budget of tokens, in a batch that needs far more", "×", 1).add(side, spent / budget)

    def time_limit(self, side: str) -> None:
        more = {"habit": {"max_seconds": 1.0, "speculate": 0}, "rlms": {"max_timeout": 1.0}}
        done = self.warm(side, f"time-x{self.sizes.timed}", answer=None, **more)
        self.row("a time limit of 1 s stops the run after, warm", "s", 1.2).add(side, done.said["seconds"][-1])
        if done.said["stopped"] is None:
            raise SideFailed(f"{side} was not stopped by its time limit")

    def limited(self, side: str) -> None:
        """A server that takes RATE requests in any second and refuses the others, which nobody is told before."""
        _, arrivals = self.run_side(side, f"{LIMITED}-x{self.sizes.limited}", server="later", times=1)
        leaves = [arrival for arrival in arrivals if arrival["kind"] == "leaf"]
        times = [arrival["time"] - leaves[0]["time"] for arrival in leaves if not arrival["refused"]]
        since = min(10.0, times[-1] / 2)
        taken = sum(moment >= since for moment in times) / max(times[-1] - since, 1 / RATE)
        name = f"{self.sizes.limited:,} leaf calls at a server that takes {RATE} a second and refuses the others"
        refused = sum(arrival["refused"] for arrival in leaves)
        self.row(f"{name}: refused", "%", 2).add(side, 100 * refused / len(leaves))
        self.row(f"{name}: unused of its rate from the 10th second on", "%", 10).add(
            side, max(0.0, 100 * (1 - taken / RATE))
        )
        self.row(f"{name}: calls that failed in the end", "calls", 0).add(side, self.sizes.limited - len(times))
        self.row(f"{name}: time", "s").add(side, times[-1])

    def crowd(self, side: str) -> None:
        """Runs of two cells and a leaf call in one process; each call takes so long that most are alive at once."""
        count = self.sizes.crowd
        done, arrivals = self.run_side(side, "three", server="patient", times=count, together=True, weigh=True)
        name = f"{count:,} runs at once, of 3 calls each"
        failed = sum(answer != "yes" for answer in done.said["answers"])
        self.row(f"{name}: failed", "runs", 0).add(side, failed)
        self.row(f"{name}: too many or too few requests", "calls", 0).add(side, abs(len(arrivals) - 3 * count))
        self.row(f"{name}: peak memory (PSS, all processes)", "MB", 2500).add(side, (done.peak_bytes or 0) / 1e6)
        self.row(f"{name}: processes alive at most", "processes").add(side, done.most_processes or 0)
        self.row(f"{name} of 10 s: time", "s").add(side, done.said["seconds"][0])

    def warm(self, side: str, model: str, *, server: str = "later", answer: str | None = "", **more: Any) -> Finished:
        """The last of its ``seconds`` is a warm run: Habit's second of the same, one of ``rlms`` after two cells.

        Nothing of ``dspy`` stays warm between runs. The answer is the number in the model's name, or else ``answer``.
        """
        done, _ = self.run_side(
            side, model, server=server, times=2 if side == "habit" else 1, warm=side == "rlms", **more
        )
        if answer is not None:
            self.expect(done, answer or model.rpartition("-x")[2])
        return done

    def _against_bare(self) -> None:
        """How many times the bare client's time they take, round by round."""
        batch = f"{self.sizes.batch:,} leaf calls in one batch at 50 ms"
        bare_seconds = self.rows[f"{batch}, all at once"].values["bare"]
        for name in ("defaults", "all at once"):
            against = self.row(f"the batch, {name} ÷ the same calls by the bare client", "×", 1.3)
            for side in SIDES:
                for ours, bare in zip(self.rows[f"{batch}, {name}"].values.get(side, ()), bare_seconds, strict=False):
                    against.add(side, ours / bare)
        sequence = self.rows[f"{self._dependent_loop()} ÷ one call after the other"].values
        against = self.row(f"{self._dependent_loop()} ÷ the same calls by the bare client", "×", 1.05)
        for ours, bare in zip(sequence["habit"], sequence["bare"], strict=False):
            against.add("habit", ours / bare)
        bare_seconds = self.rows[self._comprehension("all at once")].values["bare"]
        for name in ("defaults", "all at once"):
            against = self.row(f"the comprehension, {name} ÷ the same calls by the bare client", "×", 2)
            for ours, bare in zip(self.rows[self._comprehension(name)].values["habit"], bare_seconds, strict=False):
                against.add("habit", ours / bare)
