"""When the next request to one server may leave; pure reckoning, with the time given from outside.

Three things decide together: how many are under way, the pace, and what the server asked to wait.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from habit.calls.inflight import InFlight
from habit.calls.pace import Pace, Quota
from habit.calls.ratelimits import RateLimit, Unit

Trouble = Literal["refused", "overloaded", "other"]
"""What a failed attempt says of the server: it refused one too many (429), it could not cope (503, a time-out, a broken
connection), or nothing."""

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0
"""Seconds without any request after trouble, when the server does not say; doubled while nothing gets through."""
STEADY = 4
"""Good replies after which trouble counts as new."""


@dataclass(frozen=True)
class Ticket:
    """A request under way."""

    number: int
    sent: float
    lately: int
    """How many others had left in the second before and were not refused, as far as was known."""


class Flow:
    """What one server is sent, and how that went."""

    def __init__(self, ceiling: int) -> None:
        self.in_flight = InFlight(ceiling)
        self.pace = Pace()
        self.closed_until = -math.inf
        """No request leaves before."""
        self._quotas: dict[Unit, Quota] = {}
        self._tokens = 0.0
        """What a request uses, on average."""
        self._sent = 0
        self._refused = 0
        """Refused since the last back-off was decided on."""
        self._recent: deque[Ticket] = deque()
        """Those sent within the last second, without those refused."""
        self._last: Ticket | None = None
        """The request whose refusal was acted on last."""
        self._acted = 0
        """Requests with lower numbers had left when that was."""
        self._good = 0
        self._pauses = 0

    @property
    def learned(self) -> bool:
        """Whether the server's limits were met: until then it is only being found out what it takes."""
        return self.in_flight.ever_halved or self.in_flight.limit >= self.in_flight.ceiling

    def ready_at(self, now: float) -> float:
        """The moment the next request may leave, ``now`` or later; infinite when a reply has to come first.

        To be asked again whenever anything else was told, and only while a request waits.
        """
        return max(self.in_flight.ready_at(now), self._allowed_at(now))

    def is_held_up(self, now: float) -> bool:
        """Whether the server lets no request leave now, however few are under way."""
        return self._allowed_at(now) > now

    def _allowed_at(self, now: float) -> float:
        quotas = (quota.ready_at(now) for quota in self._quotas.values())
        return max(now, self.closed_until, self.pace.ready_at(now), *quotas)

    def due(self, now: float) -> None:
        """Told when a moment that ``ready_at`` gave has come."""
        self.in_flight.grow(now)

    def nobody_waits(self) -> None:
        """Told when the last that waited has left."""
        self.in_flight.nobody_waits()

    def send(self, now: float) -> Ticket:
        """A request leaves."""
        while self._recent and self._recent[0].sent <= now - 1:
            self._recent.popleft()
        ticket = Ticket(self._sent, now, len(self._recent))
        self._recent.append(ticket)
        self._sent += 1
        self.in_flight.count += 1
        self.pace.take(now)
        for quota in self._quotas.values():
            quota.take(now)
        return ticket

    def abandon(self, ticket: Ticket) -> None:
        """A request ended in a way that says nothing of the server."""
        self.in_flight.count -= 1

    def reply(
        self,
        ticket: Ticket,
        now: float,
        *,
        tokens: int,
        work: float,
        limits: Sequence[RateLimit] = (),
        kind: Hashable = None,
    ) -> bool:
        """A good reply came; whether fewer may leave from now on, because replies of its ``kind`` take ever longer."""
        self._good += 1
        self._tokens = tokens if not self._tokens else 0.9 * self._tokens + 0.1 * tokens
        self._note(limits, ticket, now)
        halved = self.in_flight.replied(now, sent=ticket.sent, work=work, kind=kind)
        self.in_flight.count -= 1
        return halved

    def fail(
        self,
        ticket: Ticket,
        now: float,
        trouble: Trouble,
        *,
        retry_after: float | None = None,
        limits: Sequence[RateLimit] = (),
    ) -> bool:
        """An attempt failed; whether fewer may leave from now on. Of a volley of failures only the first counts."""
        self._note(limits, ticket, now)
        if retry_after is not None:
            self.closed_until = max(self.closed_until, now + retry_after)
        news = trouble != "other" and ticket.number >= self._acted
        if trouble == "refused":
            self._refused += 1
            if ticket in self._recent:
                self._recent.remove(ticket)
        if news:
            self._back_off(ticket, now, trouble, retry_after)
        self.in_flight.count -= 1
        return news

    def _back_off(self, ticket: Ticket, now: float, trouble: Trouble, retry_after: float | None) -> None:
        accepted, seconds = self._since_last(ticket)
        self._pauses = 0 if max(self._good, accepted) >= STEADY else self._pauses + 1
        self._good = 0
        pause = retry_after or 0.0
        if retry_after is None and trouble == "refused":
            pause = min(FIRST_PAUSE * 2.0 ** min(self._pauses, 60), LONGEST_PAUSE)
            self.closed_until = max(self.closed_until, now + pause)
        if trouble == "refused":
            self.pace.refused(now, accepted=accepted, seconds=seconds, lately=ticket.lately, pause=pause)
            self._last, self._refused = ticket, 0
        self.in_flight.halve(now, too_many=trouble == "overloaded")
        self._acted = self._sent

    def _since_last(self, ticket: Ticket) -> tuple[int, float]:
        """How many requests were taken between the refusal before and that of ``ticket``, in how many seconds."""
        if self._last is None:
            return ticket.lately, 1.0
        return max(0, ticket.number - self._last.number - self._refused), ticket.sent - self._last.sent

    def _note(self, limits: Sequence[RateLimit], ticket: Ticket, now: float) -> None:
        for limit in limits:
            weight = 1.0 if limit.unit == "requests" else self._tokens
            if weight:
                quota = self._quotas.setdefault(limit.unit, Quota())
                later = self._sent - ticket.number - 1
                quota.told(limit, now, number=ticket.number, later=later, sent=ticket.sent, weight=weight)
