"""From an approved habit to what a scheduler runs."""

from __future__ import annotations

from habit.contexts.context import Context
from habit.library.using import judge_of
from habit.schedulers.habit import Chosen


def test_a_trial_that_has_promised_nothing_is_judged_by_nothing() -> None:
    assert list(judge_of(Chosen("count-label", 2, "", {}), Context.of("a,b\n"))(7)) == []  # when it is resumed
