"""The oracle over real HTTP: every strategy, tools, schemas, many at once, and mistakes that stay the same."""

from __future__ import annotations

from typing import Any

import aiohttp
import anyio
import pytest

from habit.bench.families import Family
from habit.bench.large import LARGE
from habit.bench.server import OracleServer
from habit.bench.tasks import Planned, Question
from habit.config import Settings
from habit.engine import Engine
from habit.journal.memory import MemoryStore
from habit.run import Run, plain
from habit.sandbox.cpython import CPythonSandbox
from habit.tasks import task_group

SIZE = 12_000
PRAISE = "My lamp came a day early and does just what it should."


def named(name: str) -> Family:
    return next(family for family in LARGE if family.name == name)


def question_of(name: str, seed: int = 0, size: int = SIZE) -> Question:
    family = named(name)
    return Planned(family, family.formats[0], size, seed).question()


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HABIT_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


async def ask(server: OracleServer, sandbox: CPythonSandbox, question: Question, **given: Any) -> Run:
    settings = Settings(model=server.model, base_url=server.url, no_journal=True, no_cache=True, **given)
    async with Engine(settings, store=MemoryStore(), sandbox=sandbox) as engine:
        return await engine.ask(question.text, question.context, returns=question.family.returns)


@pytest.mark.parametrize(
    "given",
    [
        {"strategy": "rlm"},
        {"strategy": "rlm", "execution": "tool"},
        {"strategy": "rlm", "profile": "small"},
        {"strategy": "rlm", "stream_starts": True},
        {"strategy": "agent"},
        {"strategy": "agent", "execution": "fence"},
        {"strategy": "agent", "profile": "small"},
        {"strategy": "direct"},
        {"strategy": "direct", "profile": "small"},
    ],
    ids=lambda given: "-".join(map(str, given.values())),
)
async def test_every_way_to_ask_is_served(sandbox: CPythonSandbox, given: dict[str, Any]) -> None:
    async with OracleServer() as server:
        for name in ("count-kind", "thread-thing", "slow-requests"):
            question = question_of(name)
            run = await ask(server, sandbox, question, **given)
            assert plain(run.answer) == question.truth, name


async def test_many_questions_are_asked_at_once(sandbox: CPythonSandbox) -> None:
    answers: dict[str, Any] = {}
    questions = [question_of(name, seed) for seed in (1, 2) for name in ("count-kind", "sum-by-user", "needle-code")]
    async with OracleServer(latency=0.01) as server:

        async def one(question: Question, strategy: str) -> None:
            answers[f"{question.key} {strategy}"] = plain(
                (await ask(server, sandbox, question, strategy=strategy)).answer
            )

        async with task_group() as group:
            for question in questions:
                for strategy in ("rlm", "agent"):
                    group.start_soon(one, question, strategy)
    assert answers == {f"{one.key} {strategy}": one.truth for one in questions for strategy in ("rlm", "agent")}


async def test_mistakes_hang_on_what_is_asked_and_not_on_when(sandbox: CPythonSandbox) -> None:
    questions = [question_of("count-kind", seed) for seed in range(3)]

    async def answers(seed: int, order: list[Question]) -> dict[str, Any]:
        async with OracleServer(noise=0.3, seed=seed) as server:
            return {one.key: plain((await ask(server, sandbox, one, strategy="rlm")).answer) for one in order}

    first = await answers(0, questions)
    assert first == await answers(0, questions[::-1])
    assert first != await answers(1, questions)
    assert first != {one.key: one.truth for one in questions}


@pytest.mark.parametrize("strategy", ["agent", "direct"])
async def test_with_noise_others_err_too_and_none_breaks(sandbox: CPythonSandbox, strategy: str) -> None:
    async with OracleServer(noise=0.9) as server:
        for name in ("count-kind", "pairs-of-kind", "needle-threat", "things-of-messages", "slow-requests"):
            question = question_of(name)
            run = await ask(server, sandbox, question, strategy=strategy)
            if strategy == "direct" or name in ("count-kind", "pairs-of-kind", "needle-threat"):  # else it asks no leaf
                assert plain(run.answer) != question.truth, name


async def post(server: OracleServer, body: Any) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/chat/completions", json=body) as response,
    ):
        return response.status, await response.json()


async def test_a_call_is_answered_with_its_usage_and_its_schema() -> None:
    body = {
        "model": "m",
        "messages": [
            {"role": "system", "content": "You answer one question about one text."},
            {
                "role": "user",
                "content": "What?\n\n<text>\nMy lamp came a day early and does just what it should.\n</text>",
            },
        ],
    }
    wrapped = {"type": "object", "properties": {"value": {"type": "string"}}, "required": ["value"]}
    async with OracleServer() as server:
        _, told = await post(server, body)
        assert told["choices"][0]["message"]["content"] == "praise"
        assert told["usage"]["prompt_tokens"] > 20
        _, told = await post(server, {**body, "response_format": {"json_schema": {"schema": wrapped}}})
        assert told["choices"][0]["message"]["content"] == '{"value": "praise"}'
        assert server.requests == 2


@pytest.mark.parametrize(
    "body", [{}, [], {"messages": []}, {"messages": [{"role": "user"}]}, {"messages": [{"content": "x"}] * 3}]
)
async def test_what_is_no_request_is_refused(body: Any) -> None:
    async with OracleServer() as server:
        status, told = await post(server, body)
        assert status == 400
        assert "no chat completion request" in told["error"]["message"]


async def test_a_server_that_is_left_is_gone() -> None:
    async with OracleServer() as server:
        pass
    with pytest.raises(aiohttp.ClientError):
        await post(server, {})
    with anyio.fail_after(1):
        async with OracleServer(port=server.port):
            pass
