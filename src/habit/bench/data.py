"""Inputs with a hidden truth: messages with users, dates, amounts and a latent label, in any of several formats.

Everything is made from a seed. What a message *means* is known here and nowhere in its words' form: each label has many
wordings, and the oracle leaf is told which label each text has.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import Any, Literal

Format = Literal["csv", "semicolons", "json-lines", "records", "log", "tail"]
FORMATS: tuple[Format, ...] = ("csv", "semicolons", "json-lines", "records", "log", "tail")

LABELS: Mapping[str, Sequence[str]] = {
    "complaint": (
        "The {thing} I got is of no use, and nobody answers me.",
        "I have waited for my {thing} since weeks, and I have had enough.",
        "This is the third time that the {thing} fails on me.",
        "What you sold me as a {thing} falls apart in my hands.",
    ),
    "question": (
        "Could you tell me whether the {thing} comes in other sizes?",
        "I wonder how long a {thing} lasts when it is used daily.",
        "Do you know if the {thing} can be sent to another address?",
        "Which {thing} would you take for a small kitchen?",
    ),
    "praise": (
        "My {thing} came a day early and does just what it should.",
        "We are delighted with the {thing}, and so are the children.",
        "Whoever packed the {thing} did it with love, thank you.",
        "In ten years I have not had such a good {thing}.",
    ),
    "request": (
        "Please send the invoice for the {thing} once more.",
        "I would like to give the {thing} back and get my money.",
        "Kindly change the address on the order of the {thing}.",
        "Put a second {thing} on my account, as discussed.",
    ),
}
"""Wordings of each latent label; no label's name stands in them."""
THINGS = ("kettle", "lamp", "chair", "rug", "clock", "pan", "blanket", "shelf", "mirror", "heater", "fan", "desk")
USERS = ("ada", "boris", "chen", "dana", "emil", "fatou", "goran", "hanna", "ivan", "jun", "kofi", "lena")
CITIES = ("oslo", "porto", "lyon", "graz")
COMPONENTS = ("auth", "billing", "mailer", "search", "storage")
LEVELS = ("INFO", "WARN", "ERROR")
FIRST_DAY = date(2026, 1, 1)


@dataclass(frozen=True)
class Message:
    """One record; ``label`` is hidden."""

    id: str
    user: str
    date: str
    """ISO 8601."""
    amount: int
    """Whole euros."""
    text: str
    label: str

    @property
    def thing(self) -> str:
        """What it is about; hidden too."""
        return thing_of(self.text)

    def shown(self) -> dict[str, Any]:
        """The fields that an input has."""
        values = asdict(self)
        del values["label"]
        return values


@dataclass(frozen=True)
class LogLine:
    """One line of a log."""

    date: str
    level: str
    component: str
    text: str

    def shown(self) -> str:
        """The line as it stands in the log."""
        return f"{self.date} {self.level} [{self.component}] {self.text}"


@dataclass(frozen=True)
class Dataset:
    """One input and the truth about it."""

    seed: int
    messages: tuple[Message, ...]
    cities: Mapping[str, str]
    """The city of each user."""
    log: tuple[LogLine, ...]
    replies: Mapping[str, str] = field(default_factory=dict)
    """Which message, by its id, a message answers."""

    @cached_property
    def labels(self) -> dict[str, str]:
        """The label of each text."""
        return {message.text: message.label for message in self.messages}

    def rendered(self, form: Format) -> Any:
        """The messages, or the log, as an input in this format."""
        rows = [message.shown() for message in self.messages]
        match form:
            case "csv":
                return _table(rows, ",")
            case "semicolons":
                return _table(rows, ";")
            case "json-lines":
                return "".join(json.dumps(row) + "\n" for row in rows)
            case "records":
                return rows
            case "log":
                return "".join(f"{line.shown()}\n" for line in self.log)
            case "tail":
                return "".join(f"{x.text} | {x.date} {x.level} [{x.component}]\n" for x in self.log)

    def with_users(self, form: Format = "csv") -> dict[str, str]:
        """Two tables: the messages, and where their users live."""
        users = [{"user": user, "city": city} for user, city in sorted(self.cities.items())]
        return {"messages.csv": self.rendered(form), "users.csv": _table(users, ",")}

    def with_replies(self, form: Format = "csv") -> dict[str, str]:
        """Two tables: the messages, and which of them answer which."""
        replies = [{"id": one, "answers": other} for one, other in self.replies.items()]
        return {"messages.csv": self.rendered(form), "replies.csv": _table(replies, ",", ("id", "answers"))}


def worded() -> dict[str, list[str]]:
    """Every text that there is for each label."""
    return {label: [words.format(thing=thing) for words in all_ for thing in THINGS] for label, all_ in LABELS.items()}


def thing_of(text: str) -> str:
    """What a message is about; empty for a text of another kind."""
    return next((thing for thing in THINGS if f" {thing}" in text), "")


def log_line(rng: random.Random, day: int) -> LogLine:
    """A line written so many days after the first."""
    return LogLine(
        date=f"{FIRST_DAY + timedelta(days=day)}T{rng.randrange(24):02}:{rng.randrange(60):02}:00",
        level=rng.choice(LEVELS),
        component=rng.choice(COMPONENTS),
        text=f"worker {rng.randrange(9)} handled request {rng.randrange(10_000)} in {rng.randrange(900)} ms",
    )


def make_dataset(seed: int, size: int = 24) -> Dataset:
    """A dataset of ``size`` messages and as many log lines; texts are distinct, and every label occurs."""
    rng = random.Random(seed)
    wordings = [(label, text) for label, texts in worded().items() for text in texts]
    rng.shuffle(wordings)
    users = rng.sample(USERS, 6)
    messages = []
    for number in range(size):
        label, words = wordings[number % len(wordings)]
        text = words if number < len(wordings) else f"{words} ({number // len(wordings) + 1})"
        messages.append(
            Message(
                id=f"m{1000 + number * 7 + rng.randrange(5)}",
                user=rng.choice(users),
                date=(FIRST_DAY + timedelta(days=rng.randrange(300))).isoformat(),
                amount=rng.randrange(5, 400),
                text=text,
                label=label,
            )
        )
    log = [log_line(rng, number) for number in range(size)]
    return Dataset(seed, tuple(messages), {user: rng.choice(CITIES) for user in users}, tuple(log))


def _table(rows: Sequence[Mapping[str, Any]], delimiter: str, names: Sequence[str] = ()) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, names or list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
