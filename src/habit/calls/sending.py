"""How one call goes to a model: checked to fit, in its turn, tried again where that helps, and settled."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from habit.calls.account import Account
from habit.calls.budget import Amount, Reservation
from habit.calls.call import Call, Reply, Role
from habit.calls.concurrency import BackOff, limiter_of
from habit.calls.events import CallRetried, SlowedDown
from habit.calls.fanout import expected_output
from habit.calls.lines import Early
from habit.calls.provider import Provider, TransientFailure, UnusableReply
from habit.calls.retry import RetryPolicy, with_retries
from habit.errors import CallFailed
from habit.events import Observer


@dataclass
class Sending:
    """How the sending of one call goes."""

    attempts: int = 0
    """Requests that have left."""
    began: float = 0.0
    """Unix seconds."""
    waited: float = 0.0
    """Seconds for its turn, before it began."""
    reply: Reply | None = None
    """What came back; for a failed call what it was billed for, if anything."""
    failure: CallFailed | None = None


@dataclass(frozen=True)
class Measured:
    """What a call takes: the tokens of its prompt, and what it may use in all."""

    prompt_tokens: int
    estimate: Amount


class Sender:
    """Sends the calls of one run to its two models."""

    def __init__(
        self, root: Provider, leaf: Provider, account: Account, retry: RetryPolicy, owner: Hashable, on_event: Observer
    ) -> None:
        """``owner`` stands for the run where its calls wait beside those of others."""
        self._providers: dict[Role, Provider] = {"root": root, "leaf": leaf}
        self._account = account
        self._retry = retry
        self._owner = owner
        self._on_event = on_event
        self.out: set[Reservation] = set()
        """Of calls that have left, until the journal has them."""
        self.on_leave: set[Callable[[], None]] = set()
        """Told whenever one leaves."""
        self._slowed: set[Provider] = set()
        """Whose slowing down was told of."""

    async def measure(self, call: Call) -> Measured:
        """What ``call`` takes. Raises CallFailed when it does not fit its model's window."""
        provider = self._providers[call.role]
        prompt_tokens = await provider.count_tokens(call.measured)
        output_tokens = expected_output(call, provider)
        if prompt_tokens + output_tokens > provider.window:
            raise CallFailed(
                f"the prompt takes about {prompt_tokens:,} tokens and its reply {output_tokens:,}, more than the "
                f"{provider.window:,} that {call.model} takes: pass a smaller context",
                reason="too_long",
            )
        likely = max(output_tokens, self._account.longest(call.role) if call.sampling.max_tokens is None else 0)
        usd = provider.price(prompt_tokens, likely) or 0.0
        return Measured(prompt_tokens, Amount(1, prompt_tokens + likely, usd))

    @contextmanager
    def sending(self, hold: Reservation) -> Iterator[Sending]:
        """Held from before a call is sent until the journal has it."""
        try:
            yield Sending()
        finally:
            self.out.discard(hold)

    async def send(
        self, call: Call, measured: Measured, hold: Reservation, sending: Sending, early: Early | None = None
    ) -> None:
        """Ask the model and settle what that took; ``sending`` has how it went, failures of the call included."""
        provider = self._providers[call.role]
        limiter = limiter_of(provider)
        sending.began, clock = time.time(), time.perf_counter()

        async def send() -> Reply:
            nonlocal clock
            if not sending.attempts:
                self.out.add(hold)
                for tell in tuple(self.on_leave):
                    tell()
                sending.began, asked, clock = time.time(), clock, time.perf_counter()
                sending.waited = clock - asked
            sending.attempts += 1
            return await provider.request(call)

        async def attempt() -> Reply:
            return await limiter.request(
                send,
                owner=self._owner,
                kind=call.role,
                again=sending.attempts > 0,
                early=early,
                patience=self._retry.max_retry_after,
                on_back_off=lambda change: self._slowed_down(provider, change),
            )

        def on_retry(retry: int, wait: float, failure: TransientFailure) -> None:
            self._on_event(CallRetried(call, retry, wait, failure))

        try:
            reply = await with_retries(attempt, self._retry, on_retry)
        except CallFailed as failure:
            sending.failure = failure
            if not sending.attempts:  # turned away by what the server had said to others
                hold.release()
                return
            billed = failure.billed if isinstance(failure, UnusableReply) else None
            sending.reply = reply = _priced(billed or Reply("", 0, 0), provider, clock)
        except BaseException:
            if sending.attempts:
                # On its way when the run was stopped: the provider may bill what it has read, so the budget counts it.
                usd = provider.price(measured.prompt_tokens, 0)
                self._account.meter.live(call.role, 0, 0, provider.price(0, 0))
                self._account.meter.failed()
                hold.settle(Amount(1, measured.prompt_tokens, usd or 0.0))
            hold.release()
            raise
        else:
            sending.reply = reply = _priced(reply, provider, clock)
            self._account.heard(call.role, reply)
        # No checkpoint since the reply arrived: it is kept even if the run is being cancelled.
        self._account.settle(call.role, reply, hold)

    def has_room(self, coming: int) -> bool:
        """Whether one more leaf call is of use before it is asked for, beside so many that have not come yet."""
        return limiter_of(self._providers["leaf"]).has_room(coming)

    def _slowed_down(self, provider: Provider, change: BackOff) -> None:
        if provider not in self._slowed:
            self._slowed.add(provider)
            reason = change.trouble or "slower"
            self._on_event(SlowedDown(provider.model, reason, change.pause, change.rate, change.at_once))


def _priced(reply: Reply, provider: Provider, clock: float) -> Reply:
    usd = reply.usd if reply.usd is not None else provider.price(reply.input_tokens, reply.output_tokens)
    return replace(reply, usd=usd, seconds=time.perf_counter() - clock)
