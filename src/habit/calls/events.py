"""What happens to calls, as small typed values."""

from __future__ import annotations

from dataclasses import dataclass

from habit.calls.call import Call, Reply
from habit.errors import CallFailed
from habit.events import Event


@dataclass(frozen=True)
class CallStarted(Event):
    """A call was asked for; it may yet be answered from the journal. Exactly one CallFinished or CallEnded follows."""

    call: Call
    occurrence: int


@dataclass(frozen=True)
class CallRetried(Event):
    """An attempt failed and another follows after ``wait`` seconds."""

    call: Call
    attempt: int
    """The attempt that failed, from 1."""
    wait: float
    failure: CallFailed


@dataclass(frozen=True)
class CallFinished(Event):
    """A call has its reply, and the journal has it too."""

    call: Call
    occurrence: int
    reply: Reply


@dataclass(frozen=True)
class CallEnded(Event):
    """A call ended without a reply."""

    call: Call
    occurrence: int
    failure: CallFailed | None
    """None: it was stopped, by cancellation or by a budget."""
