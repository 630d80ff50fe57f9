"""No attempt to get out of a session succeeds, whether its host is root or an ordinary user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import habit
from sandbox.cpython.escapes import ESCAPES

ORDINARY_USER = 12345
TESTS = Path(__file__).parents[2]
SOURCE = Path(habit.__file__).parents[1]
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
    reach them by the same path.
    """
    if os.getuid() != 0:
        pytest.skip("the tests do not run as root, so they run as an ordinary user already")
    for tool in ("unshare", "setpriv", "mount"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    lines = []
    for number, (closed, wanted) in enumerate(sorted(closed_folders().items())):
        stash = f"/tmp/habit-stash-{os.getpid()}-{number}"
        lines += [f"mkdir -p {stash}", f"mount --bind {closed} {stash}", f"mount -t tmpfs -o mode=755 none {closed}"]
        for path in sorted(wanted):
            lines += [f"mkdir -p {path}", f"mount --bind {stash}/{path.relative_to(closed)} {path}"]
        lines += [f"umount {stash}", f"rmdir {stash}"]
    user = f"setpriv --reuid={ORDINARY_USER} --regid={ORDINARY_USER} --clear-groups --inh-caps=-all"
    script = " && ".join([*lines, f'exec {user} "$@"'])
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
    tried = subprocess.run([*command, sys.executable, "-c", "0"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"an ordinary user can't run this Python here: {tried.stderr.strip()}")
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
    assert len(names) == len(set(names)) >= 45


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
