"""Locks the current process down for good: no privileges, no files, no network, no other processes.

Two steps. ``drop_privileges`` turns root into nobody (the zygote does it once its imports are done); ``lock`` takes
everything else from a worker, right before it sees model-written code. Python is not the wall: ``ctypes`` stays
reachable inside, so the kernel's filter is.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import struct
from collections.abc import Callable

from habit.errors import SandboxError
from habit.sandbox.cpython import seccomp
from habit.sandbox.cpython.support import (
    NOBODY,
    SECCOMP_FILTER_FLAG_TSYNC,
    SECCOMP_SET_MODE_FILTER,
    WAY_ON,
    architecture,
)
from habit.sandbox.cpython.syscalls import Architecture

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
LANDLOCK_CREATE_RULESET_VERSION = 1
MAX_PROCESSES = 16_384
"""Threads and processes that the worker's user may have before a worker of ours gets no more: stops a thread bomb
made below Python, and leaves room for a thousand busy sessions."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that forked it ends."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def close_all_but(keep: int) -> None:
    """Leave open only the descriptor ``keep`` and the standard streams (which lead to /dev/null already)."""
    number = architecture().numbers["close_range"]
    for first, last in ((3, keep - 1), (keep + 1, 0xFFFFFFFF)):
        if first <= last and _libc.syscall(number, *(ctypes.c_uint(word) for word in (first, last, 0))):
            os.closerange(first, min(last + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0]))


def drop_privileges() -> None:
    """Root becomes nobody; an ordinary user stays who they are. Raises SandboxError when root cannot."""
    if os.getuid() != 0 and os.geteuid() != 0:
        return
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError as error:
        raise SandboxError(
            f"The sandbox cannot give up root here ({error.strerror}): run Habit as an ordinary user, or {WAY_ON}."
        ) from error


_compiled: dict[str, seccomp.Template] = {}


def prepare() -> None:
    """Make what the lockdowns of all forked processes have in common: the filter, but for the process's own number."""
    machine = architecture()
    _compiled[machine.name] = seccomp.template(machine)


def lock(memory: int) -> None:
    """Lock this process down; ``memory`` is its address space limit in bytes. Raises SandboxError."""
    machine = architecture()
    if 0 in (os.getuid(), os.geteuid()):
        raise SandboxError("The sandbox would run model-written code as root: that is a bug, please report it.")
    try:
        _prctl(PR_SET_NO_NEW_PRIVS, 1)
        _prctl(PR_SET_DUMPABLE, 0)
        _limit_resources(memory)
        _forbid_files(machine)
        _filter_syscalls(machine)
    except OSError as error:
        raise SandboxError(f"The sandbox cannot lock itself down on this kernel ({error}): {WAY_ON}.") from error
    _verify()


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(ctypes.c_int(option), *(ctypes.c_ulong(word) for word in (value, 0, 0, 0))):
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


def _limit_resources(memory: int) -> None:
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_NPROC: MAX_PROCESSES,
        resource.RLIMIT_SIGPENDING: 64,
    }
    for which, wanted in limits.items():
        hard = resource.getrlimit(which)[1]
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(which, (value, value))


def _forbid_files(machine: Architecture) -> None:
    """Landlock, where the kernel has it: a second wall that denies files, TCP, abstract sockets and signals."""
    create, restrict = machine.numbers["landlock_create_ruleset"], machine.numbers["landlock_restrict_self"]
    version = _libc.syscall(create, None, ctypes.c_size_t(0), ctypes.c_uint(LANDLOCK_CREATE_RULESET_VERSION))
    if version < 1:
        return
    file_rights = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    network_rights = 0b11 if version >= 4 else 0
    scopes = 0b11 if version >= 6 else 0
    size = 8 if version < 4 else 16 if version < 6 else 24
    rules = struct.pack("<QQQ", file_rights, network_rights, scopes)
    ruleset = _libc.syscall(create, ctypes.c_char_p(rules), ctypes.c_size_t(size), ctypes.c_uint(0))
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset failed")
    try:
        if _libc.syscall(restrict, ctypes.c_int(ruleset), ctypes.c_uint(0)):
            raise OSError(ctypes.get_errno(), "landlock_restrict_self failed")
    finally:
        os.close(ruleset)


def _filter_syscalls(machine: Architecture) -> None:
    known = _compiled.get(machine.name)
    code = known.program(os.getpid()) if known else seccomp.program(machine, os.getpid())
    instructions = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("<HxxxxxxQ", len(code) // 8, ctypes.addressof(instructions))
    number = machine.numbers["seccomp"]
    flags = ctypes.c_uint(SECCOMP_FILTER_FLAG_TSYNC)
    if _libc.syscall(number, ctypes.c_uint(SECCOMP_SET_MODE_FILTER), flags, ctypes.c_char_p(header)):
        raise OSError(ctypes.get_errno(), "seccomp failed")


def _verify() -> None:
    """Trust nothing: try what must be impossible now."""
    attempts: dict[str, Callable[[], None]] = {
        "open a file": lambda: os.close(os.open("/", os.O_RDONLY)),
        "open a socket": lambda: socket.socket().close(),
        "send signals": lambda: os.kill(os.getpid(), 0),
    }
    for what, attempt in attempts.items():
        try:
            attempt()
        except PermissionError:
            continue
        raise SandboxError(f"The lockdown does not hold on this kernel (a worker could {what}): {WAY_ON}.")
