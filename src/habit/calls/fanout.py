"""Large maps: what one is expected to cost, and whether people agree to that before anything is sent."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from habit.calls.call import Call
from habit.calls.events import FanOut
from habit.calls.provider import Provider
from habit.calls.tokens import prompt_tokens
from habit.errors import BudgetExceeded
from habit.events import Observer

Confirm = Callable[[FanOut], Awaitable[bool]]
"""Asks people whether a map may be sent."""

Planned = Callable[[], Iterable[Call | None]]
"""Makes the calls of a map one by one, as often as it is asked to; None stands for a child run."""

EXPECTED_OUTPUT = 1024
"""Tokens that a reply without a limit of its own is expected to take, in windows large enough for it."""
ENOUGH_REPLIES = 10
"""Replies after which the longest of them says more than EXPECTED_OUTPUT about those to come."""
CHILD_CALLS = 3
CHILD_PROMPT = 8_000
"""A child run counts as this many calls of the root with prompts of so many tokens: what it will really ask is not
known before it asks, and its own maps are asked about when they come."""
_MOST_TOKENS_PER_BYTE = 1.3
_MOST_FRAME_TOKENS = 4_000
"""What a prompt may take around its slice, at most."""

TOLD_CALLS = 100
"""Calls of one map from which on people are told of it, whatever it costs."""
UNPRICED_CALLS = 2_000
"""Calls that maps may send without asking where no price is known."""


@dataclass(frozen=True)
class Forecast:
    """What calls are expected to take, mostly too high; ``usd`` is None where no price is known."""

    calls: int
    tokens: int
    usd: float | None


@dataclass(frozen=True, slots=True)
class Prompt:
    """One call of a map in tokens: its prompt, and the reply it may get."""

    tokens: int
    reply: int
    child: bool = False


def expected_output(call: Call, provider: Provider) -> int:
    """Tokens to keep free for the reply: its limit, or a plausible size."""
    return call.sampling.max_tokens or min(EXPECTED_OUTPUT, provider.window // 4)


def most_usd(count: int, size: int, leaf: Provider) -> float | None:
    """What ``count`` calls about ``size`` bytes may cost at most, at no cost to find out; None without a price."""
    mean = math.ceil(_MOST_TOKENS_PER_BYTE * size / max(count, 1)) + _MOST_FRAME_TOKENS
    usd = leaf.price(mean, EXPECTED_OUTPUT)
    return None if usd is None else usd * count


def measure(planned: Planned, leaf: Provider, longest: int | None) -> list[Prompt]:
    """The size of every planned call; ``longest`` is the longest reply so far, if there were enough of them. Blocks for
    as long as it takes to count: not for an event loop."""
    return [_measured(call, leaf, longest) for call in planned()]


def _measured(call: Call | None, leaf: Provider, longest: int | None) -> Prompt:
    if call is not None:
        room = expected_output(call, leaf)
        tokens = prompt_tokens(call.messages)
        if tokens + room <= leaf.window:
            return Prompt(tokens, room if longest is None else min(longest, call.sampling.max_tokens or longest))
    return Prompt(CHILD_PROMPT, EXPECTED_OUTPUT, child=True)


def add_up(prompts: Sequence[Prompt], root: Provider, leaf: Provider) -> Forecast:
    """What the calls are expected to take together.

    A prompt counts with its cautious estimate; a reply with its limit, or with the longest so far after a few replies.
    """
    calls, tokens, usd = 0, 0, 0.0
    known = True
    for provider, child, times in ((leaf, False, 1), (root, True, CHILD_CALLS)):
        mine = [prompt for prompt in prompts if prompt.child == child]
        if not mine:
            continue
        count = len(mine) * times
        asked, answered = sum(p.tokens for p in mine) * times, sum(p.reply for p in mine) * times
        calls, tokens = calls + count, tokens + asked + answered
        each = provider.price(-(-asked // count), -(-answered // count))  # prices may depend on the size of a prompt
        known = known and each is not None
        usd += (each or 0.0) * count
    return Forecast(calls, tokens, usd if known else None)


class _Allowance:
    """How much the maps of a run may be expected to use before people are asked (again)."""

    def __init__(self, unasked: float) -> None:
        self._unasked = unasked
        self._allowed = unasked
        self._used = 0.0

    def covers(self, more: float) -> bool:
        return more == 0 or self._used + more <= self._allowed

    def widen(self, more: float) -> None:
        """People agreed to ``more``; each time they get at least as much unasked as at first."""
        self._allowed = self._used + max(more, self._unasked)

    def use(self, amount: float) -> None:
        self._used += amount


class FanOutGate:
    """Lets the maps of one run pass: at once while they are cheap together, else when people agree.

    Counts what maps that are over have really used, what those under way are expected to use, and what the next one
    is: so a run that was agreed to is not asked about again until it goes beyond that. Maps wait for each other here.
    """

    def __init__(self, confirm: Confirm | None, confirm_usd: float, run_id: str, on_event: Observer) -> None:
        """Without ``confirm`` every map passes, and budgets alone hold."""
        self._confirm = confirm
        self._usd = _Allowance(confirm_usd)
        self._calls = _Allowance(UNPRICED_CALLS)
        self._run_id = run_id
        self._on_event = on_event
        self._asking = anyio.Lock()

    def may_matter(self, calls: int, most_usd: float | None) -> bool:
        """Whether a map of this size needs a forecast at all; ``most_usd`` is a quick upper bound."""
        return calls >= TOLD_CALLS or (most_usd is not None and not self._usd.covers(most_usd))

    def would_ask(self, expected: Forecast) -> bool:
        """Whether people would be asked about this much."""
        return self._confirm is not None and not self.covers(expected)

    def covers(self, expected: Forecast) -> bool:
        """Whether this much needs nobody's word."""
        return self._calls.covers(expected.calls) if expected.usd is None else self._usd.covers(expected.usd)

    @asynccontextmanager
    async def passing(self, map_: FanOut, spent_usd: Callable[[], float]) -> AsyncIterator[None]:
        """Held while a map is under way. Raises BudgetExceeded when people did not agree to it."""
        expected = Forecast(map_.calls, map_.tokens, map_.usd)
        async with self._asking:
            agreed = self.covers(expected)
            if map_.calls >= TOLD_CALLS or not agreed:
                self._on_event(map_)
            if not agreed:
                if self._confirm is not None and not await self._confirm(map_):
                    raise self._refused(map_)
                self._usd.widen(expected.usd or 0.0)
                self._calls.widen(expected.calls)
            allowance, amount = (self._calls, float(map_.calls)) if map_.usd is None else (self._usd, map_.usd)
            allowance.use(amount)
        before = spent_usd()
        try:
            yield
        finally:
            if map_.usd is not None:
                self._usd.use(min(0.0, spent_usd() - before - map_.usd))

    def _refused(self, map_: FanOut) -> BudgetExceeded:
        cost = "of no known price" if map_.usd is None else f"for about ${map_.usd:.2f}"
        raised = "" if map_.usd is None else ", or let maps cost more unasked with --confirm-usd"
        return BudgetExceeded(
            f"Nobody agreed to a map of {map_.calls:,} calls to {map_.model} {cost}; go on with: habit resume "
            f"{self._run_id} --yes{raised}.",
            limit="fan_out",
        )
