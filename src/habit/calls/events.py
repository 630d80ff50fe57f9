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
class SlowedDown(Event):
    """Fewer requests leave to a model from now on; told once in a run for each model."""

    model: str
    reason: str
    """``refused``, ``overloaded``, or ``slower``: replies take ever longer."""
    pause: float
    """Seconds without any request."""
    rate: float | None
    """Requests a second; None where only those under way are limited."""
    at_once: int
    """Requests under way at once, to begin with."""


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


@dataclass(frozen=True)
class BudgetWarning(Event):
    """80 % of a limit is used up; told once for each limit and scope."""

    limit: str
    """``calls``, ``tokens``, ``usd``, ``seconds`` or ``usd_day``."""
    used: float
    allowed: float
    scope: str
    """Whose limit: ``run``, ``day``, or the name of a wider scope such as ``engine``."""


@dataclass(frozen=True)
class FanOut(Event):
    """One map is about to send many calls, or expensive ones; all figures are expectations, mostly too high."""

    session: str
    cell: int
    model: str
    """The model most of the calls go to."""
    calls: int
    """Calls to be sent; where replies were looked up in the journal, those it has are left out."""
    tokens: int
    usd: float | None
    """None where no price is known."""
