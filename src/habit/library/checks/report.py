"""What the checks of a habit found: findings, a ceiling, cases, relations and mutants, as values and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from habit.library.spec import Ceiling


@dataclass(frozen=True)
class Finding:
    """One thing that a habit's code must not do, where it does it, and what to do instead."""

    rule: str
    """Which rule it breaks; a word from docs/checks.md."""
    line: int
    """Line of scheduler.py; 0 when it is about the whole."""
    message: str
    """What is wrong, without a full stop."""
    remedy: str
    """What to do."""

    def __str__(self) -> str:
        where = f"scheduler.py:{self.line}: " if self.line else "scheduler.py: "
        return f"{where}{self.message}: {self.remedy}"


@dataclass(frozen=True)
class CaseResult:
    """How one case went."""

    name: str
    trouble: str
    """What is wrong, in one sentence; empty when it is green."""
    calls: int = 0
    """Leaf calls it asked."""
    records: int = 0
    """Records of its context, as the ceiling counts them."""


@dataclass(frozen=True)
class RelationResult:
    """How one metamorphic relation went on one case."""

    relation: str
    case: str
    verdict: Literal["holds", "broken", "not applicable"]
    why: str = ""
    """What broke it, or why it does not apply."""


@dataclass(frozen=True)
class Survivor:
    """A change to the scheduler that no case and no relation noticed."""

    line: int
    change: str
    """What was changed, for people: ``== became !=``."""
    before: str
    after: str
    """The line before and after, without indentation."""


@dataclass(frozen=True)
class Mutation:
    """How the mutants fared."""

    made: int = 0
    """How many different changes there are."""
    tried: int = 0
    """How many of them were tried: the number and the time are bounded."""
    survivors: Sequence[Survivor] = ()
    seconds: float = 0.0

    @property
    def caught(self) -> int:
        """How many made a case or a relation fail."""
        return self.tried - len(self.survivors)


@dataclass(frozen=True)
class Report:
    """Everything ``examine`` found about one habit."""

    habit: str
    findings: Sequence[Finding] = ()
    ceiling: Ceiling | None = None
    """The most leaf calls a use can make, computed from the code; None when no bound could be seen."""
    cases: Sequence[CaseResult] = ()
    relations: Sequence[RelationResult] = ()
    recorded: Sequence[str] = ()
    """Relations that are tests of this habit: a broken one makes it red."""
    mutation: Mutation | None = None
    """None when no mutants were tried."""
    capabilities: Sequence[str] = field(default=())

    @property
    def unshown(self) -> Sequence[str]:
        """Recorded relations that no case can show any more: not applicable to every one of them."""
        shown = {one.relation for one in self.relations if one.verdict != "not applicable"}
        return [name for name in self.recorded if name not in shown] if self.relations else []

    @property
    def broken(self) -> Sequence[RelationResult]:
        """Recorded relations that do not hold any more."""
        return [one for one in self.relations if one.verdict == "broken" and one.relation in self.recorded]

    @property
    def held(self) -> Sequence[str]:
        """Relations that hold on every case they apply to, and apply to one at least: fit to be recorded."""
        holding = {one.relation for one in self.relations if one.verdict == "holds"}
        broken = {one.relation for one in self.relations if one.verdict == "broken"}
        return sorted(holding - broken)

    @property
    def order_matters(self) -> str:
        """What comes of another order of the records, where that changes more than the order of a list; else empty.

        Code that takes the first record it finds may have been right about its cases by luck.
        """
        same_items = {
            one.case for one in self.relations if one.relation == "record-order-of-list" and one.verdict == "holds"
        }
        broken = [one for one in self.relations if one.relation == "record-order" and one.verdict == "broken"]
        return next((one.why for one in broken if one.case not in same_items), "")

    @property
    def survivors(self) -> Sequence[Survivor]:
        """Mutants that nothing noticed."""
        return self.mutation.survivors if self.mutation else ()

    @property
    def green(self) -> bool:
        """Whether no rule is broken, there is a case, every case is green and every recorded relation holds."""
        return not self.troubles()

    @property
    def pure(self) -> bool:
        """Whether the habit needs nothing beyond pure computation and bounded calls, and keeps to the rules."""
        return not self.capabilities and not self.findings and self.ceiling is not None

    def troubles(self) -> Sequence[str]:
        """Why it is not green, a sentence each; empty when it is."""
        lines = [str(finding) for finding in self.findings]
        lines += [f"case {case.name}: {case.trouble}" for case in self.cases if case.trouble]
        lines += [f"relation {one.relation} on case {one.case}: {one.why}" for one in self.broken]
        lines += [f"relation {name}: no case can show it any more" for name in self.unshown]
        if not self.cases and not self.findings:
            lines.append("it has no case: learn it again, or restore cases/ from git")
        return lines

    def to_json(self) -> dict[str, Any]:
        """For programs, and for whoever stores what a review showed."""
        return {
            "habit": self.habit,
            "green": self.green,
            "pure": self.pure,
            "findings": [asdict(finding) for finding in self.findings],
            "ceiling": None if self.ceiling is None else self.ceiling.model_dump(exclude_none=True),
            "cases": [asdict(case) for case in self.cases],
            "relations": [asdict(relation) for relation in self.relations],
            "recorded": list(self.recorded),
            "mutation": None if self.mutation is None else {**asdict(self.mutation), "caught": self.mutation.caught},
            "capabilities": list(self.capabilities),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Report:
        """Read back what ``to_json`` gave."""
        mutation = value["mutation"]
        if mutation is not None:
            survivors = [Survivor(**survivor) for survivor in mutation["survivors"]]
            mutation = Mutation(mutation["made"], mutation["tried"], survivors, mutation["seconds"])
        return cls(
            value["habit"],
            [Finding(**finding) for finding in value["findings"]],
            None if value["ceiling"] is None else Ceiling(**value["ceiling"]),
            [CaseResult(**case) for case in value["cases"]],
            [RelationResult(**relation) for relation in value["relations"]],
            list(value["recorded"]),
            mutation,
            list(value["capabilities"]),
        )
