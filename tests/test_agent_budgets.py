"""Budgets of the agent loop through the whole engine: money, days, what runs share, and large maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from habit import BudgetExceeded
from habit.calls.budget import Budget
from habit.calls.events import BudgetWarning, FanOut
from habit.engine import Engine
from habit.sandbox.cpython import CPythonSandbox
from support.scripted import ScriptedProvider, use
from support.told_engines import ToldEngines

USD = 1e-3
"""What a token costs here."""
TEXT = "".join(f"line {n} user=u{n % 3}\n" for n in range(3_000))


def asking(query: str, *slices: str) -> str:
    return use("recursive_llm", query=query, slices=list(slices))


STEPS = [use("peek"), asking("Is it so?", "1", "2"), use("read", page=3), use("answer", value="done")]
MAP = [asking("Is it so?", *["1"] * 30), use("answer", value="done")]
TWO_MAPS = ["\n\n".join([asking("This?", *["1"] * 20), asking("That?", *["2"] * 20)]), use("answer", value="done")]


class Bench(ToldEngines):
    def engine(self, model: ScriptedProvider, *, settings: dict[str, Any] | None = None, **more: Any) -> Engine:
        return super().engine(model, settings={"strategy": "agent", **(settings or {})}, **more)


@pytest.fixture
def bench(tmp_path: Path, sandbox: CPythonSandbox) -> Bench:
    return Bench(tmp_path, sandbox)


async def price(bench: Bench) -> float:
    """What the whole run costs."""
    async with bench.engine(ScriptedProvider(STEPS, usd_per_token=USD), settings={"no_journal": True}) as engine:
        run = await engine.ask("?", TEXT)
    assert run.usage.usd
    return run.usage.usd


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
async def test_no_more_money_is_spent_than_allowed_and_more_lets_it_go_on(bench: Bench, share: float) -> None:
    allowed = share * await price(bench)
    model = ScriptedProvider(STEPS, usd_per_token=USD)
    async with bench.engine(model) as engine:
        with pytest.raises(BudgetExceeded) as stop:
            await engine.ask("?", TEXT, budget=Budget(max_usd=allowed))
        run = stop.value.run
        assert run is not None
        assert (run.status, run.stopped_by) == ("budget", "usd")
        assert (run.usage.usd or 0.0) <= allowed
        assert run.usage.calls == len(model.calls)
        assert (await engine.replay(run.id)).same
        before = len(model.calls)
        resumed = await engine.resume(run.id)
    assert (resumed.answer, resumed.usage.calls) == ("done", 6)
    assert before + (6 - run.usage.calls) == len(model.calls) == 6


async def test_the_day_stops_it_before_a_call_that_does_not_fit(bench: Bench) -> None:
    allowed = 1.1 * await price(bench)
    async with bench.engine(ScriptedProvider(STEPS, usd_per_token=USD)) as engine:
        await engine.ask("?", TEXT)
    model = ScriptedProvider(STEPS, usd_per_token=USD)
    async with bench.engine(model, settings={"max_usd_day": allowed}) as engine:
        with pytest.raises(BudgetExceeded, match="--max-usd-day") as stop:
            await engine.ask("?", TEXT)
    assert (stop.value.limit, stop.value.scope, model.calls) == ("usd_day", "day", [])


async def test_runs_of_one_engine_share_its_budget(bench: Bench) -> None:
    model = ScriptedProvider([*STEPS, *STEPS[:2], "a guess"])
    async with bench.engine(model, shared_budget=Budget(max_calls=9)) as engine:
        assert (await engine.ask("?", TEXT)).usage.calls == 6
        with pytest.raises(BudgetExceeded, match="shared_budget") as stop:
            await engine.ask("?", TEXT)
        assert engine.resources.shared.spent.calls == 9
    assert (stop.value.limit, stop.value.scope, len(model.calls)) == ("calls", "engine", 9)
    assert [(warning.limit, warning.scope) for warning in bench.of(BudgetWarning)] == [("calls", "engine")]


@pytest.mark.parametrize(
    ("script", "maps", "calls"), [(MAP, [30], 30), (TWO_MAPS, [20, 20], 40)], ids=["one call", "two calls of a reply"]
)
async def test_an_expensive_map_that_nobody_agrees_to_stops_it_and_can_be_resumed(
    bench: Bench, script: list[str], maps: list[int], calls: int
) -> None:
    model = ScriptedProvider(script, usd_per_token=USD)
    asked: list[FanOut] = []
    agreed = False

    async def say(map_: FanOut) -> bool:
        asked.append(map_)
        return agreed

    async with bench.engine(model, confirm=say) as engine:
        with pytest.raises(BudgetExceeded, match=r"habit resume \S+ --yes") as stop:
            await engine.ask("?", TEXT)
        run = stop.value.run
        assert run is not None
        assert (run.status, run.stopped_by, run.usage.leaf.calls) == ("budget", "fan_out", 0)
        refused = len(asked)
        assert asked[0].calls == maps[0]
        assert (await engine.replay(run.id)).same
        assert len(asked) == refused  # nobody is asked again for what is only replayed
        agreed = True
        resumed = await engine.resume(run.id)
        assert (resumed.answer, resumed.usage.leaf.calls) == ("done", calls)
        assert [map_.calls for map_ in asked[refused:]] == maps
        replayed = await engine.replay(run.id)
        assert (replayed.same, len(asked)) == (True, refused + len(maps))


async def test_a_budget_met_by_the_call_for_notes_still_brings_the_best_answer(bench: Bench) -> None:
    text = "".join(f"word {n} of the text\n" for n in range(20_000))
    pages = [use("read", page=n) for n in range(1, 30)]
    free = ScriptedProvider(pages, window=12_000)
    async with bench.engine(free, settings={"no_journal": True, "max_cells": 20}) as engine:
        await engine.ask("?", text)
    first = next(n for n, call in enumerate(free.calls, 1) if "notes" in call.messages[0].content)
    model = ScriptedProvider([*pages[: first - 1], "my best guess"], window=12_000)
    async with bench.engine(model) as engine:
        with pytest.raises(BudgetExceeded) as stop:
            await engine.ask("?", text, budget=Budget(max_calls=first))
        assert stop.value.run is not None
        assert (stop.value.run.answer, stop.value.run.usage.calls) == ("my best guess", first)
        assert (await engine.replay("last")).same
