"""Streamed replies: the same as whole ones, and told while they come."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from calls.test_tool_providers import opened
from habit.calls.call import Call, Message, Reply
from habit.calls.provider import TransientFailure
from habit.calls.sse import StreamedAnswer, StreamError
from habit.errors import CallFailed
from support.mock_server import Answer, MockServer, failing

SERVERS = pytest.mark.parametrize("model", ["m", "ollama:qwen3", "local"])


def call(heard: Callable[[str], None] | None = None) -> Call:
    return Call("m", (Message("user", "u"),), "root", heard=heard)


async def asked(server: MockServer, model: str, heard: Callable[[str], None] | None) -> Reply:
    provider = await opened(model, server.url)
    try:
        return await provider.request(call(heard))
    finally:
        await provider.aclose()


@SERVERS
async def test_a_streamed_reply_is_told_while_it_comes_and_is_the_same_in_the_end(model: str) -> None:
    texts: list[str] = []
    first = anyio.Event()

    def heard(text: str) -> None:
        texts.append(text)
        first.set()

    answer = Answer("one two", pieces=["one", first, " two"], usage=(9, 2), cached=4)
    async with MockServer([answer, answer]) as server:
        streamed = await asked(
            server, model, heard
        )  # never ends unless the first piece is told before the second comes
        whole = await asked(server, model, None)
    assert streamed == whole
    assert (streamed.text, streamed.input_tokens, streamed.cache_read_tokens) == ("one two", 9, 4)
    assert texts[0] == "one"
    assert texts[-1] == "one two"
    assert server.requests[0].body["stream"] is True
    assert not server.requests[1].body.get("stream")


async def test_thoughts_are_not_told() -> None:
    texts: list[str] = []
    pieces = ["\n<thi", "nk>", "print(1)", "</think>", "\nyes", " sir"]
    async with MockServer([Answer(pieces=pieces)]) as server:
        reply = await asked(server, "m", texts.append)
    assert reply.text.strip() == "yes sir"
    assert all("yes".startswith(text.strip()[:3]) for text in texts)


async def test_a_server_that_will_not_stream_is_asked_without_it_from_then_on() -> None:
    async with MockServer([failing(400, "stream_options is not supported"), "yes", "again"]) as server:
        provider = await opened("m", server.url)
        assert (await provider.request(call(lambda _: None))).text == "yes"
        assert (await provider.request(call(lambda _: None))).text == "again"
        await provider.aclose()
    assert [bool(request.body.get("stream")) for request in server.requests] == [True, False, False]


async def test_other_refusals_are_not_blamed_on_streaming() -> None:
    async with MockServer([failing(400, "no such thing")]) as server:
        with pytest.raises(CallFailed, match="no such thing"):
            await asked(server, "m", lambda _: None)
    assert len(server.requests) == 1


@asynccontextmanager
async def saying(body: bytes, content_type: str = "text/event-stream") -> AsyncIterator[str]:
    """The URL of a server that answers everything with ``body``."""

    async def handle(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def through(body: bytes, content_type: str = "text/event-stream") -> Reply:
    async with saying(body, content_type) as url:
        provider = await opened("m", url)
        try:
            return await provider.request(call(lambda _: None))
        finally:
            await provider.aclose()


PIECE = b'data: {"choices": [{"delta": {"content": "half"}}]}\n\n'


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (PIECE, "ended midway"),
        (PIECE + b'data: {"error": {"message": "out of memory", "code": 503}}\n\n', "out of memory"),
        (PIECE + b'error: {"message": "slot lost", "code": 500}\n\n', "slot lost"),
        (PIECE + b"data: {nonsense\n\n", "no reply"),
        (b'data: {"choices": [{"delta": {"content": 7}}]}\n\n', "no reply"),
        (b"data: []\n\n", "no reply"),
        (b"", "ended midway"),
    ],
)
async def test_a_stream_that_goes_wrong_may_be_tried_again(body: bytes, said: str) -> None:
    with pytest.raises(TransientFailure, match=said):
        await through(body)


async def test_an_answer_that_is_not_streamed_after_all_is_understood() -> None:
    whole = {"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}
    assert (await through(json.dumps(whole).encode(), "application/json")).text == "yes"


@given(st.lists(st.text(min_size=1), min_size=1), st.integers(1, 40))
def test_a_stream_may_be_cut_into_packets_anywhere(pieces: list[str], size: int) -> None:
    events = [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
    data = b"".join(
        b"data: " + json.dumps(event, ensure_ascii=False).encode("utf-8", "ignore") + b"\r\n\r\n" for event in events
    )
    expected = "".join(pieces).encode("utf-8", "ignore").decode()
    texts: list[str] = []
    streamed = StreamedAnswer(texts.append)
    for start in range(0, len(data), size):
        streamed.feed(data[start : start + size])
    assert streamed.answer["choices"][0]["message"]["content"] == expected
    assert texts == sorted(texts, key=len)
    assert all(expected.startswith(text) for text in texts)
    assert not streamed.complete


def test_an_error_has_the_status_it_would_have_had() -> None:
    assert StreamError({"error": {"code": 429}}).status == 429
    assert [StreamError({"error": code}).status for code in ("x", {"code": True}, {"code": 7})] == [500] * 3
