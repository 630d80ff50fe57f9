"""The monty backend: a pool of worker processes, one for each session."""

from __future__ import annotations

import anyio
import anyio.to_thread
from pydantic_monty import Monty, MontyError

from habit.contexts.context import Context
from habit.contexts.describe import describe
from habit.contexts.parked import Parked
from habit.errors import SandboxError
from habit.sandbox.cpython.frames import IN_FLIGHT
from habit.sandbox.monty.differences import BY_NAME
from habit.sandbox.monty.session import MontySession
from habit.sandbox.monty.values import scrub, surrogates_in
from habit.sandbox.monty.worker import THREADS
from habit.sandbox.session import SessionSpec

MAX_CONTEXT = 250_000_000
"""Bytes of a context: one message to a worker is at most 256 MiB."""
SLOW_FROM = 2_000_000
"""Characters of a text that is not all ASCII from which the model is warned of slices."""
_PROCESSES = 100_000
"""More than will ever be needed: a parent's session waits while its children run, so no limit may make them wait."""
_JSON_ROOM = 16
"""Bytes of memory for each byte of JSON, at most: a list of empty texts takes that much."""


class MontySandbox:
    """A Sandbox of monty workers. One object serves any number of contexts and sessions at once."""

    name = "monty"

    def __init__(self) -> None:
        self._starting = anyio.Lock()
        self._pool: Monty | None = None
        self._threads = anyio.CapacityLimiter(THREADS)
        self._sessions: set[MontySession] = set()
        self._closed = False

    async def warm_up(self) -> None:
        """Start the first worker ahead of its session. Raises SandboxError."""
        await self.pool()

    async def pool(self) -> Monty:
        """The running pool. Raises SandboxError."""
        async with self._starting:
            if self._closed:
                raise SandboxError("This sandbox is closed: make a new MontySandbox.")
            if self._pool is None:
                try:
                    self._pool = await anyio.to_thread.run_sync(_started)
                except (MontyError, RuntimeError, OSError) as error:
                    raise SandboxError(
                        f"pydantic-monty could not start its worker ({error}): reinstall it with "
                        "pip install --force-reinstall 'habit[monty]'."
                    ) from error
            return self._pool

    async def share(self, context: Context) -> MontyContext:
        """Decode ``context`` once for any number of sessions. Raises SandboxError."""
        if len(context.payload) > MAX_CONTEXT:
            raise SandboxError(
                f"The input of {len(context.payload):,} bytes is too large for the monty sandbox: "
                f"{BY_NAME['size'].instead}."
            )
        await self.warm_up()
        return await anyio.to_thread.run_sync(MontyContext, self, context)

    async def aclose(self) -> None:
        """End every process this sandbox started."""
        self._closed = True
        with anyio.CancelScope(shield=True):
            for session in list(self._sessions):
                await session.aclose()
            async with self._starting:
                pool, self._pool = self._pool, None
                if pool is not None:
                    await anyio.to_thread.run_sync(pool.__exit__, None, None, None)


class MontyContext:
    """A SharedContext: the decoded value, handed to each session anew."""

    def __init__(self, sandbox: MontySandbox, context: Context) -> None:
        """Decode and describe ``context``: work for a thread."""
        self._sandbox = sandbox
        value = context.value()
        if isinstance(context.payload, Parked):
            context.payload.close()
        self._description = describe(value)
        if surrogates_in(value):
            value = scrub(value)
            self._description += "\nNote: lone surrogates, which are no valid Unicode, were replaced by U+FFFD."
        if isinstance(value, str) and len(value) > SLOW_FROM and not value.isascii():
            self._description += f"\nNote: slices far into this text are slow here: {BY_NAME['slices'].instead}."
        self._value = value
        self._bytes = len(context.payload)
        self._room = self._bytes * (1 if context.kind == "text" else _JSON_ROOM) + (1 << 20)
        self._closed = False

    async def session(self, spec: SessionSpec) -> MontySession:
        """Open a session. Raises SandboxError."""
        if self._closed:
            raise SandboxError("This context was given back already: share it again.")
        sandbox = self._sandbox

        async def left() -> None:
            sandbox._sessions.discard(session)

        session = MontySession(
            await sandbox.pool(),
            sandbox._threads,
            spec,
            description=self._description,
            context_room=self._room,
            in_flight=IN_FLIGHT + 3 * self._bytes,
            on_close=left,
        )
        try:
            await session.start(self._value)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await session.aclose()
            raise
        sandbox._sessions.add(session)
        return session

    async def aclose(self) -> None:
        """Forget the context; open sessions live on."""
        self._closed = True
        self._value = None


def _started() -> Monty:
    pool = Monty(min_processes=1, max_processes=_PROCESSES, max_checkouts_per_worker=1)
    pool.__enter__()
    return pool
