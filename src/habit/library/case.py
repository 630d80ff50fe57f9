"""Cases: a recorded input with its parameters, the replies it got, and the answer it must give again.

Replies are kept by what the scheduler asked (query, slice, type), not by the prompt a profile makes of it: so a case
outlives a change of prompts or of model, and needs neither to be replayed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from habit.contexts.context import Context
from habit.errors import CallFailed, UsageError
from habit.sandbox.session import LlmRequest


@dataclass(frozen=True)
class Exchange:
    """One thing that a scheduler asked, and what it got."""

    query: str
    context: Context | None
    schema: Mapping[str, Any] | None
    reply: Any
    """The validated value; meaningless when the call failed."""
    error: str = ""
    """Why the call failed, when it did."""
    reason: str = ""

    @property
    def key(self) -> str:
        """What was asked, as ``request_key``."""
        return request_key(LlmRequest(self.query, self.context, self.schema))

    def give(self) -> Any:
        """The reply again. Raises the CallFailed that the scheduler met."""
        if self.reason:
            raise CallFailed(self.error, reason=self.reason)
        return self.reply

    def to_json(self) -> dict[str, Any]:
        """As it stands in a case."""
        context = None if self.context is None else [self.context.kind, _text_of(self.context)]
        return {
            "query": self.query,
            "context": context,
            "schema": self.schema,
            **({"error": self.error, "reason": self.reason} if self.reason else {"reply": self.reply}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Exchange:
        """Read back what ``to_json`` gave."""
        known = value["context"]
        context = None if known is None else Context(known[0], known[1].encode(*_TEXT))
        error, reason = value.get("error", ""), value.get("reason", "")
        return cls(value["query"], context, value["schema"], value.get("reply"), error, reason)


_TEXT = ("utf-8", "surrogatepass")


def _text_of(context: Context) -> str:
    with context.opened() as payload:
        return str(payload, *_TEXT)


def request_key(request: LlmRequest) -> str:
    """SHA-256 (hex) over the query, the slice and the type of what a scheduler asks."""
    slice_ = None if request.context is None else [request.context.kind, request.context.digest]
    content = json.dumps([request.query, slice_, request.schema], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode(*_TEXT)).hexdigest()


class Replies:
    """Recorded replies as a lookup. The same request asked again gets its replies in the order they were recorded.

    With ``again``, a request asked more often than it was recorded gets its last reply once more: for variations of a
    case, which may ask in another order or more than once.
    """

    def __init__(self, exchanges: Iterable[Exchange], *, again: bool = False) -> None:
        self._again = again
        self._by_key: dict[str, list[Exchange]] = {}
        for exchange in exchanges:
            self._by_key.setdefault(exchange.key, []).append(exchange)
        self._taken: dict[str, int] = {}

    def take(self, request: LlmRequest) -> Exchange | None:
        """The recorded exchange, which counts as used; None when nothing (more) was recorded for it."""
        key = request_key(request)
        known = self._by_key.get(key, [])
        index = self._taken.get(key, 0)
        if index >= len(known):
            return known[-1] if known and self._again else None
        self._taken[key] = index + 1
        return known[index]

    def unused(self) -> int:
        """How many recorded exchanges nobody asked for."""
        return sum(len(known) - self._taken.get(key, 0) for key, known in self._by_key.items())


@dataclass(frozen=True)
class Case:
    """One recorded use of a scheduler: what a habit must still do. A file in ``cases/``."""

    parameters: Mapping[str, Any]
    context: Context
    """The input itself. Inputs too large for a repository are cut down when a habit is learned."""
    exchanges: Sequence[Exchange]
    expected: Any
    """The answer, as JSON."""
    run: str = ""
    """The run it was recorded from."""
    query: str = ""
    """The question of that run."""
    notes: Sequence[str] = field(default=())

    def to_json(self) -> str:
        """The text of the file; the same case always gives the same text."""
        value = {
            "format": 1,
            "run": self.run,
            "query": self.query,
            "parameters": self.parameters,
            "context": [self.context.kind, _text_of(self.context)],
            "exchanges": [exchange.to_json() for exchange in self.exchanges],
            "expected": self.expected,
            "notes": list(self.notes),
        }
        return json.dumps(value, indent=1, ensure_ascii=True, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = "a case") -> Case:
        """Read a case. Raises UsageError when it is none."""
        try:
            value = json.loads(text)
            if value["format"] != 1:
                raise ValueError(f"its format is {value['format']!r}")
            kind, content = value["context"]
            if kind not in ("text", "json"):
                raise ValueError(f"its context is of the kind {kind!r}")
            return cls(
                parameters=dict(value["parameters"]),
                context=Context(kind, content.encode(*_TEXT), where),
                exchanges=[Exchange.from_json(one) for one in value["exchanges"]],
                expected=value["expected"],
                run=str(value["run"]),
                query=str(value["query"]),
                notes=[str(note) for note in value["notes"]],
            )
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as problem:
            raise UsageError(f"{where} is not a case of a habit ({problem}): restore it from git.") from None
