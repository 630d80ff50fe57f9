"""Servers with rate limits in simulated time, and a client that always has more to send: what a Flow makes of them."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from habit.calls.flow import Flow, Ticket
from habit.calls.ratelimits import RateLimit

Admit = Callable[[float], float | None]
"""None takes a request that comes at this moment; else the seconds after which to come again."""


def bucket(rate: float, size: float) -> Admit:
    level, at = size, 0.0

    def admit(now: float) -> float | None:
        nonlocal level, at
        level, at = min(size, level + (now - at) * rate), now
        if level >= 1 - 1e-9:
            level -= 1
            return None
        return (1 - level) / rate

    return admit


def fixed_window(rate: int) -> Admit:
    second, taken = -1, 0

    def admit(now: float) -> float | None:
        nonlocal second, taken
        if int(now) != second:
            second, taken = int(now), 0
        taken += 1
        return None if taken <= rate else second + 1 - now

    return admit


def sliding_window(rate: int) -> Admit:
    taken: deque[float] = deque()

    def admit(now: float) -> float | None:
        while taken and taken[0] <= now - 1:
            taken.popleft()
        if len(taken) < rate:
            taken.append(now)
            return None
        return taken[0] + 1 - now

    return admit


@dataclass
class Played:
    """What happened, by the moments at which requests left."""

    taken: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    peak: int = 0
    replies: int = 0

    @property
    def share_refused(self) -> float:
        return len(self.refused) / max(1, len(self.taken) + len(self.refused))

    def rate(self, since: float, until: float) -> float:
        """Requests a second that were taken."""
        return sum(since <= moment < until for moment in self.taken) / (until - since)


def play(
    flow: Flow,
    admit: Admit,
    *,
    seconds: float,
    latency: Callable[[int], float],
    refusal: float = 0.005,
    retry_after: Callable[[float], float | None] = lambda wait: None,
    limits: Callable[[float], tuple[RateLimit, ...]] = lambda now: (),
    demand: Callable[[float], bool] = lambda now: True,
) -> Played:
    """Let a client send for ``seconds``. ``latency`` is that of a good reply with so many under way."""
    played, now, number = Played(), 0.0, 0
    answers: list[tuple[float, int, Ticket, float | None, tuple[RateLimit, ...]]] = []
    while now < seconds:
        ready = flow.ready_at(now) if demand(now) else math.inf
        assert ready >= now
        if ready == now:
            assert flow.closed_until <= now, "nothing leaves while the server wants to be left alone"
            ticket = flow.send(now)
            played.peak = max(played.peak, flow.in_flight.count)
            wait = admit(now)
            (played.taken if wait is None else played.refused).append(now)
            number += 1
            takes = latency(flow.in_flight.count) if wait is None else refusal
            heapq.heappush(answers, (now + takes, number, ticket, wait, limits(now)))
        elif answers and answers[0][0] <= ready:
            now, _, ticket, wait, said = heapq.heappop(answers)
            if wait is None:
                flow.reply(ticket, now, tokens=15, work=60, limits=said)
                played.replies += 1
            else:
                flow.fail(ticket, now, "refused", retry_after=retry_after(wait), limits=said)
        elif ready < math.inf:
            now = ready
            flow.due(now)
        else:
            flow.nobody_waits()
            now += 0.1
            assert not demand(now) or flow.ready_at(now) < math.inf, "stuck: nothing is under way, and nothing leaves"
    return played
