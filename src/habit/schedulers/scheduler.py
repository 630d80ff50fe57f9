"""The seam to a scheduler: code that decides the next bounded calls until a question is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from habit.calls.returns import Returns
from habit.contexts.context import Context


@dataclass(frozen=True)
class Task:
    """One question about one context."""

    query: str
    context: Context
    returns: Returns
    session: str = "0"
    """Where in the tree of sessions: ``0`` is the root, ``0.2`` its second child."""
    depth: int = 0
    about: str = ""
    """The context's digest in a child run; see Call.about."""
    hint: str = ""
    """What the root model is told besides the question: what was found out before it was asked."""
    begins: str = ""
    """How the first block of code begins, where the root model can be held to that."""


@dataclass(frozen=True)
class Outcome:
    """How a task ended. ``salvaged``: a limit was met, and ``answer`` is the best known by then."""

    status: Literal["answered", "salvaged"]
    answer: Any
    note: str = ""


class Scheduler(Protocol):
    """``RLM`` is one, whose model writes the scheduler; ``AgentLoop`` another, whose model is it.

    Raises RunFailed, BudgetExceeded or CallFailed.
    """

    async def run(self, task: Task) -> Outcome:
        """Work on ``task`` to its end."""
        ...
