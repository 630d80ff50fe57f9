"""One session as its host sees it: a monty worker, the cells it runs one after the other, and a copy to go back to."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal

import anyio
from pydantic_monty import Monty, MontyError, OSPolicy, ResourceLimits

from habit.errors import SandboxError, SessionDied
from habit.sandbox.monty import errors
from habit.sandbox.monty.calls import NAMES, Functions
from habit.sandbox.monty.cell import Cell, Ending
from habit.sandbox.monty.differences import BY_NAME
from habit.sandbox.monty.output import CellOutput
from habit.sandbox.monty.source import Source, read_source
from habit.sandbox.monty.values import answer_of, scrub
from habit.sandbox.monty.worker import Worker
from habit.sandbox.session import CellResult, Host, SessionSpec

MAX_COPY = 64 << 20
"""Bytes of a session's state above which no copy is taken before a cell; such a session ends with a cell that is cut
off."""
MAX_SUSPENSIONS = 10**9
"""Host calls of a session, for monty; the budget of the run bounds them."""
CellStatus = Literal["ok", "error", "answered", "timeout", "died"]
_SETTLE = "\n".join(
    [
        "_habit_report = _habit_settle(locals())",
        *(
            f'{name} = _habit_saved["{name}"]'
            for name in (
                "context", "query", "answer", "find", "parts", "table", "classify", "show_vars", "SHOW_VARS",
                "FINAL_VAR",
                *(name for name in NAMES if not name.startswith("_")),
            )
        ),
        "import re, json, math, collections, itertools, datetime, asyncio",
        "_habit_report",
    ]
)  # fmt: skip
"""Run after each cell: what it left behind, and the reserved names put back."""


class MontySession:
    """A Session in a monty worker."""

    def __init__(
        self,
        pool: Monty,
        threads: anyio.CapacityLimiter,
        spec: SessionSpec,
        *,
        description: str,
        context_bytes: int,
        context_room: int,
        in_flight: int,
        on_close: Callable[[], Awaitable[None]],
    ) -> None:
        self.description = description
        self._pool = pool
        self._threads = threads
        self._spec = spec
        self._context_bytes = context_bytes
        self._context_room = context_room
        self._in_flight = in_flight
        self._on_close = on_close
        self._worker = self._new_worker()
        self._running = anyio.Lock()
        self._open = True
        self._query: str | None = None
        self._fed = 0
        self._cells = 0
        self._sources: dict[str, tuple[int, str]] = {}
        self._awaited: dict[str, frozenset[tuple[int, int]]] = {}
        self._names: list[str] = []
        self._variables: list[Any] = []
        self._functions = Functions(lambda: list(self._names))

    @property
    def pid(self) -> int | None:
        """The worker's process id."""
        return self._worker.pid

    async def start(self, context: Any) -> None:
        """Give a new worker its context and functions. Raises SandboxError."""
        functions = {name: _function(name) for name in NAMES}
        bound = ", ".join(f'"{name}": {name}' for name in NAMES)
        code = f'_habit_host = {{{bound}}}\n_habit_saved = {{"context": context, "query": query}}\n{_prelude()}'
        inputs = {**functions, "context": context, "query": scrub(self._spec.query)}
        try:
            await self._worker.open()
            await self._worker.step(lambda session: session.feed_run(code, inputs=inputs))
            await self._worker.step(lambda session: session.feed_run(_SETTLE))
        except (MontyError, RuntimeError, OSError) as error:
            await self._worker.close()
            raise SandboxError(
                f"A monty session could not start ({str(error)[:300]}): try a smaller input, or --sandbox cpython."
            ) from error
        self._fed = 2

    async def run_cell(self, code: str, host: Host) -> CellResult:
        """Run one cell to its end; see Session. Raises SessionDied when the session is closed or lost already."""
        if not self._open:
            raise SessionDied("This session is over: open a new one.")
        async with self._running:
            return await self._run(code, host)

    def set_query(self, query: str) -> None:
        """What ``query`` holds from the next cell on."""
        self._query = query

    async def aclose(self) -> None:
        """End the worker; a cell that still runs ends as ``died``."""
        if not self._open:
            return
        with anyio.CancelScope(shield=True):
            self._worker.kill()
            async with self._running:
                await self._close()

    async def _close(self) -> None:
        if self._open:
            self._open = False
            with anyio.CancelScope(shield=True):
                await self._worker.close()
                await self._on_close()

    async def _run(self, code: str, host: Host) -> CellResult:
        self._cells += 1
        limits = self._spec.limits
        output = CellOutput(limits.output_chars)
        cell: Cell | None = None
        copy: tuple[bytes, int] | None = None
        try:
            if self._query is not None:
                await self._ask_anew(self._query)
            copy = await self._copy()
            source = await anyio.to_thread.run_sync(read_source, scrub(code))
            self._note(scrub(code), source)
            cell = Cell(
                self._worker,
                host,
                self._functions,
                output,
                seconds=limits.cell_seconds,
                in_flight=self._in_flight,
                awaited=lambda file, start, end: (start, end) in self._awaited.get(file, frozenset()),
            )
            ending = await cell.run(source)
            return await self._result(ending, cell, output, copy, host)
        except (MontyError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not _is_from_monty(error):
                raise
            ending = Ending("lost", whole=False)
            return await self._result(ending, cell, output, copy, host)
        finally:
            if cell is not None and not cell.whole and self._open and self._worker.session is not None:
                with anyio.CancelScope(shield=True):
                    await self._go_back(copy)

    async def _result(
        self, ending: Ending, cell: Cell | None, output: CellOutput, copy: tuple[bytes, int] | None, host: Host
    ) -> CellResult:
        """The result of a cell that has ended; its session is ready for the next one, or closed."""
        error = self._explained(ending)
        if not ending.whole and not await self._go_back(copy):
            output_text, dropped = output.finish()
            if ending.status == "answered":
                return CellResult("answered", output_text, dropped, answer=ending.answer, seconds=_seconds(cell))
            lost = f"The session was lost: {_reason(ending, self._spec.limits.cell_seconds)}."
            return CellResult(
                "died",
                output_text,
                dropped,
                error=f"{lost} All variables are gone; start again from `context`.",
                seconds=_seconds(cell),
            )
        status: CellStatus = "error" if ending.status in ("memory", "lost") else ending.status
        answer = ending.answer
        ready = await self._settle(output)
        if ready and status == "ok":
            try:
                answer = answer_of(ready[0])
                host.check_answer(answer)
                status = "answered"
            except (ValueError, TypeError) as refusal:
                status, error, answer = "error", f"ValueError: {refusal}", None
        text, dropped = output.finish()
        return CellResult(
            status, text, dropped, error, answer=answer, seconds=_seconds(cell), variables=_one_line(self._variables)
        )

    def _explained(self, ending: Ending) -> str:
        limits = self._spec.limits
        if ending.status == "timeout":
            where = errors.line_of(ending.error, self._sources) if ending.error is not None else ""
            kept = "variables set before are kept" if ending.whole else BY_NAME["time-and-memory"].instead
            return (
                f"The cell was stopped after {limits.cell_seconds:g} seconds of its own work{where and f' in {where}'}; "
                f"{kept}: do less at a time, or find a faster way."
            )
        if ending.status == "lost":
            return f"The sandbox had to be restarted, and {BY_NAME['time-and-memory'].instead}: go another way."
        return errors.describe(ending.error, self._sources, limits.memory) if ending.error is not None else ""

    async def _settle(self, output: CellOutput) -> list[Any]:
        """After a cell: put the reserved names back, note the variables; the answer that the dict holds, if ready."""
        report = await self._feed(_SETTLE)
        for name in report["taken"]:
            output.write(
                "stdout", f"note: `{name}` is reserved and was restored; keep your own value under another name\n"
            )
        self._variables = [[str(name), str(kind), bool(code)] for name, kind, code in report["variables"]]
        self._names = [name for name, _, _ in self._variables]
        ready: list[Any] = report["answer"]
        return ready

    async def _ask_anew(self, query: str) -> None:
        await self._feed('query = _habit_saved["query"] = _habit_query', {"_habit_query": scrub(query)})
        self._query = None

    async def _feed(self, code: str, inputs: dict[str, Any] | None = None) -> Any:
        self._fed += 1
        return await self._worker.step(lambda session: session.feed_run(code, inputs=inputs or {}))

    def _note(self, code: str, source: Source) -> None:
        """Note what monty will call this cell, for its errors and awaited calls."""
        file = f"<python-input-{self._fed}>"
        self._fed += 1
        self._sources[file] = (self._cells, code)
        self._awaited[file] = source.awaited
        self._names = list(dict.fromkeys([*self._names, *source.names]))

    async def _copy(self) -> tuple[bytes, int] | None:
        """The session's state, to go back to when the cell is cut off; None where that would take too much."""
        if self._context_bytes > MAX_COPY:
            return None
        state = await self._worker.step(lambda session: session.dump())
        return (state, self._fed) if len(state) <= 2 * MAX_COPY else None

    async def _go_back(self, copy: tuple[bytes, int] | None) -> bool:
        """A fresh worker with the state of ``copy``; without one, the session is closed."""
        if copy is not None:
            state, self._fed = copy
            await self._worker.close()
            self._worker = self._new_worker()
            try:
                await self._worker.open(state)
                return True
            except (MontyError, RuntimeError, OSError):
                pass
        await self._close()
        return False

    def _new_worker(self) -> Worker:
        limits = self._spec.limits
        frozen = datetime.datetime.fromtimestamp(self._spec.clock, datetime.UTC)
        allowed: ResourceLimits = {
            "max_feed_duration_secs": limits.cell_seconds,
            "max_memory": limits.memory + self._context_room,
            "max_suspensions": MAX_SUSPENSIONS,
        }
        policy: OSPolicy = {
            "datetime": frozen,
            "timezone": "utc",
            "sleep": "call_host",
            "random_start": {"seed": self._spec.seed},
        }
        return Worker(self._pool, self._threads, allowed, policy)


def _seconds(cell: Cell | None) -> float:
    return cell.spent if cell is not None else 0.0


def _reason(ending: Ending, seconds: float) -> str:
    if ending.status == "timeout":
        return f"its cell was stopped after {seconds:g} seconds of its own work"
    if ending.status == "memory":
        return "its memory was used up"
    return "its process ended"


def _is_from_monty(error: RuntimeError) -> bool:
    return "monty" in str(error)


def _function(name: str) -> Callable[..., None]:
    """A host function, for monty to know by its name; it is never called."""

    def function(*args: Any, **kwargs: Any) -> None:
        raise AssertionError

    function.__name__ = function.__qualname__ = name
    return function


@cache
def _prelude() -> str:
    return (Path(__file__).parent / "inside.py").read_text("utf-8")


def _one_line(variables: list[Any], limit: int = 500) -> str:
    """``hits: list (12), total: int = 5``, data first, at most ``limit`` characters."""
    ordered = [row for row in variables if not row[2]] + [row for row in variables if row[2]]
    pieces = [f"{name}: {kind}" for name, kind, _ in ordered]
    text = ", ".join(pieces)
    if len(text) <= limit:
        return text
    kept: list[str] = []
    room = limit - 20
    for piece in pieces:
        room -= len(piece) + 2
        if room < 0:
            break
        kept.append(piece)
    return f"{', '.join(kept)}, … {len(pieces) - len(kept)} more"[:limit]
