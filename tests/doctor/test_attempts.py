"""The self-test: refused in a real sandbox, seen to succeed where there is none, and honest about what got out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from habit.contexts.context import Context
from habit.doctor.attempts import ATTEMPTS, EXIT, GLUTTON, LOOP, VARIABLE
from habit.doctor.sandbox import backend, kernel, self_test, unavailable
from habit.errors import SandboxError
from habit.sandbox.choose import monty_is_installed, open_sandbox
from habit.sandbox.session import CellResult, Host, SessionSpec

NAMES = [attempt.name for attempt in (*ATTEMPTS, GLUTTON, LOOP, EXIT)]


@pytest.mark.parametrize("name", ["cpython", "monty"])
async def test_every_attempt_is_refused_by_the_real_sandboxes(name: str) -> None:
    if name == "monty" and not monty_is_installed():
        pytest.skip("pydantic-monty is not installed: pip install 'habit[monty]'")
    sandbox = open_sandbox(name)
    try:
        finding = await self_test(sandbox, name)
    finally:
        await sandbox.aclose()
    assert (finding.grade, finding.remedy) == ("ok", ""), finding
    assert finding.message == f"{name}: all 14 attempts to get out of a session were refused."
    assert list(finding.details["attempts"]) == NAMES
    assert finding.details["attempts"][EXIT.name].startswith("died" if name == "cpython" else "error")
    assert finding.details["attempts"][LOOP.name].startswith("timeout")
    assert unavailable(sandbox) is None


@pytest.mark.parametrize(
    ("wanted", "lacking", "monty", "grade", "name", "said"),
    [
        ("auto", None, False, "ok", "cpython", "auto takes cpython."),
        ("cpython", None, False, "ok", "cpython", "cpython, as asked for."),
        ("auto", "No seccomp", True, "warning", "monty", "No seccomp: cells run in the monty sandbox"),
        ("auto", "No seccomp", False, "problem", None, "No seccomp."),
        ("cpython", "No seccomp", True, "problem", None, "No seccomp."),
        ("monty", None, False, "problem", None, "The monty sandbox is not installed."),
    ],
)
def test_the_backend_that_is_taken(
    monkeypatch: pytest.MonkeyPatch,
    wanted: str,
    lacking: str | None,
    monty: bool,
    grade: str,
    name: str | None,
    said: str,
) -> None:
    monkeypatch.setattr("habit.sandbox.choose.supported", lambda: lacking)
    monkeypatch.setattr("habit.sandbox.choose.monty_is_installed", lambda: monty)
    finding, taken = backend(wanted)
    assert (finding.grade, taken) == (grade, name)
    assert finding.message.startswith(said)
    assert ("pip install 'habit[monty]'" in finding.remedy) == (grade == "problem")


class Unconfined:
    """No sandbox at all: cells run in a plain Python that has this process's environment."""

    unavailable: Mapping[str, str] = {}
    description = ""

    def __init__(self, *, broken_after_exit: bool = False) -> None:
        self._broken_after_exit = broken_after_exit
        self._broken = False

    async def warm_up(self) -> None: ...

    async def share(self, context: Context) -> Any:
        return self

    async def session(self, spec: SessionSpec) -> Any:
        if self._broken:
            raise SandboxError("it is gone")
        return self

    def set_query(self, query: str) -> None: ...

    async def aclose(self) -> None: ...

    async def run_cell(self, code: str, host: Host) -> CellResult:
        if code == LOOP.code:
            return CellResult("ok")
        self._broken = self._broken_after_exit and code == EXIT.code
        done = subprocess.run(
            [sys.executable, "-c", f"context = 'a context'\n{code}"], capture_output=True, text=True, timeout=60
        )
        return CellResult("error" if done.returncode else "ok", done.stdout, error=done.stderr)


async def test_every_attempt_is_seen_to_succeed_without_a_sandbox() -> None:
    """Otherwise it would prove nothing."""
    finding = await self_test(Unconfined(broken_after_exit=True), "none")
    assert finding.grade == "problem"
    assert finding.message == f"none: a cell could {', '.join(NAMES)}."
    assert "--sandbox monty" in finding.remedy


async def test_the_secret_is_gone_when_the_test_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    await self_test(Unconfined(), "none")
    assert VARIABLE not in os.environ


async def test_a_session_that_dies_is_a_refusal_and_the_next_attempt_gets_another() -> None:
    class Deadly(Unconfined):
        opened = 0

        async def session(self, spec: SessionSpec) -> Any:
            self.opened += 1
            return self

        async def run_cell(self, code: str, host: Host) -> CellResult:
            return CellResult("ok", "63") if "context" in code else CellResult("died")

    sandbox = Deadly()
    assert (await self_test(sandbox, "deadly")).grade == "ok"
    assert sandbox.opened == len(NAMES) + 1


def test_modules_that_cells_cannot_import_are_named() -> None:
    sandbox = Unconfined()
    sandbox.unavailable = {"lzma": "No module named '_lzma'"}
    finding = unavailable(sandbox)
    assert finding is not None
    assert (finding.grade, finding.message) == ("warning", "Cells cannot import lzma.")


@pytest.mark.parametrize(
    ("lacking", "landlock", "grade", "said"),
    [
        (None, 5, "ok", "seccomp, Landlock 5 behind it"),
        (None, 0, "ok", "no Landlock, so seccomp is the only wall"),
        ("The cpython sandbox needs Linux and this is darwin", 0, "warning", "this is darwin."),
    ],
)
def test_what_the_kernel_offers(
    monkeypatch: pytest.MonkeyPatch, lacking: str | None, landlock: int, grade: str, said: str
) -> None:
    monkeypatch.setattr("habit.doctor.sandbox.supported", lambda: lacking)
    monkeypatch.setattr("habit.doctor.sandbox.landlock_version", lambda number: landlock)
    finding = kernel()
    assert finding.grade == grade
    assert said in finding.message
    assert ("monty" in finding.remedy) == (grade == "warning")
