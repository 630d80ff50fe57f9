"""How many requests a second a server takes: learned from its refusals, and from what its headers say."""

from __future__ import annotations

import math

from habit.calls.ratelimits import RateLimit

FAST = 0.7
"""Most growth in a second."""
BRISK = 0.25
"""Growth in a second up to near the rate that was refused last."""
CAREFUL = 0.005
"""Growth in a second beyond that; it grows itself, so that a limit that was lifted is found ever faster."""
CAREFULLY = 1.15
"""By what growth grows in a second."""
FIRST, FIRSTLY = 0.1, 2.0
"""The same two after a refusal that says little: the first of all, or one after which hardly anything got through."""
LEAST, MOST = 0.01, 1e6
BELOW, NEAR, WIDE = 0.97, 0.95, 0.9
"""How far below what was just refused, or was measured, to go on."""
LATE_SECONDS = 0.02
"""What is made up for at most when the event loop was late. It is less than what ``BELOW`` leaves of a second: so a
pace a little below a limit stays below it in every second."""
ENOUGH = 4
"""Accepted requests from which a measurement counts."""
HOLD_SECONDS, HOLD_REQUESTS, HOLD_PAUSES, MOST_HOLD = 10.0, 200, 20, 300.0
"""How long to stay at a pace before a faster one is tried: a trial ends in a refusal, and that in a pause."""
LONGEST_WAIT = 10.0
"""Seconds to wait on the word of a header alone: it may be wrong, and a refusal says more."""


class Pace:
    """The rate at which requests leave, in requests a second; None until a first refusal.

    Between two refusals a server has accepted as many requests as it allows in that time, give or take what it had
    saved up: that is what the pace is set by. From there it is held, and then grows slowly until the next refusal.
    """

    def __init__(self) -> None:
        self.rate: float | None = None
        self._saved = 1.0
        self._at = 0.0
        """When ``_saved`` and ``rate`` were brought up to date."""
        self._goal = math.inf
        """The rate to be held before a faster one is tried."""
        self._beyond, self._faster = FIRST, FIRSTLY
        """Growth beyond the goal."""
        self._hold_until: float | None = None
        """None until the goal is reached."""
        self._hold = 0.0
        self._settled = True
        """Whether anything much got through before the last refusal."""
        self._agreed = HOLD_SECONDS
        """To hold for longer and longer while refusals agree on where the limit is."""

    def ready_at(self, now: float) -> float:
        """The moment the next request may leave."""
        if self.rate is None:
            return now
        self._advance(now)
        return now if self._saved >= 1 else now + (1 - self._saved) / self.rate

    def take(self, now: float) -> None:
        """A request leaves."""
        if self.rate is not None:
            self._advance(now)
            self._saved -= 1

    def refused(self, now: float, *, accepted: int, seconds: float, lately: int, pause: float) -> None:
        """A request was refused, ``seconds`` after the one refused before; ``accepted`` others left between and were
        not. In the second before it left ``lately`` were taken. Before the first refusal ``seconds`` is 1. After
        ``pause`` requests go on.

        The time between holds the last pause, in which nothing was asked for: where a server saves nothing up, what it
        takes is seen by the last second alone.
        """
        measured = accepted / max(seconds, 0.001)
        if self.rate is None:
            self._goal = self.rate = max(measured * BELOW, 1.0)
            if accepted < ENOUGH:
                self._beyond = FAST
        else:
            self._advance(now)
            before = self.rate
            if accepted < ENOUGH:  # a server that is still busy with the volley before, or one far slower than thought
                self.rate = max(before * 0.7, LEAST)
                self._goal = max(self._goal if self._settled else self._goal * 0.7, self.rate)
                self._beyond, self._faster = FIRST, FIRSTLY
                self._settled, self._hold = False, 0.0
            else:
                near = self._hold_until is not None and seconds > HOLD_SECONDS
                self.rate = before * BELOW if near else min(max(measured * BELOW, before * 0.8), before * BELOW)
                self._agreed = min(self._agreed * 2, MOST_HOLD) if near else HOLD_SECONDS
                # Two refusals of one second are about the same pace: it is not lowered twice.
                refused = self._goal if seconds < 1 else before * (NEAR if measured > 0.8 * before else WIDE)
                self._goal = max(min(refused, lately * BELOW), self.rate)
                self._beyond, self._faster = CAREFUL, CAREFULLY
                self._settled = True
                self._hold = min(max(self._agreed, HOLD_REQUESTS / self.rate, HOLD_PAUSES * pause), MOST_HOLD)
        self._hold_until = None
        self._saved, self._at = 1.0, now + pause

    def _advance(self, now: float) -> None:
        assert self.rate is not None
        elapsed, self._at = max(0.0, now - self._at), max(now, self._at)
        most = 1 + self.rate * LATE_SECONDS
        wanted = max(0.0, most - self._saved) / self.rate  # from then on nobody was waiting: that teaches nothing
        self._saved = min(self._saved + elapsed * self.rate, most)
        elapsed = min(elapsed, wanted)
        if self.rate < self._goal:
            self.rate = min(self.rate * (1 + BRISK) ** elapsed, self._goal)
        elif self._hold_until is None:
            self._hold_until = now + self._hold
        elif now > self._hold_until:
            self.rate = min(self.rate * (1 + self._beyond) ** elapsed, MOST)
            self._goal = self.rate
            self._beyond = min(self._beyond * self._faster**elapsed, FAST)


class Quota:
    """What is left of one limit that a server tells of, kept up to date between its answers."""

    def __init__(self) -> None:
        self._left = math.inf
        self._most = math.inf
        self._refill = 0.0
        self._at = 0.0
        self._asked = 0.0
        self._newest = -1
        self._weight = 1.0

    def told(self, limit: RateLimit, now: float, *, number: int, later: int, sent: float, weight: float) -> None:
        """The answer to request ``number``, sent at ``sent``, told of ``limit``; ``later`` more have left since.

        A request uses ``weight`` units, as far as is known.
        """
        if number < self._newest or now - sent > limit.reset:  # by its own word all was there again meanwhile
            return
        if self._newest < 0:
            self._asked = now  # it has just been answered
        self._newest, self._weight = number, max(weight, 1e-9)
        self._refill = max(limit.limit - limit.remaining, 1.0) / max(limit.reset, 0.001)
        self._most, self._at = limit.limit, now
        # What was refilled on the way may have been used on the way: ``limit`` bounds only what is left of both.
        refilled = self._refill * max(0.0, now - sent)
        self._left = min(limit.remaining + refilled - later * self._weight, limit.limit)

    def ready_at(self, now: float) -> float:
        """The moment the next request may leave."""
        self._advance(now)
        need = min(self._weight, self._most)
        if self._left >= need:
            return now
        return min(now + (need - self._left) / self._refill, max(now, self._asked + LONGEST_WAIT))

    def take(self, now: float) -> None:
        """A request leaves."""
        self._advance(now)
        self._left = max(self._left - self._weight, -self._weight)
        self._asked = now

    def _advance(self, now: float) -> None:
        if now > self._at and self._left < self._most:
            self._left = min(self._left + self._refill * (now - self._at), self._most)
        self._at = max(self._at, now)
