"""A live session: the input decoded in a sandbox, the variables made so far, and the conversation about them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

import anyio

from habit.contexts.context import Context
from habit.contexts.parked import Parked
from habit.contexts.reading import size_text, told_when_slow
from habit.events import Observer, ignore
from habit.sandbox.session import Sandbox, Session, SessionSpec, SharedContext
from habit.schedulers.conversation import Conversation
from habit.schedulers.prompts import Profile
from habit.schedulers.scheduler import Task
from habit.schedulers.tape import Tape

Talk = TypeVar("Talk", bound=Conversation)


class LiveSession:
    """Serves one question after the other; variables and conversation stay from each to the next."""

    def __init__(self, shared: SharedContext, session: Session, spec: SessionSpec) -> None:
        self.session = session
        self.talk: Conversation | None = None
        self.tape = Tape()
        self._shared = shared
        self._spec = spec

    def begin(self, kind: type[Talk], profile: Profile, task: Task) -> Talk:
        """The conversation about ``task``: a new one, or the one there is, if it is of this kind, with another
        question."""
        talk = self.talk
        if talk is not None:
            self._ask_anew(task.query)
        if type(talk) is kind:
            talk.ask_another(task)
        else:
            self.talk = talk = kind(profile, task, self.session.description)
        return talk

    async def replace(self) -> None:
        """Start afresh after the session was lost: the input is there again, the variables are not."""
        await self.session.aclose()
        self.session, self.tape = await self.copy(), Tape()
        if self.talk is not None:
            self._ask_anew(self.talk.task.query)

    async def copy(self) -> Session:
        """Another session that starts as this one started."""
        return await self._shared.session(self._spec)

    @asynccontextmanager
    async def beside(self, query: str) -> AsyncIterator[LiveSession]:
        """Another live session over the same input, for one attempt that leaves no trace in this one."""
        spec = replace(self._spec, query=query)
        session = await self._shared.session(spec)
        try:
            yield LiveSession(self._shared, session, spec)
        finally:
            with anyio.CancelScope(shield=True):
                await session.aclose()

    def _ask_anew(self, query: str) -> None:
        self.session.set_query(query)
        self.tape.set_query(query)


@asynccontextmanager
async def open_live_session(
    sandbox: Sandbox, context: Context, spec: SessionSpec, tell: Observer = ignore
) -> AsyncIterator[LiveSession]:
    """A live session over ``context``, and everything it owns gone at the end; ``tell`` hears when it takes long."""
    if isinstance(context.payload, Parked):
        async with told_when_slow(tell, f"Decoding the input of {size_text(len(context.payload))}."):
            shared = await sandbox.share(context)
    else:
        shared = await sandbox.share(context)
    live: LiveSession | None = None
    try:
        live = LiveSession(shared, await shared.session(spec), spec)
        yield live
    finally:
        with anyio.CancelScope(shield=True):
            if live is not None:
                await live.session.aclose()
            await shared.aclose()
