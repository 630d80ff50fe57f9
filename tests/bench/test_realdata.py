"""Questions about real texts, where they are: true twice over, and one sentence where they are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from habit.bench.attribution import attribute
from habit.bench.oracle import NAME, OracleModels, oracle_about
from habit.bench.outcome import read_outcomes
from habit.bench.plan import Plan
from habit.bench.realdata import SETS, RealSet, data_folder, plan_real, real_question
from habit.bench.report.page import report_of
from habit.bench.runner import Bench
from habit.config import Settings
from habit.engine import Engine
from habit.errors import UsageError
from habit.journal.memory import MemoryStore
from habit.run import plain
from habit.sandbox.cpython import CPythonSandbox

SMS = SETS[0]


def made(folder: Path) -> Path:
    """A folder with a set of our own, as the real one is laid out."""
    (folder / "sms_spam").mkdir()
    lines = [f"{'spam' if number % 3 else 'ham'}\ttext  number {number}" for number in range(40)]
    (folder / "sms_spam" / "sms.tsv").write_text("\n".join(lines))
    return folder


def test_a_question_is_drawn_from_what_is_there(tmp_path: Path) -> None:
    question = real_question(SMS, texts=30, folder=made(tmp_path))
    rows = [json.loads(line) for line in question.context.splitlines()]
    assert len(rows) == 30
    assert set(rows[0]) == {"id", "text"}
    assert 0 < question.truth < 30
    assert question.key == real_question(SMS, texts=30, folder=tmp_path).key


@pytest.mark.parametrize("strategy", ["rlm", "direct", "agent"])
async def test_the_oracle_is_told_the_labels(tmp_path: Path, strategy: str) -> None:
    question = real_question(SMS, texts=30, folder=made(tmp_path))
    model = oracle_about(question)
    settings = Settings(model=NAME, strategy=strategy, no_journal=True, no_cache=True)
    async with Engine(settings, store=MemoryStore(), models=OracleModels(model)) as engine:
        run = await engine.ask(question.text, question.context, returns=int)
    assert plain(run.answer) == question.truth


def test_an_input_has_the_size_that_was_asked_for_and_its_key_is_known_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HABIT_DATA", str(made(tmp_path)))
    planned = list(plan_real([SMS], [300, 600, 5_000], 1))
    assert [one.size for one in planned] == [300, 600]  # there are no 5,000 bytes of it
    for one in planned:
        question = one.question()
        assert 0 <= len(question.context) - one.size < 60
        assert (question.key, question.size, question.seed) == (one.key, one.size, 1)
        assert question.truth == sum(
            label == question.parameters["label"] for label in question.dataset.labels.values()
        )
    with pytest.raises(UsageError, match=r"real-sms has 1,\d+ bytes of texts: give a smaller one of --sizes"):
        list(plan_real([SMS], [5_000], 1))


async def test_a_bench_asks_about_real_texts_in_every_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: CPythonSandbox
) -> None:
    monkeypatch.setenv("HABIT_DATA", str(made(tmp_path)))
    monkeypatch.setenv("HOME", str(tmp_path))
    plan = Plan((), (400, 800), seeds=1, real=[SMS])
    bench = Bench(tmp_path / "bench", plan, Settings(), oracle=True, mutants=0, sandbox=sandbox)
    ended = await bench.run()
    assert (ended.done, ended.total) == (8, 8)
    outcomes = read_outcomes(tmp_path / "bench")
    asked = [one for one in outcomes if one.part == "real"]
    assert {(one.size, one.strategy) for one in asked} == {
        (size, way) for size in (400, 800) for way in ("direct", "agent", "rlm", "habit")
    }
    assert all(one.right for one in asked), [(one.strategy, one.error, one.why) for one in asked if not one.right]
    assert {one.answered_by for one in asked if one.strategy == "habit"} == {"real-sms@1"}
    titles = [section.title for section in report_of(outcomes).sections]
    assert any(title.endswith("(a script, no model), mutants 0, real texts") for title in titles)


async def test_a_wrong_answer_about_real_texts_is_put_down_to_the_leaf_that_misread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: CPythonSandbox
) -> None:
    monkeypatch.setenv("HABIT_DATA", str(made(tmp_path)))
    plan = Plan((), (1_000,), ("rlm", "agent"), seeds=1, noises=(0.6,), real=[SMS])
    bench = Bench(tmp_path / "bench", plan, Settings(), oracle=True, mutants=0, sandbox=sandbox, attribute=attribute)
    await bench.run()
    found = [(one.right, one.fault) for one in read_outcomes(tmp_path / "bench")]
    assert found == [(False, "leaf")] * 2


def test_where_it_is_not_a_sentence_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"sms\.tsv is not there: set HABIT_DATA .* or leave real-sms out"):
        real_question(SMS, folder=tmp_path)


@pytest.mark.parametrize("real", SETS, ids=lambda real: real.name)
def test_the_real_sets_can_be_read(real: RealSet) -> None:
    try:
        question = real_question(real)
    except UsageError as missing:
        pytest.skip(str(missing))
    assert len(question.dataset.messages) > 20
    assert question.truth >= 0
    assert question.family.recognised(question.text) == question.parameters
    assert data_folder().is_dir()
