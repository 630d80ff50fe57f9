"""Wrong reuse is bounded: over a thousand near-misses to twelve habits, half of them never looked at while tuning."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))

import matching as bench

from habit.library.match import guards

pytestmark = pytest.mark.xdist_group("matching")


@pytest.fixture(scope="module", params=[False, True], ids=["no model", "a model that says yes"])
def rows(request: pytest.FixtureRequest) -> tuple[bool, dict[str, bench.Tally]]:
    return request.param, {row.name: row for row in bench.measure(model=request.param, most_recorded=100)}


def test_near_misses_are_not_matched(rows: tuple[bool, dict[str, bench.Tally]]) -> None:
    _, table = rows
    near = [row for row in table.values() if not row.name.startswith(("repeats", "paraphrases"))]
    asked, wrong = sum(row.asked for row in near), [said for row in near for said in row.wrong]
    assert asked > 1_000
    assert len(wrong) <= asked / 100, wrong
    assert bench.wilson(len(wrong), asked)[1] <= 0.01


def test_repeats_are_matched_with_their_values(rows: tuple[bool, dict[str, bench.Tally]]) -> None:
    model, table = rows
    for name, row in table.items():
        if name.startswith("repeats"):
            assert row.asked > 100
            assert (row.matched, row.wrong) == (row.asked, []), row.missed
        if name.startswith("paraphrases"):
            assert not row.wrong
            assert row.matched >= row.asked * (0.6 if model else 0.5), row.missed


def test_the_bench_would_show_a_guard_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "_FILLERS", guards._FILLERS | guards.SIGNS)
    trial = bench.Trial(model=True)
    tally = bench.Tally("near-misses")
    for family in bench.FAMILIES[:3]:
        for kind, question in bench.by_rule(family, 0):
            bench._miss(trial, tally, family, kind, question)
    assert len(tally.wrong) > tally.asked / 50


def test_the_interval_is_wilsons() -> None:
    assert bench.wilson(0, 300) == pytest.approx((0.0, 0.01264), abs=1e-4)
    assert bench.wilson(3, 300) == pytest.approx((0.0034, 0.0290), abs=1e-3)
