"""What the journal holds, as plain values: it knows nothing of models, sandboxes or schedulers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

RunStatus = Literal["running", "interrupted", "answered", "salvaged", "budget", "failed"]


@dataclass(frozen=True)
class RunRecord:
    """One question being answered."""

    id: str
    """Sortable by time, safe in a path: ``20261122-165501-x7k2q9hf`` (``naming.new_run_id``)."""
    query: str
    started: float
    """Unix seconds."""
    settings: Mapping[str, Any]
    """Everything that replay and resume need besides the context: models, base URL, profile, limits, budget, return
    schema, seed, clock. JSON. Never a key or a secret."""
    context: Mapping[str, Any]
    """{"kind", "digest", "origin", "bytes", "files": [[path, sha256], …], "blob": digest or null}"""
    strategy: str = "rlm"
    status: RunStatus = "running"
    result: Mapping[str, Any] | None = None
    """What ``--json`` prints for the run, once it has ended: answer, usage, error and so on."""

    @property
    def serves(self) -> str | None:
        """The run that it was made for, to compare with it or to repair a habit; None when somebody asked it."""
        return self.settings.get("for")

    @property
    def is_aside(self) -> bool:
        """Whether nobody asked it: it serves another run, or learning. ``last`` never means it."""
        return self.serves is not None or self.strategy == "learn"


@dataclass(frozen=True)
class CellRecord:
    """One cell of one session of a run."""

    run: str
    session: str
    index: int
    """From 1."""
    code: str
    status: str
    stdout: str
    """The store keeps 50,000 characters at most, half from either end, and counts the rest as dropped."""
    stdout_dropped: int
    error: str
    seconds: float
    started: float
    folded: int = 0
    """Earlier cells that the root saw only as a summary when it wrote this one."""


@dataclass(frozen=True)
class CallRecord:
    """One bounded call that completed or failed for good. Written before anyone may use its reply."""

    run: str
    key: str
    """Content key."""
    occurrence: int
    """How many calls with the same key this run made before it; negative for one that ran ahead and that the run never
    asked for."""
    role: str
    session: str
    cell: int
    model: str
    prompt: tuple[tuple[str, str], ...]
    """(role, text) of each message; the store keeps only the ends and the digest of one above 4,096 characters."""
    reply: str | None
    """None when the call failed."""
    input_tokens: int
    output_tokens: int
    usd: float | None
    seconds: float
    started: float
    finish: str = "stop"
    error: str = ""
    error_reason: str = ""
    attempts: int = 1
    cached_from: str | None = None
    """The run whose reply was reused, when nothing was sent."""
    cache_read_tokens: int = 0
    """Of the input tokens, those that the provider took from its prompt cache."""
    waited: float = 0.0
    """Seconds for which it waited for its turn before it was sent."""
    ahead: bool = False
    """Whether it was started before the run asked for it, if the run ever did."""

    @property
    def asked(self) -> float:
        """When it was asked for: calls of one map are asked for together, however few may be sent at once."""
        return self.started - self.waited

    @property
    def unasked(self) -> bool:
        """Whether it ran ahead and the run never asked for it. Other runs may use its reply, a replay does not."""
        return self.occurrence < 0


@dataclass(frozen=True)
class RememberedReply:
    """A recorded reply, found by its content key."""

    run: str
    text: str
    input_tokens: int
    output_tokens: int
    finish: str
