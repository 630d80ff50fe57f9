"""The page of a report: what the outcomes of one bench, or of several, say together."""

from __future__ import annotations

from collections.abc import Sequence

from habit.bench.outcome import Outcome
from habit.bench.report.columns import grouped, who_of
from habit.bench.report.grids import grid_sections
from habit.bench.report.parts import Page
from habit.bench.report.pricing import Prices
from habit.bench.report.streams import stream_sections
from habit.bench.report.wrong import noise_sections, unlearned_sections, wrong_sections


def report_of(outcomes: Sequence[Outcome], *, commands: Sequence[str] = (), prices: Prices | None = None) -> Page:
    """The page about ``outcomes``, those of several benches too; ``commands`` made them, and with ``prices`` they cost
    what those say."""
    told = list({one.key: one for one in outcomes}.values())
    told = prices.applied(told) if prices else told
    asked = [one for one in told if one.part != "learning"]
    sections = []
    for number, (name, mine) in enumerate(grouped(asked, who_of).items(), 1):
        who = f"{name}, US$ as for {prices.model}" if prices else str(name)
        sections += [*grid_sections(who, f"{number}", mine), *stream_sections(who, f"{number}", mine)]
    sections += [*noise_sections(asked), *wrong_sections(asked), *unlearned_sections(told)]
    return Page("What was measured", [*_introduction(told), *([prices.note] if prices else [])], commands, sections)


def _introduction(told: Sequence[Outcome]) -> list[str]:
    asked = [one for one in told if one.part != "learning"]
    grid, real = (sum(one.part == part for one in asked) for part in ("grid", "real"))
    about_real = f", {real:,} about real texts" if real else ""
    learning = len(told) - len(asked)
    text = [
        f"{len(asked):,} questions: {grid:,} of a grid{about_real}, {len(asked) - grid - real:,} of streams; and "
        f"{learning:,} asked to learn habits from, whose cost is counted with the first use of the habit "
        "(extra tokens)."
    ]
    if any(one.oracle for one in told):
        text.append(
            "Where the oracle is named, a script that knows the truth answered in the place of a model. Its costs are "
            "those of the scheduler; what it gets right says nothing of any model."
        )
    text.append(
        "Right: the share of all questions asked, with Wilson's 95 % interval; a question that failed is a wrong one. "
        "Tokens are input and output together, as means of a question; peak prompt is the largest of all; seconds are "
        "medians."
    )
    versions = {f"{name.replace('_', ' ')} {value}" for one in told for name, value in one.versions.items() if value}
    text.append(f"With {', '.join(sorted(versions))}.")
    return text
