"""The functions a session offers besides Python itself, as the code of a cell calls them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import Any

from habit.errors import CallFailed
from habit.sandbox.cpython import frames
from habit.sandbox.cpython.inside.arguments import check_map, query_of
from habit.sandbox.cpython.inside.awaiting import AwaitedCalls, Deferred, awaitable
from habit.sandbox.cpython.inside.helpers import Helpers
from habit.sandbox.cpython.inside.interrupts import CELL_PREFIX, Interrupts
from habit.sandbox.cpython.inside.link import Link, Pending, failure_of
from habit.sandbox.cpython.inside.returns import Rebuild, parse_returns
from habit.sandbox.cpython.inside.threads import CellOfThread
from habit.sandbox.cpython.inside.values import context_payload, plain_answer

Finish = Callable[[Pending], Any]
Reply = Callable[[], Any]
"""Waits for the reply to a request that is under way; gives an awaitable at once where the code awaits it."""
_SITE_FRAMES = 8


class Api:
    """Builds the reserved names of a session. ``deferred`` holds the calls of a cell that it awaits later, or never."""

    def __init__(self, link: Link, interrupts: Interrupts, threads: CellOfThread) -> None:
        self.deferred: list[Pending] = []
        self.awaited = AwaitedCalls()
        self._link = link
        self._interrupts = interrupts
        self._threads = threads
        self._helpers = Helpers(None, self._map_in_words)
        self._by_name = False

    def begin(self, context: Any, *, by_name: bool) -> None:
        """What the session is about."""
        self._helpers.context = context
        self._by_name = by_name

    def names(self, show_vars: Callable[[], None]) -> dict[str, Any]:
        """The reserved names and their values; those of ``context`` and ``query`` come with the session."""
        helpers = self._helpers

        def recursive_llm(query: str, context: Any = None, *, returns: Any = str) -> Any:
            """Ask a language model that sees only this query and this context; the reply as ``returns`` says."""
            reply = self.ask_one(query, context, returns, sys._getframe(1))
            del context  # a slice may go while a model is waited for
            return reply()

        def recursive_llm_map(
            query: str, contexts: Iterable[Any], *, returns: Any = str, on_error: str = "raise"
        ) -> Any:
            """Ask the same query about each context, all at once; a list of replies in the same order.

            ``on_error="return"`` puts the CallFailed of a failed call in its slot instead of raising.
            """
            replies = self.ask_about_each(query, contexts, returns, on_error, sys._getframe(1))
            del contexts
            return replies()

        # For code that is handed recursive_llm and nothing else, as a habit's scheduler is.
        recursive_llm.map = recursive_llm_map  # type: ignore[attr-defined]
        return {
            "context": None,
            "query": "",
            "recursive_llm": recursive_llm,
            "recursive_llm_map": recursive_llm_map,
            "show_vars": show_vars,
            "find": helpers.find,
            "parts": helpers.parts,
            "table": helpers.table,
            "classify": helpers.classify,
            "CallFailed": CallFailed,
        }

    def ask_one(self, query: str, context: Any, returns: Any, caller: FrameType, *, child: bool = False) -> Reply:
        """Make one request about one context, for the code that ``caller`` runs."""
        question = _question("recursive_llm", query)
        schema, rebuild = parse_returns(returns)
        payload = None if context is None else self._payload(context)
        header = {
            "query": len(question),
            "context": _announced(payload),
            "schema": schema,
            **({"child": True} if child else {}),
        }
        blobs = [question, payload[1] if payload else b""]
        return self._ask("call", header, blobs, lambda pending: _one(pending, rebuild), caller)

    def ask_about_each(
        self,
        query: str,
        contexts: Iterable[Any],
        returns: Any,
        on_error: str,
        caller: FrameType | None,
        *,
        child: bool = False,
    ) -> Reply:
        """Make the same request about each of ``contexts``, all at once."""
        question = _question("recursive_llm_map", query)
        check_map(contexts, on_error)
        schema, rebuild = parse_returns(returns)
        payloads = [None if item is None else self._payload(item) for item in contexts]
        if len(payloads) > frames.MAX_SLOTS:
            raise ValueError(f"{len(payloads):,} contexts are too many for one map: {frames.MAX_SLOTS:,} is the most")
        header = {
            "query": len(question),
            "contexts": [_announced(payload) for payload in payloads],
            "schema": schema,
            **({"child": True} if child else {}),
        }
        blobs = [question, *(payload[1] for payload in payloads if payload)]
        return self._ask("map", header, blobs, lambda pending: _all(pending, rebuild, on_error), caller)

    def ask_each(self, queries: Sequence[str], caller: FrameType) -> Reply:
        """Ask each of ``queries`` by itself, without a context, all at once; a failed slot holds its CallFailed."""
        blobs = [_question("llm_query_batched", query) for query in queries]
        if len(blobs) > frames.MAX_SLOTS:
            raise ValueError(f"{len(blobs):,} prompts are too many for one batch: {frames.MAX_SLOTS:,} is the most")
        header = {"queries": [len(blob) for blob in blobs]}
        return self._ask("batch", header, blobs, lambda pending: _all(pending, _as_it_is, "return"), caller)

    def _payload(self, value: Any) -> tuple[str, bytes]:
        """(kind, payload) of a context; nothing is sent for the session's own, where the host said so."""
        return (frames.WHOLE, b"") if self._by_name and value is self._helpers.context else context_payload(value)

    def _map_in_words(self, query: str, contexts: list[str], choices: list[str]) -> list[Any]:
        replies: list[Any] = self.ask_about_each(query, contexts, choices, "raise", None)()
        return replies

    def _ask(
        self, kind: str, header: dict[str, Any], blobs: list[bytes], finish: Finish, caller: FrameType | None
    ) -> Reply:
        """Send a request. What waits for its reply holds nothing of it."""
        if caller is not None:
            header["site"] = site_of(caller)
            if caller.f_code.co_filename == f"{CELL_PREFIX}{self._threads.running}>":
                header["line"] = caller.f_lineno
        pending = self._link.request(self._threads.get(), kind, header, blobs)
        if caller is not None and self.awaited.is_awaited(caller):
            self.deferred.append(pending)
            return lambda: Deferred(self._link, pending, finish)

        def reply() -> Any:
            pending.wait()
            value = finish(pending)
            return awaitable(value) if _loop_runs() else value

        return reply

    def give_answer(self, value: Any) -> None:
        """Offer ``value`` as the final answer and end the run; raises ValueError when it is not of the asked type."""
        data = frames.encode_json(plain_answer(value))
        pending = self._link.request(self._threads.get(), "answer", {}, [data])
        pending.wait()
        try:
            pending.result()
        except CallFailed as refusal:
            raise ValueError(str(refusal)) from None
        self._interrupts.end_with_answer()


def site_of(caller: FrameType) -> int:
    """A number for the place in the code of cells that ``caller`` is at, with the calls of functions that led there."""
    places: list[tuple[str, int, int]] = []
    frame: FrameType | None = caller
    while frame is not None and len(places) < _SITE_FRAMES:
        if frame.f_code.co_filename.startswith(CELL_PREFIX):
            places.append((frame.f_code.co_filename, frame.f_code.co_firstlineno, frame.f_lasti))
        frame = frame.f_back
    return hash(tuple(places)) & 0x7FFFFFFF


def _announced(payload: tuple[str, bytes] | None) -> list[Any] | str | None:
    """What a frame's header says of a context."""
    if payload is None or payload[0] == frames.WHOLE:
        return payload and frames.WHOLE
    return [payload[0], len(payload[1])]


def _question(function: str, query: Any) -> bytes:
    return str(query_of(function, query)).encode("utf-8", "surrogatepass")


def _as_it_is(value: Any) -> Any:
    return value


def _one(pending: Pending, rebuild: Rebuild) -> Any:
    return _rebuilt(pending.result(), rebuild)


def _all(pending: Pending, rebuild: Rebuild, on_error: str) -> list[Any]:
    slots: list[Any] = []
    failures: list[CallFailed] = []
    for slot in pending.result()["slots"]:
        try:
            if "error" in slot:
                raise failure_of(slot)
            slots.append(_rebuilt(slot, rebuild))
        except CallFailed as failure:
            failures.append(failure)
            slots.append(failure)
    if failures and on_error == "raise":
        raise CallFailed(
            f'{len(failures)} of {len(slots)} calls failed (on_error="return" keeps the others); '
            f"the first: {failures[0]}",
            reason=failures[0].reason,
        )
    return slots


def _rebuilt(content: dict[str, Any], rebuild: Rebuild) -> Any:
    try:
        return rebuild(content["value"])
    except (TypeError, ValueError) as error:
        raise CallFailed(f"the reply does not fit returns=: {error}", reason="mismatch") from None


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
