"""What is asked: questions about made inputs, each with its truth and a key that stays the same from run to run."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from habit.bench.data import Dataset, Format
from habit.bench.families import Family, Parameters
from habit.bench.large import LARGE
from habit.bench.sized import make_sized

GENERATOR = 1
"""Raised when the same seed makes another question, so that results of before are not taken for it."""
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
"""Bytes."""


@dataclass(frozen=True)
class Question:
    """One question about one input, with its truth."""

    family: Family
    dataset: Dataset
    form: Format
    parameters: Parameters
    wording: int = 0
    size: int | None = None
    """Bytes of input that were asked for; None where records were."""
    seed: int = 0

    @property
    def text(self) -> str:
        """The question itself."""
        return self.family.question(self.parameters, self.wording)

    @property
    def context(self) -> Any:
        """The input."""
        return self.family.context(self.dataset, self.form)

    @property
    def truth(self) -> Any:
        """The right answer, found out twice."""
        return self.family.true_answer(self.dataset, self.parameters)

    @property
    def kind(self) -> str:
        """What kind of question it is."""
        return self.family.kind

    @property
    def key(self) -> str:
        """Names the question for good, and none besides."""
        if self.size is not None:
            return Planned(self.family, self.form, self.size, self.seed, self.wording).key
        records = [self.dataset.seed, len(self.dataset.messages)]
        return _digest(self.family.name, self.form, self.wording, records, dict(self.parameters))

    def is_right(self, answer: Any) -> bool:
        """Whether ``answer`` is the truth."""
        return self.family.is_right(answer, self.truth)

    def score(self, answer: Any) -> float:
        """From 0 to 1: of a list F1, else right or not."""
        return self.family.score(answer, self.truth)


@dataclass(frozen=True)
class Planned:
    """A question whose input is not made yet: its key is known, and costs nothing."""

    family: Family
    form: Format
    size: int
    seed: int
    wording: int = 0

    @property
    def key(self) -> str:
        """The key that the question will have."""
        return _digest(self.family.name, self.form, self.wording, [self.size, self.seed], {})

    def question(self) -> Question:
        """Make it."""
        dataset = make_sized(self.seed, self.size, self.form, self.family.tables)
        given = self.family.draw(random.Random(self.key), dataset)
        return Question(self.family, dataset, self.form, given, self.wording, self.size, self.seed)


def plan_questions(
    families: Sequence[Family] = LARGE, sizes: Sequence[int] = SIZES, seeds: Sequence[int] = (0,)
) -> Iterator[Planned]:
    """A question for each family, size in bytes and seed; formats and wordings change from seed to seed."""
    for size in sizes:
        for seed in seeds:
            for family in families:
                form = family.formats[seed % len(family.formats)]
                yield Planned(family, form, size, seed, seed % len(family.phrasings))


def make_questions(
    families: Sequence[Family] = LARGE, sizes: Sequence[int] = SIZES, seeds: Sequence[int] = (0,)
) -> Iterator[Question]:
    """The planned questions, each made when it is its turn, because large ones take much room."""
    for planned in plan_questions(families, sizes, seeds):
        yield planned.question()


def _digest(*what: Any) -> str:
    text = json.dumps([GENERATOR, *what], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
