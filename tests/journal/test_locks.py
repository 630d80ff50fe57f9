"""Locks of runs, down to the file."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from habit.errors import JournalError, UsageError
from habit.journal.locks import RunLocks


@pytest.fixture
def locks(tmp_path: Path) -> RunLocks:
    return RunLocks(tmp_path / "locks")


async def test_a_lock_is_held_once_even_in_one_process(locks: RunLocks) -> None:
    assert locks.is_free("r1")
    lock = await locks.acquire("r1")
    assert not locks.is_free("r1")
    with pytest.raises(UsageError, match="run r1 is being worked on by another process"):
        await RunLocks(locks.folder).acquire("r1")
    lock.release()
    assert locks.is_free("r1")
    assert list(locks.folder.iterdir()) == []


async def test_looking_does_not_take_the_lock_from_a_claim(locks: RunLocks, monkeypatch: pytest.MonkeyPatch) -> None:
    (locks.folder).mkdir()
    with (locks.folder / "r1.lock").open("ab") as look:
        fcntl.flock(look, fcntl.LOCK_SH)

        async def the_look_ends(_: float) -> None:
            fcntl.flock(look, fcntl.LOCK_UN)

        monkeypatch.setattr("habit.journal.locks.anyio.sleep", the_look_ends)
        (await locks.acquire("r1")).release()


async def test_looking_never_sees_another_look(locks: RunLocks) -> None:
    locks.folder.mkdir()
    with (locks.folder / "r1.lock").open("ab") as look:
        fcntl.flock(look, fcntl.LOCK_SH)
        assert locks.is_free("r1")


async def test_a_lock_on_a_file_its_holder_removed_does_not_count(
    locks: RunLocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await locks.acquire("r1")
    real_flock = fcntl.flock
    calls: list[int] = []

    def released_just_before(file: int, operation: int) -> None:
        if not calls:
            first.release()  # after the file was opened, before it is locked
        calls.append(operation)
        real_flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", released_just_before)
    second = await locks.acquire("r1")
    assert len(calls) == 2
    assert not locks.is_free("r1")
    second.release()


async def test_a_file_left_by_a_killed_process_means_nothing(locks: RunLocks) -> None:
    locks.folder.mkdir()
    (locks.folder / "r1.lock").touch()
    assert locks.is_free("r1")
    (await locks.acquire("r1")).release()


@pytest.mark.parametrize("run_id", ["../r1", "", "a/b", "\0", "\ud800"])
async def test_an_id_that_could_leave_the_folder_is_never_claimed(locks: RunLocks, run_id: str) -> None:
    assert locks.is_free(run_id)
    with pytest.raises(UsageError, match="cannot be a run id"):
        await locks.acquire(run_id)


async def test_a_folder_that_cannot_be_used_is_an_error_that_names_the_way_on(locks: RunLocks) -> None:
    locks.folder.touch()
    with pytest.raises(JournalError, match="--no-journal"):
        await locks.acquire("r1")
