"""The steps of a monty interpreter, as data: what it was fed and resumed with can be fed and resumed again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic_monty import (
    FunctionSnapshot,
    FutureSnapshot,
    MontyComplete,
    MontyError,
    MontySession,
    NameLookupSnapshot,
)

from habit.sandbox.monty.output import CellOutput

Snapshot = FunctionSnapshot | NameLookupSnapshot | FutureSnapshot | MontyComplete


@dataclass(frozen=True)
class Resume:
    """What a suspended interpreter was told: the result of a call, of awaited calls, or that there is no such thing."""

    kind: Literal["call", "futures", "unknown"]
    value: Any = None


INTERRUPT = Resume("call", {"exc_type": "KeyboardInterrupt", "message": "the cell is over"})


@dataclass
class Fed:
    """One piece of code that an interpreter ran, and everything it was told meanwhile."""

    code: str
    inputs: dict[str, Any] = field(default_factory=dict)
    resumes: list[Resume] = field(default_factory=list)


def start(session: MontySession, fed: Fed, output: CellOutput) -> Snapshot:
    """Begin a piece of code; raises MontyError."""
    return session.feed_start(fed.code, inputs=fed.inputs, print_callback=output.write)


def resume(snapshot: Snapshot, told: Resume) -> Snapshot:
    """Go on from where it was suspended; raises MontyError."""
    match snapshot:
        case FunctionSnapshot() if told.kind == "call":
            return snapshot.resume(told.value)
        case FunctionSnapshot() if snapshot.is_os_function:
            return snapshot.resume_not_handled()
        case FutureSnapshot() if told.kind == "futures":
            return snapshot.resume(told.value)
        case FutureSnapshot() if told is INTERRUPT:
            return snapshot.resume(dict.fromkeys(snapshot.pending_call_ids, told.value))
        case NameLookupSnapshot():
            return snapshot.resume()
    raise RuntimeError("monty is suspended otherwise than it was before")


def repeat(session: MontySession, log: list[Fed]) -> None:
    """Bring a fresh interpreter to where another was, by the log of its steps; RuntimeError when they differ."""
    for fed in log:
        told = iter(fed.resumes)
        try:
            snapshot = start(session, fed, CellOutput(0))
            while not isinstance(snapshot, MontyComplete):
                following = next(told, None)
                if following is None:
                    raise RuntimeError("monty asks for more than before")
                snapshot = resume(snapshot, following)
        except MontyError:
            pass  # it ended with an error before
        if next(told, None) is not None:
            raise RuntimeError("monty ends earlier than before")
