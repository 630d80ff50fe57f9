"""What a perfect reader sees in a text: the records in it, whatever their format, and what each message means.

The oracle reads so when a prompt holds raw input. With noise, each record is misread by chance: a message is taken for
one of another kind and about another thing, and its amount slips; a line of a log is overlooked. The chance hangs on
the prompt alone.
"""

from __future__ import annotations

import csv
import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from habit.bench.data import CITIES, LABELS, Dataset, LogLine, Message, thing_of, worded
from habit.bench.sized import THREATENING, label_of

_LOG = re.compile(r"(\d\S+) (\w+) \[(\w+)\] (.*)")
_TAIL = re.compile(r"(.*) \| (\d\S+) (\w+) \[(\w+)\]")
_NUMBERED = re.compile(r"\[\d+\] (?=\{)")


@dataclass
class Reader:
    """Collects what stands in a text; ``chance`` decides what is misread."""

    chance: random.Random
    noise: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)
    """Kinds of texts that are not of this package's wordings."""
    messages: list[Message] = field(default_factory=list)
    cities: dict[str, str] = field(default_factory=dict)
    log: list[LogLine] = field(default_factory=list)
    replies: dict[str, str] = field(default_factory=dict)

    def read(self, text: str) -> Dataset:
        """The records of ``text``: a whole input, or any lines of one."""
        for line in _lines(text):
            self._take(line)
        return Dataset(0, tuple(self.messages), self.cities, tuple(self.log), self.replies)

    def kind(self, text: str) -> str:
        """The kind of one message, right or misread; ``none`` when it is no message."""
        label = self.labels.get(text) or label_of(text)
        if label is None:
            return "none"
        others = sorted({*(self.labels.values() if text in self.labels else LABELS)} - {label})
        return self.chance.choice(others) if others and self.misreads() else label

    def misreads(self) -> bool:
        """Whether chance has it that something is misread."""
        return bool(self.noise) and self.chance.random() < self.noise

    def _mistaken(self, text: str) -> str:
        """What a text is misread for: a threat for none, any other for one, and about another thing."""
        others = _HARMLESS if text in THREATENING else _THREATS
        return self.chance.choice([other for other in others if thing_of(other) != thing_of(text)])

    def _take(self, line: str) -> None:
        if line.startswith("{"):
            self._add(json.loads(line))
        elif found := _LOG.fullmatch(line):
            if not self.misreads():
                self.log.append(LogLine(*found.groups()))
        elif found := _TAIL.fullmatch(line):
            if not self.misreads():
                text, date, level, component = found.groups()
                self.log.append(LogLine(date, level, component, text))
        else:
            fields = next(csv.reader([line], delimiter=";" if line.count(";") >= 4 else ","), [])
            if len(fields) == 5 and fields[3].isdecimal():
                self._add(dict(zip(("id", "user", "date", "amount", "text"), fields, strict=True)))
            elif len(fields) == 2 and fields[1] in CITIES:
                self.cities[fields[0]] = fields[1]
            elif len(fields) == 2 and fields[1] != "answers":
                self.replies[fields[0]] = fields[1]

    def _add(self, row: Mapping[str, Any]) -> None:
        text = str(row["text"])
        right = self.labels.get(text) or label_of(text) or "none"
        label = self.kind(text)
        message = Message(row["id"], row.get("user", ""), row.get("date", ""), int(row.get("amount", 0)), text, label)
        if label != right:
            slip = self.chance.choice((-10, -1, 1, 10))
            message = replace(message, amount=message.amount + slip, text=self._mistaken(text))
        self.messages.append(message)


_HARMLESS = tuple(sorted(text for texts in worded().values() for text in texts))
_THREATS = tuple(sorted(THREATENING))


def _lines(text: str) -> Iterator[str]:
    """The records of a text as lines: those of JSON as one object each, those of files without the files' names."""
    if text.lstrip().startswith(("[{", '{"messages.csv"')):
        whole = json.loads(text)
        if isinstance(whole, list):
            yield from (json.dumps(row) for row in whole)
            return
        text = "\n".join(whole.values())
    for line in text.splitlines():
        line = _NUMBERED.sub("", line.strip(), count=1)
        if line and not line.startswith(("===", "id,", "id;", "user,")):
            yield line
