"""Budgets through the whole engine: the day's, those that runs share, large maps, and cells that are stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from habit import BudgetExceeded, UsageError
from habit.calls.budget import Budget
from habit.calls.events import BudgetWarning, FanOut
from habit.sandbox.cpython import CPythonSandbox
from support.scripted import ScriptedProvider, block
from support.told_engines import ToldEngines

USD = 1e-3
"""What a token costs here."""
ONE_LEAF = [block("x = recursive_llm('?', 'a' * 400)\nprint(x)"), block("answer(x)")]
MAP = [block("answer(len(recursive_llm_map('?', [str(n) for n in range(30)])))")]


@pytest.fixture
def bench(tmp_path: Path, sandbox: CPythonSandbox) -> ToldEngines:
    return ToldEngines(tmp_path, sandbox)


async def test_the_day_counts_what_other_engines_spent_and_stops_the_run(bench: ToldEngines) -> None:
    async with bench.engine(ScriptedProvider(ONE_LEAF, usd_per_token=USD)) as engine:
        before = await engine.ask("?", "x")
    assert before.usage.usd
    day = {"max_usd_day": before.usage.usd * 1.1}
    model = ScriptedProvider(ONE_LEAF, usd_per_token=USD)
    async with bench.engine(model, settings=day) as engine:
        with pytest.raises(
            BudgetExceeded, match=r"All runs of this journal have spent .* tomorrow.*--max-usd-day"
        ) as stop:
            await engine.ask("?", "x")
        assert engine.resources.day.spent.usd == pytest.approx(before.usage.usd)
    assert stop.value.run is not None
    assert (stop.value.run.status, stop.value.run.stopped_by, model.calls) == ("budget", "usd_day", [])
    [warning] = bench.of(BudgetWarning)
    assert (warning.limit, warning.scope, warning.allowed) == ("usd_day", "day", day["max_usd_day"])
    async with bench.engine(model, settings={"max_usd_day": 100.0}) as engine:
        assert (await engine.resume(stop.value.run.id)).answer == "yes"


async def test_the_day_of_one_engine_goes_on_from_run_to_run(bench: ToldEngines) -> None:
    model = ScriptedProvider(ONE_LEAF * 2, usd_per_token=USD)
    async with bench.engine(model, settings={"max_usd_day": 100.0}) as engine:
        runs = [await engine.ask("?", "x") for _ in range(2)]
        assert engine.resources.day.spent.usd == pytest.approx(sum(run.usage.usd or 0.0 for run in runs))
        store = await engine.store()
        assert await store.spent_since(0.0) == pytest.approx(engine.resources.day.spent.usd)


@pytest.mark.parametrize(
    ("how", "flag"),
    [
        ({"settings": {"max_usd_day": 1.0}}, "--max-usd-day"),
        ({"shared_budget": Budget(max_usd=1.0)}, "shared_budget"),
    ],
    ids=["day", "shared"],
)
async def test_every_budget_in_usd_needs_a_price(bench: ToldEngines, how: dict[str, Any], flag: str) -> None:
    model = ScriptedProvider(ONE_LEAF, usd_per_token=None)
    async with bench.engine(model, **how) as engine:
        with pytest.raises(UsageError, match=f"{flag}.* needs a price"):
            await engine.ask("?", "x")
    assert model.calls == []


async def test_runs_of_one_engine_share_its_budget(bench: ToldEngines) -> None:
    model = ScriptedProvider([*ONE_LEAF, *ONE_LEAF, block("answer('best')")])
    async with bench.engine(model, shared_budget=Budget(max_calls=5)) as engine:
        assert (await engine.ask("?", "x")).usage.calls == 3
        with pytest.raises(BudgetExceeded, match=r"The engine has used its budget of 5 calls.*shared_budget") as stop:
            await engine.ask("?", "x")
        assert engine.resources.shared.spent.calls == 5
    assert (stop.value.limit, stop.value.scope) == ("calls", "engine")
    assert [(warning.limit, warning.scope) for warning in bench.of(BudgetWarning)] == [("calls", "engine")]


async def test_what_a_run_paid_before_counts_for_it_once_more_and_for_the_others_once(bench: ToldEngines) -> None:
    script = [block("x = recursive_llm('?', 'a')"), RuntimeError("a bug"), block("answer(x)")]
    model = ScriptedProvider(script)
    async with bench.engine(model, shared_budget=Budget(max_calls=50)) as engine:
        with pytest.raises(RuntimeError):
            await engine.ask("?", "x")
        spent = engine.resources.shared.spent.calls
        run = await engine.resume("last")
        assert run.usage.calls == 3
        assert engine.resources.shared.spent.calls == spent + 1


async def test_seconds_are_warned_of(bench: ToldEngines) -> None:
    class Silent(ScriptedProvider):
        async def request(self, call: Any) -> Any:
            await anyio.sleep_forever()

    async with bench.engine(Silent()) as engine:
        with pytest.raises(BudgetExceeded, match=r"was stopped after 0\.05 seconds"):
            await engine.ask("?", "x", budget=Budget(max_seconds=0.05))
    assert [(warning.limit, warning.scope) for warning in bench.of(BudgetWarning)] == [("seconds", "run")]


async def test_an_expensive_map_that_nobody_agrees_to_stops_the_run_and_can_be_resumed(bench: ToldEngines) -> None:
    model = ScriptedProvider(MAP, usd_per_token=USD)
    asked: list[FanOut] = []

    async def say_no(map_: FanOut) -> bool:
        asked.append(map_)
        return False

    async with bench.engine(model, confirm=say_no) as engine:
        with pytest.raises(
            BudgetExceeded, match=r"map of 30 calls to scripted for about \$\d.*habit resume \S+ --yes"
        ) as stop:
            await engine.ask("?", "x", returns=int)
        run = stop.value.run
        assert run is not None
        assert (run.status, run.stopped_by, run.usage.leaf.calls) == ("budget", "fan_out", 0)
        assert [(map_.session, map_.cell, map_.calls) for map_ in asked] == [("0", 1, 30)]
        again = await engine.replay(run.id)
        assert (again.same, again.run.stopped_by, len(asked)) == (True, "fan_out", 1)

        async def say_yes(map_: FanOut) -> bool:
            asked.append(map_)
            return True

        engine.resources.confirm = say_yes
        resumed = await engine.resume(run.id)
        assert (resumed.answer, resumed.usage.leaf.calls, len(asked)) == (30, 30, 2)
        replayed = await engine.replay(run.id)
        assert (replayed.same, len(asked)) == (True, 2)


async def test_without_confirm_a_map_is_told_of_and_sent(bench: ToldEngines) -> None:
    async with bench.engine(ScriptedProvider(MAP, usd_per_token=USD)) as engine:
        assert (await engine.ask("?", "x", returns=int)).answer == 30
    [map_] = bench.of(FanOut)
    assert map_.usd == pytest.approx(map_.tokens * USD, rel=0.01)


@pytest.mark.parametrize(
    "cell",
    [
        "import asyncio\nasync def run():\n"
        "    return await asyncio.gather(*[recursive_llm('?', str(n)) for n in range(9)])\nanswer(asyncio.run(run()))",
        "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(9) as pool:\n"
        "    answer(list(pool.map(lambda n: recursive_llm('?', str(n)), range(9))))",
        "answer(recursive_llm_map('?', [str(n) for n in range(9)]))",
    ],
    ids=["gather", "threads", "map"],
)
async def test_calls_under_way_are_brought_home_however_the_cell_sent_them(bench: ToldEngines, cell: str) -> None:
    class Slow(ScriptedProvider):
        async def request(self, call: Any) -> Any:
            if call.role == "leaf":
                await anyio.wait_all_tasks_blocked()  # so that the stop comes while calls are under way
            return await super().request(call)

    model = Slow([block(cell), block("answer('best')")])
    async with bench.engine(model) as engine:
        with pytest.raises(BudgetExceeded) as stop:
            await engine.ask("?", "x", returns=list[str], budget=Budget(max_calls=6))
        run = stop.value.run
        assert run is not None
        calls = await (await engine.store()).calls(run.id)
    leaf = [call for call in calls if call.role == "leaf"]
    assert [call.reply for call in leaf] == ["yes"] * 4
    assert (run.usage.leaf.calls, run.usage.failed_calls) == (4, 0)
