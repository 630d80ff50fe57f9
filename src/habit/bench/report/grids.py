"""The sections about a grid: what each strategy costs and gets right by size, kind and family of the question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from statistics import fmean, median

from habit.bench.chances import mcnemar
from habit.bench.outcome import Outcome
from habit.bench.report.columns import (
    COSTS,
    RIGHT,
    costs,
    grouped,
    own_tokens,
    rightness,
    root_tokens,
    size_text,
    strategy_of,
)
from habit.bench.report.parts import Plot, Section, Table


def grid_sections(who: str | int | float, mark: str, outcomes: Sequence[Outcome]) -> list[Section]:
    """Of the grids among ``outcomes``, which ``who`` answered; ``mark`` begins the names of plots."""
    made, real = ([one for one in outcomes if one.part == part] for part in ("grid", "real"))
    return [*_sections(who, mark, made), *_sections(f"{who}, real texts", f"{mark}-real", real)]


def _sections(who: str | int | float, mark: str, grid: Sequence[Outcome]) -> list[Section]:
    if not grid:
        return []
    return [
        Section(
            f"By size of the input: {who}",
            tables=[_by_size(str(who), grid), _growth(str(who), grid)],
            plots=[
                _against_size(
                    f"{mark}-tokens", f"Tokens of a question: {who}", "root and leaf tokens", grid, own_tokens
                ),
                _against_size(
                    f"{mark}-root-tokens", f"Root tokens of a question: {who}", "root tokens", grid, root_tokens
                ),
                _against_size(
                    f"{mark}-peak", f"Largest prompt: {who}", "tokens", grid, lambda one: one.peak_prompt_tokens, max
                ),
            ],
        ),
        Section(f"By kind and family: {who}", tables=[_by_family(str(who), grid)]),
        *_by_family_and_size(str(who), grid),
        Section(f"The same questions, side by side: {who}", tables=[_pairs(str(who), grid)]),
    ]


def _by_size(who: str, outcomes: Sequence[Outcome]) -> Table:
    rows = [
        [size_text(int(size)), str(strategy), *rightness(mine), *costs(mine)]
        for size, sized in grouped(outcomes, lambda one: one.size).items()
        for strategy, mine in grouped(sized, lambda one: one.strategy).items()
    ]
    return Table(who, ("size", "strategy", *RIGHT, *COSTS), rows)


def _growth(who: str, outcomes: Sequence[Outcome]) -> Table:
    """How much costs of steering grow; of what was sent at all."""
    sizes = sorted({one.size for one in outcomes})
    rows = []
    for strategy, mine in grouped([one for one in outcomes if one.root_calls + one.leaf_calls], strategy_of).items():
        for name, figure in _STEERING.items():
            means = {
                size: fmean(figure(one) for one in sized)
                for size in sizes
                if (sized := [one for one in mine if one.size == size])
            }
            first = next((mean for mean in means.values() if mean), 0.0)
            cells = [f"{means[size] / first:.2f}" if size in means and first else "–" for size in sizes]
            rows.append([str(strategy), name, *cells])
    title = f"{who}: means, as multiples of those of the smallest size; – where nothing could be sent"
    return Table(title, ("strategy", "of", *map(size_text, sizes)), rows)


_STEERING: Mapping[str, Callable[[Outcome], float]] = {
    "root tokens": lambda one: one.root_tokens,
    "peak prompt": lambda one: one.peak_prompt_tokens,
    "results that re-entered prompts": lambda one: one.reentered_tokens,
    "bookkeeping": lambda one: one.bookkeeping_tokens,
}


def _by_family(who: str, outcomes: Sequence[Outcome]) -> Table:
    rows = []
    for kind, mine in grouped(outcomes, lambda one: one.kind).items():
        for strategy, each in grouped(mine, strategy_of).items():
            rows.append([str(kind), "all", str(strategy), *rightness(each), *costs(each)])
        for family, of_family in grouped(mine, lambda one: one.family).items():
            for strategy, each in grouped(of_family, strategy_of).items():
                rows.append([str(kind), str(family), str(strategy), *rightness(each), *costs(each)])
    return Table(who, ("kind", "family", "strategy", *RIGHT, *COSTS), rows)


def _by_family_and_size(who: str, outcomes: Sequence[Outcome]) -> list[Section]:
    """Each family at each size, where that says more than the tables of families and of sizes."""
    if len({one.family for one in outcomes}) < 2 or len({one.size for one in outcomes}) < 2:
        return []
    rows = [
        [str(family), size_text(int(size)), str(strategy), *rightness(each), *costs(each)]
        for family, of_family in grouped(outcomes, lambda one: one.family).items()
        for size, sized in grouped(of_family, lambda one: one.size).items()
        for strategy, each in grouped(sized, strategy_of).items()
    ]
    return [
        Section(f"By family and size: {who}", tables=[Table(who, ("family", "size", "strategy", *RIGHT, *COSTS), rows)])
    ]


def _pairs(who: str, outcomes: Sequence[Outcome]) -> Table:
    """Two strategies on the questions that both were asked."""
    asked = {name: {one.question_key: one for one in mine} for name, mine in grouped(outcomes, strategy_of).items()}
    rows = []
    for first, second in combinations(asked, 2):
        pairs = [(asked[first][key], asked[second][key]) for key in asked[first].keys() & asked[second].keys()]
        if not pairs:
            continue
        counts = Counter((one.right, other.right) for one, other in pairs)
        alone, other_alone = counts[True, False], counts[False, True]
        ratios = [
            own_tokens(other) / own_tokens(one) for one, other in pairs if one.right and other.right and own_tokens(one)
        ]
        rows.append(
            [
                f"{first} · {second}",
                f"{len(pairs):,}",
                f"{counts[True, True]:,}",
                f"{alone:,}",
                f"{other_alone:,}",
                f"{counts[False, False]:,}",
                f"{mcnemar(alone, other_alone):.3f}",
                f"{median(ratios):.2f}" if ratios else "–",
            ]
        )
    headers = (
        *("strategies", "questions", "both right", "first alone", "second alone", "neither", "p (McNemar)"),
        "root and leaf tokens of the second / first, where both are right (median)",
    )
    return Table(who, headers, rows)


def _against_size(
    name: str,
    title: str,
    y_label: str,
    outcomes: Sequence[Outcome],
    figure: Callable[[Outcome], float],
    together: Callable[[Iterable[float]], float] = fmean,
) -> Plot:
    """A line for each strategy, through the sizes at which it could send anything."""
    lines = {}
    for strategy, mine in grouped([one for one in outcomes if figure(one) > 0], strategy_of).items():
        sized = grouped(mine, lambda one: one.size).items()
        lines[str(strategy)] = [(float(size), together([figure(one) for one in each])) for size, each in sized]
    return Plot(name, title, "bytes of input", y_label, lines, log=True)
