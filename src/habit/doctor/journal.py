"""The journal's health: it opens, SQLite finds it sound, its blobs are there, and the disk has room for more."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import zstandard

from habit.config import Settings
from habit.doctor.findings import Finding
from habit.journal.database import home_of
from habit.journal.faults import explain
from habit.journal.packing import unpack_json
from habit.journal.peek import peek
from habit.journal.schema import APPLICATION_ID, FORMAT

QUICK_CHECK_SECONDS = 20.0
"""How long SQLite may look through the journal; a journal of many gigabytes takes longer."""
_BUSY_SECONDS = 5.0
_LITTLE_ROOM = 500 << 20
_NO_ROOM = 20 << 20
_LARGE_LOG = 64 << 20
_NETWORK_SYSTEMS = ("9p", "afs", "cifs", "fuse.sshfs", "nfs", "nfs4", "smb3", "smbfs")


def look_at_journal(settings: Settings, mounts: Path = Path("/proc/mounts")) -> list[Finding]:
    """Everything about the journal that ``settings`` name; reads only, and creates nothing. Blocking."""
    if settings.no_journal:
        return [Finding("journal", "ok", "No journal is kept, so no run can be resumed or replayed.")]
    path = Path(settings.journal).absolute()
    database = list(_database(path))
    if any(finding.grade == "problem" for finding in database) and _log_of(path).exists():
        database = list(_database(path))  # somebody began to write in mid-reading: now it is read beside them
    findings = [*database, _disk(path)]
    system = _file_system(path, mounts)
    if system in _NETWORK_SYSTEMS:
        said = f"The journal is on a network file system ({system}), where locks are not reliable."
        findings.append(Finding("disk", "warning", said, "Keep it on a disk of this machine with --journal FILE."))
    return findings


def _database(path: Path) -> Iterator[Finding]:
    try:
        if not path.exists():
            yield _place_for_one(path)
            return
        with closing(peek(path, busy_seconds=_BUSY_SECONDS)) as db:
            application = db.execute("PRAGMA application_id").fetchone()[0]
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if application != APPLICATION_ID:
                other = f"{path} is a database of another program."
                yield Finding("journal", "problem", other, "Choose another file with --journal FILE.")
                return
            if version > FORMAT:
                newer = f"{path} has format {version}, and this Habit knows formats up to {FORMAT}."
                remedy = "Upgrade Habit with: pip install --upgrade habit, or choose another file with --journal FILE."
                yield Finding("journal", "problem", newer, remedy)
                return
            yield _soundness(db, path, version)
            yield from _blobs(db, home_of(path) / "blobs")
    except (sqlite3.Error, OSError) as error:
        said, _, way_on = str(explain(error, path)).rpartition(": ")
        yield Finding("journal", "problem", f"{said}.", f"{way_on[:1].upper()}{way_on[1:]}.")


def _place_for_one(path: Path) -> Finding:
    """No journal yet: whether one could be made."""
    folder = next((parent for parent in path.parents if parent.exists()), Path("/"))
    if not os.access(folder, os.W_OK):
        said = f"There is no journal {path} yet, and {folder} cannot be written to."
        return Finding("journal", "problem", said, "Choose another place with --journal FILE, or use --no-journal.")
    return Finding("journal", "ok", f"There is no journal {path} yet; the first question makes it.")


def _soundness(db: sqlite3.Connection, path: Path, version: int) -> Finding:
    runs = db.execute("SELECT count(*) FROM runs").fetchone()[0]
    size, log = path.stat().st_size, _size(_log_of(path))
    details: dict[str, Any] = {"path": str(path), "format": version, "runs": runs, "bytes": size, "wal_bytes": log}
    what = f"{path}: format {version}, {runs:,} runs, {size / 1e6:,.1f} MB"
    deadline = time.monotonic() + QUICK_CHECK_SECONDS
    db.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
    try:
        said = [row[0] for row in db.execute("PRAGMA quick_check(5)")]
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        remedy = f"Check all of it with: sqlite3 {path} 'PRAGMA quick_check'"
        return Finding("journal", "warning", f"{what}; too large to be checked in time.", remedy, details)
    finally:
        db.set_progress_handler(None, 0)
    if said != ["ok"]:
        remedy = f"Save what can be saved with: sqlite3 {path} .recover | sqlite3 recovered.db"
        return Finding("journal", "problem", f"{what}; it is damaged: {said[0]}.", remedy, details)
    if log > _LARGE_LOG:
        remedy = (
            f"End the habit processes that hold it open, then run: sqlite3 {path} 'PRAGMA wal_checkpoint(TRUNCATE)'"
        )
        long = f"{what}; sound, with a write-ahead log of {log / 1e6:,.0f} MB."
        return Finding("journal", "warning", long, remedy, details)
    return Finding("journal", "ok", f"{what}; sound.", details=details)


def _blobs(db: sqlite3.Connection, folder: Path) -> Iterator[Finding]:
    """Whether the contexts that runs need are there, and what is there that no run needs."""
    needed: dict[str, list[str]] = {}
    damaged = []
    for run_id, packed in db.execute("SELECT id, context FROM runs"):
        try:
            context = unpack_json(packed)
            if context.get("blob") and context.get("bytes"):
                needed.setdefault(str(context["blob"]), []).append(str(run_id))
        except (ValueError, TypeError, AttributeError, MemoryError, zstandard.ZstdError):
            damaged.append(str(run_id))
    there = {path.stem: path for path in folder.glob("??/*.zst")} if folder.is_dir() else {}
    left = list(folder.glob("??/.*.tmp")) if folder.is_dir() else []
    missing = sorted(set(needed) - set(there))
    orphans = [there[digest] for digest in sorted(set(there) - set(needed))] + left
    details = {
        "path": str(folder),
        "blobs": len(there),
        "missing": missing,
        "orphans": [str(path) for path in orphans],
        "orphan_bytes": _total(orphans),
    }
    if damaged:
        said = f"The record of {_count(len(damaged), 'run')} is damaged ({_some(damaged)})."
        remedy = "Put the journal back from a copy, or begin another one with --journal FILE."
        yield Finding("journal", "problem", said, remedy, {"damaged": damaged})
    if missing:
        runs = sorted(run for digest in missing for run in needed[digest])
        lost = f"The input of {_count(len(runs), 'run')} is gone from {folder} ({_some(runs)})."
        remedy = "Put the folder back from a copy, or ask again with: habit ask QUERY [PATH ...]"
        yield Finding("blobs", "warning", lost, remedy, details)
    if orphans:
        said = f"{folder} has {_count(len(orphans), 'file')} that no run needs, {_total(orphans) / 1e6:,.1f} MB."
        remedy = "When no habit is running, delete the files that `habit doctor --json` lists as orphans."
        yield Finding("blobs", "warning", said, remedy, details)
    if not missing and not orphans:
        yield Finding("blobs", "ok", f"{_count(len(there), 'input')} kept for {len(needed)} needed.", details=details)


def _disk(path: Path) -> Finding:
    folder = next((parent for parent in path.parents if parent.exists()), Path("/"))
    free = shutil.disk_usage(folder).free
    said = f"{free / 1e9:,.1f} GB are free where the journal is."
    details = {"path": str(folder), "free_bytes": free}
    if free < _NO_ROOM:
        remedy = "Free some space, or choose another disk with --journal FILE."
        return Finding("disk", "problem", said, remedy, details)
    if free < _LITTLE_ROOM:
        return Finding("disk", "warning", said, "Free some space before asking about large inputs.", details)
    return Finding("disk", "ok", said, details=details)


def _file_system(path: Path, mounts: Path) -> str:
    """The kind of file system that ``path`` is on; empty where nobody tells."""
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    best, kind = -1, ""
    for line in lines:
        _, point, found, *_ = [*line.split(), "", "", ""]
        point = point.replace("\\040", " ")
        if len(point) > best and path.is_relative_to(point or "none"):
            best, kind = len(point), found
    return kind


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _total(paths: Iterable[Path]) -> int:
    return sum(_size(path) for path in paths)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
