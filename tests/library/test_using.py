"""From an approved habit to what a scheduler runs."""

from __future__ import annotations

import pytest

from habit.contexts.context import Context
from habit.errors import UsageError
from habit.library.using import filled, judge_of
from habit.schedulers.habit import Chosen
from support.libraries import a_habit


def test_a_trial_that_has_promised_nothing_is_judged_by_nothing() -> None:
    assert list(judge_of(Chosen("count-label", 2, "", {}), Context.of("a,b\n"))(7)) == []  # when it is resumed


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "1,5"])
def test_a_number_is_one_that_json_can_hold(text: str) -> None:
    habit = a_habit(parameters={"least": {"type": "number", "example": 1.5}})
    assert filled(habit.spec, {"least": "2"}) == {"least": 2.0}
    with pytest.raises(UsageError, match="must be of type number"):
        filled(habit.spec, {"least": text})
