"""Who may send to a model now: one limiter for each server and model, shared by all runs of the process."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from weakref import WeakKeyDictionary, WeakValueDictionary

from habit.calls.call import Reply
from habit.calls.flow import Flow, Ticket, Trouble
from habit.calls.lines import Early, Lines, Waiter
from habit.calls.provider import Provider, TransientFailure

MOST_AT_ONCE = 4096
"""Requests under way to one model when nobody sets a limit: beyond it this process is the bottleneck."""
_OVERLOADED = {408, 502, 503, 504, 529}


@dataclass(frozen=True)
class BackOff:
    """The limiter lets fewer requests leave from now on."""

    trouble: Trouble | None
    """None: no attempt failed, but replies take ever longer."""
    pause: float
    """Seconds without any request."""
    rate: float | None
    """Requests a second from then on."""
    at_once: int


class Limiter:
    """Lets requests to one model leave when the server can be expected to take them (see Flow), in turn (see Lines).

    Belongs to the event loop that uses it, and takes the time from it.
    """

    def __init__(self, ceiling: int) -> None:
        self._flow = Flow(ceiling)
        self._lines = Lines()
        self._timer: asyncio.TimerHandle | None = None
        self._refusal: TransientFailure | None = None

    @property
    def saturated(self) -> bool:
        """Whether requests wait because of what the server takes: then sending more earlier gains nothing."""
        flow = self._flow
        return bool(self._lines) and (flow.learned or flow.is_held_up(asyncio.get_running_loop().time()))

    def has_room(self, coming: int = 0) -> bool:
        """Whether it is of use to send one more early, beside so many others that have not come here yet.

        While it is being found out what the server takes they may wait in line, because otherwise it never would be;
        once that is known only one, so that it is noticed when more are taken. The last place that the ceiling allows
        is left to a request that somebody needs.
        """
        now_and_soon, most = self.under_way + coming, self._flow.in_flight
        if now_and_soon + len(self._lines) + 1 >= most.ceiling or self.saturated:
            return False
        return not self._flow.learned or now_and_soon <= int(most.limit)

    @property
    def under_way(self) -> int:
        """Requests sent and not answered."""
        return self._flow.in_flight.count

    async def request(
        self,
        send: Callable[[], Awaitable[Reply]],
        *,
        owner: Hashable,
        kind: Hashable = None,
        again: bool = False,
        early: Early | None = None,
        patience: float = math.inf,
        on_back_off: Callable[[BackOff], object] = lambda _: None,
    ) -> Reply:
        """What ``send`` gives, called when its turn has come: one sent ``again`` goes before its owner's others, an
        ``early`` one after all that are needed. How long a reply takes is compared with others of its ``kind``.

        Raises what ``send`` raises; and the server's own refusal, without asking, while it wants to be left alone for
        more than ``patience`` seconds.
        """
        ticket = await self._place(Waiter(owner, patience, again), early)
        told: BackOff | None = None
        try:
            reply = await send()
        except TransientFailure as failure:
            told = self._failed(ticket, failure)
            raise
        except BaseException:  # a failure of the call itself, or a cancellation: neither says how the server fares
            self._flow.abandon(ticket)
            raise
        else:
            told = self._replied(ticket, reply, kind)
            return reply
        finally:
            self._pump()
            if told is not None:
                on_back_off(told)

    async def _place(self, waiter: Waiter, early: Early | None) -> Ticket:
        self._lines.join(waiter, early)
        self._pump()
        try:
            if waiter.ticket is None and waiter.failure is None:
                await waiter.told.wait()
        except BaseException:
            if waiter.ticket is not None:
                self._flow.abandon(waiter.ticket)
            elif waiter.failure is None:
                self._lines.leave(waiter)
            self._pump()
            raise
        if waiter.failure is not None:
            raise waiter.failure
        assert waiter.ticket is not None
        return waiter.ticket

    def _pump(self) -> None:
        """Let leave who may, and see to it that this is looked at again when the next one may."""
        loop = asyncio.get_running_loop()
        while self._lines:
            now = loop.time()
            self._turn_away(now)
            if not self._lines:
                break
            ready = self._flow.ready_at(now)
            if ready > now:
                self._look_again(ready)
                return
            waiter = self._lines.take()
            waiter.ticket = self._flow.send(now)
            waiter.told.set()
        self._flow.nobody_waits()

    def _look_again(self, when: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= when:  # looking too early does no harm
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(when, self._due) if when < math.inf else None

    def _due(self) -> None:
        self._timer = None
        self._flow.due(asyncio.get_running_loop().time())
        self._pump()

    def _turn_away(self, now: float) -> None:
        """Fail those who will not wait for as long as the server wants to be left alone."""
        left = self._flow.closed_until - now
        if self._refusal is None or left <= 0:
            return
        for waiter in [waiter for waiter in self._lines if waiter.patience < left]:
            waiter.failure = TransientFailure(str(self._refusal), reason=self._refusal.reason, retry_after=left)
            self._lines.leave(waiter)
            waiter.told.set()

    def _replied(self, ticket: Ticket, reply: Reply, kind: Hashable) -> BackOff | None:
        tokens = reply.input_tokens + reply.output_tokens
        work = 50 + reply.output_tokens + reply.input_tokens / 20  # about as the time of a model goes
        kind = (kind, _size_class(reply.input_tokens), _size_class(reply.output_tokens))
        now = asyncio.get_running_loop().time()
        slower = self._flow.reply(ticket, now, tokens=tokens, work=work, limits=reply.limits, kind=kind)
        return self._told(None, now) if slower else None

    def _failed(self, ticket: Ticket, failure: TransientFailure) -> BackOff | None:
        now, trouble = asyncio.get_running_loop().time(), _trouble(failure)
        if failure.retry_after is not None:
            self._refusal = failure
        fewer = self._flow.fail(ticket, now, trouble, retry_after=failure.retry_after, limits=failure.limits)
        return self._told(trouble, now) if fewer else None

    def _told(self, trouble: Trouble | None, now: float) -> BackOff:
        flow = self._flow
        pause = max(0.0, flow.closed_until - now)
        return BackOff(trouble, pause, flow.pace.rate, max(1, int(flow.in_flight.limit)))


_of_provider: WeakKeyDictionary[Provider, Limiter] = WeakKeyDictionary()
_of_server: WeakValueDictionary[tuple[Hashable, ...], Limiter] = WeakValueDictionary()


def limiter_of(provider: Provider) -> Limiter:
    """The limiter of all requests to ``provider``, whoever sends them."""
    limiter = _of_provider.get(provider)
    if limiter is None:
        limiter = _of_provider[provider] = Limiter(provider.concurrency)
    return limiter


def share_limiter(provider: Provider, server: Hashable) -> None:
    """Have ``provider`` use one limiter with all others of this event loop that stand for the same ``server``.

    To be called before it is used.
    """
    key = (asyncio.get_running_loop(), server, provider.concurrency)
    limiter = _of_server.get(key)
    if limiter is None:
        limiter = _of_server[key] = Limiter(provider.concurrency)
    _of_provider[provider] = limiter


def most_at_once(wanted: int | None) -> int:
    """The ceiling on requests under way: ``wanted``, or else what this process can have open."""
    if wanted is not None:
        return wanted
    if sys.platform == "win32":
        return MOST_AT_ONCE
    import resource

    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST_AT_ONCE if files == resource.RLIM_INFINITY else max(64, min(MOST_AT_ONCE, files * 3 // 4))


def _size_class(tokens: int) -> int:
    """Equal for sizes that are about equal, within a factor of four."""
    return tokens.bit_length() // 2


def _trouble(failure: TransientFailure) -> Trouble:
    if failure.reason == "rate_limited":
        return "refused"
    if failure.status in _OVERLOADED or failure.reason in ("timeout", "connection"):
        return "overloaded"
    return "other"
