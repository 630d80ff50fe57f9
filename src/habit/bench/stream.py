"""A stream of questions, as people ask them: families that recur about inputs that change, asked with a library.

At first contact the model writes a program; the truth of the bench approves what was learned from it; from then on
habits answer. In mid-stream the format of each family's input changes.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import anyio.to_thread

from habit.bench.data import make_dataset
from habit.bench.families import FAMILIES, Family
from habit.bench.near import NEAR
from habit.bench.oracle import OracleModel, OracleModels
from habit.bench.tasks import Question
from habit.config import Settings
from habit.engine import Engine
from habit.errors import RunError, UsageError
from habit.journal.store import Store
from habit.library.checks.examine import MOST_MUTANTS
from habit.library.crystallise.learn import learn
from habit.library.repository import Repository
from habit.run import plain
from habit.sandbox.session import Sandbox

_ASIDE_LIMIT = 50
"""Newest runs among which those are that a question led to."""


@dataclass(frozen=True)
class Step:
    """One question of the stream, and what came of it; tokens are input and output together."""

    number: int
    family: str
    form: str
    question: str
    answered_by: str
    """``name@version``, or ``rlm``."""
    why: str
    right: bool
    root_tokens: int
    leaf_tokens: int
    extra_tokens: int
    """Of learning, shadows and repairs that this question led to."""
    calls: int
    seconds: float
    extra_seconds: float

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.root_tokens + self.leaf_tokens + self.extra_tokens

    def to_json(self) -> dict[str, Any]:
        """For a line of results."""
        return {**asdict(self), "tokens": self.tokens}


def make_stream(
    length: int,
    seed: int = 0,
    families: Sequence[Family] = FAMILIES,
    *,
    size: int = 24,
    drift: bool = True,
    near: int = 0,
) -> list[Question]:
    """``length`` questions: families in random order, a new input of ``size`` records for each, and with ``drift``
    another format from the middle on. Every ``near``-th is a near-miss of its family where there is one; 0 is none."""
    misses = {one.near: one for one in NEAR}
    rng = random.Random(seed)
    order = [families[number % len(families)] for number in range(length)]
    rng.shuffle(order)
    questions = []
    for number, family in enumerate(order):
        if near and number % near == near - 1:
            family = misses.get(family.name, family)
        dataset = make_dataset(seed * 100_003 + number, size)
        form = family.later if drift and number >= length // 2 else family.formats[0]
        questions.append(Question(family, dataset, form, family.draw(rng, dataset)))
    return questions


async def run_stream(
    questions: Sequence[Question],
    folder: Path,
    *,
    library: bool,
    sandbox: Sandbox | None = None,
    shadow: float = 0.0,
    latency: float = 0.0,
    mutants: int = MOST_MUTANTS,
) -> AsyncIterator[Step]:
    """Ask every question in order, with a library in ``folder`` or without; a step for each.

    ``mutants`` is how many are tried of what is learned.
    """
    model = OracleModel(latency=latency)
    settings = Settings(
        model=model.model,
        journal=str(folder / "journal.db"),
        library=str(folder / "habits"),
        strategy="auto" if library else "rlm",
        shadow=shadow,
        no_cache=True,
    )
    repository = await anyio.to_thread.run_sync(Repository.init, settings.library) if library else None
    async with Engine(settings, models=OracleModels(model), sandbox=sandbox) as engine:
        for number, question in enumerate(questions):
            yield await _ask(engine, number, question, repository, mutants)


async def _ask(engine: Engine, number: int, question: Question, repository: Repository | None, mutants: int) -> Step:
    truth = question.truth
    began = time.perf_counter()
    try:
        run = await engine.ask(question.text, question.context, returns=question.family.returns)
    except RunError as failure:
        if failure.run is None:
            raise
        run = failure.run
    await engine.settled()
    right = run.status == "answered" and plain(run.answer) == truth
    root, leaf = run.usage.root, run.usage.leaf
    step = Step(
        number,
        question.family.name,
        question.form,
        question.text,
        answered_by=run.habit or "rlm",
        why=run.why,
        right=right,
        root_tokens=root.input_tokens + root.output_tokens,
        leaf_tokens=leaf.input_tokens + leaf.output_tokens,
        extra_tokens=0,
        calls=run.usage.calls,
        seconds=run.seconds,
        extra_seconds=0.0,
    )
    if repository is not None and right:
        await look_after(engine, repository, run.id, question.family.name, learned=run.habit is None, mutants=mutants)
    return replace(
        step,
        extra_tokens=sum(map(tokens_used, await usages_besides(await engine.store(), run.id))),
        extra_seconds=time.perf_counter() - began - run.seconds,
    )


async def look_after(
    engine: Engine, repository: Repository, run: str, name: str, *, learned: bool, mutants: int
) -> str:
    """What a team does after a right answer: learn a family that is new, approve what waits.

    Gives what came of it: ``name@version``, why nothing could be learned, or nothing where there was nothing to do.
    """
    waiting = {one.name: one for one in await anyio.to_thread.run_sync(repository.candidates)}
    known = {one.name for one in await anyio.to_thread.run_sync(repository.habits)}
    if learned and name not in known and name not in waiting:
        try:
            found = await learn(engine.resources, [run], name=name, describe=False, mutants=mutants)
        except UsageError as refusal:
            return str(refusal)
        waiting[name] = await anyio.to_thread.run_sync(repository.propose, found.habit)
    if name in waiting:
        candidate = waiting[name]
        version = await anyio.to_thread.run_sync(repository.approve, candidate, candidate.tree)
        return f"{name}@{version}"
    return ""


async def usages_besides(store: Store, run: str) -> list[Mapping[str, Any]]:
    """The usage of each run that ``run`` led to: shadows, and repairs with their trials."""
    results = [record.result or {} for record in await store.runs(limit=_ASIDE_LIMIT) if record.serves == run]
    return [result["usage"] for result in results if result.get("usage")]


def tokens_used(usage: Mapping[str, Any]) -> int:
    """All tokens of a run, prompts and replies."""
    return sum(usage[role]["input_tokens"] + usage[role]["output_tokens"] for role in ("root", "leaf"))


def output_used(usage: Mapping[str, Any]) -> int:
    """Tokens of the replies of a run."""
    return sum(usage[role]["output_tokens"] for role in ("root", "leaf"))
