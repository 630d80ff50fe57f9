"""How each version of a habit has fared, added up from the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from habit.contexts.display import clean
from habit.library.evidence import Use

_MOST_REASON = 500
"""Characters of a reason, which may quote what a model or a habit wrote."""


@dataclass(frozen=True)
class Standing:
    """The uses of one version, added up; an empty name stands for the questions that no habit was for."""

    habit: str
    version: int
    hits: int
    fallbacks: int
    violated: int
    abstained: int
    shadows_agreed: int
    shadows_disagreed: int
    tokens: int | None
    """Median of a hit; None when there was none."""
    tokens_afresh: int | None
    """Median of what a fresh scheduler took for the same kind of question; None when that is not known."""
    usd: float | None
    seconds: float | None
    reasons: Sequence[str]
    """Why it was not used, the latest first."""

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)

    def text(self) -> str:
        """For people, a few lines."""
        if not self.habit:
            lines = [f"no habit   {self.abstained:,} questions answered by the model alone"]
        else:
            lines = [
                f"{self.habit}@{self.version}   {_times(self.hits, 'hit')}, {_times(self.fallbacks, 'fallback')}, "
                f"{self.violated:,} for inputs it does not take"
            ]
            if self.tokens is not None:
                afresh = "" if self.tokens_afresh is None else f"; afresh it takes {self.tokens_afresh:,} tokens"
                usd = "" if self.usd is None else f", ${self.usd:.4f}"
                lines.append(f"    a hit takes {self.tokens:,} tokens{usd}, {self.seconds or 0:.1f} s (median){afresh}")
            if shadows := self.shadows_agreed + self.shadows_disagreed:
                lines.append(f"    {self.shadows_agreed} of {shadows} shadow runs agreed")
        return "\n".join([*lines, *(f"    {clean(reason, _MOST_REASON)}" for reason in self.reasons)])


def standings(uses: Sequence[Use]) -> list[Standing]:
    """One for each version that there is evidence of, by name and version; last the questions that no habit was for."""
    groups: dict[tuple[str, int], list[Use]] = {}
    for use in uses:
        groups.setdefault((use.habit, use.version), []).append(use)
    ordered = sorted(groups.items(), key=lambda item: (not item[0][0], item[0]))
    return [_added_up(name, version, group) for (name, version), group in ordered]


def _added_up(name: str, version: int, uses: Sequence[Use]) -> Standing:
    hits = [use for use in uses if use.outcome == "hit"]
    afresh = [use.tokens for use in uses if use.outcome in ("fallback", "violated", "agreed", "disagreed")]
    prices = [use.usd for use in hits if use.usd is not None]
    reasons = [use.reason for use in reversed(uses) if use.outcome not in ("hit", "agreed") and use.reason]

    def count(outcome: str) -> int:
        return sum(use.outcome == outcome for use in uses)

    return Standing(
        name,
        version,
        hits=len(hits),
        fallbacks=count("fallback"),
        violated=count("violated"),
        abstained=count("abstained"),
        shadows_agreed=count("agreed"),
        shadows_disagreed=count("disagreed"),
        tokens=round(median(use.tokens for use in hits)) if hits else None,
        tokens_afresh=round(median(afresh)) if afresh else None,
        usd=median(prices) if prices else None,
        seconds=median(use.seconds for use in hits) if hits else None,
        reasons=list(dict.fromkeys(reasons))[:3],
    )


def _times(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
