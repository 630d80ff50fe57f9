"""The kernel: the only door to a model. Budget, fit, journal, concurrency and retries are its business."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from typing import Any, NoReturn, TypeVar, overload

import anyio

from habit.calls.ahead import Ahead, CallsAhead, Sending
from habit.calls.budget import Amount, Budget, Ledger, Reservation
from habit.calls.call import Call, Reply, Role
from habit.calls.concurrency import BackOff, limiter_of
from habit.calls.events import CallEnded, CallFinished, CallRetried, CallStarted, FanOut, SlowedDown
from habit.calls.fanout import (
    ENOUGH_REPLIES,
    Confirm,
    FanOutGate,
    Forecast,
    Planned,
    add_up,
    expected_output,
    measure,
    most_usd,
)
from habit.calls.lines import Early
from habit.calls.numbering import Numbering
from habit.calls.provider import Provider, TransientFailure, UnusableReply
from habit.calls.recorded import failed, record_of
from habit.calls.retry import RetryPolicy, with_retries
from habit.calls.tokens import estimate_prompt, surely_more_than
from habit.calls.usage import Usage, UsageMeter
from habit.errors import BudgetExceeded, CallFailed, ReplayMismatch
from habit.events import Observer, ignore
from habit.journal.records import CallRecord
from habit.journal.replay import Recording
from habit.journal.store import Store
from habit.tasks import task_group

Slot = TypeVar("Slot")
Answer = TypeVar("Answer")

AHEAD = 64
"""Slots of a map that are made ready while others are under way."""
NARROWED = "habit"
"""The scope of a budget that belongs to a part of a run."""


def _nothing() -> None:
    """Nobody wants to know."""


class Kernel:
    """Answers the bounded calls of one run and all its children, from the journal or from a model.

    Three modes. *Live*: without a recording. *Resume*: with the ``recording`` of the same run; what it holds is
    taken, everything else is asked live. *Replay*: with ``replay=True``; everything comes from the
    recording, and the store is neither read nor written. A call that was not recorded raises
    ReplayMismatch then; or BudgetExceeded, when ``stopped_by`` names the limit that had stopped the recorded run.
    """

    def __init__(
        self,
        root: Provider,
        leaf: Provider,
        *,
        store: Store,
        run_id: str,
        budget: Budget | None = None,
        within: Ledger | None = None,
        confirm: Confirm | None = None,
        confirm_usd: float = 1.0,
        recording: Recording | None = None,
        replay: bool = False,
        stopped_by: str | None = None,
        use_cache: bool = True,
        retry: RetryPolicy | None = None,
        on_event: Observer = ignore,
    ) -> None:
        if replay and recording is None:
            raise ValueError("a replay needs a recording")
        self.root = root
        self.leaf = leaf
        self.ledger = Ledger(budget or Budget(), parent=within, on_event=on_event)
        self._run_ledger = self.ledger
        self._gate = FanOutGate(confirm, confirm_usd, run_id, on_event)
        self._store = store
        self._run_id = run_id
        self._recording = recording
        self._replay = replay
        self._stopped_by = stopped_by
        self._use_cache = use_cache
        self._retry = retry or RetryPolicy()
        self._on_event = on_event
        self._meter = UsageMeter()
        self._numbers = Numbering(store, recording, use_cache=use_cache)
        self._longest: dict[Role, int] = {"root": 0, "leaf": 0}
        """Output tokens of the longest reply so far."""
        self._replies: dict[Role, int] = {"root": 0, "leaf": 0}
        """How many replies there were."""
        self._sent = 0
        """Calls under way: they hold a reservation, and the journal does not have them yet."""
        self._all_home: anyio.Event | None = None
        self.ahead = CallsAhead(self._send_ahead, self._write_off, self._has_room)
        """Calls that the run has not asked for yet; none in a replay, which never opens it."""
        self._wasted = 0
        for record in recording.unasked if recording is not None and not replay else ():
            self._wasted += 1
            self._charge_again(record)
        self._out: set[Reservation] = set()
        """Of calls that have left, until the journal has them."""
        self._on_send: set[Callable[[], None]] = set()
        """Told whenever one leaves."""
        self._slowed: set[Provider] = set()
        """Whose slowing down was told of."""
        self._refusal: BudgetExceeded | None = None
        """Why no further call of this run may leave, but for a final one."""

    @property
    def usage(self) -> Usage:
        """What the calls so far have cost; a call ahead counts as wasted once it is written off."""
        return replace(self._meter.usage, speculated_calls=self.ahead.adopted + self._wasted, wasted_calls=self._wasted)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Held while the run is under way: calls may run ahead, unless it is a replay, and none outlives this."""
        if self._replay:
            yield
            return
        async with self.ahead.open():
            yield

    async def fits(self, call: Call) -> bool:
        """Whether ``call`` should fit its model's window, its expected reply included; never asks a model.

        Decided by the cautious estimate alone, even where a provider can count exactly, so that a replay without that
        provider decides alike.
        """
        provider = self._provider(call.role)
        room = provider.window - expected_output(call, provider)
        if surely_more_than(call.measured, room):
            return False
        return await estimate_prompt(call.measured) <= room

    async def call(self, call: Call, *, final: bool = False, waits: Callable[[], None] = _nothing) -> Reply:
        """The reply to ``call``; a ``final`` one may use the call that the budget holds back.

        ``waits`` is called when a model has to be asked, and the call did not run ahead. The journal has the reply
        before it is returned. Raises CallFailed, BudgetExceeded, ReplayMismatch or JournalError.
        """
        return await self._answer(call, self._numbers.next(call.key), final, waits)

    @overload
    async def call_all(self, slots: Sequence[Call]) -> list[Reply | CallFailed]: ...

    @overload
    async def call_all(
        self, slots: Sequence[Slot], answer: Callable[[Slot], Awaitable[Answer]]
    ) -> list[Answer | CallFailed]: ...

    async def call_all(self, slots: Sequence[Any], answer: Callable[[Any], Awaitable[Any]] | None = None) -> list[Any]:
        """Answers aligned with ``slots``, asked concurrently; one that failed holds its CallFailed instead.

        A slot is a Call, or whatever ``answer`` makes calls of. When the budget is used up, calls under way are still
        brought home, because they are paid for, no further one starts, and BudgetExceeded is raised. Any other error
        cancels the rest.
        """
        ask: Callable[[Any], Awaitable[Any]] = answer or self.call
        results: list[Any] = [None] * len(slots)
        workers = 0
        upcoming = iter(range(len(slots)))
        stop: BudgetExceeded | None = None

        async def work() -> None:
            nonlocal stop
            for index in upcoming:
                try:
                    results[index] = await ask(slots[index])
                except CallFailed as failure:
                    results[index] = failure
                except BudgetExceeded as reached:
                    stop = stop or reached
                if stop is not None:
                    return

        ahead = min(AHEAD, 2 * max(self.root.concurrency, self.leaf.concurrency))

        def hire() -> None:
            """Have a few more workers than there are requests under way, so that journal and counting never leave a
            model idle; and not one for every slot, because those would all do that before the first is sent."""
            nonlocal workers
            while workers < min(ahead + len(self._out), len(slots)):
                workers += 1
                group.start_soon(work)

        self._on_send.add(hire)
        try:
            async with task_group() as group:
                hire()
        finally:
            self._on_send.discard(hire)
        if stop is not None:
            raise stop
        return results

    @asynccontextmanager
    async def narrowed(self, budget: Budget, *, stopped: bool = False) -> AsyncIterator[None]:
        """Held while a part of the run works within a budget of its own.

        To be stopped by that raises BudgetExceeded with the scope ``habit``, and stops that part alone. ``stopped``
        says, in a replay, that it was stopped so when it was recorded.
        """
        outer, replayed_stop = self.ledger, self._stopped_by
        self.ledger = Ledger(Budget() if self._replay else budget, parent=outer, name=NARROWED, on_event=self._on_event)
        if self._replay:
            self._stopped_by = NARROWED if stopped else None
        try:
            async with self.ledger.timed():
                yield
        finally:
            self.ledger, self._stopped_by = outer, replayed_stop
            if self._refusal is not None and self._refusal.scope == NARROWED:
                self._refusal = None

    def take_recorded(self, session: str) -> None:
        """Count the recorded calls of ``session``, which nobody will ask again, as if they had been asked again."""
        for record in self._recording.unused() if self._recording is not None else []:
            if record.session == session and self._recording is not None:
                self._count_recorded(record)
                self._recording.take(record.key, record.occurrence)
                self._numbers.next(record.key)

    @asynccontextmanager
    async def fan_out(self, planned: Planned, count: int, size: int, *, session: str, cell: int) -> AsyncIterator[None]:
        """Held while a map of ``count`` slots is under way, which have ``size`` bytes together.

        Before anything is sent, tells of a map that is large, and asks people about one that is expected to cost more
        than they have agreed to; see FanOutGate. A replay never asks. Raises BudgetExceeded when they say no.
        """
        quick = most_usd(count, size, self.leaf)
        if self._replay or not self._gate.may_matter(count, quick):
            yield
            return
        expected = await self.forecast(planned)
        if self._gate.would_ask(expected):
            expected = await self.forecast(planned, skip_known=True)
        map_ = FanOut(session, cell, self.leaf.model, expected.calls, expected.tokens, expected.usd)
        try:
            async with self._gate.passing(map_, lambda: self.ledger.spent.usd):
                yield
        except BudgetExceeded as refusal:
            await self._refuse(refusal)

    def may_ask_people(self, count: int, size: int) -> bool:
        """Whether a map of ``count`` slots with ``size`` bytes together may be one that people are asked about."""
        return self._gate.may_matter(count, most_usd(count, size, self.leaf))

    async def forecast(self, planned: Planned, *, skip_known: bool = False) -> Forecast:
        """What the ``planned`` calls are expected to take, by the rules of ``add_up``; asks no model.

        With ``skip_known``, those that the journal has a reply to are left out, which costs a look for each of them.
        """
        longest = self._longest["leaf"] if self._replies["leaf"] >= ENOUGH_REPLIES else None
        prompts = await anyio.to_thread.run_sync(measure, planned, self.leaf, longest)
        if skip_known:
            keys = await anyio.to_thread.run_sync(lambda: [call.key if call else None for call in planned()])
            known = await self.call_all(self._numbers.upcoming(keys), self._numbers.is_known)
            prompts = [prompt for prompt, is_known in zip(prompts, known, strict=True) if not is_known]
        return add_up(prompts, self.root, self.leaf)

    async def _answer(self, call: Call, occurrence: int, final: bool, waits: Callable[[], None]) -> Reply:
        self._on_event(CallStarted(call, occurrence))
        failed: CallFailed | None = None
        reply: Reply | None = None
        try:
            reply = (
                self._recorded(call, occurrence)
                or await self._remembered(call, occurrence)
                or await self._live(call, occurrence, final, waits)
            )
            return reply
        except CallFailed as failure:
            failed = failure
            self._meter.failed()
            raise
        finally:
            if reply is not None:
                self._on_event(CallFinished(call, occurrence, reply))
            else:
                self._on_event(CallEnded(call, occurrence, failed))

    def _recorded(self, call: Call, occurrence: int) -> Reply | None:
        """The reply this run got before it was interrupted, or when it was recorded."""
        record = self._recording.take(call.key, occurrence) if self._recording is not None else None
        if record is None:
            if not self._replay:
                return None
            if self._stopped_by is not None:
                raise BudgetExceeded(
                    f"The recorded run was stopped here by its budget of {self._stopped_by}.",
                    limit=self._stopped_by,
                    scope=NARROWED if self._stopped_by == NARROWED else "run",
                )
            raise ReplayMismatch(
                f"The replay asked a {call.role} call in session {call.session}, cell {call.cell}, that was not "
                "recorded: the code, the context or the settings differ from the recorded run."
            )
        paid = self._count_recorded(record)
        if record.reply is None:
            raise CallFailed(record.error, reason=record.error_reason or "server")
        return Reply(
            record.reply,
            record.input_tokens,
            record.output_tokens,
            record.usd,
            record.finish,
            record.seconds,
            cached=not paid,
            cache_read_tokens=record.cache_read_tokens,
        )

    def _count_recorded(self, record: CallRecord) -> bool:
        """Count a call that is taken from the recording; whether this run has paid for it."""
        paid = not self._replay and record.cached_from is None and record.attempts > 0
        if paid:
            self._charge_again(record)
        elif record.reply is not None:
            self._meter.cached(record.input_tokens)
        return paid

    def _charge_again(self, record: CallRecord) -> None:
        """Count what this run had paid before it was interrupted."""
        role: Role = "root" if record.role == "root" else "leaf"
        cached = record.cache_read_tokens
        self._meter.live(role, record.input_tokens, record.output_tokens, record.usd, cache_read_tokens=cached)
        used = Amount(1, record.input_tokens + record.output_tokens, record.usd or 0.0)
        for ledger in {self.ledger, self._run_ledger}:  # two while a part of the run is narrowed
            ledger.charge(used, live=False)

    async def _remembered(self, call: Call, occurrence: int) -> Reply | None:
        """The reply any other run got to the same call."""
        if not self._use_cache:
            return None
        known = await self._store.remember(call.key, occurrence, role=call.role)
        if known is None:
            return None
        reply = Reply(known.text, known.input_tokens, known.output_tokens, 0.0, known.finish, cached=True)
        record = self._record(call, occurrence, reply, time.time())
        with anyio.CancelScope(shield=True):
            await self._store.add_call(replace(record, attempts=0, cached_from=known.run))
        self._meter.cached(known.input_tokens)
        return reply

    async def _live(self, call: Call, occurrence: int, final: bool, waits: Callable[[], None]) -> Reply:
        """Ask the model, with everything written down before anyone may use it."""
        with self._away():
            sending = await self.ahead.adopt(call, occurrence)
            if sending is not None:
                return await self._keep(call, occurrence, sending)
        provider = self._provider(call.role)
        waits()
        try:
            prompt_tokens, estimate = await self._estimate(call, provider)
        except CallFailed as too_long:
            await self._write(failed(self._record(call, occurrence, None, time.time()), too_long, attempts=0))
            raise
        hold = await self._reserve(estimate, final)
        with self._away():
            sending = Sending()
            try:
                await self._send(call, provider, prompt_tokens, hold, sending)
                return await self._keep(call, occurrence, sending)
            finally:
                self._out.discard(hold)

    async def _estimate(self, call: Call, provider: Provider) -> tuple[int, Amount]:
        """The tokens of the prompt, and what the call may use. Raises CallFailed when it does not fit."""
        prompt_tokens = await provider.count_tokens(call.measured)
        output_tokens = expected_output(call, provider)
        if prompt_tokens + output_tokens > provider.window:
            raise CallFailed(
                f"the prompt takes about {prompt_tokens:,} tokens and its reply {output_tokens:,}, more than the "
                f"{provider.window:,} that {call.model} takes: pass a smaller context",
                reason="too_long",
            )
        # Replies as long as any before, so that a budget is not overrun by a model that writes more than expected.
        likely = max(output_tokens, self._longest[call.role] if call.sampling.max_tokens is None else 0)
        return prompt_tokens, Amount(1, prompt_tokens + likely, provider.price(prompt_tokens, likely) or 0.0)

    @contextmanager
    def _away(self) -> Iterator[None]:
        """Held while a call of the run is under way."""
        self._sent += 1
        try:
            yield
        finally:
            self._sent -= 1
            if not self._sent and self._all_home is not None:
                self._all_home.set()
                self._all_home = None

    async def _send_ahead(self, ahead: Ahead, nth: int) -> None:
        """Send a call that nobody asked for yet, if that is of use and no budget is tight."""
        call, provider = ahead.call, self._provider(ahead.call.role)
        if await self._numbers.is_known(self._numbers.upcoming([call.key] * (nth + 1))[nth]):
            return
        try:
            prompt_tokens, estimate = await self._estimate(call, provider)
        except CallFailed:
            return  # the run is told when it asks
        hold = None if self._refusal else self.ledger.hold_if_ample(estimate)
        if hold is None:
            return
        try:
            await self._send(call, provider, prompt_tokens, hold, ahead.sending, ahead.early)
        finally:
            self._out.discard(hold)

    async def _write_off(self, ahead: Ahead) -> None:
        """Keep the reply of a call ahead that nobody asked for; other runs may, or this one when it is resumed."""
        sending = ahead.sending
        if not sending.attempts:
            return
        self._wasted += 1
        if sending.reply is not None:
            with suppress(CallFailed):
                await self._keep(ahead.call, self._numbers.in_vain(ahead.call.key, ahead.wanted_as), sending)

    async def _reserve(self, estimate: Amount, final: bool) -> Reservation:
        """Room for a call in every budget; once a call was refused, only a final one still gets any."""
        if self._refusal is not None and not final:
            await self._refuse(self._refusal)
        try:
            hold = await self.ledger.reserve(estimate, final=final)
        except BudgetExceeded as refusal:
            if not final:
                await self._refuse(refusal)
            raise
        if self._refusal is not None and not final:
            hold.release()
            await self._refuse(self._refusal)
        return hold

    async def _refuse(self, refusal: BudgetExceeded) -> NoReturn:
        """Stop the run: no call leaves any more, and those under way come home before anybody is told, because to
        be told ends the run, and they are paid for."""
        self._refusal = self._refusal or refusal
        while self._sent:
            self._all_home = self._all_home or anyio.Event()
            await self._all_home.wait()
        raise BudgetExceeded(str(refusal), limit=refusal.limit, scope=refusal.scope)

    async def _send(
        self,
        call: Call,
        provider: Provider,
        prompt_tokens: int,
        hold: Reservation,
        sending: Sending,
        early: Early | None = None,
    ) -> None:
        """Ask the model and settle what that took; ``sending`` has how it went, failures of the call included."""
        sending.began, clock = time.time(), time.perf_counter()

        async def send() -> Reply:
            nonlocal clock
            if not sending.attempts:
                self._out.add(hold)
                for hire in tuple(self._on_send):
                    hire()
                self.ahead.tell()
                sending.began, clock = time.time(), time.perf_counter()
            sending.attempts += 1
            return await provider.request(call)

        limiter = limiter_of(provider)

        async def attempt() -> Reply:
            return await limiter.request(
                send,
                owner=self,
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
            if not sending.attempts:  # turned away by what the server had said to others
                hold.release()
                sending.failure = failure
                return
            billed = failure.billed if isinstance(failure, UnusableReply) else None
            sending.reply, sending.failure = self._priced(billed or Reply("", 0, 0), provider, clock), failure
        except BaseException:
            if sending.attempts:
                # On its way when the run was stopped: the provider may bill what it has read, so the budget counts it.
                usd = provider.price(prompt_tokens, 0)
                self._meter.live(call.role, 0, 0, provider.price(0, 0))
                self._meter.failed()
                hold.settle(Amount(1, prompt_tokens, usd or 0.0))
            hold.release()
            raise
        else:
            sending.reply = reply = self._priced(reply, provider, clock)
            self._longest[call.role] = max(self._longest[call.role], reply.output_tokens)
            self._replies[call.role] += 1
        # No checkpoint since the reply arrived: it is kept even if the run is being cancelled.
        reply = sending.reply
        self._count(call.role, reply)
        hold.settle(Amount(1, reply.input_tokens + reply.output_tokens, reply.usd or 0.0))

    async def _keep(self, call: Call, occurrence: int, sending: Sending) -> Reply:
        """Write down how the sending of a call went, and give its reply. Raises its CallFailed."""
        record = self._record(call, occurrence, sending.reply, sending.began)
        if sending.failure is not None:
            await self._write(failed(record, sending.failure, sending.attempts))
            raise sending.failure
        await self._write(replace(record, attempts=sending.attempts))
        assert sending.reply is not None
        return sending.reply

    def _has_room(self, coming: int) -> bool:
        """Whether one more leaf call is of use before it is asked for."""
        return limiter_of(self.leaf).has_room(coming)

    def _count(self, role: Role, reply: Reply) -> None:
        self._meter.live(
            role, reply.input_tokens, reply.output_tokens, reply.usd, cache_read_tokens=reply.cache_read_tokens
        )

    def _slowed_down(self, provider: Provider, change: BackOff) -> None:
        if provider not in self._slowed:
            self._slowed.add(provider)
            reason = change.trouble or "slower"
            self._on_event(SlowedDown(provider.model, reason, change.pause, change.rate, change.at_once))

    def _provider(self, role: Role) -> Provider:
        return self.root if role == "root" else self.leaf

    def _priced(self, reply: Reply, provider: Provider, clock: float) -> Reply:
        usd = reply.usd if reply.usd is not None else provider.price(reply.input_tokens, reply.output_tokens)
        return replace(reply, usd=usd, seconds=time.perf_counter() - clock)

    def _record(self, call: Call, occurrence: int, reply: Reply | None, started: float) -> CallRecord:
        return record_of(self._run_id, call, occurrence, reply, started)

    async def _write(self, record: CallRecord) -> None:
        """Durable even when the caller is being cancelled."""
        with anyio.CancelScope(shield=True):
            await self._store.add_call(record)
        if record.attempts:
            self.ledger.recorded(record.usd or 0.0, record.started)
