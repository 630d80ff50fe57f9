"""The zygote: imports everything once, then forks; for each session a worker, for a big context a zygote of its own.

It runs no model-written code. Its host sends requests over a SOCK_SEQPACKET socket and gets no reply there: every
request brings a socket of its own, on which the new process says hello. When the host goes, so does the zygote, and
with it (PR_SET_PDEATHSIG) every process it forked.

  ``session``  kind; descriptors: the worker's socket and, unless this zygote holds a context, that as a memfd
  ``spare``    descriptor: the socket of a worker to be, over which it gets its ``session`` request later
  ``share``    kind; descriptors: the new zygote's control socket, the context as a memfd. With ``characters`` and
               ``highest`` (see ``contexts.parked``) that is freed while it is decoded
"""

from __future__ import annotations

import gc
import json
import mmap
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from habit.contexts.context import decode
from habit.contexts.describe import describe
from habit.errors import SandboxError
from habit.sandbox.cpython.decoding import TooLarge, decode_and_free
from habit.sandbox.cpython.frames import encode_frame
from habit.sandbox.cpython.heap import settle
from habit.sandbox.cpython.inside.noworld import close_imports
from habit.sandbox.cpython.inside.worker import Stage
from habit.sandbox.cpython.lean import fork, huge_pages
from habit.sandbox.cpython.lockdown import close_all_but, die_with_parent, drop_privileges, prepare
from habit.sandbox.cpython.preload import preload
from habit.sandbox.cpython.support import require
from habit.sandbox.cpython.timezones import serve_timezones

MAX_REQUEST = 1 << 17


def main(control: int, host: int) -> NoReturn:
    """The base zygote; ``host`` is the process that started it."""
    connection = socket.socket(fileno=control)
    try:
        require()
        watched = os.pidfd_open(host)
        loaded = preload()
        serve_timezones(loaded.timezones)
        _be_the_first_to_go()
        close_imports(loaded.failures)
        drop_privileges()
        prepare()
    except SandboxError as error:
        connection.send(encode_frame({"t": "failed", "error": str(error)}))
        os._exit(1)
    os.environ.pop("LD_LIBRARY_PATH", None)
    connection.send(encode_frame({"t": "hello", "failures": loaded.failures}))
    _silence()
    stage = Stage()
    stage.rehearse()
    huge_pages(False)
    _filling = settle()  # kept for as long as this process lives
    Zygote(connection, stage, watched).serve()


class Zygote:
    """Forks on request, from a state that all its children share copy-on-write."""

    def __init__(self, control: socket.socket, stage: Stage, watched: int | None = None) -> None:
        self.control = control
        self.stage = stage
        self.watched = watched
        self.context: Any = None
        self.has_context = False

    def serve(self) -> NoReturn:
        """Handle requests until the host is gone."""
        # The kernel reaps the children; the host watches each of them through its pidfd.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        gc.disable()
        gc.freeze()
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        if self.watched is not None:
            poll.register(self.watched, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self.watched in ready:
                os._exit(0)
            data, descriptors, _, _ = socket.recv_fds(self.control, MAX_REQUEST, 4)
            if not data:
                os._exit(0)
            try:
                self._handle(json.loads(str(data, "utf-8", "surrogatepass")), descriptors)
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)

    def _handle(self, request: dict[str, Any], descriptors: list[int]) -> None:
        child = {"session": self._become_worker, "spare": self._become_spare, "share": self._become_zygote}[
            request["t"]
        ]
        parent = os.getpid()
        try:
            if fork() == 0:
                _as_child(parent, lambda: child(request, descriptors), descriptors[0])
        except OSError as error:
            _say(descriptors[0], {"t": "failed", "error": f"no new process can be started ({error.strerror})"})

    def _become_worker(self, request: dict[str, Any], descriptors: list[int]) -> None:
        if not self.has_context:
            self._take_context(request, descriptors[1])
        _hello(descriptors[0], {"t": "hello", "pid": os.getpid()})
        close_all_but(descriptors[0])
        self.stage.run_worker(socket.socket(fileno=descriptors[0]), self.context)

    def _become_spare(self, request: dict[str, Any], descriptors: list[int]) -> None:
        """Wait for the request of a session, without anything of the zygote's that others could wait for."""
        close_all_but(descriptors[0])
        with socket.socket(fileno=os.dup(descriptors[0])) as channel:
            data, received, _, _ = socket.recv_fds(channel, MAX_REQUEST, 4)
        if data:  # else it is not needed
            self._become_worker(json.loads(str(data, "utf-8", "surrogatepass")), [descriptors[0], *received])

    def _become_zygote(self, request: dict[str, Any], descriptors: list[int]) -> None:
        self.control.close()
        self._take_context(request, descriptors[1])
        _hello(descriptors[0], {"t": "hello", "pid": os.getpid(), "description": describe(self.context)})
        self.control = socket.socket(fileno=os.dup(descriptors[0]))
        for descriptor in descriptors:
            os.close(descriptor)
        if self.watched is not None:
            os.close(self.watched)
            self.watched = None
        self.serve()

    def _take_context(self, request: dict[str, Any], descriptor: int) -> None:
        kind, size = request["kind"], os.fstat(descriptor).st_size
        if "characters" in request:
            huge_pages(True)  # in half the time
            self.context = decode_and_free(kind, descriptor, request["characters"], request["highest"])
            huge_pages(False)
        elif size == 0:
            self.context = decode(kind, b"")
        else:
            # Private: a kernel before 6.7 refuses a shared mapping of what is sealed, even one to read.
            with mmap.mmap(descriptor, size, mmap.MAP_PRIVATE, mmap.PROT_READ) as mapped, memoryview(mapped) as view:
                self.context = decode(kind, view)
        self.has_context = True


def _as_child(parent: int, become: Callable[[], None], connection: int) -> NoReturn:
    """Run ``become`` in the forked child, and never return into the zygote's loop."""
    try:
        die_with_parent(parent)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        become()
    except TooLarge as problem:
        _say(connection, {"t": "failed", "too_large": str(problem)})
    except BaseException as error:  # noqa: BLE001 - the child of a fork must end here; the host is told why
        _say(connection, {"t": "failed", "error": f"{type(error).__name__}: {error}"[:1000]})
    finally:
        os._exit(1)


def _silence() -> None:
    """From here on nothing is written to the host's streams, not even a traceback."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.close(null)


def _hello(connection: int, message: dict[str, Any]) -> None:
    """Say hello with a pidfd of this process, by which the host can signal and watch it without a race."""
    pidfd = os.pidfd_open(os.getpid())
    with socket.socket(fileno=os.dup(connection)) as channel:
        socket.send_fds(channel, [encode_frame(message)], [pidfd])
    os.close(pidfd)


def _say(connection: int, message: dict[str, Any]) -> None:
    try:
        with socket.socket(fileno=os.dup(connection)) as channel:
            channel.send(encode_frame(message))
    except OSError:
        return  # the host is not interested any more


def _be_the_first_to_go() -> None:
    """When memory runs out on the machine, the kernel is to take a worker and not the host."""
    try:
        Path("/proc/self/oom_score_adj").write_text("1000")
    except OSError:
        return  # a hardened /proc: the kernel decides by size then


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
