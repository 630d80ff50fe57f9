"""The library from the command line: the life of a candidate, in real git, with the real checks."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from command_bench import InProcess

from habit.cli import completing
from habit.library.repository import Repository
from support.libraries import a_habit, a_project, again, git, hook, isolate


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of a user, to work in."""
    isolate(monkeypatch, tmp_path)
    folder = a_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def library(place: Path) -> Repository:
    return Repository.init("habits")


def test_the_session_of_the_issue(habit: InProcess, library: Repository) -> None:
    library.propose(a_habit())
    listed = habit("habits")
    assert listed.out == "count-label  candidate  Counts the messages of one label.\n"
    refused = habit("approve", "count-label")
    assert (refused.code, refused.err) == (2, "Error: Nobody has looked at count-label yet: habit review count-label\n")

    page = habit("review", "count-label")
    assert page.code == 0
    assert page.out.startswith("count-label@1: a candidate\na new habit; branch habit/count-label; tree ")
    assert "✓ Its tests are green." in page.out
    assert "    +def scheduler(context, recursive_llm, *, label: str) -> int:" in page.out
    approved = habit("approve", "count-label")
    assert (approved.code, approved.out) == (0, "count-label@1\n")

    library.propose(again(a_habit(), "# two"))
    assert "+# two" in habit("diff", "count-label").out
    assert "replaces count-label@1" in habit("review", "count-label").out
    assert habit("approve", "count-label").out == "count-label@2\n"
    assert habit("rollback", "count-label", "1", "--reason", "two is worse").out == "count-label@1\n"
    told = habit("log", "count-label").out.splitlines()
    assert [line[:2] + line.split()[-1] for line in told] == ["  worse", "  mock:model", "* mock:model"]
    assert habit("habits").out == "count-label@1  active     Counts the messages of one label.\n"

    assert habit("retire", "count-label").err == "Retired count-label; its versions are kept: habit log count-label\n"
    assert habit("habits").out == "count-label@2  retired    to bring it back: habit rollback count-label 2\n"
    assert habit("diff", "count-label", "1", "2").out.endswith("+# two\n")


def test_what_changed_since_the_review_is_refused(habit: InProcess, library: Repository) -> None:
    library.propose(a_habit())
    habit("review", "count-label")
    library.propose(again(a_habit(), "# sneaky"))
    refused = habit("approve", "count-label")
    assert refused.err == (
        "Error: count-label has changed since it was reviewed; look at it again with: habit review count-label\n"
    )
    assert (refused.code, refused.out) == (2, "")
    tree = library.candidate("count-label").tree
    assert habit("approve", "count-label", "--tree", "0" * 40).code == 2
    assert habit("approve", "count-label", "--tree", tree[:4]).code == 2
    assert habit("approve", "count-label", "--tree", tree[:10]).out == "count-label@1\n"


def test_edits_by_hand_are_said_and_reviewed(habit: InProcess, library: Repository, place: Path) -> None:
    library.propose(a_habit())
    habit("review", "count-label")
    habit("approve", "count-label")
    path = place / "habits/count-label/scheduler.py"
    path.write_text(path.read_text() + "# by hand\n")
    assert habit("habits").err == (
        "Warning: habits/count-label has edits that are not approved and not run; "
        "to take them up: habit review count-label\n"
    )
    page = habit("review", "count-label")
    assert page.err == "What was edited by hand is now the candidate habit/count-label.\n"
    assert "+# by hand" in page.out
    assert habit("approve", "count-label").out == "count-label@2\n"
    git(place, "commit", "--allow-empty", "-qm", "Go on")
    path.write_text(path.read_text() + "# and committed\n")
    git(place, "commit", "-qam", "Mend it")
    listed = habit("habits")
    assert "count-label  edited" in listed.out
    assert listed.err == ""
    page = habit("review", "count-label")
    assert "replaces what was put there by hand, compared with count-label@2" in page.out
    assert "+# and committed" in page.out


def test_a_rejected_candidate_stays_in_the_log(habit: InProcess, library: Repository) -> None:
    library.propose(a_habit())
    assert habit("reject", "count-label", "--reason", "too\nslow \x1b[2J").code == 0
    assert habit("habits").out == ""
    (line,) = habit("log", "count-label").out.splitlines()
    assert line.endswith("Ada Lovelace <ada@example.org>  too slow [2J")
    assert [entry["what"] for entry in habit("log", "count-label", "--json").json] == ["rejected"]


def test_a_review_as_html_and_as_json(habit: InProcess, library: Repository, place: Path) -> None:
    library.propose(a_habit())
    done = habit("review", "count-label", "--html", "page.html")
    assert (done.out, done.err) == ("", "The review is in page.html.\n")
    assert "<h1>count-label@1: a candidate</h1>" in (place / "page.html").read_text()
    assert habit("review", "count-label", "--html", "no/such/folder.html").code == 2
    value = habit("review", "count-label", "--json").json
    assert (value["would_become"], value["report"]["green"]) == ("count-label@1", True)
    assert value["tree"] == library.candidate("count-label").tree


def test_the_cost_is_told_from_the_journal(
    habit: InProcess, library: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    from habit.journal.records import RunRecord

    usage = {
        "root": {"calls": 4, "input_tokens": 9000, "output_tokens": 1000},
        "leaf": {"calls": 3, "input_tokens": 300, "output_tokens": 6},
        "usd": 0.0123,
    }
    record = RunRecord("run-1", "?", 0.0, {}, {}, result={"usage": usage})
    monkeypatch.setattr("habit.cli.history.read_journal", lambda settings, question: record)
    Path("journal.db").touch()
    library.propose(a_habit())
    out = habit("review", "count-label", "--journal", "journal.db").out
    assert "Without it: 7 calls, 10,306 tokens, $0.0123 (run run-1)" in out
    assert "With it: 3 calls, 306 tokens, by the leaf calls of that run" in out


def test_a_hook_that_refuses_is_told_in_one_line(habit: InProcess, library: Repository, place: Path) -> None:
    library.propose(a_habit())
    habit("review", "count-label")
    hook(place, "pre-commit", "echo 'No commits'; echo 'on Fridays.' >&2; exit 1")
    refused = habit("approve", "count-label")
    assert (refused.code, refused.out) == (1, "")
    assert len(refused.err.splitlines()) == 1
    assert "on Fridays." in refused.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["habits"], "There is no library of habits in habits: make one with habit init."),
        (["review", "x"], "make one with habit init"),
        (["approve", "x", "--library", "elsewhere"], "There is no library of habits in elsewhere"),
        (["rollback", "x", "0"], "0"),
        (["rollback", "x"], "'N'"),
    ],
)
def test_without_a_library_the_way_on_is_said(habit: InProcess, arguments: list[str], says: str) -> None:
    done = habit(*arguments, GIT_CEILING_DIRECTORIES=str(Path.cwd().parent))
    assert (done.code, done.out) == (2, "")
    assert says in done.err


def test_init(habit: InProcess, place: Path, tmp_path: Path) -> None:
    assert f"in the git repository {place}" in habit("init").err
    assert habit("init").code == 0
    assert habit("init", str(tmp_path / "own")).code == 0
    assert (tmp_path / "own/.git").is_dir()
    assert habit("habits", "--library", str(tmp_path / "own"), "--json").json == []
    assert "habit rollback" not in habit("log", "count-label").err
    for command in ("review", "approve", "reject", "retire", "log", "diff"):
        done = habit(command, "count-label")
        assert done.code == 2, command
        assert len(done.err.splitlines()) == 1


def test_names_are_completed(library: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    import click

    from habit.cli.versions import approve, retire

    library.propose(a_habit())
    library.propose(a_habit("other"))
    candidate = library.candidate("other")
    library.approve(candidate, candidate.tree)

    def offered(command: click.Command, complete: completing.Completer, begun: str) -> list[str]:
        context = click.Context(command)
        return [str(item.value) for item in complete(context, command.params[0], begun)]

    assert offered(approve, completing.candidates, "") == ["count-label"]
    assert offered(approve, completing.candidates, "x") == []
    assert offered(retire, completing.habits, "o") == ["other"]
    monkeypatch.chdir("/")
    assert offered(approve, completing.candidates, "") == []


def test_json_of_the_list(habit: InProcess, library: Repository) -> None:
    library.propose(a_habit())
    assert json.loads(habit("habits", "--json").raw_out) == [
        {
            "name": "count-label",
            "state": "candidate",
            "version": None,
            "description": "Counts the messages of one label.",
        }
    ]
    assert os.environ["HOME"].endswith("home")
