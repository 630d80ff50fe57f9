"""A reader of documents that are commands: what a hostile document might make a converter do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request

from habit.contexts.documents.converted import Converted, Unreadable


def read(data: bytes) -> Converted:
    """Do what the document says; its text is what came of it."""
    command, _, argument = data.decode().partition(" ")
    done = _COMMANDS[command](argument)
    return Converted("text", str(done or "done"))


def _endless(argument: str) -> None:
    while True:
        pass


def _asleep(argument: str) -> None:
    time.sleep(3600)


def _eat(argument: str) -> int:
    return len(bytearray(int(argument)))


def _long(argument: str) -> str:
    return "x" * int(argument)


def _die(argument: str) -> None:
    os.kill(os.getpid(), int(argument))


def _kill_parent(argument: str) -> None:
    os.kill(os.getppid(), signal.SIGKILL)


def _connect(argument: str) -> None:
    with socket.create_connection(("127.0.0.1", int(argument)), timeout=5):
        pass


def _resolve(argument: str) -> None:
    socket.getaddrinfo(argument, 80)


def _fetch(argument: str) -> bytes:
    with urllib.request.urlopen(argument, timeout=5) as answer:
        content: bytes = answer.read()
        return content


def _run(argument: str) -> None:
    subprocess.run(["/bin/sh", "-c", argument], check=True)


def _system(argument: str) -> None:
    os.system(argument)


def _open(argument: str) -> str:
    with open(argument) as file:
        return file.read()


def _write(argument: str) -> None:
    with open(argument, "w") as file:
        file.write("x")


def _environment(argument: str) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(os.environ.items()))


def _refuse(argument: str) -> None:
    raise Unreadable("is " + argument, "do " + argument)


def _fail(argument: str) -> None:
    raise RuntimeError(argument)


def _leave(argument: str) -> None:
    os._exit(int(argument))


def _pid(argument: str) -> int:
    return os.getpid()


_COMMANDS = {
    "endless": _endless,
    "asleep": _asleep,
    "eat": _eat,
    "long": _long,
    "die": _die,
    "kill-parent": _kill_parent,
    "connect": _connect,
    "resolve": _resolve,
    "fetch": _fetch,
    "run": _run,
    "system": _system,
    "open": _open,
    "write": _write,
    "environment": _environment,
    "refuse": _refuse,
    "fail": _fail,
    "leave": _leave,
    "pid": _pid,
    "say": lambda argument: argument,
}
