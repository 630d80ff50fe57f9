"""What a bench asks, and in which order: a grid of questions and sizes, and streams of questions that recur."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from habit.bench.families import FAMILIES, Family
from habit.bench.large import LARGE
from habit.bench.outcome import Part, digest_of
from habit.bench.realdata import PlannedReal, RealSet, plan_real
from habit.bench.stream import make_stream
from habit.bench.tasks import GENERATOR, SIZES, Planned, Question, plan_questions

Strategy = Literal["direct", "agent", "rlm", "habit"]
STRATEGIES: tuple[Strategy, ...] = ("direct", "agent", "rlm", "habit")
STREAM_STRATEGIES = ("direct", "rlm", "auto")
"""Ways to ask a stream; ``auto`` is with a library."""
LEARNING_ATTEMPTS = 3
"""Questions of a family that are asked, until one is answered rightly and a habit is learned from it."""
_SEEDS_APART = 840
"""A question whose seed is so much higher has the same format and wording, and another input."""


@dataclass(frozen=True)
class Item:
    """One question to be asked in one way."""

    part: Part
    strategy: str
    noise: float
    planned: Planned | Question
    seed: int
    number: int | None = None
    library: str = ""
    """Which library it is asked with: a name that questions with the same one share; empty for none."""
    stream: int = 0
    """Questions of its stream; 0 in a grid."""

    @property
    def family(self) -> Family:
        """The question's family."""
        return self.planned.family

    def question(self) -> Question:
        """The question, made now: large inputs take much room."""
        return self.planned if isinstance(self.planned, Question) else self.planned.question()


@dataclass(frozen=True)
class Plan:
    """Everything a bench asks."""

    families: Sequence[Family] = LARGE
    sizes: Sequence[int] = SIZES
    """Bytes."""
    strategies: Sequence[str] = STRATEGIES
    seeds: int = 3
    noises: Sequence[float] = (0.0,)
    stream: int = 0
    """Questions of each stream."""
    stream_families: Sequence[Family] = FAMILIES
    stream_strategies: Sequence[str] = STREAM_STRATEGIES
    near: int = 8
    """Every so manieth question of a stream is a near-miss; 0 for none."""
    real: Sequence[RealSet] = ()
    """Sets of real texts, asked about as the families are."""

    def told(self) -> dict[str, Any]:
        """The plan, for a line of outcomes."""
        return {
            "families": [one.name for one in self.families],
            "real": [one.name for one in self.real],
            "sizes": list(self.sizes),
            "strategies": list(self.strategies),
            "seeds": self.seeds,
            "noises": list(self.noises),
            "stream": self.stream,
            "stream_families": [one.name for one in self.stream_families],
            "stream_strategies": list(self.stream_strategies),
            "near": self.near,
            "learning_attempts": LEARNING_ATTEMPTS,
            "generator": GENERATOR,
        }

    def items(self) -> Iterator[Item]:
        """All of them; of learning as many attempts as there may be."""
        for noise in self.noises:
            for seed in range(self.seeds):
                yield from self._grid(noise, seed)
        for noise in self.noises:
            for seed in range(self.seeds):
                yield from self._stream(noise, seed)

    def _grid(self, noise: float, seed: int) -> Iterator[Item]:
        if not self.sizes:
            return
        sizes, library = sorted(self.sizes), f"grid-{min(self.sizes)}-{seed}"
        asked = [*plan_questions(self.families, sizes, [seed]), *plan_real(self.real, sizes, seed)]
        items = [
            Item("real" if isinstance(planned, PlannedReal) else "grid", strategy, noise, planned, seed)
            for planned in asked
            for strategy in self.strategies
        ]
        items = [replace(item, library=library) if item.strategy == "habit" else item for item in items]
        for attempts in zip(*(self.learning_of(item) for item in items if self.is_first_use(item)), strict=True):
            yield from attempts
        yield from items

    def is_first_use(self, item: Item) -> bool:
        """Whether a habit is learned for ``item``, because it is the first of a grid that is to be answered by one."""
        return item.strategy == "habit" and item.part != "stream" and item.planned.size == min(self.sizes)

    def learning_of(self, item: Item) -> Iterator[Item]:
        """What may be asked, in this order, so that a habit is learned for ``item``: as many as there may be tries."""
        for attempt in range(1, LEARNING_ATTEMPTS + 1):
            assert isinstance(item.planned, Planned)
            other = item.planned.seed + attempt * _SEEDS_APART
            another = replace(item.planned, size=min(self.sizes), seed=other)
            yield replace(item, part="learning", strategy="rlm", planned=another)

    def _stream(self, noise: float, seed: int) -> Iterator[Item]:
        if not self.stream:
            return
        library = f"stream-{self.stream}-{seed}-{digest_of([one.name for one in self.stream_families], self.near)[:4]}"
        for number, question in enumerate(_stream_of(self.stream, seed, tuple(self.stream_families), self.near)):
            for strategy in self.stream_strategies:
                mine = library if strategy == "auto" else ""
                yield Item("stream", strategy, noise, question, seed, number, mine, self.stream)


@lru_cache(maxsize=8)
def _stream_of(length: int, seed: int, families: tuple[Family, ...], near: int) -> list[Question]:
    return make_stream(length, seed, families, near=near)
