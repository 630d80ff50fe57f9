"""A mock OpenAI-compatible server: real HTTP on loopback, scripted replies, faults on demand.

In a test::

    async with MockServer(["first reply", rate_limited(), "second reply"]) as server:
        provider = await open_provider("m", base_url=server.url)

or, for code that is not asynchronous, ``with running_server(...) as server``; or in a process of its own::

    PYTHONPATH=tests python -m support.mock_server --script script.py

which prints its URL. ``script.py`` defines ``reply(request)``; a ``.json`` script is a list of replies.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import runpy
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from aiohttp import web
from anyio.from_thread import start_blocking_portal


@dataclass(frozen=True)
class Request:
    """One request for a reply, as the server got it."""

    index: int
    """From 0, in order of arrival."""
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def messages(self) -> list[tuple[str, str]]:
        """(role, text) of each message."""
        listed = self.body.get("messages") or self.body.get("input") or []
        return [(message["role"], _text_of(message.get("content"))) for message in listed if "role" in message]

    @property
    def prompt(self) -> str:
        """All messages as one text."""
        return "\n".join(text for _, text in self.messages)


@dataclass(frozen=True)
class Answer:
    """What the server does with one request; by default a good reply with ``text``."""

    text: str | None = ""
    finish: str = "stop"
    usage: tuple[int, int] | None = (10, 5)
    """Tokens of prompt and reply; None leaves them out."""
    cached: int | None = None
    """Tokens of the prompt that came from a cache, as servers tell it."""
    tool_calls: Sequence[tuple[str, str]] = ()
    """(name, arguments) of each tool call; arguments are JSON, or what a test wants in its place."""
    reasoning: str | None = None
    refusal: str | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Sent instead of a reply."""
    content_type: str = "application/json"
    pieces: Sequence[str | anyio.Event] = ()
    """How a streamed reply comes, in place of ``text``; an event is waited for."""
    break_off: str | None = None
    """``hang``: says nothing ever; ``reset``: RST; ``close``: closes silently; ``truncate``: stops in mid-body;
    ``trickle``: sends a space now and then and never ends."""


def rate_limited(retry_after: str | None = None, message: str = "slow down") -> Answer:
    return failing(429, message, **({"Retry-After": retry_after} if retry_after is not None else {}))


def ran(code: str, text: str | None = None, **more: Any) -> Answer:
    """A reply that calls the tool ``run_python``."""
    return Answer(text, tool_calls=[("run_python", json.dumps({"code": code}))], finish="tool_calls", **more)


def failing(status: int, message: str = "it broke", **headers: str) -> Answer:
    body = json.dumps({"error": {"message": message, "type": "error", "code": None}}).encode()
    return Answer(status=status, body=body, headers=headers)


def nonsense(body: str = "<html>gateway</html>", content_type: str = "application/json") -> Answer:
    return Answer(body=body.encode("utf-8", "surrogatepass"), content_type=content_type)


HANG = Answer(break_off="hang")
RESET = Answer(break_off="reset")
CLOSE = Answer(break_off="close")
TRICKLE = Answer(break_off="trickle")
TRUNCATED = Answer("this reply never gets through", break_off="truncate")
EMPTY = Answer("")

Script = Sequence["str | Answer"] | Callable[[Request], "str | Answer"]


class MockServer:
    """An asynchronous context manager; everything happens in the event loop that enters it."""

    def __init__(self, script: Script = (), *, latency: float = 0.0, port: int = 0) -> None:
        self.script = script
        self.latency = latency
        """Real seconds before each reply, for benchmarks; tests use the gate."""
        self.port = port
        self.requests: list[Request] = []
        """All that arrived, in order."""
        self.completed: list[Request] = []
        """Those whose good reply was written to the end."""
        self.tokenized: list[str] = []
        self.under_way = 0
        self.peak = 0
        """Most requests under way at once."""
        self._gate: asyncio.Semaphore | None = None
        self._changed = asyncio.Condition()
        self._closing = asyncio.Event()

    @property
    def url(self) -> str:
        """The base URL for an OpenAI client."""
        return f"http://127.0.0.1:{self.port}/v1"

    def hold(self) -> None:
        """From now on no reply leaves until it is let through."""
        self._gate = asyncio.Semaphore(0)

    def let_through(self, count: int | None = None) -> None:
        """Let ``count`` held replies leave, or open the gate for good."""
        assert self._gate is not None
        gate = self._gate
        if count is None:
            self._gate = None
        for _ in range(count if count is not None else len(self.requests)):
            gate.release()

    async def arrived(self, count: int) -> None:
        """Wait until ``count`` requests have arrived in all."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= count)

    async def done(self, count: int) -> None:
        """Wait until ``count`` good replies have left in all."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.completed) >= count)

    async def idle(self) -> None:
        """Wait until no request is under way."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.under_way == 0)

    async def __aenter__(self) -> MockServer:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_post("/v1/responses", self._complete)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/tokenize", self._tokenize)
        app.router.add_get("/stats", self._stats)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, backlog=4096)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        await self._runner.cleanup()

    async def _complete(self, http: web.Request) -> web.StreamResponse:
        request = Request(len(self.requests), http.path, dict(http.headers), await http.json())
        async with self._counted(request):
            answer = self._answer(request)
            if self.latency:
                await asyncio.sleep(self.latency)
            if self._gate is not None:
                await self._gate.acquire()
            if request.body.get("stream") and answer.status == 200 and answer.body is None and not answer.break_off:
                return await self._stream(http, request, answer)
            if answer.break_off in ("hang", "reset", "close"):
                return await self._break_off(http, answer)
            data = answer.body if answer.body is not None else _body(request, answer)
            if answer.break_off == "truncate":
                return await self._truncate(http, data)
            if answer.break_off == "trickle":
                return await self._trickle(http)
            response = web.Response(
                status=answer.status, body=data, headers=answer.headers, content_type=answer.content_type
            )
            await response.prepare(http)
            await response.write_eof()
            if answer.status == 200 and answer.body is None:
                self.completed.append(request)
            return response

    @contextlib.asynccontextmanager
    async def _counted(self, request: Request) -> AsyncIterator[None]:
        self.requests.append(request)
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        async with self._changed:
            self._changed.notify_all()
        try:
            yield
        finally:
            self.under_way -= 1
            async with self._changed:
                self._changed.notify_all()

    def _answer(self, request: Request) -> Answer:
        if callable(self.script):
            answer = self.script(request)
        elif request.index < len(self.script):
            answer = self.script[request.index]
        else:
            answer = failing(400, "the script of the mock server has no more replies")
        return Answer(answer) if isinstance(answer, str) else answer

    async def _stream(self, http: web.Request, request: Request, answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(http)

        async def say(event: object) -> None:
            await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")

        for piece in answer.pieces or [answer.text or ""]:
            if isinstance(piece, str):
                await say({"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]})
            else:
                await piece.wait()
        await say({"choices": [{"index": 0, "delta": {}, "finish_reason": answer.finish}]})
        if answer.usage is not None:
            usage = _completion(request, answer)["usage"]
            await say({"choices": [], "usage": usage})
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        self.completed.append(request)
        return response

    async def _break_off(self, http: web.Request, answer: Answer) -> web.StreamResponse:
        if answer.break_off == "hang":
            await self._closing.wait()
        transport = http.transport
        if transport is not None:
            if answer.break_off == "reset":
                raw = transport.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort() if answer.break_off == "reset" else transport.close()
        return web.Response()

    async def _truncate(self, http: web.Request, data: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(data)), "Content-Type": "application/json"})
        await response.prepare(http)
        await response.write(data[: len(data) // 2])
        assert http.transport is not None
        http.transport.close()
        return response

    async def _trickle(self, http: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(http)
        while not self._closing.is_set():
            await response.write(b" ")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), 0.02)
        return response

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "mock", "object": "model"}]})

    async def _tokenize(self, http: web.Request) -> web.Response:
        """A tokenizer that takes every word for a token."""
        content = (await http.json())["content"]
        self.tokenized.append(content)
        return web.json_response({"tokens": list(range(len(content.split())))})

    async def _stats(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "requests": len(self.requests),
                "completed": [request.prompt for request in self.completed],
                "peak": self.peak,
                "under_way": self.under_way,
            }
        )


@contextlib.contextmanager
def running_server(script: Script = (), *, latency: float = 0.0) -> Iterator[MockServer]:
    """A server in a thread of its own. Its lists may be read from any thread; its methods may not be called."""

    async def make() -> MockServer:
        return MockServer(script, latency=latency)

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(portal.call(make)) as server:
        yield server


def _body(request: Request, answer: Answer) -> bytes:
    reply = _response(request, answer) if request.path.endswith("/responses") else _completion(request, answer)
    return json.dumps(reply).encode()


def _completion(request: Request, answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if answer.reasoning is not None:
        message["reasoning_content"] = answer.reasoning
    if answer.tool_calls:
        message["tool_calls"] = [
            {"id": f"call_{request.index}_{number}", "type": "function", "function": {"name": name, "arguments": raw}}
            for number, (name, raw) in enumerate(answer.tool_calls)
        ]
    if answer.refusal is not None:
        message = {"role": "assistant", "content": None, "refusal": answer.refusal}
    reply: dict[str, Any] = {
        "id": f"chatcmpl-{request.index}",
        "object": "chat.completion",
        "created": 1700000000,
        "model": request.body.get("model"),
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish}],
    }
    if answer.usage is not None:
        prompt, completion = answer.usage
        reply["usage"] = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
        if answer.cached is not None:
            reply["usage"]["prompt_tokens_details"] = {"cached_tokens": answer.cached}
    return reply


def _response(request: Request, answer: Answer) -> dict[str, Any]:
    prompt, completion = answer.usage or (0, 0)
    return {
        "id": f"resp_{request.index}",
        "object": "response",
        "created_at": 1700000000,
        "status": "completed",
        "model": request.body.get("model"),
        "output": [
            {
                "id": f"msg_{request.index}",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": answer.text or "", "annotations": []}],
            },
            *(
                {
                    "id": f"fc_{request.index}_{number}",
                    "type": "function_call",
                    "call_id": f"call_{request.index}_{number}",
                    "name": name,
                    "arguments": raw,
                    "status": "completed",
                }
                for number, (name, raw) in enumerate(answer.tool_calls)
            ),
        ],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": answer.cached or 0},
            "output_tokens": completion,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + completion,
        },
    }


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or ())


async def _serve(script: Script, latency: float, port: int) -> None:
    async with MockServer(script, latency=latency, port=port) as server:
        print(server.url, flush=True)
        await anyio.sleep_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--script", type=Path, required=True)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each reply")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    if options.script.suffix == ".json":
        script: Script = json.loads(options.script.read_text())
    else:
        script = runpy.run_path(str(options.script))["reply"]
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(script, options.latency, options.port))


if __name__ == "__main__":
    main()
