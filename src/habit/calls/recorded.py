"""Calls as the journal keeps them."""

from __future__ import annotations

from dataclasses import replace

from habit.calls.call import Call, Reply
from habit.errors import CallFailed
from habit.journal.records import CallRecord


def record_of(run_id: str, call: Call, occurrence: int, reply: Reply | None, started: float) -> CallRecord:
    """The record of a call that began at ``started`` (Unix seconds)."""
    return CallRecord(
        run=run_id,
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


def failed(record: CallRecord, failure: CallFailed, attempts: int) -> CallRecord:
    """The record of a call that failed for good."""
    return replace(record, reply=None, error=str(failure), error_reason=failure.reason, attempts=attempts)
