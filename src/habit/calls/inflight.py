"""How many requests one server has under way at once: grows while that goes well, halves when it does not."""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable

FIRST = 8
DOUBLES = 0.15
"""Seconds in which the limit doubles while requests wait for it and nothing has gone wrong yet."""
DOUBLES_AGAIN = 0.25
"""The same once it was halved, up to near where that was."""
DOUBLES_SLOWLY = 60.0
"""The same from there on, when it is known that too many under way were the reason."""
REMEMBERED = 60.0
"""Seconds for which that place is remembered."""
UNANSWERED, FOR_EACH_REPLY = 128, 4
"""Requests that may leave before there was a reply, and how many more each reply allows: a small server that takes
everything and works at it for hours must not be sent everything at once."""
TICK, LATE = 0.001, 0.005
"""Seconds between two steps of growth, and what is made up for at most when a step comes late."""
NEAR = 0.9
ROUND = 32
"""Replies that make a round: latency is judged by medians of rounds."""
LEAST_SECONDS = 1e-6
"""For a unit of work: a server that answers in no time is not thousands of times slower when it takes a little."""
SLOWER = 2.0
"""Latency has risen when it is this much above the usual."""
BETTER = 0.75
"""Fewer under way have helped when latency is now at most this part of what it was."""


class InFlight:
    """A limit on requests under way. ``now`` is in seconds of any steady clock."""

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self.limit = float(min(FIRST, ceiling))
        self.count = 0
        self.ever_halved = False
        self._stepped = 0.0
        """Up to when growth has been taken."""
        self._waiting = False
        self._halved_at = -math.inf
        self._fell_from = math.inf
        self._too_many = False
        self._replies = 0
        self._latency = _Latency()

    def ready_at(self, now: float) -> float:
        """The moment the next request may leave, once ``grow`` was called then; infinite when only a reply makes room.
        Asked while some wait."""
        if not self._waiting:
            self._waiting, self._stepped = True, now
        if self.count < int(self.limit):
            return now
        return max(self._stepped + self._step_seconds(now), now + TICK) if self.limit < self._most else math.inf

    def grow(self, now: float) -> None:
        """Called at the moments that ``ready_at`` gave: takes the growth that is due.

        When the moment has passed long ago this process is the one that is slow: what it has let leave may not even be
        on its way, so nothing is known of how that goes, and little growth is due.
        """
        self._stepped = max(self._stepped, now - max(self._step_seconds(now), LATE))
        if not self._waiting or self.count < int(self.limit):
            return
        while self.limit < self._most and (step := self._stepped + self._step_seconds(now)) <= now:
            self._stepped = step
            self.limit = math.floor(self.limit) + 1.0

    def nobody_waits(self) -> None:
        """Without anybody waiting the limit does not grow: nothing would try it."""
        self._waiting = False

    def halve(self, now: float, *, too_many: bool) -> None:
        """A request sent since the last time was refused or failed; ``too_many``: because of too many under way."""
        self._fell_from = max(float(self.count), 1.0)
        self.limit = max(1.0, min(self.limit, self._fell_from) / 2)
        self._too_many, self.ever_halved = too_many, True
        self._halved_at = self._stepped = now
        self._latency.forget()

    def replied(self, now: float, *, sent: float, work: float, kind: Hashable = None) -> bool:
        """A good reply came back; whether the limit was halved because replies take ever longer. Only those of one
        ``kind`` are compared with one another."""
        self._replies += 1
        if sent < self._halved_at:
            self._latency.left_behind((now - sent) / work, kind)
            return False
        verdict = self._latency.add(now, sent, work, kind)
        if verdict == "slower" and self.count > 1:
            before = self.limit
            self.halve(now, too_many=True)
            self._fell_from = self.limit / NEAR
            self._latency.watch(before)
            return True
        if verdict == "no better":
            self.limit = max(self.limit, self._latency.before)
            self._fell_from = math.inf
        return False

    @property
    def _most(self) -> float:
        return min(self.ceiling, UNANSWERED + FOR_EACH_REPLY * self._replies)

    def _step_seconds(self, now: float) -> float:
        """How long until the limit is one more."""
        limit = math.floor(self.limit)
        if not self.ever_halved:
            doubles = DOUBLES
        elif self._too_many and limit >= NEAR * self._fell_from and now - self._halved_at < REMEMBERED:
            doubles = DOUBLES_SLOWLY
        else:
            doubles = DOUBLES_AGAIN
        return doubles * math.log2((limit + 1) / limit)


class _Latency:
    """Tells when replies take longer because too many are under way.

    By the time that a reply takes for its work, against what is usual for its kind: a call that is merely longer, or
    of another sort, is not taken for a slow one. When replies have become a lot slower while no more gets done, fewer
    are tried; if that does not help, it was not for the number under way.
    """

    def __init__(self) -> None:
        self.before = 0.0
        """The limit before it was halved."""
        self._usual: dict[Hashable, float] = {}
        """Seconds for a unit of work, by kind."""
        self._first: dict[Hashable, list[float]] = {}
        """The first replies of a kind, until there is a round of them."""
        self._most_done = 0.0
        self._judged: float | None = None
        self._worst = 0.0
        self._seen: list[tuple[Hashable, float]] = []
        """Kind of each reply of this round, and how many times the usual it took."""
        self._work = 0.0
        self._began: float | None = None

    def add(self, now: float, sent: float, work: float, kind: Hashable) -> str | None:
        """Note a reply; at the end of a round its verdict: ``slower``, ``no better``, or None."""
        if self._began is None:
            self._began = now
            return None
        self._work += work
        self._note((now - sent) / work, kind)
        if len(self._seen) < ROUND or now <= self._began:
            return None
        slowness, done = statistics.median(times for _, times in self._seen), self._work / (now - self._began)
        judged, self._judged = self._judged, None
        if judged is not None and slowness > BETTER * judged:
            self._usual = {kind: usual * slowness for kind, usual in self._usual.items()}
            self._most_done = done
            self.forget()
            return "no better"
        if slowness > SLOWER and done < 1.2 * self._most_done:
            self._judged = self._worst = slowness
            self.forget()
            return "slower"
        for kind in {kind for kind, _ in self._seen}:
            its_own = statistics.median(times for its, times in self._seen if its == kind)
            self._usual[kind] *= 0.8 + 0.2 * its_own
        self._most_done = max(0.9 * self._most_done, done)
        self.forget()
        return None

    def _note(self, seconds: float, kind: Hashable) -> None:
        """Note what a unit of work took: against the usual, or until that is known, to find it."""
        usual = self._usual.get(kind)
        if usual is not None:
            self._seen.append((kind, seconds / usual))
            return
        first = self._first.setdefault(kind, [])
        first.append(seconds)
        if len(first) == ROUND:
            self._usual[kind] = max(statistics.median(first), LEAST_SECONDS)
            del self._first[kind]

    def left_behind(self, seconds: float, kind: Hashable) -> None:
        """Note a reply to a request that left before the limit was halved: what fewer under way are compared with."""
        usual = self._usual.get(kind)
        if self._judged is not None and usual is not None:
            self._worst = 0.9 * self._worst + 0.1 * seconds / usual
            self._judged = max(self._judged, self._worst)

    def watch(self, before: float) -> None:
        """The limit was halved from ``before`` because of the last verdict."""
        self.before = before

    def forget(self) -> None:
        """Begin a new round."""
        self._seen, self._work, self._began = [], 0.0, None
