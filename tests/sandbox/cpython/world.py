"""The world that escape attempts are made in, and what of it must not change.

As a program (``python world.py``) it makes every attempt in a sandbox, as whoever runs it, and prints the breaches as
JSON; with ``--unconfined`` it runs the same code in plain Python, which shows that a breach would be seen.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import anyio

from habit.contexts.context import Context
from habit.sandbox.cpython import CPythonSandbox
from habit.sandbox.cpython.session import CPythonSession
from habit.sandbox.cpython.support import NOBODY
from habit.sandbox.session import CellResult, SessionLimits, SessionSpec
from sandbox.cpython.escapes import ESCAPES, Escape
from sandbox.hosts import RecordingHost

_VICTIM = """
import ctypes, os, sys
kept = ctypes.create_string_buffer(os.environ['CANARY'].encode())
if len(sys.argv) > 1:
    os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
print(ctypes.addressof(kept), flush=True)
for line in sys.stdin:
    print("alive", flush=True)
"""


class World:
    """Everything an attempt could reach if it got out; ``breaches`` says what it did reach."""

    def __init__(self, folder: Path) -> None:
        self.secret = secrets.token_hex(16)
        os.environ["HABIT_TEST_SECRET"] = self.secret
        self.folder = folder / "writable"
        self.folder.mkdir()
        self.folder.chmod(0o777)
        self.canary = folder / "canary"
        self.canary.write_text(self.secret)
        (folder / "planted.py").write_text(f"secret = {self.secret!r}\n")
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.unix, self.abstract, self.datagrams = (
            socket.socket(socket.AF_UNIX, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_DGRAM)
        )
        self.unix.bind(str(folder / "socket"))
        (folder / "socket").chmod(0o777)
        self.name = f"habit-{secrets.token_hex(8)}"
        self.abstract.bind(f"\0{self.name}")
        self.datagrams.bind(f"\0{self.name}-datagrams")
        self.unix.listen()
        self.abstract.listen()
        self.victim: subprocess.Popen[bytes] | None = None
        self.address = 0
        self.raise_victim()

    def raise_victim(self) -> None:
        """A process that belongs to the user that workers run as, so that only the sandbox protects it."""
        self.lay_victim()
        user = [str(NOBODY)] if os.getuid() == 0 else []
        self.victim = subprocess.Popen(
            [sys.executable, "-c", _VICTIM, *user],
            env={"CANARY": self.secret},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.victim.stdout is not None
        self.address = int(self.victim.stdout.readline())

    def victim_answers(self) -> bool:
        """Whether it lives; a signal that is under way arrives before the answer does."""
        assert self.victim is not None
        assert self.victim.stdin is not None
        assert self.victim.stdout is not None
        try:
            self.victim.stdin.write(b"\n")
            self.victim.stdin.flush()
        except BrokenPipeError:
            return False
        return bool(self.victim.stdout.readline())

    def lay_victim(self) -> None:
        if self.victim is not None:
            self.victim.kill()
            self.victim.wait()
            for pipe in (self.victim.stdin, self.victim.stdout):
                assert pipe is not None
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def fill(self, escape: Escape, *, sibling: int, host: int) -> str:
        assert self.victim is not None
        words = {
            "canary": self.canary, "folder": self.folder, "port": self.tcp.getsockname()[1],
            "udp": self.udp.getsockname()[1], "unix": self.unix.getsockname(), "abstract": self.name,
            "victim": self.victim.pid, "address": self.address, "sibling": sibling, "host": host,
        }  # fmt: skip
        code = escape.code
        for word, value in words.items():
            code = code.replace(f"⟨{word}⟩", str(value))
        assert "⟨" not in code, code
        return code

    def breaches(self, printed: str, said: str) -> list[str]:
        """What changed that must not change; everything is as before afterwards."""
        found = []
        if self.secret in said:
            found.append("the secret got out")
        if "ESCAPED" in printed:
            found.append("it says so itself")
        for path in list(self.folder.iterdir()):
            found.append(f"{path.name} was made")
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        listening = {
            self.tcp: "TCP",
            self.udp: "UDP",
            self.unix: "Unix",
            self.abstract: "abstract",
            self.datagrams: "DGRAM",
        }
        for heard in select.select(list(listening), [], [], 0)[0]:
            found.append(f"something arrived by {listening[heard]}")
            heard.accept()[0].close() if heard.type == socket.SOCK_STREAM else heard.recv(100)
        for queue in (Path("/dev/mqueue/habit-escape"), Path("/dev/shm/habit-escape")):
            if queue.exists():
                found.append(f"{queue} was made")
                queue.unlink()
        ctypes.CDLL(None).mq_unlink(b"/habit-escape")
        if not self.victim_answers():
            found.append("its victim is dead")
            self.raise_victim()
        return found

    def close(self) -> None:
        self.lay_victim()
        for opened in (self.tcp, self.udp, self.unix, self.abstract, self.datagrams):
            opened.close()


def children_of(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


async def run_watched(session: CPythonSession, code: str, host: RecordingHost) -> tuple[CellResult, bool]:
    """Run a cell; also whether its worker was seen to have a child meanwhile."""
    seen: list[int] = []

    async def watch() -> None:
        while True:
            seen.extend(children_of(session.pid))
            await anyio.sleep(0.005)

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        result = await session.run_cell(code, host)
        group.cancel_scope.cancel()
    return result, bool(seen)


def status_of(pid: int) -> dict[str, str]:
    """What the kernel says of a process: whose it is, and what it may do."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


async def attempt_all(world: World) -> dict[str, Any]:
    """The breaches of every attempt, each made in a session of its own; and what the kernel says of each worker."""
    sandbox = CPythonSandbox()
    limits = SessionLimits(cell_seconds=2.0)
    results: dict[str, list[str]] = {}
    workers: list[dict[str, str]] = []
    try:
        shared = await sandbox.share(Context.of(""))
        sibling = await shared.session(SessionSpec("", limits=limits))
        for escape in ESCAPES:
            session = await shared.session(SessionSpec("", limits=limits))
            workers.append(status_of(session.pid))
            host = RecordingHost(lambda request: "reply")
            code = world.fill(escape, sibling=sibling.pid, host=os.getpid())
            result, had_child = await run_watched(session, code, host)
            found = world.breaches(result.stdout, f"{result}{host.requests}")
            if had_child:
                found.append("it had a child")
            if (await sibling.run_cell("1 + 1", RecordingHost())).stdout != "2\n":
                found.append("its sibling is dead")
                sibling = await shared.session(SessionSpec("", limits=limits))
            results[escape.name] = found
            await session.aclose()
    finally:
        await sandbox.aclose()
    return {"uid": os.getuid(), "results": results, "workers": workers}


def attempt_unconfined(world: World) -> dict[str, Any]:
    """The same without a sandbox, for the attempts that are known to succeed then."""
    results: dict[str, list[str]] = {}
    for escape in ESCAPES:
        if escape.control:
            with subprocess.Popen(
                [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
            ) as sibling:
                code = "recursive_llm = print\n" + world.fill(escape, sibling=sibling.pid, host=os.getppid())
                done = subprocess.run(
                    [sys.executable, "-c", code],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=30,
                    check=False,
                )
                results[escape.name] = world.breaches(done.stdout, done.stdout)
                if sibling.poll() is not None and sibling.returncode == -signal.SIGKILL:
                    results[escape.name].append("its sibling is dead")
                sibling.kill()
    return {"uid": os.getuid(), "results": results}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        world = World(folder)
        try:
            found = attempt_unconfined(world) if "--unconfined" in sys.argv else anyio.run(attempt_all, world)
        finally:
            world.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
