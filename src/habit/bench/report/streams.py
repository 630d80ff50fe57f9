"""The section about streams: what questions that recur cost by their number, and what became of near-misses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import fmean

from habit.bench.outcome import Outcome
from habit.bench.report.columns import COSTS, RIGHT, costs, count_text, grouped, rightness, strategy_of
from habit.bench.report.parts import Plot, Section, Table

NUMBERS = (1, 5, 20, 100)
"""After how many questions, or uses, figures of a stream are told."""


def stream_sections(who: str | int | float, mark: str, outcomes: Sequence[Outcome]) -> list[Section]:
    """Of the streams among ``outcomes``, which ``who`` answered; ``mark`` begins the names of plots."""
    stream = [one for one in outcomes if one.part == "stream"]
    by_length = grouped(stream, lambda one: one.stream)
    if len(by_length) < 2:
        return [_section(str(who), mark, stream)] if stream else []
    return [_section(f"{who}, streams of {length}", f"{mark}-{length}", mine) for length, mine in by_length.items()]


def _section(who: str, mark: str, stream: Sequence[Outcome]) -> Section:
    """Of streams that have as many questions each."""
    rows, reached, repeated = [], [], []
    paid: list[list[str]] = []
    lines: dict[str, dict[str, list[tuple[float, float]]]] = {"tokens": {}, "right": {}, "usd": {}}
    unpriced = _why_no_price(stream)
    for strategy, mine in grouped(stream, strategy_of).items():
        hits = sum("@" in one.answered_by for one in mine)
        rows.append([str(strategy), *rightness(mine), f"{100 * hits / len(mine):.0f} %", *costs(mine)])
        means = _by_number(mine, lambda one: one.tokens)
        reached.append([str(strategy), *_at(_sums(means))])
        repeated.append([str(strategy), *_at(_by_use(mine))])
        lines["tokens"][str(strategy)] = _line(_sums(means))
        if not unpriced:
            spent = _sums(_by_number(mine, lambda one: one.usd or 0.0))
            paid.append([str(strategy), *_at(spent, _usd_text)])
            lines["usd"][str(strategy)] = _line(spent)
        lines["right"][str(strategy)] = _line(_sums(_by_number(mine, lambda one: float(one.right))))
    numbers = [f"{number}" for number in NUMBERS]
    near = [one for one in stream if one.near]
    return Section(
        f"Questions that recur: {who}",
        [f"Streams: {len({one.seed for one in stream})}. By habits: answered by a habit of the library.", *unpriced],
        [
            Table(who, ("strategy", *RIGHT, "by habits", *COSTS), rows),
            Table(f"{who}: tokens spent after so many questions, all together", ("strategy", *numbers), reached),
            *(
                [Table(f"{who}: US$ spent after so many questions, all together", ("strategy", *numbers), paid)]
                if paid
                else []
            ),
            Table(f"{who}: tokens of a family's first, fifth … question", ("strategy", *numbers), repeated),
            *([_near_misses(who, near)] if near else []),
        ],
        [
            Plot(f"{mark}-stream-tokens", f"Tokens spent: {who}", "questions", "tokens", lines["tokens"]),
            *([Plot(f"{mark}-stream-usd", f"US$ spent: {who}", "questions", "US$", lines["usd"])] if paid else []),
            Plot(f"{mark}-stream-right", f"Right answers: {who}", "questions", "right", lines["right"]),
        ],
    )


def _why_no_price(stream: Sequence[Outcome]) -> list[str]:
    """Why there is nothing to tell of US dollars; nothing where there is."""
    if all(one.usd is not None for one in stream) and any(one.usd for one in stream):
        return []
    if any(one.usd is None and one.output_tokens is None for one in stream):
        return ["Outcomes of an earlier version do not tell prompts from replies, so they have no price: ask anew."]
    models = ", ".join(sorted({one.model for one in stream}))
    if any(one.usd is None for one in stream):
        why = f"Some of the prices of {models} are not known"
    else:
        why = f"Nothing was paid for {models}"
    return [f"{why}, so costs are told in tokens; --prices MODEL counts them at the list prices of a model."]


def _near_misses(who: str, outcomes: Sequence[Outcome]) -> Table:
    """Whether a habit was taken for questions that are almost, but not, those of its family."""
    rows = []
    for strategy, mine in grouped(outcomes, strategy_of).items():
        reused = sum("@" in one.answered_by and one.answered_by.partition("@")[0] != one.family for one in mine)
        rows.append([str(strategy), *rightness(mine), f"{reused:,}"])
    headers = ("strategy", *RIGHT, "answered by a habit for other questions")
    return Table(f"{who}: near-misses, in almost the words of another family", headers, rows)


def _by_number(outcomes: Sequence[Outcome], figure: Callable[[Outcome], float]) -> list[float]:
    """The mean over streams of each question's figure, as far as every stream has come."""
    by_seed = grouped(outcomes, lambda one: one.seed).values()
    streams = [[figure(one) for one in sorted(mine, key=lambda one: one.number or 0)] for mine in by_seed]
    return [fmean(each) for each in zip(*streams, strict=False)]


def _by_use(outcomes: Sequence[Outcome]) -> list[float]:
    """Mean tokens of each family's first question, second, and so on."""
    uses: dict[int, list[float]] = defaultdict(list)
    for mine in grouped(outcomes, lambda one: f"{one.seed} {one.family}").values():
        for number, one in enumerate(sorted(mine, key=lambda one: one.number or 0)):
            uses[number].append(one.tokens)
    return [fmean(uses[number]) for number in sorted(uses)]


def _sums(values: Sequence[float]) -> list[float]:
    total, sums = 0.0, []
    for value in values:
        total += value
        sums.append(total)
    return sums


def _line(values: Sequence[float]) -> list[tuple[float, float]]:
    return [(float(number), value) for number, value in enumerate(values, 1)]


def _usd_text(value: float) -> str:
    return f"{value:.4f}"


def _at(values: Sequence[float], text: Callable[[float], str] = count_text) -> list[str]:
    return [text(values[number - 1]) if number <= len(values) else "–" for number in NUMBERS]
