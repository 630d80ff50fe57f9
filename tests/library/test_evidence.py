"""Evidence is kept for good, by any number of threads and processes at once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from habit.errors import UsageError
from habit.library.evidence import Evidence, Use
from habit.library.standing import standings

HIT = Use("count-label", 1, "run-1", 1.5, "hit", "", 120, 0, 0.25, 0.5)
MISS = Use("", 0, "run-2", 2.5, "abstained", "no habit is for this question")


@pytest.mark.parametrize("kept", [True, False])
def test_uses_are_given_back_in_order(tmp_path: Path, kept: bool) -> None:
    evidence = Evidence(tmp_path / "deep" / "evidence.db" if kept else None)
    for use in (HIT, MISS, HIT):
        evidence.note(use)
    assert evidence.uses() == [HIT, MISS, HIT]
    assert evidence.uses("count-label") == [HIT, HIT]
    assert evidence.uses(latest=2) == [MISS, HIT]
    evidence.close()
    assert evidence.uses() == ([HIT, MISS, HIT] if kept else [])


def test_phrasings_are_remembered_once_and_can_be_forgotten(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path / "evidence.db")
    for template in ("How many {label}?", "Count the {label}.", "How many {label}?"):
        evidence.add("count-label", template)
    assert evidence.lookup("count-label") == ["How many {label}?", "Count the {label}."]
    assert evidence.lookup("other") == []
    evidence.remove("count-label", "How many {label}?")
    assert evidence.lookup("count-label") == ["Count the {label}."]


def test_many_processes_note_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from habit.library.evidence import *\n"
        "e = Evidence(Path(sys.argv[1]))\n"
        "for n in range(20): e.note(Use('a', 1, sys.argv[2], n, 'hit'))"
    )
    path = tmp_path / "evidence.db"
    workers = [subprocess.Popen([sys.executable, "-c", code, str(path), str(n)]) for n in range(4)]
    assert [worker.wait() for worker in workers] == [0, 0, 0, 0]
    uses = Evidence(path).uses("a")
    assert len(uses) == 80
    for run in "0123":
        assert [use.at for use in uses if use.run == run] == list(range(20))


@pytest.mark.parametrize("content", [b"not a database at all", b""])
def test_another_file_is_refused_or_begun(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "evidence.db"
    path.write_bytes(content)
    if content:
        with pytest.raises(UsageError, match="move the file away"):
            Evidence(path).uses()
    else:
        assert Evidence(path).uses() == []


def test_another_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "evidence.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE mine (x)")
    db.close()
    with pytest.raises(UsageError, match="no evidence of format 1"):
        Evidence(path).uses()


def test_what_a_habit_wrote_does_not_steer_the_terminal() -> None:
    reason = "KeyError: \x1b]0;owned\x07\x1b[2J\n\u202egnp" + "x" * 10_000
    (standing,) = standings([Use("count-label", 1, "r", 1.0, "fallback", reason)])
    shown = standing.text()
    assert all(line.isprintable() for line in shown.splitlines())
    assert len(shown.splitlines()) == 2
    assert len(shown) < 1_000
    assert standing.to_json()["reasons"] == [reason]
