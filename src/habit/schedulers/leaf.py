"""Leaf calls: one query about one slice, in one prompt, with a typed reply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from habit.calls.call import Call, Message, Reply, Sampling
from habit.calls.kernel import Kernel
from habit.calls.returns import Returns
from habit.contexts.context import Context
from habit.contexts.estimate import MIN_RATE
from habit.contexts.parked import Parked
from habit.errors import CallFailed
from habit.schedulers.prompts import Profile
from habit.schedulers.scheduler import Task

RESTATED_CHARS = 160
"""How long a question may be to be said again in full after the text; a longer one is only pointed to."""


class LeafCaller:
    """Builds leaf prompts in the layout of a profile, sends them, and reads their replies.

    Calls with the same query share all of their prompt up to the text, so that a provider's cache can serve it; but the
    ``small`` profile puts the text first, because small models answer better then.
    """

    def __init__(self, kernel: Kernel, profile: Profile) -> None:
        self.kernel = kernel
        self.profile = profile

    def call(self, query: str, context: Context | None, returns: Returns, task: Task, *, cell: int) -> Call:
        """The bounded call for ``query`` about ``context``, asked by a cell of ``task``; decodes the context's text."""
        words = {"query": query, "returns_line": returns.instruction, "reminder": _reminder(query)}
        shared = 0
        if context is None:
            prompt = self.profile.render("leaf_plain", **words)
        else:
            with context.opened() as payload:
                text = str(payload, "utf-8", "surrogatepass")
            prompt = self.profile.render("leaf", **words, context=text)
            start = self.profile.shared_start("leaf", "context", **words)
            shared = len(start) if prompt.startswith(start) else 0
        return Call(
            model=self.kernel.leaf.model,
            messages=(Message("system", self.profile.render("leaf_system")), Message("user", prompt, shared)),
            role="leaf",
            schema=returns.schema,
            sampling=Sampling(temperature=self.profile.leaf_temperature, max_tokens=self.profile.leaf_max_tokens),
            about=task.about,
            session=task.session,
            cell=cell,
        )

    def is_surely_too_long(self, context: Context) -> bool:
        """Whether no prompt can hold ``context``, by its size alone: a large one need not be decoded to see that.

        One that was handed to a session is among the large ones, and only a session has it.
        """
        payload = context.payload
        if not isinstance(payload, Parked):
            return False
        return payload.is_spent or payload.characters * MIN_RATE > self.kernel.leaf.window

    async def ask(self, call: Call, returns: Returns, waits: Callable[[], None]) -> Any:
        """Send ``call`` and read its reply; one that is cut off or of the wrong type is asked for once more.

        ``waits``: see Kernel.call.
        """
        reply = await self.kernel.call(call, waits=waits)
        try:
            return read_reply(reply, returns)
        except ValueError as problem:
            retry = (
                *call.messages,
                Message("assistant", reply.text or "(nothing)"),
                Message("user", f"That reply can't be used: {problem}. {returns.instruction}".rstrip()),
            )
        second = await self.kernel.call(replace(call, messages=retry))
        try:
            return read_reply(second, returns)
        except ValueError as problem:
            if returns.is_text:
                return f"{second.text} [cut off here: the model's output limit]"
            raise CallFailed(
                f"the model twice gave a reply that is not {returns.name}: {problem}", reason="mismatch"
            ) from None


def _reminder(query: str) -> str:
    """One line after the text that says what is asked: the question itself, unless it is long."""
    line = " ".join(query.split())
    return f"Now answer: {line}" if len(line) <= RESTATED_CHARS else "Now answer the question above."


def read_reply(reply: Reply, returns: Returns) -> Any:
    """The typed value of a reply; raises ValueError with the reason, for a model to act on."""
    if reply.finish == "length":
        raise ValueError("it was cut off at the output limit; answer more briefly")
    return returns.parse(reply.text)
