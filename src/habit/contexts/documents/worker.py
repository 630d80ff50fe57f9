"""The converting process: forks for each document, so that one that hangs, crashes or eats memory harms only itself.

The requests come from Habit and are trusted; the documents in them are not. A fork has limits on time, memory and
output, and Python code in it can reach neither the network nor files other than installed code.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import struct
import sys
from functools import cache
from typing import Any, BinaryIO

from habit.contexts.documents.converted import Unreadable

_SIZE = struct.Struct(">Q")
_MAX_REASON = 300
_NO_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def write_frame(stream: BinaryIO, header: dict[str, Any], payload: bytes | memoryview) -> None:
    """Send a JSON header and a payload, each behind its size."""
    head = json.dumps(header).encode()
    stream.write(_SIZE.pack(len(head)) + _SIZE.pack(len(payload)) + head)
    stream.write(payload)
    stream.flush()


def main() -> None:
    """Serve requests from standard input until it ends."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "r+b") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(nothing.fileno(), 1)
    _installed()
    while sizes := requests.read(2 * _SIZE.size):
        header = json.loads(requests.read(_SIZE.unpack_from(sizes)[0]))
        data = requests.read(_SIZE.unpack_from(sizes, _SIZE.size)[0])
        # Imported here rather than in the fork, so that it happens once, and before the limits.
        reader = importlib.import_module(header["reader"])
        with os.fdopen(os.memfd_create("conversion", os.MFD_CLOEXEC), "r+b") as output:
            fork = os.fork()
            if not fork:
                replies.close()
                requests.close()
                _convert(reader, data, header, os.dup(output.fileno()))
            del data
            status = os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])
            output.seek(0)
            payload = output.read()
        write_frame(replies, {"status": status}, payload)


def _convert(reader: Any, data: bytes, limits: dict[str, Any], output: int) -> None:
    """Convert, in the fork; never returns. What went wrong is written to ``output`` and told by the exit status."""

    def report(kind: type[BaseException], problem: BaseException, trace: Any) -> None:
        if issubclass(kind, MemoryError):
            os._exit(3)
        words = " ".join(str(problem).split())[:_MAX_REASON]
        detail = {
            "kind": kind.__name__,
            "words": words,
            "reason": problem.reason[:_MAX_REASON] if isinstance(problem, Unreadable) else None,
            "remedy": problem.remedy[:_MAX_REASON] if isinstance(problem, Unreadable) else None,
        }
        os.ftruncate(output, 0)
        os.lseek(output, 0, os.SEEK_SET)
        os.write(output, json.dumps(detail).encode())
        os._exit(2)

    sys.excepthook = report  # the one place where whatever a library raises over a bad document ends
    _confine(limits)
    payload = memoryview(reader.read(data).to_json())
    while payload:
        payload = payload[os.write(output, payload) :]
    os._exit(0)


def _confine(limits: dict[str, Any]) -> None:
    """Limit time, memory and output of this process, and forbid the network, other programs and other files."""
    seconds = int(limits["seconds"])
    for what, most, hard in (
        (resource.RLIMIT_CPU, seconds, seconds + 1),  # the signal that says why comes before the one that kills
        (resource.RLIMIT_AS, limits["memory"], limits["memory"]),
        (resource.RLIMIT_FSIZE, limits["output"], limits["output"]),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        resource.setrlimit(what, (most, hard))
    signal.alarm(2 * seconds)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
    forbidden = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.putenv", "urllib.")

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, flags = arguments[0], arguments[-1]
            if isinstance(path, int):
                return
            asked = os.path.realpath(os.fsdecode(path))
            if (isinstance(flags, int) and flags & _NO_WRITING) or not asked.startswith(_installed()):
                raise PermissionError(f"a document must not open {asked}")
        elif event.startswith(forbidden):
            raise PermissionError(f"a document must not cause {event}")

    sys.addaudithook(watch)


@cache
def _installed() -> tuple[str, ...]:
    """The folders of installed code."""
    return tuple({os.path.realpath(path) + os.sep for path in (*sys.path, sys.prefix, sys.base_prefix) if path})


if __name__ == "__main__":
    main()
