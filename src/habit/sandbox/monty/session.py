"""One session as its host sees it: a monty worker, the cells it runs, and the log of its steps to go back to."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import anyio
from pydantic_monty import Monty, MontyError, MontySyntaxError, OSPolicy, ResourceLimits

from habit.errors import SandboxError, SessionDied
from habit.sandbox.monty import errors
from habit.sandbox.monty.calls import NAMES, Functions
from habit.sandbox.monty.cell import Cell, Ending
from habit.sandbox.monty.differences import BY_NAME
from habit.sandbox.monty.output import CellOutput
from habit.sandbox.monty.source import Source, read_source
from habit.sandbox.monty.steps import Fed, repeat
from habit.sandbox.monty.values import answer_of, scrub
from habit.sandbox.monty.variables import one_line
from habit.sandbox.monty.worker import Worker, WorkerBrokenError
from habit.sandbox.session import CellResult, Host, SessionSpec

REPEAT_SECONDS = 120.0
"""How long a session may take to do again what it did, after a cell that was cut off."""
MAX_STEPS = 100_000
"""Host calls of a session above which it is not kept what they were: a cell that is cut off then ends it."""
MAX_SUSPENSIONS = 10**9
"""Host calls of a session, for monty; the budget of the run bounds them."""
_START_AGAIN = "All variables are gone; start again from `context`."
CellStatus = Literal["ok", "error", "answered", "timeout", "died"]
_SETTLE = "\n".join(
    [
        "_habit_report = _habit_settle(locals())",
        *(
            f'{name} = _habit_saved["{name}"]'
            for name in (
                "context", "query", "answer", "CallFailed", "find", "parts", "table", "classify", "show_vars",
                "SHOW_VARS", "FINAL_VAR",
                *(name for name in NAMES if not name.startswith("_")),
            )
        ),
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
        context_room: int,
        in_flight: int,
        on_close: Callable[[], Awaitable[None]],
    ) -> None:
        self.description = description
        self._pool = pool
        self._threads = threads
        self._spec = spec
        self._context_room = context_room
        self._in_flight = in_flight
        self._on_close = on_close
        self._worker = self._new_worker()
        self._running = anyio.Lock()
        self._open = True
        self._closing = False
        self._query: str | None = None
        self._log: list[Fed] | None = []
        self._fed = 0
        self._unnumbered = 0
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
        try:
            await self._worker.open()
            await self._feed(code, {**functions, "context": context, "query": scrub(self._spec.query)})
            await self._feed(_SETTLE)
        except (MontyError, WorkerBrokenError, OSError) as error:
            await self._worker.close()
            raise SandboxError(
                f"A monty session could not start ({str(error)[:300]}): try a smaller input, or --sandbox cpython."
            ) from error

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
        self._closing = True
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
        if self._query is not None and not await self._ask_anew(self._query):
            return CellResult("died", error=f"The session was lost: its process ended. {_START_AGAIN}")
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
            line=partial(_line_in, self._file(), source.code.encode()),
        )
        fed = Fed(source.code)
        try:
            ending = await cell.run(fed)
        except BaseException:  # the host's error, or a cancellation: the session goes on without this cell
            with anyio.CancelScope(shield=True):
                if cell.whole:
                    self._note_done(fed)
                    await self._settle(output)
                else:
                    await self._go_back()
            raise
        return await self._result(ending, fed, cell.spent, output, host)

    async def _result(self, ending: Ending, fed: Fed, seconds: float, output: CellOutput, host: Host) -> CellResult:
        """The result of a cell that has ended; its session is ready for the next one, or closed."""
        error = self._explained(ending)
        ready: list[Any] | None = None
        if ending.whole:
            if _has_no_number(ending):
                self._unnumbered += 1
            self._note_done(fed)
            ready = await self._settle(output)
        elif await self._go_back():
            ready = await self._settle(output)
        text, dropped = output.finish()
        if ending.status == "answered":
            return CellResult("answered", text, dropped, answer=ending.answer, seconds=seconds, variables=self._line())
        if ready is None:
            error = f"The session was lost: {_reason(ending, self._spec.limits.cell_seconds)}. {_START_AGAIN}"
            return CellResult("died", text, dropped, error, seconds=seconds)
        if ready and ending.status == "ok":
            try:
                answer = answer_of(ready[0])
                host.check_answer(answer)
                return CellResult("answered", text, dropped, answer=answer, seconds=seconds, variables=self._line())
            except (ValueError, TypeError) as refusal:
                error = f"{type(refusal).__name__}: {refusal}"
        status: CellStatus = "error" if error else "ok"
        if ending.status == "timeout":
            status = "timeout"
        return CellResult(status, text, dropped, error, seconds=seconds, variables=self._line())

    def _explained(self, ending: Ending) -> str:
        limits = self._spec.limits
        if ending.status == "timeout":
            where = errors.line_of(ending.error, self._sources) if ending.error is not None else ""
            kept = "variables set before are kept" if ending.whole else BY_NAME["time-and-memory"].instead
            return (
                f"The cell was stopped after {limits.cell_seconds:g} seconds of its own work"
                f"{where and f' in {where}'}; {kept}: do less at a time, or find a faster way."
            )
        if ending.status == "lost":
            return f"The sandbox had to be restarted, and {BY_NAME['time-and-memory'].instead}: go another way."
        return errors.describe(ending.error, self._sources, limits.memory) if ending.error is not None else ""

    async def _settle(self, output: CellOutput) -> list[Any] | None:
        """After a cell: put the reserved names back, note the variables; the answer that the dict holds, if ready.

        None when not even that can be done any more: the session is closed then.
        """
        for attempt in range(2):
            try:
                report = await self._feed(_SETTLE)
                variables = [[str(name), str(kind), bool(code)] for name, kind, code in report["variables"]]
                ready: list[Any] = report["answer"]
                break
            except (MontyError, WorkerBrokenError, TypeError, KeyError, ValueError):
                # Memory is full to the brim, or the cell took the session's own names: it is as if it never ran.
                if attempt == 0 and self._log:
                    while self._log.pop().code == _SETTLE:
                        pass
                    if await self._go_back():
                        output.write("stdout", "note: the variables of this cell were too much for the session\n")
                        continue
                await self._close()
                return None
        for name in map(str, report["taken"]):
            note = f"note: `{name}` is reserved and was restored; keep your own value under another name\n"
            output.write("stdout", note)
        self._variables = variables
        self._names = [str(row[0]) for row in variables]
        return ready

    async def _ask_anew(self, query: str) -> bool:
        """Let ``query`` be another one; False when the session was lost before."""
        self._query = None
        try:
            await self._feed('query = _habit_saved["query"] = _habit_query', {"_habit_query": scrub(query)})
        except (MontyError, WorkerBrokenError):
            return await self._go_back()  # which asks it, as the log says
        return True

    async def _feed(self, code: str, inputs: dict[str, Any] | None = None) -> Any:
        fed = Fed(code, inputs or {})
        self._note_done(fed)
        return await self._worker.step(lambda session: session.feed_run(fed.code, inputs=fed.inputs))

    def _note_done(self, fed: Fed) -> None:
        """Keep what was done, to be done again if need be; up to what a host can bear to keep."""
        self._fed += 1
        if self._log is not None:
            self._log.append(fed)
            if sum(len(done.resumes) for done in self._log) > MAX_STEPS:
                self._log = None

    def _file(self) -> str:
        """What monty will call the next piece of code."""
        return f"<python-input-{self._fed - self._unnumbered}>"

    def _note(self, code: str, source: Source) -> None:
        """Note what monty will call this cell, for its errors and awaited calls."""
        for file in (self._file(), "main.py"):
            self._sources[file] = (self._cells, code)
        self._awaited[self._file()] = source.awaited
        self._names = list(dict.fromkeys([*self._names, *source.names]))

    async def _go_back(self) -> bool:
        """A fresh worker that has done all the log says; where that fails, the session is closed."""
        await self._worker.close()
        log = self._log
        if log is None or self._closing:
            await self._close()
            return False
        self._worker = self._new_worker()
        self._fed = len(log)
        try:
            with anyio.fail_after(REPEAT_SECONDS):
                await self._worker.open()
                await self._worker.step(lambda session: repeat(session, log))
            return True
        except (MontyError, WorkerBrokenError, OSError, TimeoutError):
            await self._close()
            return False

    def _line(self) -> str:
        return one_line(self._variables)

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


def _reason(ending: Ending, seconds: float) -> str:
    if ending.status == "timeout":
        return f"its cell was stopped after {seconds:g} seconds of its own work"
    if ending.status == "memory":
        return "its memory was used up"
    return "its process ended"


def _line_in(cell: str, code: bytes, file: str, start: int) -> int:
    """The line at ``start`` of the running cell, from 1; 0 in the code of another one."""
    return code.count(b"\n", 0, start) + 1 if file == cell else 0


def _has_no_number(ending: Ending) -> bool:
    """monty gives code that is nested too deeply no number of its own."""
    return isinstance(ending.error, MontySyntaxError) and any(f.filename == "main.py" for f in ending.error.traceback())


def _function(name: str) -> Callable[..., None]:
    """A host function, for monty to know by its name; it is never called."""

    def function(*args: Any, **kwargs: Any) -> None:
        raise AssertionError

    function.__name__ = function.__qualname__ = name
    return function


@cache
def _prelude() -> str:
    return (Path(__file__).parent / "inside.py").read_text("utf-8")
