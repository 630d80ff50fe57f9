"""Evidence is kept for good, by any number of threads and processes at once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import replace
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
    again = replace(HIT, run="run-3")
    for use in (HIT, MISS, again):
        evidence.note(use)
    assert evidence.uses() == [HIT, MISS, again]
    assert evidence.uses("count-label") == [HIT, again]
    assert evidence.uses(latest=2) == [MISS, again]
    evidence.close()
    assert evidence.uses() == ([HIT, MISS, again] if kept else [])


def test_a_run_counts_once_as_it_ended_at_last(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path / "evidence.db")
    gave_up = replace(HIT, outcome="fallback", reason="a call failed")
    for use in (gave_up, MISS, HIT, HIT):
        evidence.note(use, phrasing="How many {label}?" if use is HIT else "")
    assert evidence.uses() == [MISS, HIT]
    evidence.remove("count-label", "How many {label}?")
    evidence.note(HIT, phrasing="How many {label}?")  # told again: a wording that was forgotten stays so
    assert evidence.lookup("count-label") == []
    with sqlite3.connect(tmp_path / "evidence.db") as db:
        assert db.execute("SELECT count(*) FROM uses").fetchone() == (3,)  # nothing is ever taken back
    db.close()


def test_what_a_run_calls_for_is_done_once(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path / "evidence.db")
    assert evidence.calls_for("run-1", more=True)
    assert evidence.calls_for("run-1", more=True)  # it was cut off
    evidence.is_done("run-1")
    assert not evidence.calls_for("run-1", more=True)
    assert not evidence.calls_for("run-2", more=False)
    assert not evidence.calls_for("run-2", more=True)


def test_evidence_of_before_is_taken_over(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path / "evidence.db")
    evidence.note(HIT)
    evidence.close()
    with sqlite3.connect(tmp_path / "evidence.db") as db:
        db.execute("DROP TABLE looked_after")
        db.execute("DROP INDEX uses_by_run")
    db.close()
    assert evidence.uses() == [HIT]
    assert evidence.calls_for("run-1", more=True)


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
        "for n in range(20): e.note(Use('a', 1, f'{sys.argv[2]}-{n}', n, 'hit'))"
    )
    path = tmp_path / "evidence.db"
    workers = [subprocess.Popen([sys.executable, "-c", code, str(path), str(n)]) for n in range(4)]
    assert [worker.wait() for worker in workers] == [0, 0, 0, 0]
    uses = Evidence(path).uses("a")
    assert len(uses) == 80
    for run in "0123":
        assert [use.at for use in uses if use.run.startswith(run)] == list(range(20))


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
