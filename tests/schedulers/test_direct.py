"""One call with the whole input: real kernel, scripted models, and no session at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from habit import Settings
from habit.calls.budget import Budget
from habit.engine import Engine
from habit.errors import BudgetExceeded, RunFailed, UsageError
from habit.schedulers.direct import Direct
from habit.schedulers.scheduler import Outcome
from schedulers.conftest import Bench
from support.mock_server import MockServer
from support.scripted import ScriptedProvider


def saying(*replies: str, **how: Any) -> ScriptedProvider:
    left = list(replies)
    return ScriptedProvider(leaf=lambda prompt: left.pop(0), **how)


async def ask(bench: Bench, *replies: str, **how: Any) -> Outcome:
    return await bench.ask(saying(*replies), kind=Direct, **how)


async def test_one_leaf_call_holds_question_and_input(bench: Bench) -> None:
    model = saying("2")
    assert await bench.ask(model, "one\ntwo\n", kind=Direct, returns=int) == Outcome("answered", 2)
    (call,) = model.calls
    assert call.role == "leaf"
    assert "How many lines?" in call.messages[-1].content
    assert "one\ntwo" in call.messages[-1].content
    assert await bench.store.cells("run") == []


async def test_a_question_about_nothing_is_asked_without_a_text(bench: Bench) -> None:
    model = saying("4")
    await bench.ask(model, "", kind=Direct)
    assert "<text>" not in model.calls[0].messages[-1].content


async def test_a_reply_of_the_wrong_type_is_asked_for_once_more(bench: Bench) -> None:
    assert await ask(bench, "two", "2", returns=int) == Outcome("answered", 2)


async def test_a_second_reply_of_the_wrong_type_is_the_end(bench: Bench) -> None:
    with pytest.raises(RunFailed, match="twice"):
        await ask(bench, "two", "deux", returns=int)


async def test_an_input_that_does_not_fit_is_never_sent(bench: Bench) -> None:
    model = saying(window=500)
    with pytest.raises(RunFailed, match=r"\(9,000 bytes\) does not fit one prompt .* --strategy rlm"):
        await bench.ask(model, "one\ntwo\n\n" * 1_000, kind=Direct)
    assert model.calls == []


async def test_the_budget_holds(bench: Bench) -> None:
    with pytest.raises(BudgetExceeded):
        await ask(bench, "two", "2", returns=int, budget=Budget(max_calls=1))


async def test_it_is_a_strategy_that_resumes_and_replays(tmp_path: Path) -> None:
    async with MockServer(lambda request: "2" if "<text>" in request.prompt else "none") as server:
        settings = Settings(model="m", base_url=server.url, strategy="direct", journal=str(tmp_path / "journal.db"))
        async with Engine(settings) as engine:
            run = await engine.ask("How many lines?", "one\ntwo\n", returns=int)
            assert (run.answer, run.strategy, run.usage.calls, run.cells) == (2, "direct", 1, 0)
            assert run.usage.root.calls == 0
            assert (await engine.replay(run.id)).same
            again = await engine.ask("How many lines?", "one\ntwo\n", returns=int)
            assert again.answer == 2
            assert len(server.requests) == 1


async def test_a_stranger_strategy_is_named() -> None:
    with pytest.raises(UsageError, match="strategy"):
        Settings(strategy="indirect")
