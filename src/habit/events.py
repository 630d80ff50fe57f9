"""What happens during a run, as small typed values; progress lines and traces are consumers of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True)
class RunStarted(Event):
    """A run was opened."""

    run: str
    model: str
    strategy: str
    notes: tuple[str, ...] = ()
    """What the loader of the context wants people to know."""


@dataclass(frozen=True)
class CellStarted(Event):
    """A cell is about to run."""

    session: str
    index: int
    code: str
    tool: str = ""
    """The tool of the agent loop that it is a call of; empty where a model wrote the code."""


@dataclass(frozen=True)
class CellFinished(Event):
    """A cell has ended."""

    session: str
    index: int
    status: str
    stdout: str
    error: str


@dataclass(frozen=True)
class ChildStarted(Event):
    """``recursive_llm`` opened a child run, because its context does not fit one prompt."""

    session: str
    depth: int


@dataclass(frozen=True)
class ChildFinished(Event):
    """A child run has ended."""

    session: str
    depth: int
    status: str
    """``answered``, ``salvaged`` or ``failed``."""


@dataclass(frozen=True)
class Folded(Event):
    """The oldest cells of a long conversation were folded into a summary, so that it fits the model's window."""

    session: str
    cells: int
    """Cells folded so far."""


@dataclass(frozen=True)
class SchedulerChosen(Event):
    """It is decided how the question will be answered."""

    habit: str | None
    """``name@version``; None when a scheduler without a library answers."""
    why: str
    scheduler: str = "rlm"
    """The one that answers where there is no habit: ``rlm`` writes a program, ``direct`` sends one call."""


@dataclass(frozen=True)
class HabitGaveUp(Event):
    """A habit did not come to an answer that may be given; the model writes a scheduler afresh, if that is allowed."""

    habit: str
    why: str


@dataclass(frozen=True)
class Notice(Event):
    """Something people should know while the run goes on."""

    text: str
    why: str = ""
    """Details, which may repeat what people asked, what their input says, or what a model wrote."""

    @property
    def said(self) -> str:
        """All of it."""
        return f"{self.text}: {self.why}" if self.why else self.text


Observer = Callable[[Event], None]


def all_of(*observers: Observer) -> Observer:
    """An observer that tells each of ``observers``, in order."""
    told = [observer for observer in observers if observer is not ignore]
    if len(told) == 1:
        return told[0]

    def tell(event: Event) -> None:
        for observer in told:
            observer(event)

    return tell if told else ignore


def ignore(event: Event) -> None:
    """The observer that does nothing."""
