"""Runs scripts end to end: a real engine with a scripted root, then what is learned from the run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from habit import Settings
from habit.calls.returns import Returns
from habit.contexts.context import Context
from habit.engine import Engine
from habit.journal.memory import MemoryStore
from habit.library.case import Exchange
from habit.library.habit import Habit
from habit.library.rehearsal import Rehearsed, stage
from habit.sandbox.session import LlmRequest, Sandbox
from support.scripted import ScriptedModels, ScriptedProvider, block

from .scripts import Script, asked

Leaf = Callable[[str, str], str]


def provider(cells: list[str], leaf: Leaf) -> ScriptedProvider:
    """A model whose root writes ``cells``, one after the other."""
    return ScriptedProvider([block(cell.strip()) for cell in cells], leaf=lambda prompt: leaf(*asked(prompt)))


@asynccontextmanager
async def engine_for(sandbox: Sandbox, model: ScriptedProvider) -> AsyncIterator[Engine]:
    """An engine with a journal in memory."""
    settings = Settings(model="scripted", no_journal=True, no_cache=True)
    async with Engine(settings, store=MemoryStore(), sandbox=sandbox, models=ScriptedModels(model)) as engine:
        yield engine


@asynccontextmanager
async def answered(sandbox: Sandbox, script: Script) -> AsyncIterator[Engine]:
    """An engine that has just answered ``script``."""
    async with engine_for(sandbox, provider(list(script.cells), script.leaf)) as engine:
        run = await engine.ask(script.query, script.context, returns=script.returns)
        assert run.answer == script.answer
        yield engine


class LiveReplies:
    """Replies as the leaf model would give them, for inputs that no run has seen."""

    def __init__(self, leaf: Leaf) -> None:
        self._leaf = leaf

    def take(self, request: LlmRequest) -> Exchange:
        if request.context is None:
            question, text = asked(request.query)
        else:
            question, text = request.query, request.context.value()
        value = Returns.from_schema(request.schema).parse(self._leaf(question, text))
        return Exchange(request.query, request.context, request.schema, value)


async def use(sandbox: Sandbox, habit: Habit, context: Any, parameters: Any, leaf: Leaf) -> Rehearsed:
    """Run a habit on another input."""
    async with stage(sandbox, Context.of(context), habit.spec.answer_type.check) as here:
        return await here.play(habit.source, parameters, LiveReplies(leaf))
