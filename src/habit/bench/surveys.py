"""What a competent agent asks leaf calls about pages of an input, and how it adds up what they reply.

Each reply is a list of ``name number number …``, so that the replies about all pages can be added.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from habit.bench.data import LABELS, Dataset, Message
from habit.bench.families import totals
from habit.bench.sized import THREATENING

Tally = dict[str, list[int]]
KINDS = sorted(LABELS)
_FORM = "Reply as `name number`, parted by `; `; no line ends, nothing else; `none` if there is nothing."


@dataclass(frozen=True)
class Survey:
    """One query about pages."""

    query: str
    tally: Callable[[Dataset], Tally]
    """What a perfect reader replies."""


def _by(messages: Mapping[str, list[Message]]) -> Tally:
    return {name: [sum(message.label == kind for message in mine) for kind in KINDS] for name, mine in messages.items()}


def _kinds_by_user(data: Dataset) -> Tally:
    mine: dict[str, list[Message]] = {}
    for message in data.messages:
        mine.setdefault(message.user, []).append(message)
    return _by(mine)


def _ids_of(kind: str) -> Callable[[Dataset], Tally]:
    return lambda data: {message.id: [1] for message in data.messages if message.label == kind}


SURVEYS: Mapping[str, Survey] = {
    "kinds": Survey(
        f"Count for each user the messages of the kinds {', '.join(KINDS)}: four numbers in this order. {_FORM}",
        _kinds_by_user,
    ),
    "spent": Survey(
        f"Add up the amounts of each user. {_FORM}", lambda data: {user: [sum_] for user, sum_ in totals(data).items()}
    ),
    "threats": Survey(
        f"Give the id of each message whose writer means to go to court, with a 1. {_FORM}",
        lambda data: {message.id: [1] for message in data.messages if message.text in THREATENING},
    ),
    **{
        f"ids {kind}": Survey(
            f"Give the id of each message of the kind {kind}, of {', '.join(KINDS)}, with a 1. {_FORM}",
            _ids_of(kind),
        )
        for kind in KINDS
    },
}


def asked(prompt: str) -> Survey | None:
    """The survey that a leaf prompt asks for."""
    return next((survey for survey in SURVEYS.values() if survey.query in prompt), None)


def written(tally: Tally) -> str:
    """A tally as a reply."""
    return "; ".join(f"{name} {' '.join(map(str, numbers))}" for name, numbers in sorted(tally.items())) or "none"


_PLACE = re.compile(r"(?m)^pages? [\d-]+: (.*)$")
_ENTRY = re.compile(r"(\w+)((?: \d+)+)")


def added(tally: Mapping[str, Any], told: str) -> Tally:
    """``tally`` with the replies about each place that a tool told."""
    whole = {name: list(numbers) for name, numbers in tally.items()}
    for reply in _PLACE.findall(told):
        for name, numbers in _ENTRY.findall(reply):
            found = [int(number) for number in numbers.split()]
            before = whole.get(name, [0] * len(found))
            whole[name] = [one + other for one, other in zip(before, found, strict=True)]
    return whole
