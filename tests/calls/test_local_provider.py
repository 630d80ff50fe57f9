"""The local provider, by real HTTP against the mock server in llama.cpp's place."""

import pytest

from habit.calls.call import Call, Message, Reply, Sampling
from habit.calls.local_provider import LocalProvider
from habit.calls.provider import TransientFailure, UnusableReply
from habit.calls.tokens import TOKENS_PER_MESSAGE, TOKENS_PER_PROMPT, estimate_text
from habit.errors import CallFailed
from support.mock_server import CLOSE, EMPTY, RESET, TRUNCATED, Answer, MockServer, failing, nonsense, rate_limited


def call(text: str = "hello", **more: object) -> Call:
    return Call("local", (Message("user", text),), "leaf", **more)  # type: ignore[arg-type]


def local(server: MockServer, **more: object) -> LocalProvider:
    return LocalProvider(server.url, **{"window": 8192, "concurrency": 2, "api_key": "local-key", **more})  # type: ignore[arg-type]


async def body_of(sent: Call) -> dict:
    async with MockServer(["ok"]) as server:
        provider = local(server)
        await provider.request(sent)
        await provider.aclose()
    assert server.requests[0].headers["Authorization"] == "Bearer local-key"
    return dict(server.requests[0].body)


async def test_a_plain_call():
    async with MockServer([Answer("hi", usage=(12, 3), finish="length")]) as server:
        provider = local(server)
        reply = await provider.request(call("u\ud800", sampling=Sampling(temperature=0.0, max_tokens=9, seed=4)))
        await provider.aclose()
    assert reply == Reply("hi", 12, 3, 0.0, "length")
    assert server.requests[0].body == {
        "model": "local",
        "messages": [{"role": "user", "content": "u\N{REPLACEMENT CHARACTER}"}],
        "max_tokens": 9,
        "cache_prompt": True,
        "temperature": 0.0,
        "seed": 4,
    }


async def test_a_reply_always_has_a_limit():
    assert (await body_of(call()))["max_tokens"] == 1024


async def test_a_choice_becomes_a_grammar():
    body = await body_of(call(schema={"type": "string", "enum": ["yes", 'say "no"']}))
    assert body["grammar"] == 'root ::= "yes" | "say \\"no\\""'
    assert "response_format" not in body


async def test_any_other_schema_becomes_a_json_schema():
    body = await body_of(call(schema={"type": "integer"}))
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema["properties"] == {"value": {"type": "integer"}}
    assert "grammar" not in body


async def test_a_grammar_of_the_caller_comes_first():
    body = await body_of(call(schema={"enum": ["a"]}, sampling=Sampling(grammar='root ::= "x"')))
    assert body["grammar"] == 'root ::= "x"'


async def test_prompts_are_counted_by_the_server_and_each_text_once():
    async with MockServer() as server:
        provider = local(server)
        system, question = Message("system", "be brief please"), Message("user", "how many words are here")
        around = TOKENS_PER_PROMPT + TOKENS_PER_MESSAGE
        assert await provider.count_tokens([system]) == around + 3
        assert await provider.count_tokens([system, question]) == around + TOKENS_PER_MESSAGE + 8
        assert server.tokenized == [system.content, question.content]
        await provider.aclose()


async def test_without_a_server_prompts_are_estimated():
    async with MockServer() as server:
        provider = local(server)
    count = await provider.count_tokens([Message("user", "some words")])
    assert count == TOKENS_PER_PROMPT + TOKENS_PER_MESSAGE + estimate_text("some words")
    await provider.aclose()


async def test_a_text_beyond_all_hope_is_not_sent_for_counting():
    async with MockServer() as server:
        provider = local(server)
        assert await provider.count_tokens([Message("user", "word " * 200_000)]) > 8192
        assert server.tokenized == []
        await provider.aclose()


async def test_missing_usage_is_counted():
    async with MockServer([Answer("three words here", usage=None)]) as server:
        provider = local(server)
        reply = await provider.request(call("two words"))
        await provider.aclose()
    assert (reply.output_tokens, reply.estimated) == (3, True)
    assert reply.input_tokens == TOKENS_PER_PROMPT + TOKENS_PER_MESSAGE + 2


FAULTS = [
    (rate_limited("3"), "rate_limited", True),
    (failing(500), "server", True),
    (failing(503, "Loading model"), "server", True),
    (RESET, "connection", True),
    (CLOSE, "connection", True),
    (TRUNCATED, "connection", True),
    (nonsense(), "invalid", True),
    (nonsense("{}"), "invalid", True),
    (nonsense('{"choices": [{"message": "x"}]}'), "invalid", True),
    (nonsense('{"choices": [{"message": {"content": 4}}]}'), "invalid", True),
    (nonsense("[" * 100_000), "invalid", True),
    (failing(401, "bad key local-key"), "rejected", False),
    (failing(400, "the request exceeds the available context size. try increasing it"), "too_long", False),
    (EMPTY, "empty", False),
]


@pytest.mark.parametrize(("answer", "reason", "passing"), FAULTS, ids=range(len(FAULTS)))
async def test_faults_have_their_reason(answer, reason, passing):
    async with MockServer([answer]) as server:
        provider = local(server)
        with pytest.raises(CallFailed) as failure:
            await provider.request(call())
        await provider.aclose()
    assert failure.value.reason == reason
    assert isinstance(failure.value, TransientFailure) is passing
    assert isinstance(failure.value, UnusableReply) is (reason == "empty")
    assert "local-key" not in str(failure.value)


async def test_no_answer_in_time_is_a_timeout():
    async with MockServer(["late"]) as server:
        server.hold()
        provider = local(server, timeout=0.2)
        with pytest.raises(TransientFailure) as failure:
            await provider.request(call())
        await provider.aclose()
    assert failure.value.reason == "timeout"


def test_it_costs_nothing():
    assert LocalProvider("http://127.0.0.1:9", window=1, concurrency=1).price(1000, 1000) == 0.0
