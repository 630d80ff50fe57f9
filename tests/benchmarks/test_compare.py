import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import compare

    return compare


def test_a_peer_that_fails_leaves_a_note_and_habit_may_not_fail(compare: ModuleType, tmp_path: Path) -> None:
    def loop(side: str) -> None:
        raise compare.SideFailed("a long story\nno Deno here")

    from measuring import QUICK

    bench = compare.Comparison({"habit": Path(sys.executable)}, {}, tmp_path, QUICK, say=lambda _: None)
    bench._measure(loop, "dspy")
    assert bench.notes == ["`dspy` has no figure of one round of *loop*: no Deno here"]
    with pytest.raises(compare.SideFailed):
        bench._measure(loop, "habit")


def test_each_measure_with_fewer_rounds_is_one(compare: ModuleType) -> None:
    assert set(compare.ROUNDS) < set(dir(compare.Comparison))
    assert {side for rounds in compare.ROUNDS.values() for side in rounds} == set(compare.SIDES)
