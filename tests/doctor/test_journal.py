"""The journal's health, on real journals that were damaged by hand."""

from __future__ import annotations

import shutil
import sqlite3
from collections import namedtuple
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from habit.config import Settings
from habit.doctor.findings import Finding
from habit.doctor.journal import look_at_journal
from habit.journal.records import RunRecord
from habit.journal.schema import FORMAT
from habit.journal.sqlite import SqliteStore

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Two runs: one with its input in a blob, one that read files."""
    path = tmp_path / ".habit" / "journal.db"

    async def fill() -> None:
        store = await SqliteStore.open(path)
        digest = await store.put_blob(b"the input")
        for run_id, blob in (("20260101-000000-aa", digest), ("20260102-000000-bb", None)):
            context = {"kind": "text", "digest": "d", "origin": "", "bytes": 9, "files": [], "blob": blob}
            await store.add_run(RunRecord(run_id, "How many?", 1.0, {}, context))
        await store.aclose()

    anyio.run(fill)
    return path


def look(path: Path) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in look_at_journal(Settings(journal=str(path)), mounts=path.parent / "none"):
        found.setdefault(finding.check, []).append(finding)
    return found


def blob_of(journal: Path) -> Path:
    (blob,) = (journal.parent / "blobs").glob("??/*.zst")
    return blob


def test_a_sound_journal(journal: Path) -> None:
    found = look(journal)
    assert {finding.grade for group in found.values() for finding in group} == {"ok"}
    (said,) = found["journal"]
    assert said.message.startswith(f"{journal}: format {FORMAT}, 2 runs, ")
    assert said.message.endswith("; sound.")
    assert found["blobs"][0].message == "1 input kept for 1 needed."


def test_looking_leaves_everything_as_it_was(journal: Path) -> None:
    before = {path: path.read_bytes() for path in journal.parent.rglob("*") if path.is_file()}
    look(journal)
    assert {path: path.read_bytes() for path in journal.parent.rglob("*") if path.is_file()} == before


def test_a_journal_that_is_in_use_is_read_with_its_log(journal: Path) -> None:
    with closing(sqlite3.connect(journal)) as db:
        db.execute("INSERT INTO meta VALUES ('x', 'y')")
        db.commit()
        assert look(journal)["journal"][0].details["wal_bytes"] > 0


def test_no_journal_yet_is_not_made(tmp_path: Path) -> None:
    (finding,) = look(tmp_path / "deep" / "j.db")["journal"]
    assert (finding.grade, list(tmp_path.iterdir())) == ("ok", [])
    assert "the first question makes it" in finding.message


def test_a_place_that_cannot_be_written_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    (finding,) = look(tmp_path / "j.db")["journal"]
    assert finding.grade == "problem"
    assert "--journal FILE" in finding.remedy


def test_no_journal_is_kept() -> None:
    (finding,) = look_at_journal(Settings(no_journal=True))
    assert (finding.grade, "No journal is kept" in finding.message) == ("ok", True)


def test_a_journal_of_a_newer_format(journal: Path) -> None:
    with closing(sqlite3.connect(journal)) as db:
        db.execute("PRAGMA user_version = 999")
    (finding,) = look(journal)["journal"]
    assert finding.grade == "problem"
    assert "format 999" in finding.message
    assert "pip install --upgrade habit" in finding.remedy


def test_a_database_of_another_program(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "j.db")) as db:
        db.execute("CREATE TABLE t (x)")
    (finding,) = look(tmp_path / "j.db")["journal"]
    assert (finding.grade, "of another program" in finding.message) == ("problem", True)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "j.db").write_bytes(b"not a database, but long enough to look at " * 20)
    (finding,) = look(tmp_path / "j.db")["journal"]
    assert finding.grade == "problem"
    assert "--journal FILE" in finding.remedy


def test_a_damaged_page(journal: Path) -> None:
    with closing(sqlite3.connect(journal)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'runs_by_time'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with journal.open("r+b") as file:
        file.seek((page - 1) * size + 8)
        file.write(b"\xff" * 64)
    (finding,) = look(journal)["journal"]
    assert finding.grade == "problem"
    assert "damaged" in finding.message or "malformed" in finding.message
    assert finding.remedy


def test_a_journal_too_large_to_be_checked_in_time(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(journal)) as db:
        db.executemany("INSERT INTO meta VALUES (?, ?)", ((f"n{number}", "x" * 50) for number in range(30_000)))
        db.commit()
    monkeypatch.setattr("habit.doctor.journal.QUICK_CHECK_SECONDS", 0.0)
    (finding,) = look(journal)["journal"]
    assert (finding.grade, "in time" in finding.message) == ("warning", True)
    assert "PRAGMA quick_check" in finding.remedy


def test_a_record_that_cannot_be_read(journal: Path) -> None:
    with closing(sqlite3.connect(journal)) as db:
        db.execute("UPDATE runs SET context = '[1' WHERE id = '20260101-000000-aa'")
        db.commit()
    sound, damaged = look(journal)["journal"]
    assert (sound.grade, damaged.grade) == ("ok", "problem")
    assert damaged.message == "The record of 1 run is damaged (20260101-000000-aa)."


def test_a_journal_that_somebody_begins_to_write_is_read_again(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def torn(path: Path) -> list[Finding]:
        looks.append(path)
        path.with_name("journal.db-wal").touch()
        return [Finding("journal", "problem" if len(looks) == 1 else "ok", "")]

    monkeypatch.setattr("habit.doctor.journal._database", torn)
    assert [finding.grade for finding in look(journal)["journal"]] == ["ok"]
    assert len(looks) == 2


def test_an_input_that_is_gone(journal: Path) -> None:
    blob_of(journal).unlink()
    (finding,) = look(journal)["blobs"]
    assert finding.grade == "warning"
    assert finding.message.startswith("The input of 1 run is gone from ")
    assert finding.message.endswith("(20260101-000000-aa).")
    assert len(finding.details["missing"]) == 1


def test_files_that_no_run_needs(journal: Path) -> None:
    blob = blob_of(journal)
    orphan, left = blob.with_name("0" * 64 + ".zst"), blob.with_name(".half.tmp")
    orphan.write_bytes(b"12345")
    left.write_bytes(b"123")
    (finding,) = look(journal)["blobs"]
    assert finding.grade == "warning"
    assert "has 2 files that no run needs" in finding.message
    assert (finding.details["orphans"], finding.details["orphan_bytes"]) == ([str(orphan), str(left)], 8)


@pytest.mark.parametrize(("free", "grade"), [(1 << 20, "problem"), (100 << 20, "warning"), (1 << 40, "ok")])
def test_room_on_the_disk(journal: Path, monkeypatch: pytest.MonkeyPatch, free: int, grade: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 41, 0, free))
    (finding,) = look(journal)["disk"]
    assert (finding.grade, bool(finding.remedy)) == (grade, grade != "ok")


@pytest.mark.parametrize(("kind", "warned"), [("nfs4", True), ("ext4", False)])
def test_a_network_file_system_is_warned_of(tmp_path: Path, kind: str, warned: bool) -> None:
    mounts = tmp_path / "mounts"
    home = str(tmp_path).replace(" ", "\\040")
    mounts.write_text(f"none / ext4 rw 0 0\nserver:/x {home} {kind} rw 0 0\nnone /nowhere nfs4 rw 0 0\n")
    found = look_at_journal(Settings(journal=str(tmp_path / "j.db")), mounts=mounts)
    assert any("network file system" in finding.message for finding in found) == warned
