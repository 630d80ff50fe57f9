"""The kernel's order of work for live calls: fit, budget, concurrency, retries, journal, usage."""

import anyio
import anyio.lowlevel
import pytest

from habit.calls.budget import Budget
from habit.calls.call import Message, Reply, Sampling
from habit.calls.events import CallEnded, CallFinished, CallRetried, CallStarted, SlowedDown
from habit.calls.kernel import Kernel
from habit.calls.provider import UnusableReply
from habit.calls.retry import RetryPolicy
from habit.calls.usage import Tally, Usage
from habit.errors import BudgetExceeded, CallFailed, JournalError
from habit.journal.memory import MemoryStore
from support.fakes import FakeProvider, ask, memory_store, transient


async def no_sleep(seconds: float) -> None:
    await anyio.lowlevel.checkpoint()


async def kernel_for(provider: FakeProvider, **more: object) -> Kernel:
    settings = {"run_id": "run", "retry": RetryPolicy(sleep=no_sleep), "store": await memory_store("run"), **more}
    return Kernel(provider, settings.pop("leaf", provider), **settings)  # type: ignore[arg-type]


async def test_the_journal_has_the_reply_before_the_caller():
    provider = FakeProvider()
    store = await memory_store("run")
    kernel = await kernel_for(provider, store=store)
    reply = await kernel.call(ask("one", session="0.2", cell=3))
    assert (reply.text, reply.cached) == ("re: one", False)
    [record] = await store.calls("run")
    assert (record.reply, record.session, record.cell, record.attempts) == ("re: one", "0.2", 3, 1)
    assert (record.input_tokens, record.output_tokens, record.usd) == (3, 7, pytest.approx(10e-6))
    assert record.prompt == (("user", "one"),)
    assert record.seconds >= 0
    assert record.started > 1e9


async def test_a_journal_that_cannot_be_written_stops_the_call():
    class FullDisk(MemoryStore):
        async def add_call(self, call: object, *, instead_of: int | None = None) -> None:
            raise JournalError("the disk is full")

    kernel = await kernel_for(FakeProvider(), store=FullDisk(), use_cache=False)
    with pytest.raises(JournalError):
        await kernel.call_all([ask("one"), ask("two")])
    assert kernel.ledger.held.calls == 0


async def test_root_and_leaf_go_to_their_own_models_and_are_counted_apart():
    root, leaf = FakeProvider(model="big"), FakeProvider(model="small", priced=False)
    kernel = await kernel_for(root, leaf=leaf)
    await kernel.call(ask("12345", role="root"))
    assert kernel.usage.usd == pytest.approx(14e-6)
    await kernel.call_all([ask("1"), ask("2")])
    assert [len(root.sent), len(leaf.sent)] == [1, 2]
    assert kernel.usage == Usage(3, 0, 0, Tally(1, 5, 9), Tally(2, 2, 10), None, 5)


def test_usage_prints_as_the_contract_says():
    usage = Usage(3, 2, 1, Tally(1, 5, 9), Tally(2, 2, 10, 1), 0.5, 5, 1)
    assert usage.to_json() == {
        "calls": 3,
        "cached_calls": 2,
        "failed_calls": 1,
        "root": {"calls": 1, "input_tokens": 5, "output_tokens": 9, "cache_read_tokens": 0},
        "leaf": {"calls": 2, "input_tokens": 2, "output_tokens": 10, "cache_read_tokens": 1},
        "usd": 0.5,
        "cache_read_tokens": 1,
        "speculated_calls": 0,
        "wasted_calls": 0,
    }


def test_usage_written_before_caches_were_counted_can_still_be_read():
    old = {"calls": 1, "input_tokens": 5, "output_tokens": 9}
    usage = Usage.from_json({"calls": 1, "root": old, "leaf": {**old, "calls": 0}}, peak_prompt_tokens=5)
    assert usage.cache_read_tokens == usage.root.cache_read_tokens == 0


async def test_call_all_keeps_the_order_and_a_failure_harms_only_its_slot():
    def reply(call):
        text = call.messages[-1].content
        return CallFailed("no", reason="rejected") if text == "3" else f"re: {text}"

    provider = FakeProvider(reply, concurrency=4)
    kernel = await kernel_for(provider)
    results = await kernel.call_all([ask(str(n)) for n in range(20)])
    assert [r.text if isinstance(r, Reply) else r.reason for r in results] == [
        "rejected" if n == 3 else f"re: {n}" for n in range(20)
    ]
    assert (kernel.usage.calls, kernel.usage.failed_calls) == (20, 1)
    assert await kernel.call_all([]) == []


async def test_never_more_requests_at_once_than_the_provider_takes_even_from_several_runs():
    provider = FakeProvider(concurrency=3)
    store = await memory_store("one", "two")
    kernels = [Kernel(provider, provider, store=store, run_id=run, use_cache=False) for run in ("one", "two")]
    async with anyio.create_task_group() as group:
        for kernel in kernels:
            group.start_soon(kernel.call_all, [ask(str(n)) for n in range(30)])
    assert provider.peak == 3
    assert len(provider.sent) == 60


@pytest.mark.parametrize(("max_tokens", "length", "fits"), [(100, 900, True), (100, 901, False), (None, 750, True)])
async def test_a_prompt_that_does_not_fit_is_never_sent(max_tokens, length, fits):
    provider = FakeProvider(window=1000)
    store = await memory_store("run")
    kernel = await kernel_for(provider, store=store)
    call = ask("x" * length, sampling=Sampling(max_tokens=max_tokens))
    if fits:
        await kernel.call(call)
        return
    with pytest.raises(CallFailed, match="901") as failure:
        await kernel.call(call)
    assert failure.value.reason == "too_long"
    assert provider.sent == []
    assert (kernel.usage.calls, kernel.usage.failed_calls) == (0, 1)
    [record] = await store.calls("run")
    assert (record.reply, record.error_reason, record.attempts) == (None, "too_long", 0)


async def test_fits_is_decided_by_the_estimate_alone():
    class Exact(FakeProvider):
        async def count_tokens(self, messages: object) -> int:
            raise AssertionError("asked the model")

    provider = Exact(window=2000)
    kernel = await kernel_for(provider)
    assert await kernel.fits(ask("word " * 100))
    assert not await kernel.fits(ask("word " * 2000))
    assert not await kernel.fits(ask("word " * 10_000_000))
    assert not await kernel.fits(ask("word " * 100, sampling=Sampling(max_tokens=1900)))


async def test_transient_failures_are_retried_and_reported():
    outcomes = [transient("rate_limited"), transient(), "at last"]
    events: list[object] = []
    store = await memory_store("run")
    kernel = await kernel_for(FakeProvider(lambda call: outcomes.pop(0)), store=store, on_event=events.append)
    assert (await kernel.call(ask("x"))).text == "at last"
    assert [type(event) for event in events] == [CallStarted, SlowedDown, CallRetried, CallRetried, CallFinished]
    assert (kernel.usage.calls, kernel.usage.failed_calls) == (1, 0)
    assert (await store.calls("run"))[0].attempts == 3


async def test_a_call_that_failed_for_good_is_recorded_and_counted():
    events: list[object] = []
    store = await memory_store("run")
    kernel = await kernel_for(FakeProvider(lambda call: transient("timeout")), store=store, on_event=events.append)
    with pytest.raises(CallFailed):
        await kernel.call(ask("x"))
    [record] = await store.calls("run")
    assert (record.reply, record.error, record.error_reason, record.attempts) == (None, "it failed", "timeout", 5)
    assert kernel.usage == Usage(1, 0, 1, Tally(), Tally(1, 0, 0), 0.0, 0)
    assert isinstance(events[-1], CallEnded)
    assert events[-1].failure.reason == "timeout"


async def test_a_reply_that_was_billed_but_is_of_no_use_is_paid_for():
    refusal = UnusableReply("refused", reason="refused", billed=Reply("", 100, 20))
    store = await memory_store("run")
    kernel = await kernel_for(FakeProvider(lambda call: refusal), store=store, budget=Budget(max_tokens=10_000))
    with pytest.raises(UnusableReply):
        await kernel.call(ask("x"))
    assert kernel.usage == Usage(1, 0, 1, Tally(), Tally(1, 100, 20), pytest.approx(120e-6), 100)
    assert kernel.ledger.spent.tokens == 120
    [record] = await store.calls("run")
    assert (record.reply, record.input_tokens, record.output_tokens) == (None, 100, 20)


async def test_a_stop_by_the_budget_brings_home_what_is_under_way_and_starts_nothing_more():
    provider = FakeProvider(concurrency=4)
    store = await memory_store("run")
    kernel = await kernel_for(provider, store=store, budget=Budget(max_calls=10))
    with pytest.raises(BudgetExceeded) as stop:
        await kernel.call_all([ask(str(n)) for n in range(50)])
    assert stop.value.limit == "calls"
    assert [call.messages[0].content for call in provider.sent] == [str(n) for n in range(9)]
    assert len(await store.calls("run")) == 9
    assert (await kernel.call(ask("your best answer?", role="root"), final=True)).text == "re: your best answer?"
    with pytest.raises(BudgetExceeded):
        await kernel.call(ask("one more"), final=True)
    assert (kernel.usage.calls, kernel.usage.failed_calls) == (10, 0)


async def test_a_token_budget_lets_calls_through_as_others_settle():
    """64 tokens are expected of each reply and 6 come: all 10 calls fit, though not all at once."""
    provider = FakeProvider(lambda call: "re: ok", concurrency=10)
    kernel = await kernel_for(provider, budget=Budget(max_tokens=200))
    calls = [ask(str(n), sampling=Sampling(max_tokens=64)) for n in range(10)]
    assert len(await kernel.call_all(calls)) == 10
    assert kernel.ledger.spent.tokens == 70
    assert provider.peak <= 3


async def test_after_a_stop_not_even_a_call_that_would_fit_is_started():
    provider = FakeProvider(concurrency=1)
    kernel = await kernel_for(provider, budget=Budget(max_tokens=300))
    short = Sampling(max_tokens=1)
    with pytest.raises(BudgetExceeded):
        await kernel.call_all([ask("x" * 400, sampling=short), *(ask(str(n), sampling=short) for n in range(9))])
    assert len(provider.sent) <= 1


async def test_cancelled_on_its_way_a_call_counts_and_nothing_stays_held():
    provider = FakeProvider()
    provider.gate = anyio.Event()
    events: list[object] = []
    kernel = await kernel_for(provider, budget=Budget(max_calls=5), on_event=events.append)
    async with anyio.create_task_group() as group:
        group.start_soon(kernel.call_all, [ask("one"), ask("two")])
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert (kernel.usage.calls, kernel.usage.failed_calls) == (2, 2)
    assert (kernel.ledger.spent.calls, kernel.ledger.held.calls) == (2, 0)
    assert [event.failure for event in events if isinstance(event, CallEnded)] == [None, None]


async def test_cancelled_before_it_left_a_call_counts_for_nothing():
    provider = FakeProvider(concurrency=1)
    provider.gate = anyio.Event()
    kernel = await kernel_for(provider, budget=Budget(max_calls=5))
    async with anyio.create_task_group() as group:
        group.start_soon(kernel.call, ask("under way"))
        await anyio.wait_all_tasks_blocked()
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as inner:
                inner.start_soon(kernel.call, ask("waits for the limiter"))
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        assert kernel.ledger.held.calls == 1
        provider.gate.set()
    assert (kernel.usage.calls, kernel.usage.failed_calls) == (1, 0)
    assert kernel.ledger.spent.calls == 1


async def test_a_reply_that_has_arrived_is_recorded_even_if_the_caller_is_cancelled():
    class SlowStore(MemoryStore):
        writing = anyio.Event()
        go_on = anyio.Event()

        async def add_call(self, call, *, instead_of=None):
            self.writing.set()
            await self.go_on.wait()
            await super().add_call(call, instead_of=instead_of)

    store = SlowStore()
    for run in (await memory_store("run"))._runs.values():
        await store.add_run(run)
    kernel = await kernel_for(FakeProvider(), store=store)
    async with anyio.create_task_group() as group:
        group.start_soon(kernel.call, ask("one"))
        await store.writing.wait()
        group.cancel_scope.cancel()
        store.go_on.set()
    assert [record.reply for record in await store.calls("run")] == ["re: one"]
    assert kernel.usage.calls == 1


async def test_events_come_in_pairs():
    events: list[object] = []
    kernel = await kernel_for(FakeProvider(), on_event=events.append)
    await kernel.call_all([ask(str(n)) for n in range(5)])
    started = [event.call.key for event in events if isinstance(event, CallStarted)]
    finished = [event.call.key for event in events if isinstance(event, CallFinished)]
    assert sorted(started) == sorted(finished)
    assert len(events) == 10


async def test_messages_of_every_role_reach_the_provider_untouched():
    provider = FakeProvider()
    kernel = await kernel_for(provider)
    call = ask("x")
    call = type(call)("fake", (Message("system", "s"), Message("user", "u"), Message("assistant", "a")), "root")
    await kernel.call(call)
    assert provider.sent == [call]
