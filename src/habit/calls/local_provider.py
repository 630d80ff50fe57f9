"""A llama.cpp server as a provider: exact prompt sizes, choices and schemas by grammar, its prompt cache in use.

Speaks to the server directly, so that the local model needs none of the heavy imports of the cloud's SDKs.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from habit.calls import toolcalls, wire
from habit.calls.call import Call, Message, Reply, sendable
from habit.calls.failures import blames_tools, no_tools, nonsense
from habit.calls.provider import UnusableReply
from habit.calls.structured import as_object_schema, choice_grammar, choices
from habit.calls.tokens import TOKENS_PER_MESSAGE, TOKENS_PER_PROMPT, estimate_text
from habit.errors import CallFailed

DEFAULT_TIMEOUT = 1800.0
"""Seconds for one attempt: a long prompt on a slow CPU takes minutes."""
_COUNTS_KEPT = 4096


class LocalProvider:
    """One llama.cpp server. ``base_url`` with or without ``/v1``; ``window`` is what one of its slots holds."""

    def __init__(
        self,
        base_url: str,
        *,
        window: int,
        concurrency: int,
        model: str = "local",
        api_key: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self.model = model
        self.window = window
        self.concurrency = concurrency
        self._wire = wire.Wire(
            base_url.rstrip("/").removesuffix("/v1"),
            model=model,
            api_key=api_key,
            key_name="the local server's settings",
            timeout=timeout,
        )
        self._counts: OrderedDict[bytes, int] = OrderedDict()

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Exact for the texts, cautious for what the chat template adds; an estimate when the server can't be asked."""
        return TOKENS_PER_PROMPT + sum(
            [TOKENS_PER_MESSAGE + await self._count(sendable(message.content)) for message in messages]
        )

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """Nothing: it runs on this machine."""
        return 0.0

    async def request(self, call: Call) -> Reply:
        """Send once, streamed where somebody listens."""
        try:
            if call.heard is not None and not call.tools:
                body = {**self._body(call), **wire.STREAMED}
                answer, limits = await self._wire.stream("/v1/chat/completions", body, call.heard)
            else:
                answer, limits = await self._wire.post("/v1/chat/completions", self._body(call))
        except CallFailed as failure:
            raise no_tools(self.model, str(failure)) if call.tools and blames_tools(failure) else failure from None
        try:
            choice = answer["choices"][0]
            text, finish = choice["message"].get("content") or "", choice.get("finish_reason")
            if not isinstance(text, str):
                raise TypeError("its content is no text")
            if call.tools:
                made = wire.tool_calls(choice["message"])
                text = toolcalls.read_reply(text, made, call.tools, cut_off=finish == "length")
        except (LookupError, TypeError, AttributeError) as problem:
            raise nonsense(self.model, repr(problem)) from None
        input_tokens, output_tokens = wire.used(answer)
        estimated = input_tokens is None or output_tokens is None
        if input_tokens is None:
            input_tokens = await self.count_tokens(call.messages)
        if output_tokens is None:
            output_tokens = await self._count(text)
        finish = "length" if finish == "length" else "stop"
        reply = Reply(
            text,
            input_tokens,
            output_tokens,
            0.0,
            finish,
            cache_read_tokens=wire.from_cache(answer),
            estimated=estimated,
            limits=limits,
        )
        if not text.strip():
            raise UnusableReply(f"{self.model} gave an empty reply", reason="empty", billed=reply)
        return reply

    async def aclose(self) -> None:
        """Give back connections."""
        await self._wire.aclose()

    def _body(self, call: Call) -> dict[str, Any]:
        sampling = call.sampling
        body: dict[str, Any] = {
            "model": self.model,
            "messages": wire.to_messages(call),
            # Without a limit a small model that repeats itself would go on until its window is full.
            "max_tokens": sampling.max_tokens or min(1024, self.window // 4),
            "cache_prompt": True,
        }
        if sampling.temperature is not None:
            body["temperature"] = sampling.temperature
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        allowed = choices(call.schema)
        if call.tools:  # the server makes a grammar of its own for tools, and takes no other beside it
            body |= wire.offered(call)
        elif sampling.grammar is not None:
            body["grammar"] = sampling.grammar
        elif allowed is not None:
            body["grammar"] = choice_grammar(allowed)
        elif call.schema is not None and (schema := as_object_schema(call.schema)) is not None:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
        return body

    async def _count(self, text: str) -> int:
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        if digest in self._counts:
            self._counts.move_to_end(digest)
            return self._counts[digest]
        if estimate_text(text) > 16 * self.window:
            return estimate_text(text)  # far too long whatever the exact figure: not worth a request
        try:
            answer, _ = await self._wire.post(
                "/tokenize", {"content": text, "add_special": False, "parse_special": True}
            )
            count = len(answer["tokens"])
        except (LookupError, TypeError, CallFailed):
            return estimate_text(text)
        self._counts[digest] = count
        while len(self._counts) > _COUNTS_KEPT:
            self._counts.popitem(last=False)
        return count
