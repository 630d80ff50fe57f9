"""HabitScheduler: versioned code is the scheduler. It makes bounded calls and needs no root model.

What it can't do it hands back: ``GaveUp`` says why, and whoever runs it may let the model write a scheduler afresh.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import anyio.to_thread

from habit.calls.account import NARROWED
from habit.calls.budget import Budget
from habit.errors import BudgetExceeded, HabitError
from habit.schedulers.invocation import cell_of
from habit.schedulers.live import LiveSession
from habit.schedulers.rooted import Rooted
from habit.schedulers.scheduler import Outcome, Task
from habit.schedulers.workbench import Workbench

SESSION = "0.h"
"""The session of a habit's code; one level below the root, so that a fresh attempt has the root to itself."""
MATCH_SESSION = "match"
"""The session under which calls that choose a habit are journalled."""
BROKEN_PROMISE = "its answer breaks a promise: "
"""How the reason begins for which an answer is not given."""
_MOST_SOURCE_TOLD = 6_000


def nothing_wrong(answer: Any) -> Sequence[str]:
    """The judge that accepts every answer."""
    return ()


@dataclass(frozen=True)
class Chosen:
    """An approved scheduler with its parameters, for one question; JSON but for ``judge``."""

    name: str
    version: int
    source: str
    parameters: Mapping[str, Any]
    budget: Budget = field(default_factory=Budget)
    """What one use may take together, whatever single calls may."""
    promises: Mapping[str, Any] = field(default_factory=dict)
    """What ``judge`` was made of, for a librarian to make it again."""
    judge: Callable[[Any], Sequence[str]] = field(default=nothing_wrong, compare=False)
    """The promises that an answer breaks, a sentence each."""

    @property
    def full_name(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"

    def to_json(self) -> dict[str, Any]:
        """What the journal keeps, so that resume and replay run the same code whatever the library holds by then."""
        budget = {name: value for name, value in vars(self.budget).items() if value is not None}
        return {
            "name": self.name,
            "version": self.version,
            "source": self.source,
            "parameters": dict(self.parameters),
            "budget": budget,
            "promises": dict(self.promises),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Chosen:
        """Read back what ``to_json`` gave; nobody judges its answers."""
        known = {name: value[name] for name in ("name", "version", "source", "parameters", "promises")}
        return cls(**known, budget=Budget(**value["budget"]))

    def judged_as(self, gave_up: Mapping[str, Any] | None) -> Chosen:
        """The same with the verdict that was recorded: the promise that its answer broke then, it breaks again."""
        broken = gave_up["reason"].partition(BROKEN_PROMISE)[2] if gave_up else ""
        return replace(self, judge=(lambda answer: [broken]) if broken else nothing_wrong)


@dataclass(frozen=True)
class Choice:
    """How a question is to be answered, and why."""

    chosen: Chosen | None
    why: str
    drift: str = ""
    """The habit, ``name@version``, that this question is for and whose contract its input violates."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """What that habit would have been given."""
    hint: str = ""
    """What a fresh scheduler's author should know of it."""
    phrasing: str = ""
    """The question as a template, to be remembered if the habit answers it."""

    def to_json(self) -> dict[str, Any]:
        """What the journal keeps; what is empty is left out."""
        facts = {name: getattr(self, name) for name in ("why", "drift", "hint", "phrasing")}
        of_drift = {"parameters": dict(self.parameters)} if self.drift else {}
        chosen = {} if self.chosen is None else {"chosen": self.chosen.to_json()}
        return {name: fact for name, fact in {**chosen, **facts, **of_drift}.items() if fact}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Choice:
        """Read back what ``to_json`` gave, among other facts of a run; nobody judges the answers."""
        known = {name: value[name] for name in ("why", "drift", "hint", "phrasing", "parameters") if value.get(name)}
        return cls(**{"why": "", **known, "chosen": Chosen.from_json(value["chosen"]) if value.get("chosen") else None})


class GaveUp(HabitError):
    """A habit did not come to an answer that may be given; the message is the reason."""

    def __init__(self, reason: str, *, stopped: bool = False) -> None:
        super().__init__(reason)
        self.stopped = stopped
        """Whether its budget stopped it."""


class HabitScheduler:
    """Runs one chosen habit, in a session that is used for nothing else, within its aggregate budget."""

    def __init__(self, rlm: Rooted, chosen: Chosen, *, stopped: bool = False) -> None:
        """``rlm`` answers what does not fit one prompt, and lends its journal, sandbox and limits.

        ``stopped`` is for the replay of an attempt that its budget stopped.
        """
        self._rlm = rlm
        self._chosen = chosen
        self._stopped = stopped

    async def run(self, task: Task, live: LiveSession) -> Outcome:
        """The answer, checked for its type and against every promise. Raises GaveUp, or BudgetExceeded when the run's
        own budget is used up."""
        rlm, chosen = self._rlm, self._chosen
        mine = Task(task.query, task.context, task.returns, session=SESSION, depth=task.depth, about=task.about)
        try:
            async with rlm.kernel.narrowed(chosen.budget, stopped=self._stopped):
                (result,) = await Workbench(rlm, mine, live).run_blocks([cell_of(chosen.source, chosen.parameters)])
        except BudgetExceeded as stop:
            if stop.scope != NARROWED:
                raise
            raise GaveUp(f"it used up its budget ({_limit(chosen.budget, stop.limit)})", stopped=True) from stop
        if result.status != "answered":
            raise GaveUp(_in_a_line(result.error) or "it gave no answer")
        try:
            answer = task.returns.check(result.answer)
        except ValueError as problem:
            raise GaveUp(f"its answer is not of the type asked for: {problem}") from None
        broken = await anyio.to_thread.run_sync(chosen.judge, answer, abandon_on_cancel=True)
        if broken:
            raise GaveUp(f"{BROKEN_PROMISE}{broken[0]}")
        return Outcome("answered", answer)


def hint_after(program: str, reason: str) -> str:
    """What the model that now writes a scheduler afresh is told of a habit that gave up, or did not fit the input."""
    source = program if len(program) <= _MOST_SOURCE_TOLD else program[:_MOST_SOURCE_TOLD] + "\n# …"
    fence = "~" * max(3, 1 + max((len(run) for run in re.findall("~+", source)), default=0))
    return (
        "A program written for an earlier question of this kind did not work on this input: "
        f"{reason}. Look at the input before you take anything over from it:\n{fence}\n{source.rstrip()}\n{fence}"
    )


def _limit(budget: Budget, limit: str) -> str:
    allowed = getattr(budget, f"max_{limit}", None)
    return limit if allowed is None else f"{allowed:g} {limit}"


def _in_a_line(error: str) -> str:
    """The last line of an error: what happened, without where."""
    lines = error.strip().splitlines()
    return lines[-1].strip() if lines else ""
