"""Models of clouds and servers, by real HTTP against the mock server: replies, failures, keys, proxies."""

import asyncio
import json
import logging
import subprocess
import sys

import anyio
import pytest

from habit.calls.call import Call, Message, Reply, Sampling
from habit.calls.kernel import Kernel
from habit.calls.provider import TransientFailure, UnusableReply
from habit.calls.pydantic_ai import open_provider
from habit.calls.retry import RetryPolicy
from habit.errors import CallFailed, UsageError
from support.fakes import memory_store
from support.mock_server import (
    CLOSE,
    EMPTY,
    HANG,
    RESET,
    TRICKLE,
    TRUNCATED,
    Answer,
    MockServer,
    Request,
    Script,
    failing,
    nonsense,
    rate_limited,
    running_server,
)

KEYS = ("HABIT_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "OLLAMA_BASE_URL")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


def call(text: str = "hello", model: str = "m", **more: object) -> Call:
    return Call(model, (Message("system", "be brief"), Message("user", text)), "leaf", **more)  # type: ignore[arg-type]


async def answered(script: Script, *calls: Call, model: str = "m", **settings: object) -> list[Reply | CallFailed]:
    """What a provider makes of a server's answers."""
    outcomes: list[Reply | CallFailed] = []
    async with MockServer(script) as server:
        provider = await open_provider(model, base_url=server.url, **settings)  # type: ignore[arg-type]
        try:
            for each in calls or (call(),):
                try:
                    outcomes.append(await provider.request(each))
                except CallFailed as failure:
                    outcomes.append(failure)
        finally:
            await provider.aclose()
    return outcomes


async def failure_from(answer: Answer, **settings: object) -> CallFailed:
    [outcome] = await answered([answer], **settings)
    assert isinstance(outcome, CallFailed)
    message = str(outcome)
    assert "\n" not in message
    assert len(message) < 600
    return outcome


async def test_a_call_reaches_the_server_and_its_reply_comes_back():
    requests: list[Request] = []

    def script(request: Request) -> Answer:
        requests.append(request)
        return Answer("hi there", usage=(11, 3))

    full = Call(
        "m",
        (Message("system", "s"), Message("user", "u"), Message("assistant", "a"), Message("user", "v\ud800\0")),
        "root",
        sampling=Sampling(temperature=0.5, max_tokens=77, seed=5, grammar="root ::= 'x'"),
    )
    [reply] = await answered(script, full)
    assert reply == Reply("hi there", 11, 3, None)
    body = requests[0].body
    assert requests[0].path == "/v1/chat/completions"
    assert requests[0].messages == [
        ("system", "s"),
        ("user", "u"),
        ("assistant", "a"),
        ("user", "v\N{REPLACEMENT CHARACTER}\0"),
    ]
    assert (body["model"], body["temperature"], body["max_tokens"], body["seed"]) == ("m", 0.5, 77, 5)
    assert "grammar" not in body
    assert not body["stream"]


async def test_reasoning_is_no_part_of_the_reply_and_a_cut_off_one_says_so():
    answers = [Answer("42", reasoning="let me think"), Answer("and so on and", finish="length")]
    thought, cut = await answered(answers, call(), call())
    assert isinstance(thought, Reply)
    assert isinstance(cut, Reply)
    assert (thought.text, thought.finish) == ("42", "stop")
    assert (cut.text, cut.finish) == ("and so on and", "length")


async def test_missing_usage_is_estimated_and_said_so():
    [reply] = await answered([Answer("hello world", usage=None)])
    assert isinstance(reply, Reply)
    assert reply.estimated
    assert reply.input_tokens > 5
    assert reply.output_tokens >= 2


TRANSIENT = [
    (rate_limited("7"), "rate_limited", 7.0),
    (rate_limited(), "rate_limited", None),
    (failing(500), "server", None),
    (failing(503, **{"Retry-After": "2"}), "server", 2.0),
    (failing(529), "server", None),
    (failing(504), "timeout", None),
    (RESET, "connection", None),
    (CLOSE, "connection", None),
    (TRUNCATED, "connection", None),
]


@pytest.mark.parametrize(("answer", "reason", "wait"), TRANSIENT, ids=range(len(TRANSIENT)))
async def test_what_may_pass_is_transient(answer, reason, wait):
    failure = await failure_from(answer)
    assert isinstance(failure, TransientFailure)
    assert (failure.reason, failure.retry_after, failure.at_most) == (reason, wait, None)


@pytest.mark.parametrize("answer", [HANG, TRICKLE], ids=["hang", "trickle"])
async def test_no_answer_in_time_is_a_timeout(answer):
    with anyio.fail_after(30):
        failure = await failure_from(answer, timeout=0.2)
    assert isinstance(failure, TransientFailure)
    assert failure.reason == "timeout"
    assert "0.2 seconds" in str(failure)


async def test_a_server_that_is_not_there_is_a_connection_failure():
    async with MockServer() as server:
        url = server.url
    provider = await open_provider("m", base_url=url)
    with pytest.raises(TransientFailure, match="check the network and the base URL") as failure:
        await provider.request(call())
    assert failure.value.reason == "connection"
    await provider.aclose()


FINAL = [
    (failing(401, "Incorrect API key provided"), "rejected", "check the key in HABIT_API_KEY or OPENAI_API_KEY"),
    (failing(403, "no access"), "rejected", "check the key in"),
    (failing(404, "no such model"), "rejected", "the server has no model m "),
    (failing(400, "This model's maximum context length is 8192 tokens"), "too_long", "pass a smaller context"),
    (failing(413, "Payload too large"), "too_long", "pass a smaller context"),
    (failing(400, "temperature\nis too\thigh"), "rejected", "(temperature is too high)"),
    (failing(429, "You exceeded your quota: insufficient_quota"), "rejected", "check its billing"),
    (Answer(status=307, headers={"Location": "http://127.0.0.1:9/"}, body=b""), "rejected", "as the base URL"),
]


@pytest.mark.parametrize(("answer", "reason", "part"), FINAL, ids=range(len(FINAL)))
async def test_what_will_not_pass_fails_with_one_sentence_that_helps(answer, reason, part):
    failure = await failure_from(answer)
    assert not isinstance(failure, TransientFailure)
    assert failure.reason == reason
    assert part in str(failure)


NONSENSE = [
    nonsense(),
    nonsense("all is well", "text/plain"),
    nonsense(""),
    nonsense("{}"),
    nonsense("null"),
    nonsense('"text"'),
    nonsense("[1, 2"),
    nonsense('{"choices": [{"message"'),
    nonsense('{"choices": []}'),
    nonsense('{"id": "x", "model": "m", "object": "chat.completion", "created": 1, "choices": []}'),
    nonsense('{"choices": [{"message": {"content": 5}}]}'),
    nonsense('{"choices": {"0": 1}}'),
    nonsense("[" * 100_000),
    nonsense('{"error": {"message": "boom"}}'),
    Answer(body=b"\xff\xfe\x00", content_type="application/json"),
]


@pytest.mark.parametrize("answer", NONSENSE, ids=range(len(NONSENSE)))
async def test_nonsense_is_a_failed_call_that_is_retried_once(answer):
    failure = await failure_from(answer)
    assert isinstance(failure, TransientFailure)
    assert (failure.reason, failure.at_most) == ("invalid", 1)


@pytest.mark.parametrize("answer", [EMPTY, Answer("  \n"), Answer(None), Answer("", finish="length")])
async def test_an_empty_reply_is_a_failed_call_that_was_billed(answer):
    failure = await failure_from(answer)
    assert isinstance(failure, UnusableReply)
    assert failure.reason == "empty"
    assert (failure.billed.input_tokens, failure.billed.output_tokens) == (10, 5)


@pytest.mark.parametrize("answer", [Answer(refusal="I won't\nhelp"), Answer("", finish="content_filter")])
async def test_a_refusal_is_a_failed_call_with_what_the_model_said(answer):
    failure = await failure_from(answer)
    assert isinstance(failure, UnusableReply)
    assert failure.reason == "refused"
    assert "I won't help" in str(failure) or answer.refusal is None


async def no_sleep(seconds: float) -> None:
    await anyio.lowlevel.checkpoint()


async def test_faults_on_the_way_do_not_harm_a_run():
    """Every transient fault, one after the other, for each of many concurrent calls."""
    faults = [rate_limited("0"), failing(500), RESET, TRUNCATED]
    seen: dict[str, int] = {}

    def script(request: Request) -> Answer | str:
        text = request.messages[-1][1]
        seen[text] = seen.get(text, -1) + 1
        return faults[seen[text]] if seen[text] < len(faults) else f"re: {text}"

    async with MockServer(script) as server:
        provider = await open_provider("m", base_url=server.url, concurrency=5)
        kernel = Kernel(
            provider, provider, store=await memory_store("run"), run_id="run", retry=RetryPolicy(sleep=no_sleep)
        )
        results = await kernel.call_all([call(str(n)) for n in range(20)])
        await provider.aclose()
    assert [result.text for result in results if isinstance(result, Reply)] == [f"re: {n}" for n in range(20)]
    assert (kernel.usage.calls, kernel.usage.failed_calls) == (20, 0)
    assert len(server.requests) == 100
    assert server.peak <= 5


@pytest.mark.parametrize("model", ["m", "openai:gpt-5-mini", "openai-responses:gpt-5-mini", "ollama:qwen3"])
async def test_nobody_else_retries(model):
    async with MockServer([failing(500), "too late"]) as server:
        provider = await open_provider(model, base_url=server.url)
        with pytest.raises(TransientFailure):
            await provider.request(call())
        await provider.aclose()
    assert len(server.requests) == 1


async def test_more_requests_than_a_transport_likes_go_out_at_once():
    """The transport's own limits (100 connections) are out of the way; 128 leave before the first reply."""
    async with MockServer(lambda request: "ok") as server:
        server.hold()
        provider = await open_provider("m", base_url=server.url, concurrency=120)
        kernel = Kernel(provider, provider, store=await memory_store("run"), run_id="run")
        async with anyio.create_task_group() as group:
            group.start_soon(kernel.call_all, [call(str(n)) for n in range(120)])
            with anyio.fail_after(30):
                await server.arrived(120)
            server.let_through()
        await provider.aclose()
    assert server.peak == 120


async def test_cancelling_a_call_drops_its_connection():
    async with MockServer(lambda request: "ok") as server:
        server.hold()
        provider = await open_provider("m", base_url=server.url)
        async with anyio.create_task_group() as group:
            group.start_soon(provider.request, call())
            await server.arrived(1)
            group.cancel_scope.cancel()
        with anyio.fail_after(10):
            await server.idle()
        await provider.aclose()
    assert server.completed == []


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


async def test_a_schema_becomes_structured_output():
    bodies: list[dict] = []

    def script(request: Request) -> str:
        bodies.append(dict(request.body))
        return '{"n": 1}'

    await answered(script, call(schema=SCHEMA), call(schema={"type": "integer"}))
    formats = [body["response_format"]["json_schema"]["schema"] for body in bodies]
    assert formats[0]["properties"] == {"n": {"type": "integer"}}
    assert formats[1]["properties"] == {"value": {"type": "integer"}}
    assert formats[1]["required"] == ["value"]


async def test_a_server_that_knows_no_schemas_is_asked_without():
    def script(request: Request) -> Answer | str:
        return failing(400, "response_format is not supported") if "response_format" in request.body else "7"

    async with MockServer(script) as server:
        provider = await open_provider("m", base_url=server.url)
        for _ in range(2):
            assert (await provider.request(call(schema={"type": "integer"}))).text == "7"
        await provider.aclose()
    assert ["response_format" in request.body for request in server.requests] == [True, False, False]


async def authorization(**settings: object) -> str:
    headers: list[str] = []

    def script(request: Request) -> str:
        headers.append(request.headers["Authorization"])
        return "ok"

    await answered(script, **settings)  # type: ignore[arg-type]
    return headers[0]


async def test_the_key_of_an_unnamed_server(monkeypatch):
    assert await authorization() == "Bearer no-key"
    monkeypatch.setenv("OPENAI_API_KEY", "openai-secret")
    assert await authorization() == "Bearer openai-secret"
    monkeypatch.setenv("HABIT_API_KEY", "habit-secret")
    assert await authorization() == "Bearer habit-secret"
    assert await authorization(send_key=False) == "Bearer no-key"


@pytest.mark.parametrize("model", ["openai:gpt-5-mini", "ollama:qwen3:8b", "vllm:some/model", "openrouter-like/m:free"])
async def test_models_with_and_without_a_provider_at_a_base_url(model):
    names: list[tuple[str, str]] = []

    def script(request: Request) -> str:
        names.append((request.path, request.body["model"]))
        return "ok"

    [reply] = await answered(script, model=model)
    assert isinstance(reply, Reply)
    expected = model.partition(":")[2] if model.startswith(("openai:", "ollama:", "vllm:")) else model
    assert names == [("/v1/chat/completions", expected)]


async def test_openai_itself_is_spoken_to_by_responses():
    async with MockServer([Answer("hi", usage=(9, 2))]) as server:
        provider = await open_provider("openai-responses:gpt-5-mini", base_url=server.url)
        reply = await provider.request(call(sampling=Sampling(max_tokens=50)))
        await provider.aclose()
    assert server.requests[0].path == "/v1/responses"
    assert (reply.text, reply.input_tokens, reply.output_tokens) == ("hi", 9, 2)
    assert reply.usd == provider.price(9, 2)
    assert reply.usd is not None
    assert reply.usd > 0


async def test_window_and_price_come_from_the_list_else_from_the_caller():
    known = await open_provider("openai:gpt-5-mini", base_url="http://127.0.0.1:9/v1")
    unknown = await open_provider("some-model", base_url="http://127.0.0.1:9/v1")
    given = await open_provider("some-model", base_url="http://127.0.0.1:9/v1", window=5000)
    assert (known.window, unknown.window, given.window) == (400_000, 32_768, 5000)
    assert (known.price(1000, 0), unknown.price(1000, 0)) == (pytest.approx(0.00025), None)


USAGE_ERRORS = [
    ({"model": "openai:gpt-5-mini"}, "OPENAI_API_KEY"),
    ({"model": "openai:gpt-5-mnii"}, "OPENAI_API_KEY"),
    ({"model": "anthropic:claude-haiku-4-5"}, r"pip install 'habit\[anthropic\]'|ANTHROPIC_API_KEY"),
    ({"model": "opnai:gpt-5-mini"}, "did you mean openai:gpt-5-mini"),
    ({"model": "gpt-5-mini"}, "did you mean openai:gpt-5-mini"),
    ({"model": ""}, "empty"),
    ({"model": "openai:"}, "names no model"),
    ({"model": "m", "base_url": "localhost:8000"}, "http://HOST:PORT"),
    ({"model": "m", "base_url": "http://me:secret@127.0.0.1:9/v1"}, "HABIT_API_KEY"),
    ({"model": "m", "base_url": "http://127.0.0.1:9/v1?key=secret"}, "HABIT_API_KEY"),
    ({"model": "m", "base_url": "http://host:port/"}, "http://HOST:PORT"),
    ({"model": "m", "base_url": "file:///etc/passwd"}, "http://HOST:PORT"),
    ({"model": "deepseek:x", "base_url": "http://127.0.0.1:9/v1"}, "address of its own"),
]


@pytest.mark.parametrize(("arguments", "part"), USAGE_ERRORS, ids=range(len(USAGE_ERRORS)))
async def test_what_can_not_be_opened_is_a_usage_error_in_one_line(arguments, part):
    with pytest.raises(UsageError, match=part) as error:
        await open_provider(**arguments)
    assert "\n" not in str(error.value)


async def test_a_typing_error_in_a_model_is_found_before_anything_is_sent(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "x" * 20)
    with pytest.raises(UsageError, match="did you mean openai:gpt-5-mini"):
        await open_provider("openai:gpt-5-mnii")


async def test_keys_appear_in_no_message_and_no_log(monkeypatch, caplog):
    secret = "very-secret-key-0123456789"
    monkeypatch.setenv("HABIT_API_KEY", secret)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-abcdefghijklmnop")
    caplog.set_level(logging.DEBUG)
    for answer in (
        failing(401, f"key {secret} is wrong"),
        failing(400, "sk-proj-abcdefghijklmnop"),
        failing(500, f"Bearer {secret}"),
        nonsense(f"oops {secret}"),
        nonsense(json.dumps({"choices": secret})),
        Answer(refusal=f"your key is {secret}"),
    ):
        failure = await failure_from(answer)
        texts = [str(failure), repr(failure), str(failure.__cause__), caplog.text]
        assert not any(secret in text or "abcdefghijklmnop" in text for text in texts)


async def test_a_server_on_this_machine_is_never_asked_through_a_proxy(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    [reply] = await answered(["ok"])
    assert isinstance(reply, Reply)


async def test_other_servers_are_asked_through_the_proxy_of_the_environment(monkeypatch):
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(proxy, "127.0.0.1", 0)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    provider = await open_provider("m", base_url="http://models.example/v1")
    with pytest.raises(TransientFailure):
        await provider.request(call())
    await provider.aclose()
    listener.close()
    assert asked == [b"POST http://models.example/v1/chat/completions HTTP/1.1\r\n"]


def test_a_temperature_that_a_model_does_not_take_is_left_out_without_a_word():
    code = """if True:
        import anyio, sys
        from habit.calls.call import Call, Message, Sampling
        from habit.calls.pydantic_ai import open_provider
        async def main():
            provider = await open_provider("openai:gpt-5-mini", base_url=sys.argv[1])
            call = Call("m", (Message("user", "u"),), "leaf", sampling=Sampling(temperature=0.0))
            print((await provider.request(call)).text)
            await provider.aclose()
        anyio.run(main)
        """
    with running_server(["ok"]) as server:
        done = subprocess.run([sys.executable, "-c", code, server.url], capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("ok\n", "")
        assert "temperature" not in server.requests[0].body


def test_nothing_heavy_is_imported_before_a_provider_is_opened():
    code = (
        "import sys, habit.calls.pydantic_ai, habit.calls.kernel, habit.calls.returns\n"
        "print([m for m in ('pydantic_ai', 'openai', 'aiohttp', 'httpx2', 'genai_prices') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
