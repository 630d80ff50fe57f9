"""Real texts with known labels, where somebody has them: read from a folder, never copied, and no part of this package.

The folder is HABIT_DATA, else ``../shared/data``. Each set gives one family: how many texts of an input have a label.
``habit bench --real`` asks about them.
"""

from __future__ import annotations

import csv
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from habit.bench.data import Dataset, Format, Message
from habit.bench.families import Family
from habit.bench.large import KINDS_OF_REPLIES, packed
from habit.bench.tasks import Planned, Question
from habit.errors import UsageError

Labelled = list[tuple[str, str]]
"""(text, label) of each."""
_MOST_LABELS = 8
"""Labels of a set that an input has texts of: the commonest, so that a leaf call can be told all of them."""


@dataclass(frozen=True)
class Texts(Dataset):
    """Real texts; an input of them has their numbers and nothing that was made up."""

    def rendered(self, form: Format) -> Any:
        """Lines of JSON, whatever the form."""
        return "".join(_line(one.id, one.text) for one in self.messages)


@dataclass(frozen=True)
class RealSet:
    """One set of texts."""

    name: str
    files: tuple[str, ...]
    """Below the folder."""
    read: Callable[[Sequence[Path]], Labelled]
    phrasing: str


def _sms(files: Sequence[Path]) -> Labelled:
    rows = (line.split("\t", 1) for line in files[0].read_text("utf-8").splitlines())
    return [(text, label) for label, text in rows]


def _banking(files: Sequence[Path]) -> Labelled:
    with files[0].open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["category"].replace("_", " ")) for row in csv.DictReader(file)]


def _clinc(files: Sequence[Path]) -> Labelled:
    return [(text, label.replace("_", " ")) for text, label in json.loads(files[0].read_text("utf-8"))["test"]]


def _log(files: Sequence[Path]) -> Labelled:
    lines = files[0].read_text("utf-8", "replace").splitlines()
    with files[1].open(encoding="utf-8", newline="") as events, files[2].open(encoding="utf-8", newline="") as named:
        templates = {row["EventId"]: row["EventTemplate"] for row in csv.DictReader(named)}
        return [(lines[int(row["LineId"]) - 1], templates[row["EventId"]]) for row in csv.DictReader(events)]


def _loghub(system: str) -> RealSet:
    files = tuple(f"loghub/{system}_2k.{rest}" for rest in ("log", "events.csv", "templates.csv"))
    return RealSet(f"real-{system.lower()}", files, _log, f"How many of the {system} lines are of the form {{label}}?")


SETS: tuple[RealSet, ...] = (
    RealSet("real-sms", ("sms_spam/sms.tsv",), _sms, "How many of the short messages are {label}?"),
    RealSet("real-banking", ("banking77/test.csv",), _banking, "How many of the bank's customers ask about {label}?"),
    RealSet("real-clinc", ("clinc150/test_and_oos.json",), _clinc, "How many of the requests are about {label}?"),
    _loghub("OpenSSH"),
    _loghub("Apache"),
)


def data_folder() -> Path:
    """Where real data is looked for."""
    return Path(os.environ.get("HABIT_DATA") or Path("..", "shared", "data"))


def real_question(
    real: RealSet, *, texts: int = 200, size: int | None = None, seed: int = 0, folder: Path | None = None
) -> Question:
    """A question about so many texts of ``real``, or texts of ``size`` bytes, drawn by ``seed``.

    Raises UsageError where the set is not there.
    """
    known = _texts_of(real, folder or data_folder())
    rng = random.Random(f"{real.name}/{seed}")
    chosen = rng.sample(known, min(texts, len(known)) if size is None else len(known))
    messages = [Message(f"t{number}", "", "", 0, text, label) for number, (text, label) in enumerate(chosen, 1)]
    dataset = Texts(seed, tuple(messages if size is None else _filling(messages, size)), {}, ())
    labels = _labels(known)
    return Question(_family(real, labels), dataset, "json-lines", {"label": rng.choice(labels)}, size=size, seed=seed)


@dataclass(frozen=True, kw_only=True)
class PlannedReal(Planned):
    """A question about real texts that are not drawn yet."""

    real: RealSet

    def question(self) -> Question:
        """Draw them."""
        return real_question(self.real, size=self.size, seed=self.seed)


def plan_real(sets: Sequence[RealSet], sizes: Sequence[int], seed: int) -> Iterator[PlannedReal]:
    """A question for each set and size in bytes that it has texts for.

    Raises UsageError where a set is not there, or has not even enough for the smallest of ``sizes``.
    """
    known = {real.name: _texts_of(real, data_folder()) for real in sets}
    there = {
        name: sum(len(_line(f"t{number}", text)) for number, (text, _) in enumerate(texts, 1))
        for name, texts in known.items()
    }
    for real in sets if sizes else ():
        if there[real.name] < min(sizes):
            raise UsageError(
                f"{real.name} has {there[real.name]:,} bytes of texts: give a smaller one of --sizes, or leave it out."
            )
    for size in sizes:
        for real in sets:
            if size <= there[real.name]:
                yield PlannedReal(_family(real, _labels(known[real.name])), "json-lines", size, seed, real=real)


@lru_cache(maxsize=16)
def _texts_of(real: RealSet, folder: Path) -> Labelled:
    """The texts of the commonest labels, each once. Raises UsageError."""
    files = [folder / name for name in real.files]
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None:
        raise UsageError(f"{missing} is not there: set HABIT_DATA to the folder that has it, or leave {real.name} out.")
    known = list({" ".join(text.split()): label for text, label in real.read(files)}.items())
    common = dict(Counter(label for _, label in known).most_common(_MOST_LABELS))
    return [one for one in known if one[1] in common]


def _labels(known: Labelled) -> list[str]:
    return sorted({label for _, label in known})


def _filling(messages: Sequence[Message], size: int) -> Iterator[Message]:
    """As many as an input of ``size`` bytes has, give or take one."""
    written = 0
    for message in messages:
        if written >= size:
            return
        written += len(_line(message.id, message.text))
        yield message


def _line(number: str, text: str) -> str:
    return json.dumps({"id": number, "text": text}) + "\n"


def _counted(data: Dataset, given: Mapping[str, Any]) -> int:
    return sum(message.label == given["label"] for message in data.messages)


def _family(real: RealSet, labels: Sequence[str]) -> Family:
    return Family(
        real.name,
        (real.phrasing,),
        int,
        lambda rng, data: {"label": rng.choice(labels)},
        _counted,
        "SELECT count(*) FROM messages WHERE label = :label",
        f"{packed(labels)}{KINDS_OF_REPLIES}found = kinds.count({{label}})",
        formats=("json-lines",),
    )
