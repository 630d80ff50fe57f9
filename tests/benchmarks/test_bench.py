import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, Any]]:
    """What a quick run of the bench measured of Habit."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HABIT_")}
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "run.py"), "--quick"],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return {row["name"]: row for row in json.loads(done.stdout)["rows"]}


@pytest.mark.xdist_group("bench")
def test_every_measure_has_a_figure_of_habit(rows: dict[str, dict[str, Any]]) -> None:
    assert len(rows) > 15
    assert all(row["values"]["habit"] for row in rows.values())
    assert all(figure >= 0 for row in rows.values() for figure in row["values"]["habit"])


@pytest.mark.xdist_group("bench")
def test_what_does_not_depend_on_the_machine_is_exact(rows: dict[str, dict[str, Any]]) -> None:
    counted = ("children", "calls", "runs")
    exact = {name: row["values"]["habit"] for name, row in rows.items() if row["unit"] in counted}
    assert len(exact) == 7
    assert set(map(tuple, exact.values())) == {(0,)}
    (spent,) = (row["values"]["habit"] for name, row in rows.items() if name.startswith("tokens spent"))
    assert 0 < spent[0] <= 1
