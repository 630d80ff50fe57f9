"""The cpython backend: a zygote process, started when first needed, that forks a locked-down worker per session."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from habit.contexts.context import Context, decode
from habit.contexts.describe import describe
from habit.contexts.parked import Parked, Payload, viewed
from habit.errors import SandboxError
from habit.sandbox.cpython import frames
from habit.sandbox.cpython.process import ForkedProcess
from habit.sandbox.cpython.session import CPythonSession
from habit.sandbox.cpython.spare import Spare
from habit.sandbox.cpython.support import require
from habit.sandbox.cpython.wire import PeerGone, Wire, receive_hello
from habit.sandbox.session import SessionSpec
from habit.tasks import task_group

SHARED_FROM = 1 << 20
"""Bytes of payload from which a context gets a zygote of its own; smaller ones are decoded by every session anew,
which is quicker than another fork. So is a text that a cell passed on, until it is much larger: a zygote takes more
memory than it would save, as most of these have one session only."""
OPENINGS = 16
"""Sessions being opened at once: the zygote forks one after the other anyway, and sockets in flight are limited."""
_SOCKET_BUFFER = 1 << 20
_ROOT = Path(__file__).resolve().parents[3]
"""The directory that holds the package ``habit``."""
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class CPythonSandbox:
    """A Sandbox of locked-down CPython workers. One object serves any number of contexts and sessions at once.

    ``unavailable`` names the modules that sessions cannot import although they should, each with the reason; it is
    filled when the zygote has started.
    """

    name = "cpython"

    def __init__(self, *, python: str | None = None) -> None:
        self.unavailable: Mapping[str, str] = {}
        self._python = python or sys.executable
        self._starting = anyio.Lock()
        self._openings = anyio.CapacityLimiter(OPENINGS)
        self._takings = anyio.CapacityLimiter(1)  # the allocator keeps a part for each thread of what it took
        self._zygote: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._contexts: set[CPythonContext] = set()
        self._sessions: set[CPythonSession] = set()
        self._dying: set[ForkedProcess] = set()
        self._spare = Spare()
        self._closed = False

    async def warm_up(self) -> None:
        """Start the zygote ahead of the first context. Raises SandboxError."""
        async with self._starting:
            if self._closed:
                raise SandboxError("This sandbox is closed: make a new CPythonSandbox.")
            if self._control is not None and self._zygote is not None and self._zygote.poll() is None:
                return
            require()
            await self._stop_zygote()
            await self._start_zygote()
            self.order_spare()

    async def share(self, context: Context) -> CPythonContext | SharedAgain:
        """Decode ``context`` once for any number of sessions. Raises SandboxError."""
        for known in self._contexts:
            if known.whole is context:
                return SharedAgain(known)
        shared = CPythonContext(self, context)
        self._contexts.add(shared)
        try:
            async with task_group() as group:
                group.start_soon(self.warm_up)
                group.start_soon(shared.take)
            await shared.prepare()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await shared.aclose()
            raise
        return shared

    async def aclose(self) -> None:
        """End every process this sandbox started."""
        self._closed = True
        with anyio.CancelScope(shield=True):
            async with task_group() as group:
                for session in list(self._sessions):
                    group.start_soon(session.aclose)
            for context in list(self._contexts):
                await context.aclose()
            async with self._starting:
                await self._stop_zygote()
            for process in list(self._dying):
                await process.end()

    def bury(self, process: ForkedProcess) -> None:
        """Kill a process; nobody waits for its end but ``aclose``."""
        self._dying.add(process)
        process.bury(lambda: self._dying.discard(process))

    @asynccontextmanager
    async def fork(
        self, control: socket.socket | None, request: dict[str, Any], *descriptors: int
    ) -> AsyncIterator[tuple[socket.socket, dict[str, Any], ForkedProcess]]:
        """Have a zygote fork; yields the socket to the new process, its hello, and a handle on it.

        ``control`` None means the base zygote. The caller owns what was yielded, unless the block raises.
        """
        ours: socket.socket | None = None
        process: ForkedProcess | None = None
        try:
            ours, hello, pidfd = await self._from_spare(control, request, descriptors) or await self._forked(
                control, request, descriptors
            )
            if pidfd is not None:
                process = ForkedProcess(hello["pid"], pidfd)
            if "too_large" in hello:
                raise SandboxError(hello["too_large"])
            if process is None or hello["t"] != "hello":
                reason = hello.get("error", "no descriptor is left for it, so allow more open files (`ulimit -n`)")
                raise SandboxError(f"The sandbox could not start a process: {reason}.")
            yield ours, hello, process
        except BaseException as error:
            if ours is not None:
                ours.close()
            if process is not None:
                await process.end()
            if isinstance(error, (PeerGone, OSError)):
                reason = str(error) or "a crash, or the machine ran out of memory"
                raise SandboxError(
                    f"The sandbox's zygote process is gone ({reason}): free some memory, and try again."
                ) from error
            raise

    async def _forked(
        self, control: socket.socket | None, request: dict[str, Any], descriptors: Sequence[int]
    ) -> tuple[socket.socket, dict[str, Any], int | None]:
        """The socket to a process that the zygote forks now, with its hello and pidfd."""
        stream = request["t"] == "session"
        with _descriptors_to_spare():
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM if stream else socket.SOCK_SEQPACKET)
        try:
            with theirs:
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
                theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
                await _send_request(control or self._base(), request, [theirs.fileno(), *descriptors])
            return ours, *(await receive_hello(ours, stream=stream))
        except BaseException:
            ours.close()
            raise

    async def _from_spare(
        self, control: socket.socket | None, request: dict[str, Any], descriptors: Sequence[int]
    ) -> tuple[socket.socket, dict[str, Any], int | None] | None:
        """The same of the worker that was forked ahead; None when there is none, or it has ended meanwhile."""
        ours = self._spare.take() if control is None and request["t"] == "session" else None
        if ours is None:
            return None
        try:
            await _send_request(ours, request, list(descriptors))
            hello, pidfd = await receive_hello(ours, stream=True)
            if pidfd is not None:
                return ours, hello, pidfd
        except (PeerGone, OSError):
            pass  # it has ended, and another can be forked
        except BaseException:
            ours.close()
            raise
        ours.close()
        return None

    def order_spare(self) -> None:
        """Have a worker ready for the next session."""
        self._spare.order(self._control, _SOCKET_BUFFER)

    def _base(self) -> socket.socket:
        if self._control is None:
            raise SandboxError("This sandbox is closed: make a new CPythonSandbox.")
        return self._control

    async def _start_zygote(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._zygote = await anyio.to_thread.run_sync(_spawn, self._python, theirs)
            hello, _ = await receive_hello(ours, stream=False)
        except (PeerGone, OSError) as error:
            ours.close()
            raise SandboxError(f"The sandbox's zygote did not start: {await self._last_words() or error}") from error
        except BaseException:
            ours.close()
            await self._stop_zygote()
            raise
        if hello["t"] != "hello":
            ours.close()
            await self._stop_zygote()
            raise SandboxError(hello["error"])
        self.unavailable = hello["failures"]
        self._control = ours

    async def _last_words(self) -> str:
        zygote, self._zygote = self._zygote, None
        if zygote is None:
            return ""
        _, words = await anyio.to_thread.run_sync(zygote.communicate)
        return words.decode("utf-8", "replace").strip().rpartition("\n")[2][:500]

    async def _stop_zygote(self) -> None:
        """Kill the zygote, and with it every process it forked."""
        self._spare.drop()
        control, self._control = self._control, None
        if control is not None:
            control.close()
        zygote, self._zygote = self._zygote, None
        if zygote is not None:
            zygote.kill()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(zygote.communicate)


class CPythonContext:
    """A SharedContext: a zygote of its own that holds the decoded value, or for a small one just its payload."""

    def __init__(self, sandbox: CPythonSandbox, context: Context) -> None:
        self._sandbox = sandbox
        self._kind = context.kind
        self._payload: Payload | None = context.payload
        parked = context.payload if isinstance(context.payload, Parked) else None
        is_slice = parked is not None and context.kind == "text" and not parked.is_beyond_prompts
        self._big = not is_slice and (parked is not None or len(context.payload) >= SHARED_FROM)
        self.whole = context if self._big and parked is not None and context.kind == "text" else None
        """What a session that asks about all of its input means. A text only: other values can be changed."""
        self._in_flight = frames.IN_FLIGHT + 3 * len(context.payload)
        self._memfd = -1
        self._control: socket.socket | None = None
        self._zygote: ForkedProcess | None = None
        self._description = ""
        self._users = 0
        self._closed = False

    async def take(self) -> None:
        """Have the payload where a zygote can read it, unless it is to be freed there; describe what no zygote will."""
        if not self._big or isinstance(self._payload, bytes):
            await anyio.to_thread.run_sync(self._take, limiter=self._sandbox._takings)

    def _take(self) -> None:
        payload, self._payload = self._payload, None
        assert payload is not None
        if not self._big:
            # Here and not in each session, where the pages that this writes to would be its own as long as it lives.
            try:
                with viewed(payload) as view:
                    self._description = describe(decode(self._kind, view))
            except (ValueError, RecursionError) as error:
                raise SandboxError(f"The input can't be decoded ({error}): pass it on as text.") from error
        if isinstance(payload, bytes):
            self._memfd = _sealed(payload)
        else:
            self._memfd = payload.hand_over()
            fcntl.fcntl(self._memfd, fcntl.F_ADD_SEALS, _SEALS)

    async def prepare(self) -> None:
        """Have a zygote of its own decode a big context."""
        if not self._big:
            return
        request: dict[str, Any] = {"t": "share", "kind": self._kind}
        if isinstance(self._payload, Parked):
            request |= {"characters": self._payload.characters, "highest": self._payload.highest}
            self._memfd, self._payload = self._payload.hand_over(), None
        async with self._sandbox.fork(None, request, self._memfd) as (control, hello, process):
            self._control, self._zygote, self._description = control, process, hello["description"]
        self._drop_payload()

    async def session(self, spec: SessionSpec) -> CPythonSession:
        """Open a session. Raises SandboxError."""
        if self._closed:
            raise SandboxError("This context was given back already: share it again.")
        self._users += 1
        try:
            async with self._sandbox._openings:
                return await self._open(spec)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._leave()
            raise

    async def aclose(self) -> None:
        """Forget the context; open sessions live on."""
        if not self._closed:
            self._closed = True
            await self._forget_when_unused()

    async def _open(self, spec: SessionSpec) -> CPythonSession:
        if self._control is None:
            await self._sandbox.warm_up()
        request = {"t": "session", "kind": self._kind}
        descriptors = [self._memfd] if self._control is None else []
        async with self._sandbox.fork(self._control, request, *descriptors) as (connection, _, process):
            session = CPythonSession(
                Wire(connection),
                process,
                spec.limits,
                description=self._description,
                in_flight=self._in_flight,
                whole=self.whole,
                on_close=lambda: self._left(session),
            )
            await session.start(spec)
        self._sandbox._sessions.add(session)
        if self._control is None:
            self._sandbox.order_spare()
        return session

    async def _left(self, session: CPythonSession) -> None:
        self._sandbox._sessions.discard(session)
        self._sandbox.bury(session.process)
        await self._leave()

    async def _leave(self) -> None:
        self._users -= 1
        await self._forget_when_unused()

    async def _forget_when_unused(self) -> None:
        """The zygote of a context must outlive its sessions: they die with it."""
        if not self._closed or self._users:
            return
        self._sandbox._contexts.discard(self)
        self._drop_payload()
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._zygote is not None:
            self._sandbox.bury(self._zygote)

    def _drop_payload(self) -> None:
        if self._memfd >= 0:
            os.close(self._memfd)
            self._memfd = -1


class SharedAgain:
    """A SharedContext that is decoded already: a child run is asked about all of its parent's input."""

    def __init__(self, shared: CPythonContext) -> None:
        self._shared: CPythonContext | None = shared
        shared._users += 1

    async def session(self, spec: SessionSpec) -> CPythonSession:
        """Open a session. Raises SandboxError."""
        if self._shared is None:
            raise SandboxError("This context was given back already: share it again.")
        return await self._shared.session(spec)

    async def aclose(self) -> None:
        """Forget the context; open sessions live on."""
        shared, self._shared = self._shared, None
        if shared is not None:
            await shared._leave()


@contextmanager
def _descriptors_to_spare() -> Iterator[None]:
    """Say what to do where no descriptor can be opened any more."""
    try:
        yield
    except OSError as error:
        raise SandboxError(
            f"No further session can be opened ({error.strerror}): allow more open files (`ulimit -n`), or have fewer "
            "runs and children at once."
        ) from error


def _sealed(payload: bytes) -> int:
    """A memfd that holds ``payload`` and can't be changed any more, by anyone."""
    with _descriptors_to_spare():
        memfd = os.memfd_create("habit-context", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(payload)
        while view:
            view = view[os.write(memfd, view[: 1 << 30]) :]
        fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, _SEALS)
    except OSError as error:
        os.close(memfd)
        raise SandboxError(
            f"The context can't be handed to the sandbox ({error.strerror}): free some memory."
        ) from error
    return memfd


def _spawn(python: str, control: socket.socket) -> subprocess.Popen[bytes]:
    """Start the zygote with a clean environment, away from the terminal's signals."""
    # Not -I: that would ignore PYTHONHASHSEED. The environment below is all there is, so there is nothing to ignore.
    # No collections while it imports: they would find nothing, again and again, in all that is there to stay.
    start = f"import gc, sys; gc.disable(); sys.path.append({str(_ROOT)!r})"
    start += "; from habit.sandbox.cpython.zygote import main; main"
    environment = {
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # a large context is then decoded in half the time
        "MALLOC_ARENA_MAX": "1",  # an arena per thread would take 64 MiB of address space each
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYDANTIC_DISABLE_PLUGINS": "__all__",
        **{name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
    }
    return subprocess.Popen(
        [python, "-s", "-P", "-c", f"{start}({control.fileno()}, {os.getpid()})"],
        env=environment,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=[control.fileno()],
        start_new_session=True,
    )


async def _send_request(control: socket.socket, request: dict[str, Any], descriptors: list[int]) -> None:
    data = json.dumps(request, ensure_ascii=False).encode("utf-8", "surrogatepass")
    while True:
        try:
            socket.send_fds(control, [data], descriptors)
            return
        except BlockingIOError:
            await anyio.wait_writable(control)
