"""The tape of a session: every cell it ran and every reply it got, so that a copy can be brought to the same place."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from habit.contexts.parked import Parked
from habit.errors import CallFailed
from habit.sandbox.session import LlmRequest
from habit.schedulers.speculation import Place, Predictions

_ENDS = 1 << 19
"""Bytes at either end of a context by which a copy knows it again."""


@dataclass
class TapedCell:
    """One cell: its code, and what the host said to the answers it gave (None: accepted)."""

    code: str
    query: str | None
    """Set when another question was asked of the session before this cell."""
    verdicts: list[str | None] = field(default_factory=list)
    status: str = ""
    """How it ended; empty while it runs."""


class TapedReply:
    """What one question of the session was answered, once it is."""

    def __init__(self) -> None:
        self.settled = anyio.Event()
        self.asked = False
        """Whether the session itself has asked; a copy may be the first."""
        self._value: Any = None
        self._failure: CallFailed | None = None

    def settle(self, value: Any) -> None:
        """The session got ``value``, or the CallFailed that it is."""
        if isinstance(value, CallFailed):
            self._failure = value
        else:
            self._value = value
        self.settled.set()

    def get(self) -> Any:
        """The value; raises the CallFailed."""
        if self._failure is not None:
            raise CallFailed(str(self._failure), reason=self._failure.reason)
        return self._value


class Tape:
    """Everything that went into one session, in order. A session is a function of it, but for its clock of seconds."""

    def __init__(self) -> None:
        self.cells: list[TapedCell] = []
        self.predictions = Predictions()
        self.seconds = 0.0
        """What the cells so far took of their own work: about what a copy takes to come as far."""
        self.repeatable = True
        """False once a cell was cut off: where exactly it was can't be repeated."""
        self._asked: Counter[str] = Counter()
        self._replies: dict[Place, TapedReply] = {}
        self.query: str | None = None
        """What is asked of the session from its next cell on, where that is something else than before."""

    def set_query(self, query: str) -> None:
        """Another question is asked before the next cell."""
        self.query = query

    def begin(self, code: str) -> TapedCell:
        """The session begins a cell."""
        cell = TapedCell(code, self.query)
        self.query = None
        self.cells.append(cell)
        return cell

    @contextmanager
    def recording(self, code: str) -> Iterator[TapedCell]:
        """Held while the session runs a cell, from which on it can't be repeated unless the cell ends by itself."""
        cell = self.begin(code)
        try:
            yield cell
        finally:
            if not cell.status:
                self.end(cell, "stopped", 0.0)

    def end(self, cell: TapedCell, status: str, seconds: float) -> None:
        """The cell has ended by itself; ``timeout`` and ``died`` did not."""
        cell.status = status
        self.seconds += seconds
        if status not in ("ok", "error", "answered"):
            self.repeatable = False

    def ask(self, what: str) -> Place:
        """The session asks ``what``."""
        place = (what, self._asked[what])
        self._asked[what] += 1
        self.reply(place).asked = True
        return place

    def reply(self, place: Place) -> TapedReply:
        """What the question is answered, now or later."""
        return self._replies.setdefault(place, TapedReply())


def asks(request: LlmRequest) -> str:
    """What is asked, as a short text that is the same for the same question; of a long context it looks at the ends."""
    told = hashlib.sha256(json.dumps([request.query, request.schema, request.child], sort_keys=True).encode())
    if request.context is not None:
        payload = request.context.payload
        told.update(f"{request.context.kind} {len(payload)} ".encode())
        if isinstance(payload, Parked):  # its digest is known already
            told.update(request.context.digest.encode())
        else:
            told.update(payload if is_told_whole(request) else payload[:_ENDS] + payload[-_ENDS:])
    return told.hexdigest()


def is_told_whole(request: LlmRequest) -> bool:
    """Whether ``asks`` looks at all that is asked, so that no two questions can be taken for one."""
    context = request.context
    return context is None or isinstance(context.payload, Parked) or len(context.payload) <= 2 * _ENDS
