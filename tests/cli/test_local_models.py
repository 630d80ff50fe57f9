"""``habit models``: a folder of our own, nothing fetched from anywhere."""

from pathlib import Path

import pytest
from command_bench import InProcess

from habit.local.models import DEFAULT, KNOWN


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("HABIT_MODELS", str(folder))
    return folder


def test_list_shows_what_is_here_and_what_can_be_fetched(habit: InProcess, folder: Path) -> None:
    (folder / "mine.gguf").write_bytes(b"GGUF" + bytes(96))
    rows = {row["name"]: row for row in habit("models", "list", "--json").json}
    mine = str(folder / "mine.gguf")
    assert rows[mine] == {"name": mine, "bytes": 100, "path": mine, "fetched": True, "default": False}
    assert rows[DEFAULT] == {
        "name": DEFAULT,
        "bytes": KNOWN[DEFAULT].size,
        "path": None,
        "fetched": False,
        "default": True,
    }
    text = habit("models", "list").out
    assert f"habit models pull {DEFAULT}" in text
    assert mine in text


def test_rm_deletes_and_says_so(habit: InProcess, folder: Path) -> None:
    (folder / "mine.gguf").write_bytes(b"GGUF")
    result = habit("models", "rm", "mine.gguf")
    assert (result.code, result.raw_out) == (0, b"")
    assert "Deleted mine.gguf" in result.err
    assert list(folder.iterdir()) == []
    assert habit("models", "rm", "mine.gguf").code == 2


def test_pull_of_an_unknown_name_names_near_ones(habit: InProcess, folder: Path) -> None:
    result = habit("models", "pull", "qwen2.5-coder")
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert DEFAULT in result.err
