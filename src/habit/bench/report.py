"""What the outcomes of benches say together: tables and plots of costs and of what was right."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import fmean, median

from habit.bench.chances import mcnemar, wilson
from habit.bench.outcome import Outcome

ORDER = ("direct", "agent", "rlm", "habit", "auto")
"""The order in which strategies are shown."""
NUMBERS = (1, 5, 20, 100)
"""After how many questions, or uses, figures of a stream are told."""
_MOST_ERRORS = 12


@dataclass(frozen=True)
class Table:
    """One table; every cell is text."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Plot:
    """One plot; ``name`` is that of its file."""

    name: str
    title: str
    x_label: str
    y_label: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    log: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()


@dataclass(frozen=True)
class Page:
    """Everything."""

    title: str
    text: Sequence[str]
    commands: Sequence[str] = ()
    sections: Sequence[Section] = field(default=())


def report_of(outcomes: Sequence[Outcome], *, commands: Sequence[str] = ()) -> Page:
    """The page about ``outcomes``, those of several benches too; ``commands`` made them."""
    told = list({one.key: one for one in outcomes}.values())
    asked = [one for one in told if one.part != "learning"]
    sections = []
    for number, (who, mine) in enumerate(grouped(asked, who_of).items(), 1):
        sections += [*_grid(who, f"{number}", mine), *_streams(who, f"{number}", mine)]
    sections += [*_noise(asked), *_wrong(asked), *_not_learned(told)]
    return Page("What was measured", _introduction(told), commands, sections)


def who_of(outcome: Outcome) -> str:
    """Who answered, and what differs from the defaults; the script is always called so."""
    parts = [f"{outcome.model} (a script, no model)" if outcome.oracle else outcome.model]
    parts += [f"noise {outcome.noise:g}"] if outcome.noise else []
    parts += [f"latency {outcome.latency:g} s"] if outcome.latency else []
    parts += [
        f"{name} {value}" for name, value in sorted(outcome.settings.items()) if name not in ("no_cache", "shadow")
    ]
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


def _introduction(told: Sequence[Outcome]) -> list[str]:
    asked = [one for one in told if one.part != "learning"]
    grid = sum(one.part == "grid" for one in asked)
    learning = len(told) - len(asked)
    text = [
        f"{len(asked):,} questions: {grid:,} of a grid, {len(asked) - grid:,} of streams; and {learning:,} asked to "
        "learn habits from, whose cost is counted with the first use of the habit (extra tokens)."
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


# --- the grid ------------------------------------------------------------------------------------------------------


def _grid(who: str | int | float, mark: str, outcomes: Sequence[Outcome]) -> list[Section]:
    grid = [one for one in outcomes if one.part == "grid"]
    if not grid:
        return []
    return [
        Section(
            f"By size of the input: {who}",
            tables=[_by_size(str(who), grid), _growth(str(who), grid)],
            plots=[
                _against_size(
                    f"{mark}-tokens", f"Tokens of a question: {who}", "root and leaf tokens", grid, _own_tokens
                ),
                _against_size(
                    f"{mark}-root-tokens", f"Root tokens of a question: {who}", "root tokens", grid, _root_tokens
                ),
                _against_size(
                    f"{mark}-peak", f"Largest prompt: {who}", "tokens", grid, lambda one: one.peak_prompt_tokens, max
                ),
            ],
        ),
        Section(f"By kind and family: {who}", tables=[_by_family(str(who), grid)]),
        Section(f"The same questions, side by side: {who}", tables=[_pairs(str(who), grid)]),
    ]


def _own_tokens(outcome: Outcome) -> float:
    """Tokens of the question itself, without those of learning its habit once."""
    return outcome.root_tokens + outcome.leaf_tokens


def _root_tokens(outcome: Outcome) -> float:
    """Tokens of steering."""
    return outcome.root_tokens


_COSTS = ("root tokens", "leaf tokens", "extra tokens", "peak prompt", "calls", "seconds", "US$")


def _costs(outcomes: Sequence[Outcome]) -> list[str]:
    prices = [one.usd for one in outcomes]
    known = [price for price in prices if price is not None]
    return [
        _count(fmean(one.root_tokens for one in outcomes)),
        _count(fmean(one.leaf_tokens for one in outcomes)),
        _count(fmean(one.extra_tokens for one in outcomes)),
        _count(max(one.peak_prompt_tokens for one in outcomes)),
        _number(fmean(one.root_calls + one.leaf_calls for one in outcomes)),
        _number(median(one.seconds for one in outcomes)),
        "unknown" if len(known) < len(prices) else f"{fmean(known):.4f}",
    ]


def _by_size(who: str, outcomes: Sequence[Outcome]) -> Table:
    rows = [
        [size_text(int(size)), str(strategy), *_rightness(mine), *_costs(mine)]
        for size, sized in grouped(outcomes, lambda one: one.size).items()
        for strategy, mine in grouped(sized, lambda one: one.strategy).items()
    ]
    return Table(who, ("size", "strategy", *_RIGHT, *_COSTS), rows)


def _growth(who: str, outcomes: Sequence[Outcome]) -> Table:
    """How much costs of steering grow; of what was sent at all."""
    sizes = sorted({one.size for one in outcomes})
    rows = []
    for strategy, mine in grouped([one for one in outcomes if one.root_calls + one.leaf_calls], _strategy).items():
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


def _strategy(outcome: Outcome) -> str:
    return outcome.strategy


_STEERING: Mapping[str, Callable[[Outcome], float]] = {
    "root tokens": lambda one: one.root_tokens,
    "peak prompt": lambda one: one.peak_prompt_tokens,
    "results that re-entered prompts": lambda one: one.reentered_tokens,
    "bookkeeping": lambda one: one.bookkeeping_tokens,
}


def _by_family(who: str, outcomes: Sequence[Outcome]) -> Table:
    rows = []
    for kind, mine in grouped(outcomes, lambda one: one.kind).items():
        for strategy, each in grouped(mine, _strategy).items():
            rows.append([str(kind), "all", str(strategy), *_rightness(each), *_costs(each)])
        for family, of_family in grouped(mine, lambda one: one.family).items():
            for strategy, each in grouped(of_family, _strategy).items():
                rows.append([str(kind), str(family), str(strategy), *_rightness(each), *_costs(each)])
    return Table(who, ("kind", "family", "strategy", *_RIGHT, *_COSTS), rows)


def _pairs(who: str, outcomes: Sequence[Outcome]) -> Table:
    """Two strategies on the questions that both were asked."""
    asked = {name: {one.question_key: one for one in mine} for name, mine in grouped(outcomes, _strategy).items()}
    rows = []
    for first, second in combinations(asked, 2):
        pairs = [(asked[first][key], asked[second][key]) for key in asked[first].keys() & asked[second].keys()]
        if not pairs:
            continue
        counts = Counter((one.right, other.right) for one, other in pairs)
        alone, other_alone = counts[True, False], counts[False, True]
        ratios = [
            _own_tokens(other) / _own_tokens(one)
            for one, other in pairs
            if one.right and other.right and _own_tokens(one)
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
    for strategy, mine in grouped([one for one in outcomes if figure(one) > 0], _strategy).items():
        sized = grouped(mine, lambda one: one.size).items()
        lines[str(strategy)] = [(float(size), together([figure(one) for one in each])) for size, each in sized]
    return Plot(name, title, "bytes of input", y_label, lines, log=True)


# --- streams -------------------------------------------------------------------------------------------------------


def _streams(who: str | int | float, mark: str, outcomes: Sequence[Outcome]) -> list[Section]:
    stream = [one for one in outcomes if one.part == "stream"]
    if not stream:
        return []
    rows, reached, repeated = [], [], []
    lines: dict[str, dict[str, list[tuple[float, float]]]] = {"tokens": {}, "right": {}}
    for strategy, mine in grouped(stream, _strategy).items():
        hits = sum("@" in one.answered_by for one in mine)
        rows.append([str(strategy), *_rightness(mine), f"{100 * hits / len(mine):.0f} %", *_costs(mine)])
        means = _by_number(mine, lambda one: one.tokens)
        reached.append([str(strategy), *_at(_sums(means))])
        repeated.append([str(strategy), *_at(_by_use(mine))])
        lines["tokens"][str(strategy)] = _line(_sums(means))
        lines["right"][str(strategy)] = _line(_sums(_by_number(mine, lambda one: float(one.right))))
    numbers = [f"{number}" for number in NUMBERS]
    near = [one for one in stream if one.near]
    return [
        Section(
            f"Questions that recur: {who}",
            [f"Streams: {len({one.seed for one in stream})}. By habits: answered by a habit of the library."],
            [
                Table(str(who), ("strategy", *_RIGHT, "by habits", *_COSTS), rows),
                Table(f"{who}: tokens spent after so many questions, all together", ("strategy", *numbers), reached),
                Table(f"{who}: tokens of a family's first, fifth … question", ("strategy", *numbers), repeated),
                *([_near_misses(str(who), near)] if near else []),
            ],
            [
                Plot(f"{mark}-stream-tokens", f"Tokens spent: {who}", "questions", "tokens", lines["tokens"]),
                Plot(f"{mark}-stream-right", f"Right answers: {who}", "questions", "right", lines["right"]),
            ],
        )
    ]


def _near_misses(who: str, outcomes: Sequence[Outcome]) -> Table:
    """Whether a habit was taken for questions that are almost, but not, those of its family."""
    rows = []
    for strategy, mine in grouped(outcomes, _strategy).items():
        reused = sum("@" in one.answered_by and one.answered_by.partition("@")[0] != one.family for one in mine)
        rows.append([str(strategy), *_rightness(mine), f"{reused:,}"])
    headers = ("strategy", *_RIGHT, "answered by a habit for other questions")
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


def _at(values: Sequence[float]) -> list[str]:
    return [_count(values[number - 1]) if number <= len(values) else "–" for number in NUMBERS]


# --- what went wrong ------------------------------------------------------------------------------------------------


def _noise(outcomes: Sequence[Outcome]) -> list[Section]:
    """What becomes of answers where more and more leaf replies are wrong."""
    grid = [one for one in outcomes if one.part == "grid" and one.oracle]
    if len({one.noise for one in grid}) < 2:
        return []
    rows, lines = [], {}
    for strategy, mine in grouped(grid, _strategy).items():
        by_noise = grouped(mine, lambda one: one.noise)
        rows += [[str(strategy), f"{noise:g}", *_rightness(each)] for noise, each in by_noise.items()]
        lines[str(strategy)] = [(float(noise), fmean(one.score for one in each)) for noise, each in by_noise.items()]
    who = "oracle (a script, no model)"
    plot = Plot("noise", f"Score against noise: {who}", "share of leaf replies that are wrong", "mean score", lines)
    return [Section(f"Noise: {who}", tables=[Table(who, ("strategy", "noise", *_RIGHT), rows)], plots=[plot])]


def _wrong(outcomes: Sequence[Outcome]) -> list[Section]:
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


def _not_learned(outcomes: Sequence[Outcome]) -> list[Section]:
    """Right answers of which no habit could be made, which is why their family was asked afresh."""
    refused = Counter((one.family, _short(one.learned)) for one in outcomes if one.learned and "@" not in one.learned)
    if not refused:
        return []
    rows = [[*reason, f"{count:,}"] for reason, count in sorted(refused.items())]
    return [Section("What could not be learned", tables=[Table("By family", ("family", "why", "times"), rows)])]


def _short(text: str) -> str:
    return " ".join(text.split())[:160]


_RIGHT = ("n", "right", "95 %", "score")


def _rightness(outcomes: Sequence[Outcome]) -> list[str]:
    count, right = len(outcomes), sum(one.right for one in outcomes)
    low, high = wilson(right, count)
    score = fmean(one.score for one in outcomes)
    return [f"{count:,}", f"{100 * right / count:.0f} %", f"{100 * low:.0f}–{100 * high:.0f}", f"{score:.2f}"]


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def size_text(size: int) -> str:
    """``10 kB``, ``1 MB``; powers of 1,000."""
    for unit, factor in (("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size} B"
