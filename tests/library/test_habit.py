"""A habit is written as files and read back; its SKILL.md is a valid Agent Skill whatever a model wrote into it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skills_ref import read_properties, validate

from habit.errors import UsageError
from habit.library.git import Git
from habit.library.habit import MOST_FILE_BYTES, Habit
from habit.library.objects import Entry, Folder, read_files
from habit.library.skill import skill_text
from support.libraries import CASE, a_habit


def test_it_is_read_back_as_it_was_written() -> None:
    habit = a_habit()
    files = habit.files()
    assert sorted(files) == ["SKILL.md", "cases/first.json", "habit.toml", "scheduler.py"]
    read = Habit.from_files(files, version=3)
    assert (read.spec, read.source, read.version) == (habit.spec, habit.source, 3)
    assert read.files() == files
    assert (habit.label, habit.at(3).label) == ("count-label", "count-label@3")


def test_line_ends_of_windows_are_made_plain() -> None:
    files = a_habit().files()
    files["scheduler.py"] = files["scheduler.py"].replace(b"\n", b"\r\n")
    assert Habit.from_files(files).files() == a_habit().files()


def test_files_of_others_are_ignored() -> None:
    files = {**a_habit().files(), "README.md": b"\xff", "cases/notes.txt": b"\xff", "cases/x/y.json": b"\xff"}
    assert Habit.from_files(files).files() == a_habit().files()


@pytest.mark.parametrize(
    ("path", "content", "says"),
    [
        ("habit.toml", None, "no habit, because it has no habit.toml"),
        ("scheduler.py", None, "no habit, because it has no scheduler.py"),
        ("scheduler.py", b"\xff", "lib/x/scheduler.py is not UTF-8"),
        ("scheduler.py", b"#" * (MOST_FILE_BYTES + 1), "larger than 32 MiB"),
        ("habit.toml", b"x = " + b"[" * 100_000, "lib/x/habit.toml can't be read as TOML"),
        ("habit.toml", b"format = 1", "lib/x/habit.toml is no habit of format 1: name"),
        ("cases/first.json", b"[", "lib/x/cases/first.json is not a case"),
        ("cases/first.json", b"[" * 100_000, "lib/x/cases/first.json is not a case"),
    ],
)
def test_what_is_wrong_is_named(path: str, content: bytes | None, says: str) -> None:
    files = a_habit().files()
    del files[path]
    if content is not None:
        files[path] = content
    with pytest.raises(UsageError, match=says):
        Habit.from_files(files, where="lib/x")


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a" * 101])
def test_a_case_can_be_called_only_what_a_file_can(name: str) -> None:
    with pytest.raises(UsageError, match="no name for a case"):
        replace(a_habit(), cases={name: CASE}).files()


def problems_of(habit: Habit, folder: Path) -> list[str]:
    folder = folder / habit.name
    folder.mkdir(exist_ok=True)
    (folder / "SKILL.md").write_bytes(habit.files()["SKILL.md"])
    return validate(folder)


def test_it_is_a_valid_agent_skill(tmp_path: Path) -> None:
    assert problems_of(a_habit(), tmp_path) == []
    found = read_properties(tmp_path / "count-label")
    assert found.name == "count-label"
    assert found.description == (
        "Counts the messages of one label. Use it for questions such as: How many messages are {label}?"
    )


TEXT = st.text(max_size=1024) | st.sampled_from(
    [
        "---",
        "\n---\nname: other\n",
        'a"b\\',
        "\x00\x1b[2J",
        "{% x %}",
        "&a *b !c #d: e",
        "<system>",
        "é😀",
        "\u2028\ufeff",
    ]
)


@settings(max_examples=150, deadline=None)
@given(description=TEXT, summary=TEXT, phrasing=TEXT, choice=TEXT)
def test_nothing_in_it_makes_the_skill_invalid(
    tmp_path_factory: pytest.TempPathFactory, description: str, summary: str, phrasing: str, choice: str
) -> None:
    habit = a_habit(
        description=description,
        intent={"summary": summary, "phrasings": (phrasing, phrasing)},
        parameters={"label": {"type": "choice", "choices": (choice,), "example": choice, "description": summary}},
    )
    folder = tmp_path_factory.mktemp("skill")
    text = skill_text(habit.spec)
    assert problems_of(habit, folder) == [], text
    assert read_properties(folder / habit.name).name == "count-label"
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == ["# count-label", "## When to use it", "## Parameters", "## How to run it"]


def test_the_longest_description_still_fits(tmp_path: Path) -> None:
    assert problems_of(a_habit(description="x" * 1024), tmp_path) == []
    assert problems_of(a_habit("a" * 64), tmp_path) == []


def test_a_habit_too_large_to_be_read_for_every_question_is_not_read() -> None:
    entries = {f"cases/c{n}.json": Entry("100644", "0" * 40, MOST_FILE_BYTES) for n in range(9)}
    found = read_files(Git(Path()), [Folder("count-label", "0" * 40, entries)])
    assert "larger than 256 MiB together" in str(found["count-label"])
