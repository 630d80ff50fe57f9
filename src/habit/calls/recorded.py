"""Calls in the journal: those a run finds there instead of asking a model, and those it writes down."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import anyio

from habit.calls.account import NARROWED, Account
from habit.calls.call import Call, Reply
from habit.calls.sending import Sending
from habit.errors import BudgetExceeded, CallFailed, ReplayMismatch
from habit.journal.records import CallRecord
from habit.journal.replay import Recording
from habit.journal.store import Store


class Records:
    """The journal as one run uses it; a replay neither reads nor writes the store."""

    def __init__(
        self,
        store: Store,
        run_id: str,
        account: Account,
        *,
        recording: Recording | None,
        replay: bool,
        stopped_by: str | None,
        use_cache: bool,
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._account = account
        self._recording = recording
        self._replay = replay
        self._stopped_by = stopped_by
        self._use_cache = use_cache

    @contextmanager
    def stopped_by(self, limit: str | None) -> Iterator[None]:
        """Held while a call that was not recorded means that the recorded run was stopped there by ``limit``."""
        before, self._stopped_by = self._stopped_by, limit
        try:
            yield
        finally:
            self._stopped_by = before

    def take(self, call: Call, occurrence: int) -> Reply | None:
        """The reply this run got before it was interrupted, or when it was recorded. Raises its CallFailed; and, in a
        replay, ReplayMismatch or BudgetExceeded where there is none."""
        record = self._recording.take(call.key, occurrence) if self._recording is not None else None
        if record is None:
            if self._replay:
                raise self._not_recorded(call)
            return None
        paid = self._count(record)
        if record.reply is None:
            raise CallFailed(record.error, reason=record.error_reason or "server")
        return _reply_of(record, cached=not paid)

    def take_session(self, session: str) -> list[str]:
        """Count the calls of ``session`` that nobody will ask again as if they had been; gives their keys."""
        if self._recording is None:
            return []
        taken = [record for record in self._recording.unused() if record.session == session]
        for record in taken:
            self._count(record)
            self._recording.take(record.key, record.occurrence)
        return [record.key for record in taken]

    async def remember(self, call: Call, occurrence: int) -> Reply | None:
        """The reply any other run got to the same call, written down as this run's."""
        if not self._use_cache:
            return None
        known = await self._store.remember(call.key, occurrence, role=call.role)
        if known is None:
            return None
        reply = Reply(known.text, known.input_tokens, known.output_tokens, 0.0, known.finish, cached=True)
        record = self._record(call, occurrence, reply, time.time())
        with anyio.CancelScope(shield=True):
            await self._store.add_call(replace(record, attempts=0, cached_from=known.run))
        self._account.meter.cached(known.input_tokens)
        return reply

    async def take_ahead(self, call: Call, occurrence: int) -> Reply | None:
        """The reply to ``call`` that this run got ahead before it was interrupted, as one that it has asked for now."""
        record = self._recording.take_ahead(call.key, occurrence) if self._recording is not None else None
        if record is None:
            return None
        asked = replace(record, occurrence=occurrence, session=call.session, cell=call.cell)
        with anyio.CancelScope(shield=True):
            await self._store.add_call(asked, instead_of=record.occurrence)
        return _reply_of(record, cached=False)

    async def keep(
        self, call: Call, occurrence: int, sending: Sending, *, ahead: bool = False, kept_as: int | None = None
    ) -> Reply:
        """Write down how the sending of a call went, which may have run ``ahead``, and give its reply; ``kept_as`` is
        the number under which it was written down already, which it then has no more. Raises its CallFailed."""
        if sending.failure is not None:
            await self.keep_failure(call, occurrence, sending.failure, sending)
            raise sending.failure
        record = self._record(call, occurrence, sending.reply, sending.began)
        record = replace(record, attempts=sending.attempts, waited=sending.waited, ahead=ahead)
        await self._write(record, kept_as)
        assert sending.reply is not None
        return sending.reply

    async def keep_failure(
        self, call: Call, occurrence: int, failure: CallFailed, sending: Sending | None = None
    ) -> None:
        """Write down a call that failed for good, or that was never sent."""
        sending = sending or Sending(began=time.time())
        record = self._record(call, occurrence, sending.reply, sending.began)
        record = replace(record, reply=None, error=str(failure), error_reason=failure.reason)
        await self._write(replace(record, attempts=sending.attempts, waited=sending.waited))

    def _not_recorded(self, call: Call) -> ReplayMismatch | BudgetExceeded:
        if self._stopped_by is not None:
            return BudgetExceeded(
                f"The recorded run was stopped here by its budget of {self._stopped_by}.",
                limit=self._stopped_by,
                scope=NARROWED if self._stopped_by == NARROWED else "run",
            )
        return ReplayMismatch(
            f"The replay asked a {call.role} call in session {call.session}, cell {call.cell}, that was not "
            "recorded: the code, the context or the settings differ from the recorded run."
        )

    def _count(self, record: CallRecord) -> bool:
        """Count a call that is taken from the recording; whether this run has paid for it."""
        paid = not self._replay and record.cached_from is None and record.attempts > 0
        if paid:
            self._account.paid_before(record)
        elif record.reply is not None:
            self._account.meter.cached(record.input_tokens)
        return paid

    def _record(self, call: Call, occurrence: int, reply: Reply | None, started: float) -> CallRecord:
        return CallRecord(
            run=self._run_id,
            key=call.key,
            occurrence=occurrence,
            role=call.role,
            session=call.session,
            cell=call.cell,
            model=call.model,
            prompt=tuple((message.role, message.content) for message in call.messages),
            reply=reply.text if reply else None,
            input_tokens=reply.input_tokens if reply else 0,
            output_tokens=reply.output_tokens if reply else 0,
            cache_read_tokens=reply.cache_read_tokens if reply else 0,
            usd=reply.usd if reply else 0.0,
            seconds=reply.seconds if reply else 0.0,
            started=started,
            finish=reply.finish if reply else "stop",
        )

    async def _write(self, record: CallRecord, kept_as: int | None = None) -> None:
        """Durable even when the caller is being cancelled."""
        with anyio.CancelScope(shield=True):
            await self._store.add_call(record, instead_of=kept_as)
        if record.attempts and kept_as is None:
            self._account.ledger.recorded(record.usd or 0.0, record.started)


def _reply_of(record: CallRecord, *, cached: bool) -> Reply:
    return Reply(
        record.reply or "",
        record.input_tokens,
        record.output_tokens,
        record.usd,
        record.finish,
        record.seconds,
        cached=cached,
        cache_read_tokens=record.cache_read_tokens,
    )
