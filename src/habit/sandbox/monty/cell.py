"""One cell from its first step to its last: serves what it asks for, and stops it when its time is up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup
from pydantic_monty import (
    FunctionSnapshot,
    FutureSnapshot,
    MontyComplete,
    MontyCrashedError,
    MontyError,
    MontyRuntimeError,
    MontySession,
    NameLookupSnapshot,
)

from habit.errors import CallFailed
from habit.sandbox.cpython.frames import MAX_PENDING
from habit.sandbox.monty.calls import Aside, Ask, Functions, Offer, Result, raised, returned
from habit.sandbox.monty.output import CellOutput
from habit.sandbox.monty.steps import INTERRUPT, Fed, Resume, Snapshot, resume, start
from habit.sandbox.monty.worker import Worker, WorkerBrokenError
from habit.sandbox.session import Host
from habit.tasks import task_group

T = TypeVar("T")
Status = Literal["ok", "error", "answered", "timeout", "memory", "lost"]
"""``memory`` and ``lost``: the interpreter is of no more use; so is it after a ``timeout`` that is not ``whole``."""

GRACE_SECONDS = 2.0
"""How long a cell that is over may take to wind up before its process is killed."""
_INTERRUPTS = 20
_SLEEPS = ("time.sleep", "asyncio.sleep")


class _OutOfTimeError(Exception):
    pass


class _AnsweredError(Exception):
    pass


@dataclass
class Ending:
    """How a cell ended."""

    status: Status
    whole: bool = True
    """Whether its interpreter can be trusted with another cell."""
    error: MontyError | None = None
    answer: Any = None


class Cell:
    """A running cell. ``run`` returns how it ended whatever the worker does, and raises only what the host raised."""

    def __init__(
        self,
        worker: Worker,
        host: Host,
        functions: Functions,
        output: CellOutput,
        *,
        seconds: float,
        in_flight: int,
        awaited: Callable[[str, int, int], bool | None],
        line: Callable[[str, int], int],
    ) -> None:
        self._worker = worker
        self._host = host
        self._functions = functions
        self._output = output
        self._seconds = seconds
        self._in_flight_limit = in_flight
        self._in_flight = 0
        self._awaited = awaited
        self._line = line
        self._group: TaskGroup | None = None
        self._snapshot: Snapshot | None = None
        self._settled: dict[int, Result] = {}
        self._waiting: set[int] = set()
        self._sleeping = 0
        self._news = anyio.Event()
        self._answer: tuple[Any] | None = None
        self.whole = True
        """False when it was cut off in a way that leaves its interpreter of no use."""
        self.spent = 0.0
        """Seconds of its own work."""

    async def run(self, fed: Fed) -> Ending:
        """Run a cell, noting in ``fed`` what it is told; wound up first when this is cancelled or the host raises."""
        ending: Ending | None = None
        self._fed = fed
        try:
            async with task_group() as group:
                self._group = group
                ending = await self._attempt()
                while ending.status == "ok" and self._in_flight:  # calls that nobody awaited are paid for all the same
                    self._news = anyio.Event()
                    await self._news.wait()
                group.cancel_scope.cancel()
        finally:
            if ending is None:
                self.whole = await self._wind_up()
        if ending.whole and self._snapshot is not None and not isinstance(self._snapshot, MontyComplete):
            ending.whole = await self._wind_up()
        self.whole = ending.whole
        return ending

    async def _attempt(self) -> Ending:
        try:
            await self._step(lambda session: start(session, self._fed, self._output))
            while not isinstance(self._snapshot, MontyComplete):
                await self._serve()
            return Ending("ok")
        except _AnsweredError:
            assert self._answer is not None
            return Ending("answered", answer=self._answer[0])
        except _OutOfTimeError:
            return Ending("timeout")
        except MontyCrashedError as error:
            late = self.spent >= self._seconds
            return Ending("timeout" if late else "lost", whole=False, error=error)
        except MontyRuntimeError as error:
            text = error.display(format="type-msg")
            if text.startswith("TimeoutError: feed time limit exceeded") and self.spent >= 0.9 * self._seconds:
                return Ending("timeout", whole=False, error=error)
            if text.startswith("MemoryError"):
                return Ending("memory", whole=False, error=error)
            return Ending("error", error=error)
        except MontyError as error:
            return Ending("error", error=error)
        except WorkerBrokenError:  # the frames that came are against the protocol
            return Ending("lost", whole=False)

    async def _step(self, work: Callable[[MontySession], Snapshot]) -> None:
        """Let the interpreter work until it asks for something; the clock of the cell runs meanwhile."""
        self._snapshot = None

        def timed(session: MontySession) -> Snapshot:
            started = time.monotonic()
            try:
                return work(session)
            finally:
                self.spent += time.monotonic() - started

        self._snapshot = await self._worker.step(timed)
        if self.spent > self._seconds and not isinstance(self._snapshot, MontyComplete):
            raise _OutOfTimeError

    async def _resume(self, snapshot: Snapshot, told: Resume) -> None:
        self._fed.resumes.append(told)
        await self._step(lambda _: resume(snapshot, told))

    async def _serve(self) -> None:
        """Answer what the cell waits for."""
        match self._snapshot:
            case NameLookupSnapshot() as lookup:
                await self._resume(lookup, Resume("unknown"))
            case FutureSnapshot() as futures:
                await self._resume(futures, Resume("futures", await self._next_of(futures.pending_call_ids)))
            case FunctionSnapshot() as call if call.is_os_function:
                await self._serve_system(call)
            case FunctionSnapshot() as call:
                await self._resume(call, Resume("call", await self._serve_call(call)))

    async def _serve_system(self, call: FunctionSnapshot) -> None:
        if call.function_name not in _SLEEPS:
            await self._resume(call, Resume("unknown"))
            return
        seconds = call.args[0] if call.args and isinstance(call.args[0], (int, float)) else 0.0
        if call.function_name == "asyncio.sleep" and not call.allow_eager_await:
            self._start(call.call_id, lambda: self._sleep_aside(seconds))
            await self._resume(call, Resume("call", {"future": ...}))
            return
        await self._sleep(seconds)
        result: Any = {"future": ...} if call.function_name == "asyncio.sleep" else {"return_value": None}
        if call.function_name == "asyncio.sleep":
            self._settled[call.call_id] = {"return_value": None}
        await self._resume(call, Resume("call", result))

    async def _sleep(self, seconds: float) -> None:
        """Sleep as the cell asked; its clock runs on."""
        left = max(0.0, self._seconds - self.spent)
        await anyio.sleep(max(0.0, min(seconds, left)))
        self.spent += max(0.0, min(seconds, left))
        if not seconds < left:
            raise _OutOfTimeError

    async def _sleep_aside(self, seconds: float) -> Result:
        self._sleeping += 1
        try:
            await anyio.sleep(max(0.0, min(seconds, 1e6)))
        finally:
            self._sleeping -= 1
        return {"return_value": None}

    async def _serve_call(self, call: FunctionSnapshot) -> Any:
        """The result of a host function, or the promise of one."""
        try:
            planned = await self._work(lambda: self._functions.plan(str(call.function_name), call.args, call.kwargs))
            if isinstance(planned, Ask):
                planned = self._placed(planned, call)
                self._check_room(planned)
        except (ArithmeticError, AttributeError, LookupError, NameError, TypeError, ValueError) as error:
            result = raised(error)
            if self._is_awaited(call):
                self._settled[call.call_id] = result
                return {"future": ...}
            return result
        match planned:
            case Offer():
                return self._check(planned)
            case Aside():
                return returned(await self._work(planned.work))
        if not self._is_awaited(call):
            return await self._ask(planned)
        self._start(call.call_id, lambda: self._ask(planned))
        return {"future": ...}

    def _placed(self, ask: Ask, call: FunctionSnapshot) -> Ask:
        """``ask`` with the place in the code that it comes from."""
        place = call.position
        site, line = hash((place.filename, place.start, place.end)), self._line(place.filename, place.start)
        return replace(ask, requests=tuple(replace(request, site=site, line=line) for request in ask.requests))

    async def _work(self, work: Callable[[], T]) -> T:
        """Do something in a thread that the cell caused: it counts as the cell's own work."""

        def timed() -> T:
            started = time.thread_time()
            try:
                return work()
            finally:
                self.spent += time.thread_time() - started

        found = await anyio.to_thread.run_sync(timed)
        if self.spent > self._seconds:
            raise _OutOfTimeError
        return found

    def _is_awaited(self, call: FunctionSnapshot) -> bool:
        if call.allow_eager_await:
            return True
        place = call.position
        return bool(self._awaited(place.filename, place.start, place.end))

    def _check_room(self, ask: Ask) -> None:
        if len(self._waiting) >= MAX_PENDING:
            raise ValueError(
                f"{MAX_PENDING:,} calls are under way already: use recursive_llm_map, or wait for replies first"
            )
        if self._in_flight + ask.size > self._in_flight_limit:
            raise ValueError(
                f"the calls under way hold {self._in_flight + ask.size:,} bytes of text and {self._in_flight_limit:,} "
                "is the most at a time: pass shorter contexts, or fewer at once"
            )

    async def _ask(self, ask: Ask) -> Result:
        self._in_flight += ask.size
        try:
            if ask.many:
                replies = await self._host.recursive_llm_map(ask.requests)
            else:
                replies = [await self._host.recursive_llm(ask.requests[0])]
            return returned(ask.finish(replies))
        except CallFailed as failure:
            return raised(failure)
        finally:
            self._in_flight -= ask.size

    def _check(self, offer: Offer) -> Result:
        """Have the host judge an answer; the first that will do is kept, and the cell is over."""
        refusal: Exception = ValueError("there is no answer")
        for value in offer.values:
            try:
                self._host.check_answer(value)
            except (ValueError, TypeError) as problem:
                refusal = ValueError(str(problem))
                continue
            self._answer = (value,)
            raise _AnsweredError
        return raised(refusal)

    def _start(self, call_id: int, work: Callable[[], Any]) -> None:
        """Do ``work`` beside the cell; its result settles the call."""
        assert self._group is not None
        self._waiting.add(call_id)

        async def settle() -> None:
            result = await work()
            self._waiting.discard(call_id)
            self._settled[call_id] = result
            self._news.set()

        self._group.start_soon(settle)

    async def _next_of(self, pending: list[int]) -> Mapping[int, Result]:
        """What has settled of the calls that the cell waits for, as soon as there is any."""
        while True:
            self._news = anyio.Event()
            found = {number: self._settled.pop(number) for number in pending if number in self._settled}
            lost = [number for number in pending if number not in self._waiting and number not in found]
            for number in lost:  # a call of an earlier cell: nobody works on it any more
                found[number] = raised(ValueError("this reply belongs to an earlier cell: ask again in this one"))
            if found:
                return found
            only_sleeps = 0 < self._sleeping == len(self._waiting)
            left = max(0.0, self._seconds - self.spent) if only_sleeps else None
            started = anyio.current_time()
            with anyio.move_on_after(left) as scope:
                await self._news.wait()
            if only_sleeps:
                self.spent += anyio.current_time() - started
            if scope.cancelled_caught:
                raise _OutOfTimeError

    async def _wind_up(self) -> bool:
        """Interrupt the cell wherever it waits until it has ended; False when its interpreter is of no more use."""
        self._output.muted = True
        with anyio.CancelScope(shield=True), anyio.move_on_after(GRACE_SECONDS):
            for _ in range(_INTERRUPTS):
                if isinstance(self._snapshot, MontyComplete):
                    return True
                if self._snapshot is None:  # cut off in the middle of a step
                    return False
                try:
                    await self._interrupt(self._snapshot)
                except MontyRuntimeError as error:
                    return not error.display(format="type-msg").startswith(("MemoryError", "TimeoutError: feed"))
                except (MontyError, WorkerBrokenError):
                    return False
        return False

    async def _interrupt(self, snapshot: Snapshot) -> None:
        self._snapshot = None
        self._fed.resumes.append(INTERRUPT)
        self._snapshot = await self._worker.step(lambda _: resume(snapshot, INTERRUPT))
