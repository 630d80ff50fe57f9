"""Calls of ``run_python`` through each kind of provider, by real HTTP: the request, the reply, what goes wrong."""

import contextlib
import importlib.util
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from habit.calls.call import Call, Message, Reply, Sampling
from habit.calls.local_provider import LocalProvider
from habit.calls.provider import Provider, UnusableReply
from habit.calls.pydantic_ai import open_provider
from habit.calls.toolcalls import EARLIER, as_text, split
from habit.calls.tools import ONLY_PYTHON
from habit.errors import CallFailed
from support.mock_server import Answer, MockServer, Script, failing, ran

OPENAI_LIKE = ["m", "openai:gpt-5-mini", "ollama:qwen3", "local"]
HISTORY = (
    Message("system", "s"),
    Message("user", "question"),
    Message("assistant", as_text("Look.", ["print(1)", "s = '```\ud800'"])),
    Message("user", "1"),
    Message("assistant", "```python\nprint(2)\n```"),
    Message("user", "2"),
)


def call(*messages: Message, **more: Any) -> Call:
    return Call("m", messages or (Message("user", "u"),), "root", tools=ONLY_PYTHON, **more)


async def opened(model: str, url: str) -> Provider:
    if model == "local":
        return LocalProvider(url, window=8192, concurrency=1)
    return await open_provider(model, base_url=url)


async def asked(script: Script, sent: Call | None = None, *, model: str = "m") -> tuple[Reply, dict[str, Any]]:
    """The reply, and the body of the request."""
    async with MockServer(script) as server:
        provider = await opened(model, server.url)
        try:
            return await provider.request(sent or call()), dict(server.requests[-1].body)
        finally:
            await provider.aclose()


@pytest.mark.parametrize("model", [*OPENAI_LIKE, "openai-responses:gpt-5-mini"])
async def test_the_tool_is_offered_and_a_call_of_it_is_the_reply(model: str) -> None:
    reply, body = await asked([ran("print(1)", "Let me see.")], model=model)
    assert split(reply.text) == ("Let me see.", ("print(1)",))
    assert reply.finish == "stop"
    [tool] = body["tools"]
    function = tool.get("function", tool)
    assert function["name"] == "run_python"
    assert function["parameters"]["required"] == ["code"]
    assert body["tool_choice"] == "auto"


@pytest.mark.parametrize("model", OPENAI_LIKE)
async def test_calls_in_the_history_are_sent_as_calls(model: str) -> None:
    _, body = await asked(["ok"], call(*HISTORY), model=model)
    roles = [message["role"] for message in body["messages"]]
    assert roles in (
        ["system", "user", "assistant", "tool", "tool", "assistant", "user"],
        ["developer", "user", "assistant", "tool", "tool", "assistant", "user"],
    )
    _, _, made, first, second, fenced, _ = body["messages"]
    assert made["content"] == "Look."
    codes = [json.loads(each["function"]["arguments"]) for each in made["tool_calls"]]
    assert codes == [{"code": "print(1)"}, {"code": "s = '```\N{REPLACEMENT CHARACTER}'"}]
    assert [each["id"] for each in made["tool_calls"]] == [first["tool_call_id"], second["tool_call_id"]]
    assert (first["content"], second["content"]) == (EARLIER, "1")
    assert fenced["content"] == HISTORY[4].content


async def test_calls_in_the_history_in_the_words_of_responses() -> None:
    _, body = await asked(["ok"], call(*HISTORY[:4]), model="openai-responses:gpt-5-mini")
    items = [item for item in body["input"] if "type" in item and item["type"].startswith("function_call")]
    assert [item["type"] for item in items] == ["function_call"] * 2 + ["function_call_output"] * 2
    assert [item["call_id"] for item in items[:2]] == [item["call_id"] for item in items[2:]]
    assert [item["output"] for item in items[2:]] == [EARLIER, "1"]


@pytest.mark.parametrize("model", ["m", "local"])
async def test_without_the_tool_the_same_history_is_text(model: str) -> None:
    _, body = await asked(["ok"], Call("m", HISTORY[:4], "root"), model=model)
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "user"]
    assert "tools" not in body


async def test_the_history_of_one_turn_begins_that_of_the_next() -> None:
    """Prompts stay append-only, so that a prefix cache works."""
    bodies = []
    for length in (4, 6):
        _, body = await asked(["ok"], call(*HISTORY[:length]))
        bodies.append(body["messages"])
    assert bodies[1][: len(bodies[0])] == bodies[0]


@pytest.mark.parametrize("model", OPENAI_LIKE)
async def test_several_calls_in_one_reply_keep_their_order(model: str) -> None:
    both = Answer(None, tool_calls=[("run_python", '{"code": "a"}'), ("run_python", '{"code": "b"}')])
    reply, _ = await asked([both], model=model)
    assert split(reply.text) == ("", ("a", "b"))


@pytest.mark.parametrize("model", ["m", "local"])
@pytest.mark.parametrize("raw", ["print(1)", '{"source": "print(1)"}', '"print(1)"', '{"code": "print(1)"'])
async def test_arguments_that_are_not_as_asked_lose_no_turn(model: str, raw: str) -> None:
    reply, _ = await asked([Answer(None, tool_calls=[("run_python", raw)])], model=model)
    assert split(reply.text)[1] == ("print(1)",)


@pytest.mark.parametrize("model", ["m", "local"])
@pytest.mark.parametrize(("name", "raw"), [("run_python", '{"code": }'), ("search", '{"q": "x"}'), ("run_python", "")])
async def test_a_call_that_makes_no_sense_says_so_to_the_model(model: str, name: str, raw: str) -> None:
    reply, _ = await asked([Answer(None, tool_calls=[(name, raw)])], model=model)
    assert split(reply.text)[1] == ()
    assert "run_python" in reply.text


@pytest.mark.parametrize("model", ["m", "local"])
async def test_a_call_cut_off_at_the_output_limit_is_not_run(model: str) -> None:
    cut = Answer(None, tool_calls=[("run_python", '{"code": "for x in y:\\n    pri')], finish="length")
    reply, _ = await asked([cut], model=model)
    assert (reply.text, reply.finish) == ("```python\nfor x in y:\n    pri", "length")


@pytest.mark.parametrize("model", ["m", "local"])
async def test_a_fenced_reply_stays_text(model: str) -> None:
    fenced = "```python\nprint(1)\n```"
    reply, _ = await asked([fenced], model=model)
    assert reply.text == fenced


@pytest.mark.parametrize("model", ["m", "local"])
async def test_a_reply_without_words_or_calls_is_empty(model: str) -> None:
    with pytest.raises(UnusableReply):
        await asked([""], model=model)


async def test_output_of_calls_is_counted_where_the_server_does_not() -> None:
    reply, _ = await asked([ran("print(" + "1 + " * 100 + "1)", usage=None)])
    assert reply.estimated
    assert reply.output_tokens > 100


@pytest.mark.parametrize("model", ["m", "local"])
@pytest.mark.parametrize(
    "said", ['"auto" tool choice requires --enable-auto-tool-choice', "qwen does not support tools"]
)
async def test_a_server_that_takes_no_tools_is_told_apart(model: str, said: str) -> None:
    with pytest.raises(CallFailed, match="leave out --execution tool") as failure:
        await asked([failing(400, said)], model=model)
    assert failure.value.reason == "no_tools"
    assert said in str(failure.value)


async def test_the_local_server_is_given_no_grammar_beside_the_tool() -> None:
    _, body = await asked([ran("x")], call(sampling=Sampling(grammar="root ::= x")), model="local")
    assert "grammar" not in body


ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "toolu_1", "name": "run_python", "input": {"code": "x = 1"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "output_tokens": 4},
}
GOOGLE = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "Let me see."},
                    {"functionCall": {"name": "run_python", "args": {"code": "x = 1"}}},
                ],
            },
            "finishReason": "STOP",
            "index": 0,
        }
    ],
    "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 13},
    "modelVersion": "gemini-2.5-flash",
}


@contextlib.asynccontextmanager
async def answering(reply: dict[str, Any]) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """(URL, bodies it gets) of a server that gives ``reply`` to everything."""
    bodies: list[dict[str, Any]] = []

    async def handle(http: web.Request) -> web.Response:
        bodies.append(await http.json())
        return web.json_response(reply)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", bodies
    finally:
        await runner.cleanup()


async def through(model: str, reply: dict[str, Any]) -> dict[str, Any]:
    """The body of a request with a tool in its history; checks the reply."""
    async with answering(reply) as (url, bodies):
        provider = await open_provider(model, base_url=url)
        got = await provider.request(call(*HISTORY, sampling=Sampling(max_tokens=1000)))
        await provider.aclose()
    assert split(got.text) == ("Let me see.", ("x = 1",))
    assert (got.input_tokens, got.output_tokens, got.finish) == (9, 4, "stop")
    return bodies[0]


@pytest.mark.skipif(importlib.util.find_spec("anthropic") is None, reason="needs the extra anthropic")
async def test_the_tool_in_anthropics_words() -> None:
    body = await through("anthropic:claude-haiku-4-5", ANTHROPIC)
    assert [tool["name"] for tool in body["tools"]] == ["run_python"]
    _, made, results, *_ = body["messages"]
    assert [part["type"] for part in made["content"]] == ["text", "tool_use", "tool_use"]
    ids = [part["id"] for part in made["content"][1:]]
    assert [part["tool_use_id"] for part in results["content"]] == ids
    assert [part["type"] for part in results["content"]] == ["tool_result", "tool_result"]
    assert made["content"][1]["input"] == {"code": "print(1)"}


@pytest.mark.skipif(importlib.util.find_spec("google.genai") is None, reason="needs the extra google")
async def test_the_tool_in_googles_words() -> None:
    body = await through("google:gemini-2.5-flash", GOOGLE)
    [tool] = body["tools"]
    [declared] = tool["functionDeclarations"]
    assert declared["name"] == "run_python"
    _, made, results, *_ = body["contents"]
    calls = [part["functionCall"] for part in made["parts"] if "functionCall" in part]
    assert calls[0]["args"] == {"code": "print(1)"}
    answers = [part["functionResponse"] for part in results["parts"]]
    assert [each["name"] for each in answers] == ["run_python", "run_python"]
    assert "1" in json.dumps(answers[1]["response"])
