"""A whole run in the monty sandbox: answered, recorded with its backend, and replayed in the same."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("pydantic_monty", reason="pip install 'habit[monty]'")

from habit.config import Settings
from habit.engine import Engine
from habit.errors import SandboxError
from habit.events import Event, Notice
from habit.sandbox import choose
from habit.sandbox.cpython import CPythonSandbox
from support.scripted import ScriptedModels, ScriptedProvider, block

SCRIPT = [
    block("def halves():\n    yield 1"),
    block("parts = [context[:100], context[100:]]\nreplies = recursive_llm_map('Is it?', parts)\nprint(replies)"),
    block("while True: pass"),
    block("deep = rlm_query('x' * 50)\nanswer({'replies': replies, 'deep': deep, 'late': kept if False else 1})"),
]


async def ask(**settings: Any) -> tuple[Any, Any, ScriptedProvider, list[Event]]:
    provider = ScriptedProvider([*SCRIPT[:3], SCRIPT[3], block("FINAL(context[:3])")], leaf=lambda prompt: "yes")
    events: list[Event] = []
    chosen = Settings(no_journal=True, cell_seconds=0.5, **settings)
    async with Engine(chosen, models=ScriptedModels(provider), on_event=events.append) as engine:
        run = await engine.ask("How?", "some text " * 20, returns=dict)
        record = await (await engine.store()).run(run.id)
        assert record.settings["sandbox"] == "monty"
        replay = await engine.replay(run.id)
    return run, replay, provider, events


async def test_a_run_is_answered_and_replayed() -> None:
    run, replay, provider, events = await ask(sandbox="monty")
    assert run.answer == {"replies": ["yes", "yes"], "deep": "xxx", "late": 1}
    assert replay.same
    assert "generators are not supported in this sandbox" in provider.root_calls[1].messages[-1].content
    assert not [event for event in events if isinstance(event, Notice) and "monty" in event.text]


async def test_auto_says_that_it_took_monty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "supported", lambda: "This machine has no seccomp")
    run, replay, _, events = await ask()
    assert run.status == "answered"
    assert replay.same
    assert len([event for event in events if isinstance(event, Notice) and "no seccomp" in event.text]) == 1


async def test_a_replay_takes_the_backend_of_the_run_and_refuses_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider = ScriptedProvider([block("answer(1)")])
    async with Engine(Settings(no_journal=True, sandbox="monty"), models=ScriptedModels(provider)) as engine:
        run = await engine.ask("How?", "text", returns=int)
        store = await engine.store()
        async with Engine(Settings(sandbox="cpython"), store=store, models=ScriptedModels(provider)) as other:
            assert (await other.replay(run.id)).same
            assert (await other.resources.sandbox("monty")).name == "monty"
        monkeypatch.setattr(choose, "monty_is_installed", lambda: False)
        async with Engine(Settings(sandbox="cpython"), store=store, models=ScriptedModels(provider)) as other:
            with pytest.raises(SandboxError, match="pip install"):
                await other.replay(run.id)


def test_backends_say_their_names() -> None:
    assert CPythonSandbox().name == "cpython"
