"""Matching measured: wrong reuse on near-misses and abstention on true repeats, with and without a model that says yes.

    python benchmarks/matching/run.py [--json] [--show all|tuned]

``--show`` lists what went wrong; of the families held out only with ``all``, which nobody does while tuning.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from families import FAMILIES, Family, Values
from near_misses import by_rule, filled

from habit.contexts.context import Context
from habit.library.contract import Facts, observe, violations
from habit.library.match import Match, Matcher
from habit.library.match.matcher import answers_as
from habit.library.match.values import ValuesOf
from habit.library.match.words import number_of, tokens_of

_DATA = Path(os.environ.get("HABIT_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
_MOST_TRIES = 24
"""Assignments of parameters that the model that says yes is made to try for one question."""


@dataclass
class Tally:
    """One row of the table."""

    name: str
    asked: int = 0
    matched: int = 0
    wrong: list[str] = field(default_factory=list)
    """Near-misses that were matched, and repeats matched with other values."""
    missed: list[str] = field(default_factory=list)

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(len(self.wrong), self.asked)


def wilson(hits: int, number: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % confidence interval of a share."""
    if not number:
        return 0.0, 1.0
    share, square = hits / number, z * z / number
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(share * (1 - share) / number + square / (4 * number))
    return max(middle - half, 0.0), min(middle + half, 1.0)


class Trial:
    """Questions asked of all habits at once, about one family's input."""

    def __init__(self, *, model: bool) -> None:
        self.matcher = Matcher()
        self.model = model
        self.facts: dict[str, Facts] = {family.spec.name: observe(family.context) for family in FAMILIES}

    def match(
        self, question: str, family: Family, true: Values | None = None, *, about: str = ""
    ) -> Match[Family] | None:
        """What is matched; with a model, whatever the model could be made to say, but for ``true`` the truth."""
        facts = self.facts[about or family.spec.name]
        typed = family.spec.answer_type
        returns = None if answers_as(typed, None) else typed
        found = self.matcher.match_known(question, facts, FAMILIES, returns=returns)
        if isinstance(found, Match):
            return found
        if not self.model:
            return None
        tries = [(family, true)] if true is not None else list(self._tries(question, family, facts))
        for habit, parameters in tries:
            said = self.matcher.confirm(question, found, habit.spec.name, parameters)
            if isinstance(said, Match):
                return said
        return None

    def _tries(self, question: str, family: Family, facts: Facts) -> Iterator[tuple[Family, Values]]:
        """Every habit that takes this input, with every plausible assignment."""
        for habit in FAMILIES:
            if not violations(habit.spec.contract, facts):
                yield from ((habit, parameters) for parameters in plausible(question, habit, facts))


def plausible(question: str, family: Family, facts: Facts) -> list[dict[str, Any]]:
    """Parameters that a model could read into a question: every choice, number and value of the input it has."""
    tokens = tokens_of(question)
    texts = list(dict.fromkeys([token.text for token in tokens if not token.quoted]))
    pairs = [f"{first} {second}" for first, second in itertools.pairwise(texts)]
    values = ValuesOf(facts)
    known = [text for text in (*pairs, *texts) if values.written(text, None) is not None or values.mentions(text)]
    options: list[list[Any]] = []
    for name, parameter in family.spec.parameters.items():
        match parameter.type:
            case "choice":
                said = [choice for choice in parameter.choices if choice.casefold() in question.casefold()]
                options.append(said or list(parameter.choices))
            case "integer" | "number":
                numbers = [number_of(token, whole=parameter.type == "integer") for token in tokens]
                options.append([number for number in numbers if number is not None] or [parameter.example])
            case _:
                named = [text for text in known if text[:1].isupper() or text[:1].isdigit()]
                options.append((named or known or [family.uses[0][name]])[:6])
    names = list(family.spec.parameters)
    return [dict(zip(names, one, strict=True)) for one in itertools.islice(itertools.product(*options), _MOST_TRIES)]


# -- questions ---------------------------------------------------------------------------------------------------------


def repeats(family: Family) -> Iterator[tuple[str, Values]]:
    """The phrasing with other values, as people type it."""
    for values in (*family.uses, {name: one.example for name, one in family.spec.parameters.items()}):
        question = filled(family.spec.intent.phrasings[0], values)
        yield question, values
        yield question.removesuffix("?"), values
        yield f"Please tell me {question[0].lower()}{question[1:]}", values
        yield f"  {question[0].lower()}{question[1:].removesuffix('?')} ?", values


def others(family: Family) -> Iterator[tuple[str, str]]:
    """Questions of the other families about this input: the format or the question is another one."""
    for other in FAMILIES:
        if other is not family and other.spec.contract.fields != family.spec.contract.fields:
            for values in other.uses[:3]:
                yield "other format", filled(other.spec.intent.phrasings[0], values)


def reformatted(family: Family) -> Iterator[tuple[str, Context]]:
    """The family's input laid out differently: the question is the habit's own, the input is not."""
    text = family.context.payload.decode()
    first = family.spec.contract.fields[0].name if family.spec.contract.fields else ""
    if family.context.kind == "json":
        items = json.loads(text)
        yield "wrapped", Context.of({"items": items})
        yield "renamed key", Context.of([{f"{k}_x" if k == first else k: v for k, v in item.items()} for item in items])
        yield "as text", Context.of(text)
        yield "numbers as text", Context.of([{k: f"about {v}" for k, v in item.items()} for item in items])
        return
    yield "line ends", Context.of(text.replace("\n", "\r\n"))
    yield "as a list", Context.of(text.splitlines())
    yield "markup", Context.of("".join(f"<row><line>{line}</line></row>" for line in text.splitlines()))
    if family.spec.contract.shape in ("csv", "tsv"):
        mark = family.spec.contract.delimiter
        yield "delimiter", Context.of(text.replace(mark, ";"))
        yield "no header", Context.of(text.split("\n", 1)[1])
        yield "renamed column", Context.of(text.replace(first, f"{first}_x", 1))
        yield "new column", Context.of("\n".join(f"new{mark}{line}" for line in text.splitlines()))


def recorded(most: int) -> list[tuple[str, str]]:
    """Questions of people about anything else: CLINC150 with its out-of-scope part, and Banking77, where they are."""
    found: list[tuple[str, str]] = []
    clinc, banking = _DATA / "clinc150" / "test_and_oos.json", _DATA / "banking77" / "test.csv"
    if clinc.is_file():
        data = json.loads(clinc.read_text("utf-8"))
        for name in sorted(data):
            found += [(f"clinc150 {name}", text) for text, _ in data[name]]
    if banking.is_file():
        with banking.open(encoding="utf-8", newline="") as file:
            found += [("banking77", row["text"]) for row in csv.DictReader(file)]
    return found[:: max(len(found) // most, 1)]


# -- the table ---------------------------------------------------------------------------------------------------------


def measure(*, model: bool, most_recorded: int = 2_000) -> list[Tally]:
    """All rows."""
    trial = Trial(model=model)
    rows: list[Tally] = []
    for held_out in (False, True):
        families = [family for family in FAMILIES if family.held_out is held_out]
        group = "held out" if held_out else "tuned"
        near = Tally(f"near-misses written, {group}"), Tally(f"near-misses by rule, {group}")
        true = Tally(f"repeats, {group}"), Tally(f"paraphrases, {group}")
        for index, family in enumerate(families):
            for kind, question in family.misses:
                _miss(trial, near[0], family, kind, question)
            for kind, question in dict.fromkeys(by_rule(family, index)):
                _miss(trial, near[1], family, kind, question)
            for question, values in repeats(family):
                _true(trial, true[0], family, question, values)
            for question, values in family.paraphrases:
                _true(trial, true[1], family, question, values)
        rows += [*near, *true]
    own = Tally("own question, other format")
    for family in FAMILIES:
        for kind, context in reformatted(family):
            trial.facts["reformatted"] = observe(context)
            _miss(trial, own, family, kind, filled(family.spec.intent.phrasings[0], family.uses[0]), "reformatted")
    rows.append(own)
    formats = Tally("other question and format")
    for family in FAMILIES:
        for kind, question in others(family):
            _miss(trial, formats, family, kind, question)
    rows.append(formats)
    people = Tally("people's questions (CLINC150, Banking77)")
    for index, (kind, question) in enumerate(recorded(most_recorded)):
        _miss(trial, people, FAMILIES[index % len(FAMILIES)], kind, question)
    return [*rows, people]


def _miss(trial: Trial, tally: Tally, family: Family, kind: str, question: str, about: str = "") -> None:
    tally.asked += 1
    found = trial.match(question, family, about=about)
    if found is not None:
        tally.matched += 1
        tally.wrong.append(f"[{kind}] {question!r} -> {found.habit.spec.name} {dict(found.parameters)} ({found.how})")


def _true(trial: Trial, tally: Tally, family: Family, question: str, values: Values) -> None:
    tally.asked += 1
    found = trial.match(question, family, values)
    if found is None:
        tally.missed.append(f"{family.spec.name}: {question!r}")
    elif found.habit is not family or found.parameters != values:
        tally.wrong.append(f"{question!r} -> {found.habit.spec.name} {dict(found.parameters)}")
    else:
        tally.matched += 1


def _row(tally: Tally) -> str:
    low, high = tally.interval
    abstained = (tally.asked - tally.matched - len(tally.wrong) * (not _is_near(tally))) / max(tally.asked, 1)
    wrong = len(tally.wrong) / max(tally.asked, 1)
    return f"{tally.name:42} {tally.asked:6,} {wrong:8.2%} [{low:.2%}, {high:.2%}] {abstained:10.1%}"


def _is_near(tally: Tally) -> bool:
    return not tally.name.startswith(("repeats", "paraphrases"))


def main(print_: Callable[[str], None] = print) -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true")
    options.add_argument("--show", choices=("tuned", "all"))
    given = options.parse_args()
    report = {}
    for model in (False, True):
        rows = measure(model=model)
        name = "with a model that says yes to everything" if model else "without a model"
        report[name] = [
            {"name": row.name, "asked": row.asked, "wrong": len(row.wrong), "matched": row.matched} for row in rows
        ]
        if given.json:
            continue
        near = [row for row in rows if _is_near(row)]
        total = Tally("all near-misses", sum(row.asked for row in near), wrong=[w for row in near for w in row.wrong])
        total.matched = len(total.wrong)
        print_(f"\n{name}\n{'':42} {'asked':>6} {'wrong':>8} {'95 % interval':16} {'abstained':>10}")
        for row in (*rows, total):
            print_(_row(row))
            if given.show and (given.show == "all" or "held out" not in row.name) and row is not total:
                for line in (*row.wrong, *(f"missed {missed}" for missed in row.missed)):
                    print_(f"    {line}")
    if given.json:
        print_(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
