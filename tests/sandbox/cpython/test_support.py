"""Where the sandbox cannot work it says why, and names the way on; nothing is started and nothing weaker is taken."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from habit.contexts.context import Context
from habit.errors import SandboxError
from habit.sandbox.cpython import CPythonSandbox, support, supported
from habit.sandbox.cpython.syscalls import ARCHITECTURES
from sandbox.cpython.kernel import HERE

WAY_ON = ("pip install 'habit[monty]'", "--sandbox monty")
PROBE = "from habit.sandbox.cpython import supported; print(supported())"
TAKE_AWAY = """
import os, struct
from habit.sandbox.cpython import lockdown, seccomp
machine = lockdown.architecture()
if os.getuid() == 0:
    lockdown.drop_privileges()
lockdown._prctl(lockdown.PR_SET_NO_NEW_PRIVS, 1)
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, NUMBER), seccomp.MISSING, seccomp.ALLOW]
seccomp.program = lambda machine, pid: b"".join(struct.pack("<HBBI", *step) for step in steps)
lockdown._filter_syscalls(machine)
"""

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root has rights to lose")


def printed(code: str, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [*command, sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    return (done.stdout + done.stderr).strip()


def test_it_is_supported_here() -> None:
    assert platform.machine() in ARCHITECTURES
    assert supported() is None


@contextmanager
def another_machine(patch: pytest.MonkeyPatch, case: str) -> Iterator[None]:
    with patch.context() as patched:
        if case in ("darwin", "win32"):
            patched.setattr(sys, "platform", case)
        elif case == "32 bits":
            patched.setattr("habit.sandbox.cpython.support.struct.calcsize", lambda kind: 4)
        else:
            patched.setattr(platform, "machine", lambda: case)
        yield


@pytest.mark.parametrize("case", ["darwin", "win32", "riscv64", "ppc64le", "i686", "armv7l", "", "32 bits"])
async def test_an_unknown_machine_refuses_with_the_way_on(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = CPythonSandbox()
    with another_machine(monkeypatch, case):
        reason = supported()
        with pytest.raises(SandboxError) as refusal:
            await sandbox.share(Context.of("x"))
    assert reason is not None
    message = str(refusal.value)
    assert message.startswith(reason)
    assert all(words in message for words in WAY_ON)
    assert message.count(". ") == 0
    assert message.endswith(".")
    assert sandbox._zygote is None
    await sandbox.aclose()


def test_the_zygote_asks_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may run another Python than its host."""
    with another_machine(monkeypatch, "riscv64"), pytest.raises(SandboxError, match="riscv64"):
        support.require()


@pytest.mark.parametrize(("call", "reason"), [("seccomp", "needs seccomp filters"), ("pidfd_open", "needs pidfds")])
def test_a_kernel_that_lacks_something_is_told_from_one_that_has_it(call: str, reason: str) -> None:
    """A first filter takes the system call away, as an old kernel or a strict container does."""
    assert reason in printed(TAKE_AWAY.replace("NUMBER", str(HERE[call])) + PROBE)


def test_asking_changes_nothing() -> None:
    """No filter stays behind, and no descriptor."""
    look = "(len(os.listdir('/proc/self/fd')), *[x for x in open('/proc/self/status') if x.startswith('Seccomp')])"
    assert printed(f"import os\nbefore = {look}\n{PROBE}\nprint(before == {look})") == "None\nTrue"


@as_root
@pytest.mark.parametrize("right", ["setuid", "setgid"])
def test_root_without_the_right_to_become_nobody_is_told_so(right: str) -> None:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("setpriv is not installed")
    assert "give up root" in printed(PROBE, setpriv, f"--bounding-set=-{right}")


def test_root_of_a_namespace_with_one_user_is_told_so() -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-Ur", "true"], capture_output=True, check=False).returncode:
        pytest.skip("user namespaces are not to be had here")
    assert "give up root in this user namespace" in printed(PROBE, unshare, "-Ur")


def test_asking_needs_none_of_the_backend() -> None:
    """A machine without ``fcntl`` or ``resource`` may ask too."""
    code = PROBE + "\nimport sys\nprint([name for name in ('resource', 'fcntl', 'anyio') if name in sys.modules])"
    assert printed(code) == "None\n[]"
