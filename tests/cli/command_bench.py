"""Runs ``habit`` for tests: in this process with a fake engine, or as a program with real streams."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import select
import subprocess
import sys
import termios
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from habit.calls.usage import Tally, Usage
from habit.cli import main
from habit.cli.listening import Listeners
from habit.config import Settings
from habit.events import Event, Observer, RunStarted
from habit.run import Replay, Run


def a_run(**details: Any) -> Run:
    usage = Usage(calls=3, cached_calls=1, root=Tally(2, 200, 20), leaf=Tally(1, 70, 7), usd=0.0125)
    return Run(**{"id": "R1", "query": "How many?", "status": "answered", "answer": "42", "usage": usage, **details})


@dataclass(frozen=True)
class Result:
    code: int
    raw_out: bytes
    err: str

    @property
    def out(self) -> str:
        return self.raw_out.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.raw_out)


class Stream(io.TextIOWrapper):
    def __init__(self, data: bytes = b"", *, terminal: bool = False, errors: str = "strict") -> None:
        self.bytes = io.BytesIO(data)
        self.terminal = terminal
        self.reader_gone = False
        super().__init__(self.bytes, encoding="utf-8", errors=errors, newline="\n")

    def flush(self) -> None:
        if self.reader_gone:
            raise BrokenPipeError
        super().flush()

    def isatty(self) -> bool:
        return self.terminal


class InProcess:
    """Calls the entry point and catches what it writes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(
        self,
        *arguments: str,
        stdin: bytes | None = b"",
        terminal: bool = False,
        typing: bool = False,
        reader_gone: bool = False,
        **environment: str,
    ) -> Result:
        """``terminal``: stdout and stderr are one; ``typing``: stdin is one; ``reader_gone``: of stdout."""
        out, err = Stream(terminal=terminal), Stream(terminal=terminal, errors="backslashreplace")
        out.reader_gone = reader_gone
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", None if stdin is None else Stream(stdin, terminal=typing))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            for name, value in environment.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as stopped:
                main(list(arguments))
        assert isinstance(stopped.value.code, int)
        return Result(stopped.value.code, out.bytes.getvalue(), err.bytes.getvalue().decode())


@dataclass
class FakeEngine:
    """Gives what it was told to, and notes what it was asked."""

    outcome: Run | Replay | Exception = field(default_factory=a_run)
    events: Iterable[Event] = (RunStarted("R1", "mock:model", "rlm"),)
    settings: Settings = field(default_factory=Settings)
    asked: dict[str, Any] = field(default_factory=dict)
    looking_after: bool = False

    def open(self, settings: Settings, on_event: Observer, listeners: Listeners | None = None) -> FakeEngine:
        self.settings = settings
        self._on_event = on_event
        return self

    async def __aenter__(self) -> FakeEngine:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def ask(self, query: str, **details: Any) -> Any:
        stdin = details.pop("stdin")
        self.asked = {"query": query, "stdin": None if stdin is None else stdin.read(), **details}
        return self._end()

    async def resume(self, ref: str) -> Any:
        self.asked = {"resume": ref}
        return self._end()

    async def replay(self, ref: str) -> Any:
        self.asked = {"replay": ref}
        return self._end()

    def _end(self) -> Run | Replay:
        for event in self.events:
            self._on_event(event)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class Program:
    """Starts ``habit`` as people do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def close(self) -> None:
        """Leave no process behind, whatever became of the test."""
        for process in self._started:
            process.kill()
            process.wait()

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "habit.cli", *arguments]

    def __call__(self, *arguments: str, stdin: bytes | None = None, **environment: str) -> Result:
        """Run to the end; without ``stdin`` it reads from /dev/null."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env={**os.environ, **environment},
            capture_output=True,
            timeout=120,
            **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}),  # type: ignore[arg-type]
        )
        return Result(done.returncode, done.stdout, done.stderr.decode())

    def start(self, *arguments: str, code: str | None = None, **streams: Any) -> subprocess.Popen[bytes]:
        """Start it, or ``code`` in its place; the caller waits for its end."""
        command = [sys.executable, "-c", code, *arguments] if code is not None else self.command(*arguments)
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        process = subprocess.Popen(command, cwd=self.folder, start_new_session=True, **streams)
        self._started.append(process)
        return process


class Terminal:
    """A terminal of our own for a program's streams: everything it shows is in ``shown``."""

    def __init__(self) -> None:
        self._ours, self._theirs = pty.openpty()
        self.shown = b""

    def start(self, program: Program, *arguments: str, **details: Any) -> subprocess.Popen[bytes]:
        """Start a program whose keyboard and stderr this is; its stdout too, unless told otherwise."""
        streams = {"stdin": self._theirs, "stdout": self._theirs, "stderr": self._theirs, **details}
        return program.start(*arguments, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), **streams)

    def read_until(self, wanted: bytes) -> None:
        """Read until the program has shown ``wanted``, or fail when it has gone."""
        while wanted not in self.shown:
            ready, _, _ = select.select([self._ours], [], [], 60)
            assert ready, f"waited for {wanted!r}, saw {self.shown!r}"
            assert self._read(), f"ended before {wanted!r}, saw {self.shown!r}"

    def shows_after(self, keys: bytes, wanted: bytes) -> bool:
        """Type ``keys``; whether the program shows ``wanted`` before it falls silent for a second."""
        self.type(keys)
        while wanted not in self.shown and select.select([self._ours], [], [], 1)[0] and self._read():
            pass
        return wanted in self.shown

    def read_all(self) -> bytes:
        """What the program has shown by its end; it must have ended."""
        os.close(self._theirs)
        while self._read():
            pass
        os.close(self._ours)
        return self.shown

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def _read(self) -> bytes:
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # the other end is closed
            return b""
        self.shown += data
        return data
