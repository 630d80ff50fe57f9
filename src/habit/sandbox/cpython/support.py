"""Whether this machine can lock a worker down. Imports anywhere, so that other backends' users may ask."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from pathlib import Path

from habit.errors import SandboxError
from habit.sandbox.cpython.syscalls import ARCHITECTURES, Architecture

WAY_ON = "`pip install 'habit[monty]'` and choose `--sandbox monty`"
NOBODY = 65534

SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 1, 1
_CAP_SETGID, _CAP_SETUID = 6, 7


def supported() -> str | None:
    """None where the cpython backend can work, else one clause that says why not. Takes microseconds."""
    found = _architecture()
    if isinstance(found, str):
        return found
    return _kernel_lacks(found) or (_root_is_stuck() if 0 in (os.getuid(), os.geteuid()) else None)


def require() -> None:
    """Raise SandboxError, with the way on, unless the backend can work here."""
    if reason := supported():
        raise SandboxError(f"{reason}: {WAY_ON}.")


def architecture() -> Architecture:
    """What is known of this machine; raises SandboxError where that is nothing."""
    found = _architecture()
    if isinstance(found, str):
        raise SandboxError(f"{found}: {WAY_ON}.")
    return found


def _architecture() -> Architecture | str:
    if sys.platform != "linux":
        return f"The cpython sandbox needs Linux and this is {sys.platform}"
    machine = platform.machine()
    found = ARCHITECTURES.get(machine)
    if found is None:
        return f"The cpython sandbox has no syscall table for {machine or 'this machine'}"
    if struct.calcsize("P") != 8 or sys.byteorder != "little":
        return f"The cpython sandbox needs a 64-bit little-endian Python on {machine}"
    return found


def _kernel_lacks(machine: Architecture) -> str | None:
    """Ask for a filter without giving one: a kernel that would take it complains of the address only."""
    libc = ctypes.CDLL(None, use_errno=True)
    flags = ctypes.c_uint(SECCOMP_FILTER_FLAG_TSYNC)
    libc.syscall(machine.numbers["seccomp"], ctypes.c_uint(SECCOMP_SET_MODE_FILTER), flags, None)
    if ctypes.get_errno() != errno.EFAULT:
        return f"The cpython sandbox needs seccomp filters and this kernel has none ({os.strerror(ctypes.get_errno())})"
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        return f"The cpython sandbox needs pidfds (Linux 5.3) and this kernel has none ({error.strerror})"
    return None


def _root_is_stuck() -> str | None:
    """Why root cannot become nobody, as in a container without capabilities or with a single user."""
    try:
        status = Path("/proc/self/status").read_text()
        maps = [Path(f"/proc/self/{kind}_map").read_text() for kind in ("uid", "gid")]
    except OSError:
        return None  # no /proc: the zygote will find out
    rights = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), -1)
    if not (rights >> _CAP_SETGID & 1 and rights >> _CAP_SETUID & 1):
        return "The cpython sandbox may not give up root here (an ordinary user has no need to)"
    for text in maps:
        spans = [[int(word) for word in line.split()] for line in text.splitlines()]
        if not any(first <= NOBODY < first + count for first, _, count in spans):
            return "The cpython sandbox cannot give up root in this user namespace (an ordinary user has no need to)"
    return None
