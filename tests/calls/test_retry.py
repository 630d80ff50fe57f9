"""Retries: which failures, how often, after how long."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit.calls.call import Reply
from habit.calls.provider import TransientFailure
from habit.calls.retry import RetryPolicy, with_retries
from habit.errors import CallFailed
from support.fakes import transient

GOOD = Reply("good", 1, 1)


class Attempts:
    def __init__(self, *outcomes: Reply | CallFailed) -> None:
        self.outcomes = list(outcomes)
        self.waits: list[float] = []
        self.notes: list[tuple[int, str]] = []

    async def attempt(self) -> Reply:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, CallFailed):
            raise outcome
        return outcome

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def on_retry(self, retry: int, wait: float, failure: TransientFailure) -> None:
        self.notes.append((retry, failure.reason))

    async def run(self, **policy: object) -> Reply:
        policy = {"random": lambda: 0.5, **policy}
        return await with_retries(self.attempt, RetryPolicy(sleep=self.sleep, **policy), self.on_retry)  # type: ignore[arg-type]


async def test_waits_grow_and_are_jittered():
    attempts = Attempts(*[transient()] * 4, GOOD)
    assert await attempts.run() == GOOD
    assert attempts.waits == [0.375, 0.75, 1.5, 3.0]
    assert attempts.notes == [(1, "server"), (2, "server"), (3, "server"), (4, "server")]


async def test_gives_up_after_five_attempts():
    attempts = Attempts(*[transient()] * 9)
    with pytest.raises(TransientFailure):
        await attempts.run()
    assert len(attempts.outcomes) == 4


async def test_other_failures_are_not_repeated():
    attempts = Attempts(CallFailed("no", reason="rejected"), GOOD)
    with pytest.raises(CallFailed, match="no"):
        await attempts.run()
    assert attempts.waits == []


async def test_retry_after_is_waited_for_in_full():
    attempts = Attempts(transient(retry_after=7.0), transient(retry_after=0.0), GOOD)
    await attempts.run()
    assert attempts.waits == [7.25, 0.25]


async def test_a_retry_after_beyond_the_maximum_fails_at_once():
    attempts = Attempts(transient("rate_limited", retry_after=121.0), GOOD)
    with pytest.raises(TransientFailure):
        await attempts.run()
    assert attempts.waits == []


async def test_a_wait_that_would_outlast_the_run_fails_at_once():
    attempts = Attempts(transient(retry_after=60.0), GOOD)
    with anyio.fail_after(30), pytest.raises(TransientFailure):
        await attempts.run()
    with anyio.fail_after(90):
        assert await Attempts(transient(retry_after=60.0), GOOD).run() == GOOD


async def test_a_kind_of_failure_may_ask_for_fewer_retries():
    attempts = Attempts(*[transient("invalid", at_most=1)] * 5)
    with pytest.raises(TransientFailure):
        await attempts.run()
    assert len(attempts.waits) == 1


@given(st.integers(1, 60), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_above_the_maximum_nor_below_half_of_the_step(retry, chance):
    async def run() -> None:
        policy = RetryPolicy(attempts=100, random=lambda: chance)
        wait = policy.wait(retry, transient())
        step = min(30.0, 0.5 * 2.0 ** (retry - 1))
        assert wait is not None
        assert step / 2 <= wait <= step

    anyio.run(run)
