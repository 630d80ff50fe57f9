"""The librarian: chooses an approved habit for a question, and looks after what became of it.

Two gates that are never conflated: *fit* (is this question, about this input, one that the habit answers?) and *trust*
(is this version approved, and not suspended?).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread

from habit.calls.kernel import Kernel
from habit.config import Settings
from habit.contexts.context import Context
from habit.errors import HabitError, UsageError
from habit.events import Notice
from habit.librarian import Asking, Ended
from habit.library.contract import Facts, contract_for, observe, violated, violations_throughout
from habit.library.evidence import Evidence, Outcome, Use
from habit.library.habit import Habit
from habit.library.labels import unknown_label
from habit.library.match import Match, Matcher
from habit.library.repair import Breakage, repair
from habit.library.repository import Repository
from habit.library.same import same_answer
from habit.library.using import chosen, filled, judge_of, narrowed_by
from habit.resources import Resources
from habit.run import Run, plain
from habit.schedulers.habit import MATCH_SESSION, Choice, Chosen, hint_after
from habit.schedulers.scheduler import Task

_HOW = {
    "phrasing": "the question is put as one of its phrasings",
    "remembered phrasing": "the question is put as one that it answered before",
    "model": "a model said so, and nothing in the question speaks against it",
}
"""Why a habit was chosen, by how it was matched."""
SHADOWS_LOOKED_AT = 5
SHADOWS_THAT_FAIL = 2
"""A version is suspended when so many of its latest shadows disagree."""


class LibraryLibrarian:
    """Chooses among the approved habits of the library that the settings name, and keeps the evidence."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._evidence = Evidence(evidence_path(resources.settings))
        self._matcher = Matcher(self._evidence)
        self._repository: Repository | None = None

    async def choose(self, kernel: Kernel, task: Task, strategy: str) -> Choice:
        """A habit that fits the question and its input, else why there is none."""
        try:
            return await self._choose(kernel, task)
        except UsageError as problem:  # a library that can't be read keeps nobody from an answer
            if strategy == "habit":
                raise
            return Choice(None, str(problem))

    async def _choose(self, kernel: Kernel, task: Task) -> Choice:
        habits, kept_out = await anyio.to_thread.run_sync(self._trusted)
        if not habits:
            return Choice(None, kept_out)
        facts = await anyio.to_thread.run_sync(observe, task.context)
        found = await self._matcher.match(
            task.query, facts, habits, returns=task.returns, kernel=kernel, session=MATCH_SESSION
        )
        if isinstance(found, Match):
            phrasing = (found.phrasing or "") if found.how != "phrasing" else ""
            return await self._fitting(found.habit, found.parameters, facts, _HOW[found.how], phrasing)
        if found.unfit is None:
            return Choice(None, found.reason)
        return _drifted(found.unfit.habit, found.unfit.parameters, found.unfit.violations[0])

    async def _fitting(
        self, habit: Habit, parameters: Mapping[str, Any], facts: Facts, why: str, phrasing: str = ""
    ) -> Choice:
        """The habit, if its contract holds for all of the input and not only for the samples it was matched by."""

        def throughout() -> list[str]:
            return violations_throughout(contract_for(habit.spec, facts), facts)

        broken = await anyio.to_thread.run_sync(throughout, abandon_on_cancel=True)
        if broken:
            return _drifted(habit, parameters, broken[0])
        unknown = await anyio.to_thread.run_sync(unknown_label, habit, parameters, facts, abandon_on_cancel=True)
        if unknown:
            return Choice(None, unknown, parameters=parameters)
        use = await anyio.to_thread.run_sync(self._chosen, habit, parameters, facts)
        return Choice(use, why, parameters=parameters, phrasing=phrasing)

    def repository(self) -> Repository:
        """The library's repository, opened at first use. Blocks. Raises UsageError when there is none."""
        if self._repository is None:
            self._repository = Repository.open(self._resources.settings.library)
        return self._repository

    def _trusted(self) -> tuple[list[Habit], str]:
        """The approved habits that nothing suspends; where there is none, why."""
        repository = self.repository()
        habits = repository.habits()
        if habits:  # why others are left out is asked for only where there is none, and costs several git processes
            return habits, ""
        left_out = "; ".join(repository.warnings())
        return habits, left_out or f"the library {self._resources.settings.library} has no approved habit"

    def _chosen(self, habit: Habit, parameters: Mapping[str, Any], facts: Facts) -> Chosen:
        """The habit to run, within a budget that its evidence has narrowed."""
        use = chosen(habit, parameters, facts)
        uses = [one for one in self._evidence.uses(habit.name) if one.version == habit.version]
        return replace(use, budget=narrowed_by(uses, use.budget))

    def judge_of(self, chosen: Chosen, context: Context) -> Callable[[Any], Sequence[str]]:
        """The judge of a habit that was chosen before this process began."""
        return judge_of(chosen, context)

    async def note(self, ended: Ended) -> bool:
        """Note what became of the run; whether it calls for more that is still to be done."""
        try:
            return await anyio.to_thread.run_sync(self._note, ended)
        except HabitError as problem:
            ended.tell(Notice("The answer stands; looking after the library failed", str(problem)))
            return False

    async def after(self, ended: Ended, ask: Asking) -> None:
        """Do what the run calls for, unless that was done meanwhile."""
        try:
            if not await anyio.to_thread.run_sync(partial(self._evidence.calls_for, ended.run.id, more=True)):
                return
            if ended.run.habit is not None:
                await self._shadow(ended, ask)
            else:
                await self._repair(ended, ask)
            await anyio.to_thread.run_sync(self._evidence.is_done, ended.run.id)
        except HabitError as problem:
            ended.tell(Notice("The answer stands; looking after the library failed", str(problem)))

    def _note(self, ended: Ended) -> bool:
        run, choice = ended.run, ended.choice
        if run.habit is not None and choice.chosen is not None:
            use = _use(run, choice.chosen.name, choice.chosen.version, "hit", run.why)
            self._evidence.note(use, phrasing=choice.phrasing)
        elif choice.chosen is not None:
            self._evidence.note(_use(run, choice.chosen.name, choice.chosen.version, "fallback", ended.gave_up))
        elif choice.drift:
            name, _, version = choice.drift.partition("@")
            self._evidence.note(_use(run, name, int(version), "violated", run.why))
        else:
            self._evidence.note(_use(run, "", 0, "abstained", run.why))
        return run.status == "answered" and self._evidence.calls_for(run.id, more=self._calls_for_more(ended))

    def _calls_for_more(self, ended: Ended) -> bool:
        """Whether a hit is drawn for a shadow, or an input that a habit could not answer can mend it."""
        settings, choice = self._resources.settings, ended.choice
        if ended.budget_left is None:
            return False
        if ended.run.habit is not None:
            return choice.chosen is not None and _is_drawn(ended.run.id, settings.shadow)
        return not settings.no_repair and (choice.chosen is not None or bool(choice.drift))

    async def _shadow(self, ended: Ended, ask: Asking) -> None:
        """Solve a hit afresh, and compare; a version whose shadows keep disagreeing is suspended."""
        run, used = ended.run, ended.choice.chosen
        if used is None:
            return
        ended.tell(Notice(f"Solving this afresh as well, to compare with {used.full_name} (--shadow)."))
        fresh = await ask(run.query, returns=ended.returns, use_cache=False)
        if fresh.status != "answered":
            ended.tell(Notice("The comparison came to no end", fresh.error or f"run {fresh.id} met a limit"))
            return
        same = same_answer(ended.returns, fresh.answer, run.answer)
        outcome: Outcome = "agreed" if same else "disagreed"
        reason = (
            "" if same else f"{str(plain(run.answer))[:80]} against {str(plain(fresh.answer))[:80]}, run {fresh.id}"
        )

        def note() -> list[Use]:
            self._evidence.note(_use(fresh, used.name, used.version, outcome, reason))
            if not same and ended.choice.phrasing:
                self._evidence.remove(used.name, ended.choice.phrasing)
            return self._evidence.uses(used.name)

        uses = await anyio.to_thread.run_sync(note)
        if same:
            return
        ended.tell(Notice(f"{used.full_name} and a fresh scheduler disagree", reason))
        in_use = await anyio.to_thread.run_sync(self._is_in_use, used)
        since = await anyio.to_thread.run_sync(lambda: self.repository().restored(used.name))
        shadows = [use for use in uses if use.version == used.version and use.outcome in ("agreed", "disagreed")]
        shadows = [use for use in shadows if use.at > since]  # whoever rolled back knew of those before
        failed = sum(use.outcome == "disagreed" for use in shadows[-SHADOWS_LOOKED_AT:])
        if failed >= SHADOWS_THAT_FAIL and in_use:
            why = f"{failed} of its last {min(len(shadows), SHADOWS_LOOKED_AT)} shadow runs disagreed"
            await anyio.to_thread.run_sync(self.repository().suspend, used.name, why)
            ended.tell(Notice(f"{used.full_name} is suspended, because {why}; see: habit stats {used.name}"))
        if in_use and not self._resources.settings.no_repair:
            clause = f"it answers {str(plain(run.answer))[:80]}, and a program written afresh disagrees"
            await self._mend(ended, ask, used.name, used.version, used.parameters, fresh, clause, disputed=True)

    def _is_in_use(self, used: Chosen) -> bool:
        """Whether the version that was used is the active one; it may have been named, or suspended meanwhile."""
        return any((habit.name, habit.version) == (used.name, used.version) for habit in self.repository().habits())

    async def aclose(self) -> None:
        """Close the evidence."""
        await anyio.to_thread.run_sync(self._evidence.close)

    async def _repair(self, ended: Ended, ask: Asking) -> None:
        """Open a repair of a habit that this question was for and that could not answer it."""
        choice = ended.choice
        if choice.chosen is not None:
            name, parameters, clause = choice.chosen.name, choice.chosen.parameters, ended.gave_up
        else:
            name, parameters, clause = choice.drift.partition("@")[0], choice.parameters, ended.run.why
        ran = choice.chosen is not None
        await self._mend(ended, ask, name, None, parameters, ended.run, clause, ran=ran)

    async def _mend(
        self,
        ended: Ended,
        ask: Asking,
        name: str,
        version: int | None,
        parameters: Mapping[str, Any],
        fresh: Run,
        clause: str,
        **how: bool,
    ) -> None:
        """Open a repair by the answer of the ``fresh`` scheduler; ``how`` goes to Breakage."""
        repository = await anyio.to_thread.run_sync(self.repository)
        habit = await anyio.to_thread.run_sync(repository.get, name, version)
        ended.tell(Notice(f"Repairing {habit.label}", clause))
        breakage = Breakage(habit, await ended.context(), parameters, fresh, clause, **how)
        ended.tell(await repair(breakage, self._resources, repository, ask))


class NamedLibrarian(LibraryLibrarian):
    """Chooses the habit that was named, with the parameters that were given: nothing is matched."""

    def __init__(
        self, library: LibraryLibrarian, name: str, version: int | None, parameters: Mapping[str, Any]
    ) -> None:
        """A guise of ``library``, whose evidence it shares and which is closed in its stead."""
        vars(self).update(vars(library))
        self._name = name
        self._version = version
        self._given = parameters

    async def named(self) -> tuple[Habit, dict[str, Any]]:
        """The habit and its parameters. Raises UsageError."""
        habit = await anyio.to_thread.run_sync(lambda: self.repository().get(self._name, self._version))
        return habit, filled(habit.spec, self._given)

    async def _choose(self, kernel: Kernel, task: Task) -> Choice:
        habit, parameters = await self.named()
        facts = await anyio.to_thread.run_sync(observe, task.context)
        broken = violated(habit.spec, facts)
        if broken:
            return _drifted(habit, parameters, broken[0])
        return await self._fitting(habit, parameters, facts, "it was named")


def _drifted(habit: Habit, parameters: Mapping[str, Any], clause: str) -> Choice:
    """The question is the habit's, and the input is not."""
    return Choice(
        None,
        f"{habit.label} answers this question, but not about this input: {clause}",
        drift=habit.label,
        parameters=parameters,
        hint=hint_after(habit.source, clause),
    )


def evidence_path(settings: Settings) -> Path | None:
    """Where the evidence is kept: beside the journal; None where there is none."""
    return None if settings.no_journal else Path(settings.journal).with_name("evidence.db")


def _use(run: Run, habit: str, version: int, outcome: Outcome, reason: str) -> Use:
    usage = run.usage
    root = usage.root.input_tokens + usage.root.output_tokens
    leaf = usage.leaf.input_tokens + usage.leaf.output_tokens
    figures = (root + leaf, root, usage.usd, run.seconds, usage.calls)
    return Use(habit, version, run.id, time.time(), outcome, reason, *figures)


def _is_drawn(run_id: str, share: float) -> bool:
    """Whether this run is among the share that is drawn; the same run is always drawn alike."""
    number = int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:8], "big")
    return number < share * 2**64
