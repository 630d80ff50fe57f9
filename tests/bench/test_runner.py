"""Benches, with the real sandbox and the scripted model: what is written down, and what a second start does."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from habit.bench.arms import JOURNAL, Arms
from habit.bench.large import LARGE
from habit.bench.oracle import OracleModel
from habit.bench.outcome import FILE, Outcome, read_outcomes
from habit.bench.plan import LEARNING_ATTEMPTS, Plan
from habit.bench.report.columns import who_of
from habit.bench.runner import Bench, Ended, Progress
from habit.bench.tasks import Question
from habit.calls.call import Call, Reply
from habit.calls.provider import Provider
from habit.config import Settings
from habit.engine import Engine
from habit.errors import CallFailed, HabitError, UsageError
from habit.journal.records import RunRecord
from habit.journal.sqlite import SqliteStore
from habit.sandbox.cpython import CPythonSandbox

SUM = [family for family in LARGE if family.name == "sum-by-user"]
GRID = Plan(SUM, (10_000, 20_000), ("rlm", "habit"), seeds=1)
STREAM = Plan(SUM, (), seeds=1, stream=4, stream_families=SUM, stream_strategies=("rlm", "auto"))


@pytest.fixture
def start(tmp_path: Path, sandbox: CPythonSandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Starts a bench in one folder."""
    monkeypatch.setenv("HOME", str(tmp_path))

    async def started(plan: Plan, folder: str = "bench", **details: Any) -> tuple[Ended, list[Outcome]]:
        details = {"settings": Settings(), "oracle": True, "mutants": 0, "sandbox": sandbox, **details}
        bench = Bench(tmp_path / folder, plan, **details)
        ended = await bench.run()
        return ended, read_outcomes(tmp_path / folder)

    return started


async def runs_in(folder: Path) -> list[RunRecord]:
    store = await SqliteStore.open(folder / JOURNAL)
    try:
        return await store.runs(limit=1000)
    finally:
        await store.aclose()


async def test_a_grid_asks_every_size_in_every_way(start: Callable[..., Any], tmp_path: Path) -> None:
    told: list[Progress] = []
    ended, outcomes = await start(GRID, tell=told.append)
    assert (ended.done, ended.total, ended.stopped) == (4, 4, "")
    grid = [one for one in outcomes if one.part == "grid"]
    assert Counter((one.size, one.strategy) for one in grid) == Counter(
        {(size, way): 1 for size in GRID.sizes for way in GRID.strategies}
    )
    assert all(one.right and one.score == 1 and one.oracle and one.model == "oracle:scripted" for one in outcomes)
    assert len({one.key for one in outcomes}) == len(outcomes)
    assert len({one.question_key for one in grid}) == 2
    assert {one.run for one in outcomes} == {record.id for record in await runs_in(tmp_path / "bench")}
    assert {one.usd for one in outcomes} == {ended.usd} == {0.0}  # a script costs nothing
    for one in outcomes:
        assert one.output_tokens is not None
        assert 0 <= one.output_tokens <= one.tokens
        assert bool(one.output_tokens) == bool(one.tokens)
    assert told[-1].outcome == outcomes[-1]
    assert not (tmp_path / "bench" / "no-library").exists()


async def test_a_habit_is_learned_once_and_its_cost_is_with_its_first_use(start: Callable[..., Any]) -> None:
    _, outcomes = await start(GRID)
    (learning,) = [one for one in outcomes if one.part == "learning"]
    small, large = [one for one in outcomes if one.strategy == "habit"]
    assert learning.learned == "sum-by-user@1"
    assert learning.question_key not in {one.question_key for one in outcomes if one.part == "grid"}
    assert (small.size, small.answered_by) == (10_000, "sum-by-user@1")
    assert (large.size, large.answered_by) == (20_000, "sum-by-user@1")
    assert (small.extra_tokens, large.extra_tokens) == (learning.root_tokens + learning.leaf_tokens, 0)
    assert (small.extra_output_tokens, large.extra_output_tokens) == (learning.output_tokens, 0)
    assert small.root_tokens == large.root_tokens == 0
    assert learning.root_tokens > 0


def test_what_a_habit_is_learned_from_is_told_for_each_question_of_the_grid() -> None:
    plan = Plan(LARGE[:3], (2_000, 4_000), ("rlm", "habit"), seeds=2, noises=(0.0, 0.1))
    items = list(plan.items())
    learning = [one for one in items if one.part == "learning"]
    assert len(learning) == 3 * 2 * 2 * LEARNING_ATTEMPTS
    for item in items:
        if item.strategy == "habit":
            mine = [
                one
                for one in learning
                if (one.family, one.library, one.noise) == (item.family, item.library, item.noise)
            ]
            assert list(plan.learning_of(item)) == mine


async def test_a_second_start_asks_nothing_again(start: Callable[..., Any], tmp_path: Path) -> None:
    _, first = await start(GRID)
    asked: list[Progress] = []
    ended, second = await start(GRID, tell=asked.append)
    assert second == first
    assert asked == []
    assert (ended.done, len(await runs_in(tmp_path / "bench"))) == (4, len(first))
    wider, third = await start(replace(GRID, sizes=(*GRID.sizes, 30_000)))
    assert (wider.done, wider.total, len(third)) == (6, 6, len(first) + 2)


async def test_other_settings_are_another_question(start: Callable[..., Any]) -> None:
    plan = replace(GRID, strategies=("rlm",), sizes=(10_000,))
    await start(plan)
    ended, outcomes = await start(replace(plan, noises=(0.0, 0.1)))
    assert (ended.done, [one.noise for one in outcomes]) == (2, [0.0, 0.1])


async def test_a_line_holds_all_settings(start: Callable[..., Any]) -> None:
    settings = Settings(max_cells=7, max_usd=5.0, base_url="http://ada:secret@127.0.0.1:1/v1", journal="secret.db")
    plan = replace(GRID, sizes=(10_000,), noises=(0.0, 0.1))
    _, outcomes = await start(plan, settings=settings, latency=0.001)
    for one in outcomes:
        left_out = {one.name for one in fields(Settings)} - set(one.settings)
        assert left_out == {
            *("model", "leaf_model", "strategy"),  # fields of their own
            *("journal", "library", "base_url_from_file", "max_usd", "otel"),  # which change no answer
        }
        assert one.settings["max_cells"] == 7
        assert one.settings["windows"] == [100_000, 100_000]
        assert {name: one.bench[name] for name in ("mutants", "latency", "shadow", "seeds", "sizes", "noises")} == {
            "mutants": 0,
            "latency": 0.001,
            "shadow": 0.0,
            "seeds": 1,
            "sizes": [10_000],
            "noises": [0.0, 0.1],
        }
        assert one.versions["sandbox"] == "cpython"
        assert "secret" not in json.dumps(one.to_json())
        assert "max_cells 7, mutants 0" in who_of(one)


async def test_a_server_is_named_without_what_may_be_a_secret(tmp_path: Path) -> None:
    settings = Settings(model="m", base_url="http://ada:secret@127.0.0.1:1/v1?key=secret")
    arms = Arms(tmp_path, settings, oracle=False, latency=0.0, shadow=0.0, mutants=0, sandbox=None)
    assert arms.told(arms.settings)["base_url"] == "http://127.0.0.1:1/v1"


async def test_mutants_are_another_setting_of_what_is_learned_alone(start: Callable[..., Any]) -> None:
    plan = replace(GRID, sizes=(10_000,))
    _, before = await start(plan)
    _, after = await start(plan, mutants=1)
    assert after[: len(before)] == before
    assert [(one.part, one.strategy) for one in after[len(before) :]] == [("learning", "rlm"), ("grid", "habit")]
    assert [one.bench["mutants"] for one in after] == [0, 0, 0, 1, 1]


async def test_other_defaults_than_those_of_before_are_not_mixed_in(start: Callable[..., Any], tmp_path: Path) -> None:
    plan = replace(GRID, strategies=("rlm",))
    _, outcomes = await start(replace(plan, sizes=(10_000,)))
    file = tmp_path / "bench" / FILE
    told = file.read_text()
    file.write_text(told.replace('"max_depth": 2', '"max_depth": 1'))
    with pytest.raises(UsageError, match="were made with max_depth 1, and now it is 2"):
        await start(plan)
    assert len(read_outcomes(tmp_path / "bench")) == len(outcomes)
    file.write_text(told.replace('"max_depth": 2, ', ""))  # as by a version that had no such setting
    assert (await start(plan))[0].done == 2


async def test_a_stream_goes_on_with_its_library(start: Callable[..., Any], tmp_path: Path) -> None:
    _, whole = await start(STREAM, "whole")
    _, some = await start(STREAM)
    lines = (tmp_path / "bench" / FILE).read_bytes().splitlines(keepends=True)
    assert len(lines) == 8
    (tmp_path / "bench" / FILE).write_bytes(b"".join(lines[:6]) + lines[6][:40])
    _, again = await start(STREAM)
    assert [one.key for one in again] == [one.key for one in some]
    ways = [[(one.number, one.strategy, one.answered_by, one.answer) for one in each] for each in (whole, again)]
    assert ways[0] == ways[1]
    assert any(one.answered_by.startswith("sum-by-user@") for one in again)
    assert {one.stream for one in again} == {4}


async def test_what_was_learned_before_a_kill_is_not_taken_for_known_before(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    plan = replace(STREAM, stream=1, stream_strategies=("auto",))
    _, (before,) = await start(plan)
    assert before.learned == "sum-by-user@1"
    (tmp_path / "bench" / FILE).write_bytes(b"")
    _, (after,) = await start(plan)
    assert (after.run, after.answered_by, after.root_tokens) == (before.run, "rlm", before.root_tokens)
    assert len(await runs_in(tmp_path / "bench")) == 1


async def test_learning_that_was_not_written_down_is_asked_again(start: Callable[..., Any], tmp_path: Path) -> None:
    plan = replace(GRID, sizes=(10_000,), strategies=("habit",))
    _, before = await start(plan)
    (tmp_path / "bench" / FILE).write_bytes(b"")
    _, after = await start(plan)
    assert [one.part for one in after] == ["learning", "grid"]
    assert after[0].run == before[0].run
    assert after[1].extra_tokens == before[1].extra_tokens > 0


async def test_no_more_is_spent_than_allowed_and_more_money_goes_on(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OracleModel, "price", lambda self, told, said: (told + said) * 1e-6)
    plan = replace(GRID, strategies=("rlm",), seeds=4)
    price = (await start(replace(plan, seeds=1, sizes=(10_000,)), "price"))[0].usd
    ended, outcomes = await start(plan, max_usd=3.5 * price)
    assert 0 < ended.done < ended.total == 8
    assert ended.done == len(outcomes)
    assert "left of $" in ended.stopped
    assert ended.usd <= 3.5 * price
    assert all(one.right for one in outcomes)
    again, _ = await start(plan, max_usd=ended.usd)
    assert (again.done, again.usd) == (ended.done, pytest.approx(ended.usd))
    done, outcomes = await start(plan, max_usd=20 * price)
    assert (done.done, len(outcomes), done.stopped) == (8, 8, "")


async def test_a_question_that_fails_is_a_wrong_one(start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OracleModel, "request", _refusing("server"))
    ended, outcomes = await start(replace(GRID, sizes=(10_000,)))
    assert (ended.done, ended.total) == (2, 2)
    assert [one.part for one in outcomes] == ["learning"] * LEARNING_ATTEMPTS + ["grid"] * 2
    for one in outcomes:
        assert (one.right, one.score, one.status, one.answered_by) == (False, 0.0, "failed", "")
        assert one.error


async def test_a_model_that_is_not_there_is_no_wrong_answer(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(OracleModel, "request", _refusing("connection"))
        with pytest.raises(HabitError, match="start the same bench again"):
            await start(replace(GRID, sizes=(10_000,), strategies=("rlm",)))
    assert read_outcomes(tmp_path / "bench") == []


def _refusing(reason: str) -> Callable[..., Any]:
    async def request(self: OracleModel, call: Call) -> Reply:
        raise CallFailed(f"The model failed: {reason}.", reason=reason)

    return request


async def test_a_wrong_answer_is_asked_whose_fault_it_is(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Sequence[Any]] = []

    class Fault:
        who, evidence = "leaf", "It was the leaf."

    async def attribute(engine: Engine, run_id: str, question: Question, *, root: Provider | None = None) -> Fault:
        assert isinstance(root, OracleModel)  # a script may be asked again
        asked.append((run_id, question.family.name, (await (await engine.store()).run(run_id)).status))
        return Fault()

    plan = replace(GRID, sizes=(10_000,), strategies=("rlm",))
    _, outcomes = await start(plan, "right", attribute=attribute)
    assert (asked, outcomes[0].fault) == ([], None)
    monkeypatch.setattr(Question, "is_right", lambda self, answer: False)
    _, outcomes = await start(plan, attribute=attribute)
    assert (outcomes[0].fault, outcomes[0].evidence) == ("leaf", "It was the leaf.")
    assert asked == [(outcomes[0].run, "sum-by-user", "answered")]


async def test_where_no_habit_answers_nobody_is_at_fault(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Fault:
        who, evidence = "scheduler", "It is."

    async def attribute(engine: Engine, run_id: str, question: Question, *, root: Provider | None = None) -> Fault:
        asked.append(run_id)
        return Fault()

    monkeypatch.setattr(Question, "is_right", lambda self, answer: False)  # so nothing is learned
    _, outcomes = await start(replace(GRID, sizes=(10_000,), strategies=("habit",)), attribute=attribute)
    (outcome,) = [one for one in outcomes if one.part == "grid"]
    assert (outcome.fault, outcome.answered_by) == (None, "")
    assert outcome.run not in asked
    assert {one.run for one in outcomes} - {outcome.run} == set(asked)  # those that should have taught one were wrong
    assert outcome.evidence.startswith("No habit answers this")


async def test_a_library_stays_out_of_the_repository_around_it(start: Callable[..., Any], tmp_path: Path) -> None:
    import subprocess

    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    await start(replace(GRID, sizes=(10_000,)))
    tags = subprocess.run(["git", "-C", str(tmp_path), "tag"], check=True, capture_output=True, text=True).stdout
    assert tags == ""
    lines = [json.loads(line) for line in (tmp_path / "bench" / FILE).read_text().splitlines()]
    assert str(tmp_path) not in json.dumps(lines)
