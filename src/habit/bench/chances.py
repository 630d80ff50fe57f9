"""How sure a share is: Wilson's interval, and the exact test of two ways that were asked the same questions."""

from __future__ import annotations

import math

_Z = 1.959963984540054
"""Of a normal distribution, 95 % lie within so many deviations."""


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of the share ``right / count``; from 0 to 1 where nothing was counted.

    Wilson, E. B. (1927): Probable inference, the law of succession, and statistical inference.
    """
    if count == 0:
        return 0.0, 1.0
    share, spread = right / count, _Z * _Z / count
    middle = (share + spread / 2) / (1 + spread)
    half = _Z * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def mcnemar(first_only: int, second_only: int) -> float:
    """How probable it is that two equally good ways differ at least so much in which of them alone is right: exact,
    two-sided (McNemar 1947)."""
    count = first_only + second_only
    tail = sum(math.comb(count, k) for k in range(min(first_only, second_only) + 1))
    return min(1.0, 2 * tail / (1 << count))
