"""Settings: file, then environment, then flags; wrong ones are refused with the way on."""

from pathlib import Path

import pytest

from habit.config import SETTABLE, Settings, load
from habit.errors import UsageError


def test_defaults_when_nothing_is_set(tmp_path: Path) -> None:
    assert load({}, environ={}, folder=tmp_path) == Settings()


def test_flags_beat_environment_beats_file(tmp_path: Path) -> None:
    (tmp_path / "habit.toml").write_text('model = "file"\nleaf_model = "file"\nmax_calls = 1\nprofile = "small"\n')
    environ = {"HABIT_MODEL": "env", "HABIT_LEAF_MODEL": "env", "HABIT_MAX_CALLS": "2"}
    settings = load({"model": "flag", "max_usd": None}, environ=environ, folder=tmp_path)
    assert (settings.model, settings.leaf_model, settings.max_calls) == ("flag", "env", 2)
    assert settings.profile == "small"


def test_pyproject_is_read_when_there_is_no_habit_toml(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.habit]\nmax_seconds = 5\n")
    assert load({}, environ={}, folder=tmp_path).max_seconds == 5.0
    (tmp_path / "habit.toml").write_text("max_seconds = 7.5\n")
    assert load({}, environ={}, folder=tmp_path).max_seconds == 7.5


def test_a_pyproject_of_another_tool_is_fine(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    assert load({}, environ={}, folder=tmp_path) == Settings()


@pytest.mark.parametrize("word", ["1", "true", "YES", "on"])
def test_switches_in_the_environment(tmp_path: Path, word: str) -> None:
    assert load({}, environ={"HABIT_NO_CACHE": word}, folder=tmp_path).no_cache


@pytest.mark.parametrize(
    ("toml", "hint"),
    [
        ("modle = 'x'", "did you mean model"),
        ("zzz = 1", "known keys"),
        ("max_calls = 'many'", "number"),
        ("max_calls = 1.5", "whole number"),
        ("no_cache = 'perhaps'", "true or false"),
        ("model = 3", "text"),
        ("model = ", "TOML"),
        ("max_usd = 0", "greater than 0"),
        ("max_usd = nan", "greater than 0"),
        ("max_cells = 0", "at least 1"),
        ("max_depth = -1", "at least 0"),
        ("profile = 'large'", "auto, frontier, small"),
        ("base_url_from_file = false", "unknown key"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, toml: str, hint: str) -> None:
    (tmp_path / "habit.toml").write_text(toml)
    with pytest.raises(UsageError, match=hint):
        load({}, environ={}, folder=tmp_path)


def test_a_habit_is_not_taken_for_settings(tmp_path: Path) -> None:
    (tmp_path / "habit.toml").write_text('format = 1\nname = "x"\n[intent]\n[contract]\n')
    with pytest.raises(UsageError, match="is a habit, not settings: work in a folder above it"):
        load({}, environ={}, folder=tmp_path)


@pytest.mark.parametrize("value", ["0", "-1", "nan", "many"])
def test_a_wrong_variable_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(UsageError):
        load({}, environ={"HABIT_MAX_USD": value}, folder=tmp_path)


def test_a_base_url_from_a_file_is_marked_as_such(tmp_path: Path) -> None:
    (tmp_path / "habit.toml").write_text('base_url = "http://elsewhere/v1"')
    assert load({}, environ={}, folder=tmp_path).base_url_from_file
    assert not load({}, environ={"HABIT_BASE_URL": "http://mine/v1"}, folder=tmp_path).base_url_from_file
    assert not load({"base_url": "http://mine/v1"}, environ={}, folder=tmp_path).base_url_from_file


def test_every_setting_can_come_from_the_environment(tmp_path: Path) -> None:
    values = {
        "profile": "small",
        "strategy": "rlm",
        "dialect": "rlm",
        "execution": "tool",
        "sandbox": "monty",
        "no_journal": "true",
        "no_cache": "true",
        "no_repair": "true",
        "shadow": "0.5",
        "otel": "1",
        "stream_starts": "true",
        "cell_memory": "99999999",
    }
    environ = {f"HABIT_{name.upper()}": values.get(name, "7") for name in SETTABLE}
    settings = load({}, environ=environ, folder=tmp_path)
    assert settings.max_calls == 7
    assert settings.cell_seconds == 7.0
    assert settings.model == "7"
