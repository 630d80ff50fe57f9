"""Checks: each bounded, none able to stop another, their order kept, no secret let out."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import anyio
import pytest

from habit.doctor.findings import Check, Finding, in_thread, run_checks
from habit.errors import UsageError


def a_check(name: str, outcome: Finding | Exception, *, after: anyio.Event | None = None) -> Check:
    async def look() -> Sequence[Finding]:
        if after is not None:
            await after.wait()
        if isinstance(outcome, Exception):
            raise outcome
        return [outcome]

    return Check(name, 60.0, look)


async def test_one_failing_check_never_stops_the_others() -> None:
    fine = Finding("c", "ok", "fine")
    found = await run_checks(
        [a_check("a", UsageError("It is wrong: do it right.")), a_check("b", KeyError("x")), a_check("c", fine)]
    )
    assert [(finding.check, finding.grade) for finding in found] == [("a", "problem"), ("b", "problem"), ("c", "ok")]
    assert found[0].message == "It is wrong: do it right."
    assert found[1].message == "The check failed (KeyError: 'x')."


async def test_findings_are_told_in_order_and_as_soon_as_they_can_be() -> None:
    told: list[str] = []
    first_may_end = anyio.Event()

    async def last() -> Sequence[Finding]:
        assert told == []
        first_may_end.set()
        return [Finding("last", "ok", "")]

    checks = [a_check("first", Finding("first", "ok", ""), after=first_may_end), Check("last", 60.0, last)]
    found = await run_checks(checks, lambda finding: told.append(finding.check))
    assert told == [finding.check for finding in found] == ["first", "last"]


async def test_a_check_that_hangs_is_given_up() -> None:
    release = threading.Event()

    async def hangs() -> Sequence[Finding]:
        await in_thread(release.wait)
        return []

    try:
        found = await run_checks([Check("slow", 0.05, hangs), a_check("next", Finding("next", "ok", ""))])
    finally:
        release.set()
    assert [(finding.check, finding.grade) for finding in found] == [("slow", "warning"), ("next", "ok")]
    assert "0.05 seconds" in found[0].message


async def test_a_thread_hands_on_results_and_errors() -> None:
    assert await in_thread(lambda: 42) == 42
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


async def test_no_secret_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "correct-horse-battery")
    telling = Finding(
        "a", "problem", "said correct-horse-battery", "set correct-horse-battery", {"x": ["correct-horse-battery"]}
    )
    (found,) = await run_checks([a_check("a", telling)])
    assert "correct-horse" not in repr(found)
    assert found.message == "said …"
