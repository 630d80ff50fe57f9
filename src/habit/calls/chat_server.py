"""Any OpenAI-compatible server at a base URL, spoken to directly: a tenth of an SDK's time for each call."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from habit.calls import toolcalls, wire
from habit.calls.call import Call, Message, Reply
from habit.calls.failures import blames_schema, blames_streaming, blames_tools, no_tools, nonsense, one_line
from habit.calls.prices import PriceList
from habit.calls.provider import UnusableReply
from habit.calls.sse import Heard
from habit.calls.structured import as_object_schema
from habit.calls.tokens import estimate_prompt, estimate_text
from habit.errors import CallFailed

_THOUGHTS = re.compile(r"<think>.*?</think>\s*", re.DOTALL)


def _thoughtless(heard: Heard) -> Heard:
    """Tells ``heard`` what is said, and nothing while the model still thinks."""

    def told(text: str) -> None:
        said = _THOUGHTS.sub("", text)
        if "<think>" not in said and not "<think>".startswith(said.lstrip()):
            heard(said)

    return told


class ChatServer:
    """One model of one server. ``name`` is what the server calls it, ``model`` what the user does."""

    def __init__(
        self,
        model: str,
        name: str,
        base_url: str,
        *,
        api_key: str,
        key_name: str,
        prices: PriceList,
        window: int,
        concurrency: int,
        timeout: float,
        secrets: Sequence[str],
    ) -> None:
        self.model = model
        self.window = window
        self.concurrency = concurrency
        self._name = name
        self._prices = prices
        self._secrets = [*secrets, api_key]
        self._wire = wire.Wire(
            base_url, model=model, api_key=api_key, key_name=key_name, timeout=timeout, secrets=secrets
        )
        self._structured = True
        self._streams = True

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """A cautious estimate: the protocol tells the size of a prompt only after it was sent."""
        return await estimate_prompt(messages)

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """From the price list."""
        return self._prices.cost(input_tokens, output_tokens)

    async def request(self, call: Call) -> Reply:
        """Send once, streamed where somebody listens.

        A server that rejects the schema, or streaming, is asked again without it, now and from then on.
        """
        schema = as_object_schema(call.schema) if call.schema is not None and self._structured else None
        try:
            return await self._send(call, schema)
        except CallFailed as failure:
            if call.tools and blames_tools(failure):
                raise no_tools(self.model, str(failure)) from None
            if schema is None or not blames_schema(failure):
                raise
        self._structured = False
        return await self._send(call, None)

    async def aclose(self) -> None:
        """Give back connections."""
        await self._wire.aclose()

    async def _send(self, call: Call, schema: Mapping[str, Any] | None) -> Reply:
        body = self._body(call, schema)
        if call.heard is not None and self._streams and not call.tools:
            try:
                body |= wire.STREAMED
                answer, limits = await self._wire.stream("/chat/completions", body, _thoughtless(call.heard))
            except CallFailed as failure:
                if not blames_streaming(failure):
                    raise
                self._streams = False
                return await self._send(call, schema)
        else:
            answer, limits = await self._wire.post("/chat/completions", body)
        try:
            return replace(await self._read(call, answer), limits=limits)
        except (LookupError, TypeError, AttributeError) as problem:
            raise nonsense(self.model, repr(problem), self._secrets) from None

    def _body(self, call: Call, schema: Mapping[str, Any] | None) -> dict[str, Any]:
        sampling = call.sampling
        body: dict[str, Any] = {"model": self._name, "messages": wire.to_messages(call), "stream": False}
        # The newer name of max_tokens is one that older servers ignore, and a reply without its limit may never end.
        for field in ("temperature", "max_tokens", "seed"):
            if (value := getattr(sampling, field)) is not None:
                body[field] = value
        body |= wire.offered(call)
        if schema is not None:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
        return body

    async def _read(self, call: Call, answer: Any) -> Reply:
        """The reply in a server's answer; raises what the wrong shape raises, and UnusableReply."""
        choice = answer["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
        said = message.get("content") or ""
        refusal = message.get("refusal")
        if not isinstance(said, str):
            raise TypeError("its content is no text")
        text = _THOUGHTS.sub("", said)
        if call.tools:
            text = toolcalls.read_reply(text, wire.tool_calls(message), call.tools, cut_off=finish == "length")
        input_tokens, output_tokens = wire.used(answer)
        estimated, cached = not input_tokens and not output_tokens, wire.from_cache(answer)
        if estimated:
            input_tokens = await estimate_prompt(call.messages)
            output_tokens = max(estimate_text(text), estimate_text(said + str(message.get("reasoning_content") or "")))
        reply = Reply(
            text,
            input_tokens or 0,
            output_tokens or 0,
            self._prices.cost(input_tokens or 0, output_tokens or 0, cache_read_tokens=cached),
            "length" if finish == "length" else "stop",
            cache_read_tokens=cached,
            estimated=estimated,
        )
        if refusal or finish == "content_filter":
            quoted = one_line(str(refusal or said), self._secrets)
            raise UnusableReply(
                f"{self.model} refused to answer{f': {quoted}' if quoted else ''}", reason="refused", billed=reply
            )
        if not text.strip():
            why = " because reasoning used up its output tokens: allow it more" if reply.finish == "length" else ""
            raise UnusableReply(f"{self.model} gave an empty reply{why}", reason="empty", billed=reply)
        return reply
