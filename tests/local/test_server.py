"""The shared server's life, with a tiny server module in place of llama.cpp."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from habit.errors import HabitError, UsageError
from habit.local import server as server_module
from habit.local.locks import open_lock, try_lock
from habit.local.server import LocalServer, local_server

HERE = Path(__file__).parent
FAKE = (sys.executable, str(HERE / "fake_engine.py"))


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HABIT_LOCAL_IDLE", "600")
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"GGUF")
    yield path
    for pid in starts(path):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def starts(model: Path) -> list[int]:
    """Process ids of every server that was started."""
    log = model.with_suffix(".starts")
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def files(model: Path, kind: str) -> list[Path]:
    return list((model.parent / "cache/habit/servers").glob(f"*.{kind}"))


def answers(server: LocalServer, key: str | None = None) -> int:
    request = urllib.request.Request(
        server.base_url, headers={"Authorization": f"Bearer {server.api_key if key is None else key}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


async def gone(model: Path) -> None:
    """Wait until no server holds the alive lock."""
    (path,) = files(model, "alive")
    descriptor = open_lock(path)
    try:
        with anyio.fail_after(60):
            while not try_lock(descriptor):
                await anyio.sleep(0.01)
    finally:
        os.close(descriptor)


class Client:
    """Another process that uses the server."""

    def __init__(self, model: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "client.py"), str(model), *FAKE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def ready(self) -> dict[str, object]:
        assert self.process.stdout is not None
        return dict(json.loads(self.process.stdout.readline()))


async def test_it_answers_and_outlives_its_first_user(model: Path) -> None:
    async with local_server(model, command=FAKE, slots=3, slot_context=100) as first:
        assert answers(first) == 200
        assert (first.slots, first.window) == (3, 100)
    async with local_server(model, command=FAKE, slots=3, slot_context=100) as second:
        assert second == first
        assert answers(second) == 200
    assert starts(model) == [first.pid]


async def test_nobody_else_can_use_it_or_read_how(model: Path) -> None:
    async with local_server(model, command=FAKE) as server:
        assert answers(server, "guess") == 401
        (state,) = files(model, "json")
        assert stat.S_IMODE(state.stat().st_mode) == 0o600
        assert stat.S_IMODE(state.parent.stat().st_mode) == 0o700
        arguments = Path(f"/proc/{server.pid}/cmdline")
        if arguments.exists():
            assert server.api_key.encode() not in arguments.read_bytes()
            assert server.api_key.encode() not in Path(f"/proc/{server.pid}/environ").read_bytes()
        (log,) = files(model, "log")
        assert server.api_key not in log.read_text()


async def test_many_at_once_start_one(model: Path) -> None:
    seen: list[LocalServer] = []

    async def use() -> None:
        async with local_server(model, command=FAKE) as server:
            seen.append(server)

    with Client(model) as other, Client(model) as third:
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(use)
        pids = {server.pid for server in seen} | {other.ready()["pid"], third.ready()["pid"]}
    assert pids == set(starts(model))
    assert len(starts(model)) == 1


async def test_other_settings_get_a_server_of_their_own(model: Path) -> None:
    async with local_server(model, command=FAKE) as one, local_server(model, command=FAKE, slots=1) as other:
        assert one.pid != other.pid


async def test_it_ends_when_idle_and_the_next_user_starts_another(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HABIT_LOCAL_IDLE", "0")
    async with local_server(model, command=FAKE) as first:
        pass
    await gone(model)
    assert not files(model, "json")
    async with local_server(model, command=FAKE) as second:
        assert second.pid != first.pid
        assert answers(second) == 200


async def test_a_user_keeps_it_up_and_a_killed_one_does_not(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HABIT_LOCAL_IDLE", "0")
    with Client(model) as client:
        pid = client.ready()["pid"]
        async with local_server(model, command=FAKE) as server:
            assert server.pid == pid
        # With nothing else to keep it up, a server this eager to go would be gone before the next one is found.
        async with local_server(model, command=FAKE) as server:
            assert server.pid == pid
        client.process.send_signal(signal.SIGKILL)
        client.process.wait()
        await gone(model)
    assert starts(model) == [pid]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_stopped_server_is_noticed_and_replaced(model: Path, number: signal.Signals) -> None:
    async with local_server(model, command=FAKE) as first:
        pass
    os.kill(first.pid, number)
    await gone(model)
    assert bool(files(model, "json")) == (number == signal.SIGKILL)  # SIGTERM cleans up; the other leaves a stale state
    async with local_server(model, command=FAKE) as second:
        assert second.pid != first.pid
        assert answers(second) == 200


async def test_a_stale_state_is_never_taken_for_the_server_that_is_loading(model: Path) -> None:
    async with local_server(model, command=FAKE) as first:
        pass
    os.kill(first.pid, signal.SIGKILL)
    await gone(model)
    found: list[LocalServer] = []

    async def use() -> None:
        async with local_server(model, command=(*FAKE, "wait")) as server:
            found.append(server)

    async with anyio.create_task_group() as group:
        group.start_soon(use)
        group.start_soon(use)
        while len(starts(model)) < 2:
            await anyio.sleep(0.01)
        assert not files(model, "json")
        assert not found
        model.with_suffix(".go").touch()
    assert {server.pid for server in found} == {starts(model)[1]}


@pytest.mark.parametrize(
    ("how", "reason"), [("broken", "the tensors are out of tune"), ("crash", "ended at its start")]
)
async def test_a_server_that_dies_at_its_start_says_why(model: Path, how: str, reason: str) -> None:
    with pytest.raises(HabitError, match=reason):
        async with local_server(model, command=(*FAKE, how)):
            pass
    assert len(starts(model)) == 1
    (log,) = files(model, "log")
    assert log.exists()


async def test_a_program_that_is_not_there(model: Path) -> None:
    with pytest.raises(HabitError, match="could not be started"):
        async with local_server(model, command=("/no/such/program",)):
            pass


async def test_a_starter_killed_in_the_middle_leaves_a_usable_server(model: Path) -> None:
    with Client(model) as client:
        with anyio.fail_after(60):
            while not starts(model):
                await anyio.sleep(0.01)
        client.process.kill()
        client.process.wait()
        async with local_server(model, command=FAKE) as server:
            assert answers(server) == 200
    assert starts(model) == [server.pid]


async def test_a_cancelled_start_leaves_no_lease(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HABIT_LOCAL_IDLE", "0")
    with anyio.CancelScope() as scope:

        async def cancel_at_start() -> None:
            while not starts(model):
                await anyio.sleep(0.01)
            scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(cancel_at_start)
            async with local_server(model, command=FAKE):
                await anyio.sleep_forever()
    await gone(model)


async def test_a_damaged_state_is_reported(model: Path) -> None:
    async with local_server(model, command=FAKE):
        (state,) = files(model, "json")
        state.write_text("{}")
        with pytest.raises(HabitError, match="is damaged"):
            async with local_server(model, command=FAKE):
                pass


async def test_too_little_memory_is_refused_before_anything_starts(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "available_memory", lambda: 100 << 20)
    with pytest.raises(UsageError, match=r"needs about 0\.8 GB of memory and 0\.1 GB are free"):
        async with local_server(model, command=FAKE):
            pass
    assert not starts(model)


async def test_a_missing_model_file(model: Path) -> None:
    with pytest.raises(UsageError, match="habit models pull"):
        async with local_server(model.with_name("other.gguf"), command=FAKE):
            pass


async def test_a_missing_extra_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'habit\[local\]'"):
        async with local_server(model):
            pass


@pytest.mark.parametrize("text", ["soon", "-1", "inf", "nan"])
async def test_an_impossible_idle_time(model: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("HABIT_LOCAL_IDLE", text)
    with pytest.raises(UsageError, match="HABIT_LOCAL_IDLE must be a number of seconds"):
        async with local_server(model, command=FAKE):
            pass
