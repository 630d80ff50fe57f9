"""What is shown of how habits fare."""

from __future__ import annotations

from habit.library.evidence import Use
from habit.library.standing import standings


def test_what_a_habit_wrote_does_not_steer_the_terminal() -> None:
    reason = "KeyError: \x1b]0;owned\x07\x1b[2J\n\u202egnp" + "x" * 10_000
    (standing,) = standings([Use("count-label", 1, "r", 1.0, "fallback", reason)])
    shown = standing.text()
    assert all(line.isprintable() for line in shown.splitlines())
    assert len(shown.splitlines()) == 2
    assert len(shown) < 1_000
    assert standing.to_json()["reasons"] == [reason]
