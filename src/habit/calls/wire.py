"""The OpenAI chat protocol, spoken directly with aiohttp: for servers that need none of the cloud SDKs' imports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import anyio

from habit.calls import toolcalls
from habit.calls.call import Call, Message, sendable
from habit.calls.clients import CONNECT_SECONDS, KEEP_IDLE_SECONDS, UNLIMITED, is_loopback
from habit.calls.failures import broken, failure_for_status, nonsense, too_slow
from habit.calls.ratelimits import RateLimit, read_rate_limits
from habit.calls.sse import Heard, StreamedAnswer, StreamError
from habit.errors import CallFailed

STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
"""What a request says on top to have its reply streamed, with its usage at the end."""


class Wire:
    """Posts JSON to one server and gives its answer, streamed or whole, or the failure it stands for.

    No redirects, no retries. The proxy comes from the environment as usual, but a server on this machine is never asked
    through one.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str,
        api_key: str | None,
        key_name: str,
        timeout: float,
        secrets: Sequence[str] = (),
    ) -> None:
        """``model`` and ``key_name`` are for messages; ``secrets`` are kept out of them."""
        self._url = url.rstrip("/")
        self._model = model
        self._api_key = api_key
        self._key_name = key_name
        self._timeout = timeout
        self._secrets = [*secrets, *([api_key] if api_key else [])]
        self._proxy = _proxy_for(url)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, path: str, body: Mapping[str, Any]) -> tuple[Any, tuple[RateLimit, ...]]:
        """The decoded answer, and what its headers say of rate limits.

        Raises CallFailed; none is chained, because its cause may quote a key.
        """
        try:
            async with self._open().post(
                self._url + path, json=body, allow_redirects=False, proxy=self._proxy
            ) as response:
                data = await response.read()
                status, headers = response.status, dict(response.headers)
        except TimeoutError:
            raise too_slow(self._model, self._timeout) from None
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            raise broken(self._model, str(problem) or type(problem).__name__, self._secrets) from None
        return self._decoded(status, headers, data)

    async def stream(self, path: str, body: Mapping[str, Any], heard: Heard) -> tuple[Any, tuple[RateLimit, ...]]:
        """As ``post``, with the reply streamed: ``heard`` is told its text while it comes.

        A server that does not stream is understood as well, and ``heard`` is told nothing.
        """
        streamed = StreamedAnswer(heard)
        try:
            async with self._open().post(
                self._url + path, json=body, allow_redirects=False, proxy=self._proxy
            ) as response:
                status, headers = response.status, dict(response.headers)
                if status != 200 or response.content_type != "text/event-stream":
                    return self._decoded(status, headers, await response.read())
                try:
                    async for data in response.content.iter_any():
                        streamed.feed(data)
                except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as problem:
                    raise nonsense(self._model, repr(problem), self._secrets) from None
        except StreamError as error:
            raise self._failure(error.status, error.answer, {}) from None
        except TimeoutError:
            raise too_slow(self._model, self._timeout) from None
        except (aiohttp.ClientError, OSError) as problem:
            raise broken(self._model, str(problem) or type(problem).__name__, self._secrets) from None
        if not streamed.complete:
            raise broken(self._model, "the reply ended midway", self._secrets)
        return streamed.answer, read_rate_limits(headers)

    def _failure(self, status: int, answer: Any, headers: Mapping[str, str]) -> CallFailed:
        return failure_for_status(
            status, answer, headers, model=self._model, key_name=self._key_name, secrets=self._secrets
        )

    def _decoded(self, status: int, headers: Mapping[str, str], data: bytes) -> tuple[Any, tuple[RateLimit, ...]]:
        """The answer in a whole body, and what the server says of its limits."""
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError) as problem:
            if status == 200:
                raise nonsense(self._model, str(problem), self._secrets) from None
            answer = data[:1000].decode("utf-8", "replace")
        if status != 200:
            raise self._failure(status, answer, headers)
        return answer, read_rate_limits(headers)

    async def aclose(self) -> None:
        """Give back connections, even when cancelled."""
        session, self._session = self._session, None
        if session is not None:
            with anyio.CancelScope(shield=True):
                await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=UNLIMITED, keepalive_timeout=KEEP_IDLE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=CONNECT_SECONDS),
                headers={"Authorization": f"Bearer {self._api_key}"} if self._api_key else {},
                trust_env=False,  # it would look into the environment and ~/.netrc again for every request
            )
        return self._session


def to_messages(call: Call) -> list[dict[str, Any]]:
    """The prompt as a server wants it; when the call has tools, with earlier calls of them as such."""
    turns = toolcalls.as_turns(call.messages, call.tools) if call.tools else call.messages
    return [_message(turn) for turn in turns]


def offered(call: Call) -> dict[str, Any]:
    """What a request says of the tools of its call."""
    if not call.tools:
        return {}
    return {"tools": [{"type": "function", "function": tool.to_json()} for tool in call.tools], "tool_choice": "auto"}


def tool_calls(message: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """(tool name, arguments) of each call in a message of a server."""
    return [
        (str(made["function"]["name"]), made["function"].get("arguments")) for made in message.get("tool_calls") or ()
    ]


def used(answer: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """(prompt tokens, reply tokens) as far as a server tells."""
    usage = answer.get("usage")
    if not isinstance(usage, dict):
        return None, None
    return count_or_none(usage.get("prompt_tokens")), count_or_none(usage.get("completion_tokens"))


def from_cache(answer: Mapping[str, Any]) -> int:
    """Prompt tokens that a server took from its cache, where it tells; never more than it says the prompt had."""
    usage = answer.get("usage")
    details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
    cached = count_or_none(details.get("cached_tokens")) if isinstance(details, dict) else None
    return min(cached or 0, used(answer)[0] or 0)


def count_or_none(value: Any) -> int | None:
    """``value`` if it can be a count."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _message(turn: Message | toolcalls.ToolCalls | toolcalls.ToolResult) -> dict[str, Any]:
    if isinstance(turn, Message):
        return {"role": turn.role, "content": sendable(turn.content)}
    if isinstance(turn, toolcalls.ToolResult):
        return {"role": "tool", "tool_call_id": turn.id, "content": sendable(turn.text)}
    calls = [
        {
            "id": identity,
            "type": "function",
            "function": {"name": made.tool, "arguments": json.dumps(toolcalls.sendable_arguments(made))},
        }
        for identity, made in turn.calls
    ]
    return {"role": "assistant", "content": sendable(turn.prose), "tool_calls": calls}


def _proxy_for(url: str) -> str | None:
    parts = urlsplit(url)
    if is_loopback(url) or proxy_bypass(parts.netloc):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")
