"""Runs a bench: asks what its plan says, writes down each outcome, and goes on where an earlier start stopped."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import anyio.to_thread

from habit.accounting import Orchestration
from habit.bench.arms import Arm, Arms
from habit.bench.outcome import Outcome, OutcomeLog, digest_of
from habit.bench.plan import Item, Plan
from habit.bench.stream import look_after, output_used, tokens_used, usages_besides
from habit.bench.tasks import Question
from habit.calls.budget import Budget
from habit.calls.provider import Provider
from habit.config import Settings
from habit.engine import Engine
from habit.errors import BudgetExceeded, HabitError, RunError, UsageError
from habit.journal.records import CallRecord
from habit.library.checks.examine import MOST_MUTANTS
from habit.run import Run, plain
from habit.sandbox.session import Sandbox

_UNREACHABLE = frozenset({"connection"})
"""Reasons for which a call failed that say nothing of whoever asked."""


class Fault(Protocol):
    """Whose fault a wrong answer is."""

    @property
    def who(self) -> str:
        """scheduler, leaf, match or drift."""
        ...

    @property
    def evidence(self) -> str:
        """What shows it."""
        ...


class Attribute(Protocol):
    """Finds out whose fault the wrong answer of a run is."""

    def __call__(
        self, engine: Engine, run_id: str, question: Question, *, root: Provider | None = None
    ) -> Awaitable[Fault]:
        """``root`` is the run's root, where it may be asked again."""
        ...


@dataclass(frozen=True)
class Progress:
    """How far a bench is."""

    done: int
    """Outcomes there are, those of earlier starts included."""
    total: int
    """Outcomes there will be."""
    asking: Item | None = None
    """What is under way."""
    outcome: Outcome | None = None
    """What has just ended."""


@dataclass(frozen=True)
class Ended:
    """How a bench ended."""

    done: int
    total: int
    usd: float
    """US dollars of all starts together."""
    stopped: str = ""
    """Why it was stopped before its end."""


def _ignore(progress: Progress) -> None:
    """Nobody listens."""


class _OutOfMoney(Exception):
    """The next question may cost more than what is left of ``max_usd``."""


class Bench:
    """One bench in one folder."""

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        settings: Settings,
        *,
        oracle: bool = False,
        latency: float = 0.0,
        shadow: float = 0.0,
        max_usd: float | None = None,
        mutants: int = MOST_MUTANTS,
        attribute: Attribute | None = None,
        sandbox: Sandbox | None = None,
        tell: Callable[[Progress], None] = _ignore,
    ) -> None:
        """``max_usd`` is for all starts together; ``mutants`` is how many are tried of what is learned."""
        self.plan = plan
        self._folder = folder
        self._arms = Arms(
            folder, settings, oracle=oracle, latency=latency, shadow=shadow, mutants=mutants, sandbox=sandbox
        )
        self._told = {**plan.told(), "latency": latency, "shadow": shadow, "mutants": mutants, "max_usd": max_usd}
        self._log = OutcomeLog(folder)
        self._max_usd = max_usd
        self._mutants = mutants
        self._attribute = attribute
        self._tell = tell
        self._spent_before = 0.0
        self._checked: set[str] = set()
        """Libraries that were looked through for what a killed start left."""

    async def run(self) -> Ended:
        """Ask what is not done yet. Raises UsageError before anything is asked; HabitError when no model replies."""
        with self._log:
            async with self._arms:
                self._spent_before = await self._arms.store.spent_since(0.0)
                return await self._all()

    async def _all(self) -> Ended:
        items = [(item, self.key_of(item)) for item in self.plan.items()]
        for item, key in items:
            if key in self._log.outcomes:
                self._must_be_as_now(item, self._log.outcomes[key])
        counted = [key for item, key in items if item.part != "learning"]
        total = len(counted)

        def done() -> int:
            return sum(key in self._log.outcomes for key in counted)

        stopped = ""
        try:
            for item, key in items:
                if key in self._log.outcomes or (item.part == "learning" and await self._is_learned(item)):
                    continue
                self._tell(Progress(done(), total, asking=item))
                outcome = await self._ask(item, key)
                self._log.add(outcome)
                self._tell(Progress(done(), total, outcome=outcome))
        except _OutOfMoney:
            stopped = f"the next question may cost more than what is left of ${self._max_usd:g}"
        return Ended(done(), total, self._spent, stopped)

    def key_of(self, item: Item) -> str:
        """What a second start looks up."""
        stream = [self.plan.stream, self.plan.near] if item.part == "stream" else 0
        return digest_of(
            item.planned.key, item.part, item.seed, item.number, stream, item.library, *self._arms.how(item)
        )

    def _must_be_as_now(self, item: Item, before: Outcome) -> None:
        """Raises UsageError where ``before`` was asked with other settings, because their defaults were others then."""
        now = self._arms.told(self._arms.settings_of(item))
        for name in sorted(now.keys() & before.settings.keys()):
            if before.settings[name] != now[name]:
                raise UsageError(
                    f"Outcomes in {self._folder} were made with {name} {before.settings[name]}, and now it is "
                    f"{now[name]}: set it as it was, or use another --out."
                )

    @property
    def _spent(self) -> float:
        return self._spent_before + self._arms.spent

    def _left(self) -> Budget:
        """What one question may use of what is left."""
        if self._max_usd is None:
            return Budget()
        left = self._max_usd - self._spent
        if left <= 0:
            raise _OutOfMoney
        return Budget(max_usd=left)

    async def _is_learned(self, item: Item) -> bool:
        """Whether a habit of the item's family has been learned, from a question that is written down."""
        arm = await self._arms.arm(item)
        assert arm.repository is not None
        written = {one.run for one in self._log.outcomes.values()}
        habits = await anyio.to_thread.run_sync(arm.repository.habits)
        return any(one.name == item.family.name and written.issuperset(one.spec.provenance.runs) for one in habits)

    async def _ask(self, item: Item, key: str) -> Outcome:
        question = await anyio.to_thread.run_sync(item.question)
        truth, context = await anyio.to_thread.run_sync(lambda: (question.truth, question.context))
        arm = await self._arms.arm(item)
        self._arms.about(item, question)
        began = time.perf_counter()
        run = await self._left_over(arm, question)
        if run is None:
            run = await self._answered(arm.engine, question, context)
        await arm.engine.settled()  # repairs and shadows are counted with the question that called for them
        if _is_unreachable(run, await self._arms.store.calls(run.id)):
            raise HabitError(f"The model can't be reached ({run.error}); start the same bench again once it can.")
        there = run.status in ("answered", "salvaged")
        right = there and question.is_right(plain(run.answer))
        learned = ""
        if right and arm.repository is not None and item.strategy in ("auto", "rlm"):
            name, afresh = question.family.name, run.habit is None
            learned = await look_after(arm.engine, arm.repository, run.id, name, learned=afresh, mutants=self._mutants)
        record = await self._arms.store.run(run.id)
        outcome = replace(
            _outcome_of(run, item, question, truth),
            key=key,
            size=question.size or record.context["bytes"],
            right=right,
            learned=learned,
            score=round(question.score(plain(run.answer)), 4) if there else 0.0,
            extra_seconds=round(max(0.0, time.perf_counter() - began - run.seconds), 3),
            model=self._arms.model,
            oracle=self._arms.oracle,
            latency=self._arms.latency,
            settings={**arm.settings, "windows": record.settings["windows"]},
            bench=self._told,
            versions=self._arms.versions,
        )
        outcome = await self._with_extras(outcome, item)
        if right or self._attribute is None:
            return outcome
        if item.strategy == "habit" and run.answer is None:  # nothing was answered, so nothing was answered wrongly
            return replace(outcome, evidence=run.error or run.why)
        try:
            fault = await self._attribute(arm.engine, run.id, question, root=self._arms.root)
        except HabitError as problem:  # the outcome stands without it
            return replace(outcome, evidence=f"whose fault it is could not be found out: {problem}")
        return replace(outcome, fault=fault.who, evidence=fault.evidence)

    async def _answered(self, engine: Engine, question: Question, context: object) -> Run:
        """The run, however it ended. Raises _OutOfMoney when the bench's own budget stopped it."""
        async with engine.session(context, budget=self._left()) as session:
            session.last = True
            try:
                return await session.ask(question.text, returns=question.family.returns)
            except BudgetExceeded as failure:
                if failure.scope == "session" or failure.run is None:
                    raise _OutOfMoney from None
                return failure.run
            except RunError as failure:
                if failure.run is None:
                    raise
                return failure.run

    async def _left_over(self, arm: Arm, question: Question) -> Run | None:
        """The run of a question that was answered and learned from, when a kill came before it was written down.

        Asked again it would be answered by the habit that was learned from it, which no uninterrupted bench does.
        """
        if arm.repository is None or str(arm.repository.place.git.folder) in self._checked:
            return None
        self._checked.add(str(arm.repository.place.git.folder))
        written = {one.run for one in self._log.outcomes.values()}
        habits = await anyio.to_thread.run_sync(arm.repository.habits)
        for run in {run for habit in habits for run in habit.spec.provenance.runs if habit.version == 1} - written:
            record = await self._arms.store.run(run)
            if record.query == question.text and record.result is not None:
                return Run.from_json(record.result)
        return None

    async def _with_extras(self, outcome: Outcome, item: Item) -> Outcome:
        """With what the runs cost that this one led to; and learning, with the first use of what was learned."""
        tokens, output, usd = 0, 0, outcome.usd
        for usage in await usages_besides(self._arms.store, outcome.run):
            tokens += tokens_used(usage)
            output += output_used(usage)
            usd = None if usd is None or usage["usd"] is None else usd + usage["usd"]
        seconds = outcome.extra_seconds
        for learned in self._learning_of(item) if self.plan.is_first_use(item) else ():
            tokens += learned.tokens
            output += learned.output_tokens or 0
            usd = None if usd is None or learned.usd is None else usd + learned.usd
            seconds += learned.seconds + learned.extra_seconds
        return replace(
            outcome, extra_tokens=tokens, extra_output_tokens=output, usd=usd, extra_seconds=round(seconds, 3)
        )

    def _learning_of(self, item: Item) -> list[Outcome]:
        """What was asked so that a habit of the item's family could be learned."""
        keys = map(self.key_of, self.plan.learning_of(item))
        return [self._log.outcomes[key] for key in keys if key in self._log.outcomes]


def _is_unreachable(run: Run, calls: Sequence[CallRecord]) -> bool:
    """Whether the run failed because nothing answered at all."""
    return run.status == "failed" and bool(calls) and all(call.error_reason in _UNREACHABLE for call in calls)


def _outcome_of(run: Run, item: Item, question: Question, truth: object) -> Outcome:
    """What the run itself tells; the rest is for the bench to add."""
    accounts = run.orchestration or Orchestration()
    root, leaf = run.usage.root, run.usage.leaf
    return Outcome(
        key="",
        question_key=item.planned.key,
        kind=question.kind,
        family=question.family.name,
        near=question.family.near,
        size=0,
        form=question.form,
        seed=item.seed,
        number=item.number,
        stream=item.stream,
        part=item.part,
        strategy=item.strategy,
        model="",
        oracle=False,
        noise=item.noise,
        latency=0.0,
        question=question.text,
        truth=plain(truth),
        answer=plain(run.answer),
        right=False,
        score=0.0,
        status=run.status,
        error=run.error,
        answered_by=run.habit or ("" if run.answer is None else run.strategy),
        why=run.why,
        root_calls=root.calls,
        leaf_calls=leaf.calls,
        root_tokens=root.input_tokens + root.output_tokens,
        leaf_tokens=leaf.input_tokens + leaf.output_tokens,
        root_output_tokens=root.output_tokens,
        leaf_output_tokens=leaf.output_tokens,
        extra_tokens=0,
        peak_prompt_tokens=run.peak_prompt_tokens,
        reentered_tokens=accounts.reentered_tokens,
        bookkeeping_tokens=accounts.bookkeeping_tokens,
        critical_path_seconds=round(accounts.critical_path_seconds, 3),
        seconds=round(run.seconds, 3),
        extra_seconds=0.0,
        usd=run.usage.usd,
        wasted_calls=accounts.wasted_calls,
        run=run.id,
    )
