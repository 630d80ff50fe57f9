"""The sections about what went wrong: with noise, by whose fault, and what could not be learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from habit.bench.outcome import Outcome
from habit.bench.report.columns import RIGHT, grouped, rightness, strategy_of, who_of
from habit.bench.report.parts import Plot, Section, Table

_MOST_ERRORS = 12


def noise_sections(outcomes: Sequence[Outcome]) -> list[Section]:
    """What becomes of answers where more and more leaf replies are wrong."""
    grid = [one for one in outcomes if one.part == "grid" and one.oracle]
    if len({one.noise for one in grid}) < 2:
        return []
    rows, scores, shares = [], {}, {}
    for strategy, mine in grouped(grid, strategy_of).items():
        by_noise = grouped(mine, lambda one: one.noise)
        rows += [[str(strategy), f"{noise:g}", *rightness(each)] for noise, each in by_noise.items()]
        scores[str(strategy)] = [(float(noise), fmean(one.score for one in each)) for noise, each in by_noise.items()]
        shares[str(strategy)] = [(float(noise), fmean(one.right for one in each)) for noise, each in by_noise.items()]
    who = "oracle (a script, no model)"
    noise_label = "share of leaf replies that are wrong"
    plots = [
        Plot("noise-right", f"Right answers against noise: {who}", noise_label, "share of right answers", shares),
        Plot("noise", f"Score against noise: {who}", noise_label, "mean score", scores),
    ]
    return [Section(f"Noise: {who}", tables=[Table(who, ("strategy", "noise", *RIGHT), rows)], plots=plots)]


def wrong_sections(outcomes: Sequence[Outcome]) -> list[Section]:
    """How wrong answers ended, whose fault they are, and what was said of those that failed."""
    wrong = [one for one in outcomes if not one.right]
    if not wrong:
        return [Section("Wrong answers", ["There are none."])]
    ways = Counter((who_of(one), one.strategy, one.status, one.fault or _unasked(one)) for one in wrong)
    errors = Counter((one.strategy, _short(one.error)) for one in wrong if one.error)
    return [
        Section(
            "Wrong answers",
            tables=[
                Table(
                    "How they ended, and whose fault they are",
                    ("who", "strategy", "status", "fault", "count"),
                    [[*way, f"{count:,}"] for way, count in sorted(ways.items())],
                ),
                Table(
                    "What was said of those that failed, most frequent first",
                    ("strategy", "error", "count"),
                    [[*error, f"{count:,}"] for error, count in errors.most_common(_MOST_ERRORS)],
                ),
            ],
        )
    ]


def _unasked(outcome: Outcome) -> str:
    return "not asked" if outcome.answered_by or not outcome.evidence else "no answer"


def unlearned_sections(outcomes: Sequence[Outcome]) -> list[Section]:
    """Right answers of which no habit could be made, which is why their family was asked afresh."""
    refused = Counter((one.family, _short(one.learned)) for one in outcomes if one.learned and "@" not in one.learned)
    if not refused:
        return []
    rows = [[*reason, f"{count:,}"] for reason, count in sorted(refused.items())]
    return [Section("What could not be learned", tables=[Table("By family", ("family", "why", "times"), rows)])]


def _short(text: str) -> str:
    return " ".join(text.split())[:160]
