"""No attempt to get out of a monty session succeeds, whether its host is root or an ordinary user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

from sandbox.cpython.escapes import ESCAPES
from sandbox.cpython.test_escapes import ORDINARY_USER, SOURCE, TESTS, as_ordinary_user

pytest.importorskip("pydantic_monty", reason="pip install 'habit[monty]'")


def run_attempts(command: list[str] | None = None) -> dict[str, Any]:
    done = subprocess.run(
        [*(command or []), sys.executable, "-c", "from sandbox.monty.attempts import main; main()"],
        env={**os.environ, "PYTHONPATH": f"{TESTS}:{SOURCE}"},
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
    return run_attempts()


@cache
def confined_as_ordinary_user() -> dict[str, Any]:
    return run_attempts(as_ordinary_user())


@pytest.mark.parametrize("name", [escape.name for escape in ESCAPES])
def test_no_attempt_succeeds(name: str) -> None:
    assert confined()["results"][name] == []


@pytest.mark.parametrize("name", [escape.name for escape in ESCAPES])
def test_no_attempt_succeeds_where_the_host_is_an_ordinary_user(name: str) -> None:
    found = confined_as_ordinary_user()
    assert found["uid"] == ORDINARY_USER
    assert found["results"][name] == []
