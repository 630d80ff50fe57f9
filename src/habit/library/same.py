"""Whether two answers are the same: what shadows, repairs, cases and relations compare by."""

from __future__ import annotations

import math
from typing import Any

from habit.calls.returns import Returns
from habit.run import plain


def same_answer(returns: Returns, one: Any, other: Any) -> bool:
    """Whether ``one`` and ``other`` are the same answer of the type ``returns``: both are read as that type first."""
    return same(_typed(returns, one), _typed(returns, other))


def _typed(returns: Returns, answer: Any) -> Any:
    value = plain(answer)
    try:
        return returns.check(value)
    except (ValueError, TypeError):  # such as a date, which is no JSON any more
        return value


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same, as JSON has types: a boolean is no number, 1 and 1.0 are one number.

    Numbers that are not whole may differ by what adding in another order makes.
    """
    match one, other:
        case bool(), _:
            return one is other
        case _, bool():
            return False
        case int() | float(), int() | float():
            return _same_number(one, other)
        case list(), list():
            return len(one) == len(other) and all(map(same, one, other))
        case dict(), dict():
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
        case _:
            return type(one) is type(other) and bool(one == other)


def _same_number(one: float, other: float) -> bool:
    if one == other:
        return True
    if _is_whole(one) and _is_whole(other):
        return False
    try:
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12) or (math.isnan(one) and math.isnan(other))
    except OverflowError:  # an int that no float can hold
        return False


def _is_whole(number: float) -> bool:
    """Whether it was not rounded: larger floats are whole whatever was added up."""
    return isinstance(number, int) or (number.is_integer() and abs(number) < 2**53)
