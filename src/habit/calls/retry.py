"""Retries: jittered exponential back-off on failures that may pass, honouring Retry-After."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from habit.calls.call import Reply
from habit.calls.provider import TransientFailure


@dataclass(frozen=True)
class RetryPolicy:
    """How often and when a failed attempt is repeated; times in seconds.

    The wait before retry *n* is drawn between half and the whole of ``first_wait * 2 ** (n - 1)``, at most
    ``max_wait``. A Retry-After is waited for in full, plus up to ``first_wait`` so that many calls do not return in
    one instant. When it asks for more than ``max_retry_after``, or a wait would outlast the time the run has left,
    the call fails at once: to ask earlier than told would only be refused again.
    """

    attempts: int = 5
    first_wait: float = 0.5
    max_wait: float = 30.0
    max_retry_after: float = 120.0
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    random: Callable[[], float] = random.random
    """Uniform in [0, 1)."""

    def wait(self, retry: int, failure: TransientFailure) -> float | None:
        """Seconds to wait before retry number ``retry`` (from 1), or None to give up."""
        if retry >= self.attempts or (failure.at_most is not None and retry > failure.at_most):
            return None
        if failure.retry_after is None:
            wait = min(self.max_wait, self.first_wait * 2.0 ** min(retry - 1, 60)) * (0.5 + self.random() / 2)
        elif failure.retry_after <= self.max_retry_after:
            wait = failure.retry_after + self.random() * self.first_wait
        else:
            return None
        return wait if anyio.current_time() + wait < anyio.current_effective_deadline() else None


async def with_retries(
    attempt: Callable[[], Awaitable[Reply]],
    policy: RetryPolicy,
    on_retry: Callable[[int, float, TransientFailure], None],
) -> Reply:
    """The reply of ``attempt``, repeated as ``policy`` says; raises the last failure, and any other at once."""
    retry = 0
    while True:
        try:
            return await attempt()
        except TransientFailure as failure:
            retry += 1
            wait = policy.wait(retry, failure)
            if wait is None:
                raise
            on_retry(retry, wait, failure)
        await policy.sleep(wait)
