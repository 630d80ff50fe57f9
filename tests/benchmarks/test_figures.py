import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "figures.py"
    spec = importlib.util.spec_from_file_location("bench_figures", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_figures"] = module
    spec.loader.exec_module(module)
    return module


def test_a_row_puts_the_ratio_of_medians_first(figures: ModuleType) -> None:
    values = {"habit": [30.0, 10.0, 20.0], "rlms": [500.0, 400.0, 600.0], "dspy": [4000.0]}
    row = figures.Row("runs", "ms", 25, values=values)
    shown = ["20 (10–30; 3)", "500 (400–600; 3)", "4,000 (once)", ""]
    assert row.cells() == ["runs", "25 ×", "200 ×", *shown, "ms", "≤ 25 met"]


def test_a_missed_aim_is_said(figures: ModuleType) -> None:
    row = figures.Row("loop", "s", 0.2, values={"habit": [2.0]})
    assert row.cells()[-1] == "≤ 0.2 **missed**"
    report = figures.Report("today", {}, [row], ["a note"])
    assert "- loop: 2 s instead of ≤ 0.2" in report.text
    assert "a note" in report.text


def test_nothing_against_something_is_no_division(figures: ModuleType) -> None:
    assert figures.Row("failed", "children", values={"habit": [0], "rlms": [16]}).ratio("rlms") == "16 : 0"
    assert figures.Row("failed", "children", values={"habit": [0], "rlms": [0]}).ratio("rlms") == "="
    assert figures.Row("bare", "s", values={"bare": [1.0]}).ratio("rlms") == ""


def test_how_far_ahead_of_each_peer_is_an_aim_of_its_own(figures: ModuleType) -> None:
    values = {"habit": [1.0], "rlms": [20.0], "dspy": [10.0]}
    row = figures.Row("loop", "s", 2, {"rlms": 15, "dspy": 15}, values)
    assert row.cells()[-1] == "≤ 2 met; ≥ 15 × rlms met; ≥ 15 × dspy **missed**"
    assert row.missed == ["10 × instead of ≥ 15 × dspy"]
    assert figures.Row("loop", "s", None, {"dspy": 15}, {"habit": [1.0]}).cells()[-1] == ""


def test_the_table_replaces_only_what_is_between_its_marks(figures: ModuleType) -> None:
    begin, end = "<!-- written by `make bench`: begin -->", "<!-- written by `make bench`: end -->"
    once = figures.put_into(f"before\n{begin}\nold\n{end}\nafter\n", "new")
    assert once == f"before\n{begin}\n\nnew\n\n{end}\nafter\n"
    assert figures.put_into(once, "newer") == once.replace("new", "newer")
    with pytest.raises(ValueError, match="lacks the lines"):
        figures.put_into("no marks", "new")
