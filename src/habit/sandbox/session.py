"""The seam to a sandbox: sessions that run model-written cells and ask their host for everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from habit.contexts.context import Context
from habit.errors import CallFailed


@dataclass(frozen=True)
class SessionLimits:
    """What one session may use."""

    cell_seconds: float = 60.0
    """CPU and wall seconds per cell; waiting for a host call (a model) does not count."""
    memory: int = 4 << 30
    """Bytes of address space beyond what the decoded context takes."""
    output_chars: int = 1_000_000
    """Characters of stdout kept inside the worker; the rest is counted and dropped."""


@dataclass(frozen=True)
class SessionSpec:
    """How a session starts. The same spec, context and host replies give the same behaviour, cell by cell."""

    query: str
    seed: int = 0
    """Seeds ``random``, ``os.urandom`` and numpy in the session."""
    clock: float = 0.0
    """Unix seconds at which the session's wall clock stands still."""
    limits: SessionLimits = field(default_factory=SessionLimits)


@dataclass(frozen=True)
class LlmRequest:
    """What ``recursive_llm`` asks of the host; ``schema`` is a JSON schema, or None for str."""

    query: str
    context: Context | None
    schema: Mapping[str, Any] | None
    child: bool = False
    """Asks for a child run with a session of its own, even where the prompt would fit one call (``rlm_query``)."""
    site: int = field(default=0, compare=False)
    """Stands for the place in the session's code that asks. A hint by which replies are predicted, and no more."""
    line: int = field(default=0, compare=False)
    """The line of the cell that asks; 0 where it is not known, or the code is of an earlier cell. A hint as well."""


class Host(Protocol):
    """What a session may ask of its host while a cell runs. Called concurrently: once for every pending request."""

    async def recursive_llm(self, request: LlmRequest) -> Any:
        """The reply, already validated against ``request.schema``; raises CallFailed, which the cell sees."""
        ...

    async def recursive_llm_map(self, requests: Sequence[LlmRequest]) -> Sequence[Any]:
        """Replies aligned with ``requests``; a slot that failed holds its CallFailed instance."""
        ...

    def check_answer(self, value: Any) -> None:
        """Raises ValueError with the reason when ``value`` is not of the requested type; the cell sees it."""
        ...


@dataclass(frozen=True)
class CellResult:
    """What one cell did."""

    status: Literal["ok", "error", "answered", "timeout", "died"]
    """``error``: an exception, variables kept. ``timeout``: interrupted, variables kept. ``died``: the worker is gone
    and the session is closed; a new one must be opened, and its variables are lost."""
    stdout: str = ""
    """Everything printed and the value of a last expression, at most ``output_chars`` characters, head and tail."""
    stdout_dropped: int = 0
    """Characters left out between head and tail."""
    error: str = ""
    """A short traceback with the cell's line numbers and source lines; for ``timeout`` and ``died`` one sentence."""
    answer: Any = None
    seconds: float = 0.0
    """Seconds of the cell's own work, without waiting for host calls."""
    variables: str = ""
    """One line that lists the user's variables with types and sizes, at most 500 characters."""


async def slot_by_slot(host: Host, requests: Sequence[LlmRequest]) -> list[Any]:
    """What a host without concurrency gives for a map: a reply, or the CallFailed, for each of ``requests``."""
    slots: list[Any] = []
    for request in requests:
        try:
            slots.append(await host.recursive_llm(request))
        except CallFailed as failure:
            slots.append(failure)
    return slots


class Session(Protocol):
    """One Python session with variables of its own. Not to be used by two cells at once."""

    description: str
    """Metadata of the context, computed in the session from the decoded value (see contexts.describe)."""

    async def run_cell(self, code: str, host: Host) -> CellResult:
        """Run one cell to its end. Cancellation interrupts the cell and leaves no task behind."""
        ...

    def set_query(self, query: str) -> None:
        """What ``query`` holds from the next cell on: a session may answer several questions, one after the other."""
        ...

    async def aclose(self) -> None:
        """End the session and everything it owns."""
        ...


class SharedContext(Protocol):
    """A context decoded once; every session opened from it shares the memory copy-on-write."""

    async def session(self, spec: SessionSpec) -> Session:
        """Open a session. Raises SandboxError."""
        ...

    async def aclose(self) -> None:
        """Forget the context; open sessions live on."""
        ...


class Sandbox(Protocol):
    """A sandbox backend. Never in-process ``exec``, never a silent change to another backend."""

    @property
    def name(self) -> str:
        """Which backend it is: ``cpython`` or ``monty``."""
        ...

    async def warm_up(self) -> None:
        """Start what the first session will need, ahead of it. Raises SandboxError."""
        ...

    async def share(self, context: Context) -> SharedContext:
        """Decode ``context`` once for any number of sessions."""
        ...

    async def aclose(self) -> None:
        """End every process this sandbox started."""
        ...
