"""The oracle as an OpenAI-compatible server on this machine: for the schedulers it is a model like any other.

    async with OracleServer(noise=0.05, latency=0.3) as server:
        await habit.ask(question, context, model=server.model, base_url=server.url)

Chat completions with tools, structured output, streaming and usage. What it replies is the ``Script``'s, which reads
the prompt and nothing else; so any number of questions may be asked at once, in any order. Noise and latency hang on
the call's content too.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from habit.bench.families import Family
from habit.bench.large import EVERY
from habit.bench.script import Script, tokens_of, tokens_said
from habit.calls.call import Call, Message
from habit.calls.tools import ONLY_PYTHON, RUN_PYTHON, Made, Tool, Tools, part, write, write_results

MODEL = "oracle-scripted"
_LARGEST = 1 << 28
"""Bytes of a request."""


class OracleServer:
    """An asynchronous context manager; serves on the loopback interface until it is left."""

    model = MODEL

    def __init__(
        self,
        *,
        noise: float = 0.0,
        latency: float = 0.0,
        seed: int = 0,
        families: Sequence[Family] = EVERY,
        labels: Mapping[str, str] | None = None,
        port: int = 0,
    ) -> None:
        """``noise`` is the share of texts and records that leaf calls misread, from 0 to 1; ``latency`` the mean
        seconds of a call, each of which takes half to one and a half of it; ``labels`` the kinds of texts that are not
        of the bench's own inputs; ``port`` 0 for any that is free."""
        self.port = port
        self.requests = 0
        self._latency = latency
        self._seed = seed
        self._script = Script(families, noise=noise, seed=seed, labels=labels)

    @property
    def url(self) -> str:
        """The base URL for ``--base-url``."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> OracleServer:
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, backlog=4096)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    async def _complete(self, http: web.Request) -> web.StreamResponse:
        self.requests += 1
        try:
            body = await http.json()
            call = call_of(body)
        except (AttributeError, LookupError, TypeError, ValueError) as problem:
            error = {"message": f"This is no chat completion request: {problem!r}", "type": "invalid_request_error"}
            return web.json_response({"error": error}, status=400)
        if self._latency:
            share = random.Random(f"{self._seed}/{call.key}").uniform(0.5, 1.5)
            await asyncio.sleep(self._latency * share)
        text = await asyncio.to_thread(self._script.reply, call)  # a page may be long to read
        answer = _answer(text, call)
        return await _streamed(http, answer) if body.get("stream") else web.json_response(answer)


def call_of(body: Mapping[str, Any]) -> Call:
    """The call that a request asks for, with tool calls and their results in their text form. Raises what a body of
    another shape raises."""
    tools = tuple(_tool(each["function"]) for each in body.get("tools") or ())
    messages: list[Message] = []
    results: list[tuple[str, str]] = []
    names: dict[str, str] = {}
    for message in body["messages"]:
        text = message.get("content") or ""
        if message["role"] == "tool":
            results.append((names[message["tool_call_id"]], text))
            continue
        if results:
            messages.append(Message("user", write_results(results)))
            results = []
        made = [(each["id"], each["function"]) for each in message.get("tool_calls") or ()]
        names |= {identity: function["name"] for identity, function in made}
        text = write(text, [_made(function, tools) for _, function in made], tools)
        messages.append(Message(message["role"], text))
    if results:
        messages.append(Message("user", write_results(results)))
    if len(messages) < 2:
        raise ValueError("a system message and a question are needed")
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
    return Call(str(body.get("model")), tuple(messages), "leaf", schema=schema, tools=tools)


def _tool(told: Mapping[str, Any]) -> Tool:
    if told["name"] == RUN_PYTHON.name:
        return RUN_PYTHON
    return Tool(told["name"], told.get("description", ""), told.get("parameters", {}))


def _made(function: Mapping[str, Any], tools: Tools) -> Made:
    if tools == ONLY_PYTHON:
        return Made(function["name"], json.loads(function["arguments"])["code"], is_code=True)
    return Made(function["name"], function["arguments"])


def _answer(text: str, call: Call) -> dict[str, Any]:
    """The body of a reply."""
    prose, made = part(text, call.tools) if call.tools else (text, ())
    message: dict[str, Any] = {"role": "assistant", "content": prose}
    identity = hashlib.sha256(f"{call.key}".encode()).hexdigest()[:8]
    if made:
        message["tool_calls"] = [
            {
                "id": f"call{identity}{number}",
                "type": "function",
                "function": {"name": one.tool, "arguments": json.dumps(one.arguments)},
            }
            for number, one in enumerate(made)
        ]
    prompt, reply = tokens_of(call.measured), tokens_said(text)
    return {
        "id": f"chatcmpl-{identity}",
        "object": "chat.completion",
        "created": 0,
        "model": call.model,
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if made else "stop"}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": reply, "total_tokens": prompt + reply},
    }


async def _streamed(http: web.Request, answer: Mapping[str, Any]) -> web.StreamResponse:
    """The same reply in one piece, as a stream."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(http)
    choice = answer["choices"][0]
    tool_calls = [{"index": number, **one} for number, one in enumerate(choice["message"].get("tool_calls", ()))]
    delta = {**choice["message"], **({"tool_calls": tool_calls} if tool_calls else {})}
    for event in (
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]},
        {"choices": [], "usage": answer["usage"]},
    ):
        await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response
