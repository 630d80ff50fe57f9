"""Budgets: what one run, with all its children, may use; reserved before a call leaves, settled when it is back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import anyio

from habit.errors import BudgetExceeded, UsageError


@dataclass(frozen=True)
class Budget:
    """What a run and all its child runs may use together; ``None`` sets no limit. Raises UsageError for 0 or less."""

    max_calls: int | None = None
    """Live calls."""
    max_tokens: int | None = None
    """Input and output tokens of live calls."""
    max_usd: float | None = None
    max_seconds: float | None = None
    """Wall-clock seconds; enforced by the engine, which cancels the run."""

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


@dataclass(frozen=True)
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
        if self._ledger is not None:
            self._ledger.charge(used)
        self.release()

    def release(self) -> None:
        """Give back what is held."""
        if self._ledger is not None:
            ledger, self._ledger = self._ledger, None
            ledger._forget(self.held)


class Ledger:
    """Keeps one run tree within its budget.

    A call is let through only if what is spent, what is held for the calls under way and the call's own estimate stay
    within every limit; so a limit is exceeded at most by what calls under way turn out bigger than estimated. Where
    calls under way hold more than they may need, a further call waits for them to settle instead of being refused.

    When more than one call is allowed, one is held back for a *final* call, so that a run stopped by its budget of
    calls can still be asked for its best answer.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.spent = Amount()
        self.held = Amount()
        """What is held for the calls under way."""
        self._under_way = 0
        self._changed: anyio.Event | None = None

    async def reserve(self, estimate: Amount, *, final: bool = False) -> Reservation:
        """Hold ``estimate`` for one call; waits while calls under way decide whether it fits. Raises BudgetExceeded."""
        while not self._fits(estimate, final):
            self._changed = self._changed or anyio.Event()
            await self._changed.wait()
        self._under_way += 1
        self.held += estimate
        return Reservation(self, estimate)

    def charge(self, used: Amount) -> None:
        """Add to what is spent, without asking: this much has been used."""
        self.spent += used

    def _forget(self, held: Amount) -> None:
        self._under_way -= 1
        # With nothing under way the sum starts afresh, so that rounding errors of floats never add up.
        self.held = self.held - held if self._under_way else Amount()
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def _fits(self, estimate: Amount, final: bool) -> bool:
        """Whether a call may leave now; False when that is for the calls under way to decide. Raises BudgetExceeded."""
        budget, spent, held = self.budget, self.spent, self.held
        if budget.max_calls is not None:
            allowed = budget.max_calls - (budget.max_calls > 1 and not final)
            if spent.calls + held.calls + estimate.calls > allowed:
                kept = "" if allowed == budget.max_calls else " (the last is kept for a final answer)"
                raise BudgetExceeded(
                    f"The run has used its budget of {budget.max_calls} calls{kept}; give it more with --max-calls.",
                    limit="calls",
                )
        if budget.max_tokens is not None and spent.tokens + estimate.tokens > budget.max_tokens:
            raise BudgetExceeded(
                f"The run has used {spent.tokens:,} of its budget of {budget.max_tokens:,} tokens and the next call "
                f"may need {estimate.tokens:,}; give it more with --max-tokens.",
                limit="tokens",
            )
        if budget.max_usd is not None and spent.usd + estimate.usd > budget.max_usd:
            raise BudgetExceeded(
                f"The run has used {spent.usd:.4f} of its budget of {budget.max_usd:g} USD and the next call may cost "
                f"{estimate.usd:.4f}; give it more with --max-usd.",
                limit="usd",
            )
        tokens_left = budget.max_tokens is None or spent.tokens + held.tokens + estimate.tokens <= budget.max_tokens
        usd_left = budget.max_usd is None or spent.usd + held.usd + estimate.usd <= budget.max_usd
        return (tokens_left and usd_left) or not self._under_way
