"""The columns that tables of outcomes share, and how outcomes are grouped into rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, median

from habit.bench.chances import wilson
from habit.bench.outcome import Outcome, differing
from habit.library.checks.examine import MOST_MUTANTS

ORDER = ("direct", "agent", "rlm", "habit", "auto")
"""The order in which strategies are shown."""
RIGHT = ("n", "right", "95 %", "score")
COSTS = ("root tokens", "leaf tokens", "extra tokens", "peak prompt", "calls", "seconds", "US$")


def who_of(outcome: Outcome) -> str:
    """Who answered, and what differs from the defaults; the script is always called so."""
    parts = [f"{outcome.model} (a script, no model)" if outcome.oracle else outcome.model]
    parts += [f"noise {outcome.noise:g}"] if outcome.noise else []
    parts += [f"latency {outcome.latency:g} s"] if outcome.latency else []
    others = differing(outcome.settings)
    parts += [f"{name} {value}" for name, value in sorted(others.items()) if name not in ("no_cache", "shadow")]
    mutants = outcome.bench.get("mutants", MOST_MUTANTS)
    parts += [f"mutants {mutants}"] if mutants != MOST_MUTANTS else []
    return ", ".join(parts)


def grouped(
    outcomes: Iterable[Outcome], by: Callable[[Outcome], str | int | float]
) -> dict[str | int | float, list[Outcome]]:
    """The outcomes of each value of ``by``, in the order of the values; strategies in theirs."""
    groups: dict[str | int | float, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[by(outcome)].append(outcome)

    def place(value: str | int | float) -> tuple[int, str | int | float]:
        return (ORDER.index(str(value)), value) if value in ORDER else (len(ORDER), value)

    return {value: groups[value] for value in sorted(groups, key=place)}


def strategy_of(outcome: Outcome) -> str:
    """How it was asked."""
    return outcome.strategy


def rightness(outcomes: Sequence[Outcome]) -> list[str]:
    """The cells below ``RIGHT``."""
    count, right = len(outcomes), sum(one.right for one in outcomes)
    low, high = wilson(right, count)
    score = fmean(one.score for one in outcomes)
    return [f"{count:,}", f"{100 * right / count:.0f} %", f"{100 * low:.0f}–{100 * high:.0f}", f"{score:.2f}"]


def costs(outcomes: Sequence[Outcome]) -> list[str]:
    """The cells below ``COSTS``."""
    prices = [one.usd for one in outcomes]
    known = [price for price in prices if price is not None]
    return [
        count_text(fmean(one.root_tokens for one in outcomes)),
        count_text(fmean(one.leaf_tokens for one in outcomes)),
        count_text(fmean(one.extra_tokens for one in outcomes)),
        count_text(max(one.peak_prompt_tokens for one in outcomes)),
        number_text(fmean(one.root_calls + one.leaf_calls for one in outcomes)),
        number_text(median(one.seconds for one in outcomes)),
        "unknown" if len(known) < len(prices) else f"{fmean(known):.4f}",
    ]


def own_tokens(outcome: Outcome) -> float:
    """Tokens of the question itself, without those of learning its habit once."""
    return outcome.root_tokens + outcome.leaf_tokens


def root_tokens(outcome: Outcome) -> float:
    """Tokens of steering."""
    return outcome.root_tokens


def count_text(value: float) -> str:
    """A whole number: ``1,234``."""
    return f"{value:,.0f}"


def number_text(value: float) -> str:
    """With one decimal where it is small."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def size_text(size: int) -> str:
    """``10 kB``, ``1 MB``; powers of 1,000."""
    for unit, factor in (("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size} B"
