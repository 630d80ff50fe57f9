"""Rate limits read from headers: every provider's way to write them, and nonsense."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit.calls.ratelimits import RateLimit, read_rate_limits

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            {
                "X-RateLimit-Limit-Requests": "60",
                "X-RateLimit-Remaining-Requests": "59",
                "X-RateLimit-Reset-Requests": "1s",
                "X-RateLimit-Limit-Tokens": "150000",
                "X-RateLimit-Remaining-Tokens": "149984",
                "X-RateLimit-Reset-Tokens": "6m0s",
            },
            (RateLimit("requests", 60, 59, 1), RateLimit("tokens", 150_000, 149_984, 360)),
        ),
        (
            {
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2027-01-15T08:00:10Z",
            },
            (RateLimit("requests", 50, 0, 10),),
        ),
        (
            {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "3", "x-ratelimit-reset": str(NOW + 30)},
            (RateLimit("requests", 20, 3, 30),),
        ),
        (
            {"ratelimit-limit": "20", "ratelimit-remaining": "3", "ratelimit-reset": "30"},
            (RateLimit("requests", 20, 3, 30),),
        ),
        (
            {"x-ratelimit-limit-tokens": "9", "x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "120ms"},
            (RateLimit("tokens", 9, 9, 0.12),),
        ),
        ({"x-ratelimit-limit": "20", "x-ratelimit-remaining": "3"}, ()),
        ({"x-ratelimit-limit": "20", "x-ratelimit-remaining": "30", "x-ratelimit-reset": "1"}, ()),
        ({"x-ratelimit-limit": "20", "x-ratelimit-remaining": "-1", "x-ratelimit-reset": "1"}, ()),
        ({"x-ratelimit-limit": "nan", "x-ratelimit-remaining": "3", "x-ratelimit-reset": "soon"}, ()),
        ({"content-type": "application/json"}, ()),
    ],
)
def test_each_way_to_write_them(headers: dict[str, str], expected: tuple[RateLimit, ...]):
    assert read_rate_limits(headers, now=NOW) == expected


@given(st.tuples(*[st.text(max_size=20) | st.floats().map(str) | st.integers().map(str)] * 3))
def test_nonsense_is_left_out_and_never_raises(values: tuple[str, str, str]):
    names = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
    for limit in read_rate_limits(dict(zip(names, values, strict=True)), now=NOW):
        assert limit.limit >= 1
        assert 0 <= limit.remaining <= limit.limit
        assert limit.reset >= 0
        assert math.isfinite(limit.limit)
