"""The lockdown refuses rather than pretends: as root, on a kernel without seccomp, and when it does not hold."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_START = """
import os, sys, struct, ctypes
from habit.errors import SandboxError
from habit.sandbox.cpython import lockdown, seccomp
from habit.sandbox.cpython.syscalls import X86_64
"""
_LOCK = """
try:
    lockdown.lock(4 << 30)
except SandboxError as error:
    print(error)
else:
    print("locked")
"""


def printed(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", _START + code + _LOCK], env=environment, capture_output=True, text=True, check=False
    )
    return (done.stdout + done.stderr).strip()


def test_it_holds_here() -> None:
    assert printed("lockdown.drop_privileges()") == "locked"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can forget to drop its privileges")
def test_root_is_refused() -> None:
    assert "as root" in printed("")


def test_a_kernel_without_seccomp_is_refused() -> None:
    """A first filter takes the system call away, as an old kernel or a strict container does."""
    code = """
lockdown.drop_privileges()
lockdown._prctl(lockdown.PR_SET_NO_NEW_PRIVS, 1)
number = X86_64.numbers["seccomp"]
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, number), seccomp.MISSING, seccomp.ALLOW]
seccomp.program, real = lambda machine, pid: b"".join(struct.pack("<HBBI", *step) for step in steps), seccomp.program
lockdown._filter_syscalls(X86_64)
seccomp.program = real
"""
    assert "cannot lock itself down on this kernel (seccomp failed)" in printed(code).replace("[Errno 38] ", "")


def test_a_lockdown_that_does_not_hold_is_refused() -> None:
    code = "lockdown.drop_privileges()\nlockdown._filter_syscalls = lambda machine: None"
    assert "does not hold on this kernel" in printed(code)


def test_without_landlock_the_filter_alone_holds() -> None:
    code = "lockdown.drop_privileges()\nlockdown._forbid_files = lambda machine: None"
    assert printed(code) == "locked"


@pytest.mark.skipif(os.getuid() != 0, reason="only root has privileges to drop")
def test_root_that_cannot_become_nobody_is_told_what_to_do() -> None:
    code = """
def refuse(*ids):
    raise PermissionError(1, "Operation not permitted")
lockdown.os.setresgid = refuse
try:
    lockdown.drop_privileges()
except SandboxError as error:
    print(error)
    sys.exit()
"""
    assert "run Habit as an ordinary user" in printed(code)
