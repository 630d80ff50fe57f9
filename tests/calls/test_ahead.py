"""Calls that run ahead of their run: paid for and journalled like any other, numbered when they are asked for."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

from habit.calls.budget import Budget, Ledger
from habit.calls.call import Call, Reply
from habit.calls.concurrency import limiter_of
from habit.calls.kernel import Kernel
from habit.calls.retry import RetryPolicy
from habit.errors import BudgetExceeded, CallFailed
from habit.journal.memory import MemoryStore
from habit.journal.records import CallRecord
from habit.journal.replay import Recording
from support.fakes import FakeProvider, ask, memory_store, transient


async def kernel_for(provider: FakeProvider, store: MemoryStore | None = None, **more: object) -> Kernel:
    store = store or await memory_store("run")
    return Kernel(provider, provider, store=store, run_id="run", **more)  # type: ignore[arg-type]


async def records(store: MemoryStore, run: str = "run") -> list[tuple[str, int, str | None]]:
    return [(call.prompt[0][1], call.occurrence, call.reply) for call in await store.calls(run)]


async def test_a_call_ahead_is_sent_once_and_numbered_when_it_is_asked_for() -> None:
    provider, store = FakeProvider(), await memory_store("run")
    kernel = await kernel_for(provider, store)
    async with kernel.running():
        kernel.ahead.start(ask("one"))
        await anyio.wait_all_tasks_blocked()
        assert (len(provider.sent), await records(store)) == (1, [])
        assert (await kernel.call(ask("one"))).text == "re: one"
        assert await records(store) == [("one", 0, "re: one")]
    assert len(provider.sent) == 1
    assert (kernel.usage.calls, kernel.usage.speculated_calls, kernel.usage.wasted_calls) == (1, 1, 0)


async def test_the_same_call_twice_takes_a_reply_each() -> None:
    numbers = iter(range(10))
    provider, store = FakeProvider(lambda call: str(next(numbers))), await memory_store("run")
    kernel = await kernel_for(provider, store)
    async with kernel.running():
        kernel.ahead.start(ask("one"))
        kernel.ahead.start(ask("one"))
        replies = await kernel.call_all([ask("one"), ask("one"), ask("one")])
    assert sorted(reply.text for reply in replies if isinstance(reply, Reply)) == ["0", "1", "2"]
    assert sorted(number for _, number, _ in await records(store)) == [0, 1, 2]


async def test_who_asks_waits_for_the_call_that_is_under_way() -> None:
    provider = FakeProvider()
    provider.gate = anyio.Event()
    kernel = await kernel_for(provider)
    waited: list[str] = []
    async with kernel.running(), anyio.create_task_group() as group:
        kernel.ahead.start(ask("one"))
        group.start_soon(lambda: kernel.call(ask("one"), waits=lambda: waited.append("one")))
        group.start_soon(lambda: kernel.call(ask("two"), waits=lambda: waited.append("two")))
        await anyio.wait_all_tasks_blocked()
        provider.gate.set()
    assert len(provider.sent) == 2
    assert waited == ["two"]


async def test_what_nobody_asked_for_is_kept_apart_and_counted() -> None:
    provider, store = FakeProvider(), await memory_store("run", "other")
    kernel = await kernel_for(provider, store)
    async with kernel.running():
        for text in ("one", "two"):
            kernel.ahead.start(ask(text))
        await kernel.call(ask("two"))
        await anyio.wait_all_tasks_blocked()
    assert await records(store) == [("two", 0, "re: two"), ("one", -1, "re: one")]
    assert (kernel.usage.calls, kernel.usage.speculated_calls, kernel.usage.wasted_calls) == (2, 2, 1)
    assert kernel.ledger.spent.calls == 2
    recording = Recording.for_replay(await store.calls("run"))
    replayed = await kernel_for(FakeProvider(), store, recording=recording, replay=True)
    async with replayed.running():
        assert not replayed.ahead.is_open
        assert (await replayed.call(ask("two"))).text == "re: two"
    assert recording.unused() == []


async def test_a_wasted_reply_serves_other_runs() -> None:
    provider, store = FakeProvider(), await memory_store("run", "other")
    kernel = await kernel_for(provider, store)
    async with kernel.running():
        kernel.ahead.start(ask("one"))
        kernel.ahead.start(ask("one"))
        await anyio.wait_all_tasks_blocked()
    other = Kernel(provider, provider, store=store, run_id="other")
    for _ in range(2):
        assert (await other.call(ask("one"))).cached
    assert not (await other.call(ask("one"))).cached
    assert len(provider.sent) == 3


async def test_a_resumed_run_counts_what_had_run_ahead_and_was_used() -> None:
    provider, store = FakeProvider(), await memory_store("run")
    kernel = await kernel_for(provider, store)
    async with kernel.running():
        for text in ("one", "two"):
            kernel.ahead.start(ask(text))
        for text in ("one", "two", "three"):
            await kernel.call(ask(text))
    assert (kernel.usage.calls, kernel.usage.speculated_calls) == (3, 2)
    calls = await store.calls("run")
    assert [(call.prompt[-1][1], call.ahead) for call in calls] == [("one", True), ("two", True), ("three", False)]
    resumed = await kernel_for(provider, store, recording=Recording.for_resume(calls))
    async with resumed.running():
        for text in ("one", "two", "three"):
            await resumed.call(ask(text))
    assert (resumed.usage.calls, resumed.usage.speculated_calls, resumed.usage.wasted_calls) == (3, 2, 0)
    replayed = await kernel_for(provider, store, recording=Recording.for_replay(calls), replay=True)
    async with replayed.running():
        await replayed.call(ask("one"))
    assert (replayed.usage.calls, replayed.usage.speculated_calls) == (0, 0), "a replay pays for nothing"


async def test_a_resumed_run_counts_what_was_wasted_and_takes_it_when_it_asks() -> None:
    provider, store = FakeProvider(), await memory_store("run")
    kernel = await kernel_for(provider, store)
    async with kernel.running():
        await kernel.call(ask("one"))
        for text in ("two", "three"):
            kernel.ahead.start(ask(text))
        await anyio.wait_all_tasks_blocked()
    recording = Recording.for_resume(await store.calls("run"))
    resumed = await kernel_for(provider, store, recording=recording)
    assert (resumed.usage.calls, resumed.usage.wasted_calls, resumed.ledger.spent.calls) == (2, 2, 2)
    async with resumed.running():
        await resumed.call(ask("one"))
        assert (await resumed.call(ask("two"))).text == "re: two"
        resumed.ahead.start(ask("three"))  # known already
        resumed.ahead.start(ask("four"))
        await anyio.wait_all_tasks_blocked()
    assert [call.messages[0].content for call in provider.sent] == ["one", "two", "three", "four"]
    assert recording.unused() == []
    assert (resumed.usage.calls, resumed.usage.speculated_calls, resumed.usage.wasted_calls) == (4, 3, 2)
    assert ("two", 0, "re: two") in await records(store)
    assert ("two", -1, "re: two") not in await records(store)


async def test_a_call_that_failed_ahead_is_made_anew() -> None:
    outcomes = iter([CallFailed("too many at once", reason="rate_limit"), "fine"])
    provider, store = FakeProvider(lambda call: next(outcomes)), await memory_store("run")
    kernel = await kernel_for(provider, store)
    async with kernel.running():
        kernel.ahead.start(ask("one"))
        assert (await kernel.call(ask("one"))).text == "fine"
    assert await records(store) == [("one", 0, "fine"), ("one", -2, None)]
    assert kernel.usage.wasted_calls == 1


async def test_calls_ahead_end_with_the_run_and_leave_nothing_held() -> None:
    provider, store = FakeProvider(), await memory_store("run")
    provider.gate = anyio.Event()
    kernel = await kernel_for(provider, store, budget=Budget(max_calls=100))
    with anyio.move_on_after(10) as scope:
        async with kernel.running():
            for number in range(3):
                kernel.ahead.start(ask(f"call {number}"))
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
            await checkpoint()
    assert provider.under_way == 0
    assert kernel.ledger.held.calls == 0
    assert (kernel.usage.calls, kernel.usage.wasted_calls, await records(store)) == (3, 3, [])


async def test_what_the_run_was_waiting_for_when_it_was_stopped_is_there_when_it_goes_on() -> None:
    provider, store = FakeProvider(), await memory_store("run")
    kernel = await kernel_for(provider, store)
    with anyio.CancelScope() as scope:
        async with kernel.running():
            kernel.ahead.start(ask("one"))
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
            await kernel.call(ask("one"))
    assert await records(store) == [("one", -1, "re: one")]
    resumed = await kernel_for(provider, store, recording=Recording.for_resume(await store.calls("run")))
    assert (await resumed.call(ask("one"))).text == "re: one"
    assert (len(provider.sent), resumed.usage.wasted_calls, resumed.ledger.spent.calls) == (1, 0, 1)


async def test_a_reply_that_waits_to_be_asked_for_is_written_down_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("habit.calls.ahead.UNWRITTEN_SECONDS", 0)
    provider, store = FakeProvider(), await memory_store("run")
    kernel = await kernel_for(provider, store, use_cache=False)
    async with kernel.running():
        for text in ("one", "one", "two"):
            kernel.ahead.start(ask(text))
        await anyio.wait_all_tasks_blocked()
        written = await records(store)
        assert sorted(written) == [("one", -2, "re: one"), ("one", -1, "re: one"), ("two", -1, "re: two")]
        killed = Recording.for_resume(await store.calls("run"))  # as it would find it after kill -9
        await kernel.call(ask("one"))
        assert sorted(await records(store), key=lambda record: record[:2])[1:] == [
            ("one", 0, "re: one"),
            ("two", -1, "re: two"),
        ]
    assert (kernel.usage.calls, kernel.usage.wasted_calls, kernel.ledger.spent.calls) == (3, 2, 3)
    assert len(await records(store)) == 3
    store = await memory_store("run")
    for record in killed.unasked:
        await store.add_call(record)
    resumed = await kernel_for(provider, store, recording=killed, use_cache=False)
    async with resumed.running():
        for text in ("one", "one", "two"):
            resumed.ahead.start(ask(text))  # known already
        for text in ("one", "one", "two"):
            await resumed.call(ask(text))
    assert (len(provider.sent), resumed.usage.calls, resumed.usage.wasted_calls) == (3, 3, 0)
    assert sorted(await records(store)) == [("one", 0, "re: one"), ("one", 1, "re: one"), ("two", 0, "re: two")]


async def test_a_reply_is_not_adopted_while_it_is_being_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    class SlowStore(MemoryStore):
        gate = anyio.Event()

        async def add_call(self, call: CallRecord, *, instead_of: int | None = None) -> None:
            await self.gate.wait()
            await super().add_call(call, instead_of=instead_of)

    monkeypatch.setattr("habit.calls.ahead.UNWRITTEN_SECONDS", 0)
    store = SlowStore()
    for run in (await memory_store("run"))._runs.values():
        await store.add_run(run)
    kernel = await kernel_for(FakeProvider(), store)
    async with kernel.running(), anyio.create_task_group() as group:
        kernel.ahead.start(ask("one"))
        await anyio.wait_all_tasks_blocked()
        group.start_soon(kernel.call, ask("one"))
        await anyio.wait_all_tasks_blocked()
        store.gate.set()
    assert await records(store) == [("one", 0, "re: one")]
    assert kernel.usage.wasted_calls == 0


async def test_a_tight_budget_lets_nothing_run_ahead_and_nobody_is_refused_for_it() -> None:
    provider = FakeProvider()
    kernel = await kernel_for(provider, budget=Budget(max_calls=10))
    async with kernel.running():
        for number in range(20):
            kernel.ahead.start(ask(f"ahead {number}"))
        await anyio.wait_all_tasks_blocked()
        assert len(provider.sent) == 5
        for number in range(4):
            await kernel.call(ask(f"ahead {10 + number}"))
        with pytest.raises(BudgetExceeded):
            await kernel.call(ask("one more"))
        kernel.ahead.start(ask("after the end"))
        await anyio.wait_all_tasks_blocked()
    assert len(provider.sent) == 9


async def test_nothing_runs_ahead_of_a_run_that_was_refused_a_call() -> None:
    provider = FakeProvider()
    kernel = await kernel_for(provider, budget=Budget(max_tokens=5000))
    async with kernel.running():
        with pytest.raises(BudgetExceeded):
            await kernel.call(ask("x" * 6000))
        kernel.ahead.start(ask("short"))
        await anyio.wait_all_tasks_blocked()
    assert provider.sent == []


async def test_every_wider_budget_counts_calls_ahead() -> None:
    provider = FakeProvider()
    engine = Ledger(Budget(max_calls=4), name="engine")
    kernel = await kernel_for(provider, within=engine)
    async with kernel.running():
        for number in range(5):
            kernel.ahead.start(ask(f"ahead {number}"))
        await anyio.wait_all_tasks_blocked()
    assert engine.spent.calls == len(provider.sent) == 2


async def test_a_prompt_that_does_not_fit_is_told_when_it_is_asked_for() -> None:
    provider = FakeProvider(window=100)
    kernel = await kernel_for(provider)
    async with kernel.running():
        kernel.ahead.start(ask("x" * 200))
        with pytest.raises(CallFailed, match="smaller context"):
            await kernel.call(ask("x" * 200))
    assert (len(provider.sent), kernel.usage.speculated_calls) == (0, 0)


async def test_a_busy_provider_has_no_room_for_more() -> None:
    provider = FakeProvider(concurrency=3)
    provider.gate = anyio.Event()
    kernel = await kernel_for(provider)
    async with kernel.running():
        assert kernel.ahead.has_room
        kernel.ahead.start(ask("one"))
        assert kernel.ahead.has_room
        kernel.ahead.start(ask("two"))
        assert not kernel.ahead.has_room
        await anyio.wait_all_tasks_blocked()
        assert not kernel.ahead.has_room
        assert limiter_of(provider).under_way == 2
        provider.gate.set()
        await anyio.wait_all_tasks_blocked()
        assert kernel.ahead.has_room


async def test_while_it_is_found_out_what_a_provider_takes_calls_ahead_wait_in_line_up_to_its_ceiling() -> None:
    provider = FakeProvider(concurrency=100)
    provider.gate = anyio.Event()
    kernel = await kernel_for(provider)
    async with kernel.running():
        started = 0
        while kernel.ahead.has_room:
            kernel.ahead.start(ask(f"ahead {started}"))
            started += 1
            await checkpoint()
        assert started == 99
        provider.gate.set()
        with anyio.fail_after(60):
            while len(provider.sent) < started:
                await kernel.ahead.changed()


async def test_once_a_provider_was_found_to_take_no_more_one_call_ahead_at_most_waits_for_it() -> None:
    provider = FakeProvider(lambda call: transient("timeout") if call.role == "root" else "yes", concurrency=100)
    kernel = await kernel_for(provider, retry=RetryPolicy(attempts=1))
    async with kernel.running():
        with pytest.raises(CallFailed):
            await kernel.call(ask("too much", role="root"))
        provider.gate = anyio.Event()
        started = 0
        while kernel.ahead.has_room:
            kernel.ahead.start(ask(f"ahead {started}"))
            started += 1
            await anyio.wait_all_tasks_blocked()
        assert (started, len(provider.sent) - 1) == (2, 1)  # it takes one at once after its first had failed


async def test_calls_of_the_run_go_before_those_ahead_until_it_asks_for_them_too() -> None:
    provider = FakeProvider(concurrency=2)
    provider.gate = anyio.Event()
    kernel = await kernel_for(provider)
    async with kernel.running(), anyio.create_task_group() as group:
        for name in ("first", "second", "third", "fourth", "fifth"):
            kernel.ahead.start(ask(name))
            await anyio.wait_all_tasks_blocked()
        for name in ("fourth", "real", "third"):
            group.start_soon(kernel.call, ask(name))
            await anyio.wait_all_tasks_blocked()
        assert [call.messages[0].content for call in provider.sent] == ["first", "second"]
        provider.gate.set()
        await anyio.wait_all_tasks_blocked()
    sent = [call.messages[0].content for call in provider.sent]
    assert sent == ["first", "second", "fourth", "real", "third", "fifth"]


async def test_a_retry_ahead_is_a_retry() -> None:

    async def no_sleep(seconds: float) -> None:
        await checkpoint()

    outcomes: list[Reply | CallFailed | str] = [transient(), "fine"]

    def reply(call: Call) -> Reply | CallFailed | str:
        return outcomes.pop(0)

    kernel = await kernel_for(FakeProvider(reply), retry=RetryPolicy(sleep=no_sleep))
    async with kernel.running():
        kernel.ahead.start(ask("one"))
        assert (await kernel.call(ask("one"))).text == "fine"
    assert (kernel.usage.calls, kernel.usage.wasted_calls) == (1, 0)
