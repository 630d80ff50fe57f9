"""The seam to the library: what chooses a habit for a question, and looks after what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from habit.calls.budget import Budget
from habit.calls.kernel import Kernel
from habit.calls.returns import Returns
from habit.contexts.context import Context
from habit.events import Observer
from habit.run import Run
from habit.schedulers.habit import Choice, Chosen
from habit.schedulers.scheduler import Task


class Asking(Protocol):
    """Asks further questions about the same input, in the service of a run that has ended: each is a run of its own,
    and all keep together to what that run left of its budget."""

    async def __call__(self, query: str, *, returns: Any, use_cache: bool = True, chosen: Chosen | None = None) -> Run:
        """The answered run; with ``chosen``, that habit must answer. Raises RunError and other HabitErrors."""
        ...


@dataclass(frozen=True)
class Ended:
    """A run that has ended, and how it was decided how to answer."""

    run: Run
    choice: Choice
    gave_up: str
    """Why the chosen habit gave up; empty when it did not, or when none was chosen."""
    context: Callable[[], Awaitable[Context]]
    """Gives the input, to be read."""
    returns: Returns
    budget: Budget
    """What the run might use."""
    tell: Observer

    @property
    def budget_left(self) -> Budget | None:
        """What the run left of its budget; None when it left nothing."""
        usage = self.run.usage
        used = {
            "max_calls": usage.calls,
            "max_tokens": sum(tally.input_tokens + tally.output_tokens for tally in (usage.root, usage.leaf)),
            "max_usd": usage.usd or 0.0,
            "max_seconds": self.run.seconds,
        }
        left = {name: allowed - used[name] for name in used if (allowed := getattr(self.budget, name)) is not None}
        return None if any(amount <= 0 for amount in left.values()) else Budget(**left)


class Librarian(Protocol):
    """What chooses, and learns from what came of it. Nothing below the engine knows how."""

    async def choose(self, kernel: Kernel, task: Task, strategy: str) -> Choice:
        """Choose, with calls through ``kernel`` if there must be any. Raises UsageError where ``strategy`` demands a
        habit and the library can't be read."""
        ...

    def judge_of(self, chosen: Chosen, context: Context) -> Callable[[Any], Sequence[str]]:
        """The judge that ``chosen.promises`` stand for, of answers about ``context``."""
        ...

    async def note(self, ended: Ended) -> bool:
        """Note what became of a run, once however often it is told; whether it calls for more that is still to be done.
        Never raises a HabitError."""
        ...

    async def after(self, ended: Ended, ask: Asking) -> None:
        """Do what a noted run calls for: solve it afresh, or repair a habit. Never raises a HabitError: the question is
        answered already."""
        ...

    async def aclose(self) -> None:
        """Give back files."""
        ...
