"""Large files are read in blocks, and what comes out is what would come out in one piece."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from habit import memory
from habit.contexts import json_text, large
from habit.contexts import load as load_module
from habit.contexts import parked as parked_module
from habit.contexts.context import Context
from habit.contexts.load import load, reload
from habit.contexts.parked import Parked
from habit.errors import UsageError

pytestmark = pytest.mark.skipif(not parked_module.CAN_PARK, reason="payloads are parked on Linux only")


def told(path: Path, **how: Any) -> object:
    """All that a loading gives, or how it is refused."""
    try:
        context = load([path], **how)
    except UsageError as problem:
        return str(problem)
    with context.opened() as payload:
        return context.record(), context.notes, bytes(payload)


def sizes(patch: pytest.MonkeyPatch, *, park_from: int, block: int) -> None:
    for module in (parked_module, large):
        patch.setattr(module, "PARKED_FROM", park_from)
        patch.setattr(module, "BLOCK", block)
    patch.setattr(json_text, "BLOCK", block)


starts = st.sampled_from(
    [
        *(b"", b"\xef\xbb\xbf", b"\xff\xfe", b"%PDF-1.7", b"PK\x03\x04", b"PAR1", b"BZh91AY&SY", b"\x1f\x8b\x08"),
        b"\x89PNG",
        b"SQLite format 3\0",
        b"<!doctype html><p>x",
        b"From a@b\nSubject: x\n\n",
        b'{"a": [1, ',
        b"[1, 2",
        b"a\0b\0" * 20,
    ]
)
middles = (
    st.text(max_size=80).map(str.encode)
    | st.binary(max_size=80)
    | st.text("é😀\n").map(lambda t: t.encode("cp1252", "replace"))
)
lines = st.lists(
    st.sampled_from([b'{"a": 1}', b"[2]", b'"\xc3\xa9"', b"", b" 3 ", b"nan", b"1 2", b"\xef\xbb\xbf1", b"{"])
)
contents = st.builds(lambda *parts: b"".join(parts), starts, middles) | lines.map(b"\n".join) | lines.map(b"\r\n".join)
names = st.sampled_from(["a.txt", "a.json", "a.jsonl", "a.csv", "a.html", "a.eml", "a.pdf", "a.xlsx", "a.tar", "a"])


@given(contents, names, st.booleans())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_blocks_as_in_one_piece(tmp_path: Path, content: bytes, name: str, raw: bool) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    how = {"raw": raw, "keep_conversions": False}
    if name in ("a.html", "a.eml", "a.pdf", "a.xlsx") or content.startswith((b"%PDF", b"SQLite")):
        how["raw"] = True  # conversions are slow, and tested elsewhere
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parked_module, "CAN_PARK", False)
        patch.setattr(large, "CAN_PARK", False)
        expected = told(path, **how)
    with pytest.MonkeyPatch.context() as patch:
        sizes(patch, park_from=1, block=7)
        assert told(path, **how) == expected


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.text(max_size=40), min_size=2, max_size=5))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_folder_in_blocks(tmp_path_factory: pytest.TempPathFactory, files: dict[str, str]) -> None:
    folder = tmp_path_factory.mktemp("folder")
    for name, text in files.items():
        (folder / name).write_bytes(text.replace("\0", "").encode())
    expected = told(folder)
    with pytest.MonkeyPatch.context() as patch:
        sizes(patch, park_from=1, block=7)
        assert told(folder) == expected
        assert isinstance(load([folder]).payload, Parked)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    sizes(monkeypatch, park_from=100, block=64)
    path = tmp_path / "a.log"
    path.write_text("a line of a log\n" * 64)
    return path


def test_every_block_is_told_of(log: Path) -> None:
    seen: list[tuple[int, int]] = []
    context = load([log], on_progress=lambda files, size: seen.append((files, size)))
    assert isinstance(context.payload, Parked)
    assert seen == [(0, 64 * n) for n in range(1, 17)]


def test_a_record_of_it_is_read_again(log: Path) -> None:
    context = load([log])
    again = reload(context.record())
    assert again == context
    assert again.payload is not context.payload
    log.write_text("another line\n" * 64)
    with pytest.raises(UsageError, match="has changed since"):
        reload(context.record())


def test_one_that_turns_out_to_be_no_utf8_is_read_once_more(log: Path) -> None:
    log.write_bytes(("Grüße\n" * 50).encode("cp1252"))
    seen: list[int] = []
    context = load([log], on_progress=lambda _, size: seen.append(size))
    assert context.value() == "Grüße\n" * 50
    assert context.notes == ("a.log: read as cp1252.",)
    assert seen[-1] == log.stat().st_size
    assert isinstance(context.payload, Parked)


def test_a_file_larger_than_the_free_memory_is_refused_before_it_is_read(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: memory.SPARE + 1000)
    monkeypatch.setattr(load_module, "_CHECKED_AFTER", 500)
    seen: list[int] = []
    with pytest.raises(UsageError, match=r"takes at least 0\.1 GB of memory and 0\.1 GB are free: ask about fewer"):
        load([log], on_progress=lambda _, size: seen.append(size))
    assert seen == []
    with pytest.raises(UsageError, match="are free"):
        load([log.parent])
    log.write_text("short\n" * 30)
    assert len(load([log]).value()) == 180


def test_lines_of_json_are_held_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand lines: what is parsed at any time is one of them."""
    sizes(monkeypatch, park_from=100, block=64)
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n' * 10_000)
    ticks: list[int] = []
    monkeypatch.setattr(json_text, "_LINES_A_TICK", 1000)
    context = load([path], on_progress=lambda files, _: ticks.append(files))
    assert ticks[-10:] == [1] * 10
    assert context == Context("json", context.payload, "a.jsonl", context.files, known_sha256=context.digest)
    assert context.value() == [{"a": 1}] * 10_000


def test_what_is_not_a_file_is_refused_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes(monkeypatch, park_from=1, block=7)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    for name, reason in (("pipe", "is a named pipe"), ("gone", "leads nowhere")):
        with pytest.raises(UsageError, match=reason):
            load([tmp_path / name])
