"""Findings, and the checks that make them: each has a deadline, and none can stop another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import anyio

from habit.calls.failures import one_line, secrets_in_environment
from habit.errors import HabitError

T = TypeVar("T")
Grade = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    grade: Grade
    """``warning``: something is missing or odd, and Habit works without it. ``problem``: something will fail."""
    message: str
    """One line."""
    remedy: str = ""
    """One sentence that says what to do, where there is something to do."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """More of it, for ``--json``."""

    def to_json(self) -> dict[str, Any]:
        """The object that ``habit doctor --json`` prints for it."""
        return {
            "check": self.check,
            "status": self.grade,
            "message": self.message,
            "remedy": self.remedy,
            "details": dict(self.details),
        }


@dataclass(frozen=True)
class Check:
    """Something to look at, for at most ``seconds``."""

    name: str
    seconds: float
    look: Callable[[], Awaitable[Sequence[Finding]]]


async def run_checks(checks: Sequence[Check], on_finding: Callable[[Finding], None] = lambda _: None) -> list[Finding]:
    """What all ``checks`` found, in their order; ``on_finding`` hears of each as soon as those before it are known."""
    found: dict[int, Sequence[Finding]] = {}
    told: list[Finding] = []
    position = 0

    async def run(index: int, check: Check) -> None:
        nonlocal position
        found[index] = [_without_secrets(finding) for finding in await _outcome(check)]
        while position in found:
            for finding in found[position]:
                told.append(finding)
                on_finding(finding)
            position += 1

    async with anyio.create_task_group() as group:
        for index, check in enumerate(checks):
            group.start_soon(run, index, check)
    return told


async def _outcome(check: Check) -> Sequence[Finding]:
    try:
        with anyio.fail_after(check.seconds):
            return await check.look()
    except TimeoutError:
        slow = f"The check was not done within {check.seconds:g} seconds."
        return [Finding(check.name, "warning", slow, "Try again when the machine is less busy.")]
    except HabitError as error:
        return [Finding(check.name, "problem", str(error))]
    except Exception as error:  # noqa: BLE001 - whatever is wrong with this machine, the other checks go on
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return [Finding(check.name, "problem", f"The check failed ({what}).", "Please report this as a bug in Habit.")]


async def in_thread(work: Callable[[], T]) -> T:
    """What ``work`` returns, from a thread that nobody waits for when the check is out of time.

    A thread of anyio's would keep the process from ending while it hangs on a dead disk or network file system.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(error: Exception | None, value: Any) -> None:
        if future.done():  # given up
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)

    def run() -> None:
        value, problem = None, None
        try:
            value = work()
        except Exception as error:  # noqa: BLE001 - raised again where the result is awaited
            problem = error
        try:
            loop.call_soon_threadsafe(settle, problem, value)
        except RuntimeError:  # the loop is closed: given up
            return

    threading.Thread(target=run, name="habit doctor", daemon=True).start()
    return await future


def _without_secrets(finding: Finding) -> Finding:
    """``finding`` as it may be shown: whatever a provider or a file put into it, no key leaves this module."""
    secrets = secrets_in_environment()
    return replace(
        finding,
        message=one_line(finding.message, secrets),
        remedy=one_line(finding.remedy, secrets),
        details=_scrubbed(finding.details, secrets),
    )


def _scrubbed(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        return one_line(value, secrets)
    if isinstance(value, Mapping):
        return {str(key): _scrubbed(item, secrets) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_scrubbed(item, secrets) for item in value]
    return value
