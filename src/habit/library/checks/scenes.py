"""Scenes: a scheduler played with a context, parameters and replies; many of them in one session.

Opening a session costs about ten times what a small cell costs. So scenes share one, where that cannot be told: the
code runs in a function of its own with a context of its own, and code that could leave something behind in a module
gets a session for itself.
"""

from __future__ import annotations

import ast
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio

from habit.contexts.context import Context
from habit.library.case import Case, Exchange, Replies
from habit.library.rehearsal import Checker, RecordedHost, Rehearsed
from habit.sandbox.session import CellResult, Sandbox, Session, SessionLimits, SessionSpec, SharedContext

_HANDED_OVER = 256 << 10
"""Bytes up to which a context is handed over with the code; larger ones are shared with a session, as in a run."""
_LEAVES_TRACES = frozenset({"getcontext", "setcontext", "register_dialect", "field_size_limit", "lru_cache", "cache"})


@dataclass(frozen=True)
class Scene:
    """What a scheduler is played with."""

    context: Context
    parameters: Mapping[str, Any]
    exchanges: Sequence[Exchange]
    again: bool = True
    """Whether a reply is given as often as it is asked for."""

    @classmethod
    def of(cls, case: Case) -> Scene:
        """The case itself, where every reply is given just as often as it was recorded."""
        return cls(case.context, case.parameters, case.exchanges, again=False)


@dataclass(frozen=True)
class Played:
    """What came of a scene."""

    rehearsed: Rehearsed
    unused: int
    """Recorded replies that nobody asked for."""


@dataclass(frozen=True)
class Script:
    """A scheduler made ready to be played in any scene."""

    code: str
    """Defines ``_scheduler``, which gives the scheduler, and leaves no other name behind."""
    leaves_traces: bool
    """Whether it could leave something behind for the next that runs in the same session."""

    @classmethod
    def of(cls, tree: ast.Module) -> Script:
        """The scheduler that ``tree`` defines."""
        future = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
        inner = [node for node in tree.body if node not in future]
        function = ast.parse("def _scheduler(): pass").body[0]
        assert isinstance(function, ast.FunctionDef)
        function.body = [*inner, ast.Return(ast.Name("scheduler", ast.Load()))]
        code = ast.unparse(ast.fix_missing_locations(ast.Module([*future, function], [])))
        return cls(code, _leaves_traces(tree))

    def cell(self, scene: Scene, *, shared: bool) -> str:
        """The cell that answers with what the scheduler returns.

        Context and parameters are data: they pass through JSON in string literals. ``shared``: the context is that of
        the session.
        """
        given = "context" if shared else _literal(scene.context.value())
        parameters = _literal(dict(scene.parameters))
        return f"{self.code}\nanswer(_scheduler()({given}, recursive_llm, **{parameters}))\n"


def _literal(value: Any) -> str:
    return f"__import__('json').loads({json.dumps(value, ensure_ascii=True)!r})"


def _leaves_traces(tree: ast.Module) -> bool:
    return any(
        (isinstance(node, ast.Attribute) and node.attr in _LEAVES_TRACES)
        or (isinstance(node, ast.ImportFrom) and any(alias.name in _LEAVES_TRACES for alias in node.names))
        for node in ast.walk(tree)
    )


@dataclass
class Theatre:
    """Plays scenes. Use it in ``async with theatre(…)``."""

    sandbox: Sandbox
    check: Checker
    limits: SessionLimits
    _empty: SharedContext | None = None
    _session: Session | None = None

    async def play(self, script: Script, scene: Scene) -> Played:
        """Play a scheduler in a scene."""
        replies = Replies(scene.exchanges, again=scene.again)
        host = RecordedHost(replies, self.check)
        if len(scene.context.payload) > _HANDED_OVER:
            result = await self._in_its_own(script.cell(scene, shared=True), host, scene.context)
        elif script.leaves_traces:
            result = await self._in_its_own(script.cell(scene, shared=False), host, Context.of(""))
        else:
            result = await self._in_the_shared(script.cell(scene, shared=False), host)
        return Played(host.rehearsed(result), replies.unused())

    async def _in_its_own(self, cell: str, host: RecordedHost, context: Context) -> CellResult:
        shared = await self.sandbox.share(context)
        try:
            session = await shared.session(SessionSpec(query="", limits=self.limits))
            try:
                return await session.run_cell(cell, host)
            finally:
                with anyio.CancelScope(shield=True):
                    await session.aclose()
        finally:
            with anyio.CancelScope(shield=True):
                await shared.aclose()

    async def _in_the_shared(self, cell: str, host: RecordedHost) -> CellResult:
        if self._empty is None:
            self._empty = await self.sandbox.share(Context.of(""))
        if self._session is None:
            self._session = await self._empty.session(SessionSpec(query="", limits=self.limits))
        done = False
        try:
            result = await self._session.run_cell(cell, host)
            done = result.status in ("ok", "error", "answered")
            return result
        finally:
            if not done:  # What was stopped may go on in a thread, or hold memory: nobody else gets its session.
                session, self._session = self._session, None
                with anyio.CancelScope(shield=True):
                    await session.aclose()

    async def aclose(self) -> None:
        """End everything it opened."""
        with anyio.CancelScope(shield=True):
            if self._session is not None:
                await self._session.aclose()
            if self._empty is not None:
                await self._empty.aclose()


@asynccontextmanager
async def theatre(sandbox: Sandbox, check: Checker, *, cell_seconds: float) -> AsyncIterator[Theatre]:
    """A theatre where no scene may take longer than ``cell_seconds`` of its own work."""
    made = Theatre(sandbox, check, SessionLimits(cell_seconds=cell_seconds, memory=1 << 30, output_chars=10_000))
    try:
        yield made
    finally:
        await made.aclose()
