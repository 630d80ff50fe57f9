"""Budgets: what a run, and every wider scope it is part of, may use; reserved before a call leaves, settled after."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import anyio

from habit.calls.events import BudgetWarning
from habit.errors import BudgetExceeded, UsageError
from habit.events import Observer, ignore
from habit.tasks import task_group

AMPLE = 0.5
"""The part of a limit up to which calls may run ahead of their run."""
WARN_AT = 0.8
"""The part of a limit from which on people are told, once."""


@dataclass(frozen=True)
class Budget:
    """What a scope may use, a run with all its child runs for one; ``None`` sets no limit. UsageError for 0 or less."""

    max_calls: int | None = None
    """Live calls."""
    max_tokens: int | None = None
    """Input and output tokens of live calls."""
    max_usd: float | None = None
    max_seconds: float | None = None
    """Wall-clock seconds of each run, added up where a scope has several; the run that uses them up is cancelled."""

    def __post_init__(self) -> None:
        for name in ("max_calls", "max_tokens", "max_usd", "max_seconds"):
            value = getattr(self, name)
            if value is None:
                continue
            flag = "--" + name.replace("_", "-")
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise UsageError(f"{flag} must be a number, not {value!r}.")
            if math.isnan(value) or value <= 0:
                raise UsageError(f"{flag} must be greater than 0, not {value}; leave it out for no limit.")
            if name in ("max_calls", "max_tokens") and not isinstance(value, int):
                raise UsageError(f"{flag} must be a whole number, not {value}.")


@dataclass(frozen=True, slots=True)
class Amount:
    """Calls, tokens and USD together; ``usd`` is 0 where no price is known."""

    calls: int = 0
    tokens: int = 0
    usd: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.calls + other.calls, self.tokens + other.tokens, self.usd + other.usd)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.calls - other.calls, self.tokens - other.tokens, self.usd - other.usd)


class Reservation:
    """An amount held for one call until it is settled with what the call really used, or released unused.

    Only the first of ``settle`` and ``release`` counts.
    """

    def __init__(self, ledger: Ledger, held: Amount) -> None:
        self.held = held
        self._ledger: Ledger | None = ledger

    def settle(self, used: Amount) -> None:
        """The call was sent and used this much."""
        self._end(used)

    def release(self) -> None:
        """Give back what is held."""
        self._end(None)

    def _end(self, used: Amount | None) -> None:
        if self._ledger is not None:
            ledger, self._ledger = self._ledger, None
            ledger._settle(self.held, used)


class Ledger:
    """Keeps one scope within its budget, and within that of every wider scope: the run, its session, the day.

    A call is let through only if, in every one of these, what is spent, what is held for the calls under way and the
    call's own estimate stay within every limit; so a limit is exceeded at most by what calls under way turn out bigger
    than estimated. Where calls under way hold more than they may need, a further call waits for them to settle instead
    of being refused. It holds nothing while it waits, so that scopes can't wait for one another; and calls that wait
    for the same scope go in the order they came, so that small calls never keep a big one out.

    When more than one call is allowed, one is held back for a *final* call, so that a run stopped by its budget of
    calls can still be asked for its best answer.
    """

    def __init__(
        self,
        budget: Budget,
        *,
        parent: Ledger | None = None,
        name: str = "run",
        remedy: str | None = None,
        on_event: Observer = ignore,
    ) -> None:
        """A ledger within ``parent``. Messages call the scope ``name`` and end with ``remedy``, in which ``{flag}``
        and ``{field}`` stand for the limit: ``--max-usd``, ``max_usd``. ``on_event`` gets a BudgetWarning once for
        each limit of any level that a charge to *this* ledger takes to 80 %."""
        self.budget = budget
        self.name = name
        self.spent = Amount()
        self.held = Amount()
        """What is held for the calls under way."""
        self.seconds = 0.0
        """Wall-clock seconds of the runs that have ended."""
        self.levels: tuple[Ledger, ...] = (self, *(parent.levels if parent else ()))
        """This ledger and the wider ones, narrowest first."""
        self._line: _Line = parent._line if parent else _Line()
        self._remedy = remedy or ("give it more with {flag}" if name == "run" else "give it a larger {field}")
        self._on_event = on_event
        self._under_way = 0
        self._unwarned = self._limits()

    async def reserve(self, estimate: Amount, *, final: bool = False) -> Reservation:
        """Hold ``estimate`` for one call; waits while calls under way decide whether it fits. Raises BudgetExceeded."""
        if self._short_of_room(estimate, final) is None and self._line.is_clear_for(self):
            return self._hold(estimate)
        return await self._line.wait(_Waiting(self, estimate, final))

    def hold_if_ample(self, estimate: Amount) -> Reservation | None:
        """Hold ``estimate`` at once for a call that nobody needs yet; None where any level would then have less than
        half of a limit left, or somebody waits for room. So it is never such a call that takes the last of a budget."""
        if not self._line.is_clear_for(self):
            return None
        for level in self.levels:
            used = level.spent + level.held + estimate
            for limit in ("calls", "tokens", "usd"):
                allowed = getattr(level.budget, f"max_{limit}")
                if allowed is not None and getattr(used, limit) > AMPLE * allowed:
                    return None
        return self._hold(estimate)

    def charge(self, used: Amount, *, live: bool = True) -> None:
        """Add to what is spent, without asking. ``live=False``: the run that is resumed paid it before, so that it
        counts for this ledger alone; what is spent anew is what the wider ones count."""
        for level in self.levels if live else (self,):
            level._spend(used)
        self.warn()
        self._line.advance()

    def recorded(self, usd: float, started: float) -> None:
        """The journal now has a call that began at ``started`` (Unix seconds) and was charged here."""
        for level in self.levels:
            level._note_recorded(usd, started)

    def warn(self) -> None:
        """Tell of limits that are nearly used up, each once."""
        for level in self.levels:
            if level._unwarned:
                level._warn_of(self._on_event)

    @asynccontextmanager
    async def timed(self) -> AsyncIterator[None]:
        """Cancels what runs inside when the seconds of any level are used up. Raises BudgetExceeded then."""
        nearest = min(self.levels, key=_seconds_left)
        began = time.monotonic()
        try:
            with anyio.move_on_after(_seconds_left(nearest)) as scope:
                async with task_group() as group:
                    group.start_soon(self._warn_of_time)
                    yield
                    group.cancel_scope.cancel()
        finally:
            for level in self.levels:
                level.seconds += time.monotonic() - began
        if scope.cancelled_caught:
            seconds = f"{nearest.budget.max_seconds:g} seconds"
            happened = f"was stopped after {seconds}" if nearest is self else f"has used its budget of {seconds}"
            raise nearest._exceeded(happened, "seconds")

    def _settle(self, held: Amount, used: Amount | None) -> None:
        for level in self.levels:
            level._under_way -= 1
            # With nothing under way the sum starts afresh, so that rounding errors of floats never add up.
            level.held = level.held - held if level._under_way else Amount()
            if used is not None:
                level._spend(used)
        if used is not None:
            self.warn()
        self._line.advance()

    def _hold(self, estimate: Amount) -> Reservation:
        for level in self.levels:
            level._under_way += 1
            level.held += estimate
        return Reservation(self, estimate)

    def _short_of_room(self, estimate: Amount, final: bool) -> Ledger | None:
        """The first level where the call has to wait for calls under way; None: it may go. Raises BudgetExceeded."""
        short: Ledger | None = None
        for level in self.levels:
            if not level._fits(estimate, final):
                short = short or level
        return short

    def _fits(self, estimate: Amount, final: bool) -> bool:
        """Whether this level has room now; False when that is for the calls under way to decide. Raises
        BudgetExceeded."""
        budget, spent, held = self.budget, self.spent, self.held
        if budget.max_calls is not None:
            allowed = budget.max_calls - (budget.max_calls > 1 and not final)
            if spent.calls + held.calls + estimate.calls > allowed:
                kept = "" if allowed == budget.max_calls else " (the last is kept for a final answer)"
                raise self._exceeded(f"has used its budget of {budget.max_calls} calls{kept}", "calls")
        if budget.max_tokens is not None and spent.tokens + estimate.tokens > budget.max_tokens:
            raise self._exceeded(
                f"has used {spent.tokens:,} of its budget of {budget.max_tokens:,} tokens and the next call may need "
                f"{estimate.tokens:,}",
                "tokens",
            )
        if budget.max_usd is not None and spent.usd + estimate.usd > budget.max_usd:
            raise self._exceeded_usd(budget.max_usd, estimate.usd)
        tokens_left = budget.max_tokens is None or spent.tokens + held.tokens + estimate.tokens <= budget.max_tokens
        usd_left = budget.max_usd is None or spent.usd + held.usd + estimate.usd <= budget.max_usd
        return (tokens_left and usd_left) or not self._under_way

    def _exceeded(self, happened: str, limit: str) -> BudgetExceeded:
        remedy = self._remedy.format(flag=f"--max-{limit}", field=f"max_{limit}")
        return BudgetExceeded(f"The {self.name} {happened}; {remedy}.", limit=limit, scope=self.name)

    def _exceeded_usd(self, allowed: float, next_usd: float) -> BudgetExceeded:
        return self._exceeded(
            f"has used {self.spent.usd:.4f} of its budget of {allowed:g} USD and the next call may cost {next_usd:.4f}",
            "usd",
        )

    def _spend(self, used: Amount) -> None:
        self.spent += used

    def _note_recorded(self, usd: float, started: float) -> None:
        """Of interest to a ledger that reads the journal."""

    def _limits(self) -> dict[str, float]:
        """The limits by name, seconds included."""
        found = {name: getattr(self.budget, f"max_{name}") for name in ("calls", "tokens", "usd", "seconds")}
        return {name: value for name, value in found.items() if value is not None}

    def _used(self, limit: str) -> float:
        return self.seconds if limit == "seconds" else float(getattr(self.spent, limit))

    def _warn_of(self, on_event: Observer) -> None:
        for limit, allowed in list(self._unwarned.items()):
            if (used := self._used(limit)) >= WARN_AT * allowed:
                del self._unwarned[limit]
                on_event(BudgetWarning(limit, used, allowed, self.name))

    async def _warn_of_time(self) -> None:
        """Tell when 80 % of the seconds of a level are over, for each level that has such a limit."""
        began = time.monotonic()
        moments = sorted(
            (WARN_AT * allowed - level.seconds, index)
            for index, level in enumerate(self.levels)
            if (allowed := level._unwarned.get("seconds")) is not None
        )
        for moment, index in moments:
            level = self.levels[index]
            await anyio.sleep(max(0.0, moment - (time.monotonic() - began)))
            if (allowed := level._unwarned.pop("seconds", None)) is not None:  # else another run was first
                self._on_event(BudgetWarning("seconds", max(level.seconds, WARN_AT * allowed), allowed, level.name))


def _seconds_left(ledger: Ledger) -> float:
    return math.inf if ledger.budget.max_seconds is None else max(0.0, ledger.budget.max_seconds - ledger.seconds)


class _Waiting:
    """A call that waits for room."""

    def __init__(self, ledger: Ledger, estimate: Amount, final: bool) -> None:
        self.ledger = ledger
        self.estimate = estimate
        self.final = final
        self.decided = anyio.Event()
        self.reservation: Reservation | None = None
        self.refusal: BudgetExceeded | None = None


class _Line:
    """The calls that wait in one tree of ledgers, and the order in which they get room."""

    def __init__(self) -> None:
        self._queues: dict[Ledger, deque[tuple[int, _Waiting]]] = {}
        """By the ledger they came to, each with its place in the whole line."""
        self._last = 0
        self._contested: set[Ledger] = set()
        """Levels at which somebody waits for room."""

    def is_clear_for(self, ledger: Ledger) -> bool:
        """Whether nobody waits at any level that a call to ``ledger`` needs."""
        return not self._contested or self._contested.isdisjoint(ledger.levels)

    async def wait(self, call: _Waiting) -> Reservation:
        """Queue up until there is room. Raises BudgetExceeded once there can't be any."""
        self._last += 1
        self._queues.setdefault(call.ledger, deque()).append(place := (self._last, call))
        self._contest(call)
        try:
            await call.decided.wait()
        except BaseException:
            if call.reservation is not None:
                call.reservation.release()
            elif call.refusal is None:
                self._queues[call.ledger].remove(place)
                self.advance()
            raise
        if call.refusal is not None:
            raise call.refusal
        assert call.reservation is not None
        return call.reservation

    def advance(self) -> None:
        """Let in or refuse whoever can be, first come first served at each level; called whenever something changed."""
        if not self._queues:
            return
        self._contested = set()
        heads = [(queue[0][0], ledger) for ledger, queue in self._queues.items() if queue]
        places = [(place, index) for index, (place, _) in enumerate(heads)]
        heapify(places)
        while places:
            _, index = heappop(places)
            ledger = heads[index][1]
            queue = self._queues[ledger]
            if self._decide(queue[0][1]):
                queue.popleft()
                if queue:
                    heappush(places, (queue[0][0], index))
            # else all behind it in this queue need the same levels, so they wait as well
        self._queues = {ledger: queue for ledger, queue in self._queues.items() if queue}

    def _decide(self, call: _Waiting) -> bool:
        try:
            short = call.ledger._short_of_room(call.estimate, call.final)
        except BudgetExceeded as refusal:
            call.refusal = refusal
            call.decided.set()
            return True
        if short is not None:
            self._contested.add(short)
            return False
        if not self.is_clear_for(call.ledger):
            return False
        call.reservation = call.ledger._hold(call.estimate)
        call.decided.set()
        return True

    def _contest(self, call: _Waiting) -> None:
        short = call.ledger._short_of_room(call.estimate, call.final)
        if short is not None:
            self._contested.add(short)
