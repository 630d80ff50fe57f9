"""``habit test``, ``harden`` and ``relax``, in real git: lines for people, one exit status, no model and no network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from command_bench import InProcess

from habit.library.evidence import Evidence, Use
from habit.library.habit import Habit
from habit.library.repository import Repository
from support.libraries import a_project, isolate
from support.made_habits import SCHEMA, case, classify, count_label, write_library


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


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(a_project(tmp_path / "project"))
    return Repository.init("habits")


def approve(library: Repository, name: str) -> int:
    candidate = library.candidate(name)
    library.reviewed(candidate)
    return library.approve(candidate, candidate.tree)


def long_habit() -> Habit:
    """A habit whose leaf call a word decides."""
    lines = [f"{name} {word}" for name in "abcdefghijkl" for word in ("did win a prize", "had lunch today")]
    asked = classify("spam or ham?", lines, lambda line: "spam" if "win" in line else "ham", SCHEMA)
    plain = count_label()
    return replace(plain, cases={"first": case("\n".join(lines), asked, 12, label="spam")})


def test_hardening_proposes_a_candidate_and_relaxing_takes_it_back(habit: InProcess, library: Repository) -> None:
    library.propose(long_habit())
    approve(library, "count-label")
    result = habit("harden", "count-label")
    assert (result.code, result.err) == (0, "To look at it: habit review count-label\n")
    assert result.out.splitlines()[2].startswith(
        "  it replies to 24 of 24 recorded questions, none of them wrong, and "
    )
    candidate = library.candidate("count-label").habit
    assert "def decide_1(text):" in candidate.source
    assert list(candidate.spec.parameters) == ["label"]

    assert approve(library, "count-label") == 2
    assert habit("test").out == "green  count-label  1 case, 2 relations\n"
    nothing = habit("relax", "count-label")
    assert (nothing.code, nothing.err) == (2, "Error: Nothing speaks against count-label@2: it stays as it is.\n")
    evidence = Evidence(Path(".habit/evidence.db"))
    evidence.note(Use("count-label", 2, "run-9", 0.0, "disagreed"))
    evidence.note(Use("count-label", 1, "run-1", 0.0, "disagreed"))
    evidence.close()
    relaxed = habit("relax", "count-label")
    assert relaxed.code == 0
    assert "asks again what rules replied: 1 of its answers differed" in relaxed.out
    again = library.candidate("count-label").habit
    assert "decide_1" not in again.source
    assert len(again.cases["first"].exchanges) == 24


def test_a_habit_without_rules_is_retired(habit: InProcess, library: Repository) -> None:
    library.propose(count_label())
    approve(library, "count-label")
    refused = habit("harden", "count-label")
    assert (refused.code, "5 replies are recorded, fewer than 20" in refused.err) == (2, True)
    evidence = Evidence(Path(".habit/evidence.db"))
    for number, outcome in enumerate(("hit", "violated", "violated", "violated", "fallback")):
        evidence.note(Use("count-label", 1, f"run-{number}", 0.0, outcome))
    evidence.close()
    assert habit("relax", "count-label").out == ("count-label is retired: 3 of 5 uses gave up because of the format\n")
    assert library.habits() == []
