"""Questions about real texts, where they are: true twice over, and one sentence where they are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from habit.bench.oracle import NAME, OracleModel, OracleModels
from habit.bench.realdata import SETS, RealSet, data_folder, real_question
from habit.config import Settings
from habit.engine import Engine
from habit.errors import UsageError
from habit.journal.memory import MemoryStore
from habit.run import plain

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


@pytest.mark.parametrize("strategy", ["rlm", "direct"])
async def test_the_oracle_is_told_the_labels(tmp_path: Path, strategy: str) -> None:
    question = real_question(SMS, texts=30, folder=made(tmp_path))
    model = OracleModel(families=[question.family], labels=question.dataset.labels)
    settings = Settings(model=NAME, strategy=strategy, no_journal=True, no_cache=True)
    async with Engine(settings, store=MemoryStore(), models=OracleModels(model)) as engine:
        run = await engine.ask(question.text, question.context, returns=int)
    assert plain(run.answer) == question.truth


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
