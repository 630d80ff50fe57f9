"""Runs about large inputs: the same answers, journal and replays as about small ones, though the input is moved on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from habit import Context, Settings
from habit.contexts import large
from habit.contexts import parked as parked_module
from habit.contexts.parked import Parked
from habit.engine import Engine
from habit.events import ChildStarted, Event
from habit.sandbox.cpython import CPythonSandbox
from support.scripted import ScriptedModels, ScriptedProvider, block

pytestmark = pytest.mark.skipif(not parked_module.CAN_PARK, reason="payloads are parked on Linux only")

TEXT = "one line of an input, ü\n" * 20_000
WHOLE = block("answer(recursive_llm('How long is it?', context))")
SLICE = block("answer(recursive_llm('How long is it?', context[:400_000]))")
LENGTH = block("answer(str(len(context)))")


@pytest.fixture
async def model() -> ScriptedProvider:
    return ScriptedProvider(window=20_000)


@pytest.fixture
async def engine(
    tmp_path: Path, sandbox: CPythonSandbox, model: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Engine]:
    for module in (parked_module, large):
        monkeypatch.setattr(module, "PARKED_FROM", 1000)
    settings = Settings(model="scripted", journal=str(tmp_path / "journal.db"), no_cache=True)
    async with Engine(settings, sandbox=sandbox, models=ScriptedModels(model)) as engine:
        yield engine


@pytest.mark.parametrize("code", [WHOLE, SLICE], ids=["whole", "slice"])
@pytest.mark.parametrize("source", ["file", "text"])
async def test_a_child_about_all_or_much_of_it_is_replayed_exactly(
    engine: Engine, model: ScriptedProvider, tmp_path: Path, source: str, code: str
) -> None:
    path = tmp_path / "input.txt"
    path.write_text(TEXT)
    model.script = [code, LENGTH]
    events: list[Event] = []
    if source == "file":
        run = await engine.ask("How long?", paths=[path], on_event=events.append)
    else:
        run = await engine.ask("How long?", TEXT, on_event=events.append)
    assert run.answer == str(len(TEXT) if code is WHOLE else 400_000)
    assert [event.depth for event in events if isinstance(event, ChildStarted)] == [1]
    assert (run.usage.calls, run.depth) == (2, 1)
    replay = await engine.replay(run.id)
    assert replay.same
    if code is WHOLE:
        assert [call.about for call in model.calls if call.session == "0.1"] == [Context.of(TEXT).digest]


async def test_questions_go_on_about_an_input_that_was_moved_on(
    engine: Engine, model: ScriptedProvider, tmp_path: Path
) -> None:
    path = tmp_path / "input.txt"
    path.write_text(TEXT)
    model.script = [block("mine = len(context)\nanswer(mine)"), block("answer(mine + len(context))")]
    async with engine.session(paths=[path]) as session:
        first = await session.ask("How long?", returns=int)
        second = await session.ask("Twice as long?", returns=int)
    assert (first.answer, second.answer) == (len(TEXT), 2 * len(TEXT))
    assert (await engine.replay(second.id)).same


async def test_a_context_of_its_user_may_be_asked_again(engine: Engine, model: ScriptedProvider) -> None:
    model.script = [LENGTH] * 3
    mine = Context.of(TEXT).parked()
    assert isinstance(mine.payload, Parked)
    for context in (mine, mine, Context.of(TEXT)):
        assert (await engine.ask("How long?", context)).answer == str(len(TEXT))
    assert not mine.payload.is_spent
