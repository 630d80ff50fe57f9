"""Run: how one question was answered, what it cost, and whether to believe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from habit.accounting import Orchestration
from habit.calls.usage import Usage
from habit.events import Event

Status = Literal["answered", "salvaged", "budget", "failed"]


@dataclass(frozen=True)
class Run:
    """One question being answered, as far as it got."""

    id: str
    query: str
    status: Status
    answer: Any = None
    """The typed answer; for ``salvaged`` and sometimes ``budget`` the best known when the run was stopped."""
    strategy: str = "rlm"
    habit: str | None = None
    """The habit that answered, ``name@version``; None when a scheduler was written afresh."""
    why: str = ""
    """Why it was answered in this way: what chose the habit, or why none was used; see ``habit explain``."""
    usage: Usage = field(default_factory=Usage)
    """Exact for the whole tree of calls."""
    peak_prompt_tokens: int = 0
    """The largest prompt of any call, in tokens."""
    cells: int = 0
    """Cells run, children included."""
    depth: int = 0
    """The deepest level of child runs; 0 when there were none."""
    orchestration: Orchestration | None = None
    """What it took to get to the answer besides the work on slices; see docs/agent.md."""
    seconds: float = 0.0
    error: str | None = None
    notes: tuple[str, ...] = ()
    """What a careful reader of the answer should know."""

    stopped_by: str | None = None
    """The budget that stopped the run: calls, tokens, usd, seconds, usd_day, or fan_out; see docs/budgets.md."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Run:
        """The run that ``to_json`` wrote down; a pydantic answer stays the plain data it was written as."""
        known = {field.name for field in fields(cls)} - {"id", "usage", "notes", "orchestration"}
        accounts = value.get("orchestration")
        return cls(
            id=value["run"],
            usage=Usage.from_json(value["usage"], value["peak_prompt_tokens"]),
            notes=tuple(value["notes"]),
            orchestration=None if accounts is None else Orchestration.from_json(accounts),
            **{name: item for name, item in value.items() if name in known},
        )

    def to_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {
            "run": self.id,
            "query": self.query,
            "answer": plain(self.answer),
            "status": self.status,
            "strategy": self.strategy,
            "habit": self.habit,
            "why": self.why,
            "usage": self.usage.to_json(),
            "peak_prompt_tokens": self.peak_prompt_tokens,
            "orchestration": None if self.orchestration is None else self.orchestration.to_json(),
            "cells": self.cells,
            "depth": self.depth,
            "seconds": round(self.seconds, 3),
            "error": self.error,
            "stopped_by": self.stopped_by,
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class RunEnded(Event):
    """A run has ended, with an answer or without; the last event of a run."""

    run: Run


@dataclass(frozen=True)
class Replay:
    """A run replayed from the journal with no model at all."""

    run: Run
    recorded_answer: Any
    same: bool
    """Whether the replay gave the recorded answer."""

    def to_json(self) -> dict[str, Any]:
        """The object that ``habit replay --json`` prints."""
        return {**self.run.to_json(), "same": self.same, "recorded_answer": self.recorded_answer}


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it; pydantic instances become dicts."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value
