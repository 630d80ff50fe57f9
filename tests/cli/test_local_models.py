"""``habit models``: a folder of our own, nothing fetched from anywhere."""

from collections.abc import Callable
from pathlib import Path

import pytest
from command_bench import InProcess

from habit.errors import HabitError
from habit.local.models import DEFAULT, KNOWN, KnownModel


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


Fetch = Callable[..., Path]


@pytest.fixture
def fetching(monkeypatch: pytest.MonkeyPatch) -> Callable[[Fetch], None]:
    return lambda fetch: monkeypatch.setattr("habit.local.pull.pull", fetch)


def _in_steps(model: KnownModel, progress: Callable[[int, int], None]) -> Path:
    assert model.name == DEFAULT
    for done in (0, 0, 50, 99, 100, 500, 1000):
        progress(done * 1_000_000, 1_000_000_000)
    return Path("/models/it.gguf")


def test_pull_prints_the_path_and_a_line_for_every_tenth(habit: InProcess, fetching: Callable[[Fetch], None]) -> None:
    fetching(_in_steps)
    result = habit("models", "pull")
    assert (result.code, result.out) == (0, "/models/it.gguf\n")
    assert result.err.splitlines() == [f"{DEFAULT}: {done} of 1,000 MB" for done in ("0", "100", "500", "1,000")]


def test_pull_on_a_terminal_draws_a_bar(habit: InProcess, fetching: Callable[[Fetch], None]) -> None:
    fetching(_in_steps)
    result = habit("models", "pull", DEFAULT, terminal=True)
    assert (result.code, result.out) == (0, "/models/it.gguf\n")
    assert DEFAULT in result.err
    assert "GB" in result.err


def test_pull_that_fails_says_why(habit: InProcess, fetching: Callable[[Fetch], None]) -> None:
    def fails(model: KnownModel, progress: object) -> Path:
        raise HabitError("No source can be reached.")

    fetching(fails)
    result = habit("models", "pull")
    assert (result.code, result.raw_out, result.err) == (1, b"", "Error: No source can be reached.\n")


def test_an_interrupted_pull_says_that_it_goes_on(habit: InProcess, fetching: Callable[[Fetch], None]) -> None:
    def interrupted(model: KnownModel, progress: object) -> Path:
        raise KeyboardInterrupt

    fetching(interrupted)
    result = habit("models", "pull")
    assert (result.code, result.raw_out) == (130, b"")
    assert result.err == "Interrupted; the same command goes on where it was.\n"
