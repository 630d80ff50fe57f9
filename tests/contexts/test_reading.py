"""Loading off the event loop: told about while it takes long, and over when it is cancelled."""

import os
import threading
from pathlib import Path

import anyio
import anyio.from_thread
import pytest

from habit.contexts import reading
from habit.contexts.documents import kinds
from habit.contexts.documents.convert import Converter
from habit.contexts.load import load
from habit.contexts.reading import progress_lines, read_again, read_context
from habit.errors import UsageError
from habit.events import Event, Notice


def test_lines_come_now_and_then_and_ever_less_often() -> None:
    now = 0.0
    said: list[tuple[float, str]] = []
    progress = progress_lines(lambda text: said.append((now, text)), clock=lambda: now)
    for second in range(100):
        now = float(second)
        progress(second * 1000, second * 30_000_000)
    assert said == [
        (2, "Reading the input: 2,000 files, 60 MB so far."),
        (6, "Reading the input: 6,000 files, 180 MB so far."),
        (14, "Reading the input: 14,000 files, 420 MB so far."),
        (30, "Reading the input: 30,000 files, 900 MB so far."),
        (60, "Reading the input: 60,000 files, 1.8 GB so far."),
        (90, "Reading the input: 90,000 files, 2.7 GB so far."),
    ]


def test_lines_about_little() -> None:
    said: list[str] = []
    times = iter([0, 10, 100, 1000])
    progress = progress_lines(said.append, clock=lambda: next(times))
    for files, size in ((0, 0), (1, 999), (2, 1000)):
        progress(files, size)
    assert said == [
        "Reading the input: listing folders.",
        "Reading the input: 1 file, 999 bytes so far.",
        "Reading the input: 2 files, 1 kB so far.",
    ]


async def test_a_folder_that_takes_long_is_told_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(20):
        (tmp_path / f"{n:02}.txt").write_text("x" * 100)
    monkeypatch.setattr(reading, "FIRST_AFTER", 0.0)
    monkeypatch.setattr(reading, "MOST_BETWEEN", 0.0)
    told: list[Event] = []
    here = threading.get_ident()

    def tell(event: Event) -> None:
        assert threading.get_ident() == here
        told.append(event)

    context = await read_context([tmp_path], tell=tell)
    assert context == load([tmp_path])
    assert [type(event) for event in told] == [Notice] * 20
    assert told[1] == Notice("Reading the input: 2 files, 200 bytes so far.")
    assert await read_again(context.record(), tell=tell) == context
    assert len(told) == 40


def test_many_folders_are_told_about_before_their_files_are_read(tmp_path: Path) -> None:
    for n in range(250):
        (tmp_path / f"{n:03}").mkdir()
    (tmp_path / "a.txt").write_text("a")
    told: list[tuple[int, int]] = []
    load([tmp_path], on_progress=lambda files, size: told.append((files, size)))
    assert told == [(0, 0), (0, 0), (1, 1)]


async def test_what_takes_long_is_told_of_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "FIRST_AFTER", 0.0)
    told: list[Event] = []
    twice = anyio.Event()

    def tell(event: Event) -> None:
        told.append(event)
        if len(told) == 2:
            twice.set()

    async with reading.told_when_slow(tell, "Decoding."):
        await twice.wait()
    assert set(told) == {Notice("Decoding.")}
    with pytest.raises(ValueError, match="inside"):
        async with reading.told_when_slow(tell, "Decoding."):
            raise ValueError("inside")


async def test_a_cancelled_loading_ends_and_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document whose conversion would never end."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(kinds, "PDF", kinds.Kind("a hostile document", "support.hostile_reader"))
    (tmp_path / "a.pdf").write_bytes(b"asleep %PDF-")
    started, pids = anyio.Event(), []
    running = Converter._running

    def noted(self):
        process = running(self)
        pids.append(process.pid)
        anyio.from_thread.run_sync(started.set)
        return process

    monkeypatch.setattr(Converter, "_running", noted)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: read_context([tmp_path / "a.pdf"], tell=lambda event: None))
            await started.wait()
            group.cancel_scope.cancel()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


async def test_errors_come_through(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no file"):
        await read_context([tmp_path / "none"], tell=lambda event: None)
