"""Budgets are never exceeded by more than the calls under way turn out bigger than estimated."""

import math

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habit.calls.budget import Amount, Budget, Ledger, Reservation
from habit.calls.prices import require_price
from habit.errors import BudgetExceeded, UsageError
from support.fakes import FakeProvider


@pytest.mark.parametrize("name", ["max_calls", "max_tokens", "max_usd", "max_seconds"])
@pytest.mark.parametrize("value", [0, -1, -0.5, math.nan, True, "5"])
def test_a_budget_that_allows_nothing_is_a_usage_error(name, value):
    with pytest.raises(UsageError, match="--" + name.replace("_", "-")):
        Budget(**{name: value})


@pytest.mark.parametrize("name", ["max_calls", "max_tokens"])
def test_counts_are_whole_numbers(name):
    with pytest.raises(UsageError, match="whole number"):
        Budget(**{name: 2.5})


def test_no_limits_by_default():
    assert Budget() == Budget(None, None, None, None)


async def spend(ledger: Ledger, used: Amount, *, estimate: Amount | None = None, final: bool = False) -> None:
    (await ledger.reserve(estimate or used, final=final)).settle(used)


async def test_one_call_is_held_back_for_a_final_one():
    ledger = Ledger(Budget(max_calls=3))
    await spend(ledger, Amount(1))
    await spend(ledger, Amount(1))
    with pytest.raises(BudgetExceeded, match="--max-calls") as stop:
        await ledger.reserve(Amount(1))
    assert stop.value.limit == "calls"
    await spend(ledger, Amount(1), final=True)
    with pytest.raises(BudgetExceeded):
        await ledger.reserve(Amount(1), final=True)


async def test_a_budget_of_one_call_allows_one_call():
    ledger = Ledger(Budget(max_calls=1))
    await spend(ledger, Amount(1))
    with pytest.raises(BudgetExceeded):
        await ledger.reserve(Amount(1))


async def test_calls_under_way_count_as_calls():
    ledger = Ledger(Budget(max_calls=3))
    held = [await ledger.reserve(Amount(1)) for _ in range(2)]
    with pytest.raises(BudgetExceeded):
        await ledger.reserve(Amount(1))
    held[0].release()
    await ledger.reserve(Amount(1))


@pytest.mark.parametrize(
    ("budget", "limit"), [(Budget(max_tokens=100), "tokens"), (Budget(max_usd=100.0), "usd")], ids=["tokens", "usd"]
)
async def test_a_call_that_cannot_fit_is_refused(budget, limit):
    ledger = Ledger(budget)
    await spend(ledger, Amount(1, 60, 60.0))
    with pytest.raises(BudgetExceeded, match=f"--max-{limit}") as stop:
        await ledger.reserve(Amount(1, 41, 41.0))
    assert stop.value.limit == limit
    await spend(ledger, Amount(1, 40, 40.0))


@pytest.mark.parametrize("budget", [Budget(max_tokens=100), Budget(max_usd=100.0)], ids=["tokens", "usd"])
async def test_a_call_waits_where_calls_under_way_may_leave_room(budget):
    ledger = Ledger(budget)
    first = await ledger.reserve(Amount(1, 80, 80.0))
    let_in = anyio.Event()

    async def second() -> None:
        (await ledger.reserve(Amount(1, 50, 50.0))).release()
        let_in.set()

    async with anyio.create_task_group() as group:
        group.start_soon(second)
        await anyio.wait_all_tasks_blocked()
        assert not let_in.is_set()
        first.settle(Amount(1, 10, 10.0))
        with anyio.fail_after(5):
            await let_in.wait()


async def test_a_waiting_call_is_refused_once_the_room_is_gone():
    ledger = Ledger(Budget(max_tokens=100))
    first = await ledger.reserve(Amount(1, 80))
    refused = anyio.Event()

    async def second() -> None:
        with pytest.raises(BudgetExceeded):
            await ledger.reserve(Amount(1, 50))
        refused.set()

    async with anyio.create_task_group() as group:
        group.start_soon(second)
        await anyio.wait_all_tasks_blocked()
        first.settle(Amount(1, 90))
        with anyio.fail_after(5):
            await refused.wait()


async def test_only_the_first_end_of_a_reservation_counts():
    ledger = Ledger(Budget())
    hold = await ledger.reserve(Amount(1, 10, 0.1))
    hold.settle(Amount(1, 12, 0.2))
    hold.settle(Amount(1, 12, 0.2))
    hold.release()
    assert (ledger.spent, ledger.held) == (Amount(1, 12, 0.2), Amount())


def test_a_budget_in_usd_needs_a_price():
    require_price(FakeProvider(), Budget(max_usd=1.0))
    require_price(FakeProvider(priced=False), Budget(max_tokens=1))
    with pytest.raises(UsageError, match=r"none is known for fake.*--max-tokens"):
        require_price(FakeProvider(priced=False), Budget(max_usd=1.0))


sizes = st.integers(0, 40)
budgets = st.builds(
    lambda calls, tokens, usd: Budget(calls, tokens, usd),
    st.none() | st.integers(1, 12),
    st.none() | st.integers(1, 200),
    st.none() | st.floats(0.5, 200.0),
)
plans = st.lists(st.tuples(sizes, sizes, st.sampled_from(["settle", "release"]), st.booleans()), max_size=40)


@settings(max_examples=150, deadline=None)
@given(budgets, plans, st.randoms(use_true_random=False))
def test_concurrent_reservations_never_exceed_a_budget(budget, plan, chance):
    """At every moment what is spent and held is within the budget, but for what calls took beyond their estimate."""

    async def run() -> None:
        ledger = Ledger(budget)
        excess = Amount()
        open_holds: list[Reservation] = []

        def check() -> None:
            total = ledger.spent + ledger.held
            if budget.max_calls is not None:
                assert total.calls <= budget.max_calls
            if budget.max_tokens is not None:
                assert total.tokens <= budget.max_tokens + excess.tokens
            if budget.max_usd is not None:
                assert total.usd <= budget.max_usd + excess.usd + 1e-9
            assert ledger.held.calls >= len(open_holds)  # room is held for a waiting call before it wakes up

        async def one(estimated: int, used: int, end: str, final: bool) -> None:
            nonlocal excess
            try:
                hold = await ledger.reserve(Amount(1, estimated, float(estimated)), final=final)
            except BudgetExceeded:
                return
            open_holds.append(hold)
            check()
            for _ in range(chance.randrange(4)):
                await anyio.lowlevel.checkpoint()
            if end == "settle":
                more = max(0, used - estimated)
                excess += Amount(0, more, float(more))
                hold.settle(Amount(1, used, float(used)))
            else:
                hold.release()
            open_holds.remove(hold)
            check()

        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                for step in plan:
                    group.start_soon(one, *step)
        assert ledger.held == Amount()

    anyio.run(run)
