"""What a server says of its rate limits, read from the headers of any of its answers."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Unit = Literal["requests", "tokens"]

_UNITS: tuple[Unit, ...] = ("requests", "tokens")
_NAMES = (
    "x-ratelimit-{part}-{unit}",  # OpenAI and those who speak its protocol
    "anthropic-ratelimit-{unit}-{part}",
    "x-ratelimit-{part}",  # gateways: always requests
    "ratelimit-{part}",
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_UNIX_FROM = 1e9
"""A bare number from here on is a moment in Unix time, not a count of seconds."""


@dataclass(frozen=True)
class RateLimit:
    """One limit as it stood when the server took the request."""

    unit: Unit
    limit: float
    """What may be used at once after a long rest."""
    remaining: float
    reset: float
    """Seconds until all of ``limit`` is there again."""


def read_rate_limits(headers: Mapping[str, str], *, now: float | None = None) -> tuple[RateLimit, ...]:
    """The limits that ``headers`` tell of, at most one for each unit; what makes no sense is left out.

    ``now`` is Unix time, for headers that name a moment.
    """
    lowered = {name.lower(): value for name, value in headers.items() if "ratelimit" in name.lower()}
    if not lowered:
        return ()
    now = time.time() if now is None else now
    found = (_read(lowered, unit, now) for unit in _UNITS)
    return tuple(limit for limit in found if limit is not None)


def _read(headers: Mapping[str, str], unit: Unit, now: float) -> RateLimit | None:
    for name in _NAMES:
        if "{unit}" not in name and unit != "requests":
            continue
        parts = [headers.get(name.format(part=part, unit=unit)) for part in ("limit", "remaining", "reset")]
        if None in parts:
            continue
        limit, remaining, reset = _number(parts[0]), _number(parts[1]), _seconds(parts[2], now)
        if limit is not None and remaining is not None and reset is not None and 0 <= remaining <= limit >= 1:
            return RateLimit(unit, limit, remaining, reset)
    return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _seconds(text: str | None, now: float) -> float | None:
    """Seconds from ``12``, ``1m3.5s``, ``120ms``, Unix time, or an ISO 8601 moment."""
    text = (text or "").strip()
    value = _number(text)
    if value is not None:
        return max(0.0, value - now if value >= _UNIX_FROM else value)
    parts = _DURATION.findall(text)
    if parts and "".join(amount + unit for amount, unit in parts) == text:
        return sum(float(amount) * _SECONDS[unit] for amount, unit in parts)
    try:
        return max(0.0, datetime.fromisoformat(text).timestamp() - now)
    except (ValueError, OverflowError):
        return None
