"""Leaf calls: one query about one slice, in one prompt, with a typed reply."""

from __future__ import annotations

from typing import Any

from habit.calls.call import Call, Message, Sampling
from habit.calls.kernel import Kernel
from habit.calls.returns import Returns
from habit.contexts.context import Context
from habit.errors import CallFailed
from habit.schedulers.prompts import Profile


class LeafCaller:
    """Builds leaf prompts in the layout of a profile, sends them, and reads their replies."""

    def __init__(self, kernel: Kernel, profile: Profile) -> None:
        self.kernel = kernel
        self.profile = profile

    def call(self, query: str, context: Context | None, returns: Returns, *, session: str, cell: int) -> Call:
        """The bounded call for ``query`` about ``context``; decodes the context's text."""
        words = {"query": query, "returns_line": returns.instruction}
        if context is None:
            prompt = self.profile.render("leaf_plain", **words)
        else:
            text = str(context.payload, "utf-8", "surrogatepass")
            prompt = self.profile.render("leaf", **words, context=text)
        return Call(
            model=self.kernel.leaf.model,
            messages=(Message("system", self.profile.render("leaf_system")), Message("user", prompt)),
            role="leaf",
            schema=returns.schema,
            sampling=Sampling(temperature=self.profile.leaf_temperature, max_tokens=self.profile.leaf_max_tokens),
            session=session,
            cell=cell,
        )

    async def ask(self, call: Call, returns: Returns) -> Any:
        """Send ``call`` and read its reply; a reply of the wrong type is asked for once more, with the reason."""
        reply = await self.kernel.call(call)
        try:
            return returns.parse(reply.text)
        except ValueError as reason:
            retry = (
                *call.messages,
                Message("assistant", reply.text),
                Message("user", f"That reply can't be used: {reason}. {returns.instruction}"),
            )
        second = await self.kernel.call(
            Call(call.model, retry, call.role, call.schema, call.sampling, call.session, call.cell)
        )
        try:
            return returns.parse(second.text)
        except ValueError as reason:
            raise CallFailed(
                f"the model twice gave a reply that is not {returns.name}: {reason}", reason="mismatch"
            ) from None
