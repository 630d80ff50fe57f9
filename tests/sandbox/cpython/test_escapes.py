"""No attempt to get out of a session succeeds, whether its host is root or an ordinary user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import habit
from habit.sandbox.cpython.support import NOBODY
from sandbox.cpython.escapes import ESCAPES

ORDINARY_USER = 12345
TESTS = Path(__file__).parents[2]
SOURCE = Path(habit.__file__).parents[1]
_BECOME = """
import os, sys
uid = int(sys.argv[1])
os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)
os.execv(sys.argv[2], sys.argv[2:])
"""
_PROGRAM = [sys.executable, "-c", "from sandbox.cpython.world import main; main()"]


def run_world(*arguments: str, command: list[str] | None = None) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}:{SOURCE}"}
    done = subprocess.run(
        [*(command or []), *_PROGRAM, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@cache
def confined() -> dict[str, Any]:
    return run_world()


@cache
def confined_as_ordinary_user() -> dict[str, Any]:
    return run_world(command=as_ordinary_user())


@cache
def unconfined() -> dict[str, Any]:
    return run_world("--unconfined")


def as_ordinary_user() -> list[str]:
    """What to put before a command so that an ordinary user runs it, with this very Python and source.

    These may lie in a folder that only root may enter. Then they are mounted, for that command alone, where anyone can
    reach them by the same path. Root that cannot do this fails the tests: half of the proof would be missing.
    """
    if os.getuid() != 0:
        pytest.skip("the tests do not run as root, so the other half of them is made as an ordinary user already")
    user = [sys.executable, "-c", _BECOME, str(ORDINARY_USER)]
    closed = closed_folders()
    command = [*user]
    if closed:
        lines = []
        for number, (folder, wanted) in enumerate(sorted(closed.items())):
            stash = f"/tmp/habit-stash-{os.getpid()}-{number}"
            lines += [
                f"mkdir -p {stash}",
                f"mount --bind {folder} {stash}",
                f"mount -t tmpfs -o mode=755 none {folder}",
            ]
            for path in sorted(wanted):
                lines += [f"mkdir -p {path}", f"mount --bind {stash}/{path.relative_to(folder)} {path}"]
            lines += [f"umount {stash}", f"rmdir {stash}"]
        script = " && ".join([*lines, 'exec "$@"'])
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *user]
    try:
        tried = subprocess.run([*command, sys.executable, "-c", "0"], capture_output=True, text=True, check=False)
        trouble = tried.stderr.strip() if tried.returncode else ""
    except FileNotFoundError as missing:
        trouble = str(missing)
    if trouble:
        where = ", ".join(map(str, closed)) or "this machine"
        pytest.fail(f"an ordinary user can't run Python in {where}: move it to where others may enter ({trouble})")
    return command


def closed_folders() -> dict[Path, set[Path]]:
    """The folders on the way to Python and the source that others may not enter, with what is needed below each."""
    needed = {Path(sys.base_prefix), Path(sys.prefix), Path(sys.executable).resolve().parent, SOURCE, TESTS}
    found: dict[Path, set[Path]] = {}
    for path in {path.resolve() for path in needed} | needed:
        for folder in [*reversed(path.parents), path]:
            if not folder.stat().st_mode & 0o001:
                found.setdefault(folder, set()).add(path)
                break
    return found


def test_the_list_is_long_and_names_are_unique() -> None:
    names = [escape.name for escape in ESCAPES]
    assert len(names) == len(set(names)) >= 60
    assert sum(escape.control for escape in ESCAPES) >= 60


def is_locked_down(worker: dict[str, str], uid: int) -> bool:
    """By what the kernel says of it: four ids each (real, effective, saved, of files), no rights and a filter."""
    return (
        worker["Uid"].split() == worker["Gid"].split() == [str(uid)] * 4
        and worker["Groups"] == ""
        and all(int(worker[rights], 16) == 0 for rights in ("CapInh", "CapPrm", "CapEff", "CapAmb"))
        and worker["NoNewPrivs"] == "1"
        and worker["Seccomp"] == "2"
    )


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes nobody; the next test is about everybody else")
def test_every_worker_of_root_is_nobody_and_may_nothing() -> None:
    found = confined()
    assert found["uid"] == 0
    assert len(found["workers"]) == len(ESCAPES)
    assert [worker for worker in found["workers"] if not is_locked_down(worker, NOBODY)] == []


def test_every_worker_of_an_ordinary_user_is_that_user_and_may_nothing() -> None:
    found = confined() if os.getuid() != 0 else confined_as_ordinary_user()
    uid = os.getuid() or ORDINARY_USER
    assert found["uid"] == uid
    assert len(found["workers"]) == len(ESCAPES)
    ours = [{**worker, "Groups": "", "Gid": worker["Uid"]} if os.getuid() else worker for worker in found["workers"]]
    assert [worker for worker in ours if not is_locked_down(worker, uid)] == []


@pytest.mark.parametrize("name", [escape.name for escape in ESCAPES])
def test_no_attempt_succeeds(name: str) -> None:
    assert confined()["results"][name] == []


@pytest.mark.parametrize("name", [escape.name for escape in ESCAPES])
def test_no_attempt_succeeds_where_the_host_is_an_ordinary_user(name: str) -> None:
    found = confined_as_ordinary_user()
    assert found["uid"] == ORDINARY_USER
    assert found["results"][name] == []


@pytest.mark.parametrize("name", [escape.name for escape in ESCAPES if escape.control])
def test_the_attempt_would_be_seen_to_succeed_without_a_sandbox(name: str) -> None:
    """Otherwise it would prove nothing."""
    assert unconfined()["results"][name] != []
