"""Converts documents: from the cache, or by the converting process, with a deadline."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache

from habit.contexts.documents.cache import ConversionCache
from habit.contexts.documents.converted import Converted, Unreadable
from habit.contexts.documents.kinds import Kind

SECONDS = 60
"""Processor time for a document, and ten more for each MiB of it."""
MEMORY = 2 << 30
"""Bytes of address space for the conversion of a document, and eight more for each byte of it."""
OUTPUT = 1 << 30
"""Bytes that a conversion may come to."""

_SIZES = struct.Struct(">QQ")
_CHUNK = 1 << 20
_MAX_HEADER = 1 << 16
_TICK = 0.1
_GRACE_SECONDS = 60
"""For a busy machine to start the process; what a document does in it is limited there."""
_START = "import sys; sys.path[:] = {path!r}; from habit.contexts.documents.worker import main; main()"
_CAUSES = {
    -signal.SIGXCPU: ("takes too long to convert", "split it"),
    -signal.SIGALRM: ("takes too long to convert", "split it"),
    -signal.SIGXFSZ: ("is too large when converted", "split it"),
    -signal.SIGKILL: ("takes too long or too much memory to convert", "split it"),
    3: ("takes too much memory to convert", "split it"),
}


class Converter:
    """Converts one document after another; a context manager that owns the converting process.

    ``tick`` is called while a conversion is waited for; an exception from it ends the waiting and the process.
    """

    def __init__(
        self,
        keep_in: ConversionCache | None,
        tick: Callable[[], None] = lambda: None,
        *,
        seconds: int = SECONDS,
        memory: int = MEMORY,
        output: int = OUTPUT,
    ) -> None:
        self._cache = keep_in
        self._tick = tick
        self._seconds, self._memory, self._output = seconds, memory, output
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Converter:
        """Start nothing yet: the process starts with the first conversion that is not in the cache."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process, and keep the cache within its bounds."""
        self._stop()
        if self._cache is not None:
            self._cache.trim()

    def convert(self, data: bytes, kind: Kind, sha256: str = "") -> Converted:
        """What ``data`` holds; ``sha256`` is its digest where that is known. Raises Unreadable."""
        key = _key(sha256 or hashlib.sha256(data).hexdigest(), kind)
        if self._cache is not None and (known := self._cache.get(key)) is not None:
            with contextlib.suppress(ValueError):
                return Converted.from_json(known)
        payload = self._ask(data, kind)
        try:
            converted = Converted.from_json(payload)
        except ValueError:
            raise Unreadable(f"is {kind.name} that breaks its converter") from None
        if converted.is_empty():
            raise Unreadable(f"is {kind.name} with nothing to read in it")
        if self._cache is not None:
            self._cache.put(key, payload)
        return converted

    def _ask(self, data: bytes, kind: Kind) -> bytes:
        seconds = self._seconds + 10 * (len(data) >> 20)
        limits = {"seconds": seconds, "memory": self._memory + 8 * len(data), "output": self._output}
        request = json.dumps({"reader": kind.reader, **limits}).encode()
        deadline = time.monotonic() + 3 * seconds + _GRACE_SECONDS
        try:
            process = self._running()
            self._send(process, _SIZES.pack(len(request), len(data)) + request, deadline)
            self._send(process, data, deadline)
            header_size, size = _SIZES.unpack(self._receive(process, _SIZES.size, deadline))
            if header_size > _MAX_HEADER or size > self._output:
                raise _Broken
            header = json.loads(self._receive(process, header_size, deadline))
            payload = self._receive(process, size, deadline)
            status = header["status"]
        except TimeoutError:
            self._stop()
            raise Unreadable("takes too long to convert", "split it") from None
        except (_Broken, BrokenPipeError, ValueError, TypeError, KeyError):
            self._stop()
            raise Unreadable(f"is {kind.name} that breaks its converter") from None
        except BaseException:
            self._stop()
            raise
        if status == 0:
            return payload
        raise _problem(status, payload, kind)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-s", "-P", "-c", _START.format(path=[path for path in sys.path if path])],
                # Nothing of ours: no keys, no proxies.
                env={"PYTHONUTF8": "1", "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "TZ": "UTC", **_kept()},
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                bufsize=0,
            )
            assert self._process.stdin is not None
            os.set_blocking(self._process.stdin.fileno(), False)
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait()

    def _send(self, process: subprocess.Popen[bytes], data: bytes, deadline: float) -> None:
        assert process.stdin is not None
        view = memoryview(data)
        while view:
            self._wait(process.stdin.fileno(), select.POLLOUT, deadline)
            with contextlib.suppress(BlockingIOError):
                view = view[os.write(process.stdin.fileno(), view[:_CHUNK]) :]

    def _receive(self, process: subprocess.Popen[bytes], size: int, deadline: float) -> bytes:
        assert process.stdout is not None
        received = bytearray()
        while len(received) < size:
            self._wait(process.stdout.fileno(), select.POLLIN, deadline)
            chunk = os.read(process.stdout.fileno(), min(size - len(received), _CHUNK))
            if not chunk:
                raise _Broken
            received += chunk
        return bytes(received)

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        waiting = select.poll()
        waiting.register(descriptor, event)
        while not waiting.poll(_TICK * 1000):
            self._tick()
            if time.monotonic() > deadline:
                raise TimeoutError


class _Broken(Exception):
    """The converting process has ended, or says what makes no sense."""


def _problem(status: object, payload: bytes, kind: Kind) -> Unreadable:
    if isinstance(status, int) and status in _CAUSES:
        return Unreadable(*_CAUSES[status])
    damaged = Unreadable(f"is {kind.name} that cannot be read", "open it and save it again")
    if status != 2:
        return damaged
    try:
        detail = json.loads(payload)
        if detail["reason"] is not None:
            return Unreadable(str(detail["reason"]), str(detail["remedy"]))
        said = str(detail["words"] or detail["kind"])
    except (ValueError, KeyError, TypeError):
        return damaged
    return Unreadable(f"is {kind.name} that cannot be read ({_printable(said)})", "open it and save it again")


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)[:200].rstrip(".")


def _key(sha256: str, kind: Kind) -> str:
    """The name of a conversion: what is converted, by which reader, with which versions of which packages."""
    try:
        packages = [f"{name}=={_version(name)}" for name in kind.needs]
    except ModuleNotFoundError:  # PackageNotFoundError is one
        way = f"install it (pip install 'habit[{kind.extra}]'){', take it as it is (--raw)' * kind.is_text}"
        raise Unreadable("needs a converter", way) from None
    parts = [sha256, kind.reader, str(kind.version), *packages]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@cache
def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)


def _kept() -> dict[str, str]:
    """What a Python that is not installed in the usual places needs to start."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "PYTHONHOME") if name in os.environ}
