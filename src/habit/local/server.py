"""The local model's server as its users see it: shared by every run of this user, started by the first that needs it.

Three locks decide everything, and the kernel drops each when its holder dies:

- *alive*, exclusive: held by the server from before its birth (its starter takes it and hands it on) to its end, so
  that there is never a second one, and a state file counts exactly while a server holds the lock;
- *start*, exclusive: held by a client for the moment in which it looks at *alive* and the state, or starts a server;
- *lease*, shared by all clients: the server stops itself once nobody has held it for long enough.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import platformdirs

from habit.errors import HabitError, UsageError
from habit.local.locks import open_lock, try_lock
from habit.local.serve import ServeSettings
from habit.memory import available_memory

SERVE = (sys.executable, "-P", "-m", "habit.local.serve")
"""``-P``: a file called ``json.py`` in the current folder must not become part of the server."""
IDLE_SECONDS = 300.0
START_SECONDS = 300.0
_LOOK_SECONDS = 0.05
_WORKING_MEMORY = 768 << 20
"""What llama.cpp takes beyond the model file at the very least (1.2 GB measured with two slots of 8k)."""


@dataclass(frozen=True)
class LocalServer:
    """A running server: llama.cpp's own HTTP interface, the OpenAI-compatible part of it under ``/v1``."""

    base_url: str
    """Without ``/v1``, such as ``http://127.0.0.1:40123``; ``/tokenize`` and ``/apply-template`` are there too."""
    api_key: str
    """To be sent as ``Authorization: Bearer …``; valid for the life of this server."""
    window: int
    """Tokens that prompt and reply of one call may have together."""
    slots: int
    """How many calls it works on at once."""
    pid: int


@asynccontextmanager
async def local_server(
    model: Path, *, slots: int = 2, slot_context: int = 8192, command: Sequence[str] = SERVE
) -> AsyncIterator[LocalServer]:
    """A server for ``model`` (a GGUF file), which stays up as long as anyone is inside this context.

    Starts one if there is none (2 to 10 seconds); it outlives its starter and ends after ``HABIT_LOCAL_IDLE`` seconds
    (default 300) without a client. Raises UsageError when the ``local`` extra is not installed or memory is clearly
    too small, HabitError with the end of the server's log when it dies at start.
    """
    idle_seconds = _idle_seconds()
    if command is SERVE and importlib.util.find_spec("xllamacpp") is None:
        raise UsageError("The local model needs llama.cpp: run `pip install 'habit[local]'`.")
    settings = ServeSettings(
        model=_existing(model),
        slots=slots,
        slot_context=slot_context,
        threads=usable_threads(),
        api_key=secrets.token_urlsafe(32),
        idle_seconds=idle_seconds,
        state="",
        lease="",
        alive_descriptor=-1,
    )
    files = _Files(settings)
    # Refused only for the instant in which a server looks whether it is idle, or is on its way out.
    lease = await _lock(files.lease, shared=True)
    try:
        os.utime(lease)
        yield await _find_or_start(settings, files, command)
    finally:
        os.utime(lease)
        os.close(lease)


def _existing(model: Path) -> str:
    if not model.is_file():
        raise UsageError(f"There is no model file {model}; run `habit models pull`, or name a GGUF file.")
    return str(model.resolve())


def usable_threads() -> int:
    """CPUs this process may use, at most 8: memory, not arithmetic, is the limit beyond."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cpus, 8)


class _Files:
    """The files of one server, named after the model file and the settings that matter."""

    def __init__(self, settings: ServeSettings) -> None:
        status = os.stat(settings.model)
        identity = (settings.model, status.st_size, status.st_mtime_ns, settings.slots, settings.slot_context)
        name = hashlib.sha256(repr(identity).encode()).hexdigest()[:16]
        folder = platformdirs.user_cache_path("habit") / "servers"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise HabitError(
                f"{folder} cannot be made ({error.strerror}); set XDG_CACHE_HOME to a writable folder."
            ) from error
        self.state = folder / f"{name}.json"
        self.lease = folder / f"{name}.lease"
        self.start = folder / f"{name}.start"
        self.alive = folder / f"{name}.alive"
        self.log = folder / f"{name}.log"


async def _lock(path: Path, *, shared: bool = False) -> int:
    """A descriptor that holds the lock of ``path``; waits for it in small steps, so that it can be cancelled."""
    descriptor = open_lock(path)
    try:
        while not try_lock(descriptor, shared=shared):  # noqa: ASYNC110 - another process has no event to wait for
            await anyio.sleep(_LOOK_SECONDS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


async def _find_or_start(settings: ServeSettings, files: _Files, command: Sequence[str]) -> LocalServer:
    started = False
    deadline = anyio.current_time() + START_SECONDS
    while anyio.current_time() < deadline:
        start = await _lock(files.start)
        alive = open_lock(files.alive)
        try:
            if not try_lock(alive):
                if (server := _read_state(files.state, settings)) is not None:
                    return server
            elif started:
                raise HabitError(f"The local model's server ended at its start: {_log_tail(files.log)}")
            else:
                files.state.unlink(missing_ok=True)
                await _start(settings, files, command, alive)
                started = True
        finally:
            os.close(alive)  # a server that was started holds the same lock through its own copy
            os.close(start)
        await anyio.sleep(_LOOK_SECONDS)
    raise HabitError(f"The local model's server was not ready within {START_SECONDS:.0f} s; its log is {files.log}.")


async def _start(settings: ServeSettings, files: _Files, command: Sequence[str], alive: int) -> None:
    _check_memory(Path(settings.model))
    complete = ServeSettings(
        **{
            **vars(settings),
            "state": str(files.state),
            "lease": str(files.lease),
            "alive_descriptor": alive,
        }
    )
    log = os.open(files.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        await anyio.run_process(
            list(command),
            input=complete.to_json().encode(),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the starter's terminal is not meant for a server that others use too
            pass_fds=(alive,),
            check=False,
        )
    except OSError as error:
        raise HabitError(f"The local model's server could not be started: {error}.") from error
    finally:
        os.close(log)


def _read_state(path: Path, settings: ServeSettings) -> LocalServer | None:
    try:
        state = json.loads(path.read_bytes())
        return LocalServer(
            base_url=str(state["address"]),
            api_key=str(state["api_key"]),
            window=settings.slot_context,
            slots=settings.slots,
            pid=int(state["pid"]),
        )
    except FileNotFoundError:
        return None  # still loading
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise HabitError(
            f"{path} is damaged; stop the server that wrote it or wait until it ends by itself."
        ) from error


def _log_tail(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    tail = " / ".join(line.strip() for line in lines[-3:])[-400:] or "it said nothing"
    return f"{tail} (log: {path})"


def _idle_seconds() -> float:
    text = os.environ.get("HABIT_LOCAL_IDLE", "")
    try:
        seconds = float(text) if text else IDLE_SECONDS
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UsageError(f"HABIT_LOCAL_IDLE must be a number of seconds, 0 or more, not {text!r}.")
    return seconds


def _check_memory(model: Path) -> None:
    needed = model.stat().st_size + _WORKING_MEMORY
    available = available_memory()
    if available is not None and available < needed:
        raise UsageError(
            f"The local model {model.name} needs about {needed / 1e9:.1f} GB of memory and {available / 1e9:.1f} GB "
            "are free: close other programs, or use a model over the network with --model."
        )
