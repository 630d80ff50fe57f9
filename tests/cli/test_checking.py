"""``habit test``: a line for each habit, exit status 1 when one is red, no model and no network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from command_bench import InProcess

from habit.library.habit import Habit
from support.made_habits import count_label, write_library


@pytest.fixture
def red() -> Habit:
    habit = count_label(name="red-one")
    return replace(habit, source=habit.source.replace("== label", "!= label"))


def test_green_habits_are_lines_and_status_0(habit: InProcess, tmp_path: Path) -> None:
    write_library(tmp_path / "lib", count_label(), count_label(name="another", relations=()))
    result = habit("test", "--library", str(tmp_path / "lib"))
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == ["green  another  1 case", "green  count-label  1 case, 2 relations"]


def test_a_red_habit_is_status_1_and_says_why(habit: InProcess, tmp_path: Path, red: Habit) -> None:
    write_library(tmp_path / "lib", count_label(), red)
    result = habit("test", "--library", str(tmp_path / "lib"))
    assert result.code == 1
    assert result.out.splitlines()[1].startswith("red    red-one  case first: it answers 2 instead of 3")


def test_only_those_named_are_tested(habit: InProcess, tmp_path: Path, red: Habit) -> None:
    write_library(tmp_path / "lib", count_label(), red)
    result = habit("test", "count-label", "--library", str(tmp_path / "lib"), "--json")
    assert result.code == 0
    assert [(one["habit"], one["green"], one["troubles"]) for one in result.json] == [("count-label", True, [])]


def test_a_habit_that_cannot_be_read_is_red(habit: InProcess, tmp_path: Path) -> None:
    write_library(tmp_path / "lib", count_label())
    (tmp_path / "lib" / "count-label" / "cases" / "first.json").write_text("{}")
    result = habit("test", "--library", str(tmp_path / "lib"))
    assert result.code == 1
    assert "first.json is not a case of a habit" in result.out


def test_links_are_not_followed(habit: InProcess, tmp_path: Path) -> None:
    write_library(tmp_path / "lib", count_label())
    source = tmp_path / "lib" / "count-label" / "scheduler.py"
    source.rename(tmp_path / "elsewhere.py")
    source.symlink_to(tmp_path / "elsewhere.py")
    result = habit("test", "--library", str(tmp_path / "lib"))
    assert (result.code, "no scheduler.py" in result.out) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--library", "nowhere"], "habit init"),
        (["--library", "."], "make one with habit learn"),
        (["--library", ".", "other"], "There is no habit 'other'"),
        (["--library", ".", "../up"], "There is no habit"),
    ],
)
def test_nothing_to_test_is_an_error(
    habit: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = habit("test", *arguments)
    assert result.code == 2
    assert says in result.err
