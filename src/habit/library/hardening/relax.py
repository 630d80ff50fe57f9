"""Relax: code that signals speak against becomes a leaf call again, or the habit goes back to being solved afresh."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from habit.errors import UsageError
from habit.library.case import Case, Replies
from habit.library.checks import Report, check, examine
from habit.library.evidence import Use
from habit.library.habit import Habit
from habit.library.hardening.rewriting import without_rules
from habit.library.rehearsal import stage
from habit.library.same import same
from habit.library.spec import HabitSpec
from habit.sandbox.session import Sandbox

FEW_USES = 5
"""Uses before shares of them say anything."""
_OTHER_REASONS = re.compile(r"it used up its budget|([\w.]+\.)?CallFailed\b|it gave no answer|stopped ")
"""How reasons begin for which habits give up on inputs of their own format."""
TOO_MANY = 0.5
"""The share of uses that may fall back because of the format before a habit is better retired."""


@dataclass(frozen=True)
class Signals:
    """What speaks against a version, as its evidence has it."""

    uses: int = 0
    """How often it was tried."""
    fallbacks_by_format: int = 0
    """Of these, how often it gave up because of the input's format."""
    failed_shadows: int = 0
    """How often a hit, solved afresh, gave another answer."""
    broken_relations: Sequence[str] = ()
    """Recorded relations that do not hold any more."""

    @property
    def speaks(self) -> str:
        """What they say, in a few words; empty when nothing speaks against it."""
        parts = []
        if self.failed_shadows:
            parts.append(f"{self.failed_shadows} of its answers differed when solved afresh")
        if self.fallbacks_by_format:
            parts.append(f"{self.fallbacks_by_format} of {self.uses} uses gave up because of the format")
        if self.broken_relations:
            parts.append(f"{', '.join(self.broken_relations)} no longer holds")
        return "; ".join(parts)


def signals_of(uses: Iterable[Use], version: int | None, *, since: float = 0.0) -> Signals:
    """What the evidence says against one version, from the Unix second ``since`` on."""
    mine = [use for use in uses if use.version == version and use.at >= since]
    tried = sum(use.outcome in ("hit", "fallback", "violated") for use in mine)
    return Signals(tried, sum(map(_by_format, mine)), sum(use.outcome == "disagreed" for use in mine))


def _by_format(use: Use) -> bool:
    """Whether the input was of another format: the contract said so, or the code failed or broke a promise on it.

    A leaf call that failed and a budget that was used up say nothing of the format.
    """
    if use.outcome == "fallback":
        return bool(use.reason) and not _OTHER_REASONS.match(use.reason)
    return use.outcome == "violated"


@dataclass(frozen=True)
class Relaxed:
    """What is to be done."""

    habit: Habit | None
    """The candidate whose rules are leaf calls again; None when the habit is to be retired."""
    report: Report | None
    why: str


async def relax(sandbox: Sandbox, habit: Habit, signals: Signals, earlier: Sequence[Habit] = ()) -> Relaxed:
    """Take the rules of a hardened habit away again; have one without rules retired when too much speaks against it.

    ``earlier`` holds the versions before, the newest first: their cases have the replies that the rules replaced. Cases
    whose replies nobody has are left out; where that leaves none, the version before the rules is restored. Raises
    UsageError when too little speaks against the habit, or nothing can be put in its place.
    """
    broken = (await check(sandbox, habit)).broken
    names = sorted({*signals.broken_relations, *(one.relation for one in broken)})
    signals = replace(signals, broken_relations=names)
    if not signals.speaks:
        raise UsageError(f"Nothing speaks against {habit.label}: it stays as it is.")
    source, rules = without_rules(habit.source)
    if rules:
        return await _without(sandbox, habit, earlier, source, signals)
    often = signals.uses >= FEW_USES and signals.fallbacks_by_format >= TOO_MANY * signals.uses
    if signals.failed_shadows or names or often:
        return Relaxed(None, None, signals.speaks)
    raise UsageError(f"Too little speaks against {habit.label} ({signals.speaks}): a repair suits it better.")


async def _without(sandbox: Sandbox, habit: Habit, earlier: Sequence[Habit], source: str, signals: Signals) -> Relaxed:
    cases: dict[str, Case] = {}
    for version in (*earlier, habit):
        for name, case in version.cases.items():
            if name in cases:
                continue
            async with stage(sandbox, case.context, habit.spec.answer_type.check) as here:
                played = await here.play(source, case.parameters, Replies(case.exchanges))
            if not played.trouble and same(played.answer, case.expected):
                cases[name] = replace(case, exchanges=list(played.asked))
    if not cases:
        for version in earlier:
            alike = (version.spec.parameters, version.spec.returns) == (habit.spec.parameters, habit.spec.returns)
            if alike and not without_rules(version.source)[1]:
                return await _restored(sandbox, habit, version, signals)
        raise UsageError(
            f"{habit.label} can't be relaxed, because the replies that its rules replaced are not at hand: "
            f"habit rollback {habit.name} N takes the version before."
        )
    relaxed = Habit(_because(habit, habit, signals), source, cases)
    report = await examine(sandbox, relaxed)
    ceiling = report.ceiling or relaxed.spec.ceiling
    relations = [name for name in relaxed.spec.relations if name in report.held]
    spec = relaxed.spec.model_copy(update={"ceiling": ceiling, "relations": tuple(relations)})
    relaxed = replace(relaxed, spec=spec)
    return Relaxed(relaxed, replace(report, recorded=relations), signals.speaks)


async def _restored(sandbox: Sandbox, habit: Habit, version: Habit, signals: Signals) -> Relaxed:
    """The version before the rules, as a candidate."""
    restored = replace(version, spec=_because(habit, version, signals), version=None)
    return Relaxed(restored, await examine(sandbox, restored), f"{signals.speaks}; as {version.label} was")


def _because(habit: Habit, like: Habit, signals: Signals) -> HabitSpec:
    """What ``like`` says of itself, as what takes the place of ``habit``."""
    origin = f"{habit.name}@{habit.version}" if habit.version is not None else habit.spec.provenance.repairs
    notes = (*like.spec.provenance.notes, f"relaxed: {signals.speaks}")
    provenance = like.spec.provenance.model_copy(update={"repairs": origin, "notes": notes})
    return like.spec.model_copy(update={"provenance": provenance})
