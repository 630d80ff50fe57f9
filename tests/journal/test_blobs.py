"""Blobs as files: complete, verified, or an error."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from habit.errors import JournalError
from habit.journal.blobs import BlobFolder

DATA = b"The quick brown fox. " * 1000


@pytest.fixture
def blobs(tmp_path: Path) -> BlobFolder:
    return BlobFolder(tmp_path / "blobs")


def test_a_blob_is_a_zstd_file_named_by_its_digest(blobs: BlobFolder) -> None:
    digest = blobs.put(DATA)
    path = blobs.folder / digest[:2] / f"{digest}.zst"
    assert zstandard.ZstdDecompressor().decompress(path.read_bytes()) == DATA
    assert path.stat().st_size < 200


def test_the_same_blob_is_written_once(blobs: BlobFolder) -> None:
    path = blobs.path(blobs.put(DATA))
    before = path.stat()
    blobs.put(DATA)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [p for p in blobs.folder.rglob("*") if p.is_file()] == [path]


def test_a_blob_that_is_gone_says_so(blobs: BlobFolder) -> None:
    digest = blobs.put(DATA)
    blobs.path(digest).unlink()
    with pytest.raises(JournalError, match="is gone: ask again"):
        blobs.get(digest)


@settings(deadline=None)
@given(st.data())
def test_any_damaged_byte_is_noticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    blobs = BlobFolder(tmp_path_factory.getbasetemp() / "damaged")
    path = blobs.path(digest := blobs.put(DATA))
    good = path.read_bytes()
    bad = bytearray(good)
    bad[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bad)
    try:
        assert blobs.get(digest) == DATA  # a bit that zstd does not use
    except JournalError as error:
        assert "damaged: delete that file and ask again" in str(error)  # noqa: PT017 - either is right
    finally:
        path.write_bytes(good)


@settings(deadline=None)
@given(st.integers(0, 60))
def test_any_cut_is_noticed(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    blobs = BlobFolder(tmp_path_factory.getbasetemp() / "cut")
    path = blobs.path(digest := blobs.put(DATA))
    good = path.read_bytes()
    path.write_bytes(good[: min(length, len(good) - 1)])
    with pytest.raises(JournalError, match="damaged"):
        blobs.get(digest)
    path.write_bytes(good)


def test_another_blob_in_its_place_is_noticed(blobs: BlobFolder) -> None:
    one, other = blobs.put(b"one"), blobs.put(b"other")
    os.replace(blobs.path(one), blobs.path(other))
    with pytest.raises(JournalError, match="damaged"):
        blobs.get(other)


@pytest.mark.parametrize("digest", ["", "..", "../" * 21 + "a", "A" * 64, "0" * 63, "0" * 65, "0" * 64 + "\n"])
def test_only_a_digest_names_a_blob(blobs: BlobFolder, digest: str) -> None:
    with pytest.raises(JournalError, match="is not a digest"):
        blobs.get(digest)


def test_a_write_that_fails_leaves_nothing(blobs: BlobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(JournalError, match=r"disk is full.*--no-journal"):
        blobs.put(DATA)
    assert [p for p in blobs.folder.rglob("*") if p.is_file()] == []
    monkeypatch.undo()
    assert blobs.get(blobs.put(DATA)) == DATA


def test_threads_that_put_the_same_blob_at_once_agree(blobs: BlobFolder) -> None:
    together = threading.Barrier(4)
    digests: list[str] = []

    def put() -> None:
        together.wait()
        digests.append(blobs.put(DATA))

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(digests)) == 1
    assert len(digests) == 4
    assert [p for p in blobs.folder.rglob("*") if p.is_file()] == [blobs.path(digests[0])]
