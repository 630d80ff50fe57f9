"""A llama.cpp server as a provider: exact prompt sizes, choices and schemas by grammar, its prompt cache in use.

Speaks to the server directly, so that the local model needs none of the heavy imports of the cloud's SDKs.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import aiohttp
import anyio

from habit.calls import toolcalls
from habit.calls.call import Call, Message, Reply, sendable
from habit.calls.failures import blames_tools, broken, failure_for_status, no_tools, nonsense, too_slow
from habit.calls.provider import UnusableReply
from habit.calls.structured import as_object_schema, choice_grammar, choices
from habit.calls.tokens import TOKENS_PER_MESSAGE, TOKENS_PER_PROMPT, estimate_text
from habit.errors import CallFailed

DEFAULT_TIMEOUT = 1800.0
"""Seconds for one attempt: a long prompt on a slow CPU takes minutes."""
CONNECT_SECONDS = 15.0
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
        self._url = base_url.rstrip("/").removesuffix("/v1")
        self._api_key = api_key
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None
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
        """Send once."""
        try:
            answer = await self._post("/v1/chat/completions", self._body(call))
        except CallFailed as failure:
            raise no_tools(self.model, str(failure)) if call.tool and blames_tools(failure) else failure from None
        try:
            choice = answer["choices"][0]
            text, finish = choice["message"].get("content") or "", choice.get("finish_reason")
            if not isinstance(text, str):
                raise TypeError("its content is no text")
            if call.tool:
                text = toolcalls.read_reply(text, _tool_calls(choice["message"]), cut_off=finish == "length")
        except (LookupError, TypeError, AttributeError) as problem:
            raise nonsense(self.model, repr(problem)) from None
        input_tokens, output_tokens = _used(answer)
        estimated = input_tokens is None or output_tokens is None
        if input_tokens is None:
            input_tokens = await self.count_tokens(call.messages)
        if output_tokens is None:
            output_tokens = await self._count(text)
        finish = "length" if finish == "length" else "stop"
        reply = Reply(text, input_tokens, output_tokens, 0.0, finish, estimated=estimated)
        if not text.strip():
            raise UnusableReply(f"{self.model} gave an empty reply", reason="empty", billed=reply)
        return reply

    async def aclose(self) -> None:
        """Give back connections."""
        session, self._session = self._session, None
        if session is not None:
            with anyio.CancelScope(shield=True):
                await session.close()

    def _body(self, call: Call) -> dict[str, Any]:
        sampling = call.sampling
        body: dict[str, Any] = {
            "model": self.model,
            "messages": _messages(call),
            # Without a limit a small model that repeats itself would go on until its window is full.
            "max_tokens": sampling.max_tokens or min(1024, self.window // 4),
            "cache_prompt": True,
        }
        if sampling.temperature is not None:
            body["temperature"] = sampling.temperature
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        allowed = choices(call.schema)
        if call.tool:  # the server makes a grammar of its own for tools, and takes no other beside it
            body["tools"] = [{"type": "function", "function": _FUNCTION}]
            body["tool_choice"] = "auto"
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
            answer = await self._post("/tokenize", {"content": text, "add_special": False, "parse_special": True})
            count = len(answer["tokens"])
        except (LookupError, TypeError, CallFailed):
            return estimate_text(text)
        self._counts[digest] = count
        while len(self._counts) > _COUNTS_KEPT:
            self._counts.popitem(last=False)
        return count

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        try:
            async with self._open().post(self._url + path, json=body, allow_redirects=False) as response:
                data = await response.read()
                status, headers = response.status, dict(response.headers)
        except TimeoutError:
            raise too_slow(self.model, self._timeout) from None
        except (aiohttp.ClientError, OSError) as problem:
            raise broken(self.model, str(problem) or type(problem).__name__) from None
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError) as problem:
            if status == 200:
                raise nonsense(self.model, str(problem)) from None
            answer = data[:1000].decode("utf-8", "replace")
        if status != 200:
            secrets = [self._api_key] if self._api_key else []
            raise failure_for_status(
                status, answer, headers, model=self.model, key_name="the local server's settings", secrets=secrets
            )
        return answer

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=CONNECT_SECONDS),
                headers={"Authorization": f"Bearer {self._api_key}"} if self._api_key else {},
                trust_env=False,
            )
        return self._session


_FUNCTION = {"name": toolcalls.TOOL, "description": toolcalls.DESCRIPTION, "parameters": toolcalls.PARAMETERS}


def _messages(call: Call) -> list[dict[str, Any]]:
    """The prompt as the server wants it; when the call has the tool, with earlier calls of it as such."""
    return [_message(turn) for turn in (toolcalls.as_turns(call.messages) if call.tool else call.messages)]


def _message(turn: Message | toolcalls.ToolCalls | toolcalls.ToolResult) -> dict[str, Any]:
    if isinstance(turn, Message):
        return {"role": turn.role, "content": sendable(turn.content)}
    if isinstance(turn, toolcalls.ToolResult):
        return {"role": "tool", "tool_call_id": turn.id, "content": sendable(turn.text)}
    calls = [
        {
            "id": identity,
            "type": "function",
            "function": {"name": toolcalls.TOOL, "arguments": json.dumps({"code": sendable(code)})},
        }
        for identity, code in turn.calls
    ]
    return {"role": "assistant", "content": sendable(turn.prose), "tool_calls": calls}


def _tool_calls(message: dict[str, Any]) -> list[tuple[str, Any]]:
    """(tool name, arguments) of each call in a message of the server."""
    return [
        (str(made["function"]["name"]), made["function"].get("arguments")) for made in message.get("tool_calls") or ()
    ]


def _used(answer: Any) -> tuple[int | None, int | None]:
    """(prompt tokens, reply tokens) as far as the server tells."""
    usage = answer.get("usage")
    if not isinstance(usage, dict):
        return None, None
    return _count_or_none(usage.get("prompt_tokens")), _count_or_none(usage.get("completion_tokens"))


def _count_or_none(value: Any) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None
