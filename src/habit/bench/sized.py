"""Inputs of any size in bytes: as many records as it takes, with what is asked about hidden among them.

Every user has a kind of message that they write most; messages answer earlier ones, in threads; one message threatens
to go to court, in words of its own; and the log says the access code of a few places, once each.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from habit.bench.data import (
    CITIES,
    FIRST_DAY,
    LABELS,
    THINGS,
    USERS,
    Dataset,
    Format,
    LogLine,
    Message,
    log_line,
    worded,
)

PLACES = ("north depot", "south gate", "boiler house", "old mill")
THREATS = (
    "If I do not have my money by Friday, a judge will hear about this {thing}.",
    "My solicitor has all the papers on the {thing}, and will file them next week.",
    "This {thing} will cost you more before the bench than it would have cost to repair it.",
)
THREATENING = frozenset(words.format(thing=thing) for words in THREATS for thing in THINGS)
"""Messages that threaten to go to court, in all wordings."""
_DAYS = 300
_FAVOURED = 0.4
"""The share of the messages of a user that are of the user's favourite kind whatever chance says."""
_ANSWERING = 0.7
"""The share of messages that answer one of those just before."""
_RECENT = 40
_SMALLEST = 24
"""Records of the kind that an input does not show."""


def make_sized(seed: int, size: int, form: Format, tables: str = "") -> Dataset:
    """A dataset whose input in this format has ``size`` bytes, give or take a record; texts are distinct."""
    rng = random.Random(f"{seed}/{size}/{form}/{tables}")
    cities = {user: rng.choice(CITIES) for user in USERS}
    if form == "log":
        return Dataset(seed, tuple(_messages(rng, 0, "csv", "")[0]), cities, tuple(_log(rng, size)))
    messages, replies = _messages(rng, size, form, tables)
    threat = rng.randrange(len(messages) // 4, len(messages))
    words = rng.choice(sorted(THREATENING))
    messages[threat] = replace(messages[threat], text=words, label="complaint")
    return Dataset(seed, tuple(messages), cities, tuple(_log(rng, 0)), replies)


def label_of(text: str) -> str | None:
    """The kind of a message of any dataset of this package, by its words alone; a threat is a complaint."""
    return _KNOWN.get(text.rpartition(" (")[0] if text.endswith(")") else text)


_KNOWN: Mapping[str, str] = {
    **{text: label for label, texts in worded().items() for text in texts},
    **dict.fromkeys(THREATENING, "complaint"),
}


def _messages(rng: random.Random, size: int, form: Format, tables: str) -> tuple[list[Message], dict[str, str]]:
    """Messages until an input of them has ``size`` bytes, and which of them answers which."""
    favourites = {user: rng.choice(sorted(LABELS)) for user in USERS}
    left = {label: rng.sample(texts, len(texts)) for label, texts in worded().items()}
    times = dict.fromkeys(left, 0)
    messages: list[Message] = []
    replies: dict[str, str] = {}
    written = 0
    while written < size or len(messages) < _SMALLEST:
        number = len(messages)
        user = rng.choice(USERS)
        label = favourites[user] if rng.random() < _FAVOURED else rng.choice(sorted(LABELS))
        round_, place = divmod(times[label], len(left[label]))
        times[label] += 1
        text = left[label][place]
        message = Message(
            id=f"m{1_000_000 + number * 7 + rng.randrange(5)}",
            user=user,
            date=(FIRST_DAY + timedelta(days=rng.randrange(_DAYS))).isoformat(),
            amount=rng.randrange(5, 400),
            text=f"{text} ({round_ + 1})" if round_ else text,
            label=label,
        )
        if messages and rng.random() < _ANSWERING:
            replies[message.id] = rng.choice(messages[-_RECENT:]).id
            if tables == "replies":
                written += len(message.id) + len(replies[message.id]) + 2
        messages.append(message)
        written += _bytes(message, form)
    return messages, replies


def _bytes(message: Message, form: Format) -> int:
    """What a message takes in an input; the line end, or the comma after it, included."""
    shown = message.shown()
    if form in ("csv", "semicolons"):
        quotes = 2 if ("," if form == "csv" else ";") in message.text else 0
        return sum(len(str(value)) + 1 for value in shown.values()) + quotes
    return len(json.dumps(shown)) + (1 if form == "json-lines" else 2)


def _log(rng: random.Random, size: int) -> list[LogLine]:
    """Lines until a log of them has ``size`` bytes; the code of each place stands in one of them."""
    lines: list[LogLine] = []
    written = 0
    while written < size or len(lines) < _SMALLEST:
        lines.append(log_line(rng, len(lines) * _DAYS // 100_000))
        written += len(lines[-1].shown()) + 1
    for place, number in zip(PLACES, rng.sample(range(len(lines) // 4, len(lines)), len(PLACES)), strict=True):
        lines[number] = replace(
            lines[number], text=f"access code of the {place} set to {rng.randrange(10_000, 99_999)}"
        )
    return lines
