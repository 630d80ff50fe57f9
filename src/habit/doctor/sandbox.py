"""The sandbox's self-test on this machine: what the kernel offers, which backend is taken, and whether it holds."""

from __future__ import annotations

import ctypes
import os
import platform
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from habit.contexts.context import Context
from habit.doctor.attempts import ATTEMPTS, EXIT, GLUTTON, LOOP, VARIABLE
from habit.doctor.findings import Finding
from habit.errors import CallFailed, SandboxError
from habit.sandbox.choose import pick
from habit.sandbox.cpython.support import WAY_ON, architecture, supported
from habit.sandbox.session import CellResult, LlmRequest, Sandbox, Session, SessionLimits, SessionSpec, SharedContext

_PATIENT = SessionLimits(cell_seconds=30.0, memory=512 << 20, output_chars=100_000)
_STRICT = SessionLimits(cell_seconds=0.5, memory=512 << 20)
_LANDLOCK_CREATE_RULESET_VERSION = 1
_MEMORY_REMEDY = "Lower --cell-memory or run Habit inside a container with a memory limit, and please report this."
_REMEDY = "Do not run Habit on inputs you do not trust here, try --sandbox monty, and please report this."


def kernel() -> Finding:
    """What the system offers for locking a process down."""
    name = f"{platform.system()} {platform.release()} on {platform.machine() or 'an unknown machine'}"
    facts: dict[str, Any] = {"system": platform.system(), "release": platform.release(), "machine": platform.machine()}
    facts["cpython"] = lacking = supported()
    if lacking is not None:
        return Finding("kernel", "warning", f"{name}. {lacking}.", f"Run {WAY_ON}.", facts)
    facts["landlock"] = landlock = landlock_version(architecture().numbers["landlock_create_ruleset"])
    second_wall = f"Landlock {landlock} behind it" if landlock else "no Landlock, so seccomp is the only wall"
    return Finding("kernel", "ok", f"{name}: seccomp, {second_wall}.", details=facts)


def backend(wanted: str) -> tuple[Finding, str | None]:
    """Which backend ``wanted`` means on this machine, and its name; None where there is none."""
    try:
        name, note = pick(wanted)
    except SandboxError as error:
        said, _, way_on = str(error).partition(": ")
        return Finding("backend", "problem", f"{said}.", f"Run {way_on}"), None
    details = {"wanted": wanted, "taken": name}
    if note:
        remedy = "Run Habit on Linux with seccomp where cells need all of Python."
        return Finding("backend", "warning", note, remedy, details), name
    said = f"auto takes {name}." if wanted == "auto" else f"{name}, as asked for."
    return Finding("backend", "ok", said, details=details), name


def landlock_version(number: int) -> int:
    """The version of Landlock that the kernel has, 0 for none."""
    libc = ctypes.CDLL(None)
    libc.syscall.restype = ctypes.c_long
    version = libc.syscall(
        ctypes.c_long(number), None, ctypes.c_size_t(0), ctypes.c_uint(_LANDLOCK_CREATE_RULESET_VERSION)
    )
    return max(int(version), 0)


@dataclass(frozen=True)
class Outcome:
    """What came of one attempt."""

    name: str
    refused: bool
    said: str


async def self_test(sandbox: Sandbox, backend: str) -> Finding:
    """Try to get out of a real session in every way of the list; the caller closes ``sandbox``. Raises SandboxError."""
    with _world() as world:
        async with AsyncExitStack() as stack:
            shared = await sandbox.share(Context.of("a context"))
            stack.push_async_callback(shared.aclose)
            outcomes = await _try_attempts(shared, world)
            outcomes.append(await _try_loop(shared))
            outcomes.append(await _try_exit(shared))
    escaped = [outcome.name for outcome in outcomes if not outcome.refused]
    details = {"backend": backend, "attempts": {outcome.name: outcome.said for outcome in outcomes}}
    if not escaped:
        said = f"{backend}: all {len(outcomes)} attempts to get out of a session were refused."
        return Finding("sandbox", "ok", said, details=details)
    remedy = _MEMORY_REMEDY if escaped == [GLUTTON.name] else _REMEDY
    return Finding("sandbox", "problem", f"{backend}: a cell could {', '.join(escaped)}.", remedy, details)


@dataclass(frozen=True)
class _World:
    """What the attempts reach for, as they see it and as the host sees it."""

    words: dict[str, str]
    secret: str
    folder: Path

    def fill(self, code: str) -> str:
        for word, value in self.words.items():
            code = code.replace(word, value)
        return code

    def escaped(self, result: CellResult) -> bool:
        """Whether the attempt that ended like this has succeeded."""
        traces = list(self.folder.iterdir())
        for trace in traces:
            trace.unlink()
        return bool(traces) or "ESCAPED" in result.stdout or self.secret in result.stdout


@contextmanager
def _world() -> Iterator[_World]:
    """A secret in a file and in the environment, a folder that anyone may write to, and a listener."""
    secret = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="habit-doctor-") as home, _listener() as port:
        path, folder = Path(home) / "secret.txt", Path(home) / "folder"
        path.write_text(secret)
        folder.mkdir()
        for place, mode in ((Path(home), 0o755), (path, 0o644), (folder, 0o777)):
            place.chmod(mode)
        words = {
            "⟨secret⟩": str(path),
            "⟨folder⟩": str(folder),
            "⟨port⟩": str(port),
            "⟨host⟩": str(os.getpid()),
        }
        os.environ[VARIABLE] = secret
        try:
            yield _World(words, secret, folder)
        finally:
            del os.environ[VARIABLE]


@contextmanager
def _listener() -> Iterator[int]:
    """A port on loopback where something listens; one where nothing does, on a machine without loopback."""
    try:
        server = socket.create_server(("127.0.0.1", 0))
    except OSError:
        yield 9
        return
    with server:
        yield server.getsockname()[1]


async def _try_attempts(shared: SharedContext, world: _World) -> list[Outcome]:
    outcomes = []
    session: Session | None = None
    try:
        for attempt in (*ATTEMPTS, GLUTTON):
            session = session or await shared.session(SessionSpec("self-test", limits=_PATIENT))
            result = await session.run_cell(world.fill(attempt.code), _NoHost())
            outcomes.append(Outcome(attempt.name, not world.escaped(result), _said(result)))
            if result.status == "died":  # as good as refused, and the next attempt gets a session of its own
                session = None
    finally:
        if session is not None:
            with anyio.CancelScope(shield=True):
                await session.aclose()
    return outcomes


async def _try_loop(shared: SharedContext) -> Outcome:
    session = await shared.session(SessionSpec("self-test", limits=_STRICT))
    try:
        result = await session.run_cell(LOOP.code, _NoHost())
        stopped = result.status in ("timeout", "died")
        return Outcome(LOOP.name, stopped, _said(result))
    finally:
        with anyio.CancelScope(shield=True):
            await session.aclose()


async def _try_exit(shared: SharedContext) -> Outcome:
    session = await shared.session(SessionSpec("self-test", limits=_PATIENT))
    try:
        result = await session.run_cell(EXIT.code, _NoHost())
    finally:
        with anyio.CancelScope(shield=True):
            await session.aclose()
    return Outcome(EXIT.name, await _computes(shared), _said(result))


async def _computes(shared: SharedContext) -> bool:
    """Whether a new session works as it should."""
    try:
        session = await shared.session(SessionSpec("self-test", limits=_PATIENT))
    except SandboxError:
        return False
    try:
        return (await session.run_cell("print(len(context) * 7)", _NoHost())).stdout.strip() == "63"
    finally:
        with anyio.CancelScope(shield=True):
            await session.aclose()


def _said(result: CellResult) -> str:
    """How the sandbox put it: the last line of the error, which names the exception."""
    lines = (result.error or result.stdout).strip().splitlines()
    return f"{result.status}: {lines[-1].strip()}" if lines else result.status


class _NoHost:
    """Grants nothing: the attempts ask for nothing that a host gives."""

    async def recursive_llm(self, request: LlmRequest) -> Any:
        raise CallFailed("a self-test asks no model", reason="rejected")

    async def recursive_llm_map(self, requests: Sequence[LlmRequest]) -> Sequence[Any]:
        return [CallFailed("a self-test asks no model", reason="rejected") for _ in requests]

    def check_answer(self, value: Any) -> None:
        raise ValueError("a self-test has no answer")


def unavailable(sandbox: Sandbox) -> Finding | None:
    """Modules that cells cannot import although they should, once a session of ``sandbox`` was open."""
    missing = getattr(sandbox, "unavailable", {})
    if not missing:
        return None
    remedy = f"Install these packages again, or use a Python that was built with them ({sys.executable} was not)."
    names = ", ".join(sorted(missing))
    return Finding("modules", "warning", f"Cells cannot import {names}.", remedy, {"reasons": dict(missing)})
