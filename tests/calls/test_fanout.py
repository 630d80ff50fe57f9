"""Large maps: forecast before anything is sent, asked about once, and a stop by a budget brings calls home."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import anyio
import anyio.lowlevel
import pytest

from habit.calls.budget import Budget
from habit.calls.call import Call, Sampling
from habit.calls.events import FanOut
from habit.calls.fanout import CHILD_CALLS, ENOUGH_REPLIES, EXPECTED_OUTPUT, UNPRICED_CALLS, Planned
from habit.calls.kernel import Kernel
from habit.errors import BudgetExceeded
from habit.events import Event
from habit.journal.replay import Recording
from support.fakes import FakeProvider, ask, memory_store

SHORT = Sampling(max_tokens=1_000)


class People:
    """Say what they are told to, and note what they were asked."""

    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)
        self.asked: list[FanOut] = []
        self.events: list[Event] = []

    async def confirm(self, map_: FanOut) -> bool:
        await anyio.lowlevel.checkpoint()
        self.asked.append(map_)
        return self.answers.pop(0)


def planned(calls: Sequence[Call | None]) -> Planned:
    def each() -> Iterator[Call | None]:
        yield from calls

    return each


def calls_of(count: int, *, name: str = "", max_tokens: int = 1_000) -> list[Call]:
    return [ask(f"{name}{number}", sampling=Sampling(max_tokens=max_tokens)) for number in range(count)]


async def kernel_for(provider: FakeProvider, people: People | None = None, **more: object) -> Kernel:
    settings = {"run_id": "run", "store": await memory_store("run"), **more}
    if people is not None:
        settings = {"confirm": people.confirm, "on_event": people.events.append, **settings}
    return Kernel(provider, provider, **settings)  # type: ignore[arg-type]


async def send(kernel: Kernel, calls: Sequence[Call], *, size: int = 1_000) -> None:
    async with kernel.fan_out(planned(calls), len(calls), size, session="0", cell=2):
        await kernel.call_all(calls)


async def test_a_forecast_counts_prompts_replies_and_child_runs() -> None:
    kernel = await kernel_for(FakeProvider(window=10_000))
    one = await kernel.forecast(planned([ask("a" * 100, sampling=SHORT)]))
    assert one.calls == 1
    assert 1_028 < one.tokens < 1_100
    assert one.usd == pytest.approx(one.tokens / 1e6)
    three = await kernel.forecast(planned([ask("a" * 100, sampling=SHORT)] * 3))
    assert (three.calls, three.tokens) == (3, 3 * one.tokens)
    mixed = await kernel.forecast(planned([None, ask("a" * 100_000, sampling=SHORT)]))
    assert mixed.calls == 2 * CHILD_CALLS
    nothing = await kernel.forecast(planned([]))
    assert (nothing.calls, nothing.tokens, nothing.usd) == (0, 0, 0.0)


async def test_a_forecast_learns_from_the_replies_so_far() -> None:
    kernel = await kernel_for(FakeProvider())
    call = ask("a" * 100)
    before = await kernel.forecast(planned([call]))
    await kernel.call_all([ask(str(number)) for number in range(ENOUGH_REPLIES)])
    after = await kernel.forecast(planned([call]))
    assert before.tokens - after.tokens == EXPECTED_OUTPUT - len("re: 0")


async def test_a_forecast_without_a_price_has_none() -> None:
    kernel = await kernel_for(FakeProvider(priced=False))
    assert (await kernel.forecast(planned(calls_of(5)))).usd is None


async def test_replies_that_are_there_already_are_left_out() -> None:
    store = await memory_store("run", "before")
    provider = FakeProvider()
    before = Kernel(provider, provider, store=store, run_id="before")
    await before.call_all(calls_of(4))
    kernel = await kernel_for(provider, store=store)
    again = [*calls_of(4), *calls_of(4), *calls_of(2, name="new")]
    assert (await kernel.forecast(planned(again))).calls == 10
    assert (await kernel.forecast(planned(again), skip_known=True)).calls == 6, "the second time they are new calls"
    fresh = await kernel_for(provider, store=store, use_cache=False)
    assert (await fresh.forecast(planned(again), skip_known=True)).calls == 10
    resumed = await kernel_for(
        provider, store=store, use_cache=False, recording=Recording.for_resume(await store.calls("before"))
    )
    assert (await resumed.forecast(planned(again), skip_known=True)).calls == 6
    assert len(await resumed.call_all(calls_of(4))) == 4, "looking used nothing up"
    assert len(provider.sent) == 4


async def test_people_are_told_of_a_large_map_and_not_asked_while_it_is_cheap() -> None:
    people = People()
    kernel = await kernel_for(FakeProvider(), people)
    await send(kernel, calls_of(99, name="few"))
    assert [event for event in people.events if isinstance(event, FanOut)] == []
    await send(kernel, calls_of(100))
    [told] = [event for event in people.events if isinstance(event, FanOut)]
    assert (told.session, told.cell, told.model, told.calls) == ("0", 2, "fake", 100)
    assert people.asked == []


async def test_an_expensive_map_needs_peoples_word() -> None:
    people = People(False)
    provider = FakeProvider()
    kernel = await kernel_for(provider, people, confirm_usd=0.05)
    with pytest.raises(BudgetExceeded, match=r"map of 60 calls to fake for about \$0\.06.*resume run --yes") as stop:
        await send(kernel, calls_of(60))
    assert (stop.value.limit, provider.sent) == ("fan_out", [])
    assert [event for event in people.events if isinstance(event, FanOut)] == people.asked
    with pytest.raises(BudgetExceeded, match="Nobody agreed"):
        await kernel.call(ask("one more"))


async def test_who_agreed_is_not_asked_again_below_that() -> None:
    people = People(True, True)
    kernel = await kernel_for(FakeProvider(), people, confirm_usd=0.05)
    await send(kernel, calls_of(60, name="a"))
    assert len(people.asked) == 1
    await send(kernel, calls_of(40, name="1" * 1_000))
    assert len(people.asked) == 1, "the first map really used next to nothing of what was agreed to"
    await send(kernel, calls_of(80, name="2" * 1_000))
    assert [map_.calls for map_ in people.asked] == [60, 80]


async def test_maps_under_way_together_count_together() -> None:
    people = People(True)
    provider = FakeProvider()
    provider.gate = anyio.Event()
    kernel = await kernel_for(provider, people, confirm_usd=0.05)
    async with anyio.create_task_group() as group:
        group.start_soon(send, kernel, calls_of(40, name="a"))
        await anyio.wait_all_tasks_blocked()
        assert people.asked == []
        group.start_soon(send, kernel, calls_of(40, name="b"))
        await anyio.wait_all_tasks_blocked()
        assert len(people.asked) == 1
        provider.gate.set()


async def test_without_a_price_many_calls_are_asked_about() -> None:
    people = People(False)
    kernel = await kernel_for(FakeProvider(priced=False), people)
    async with kernel.fan_out(planned(calls_of(UNPRICED_CALLS)), UNPRICED_CALLS, 10, session="0", cell=1):
        pass
    with pytest.raises(BudgetExceeded, match="of no known price"):
        await send(kernel, calls_of(UNPRICED_CALLS + 1))


async def test_without_anybody_to_ask_budgets_alone_hold() -> None:
    provider = FakeProvider()
    events: list[Event] = []
    kernel = await kernel_for(provider, confirm_usd=0.01, on_event=events.append)
    await send(kernel, calls_of(50))
    assert len(provider.sent) == 50
    assert [event.calls for event in events if isinstance(event, FanOut)] == [50]


async def test_a_replay_never_asks() -> None:
    store = await memory_store("run")
    provider = FakeProvider()
    live = await kernel_for(provider, store=store)
    await send(live, calls_of(50))
    people = People()
    recording = Recording.for_replay(await store.calls("run"))
    replay = await kernel_for(provider, people, store=store, recording=recording, replay=True, confirm_usd=0.01)
    await send(replay, calls_of(50))
    assert people.asked == []
    assert not [event for event in people.events if isinstance(event, FanOut)]


async def test_single_calls_under_way_come_home_before_a_budget_stops_the_run() -> None:
    """As a cell's threads do it: every call in a task of its own, and the first error cancels the others."""
    provider = FakeProvider(concurrency=4)
    provider.gate = anyio.Event()
    store = await memory_store("run")
    kernel = await kernel_for(provider, store=store, budget=Budget(max_calls=4))
    stops: list[BudgetExceeded] = []

    async def one(number: int) -> None:
        await kernel.call(ask(str(number)))

    async def cell() -> None:
        try:
            async with anyio.create_task_group() as group:
                for number in range(10):
                    group.start_soon(one, number)
        except BaseExceptionGroup as failures:
            stops.extend(failure for failure in failures.exceptions if isinstance(failure, BudgetExceeded))

    async with anyio.create_task_group() as outer:
        outer.start_soon(cell)
        await anyio.wait_all_tasks_blocked()
        assert stops == []
        provider.gate.set()
    assert stops
    assert sorted(record.reply or "" for record in await store.calls("run")) == ["re: 0", "re: 1", "re: 2"]
    assert (kernel.usage.calls, kernel.usage.failed_calls) == (3, 0)
    assert (await kernel.call(ask("your best answer?", role="root"), final=True)).text == "re: your best answer?"


async def test_a_smaller_call_does_not_slip_through_after_a_stop() -> None:
    provider = FakeProvider()
    kernel = await kernel_for(provider, budget=Budget(max_tokens=2_000))
    with pytest.raises(BudgetExceeded):
        await kernel.call(ask("x" * 1_500, sampling=SHORT))
    with pytest.raises(BudgetExceeded):
        await kernel.call(ask("x", sampling=Sampling(max_tokens=1)))
    assert provider.sent == []


async def test_a_call_that_waits_for_room_does_not_leave_after_a_stop() -> None:
    provider = FakeProvider()
    provider.gate = anyio.Event()
    kernel = await kernel_for(provider, budget=Budget(max_tokens=3_000))
    refused: list[str] = []

    async def one(text: str, tokens: int) -> None:
        try:
            await kernel.call(ask(text, sampling=Sampling(max_tokens=tokens)))
        except BudgetExceeded:
            refused.append(text[0])

    async with anyio.create_task_group() as group:
        group.start_soon(one, "under way", 2_000)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(one, "waits", 2_000)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(one, "too big", 4_000)
        await anyio.wait_all_tasks_blocked()
        assert refused == []
        provider.gate.set()
    assert sorted(refused) == ["t", "w"]
    assert len(provider.sent) == 1
    assert kernel.ledger.held.calls == 0


async def test_a_huge_map_keeps_few_tasks() -> None:
    provider = FakeProvider(concurrency=2)
    kernel = await kernel_for(provider, use_cache=False)
    most = 0

    async def answer(number: int) -> int:
        nonlocal most
        await anyio.lowlevel.checkpoint()
        most = max(most, len(anyio.get_running_tasks()) if number % 100 == 0 else 0)
        return number

    assert await kernel.call_all(range(5_000), answer) == list(range(5_000))
    assert most < 20
