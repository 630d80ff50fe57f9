"""Budgets within budgets, a run in its session in its day: each level holds, and nobody is locked out."""

from __future__ import annotations

import math

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habit.calls.budget import Amount, Budget, Ledger, Reservation
from habit.calls.daily import DayLedger
from habit.calls.events import BudgetWarning
from habit.errors import BudgetExceeded


async def settled() -> None:
    """Let every task go as far as it can."""
    for _ in range(6):
        await anyio.lowlevel.checkpoint()


class Waiter:
    """One call in a task of its own, which holds its reservation until it is told to end."""

    def __init__(self, ledger: Ledger, estimate: Amount, *, final: bool = False) -> None:
        self.ledger = ledger
        self.estimate = estimate
        self.final = final
        self.scope = anyio.CancelScope()
        self.hold: Reservation | None = None
        self.refusal: BudgetExceeded | None = None
        self.cancelled = False

    async def run(self) -> None:
        with self.scope:
            try:
                self.hold = await self.ledger.reserve(self.estimate, final=self.final)
            except BudgetExceeded as refusal:
                self.refusal = refusal
        self.cancelled = self.scope.cancelled_caught

    @property
    def waits(self) -> bool:
        return self.hold is None and self.refusal is None and not self.cancelled


async def test_every_level_has_to_have_room() -> None:
    session = Ledger(Budget(max_calls=4), name="session")
    first = Ledger(Budget(max_calls=3), parent=session)
    second = Ledger(Budget(), parent=session)
    for _ in range(2):
        (await first.reserve(Amount(1))).settle(Amount(1, 10, 0.5))
    with pytest.raises(BudgetExceeded, match=r"The run has used its budget of 3 calls.*--max-calls") as stop:
        await first.reserve(Amount(1))
    assert (stop.value.limit, stop.value.scope) == ("calls", "run")
    (await second.reserve(Amount(1))).settle(Amount(1, 5, 0.25))
    with pytest.raises(BudgetExceeded, match=r"The session has used its budget of 4 calls.*a larger max_calls") as stop:
        await second.reserve(Amount(1))
    assert (stop.value.limit, stop.value.scope) == ("calls", "session")
    (await second.reserve(Amount(1), final=True)).settle(Amount(1))
    assert session.spent == Amount(4, 25, 1.25)
    assert (first.spent, second.spent) == (Amount(2, 20, 1.0), Amount(2, 5, 0.25))


async def test_a_message_ends_with_the_remedy_of_its_level() -> None:
    ledger = Ledger(Budget(max_tokens=5), name="engine", remedy="open the engine with a larger {field} ({flag})")
    with pytest.raises(BudgetExceeded, match=r"engine has used 0 of .* a larger max_tokens \(--max-tokens\)\.$"):
        await Ledger(Budget(), parent=ledger).reserve(Amount(1, 6))


async def test_a_call_refused_at_one_level_holds_nothing_at_another() -> None:
    session = Ledger(Budget(max_tokens=10), name="session")
    run = Ledger(Budget(), parent=session)
    with pytest.raises(BudgetExceeded):
        await run.reserve(Amount(1, 11))
    assert run.held == session.held == Amount()


async def test_a_big_call_is_not_kept_waiting_by_small_ones() -> None:
    session = Ledger(Budget(max_tokens=100), name="session")
    busy, patient = Ledger(Budget(), parent=session), Ledger(Budget(), parent=session)
    held = [await busy.reserve(Amount(1, 40)) for _ in range(2)]
    big = Waiter(patient, Amount(1, 90))
    small = [Waiter(busy, Amount(1, 10)) for _ in range(3)]
    async with anyio.create_task_group() as group:
        group.start_soon(big.run)
        await settled()
        for call in small:
            group.start_soon(call.run)
            await settled()
        assert [call.waits for call in (big, *small)] == [True] * 4, (
            "small ones would fit, and queue behind the big one"
        )
        held[0].release()
        await settled()
        assert big.waits
        held[1].release()
        await settled()
        assert big.hold is not None
        assert [call.waits for call in small] == [False, True, True]
        big.hold.settle(Amount(1, 20))
        await settled()
        assert not any(call.waits for call in small)


async def test_a_run_that_waits_for_itself_is_in_nobodys_way() -> None:
    session = Ledger(Budget(max_tokens=1000), name="session")
    tight, free = Ledger(Budget(max_tokens=100), parent=session), Ledger(Budget(), parent=session)
    hold = await tight.reserve(Amount(1, 90))
    blocked = Waiter(tight, Amount(1, 50))
    async with anyio.create_task_group() as group:
        group.start_soon(blocked.run)
        await settled()
        assert blocked.waits
        (await free.reserve(Amount(1, 500))).release()
        hold.release()
        await settled()
        assert not blocked.waits


async def test_who_gives_up_waiting_lets_the_next_one_pass() -> None:
    ledger = Ledger(Budget(max_tokens=100))
    hold = await ledger.reserve(Amount(1, 50))
    big, small = Waiter(ledger, Amount(1, 90)), Waiter(ledger, Amount(1, 10))
    async with anyio.create_task_group() as group:
        group.start_soon(big.run)
        group.start_soon(small.run)
        await settled()
        assert big.waits
        assert small.waits
        big.scope.cancel()
        await settled()
        assert small.hold is not None
    small.hold.release()
    hold.release()
    assert ledger.held == Amount()


async def test_room_given_to_a_call_that_was_cancelled_is_given_back() -> None:
    ledger = Ledger(Budget(max_tokens=100))
    hold = await ledger.reserve(Amount(1, 50))
    waiting = Waiter(ledger, Amount(1, 90))
    async with anyio.create_task_group() as group:
        group.start_soon(waiting.run)
        await settled()
        waiting.scope.cancel()
        hold.release()  # gives it room before it wakes up
    assert waiting.hold is None
    assert ledger.held == Amount()


amounts = st.integers(0, 40)
limits = st.builds(
    Budget, st.none() | st.integers(1, 12), st.none() | st.integers(1, 150), st.none() | st.floats(0.5, 150.0)
)
steps = st.one_of(
    st.tuples(st.just("ask"), st.integers(0, 2), amounts, st.booleans()),
    st.tuples(st.sampled_from(["settle", "release", "cancel"]), st.integers(0, 9), amounts, st.booleans()),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(limits, min_size=5, max_size=5), st.lists(steps, max_size=40))
def test_random_programs_keep_every_level_of_a_tree(budgets: list[Budget], program: list[tuple[str, int, int, bool]]):
    """Three runs, two of them in one session, all in one wider scope: invariants hold after every step."""

    async def run() -> None:
        whole = Ledger(budgets[0], name="whole")
        session = Ledger(budgets[1], parent=whole, name="session")
        runs = [
            Ledger(budgets[2], parent=session),
            Ledger(budgets[3], parent=session),
            Ledger(budgets[4], parent=whole),
        ]
        levels = [whole, session, *runs]
        spent = {level: Amount() for level in levels}
        excess = dict.fromkeys(levels, 0)
        calls: list[Waiter] = []

        def check(waited_before: list[Waiter]) -> None:
            under_way = [call for call in calls if call.hold is not None]
            waiting = [call for call in calls if call.waits]
            for level in levels:
                held = sum((call.estimate for call in under_way if level in call.ledger.levels), Amount())
                assert level.held == held
                assert level.spent == spent[level]
                total, budget = level.spent + held, level.budget
                assert total.calls <= (budget.max_calls or math.inf)
                assert total.tokens <= (budget.max_tokens or math.inf) + excess[level]
                assert total.usd <= (budget.max_usd or math.inf) + excess[level]
            if waiting:
                first = waiting[0]
                short = first.ledger._short_of_room(first.estimate, first.final)
                assert short is not None, "the first in line could go"
                assert short.held.calls, "it waits for nobody"
            for index, patient in enumerate(waiting):
                short = patient.ledger._short_of_room(patient.estimate, patient.final)
                for later in calls[calls.index(patient) + 1 :]:
                    overtook = later in waited_before and later.hold is not None
                    assert not (overtook and short in later.ledger.levels), f"number {index} in line was overtaken"

        async with anyio.create_task_group() as group:
            for action, number, size, flag in program:
                waited_before = [call for call in calls if call.waits]
                chosen = [call for call in calls if call.hold is not None]
                if action == "ask":
                    calls.append(Waiter(runs[number], Amount(1, size, float(size)), final=flag))
                    group.start_soon(calls[-1].run)
                elif action == "cancel":
                    if waited_before:
                        waited_before[number % len(waited_before)].scope.cancel()
                elif chosen:
                    call = chosen[number % len(chosen)]
                    assert call.hold is not None
                    if action == "settle":
                        for level in call.ledger.levels:
                            spent[level] += Amount(1, size, float(size))
                            excess[level] += max(0, size - call.estimate.tokens)
                        call.hold.settle(Amount(1, size, float(size)))
                    else:
                        call.hold.release()
                    calls.remove(call)
                await settled()
                check(waited_before)
            while (under_way := [call for call in calls if call.hold is not None]) and under_way:
                for call in under_way:
                    assert call.hold is not None
                    call.hold.release()
                    calls.remove(call)
                await settled()
            assert not any(call.waits for call in calls), "everybody has had an answer"
        assert all(level.held == Amount() for level in levels)
        assert all(call.cancelled or call.refusal is not None for call in calls)

    anyio.run(run)


async def test_people_are_told_once_when_a_limit_is_nearly_used_up() -> None:
    told: list[object] = []
    session = Ledger(Budget(max_usd=1.0), name="session")
    first = Ledger(Budget(max_calls=5, max_tokens=1000), parent=session, on_event=told.append)
    second = Ledger(Budget(), parent=session, on_event=told.append)
    for _ in range(3):
        first.charge(Amount(1, 10, 0.1))
    assert told == []
    first.charge(Amount(1, 10, 0.1))
    assert told == [BudgetWarning("calls", 4, 5, "run")]
    second.charge(Amount(1, 10, 0.45))
    assert told[1:] == [BudgetWarning("usd", pytest.approx(0.85), 1.0, "session")]
    first.charge(Amount(1, 10, 0.1))
    assert len(told) == 2


async def test_seconds_are_told_of_and_then_end_what_runs() -> None:
    told: list[object] = []
    ledger = Ledger(Budget(max_seconds=0.05), on_event=told.append)
    with pytest.raises(BudgetExceeded, match=r"stopped after 0\.05 seconds.*--max-seconds") as stop:
        async with ledger.timed():
            await anyio.sleep_forever()
    assert stop.value.limit == "seconds"
    assert told == [BudgetWarning("seconds", pytest.approx(0.04), 0.05, "run")]


async def test_seconds_of_several_runs_add_up() -> None:
    session = Ledger(Budget(max_seconds=0.05), name="session")
    for _ in range(2):
        with pytest.raises(BudgetExceeded, match=r"The session has used its budget of 0\.05 seconds") as stop:
            async with Ledger(Budget(max_seconds=60), parent=session).timed():
                await anyio.sleep_forever()
        assert stop.value.scope == "session"


async def test_what_goes_wrong_inside_a_timed_part_comes_out_as_it_was() -> None:
    with pytest.raises(KeyError, match="oh"):
        async with Ledger(Budget(max_seconds=60)).timed():
            raise KeyError("oh")
    with anyio.CancelScope() as scope:
        async with Ledger(Budget(max_seconds=60)).timed():
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught


class Calendar:
    """A clock that stands still until it is moved, and a journal that says what all have spent."""

    def __init__(self) -> None:
        self.now = 86_400 * 20_000 + 3600.0
        self.in_journal: list[tuple[float, float]] = []

    def __call__(self) -> float:
        return self.now

    async def spent_since(self, moment: float) -> float:
        return sum(usd for started, usd in self.in_journal if started >= moment)

    async def spend(self, ledger: Ledger, usd: float) -> None:
        (await ledger.reserve(Amount(1, 0, usd))).settle(Amount(1, 0, usd))
        self.in_journal.append((self.now, usd))
        ledger.recorded(usd, self.now)


async def test_a_day_counts_what_other_processes_have_spent() -> None:
    calendar = Calendar()
    day = DayLedger(5.0, clock=calendar)
    calendar.in_journal = [(calendar.now - 86_400, 100.0), (calendar.now - 60, 3.0)]
    await day.catch_up(calendar.spent_since)
    assert day.spent.usd == 3.0
    run = Ledger(Budget(), parent=day)
    await calendar.spend(run, 1.0)
    with pytest.raises(BudgetExceeded, match=r"spent 4\.0000 of the 5 USD.*tomorrow.*--max-usd-day\.$") as stop:
        await run.reserve(Amount(1, 0, 1.5))
    assert (stop.value.limit, stop.value.scope) == ("usd_day", "day")
    calendar.in_journal.append((calendar.now, 0.5))
    await day.catch_up(calendar.spent_since)
    assert day.spent.usd == 4.5, "its own USD counts once, though the journal has it as well"


async def test_what_is_not_in_the_journal_yet_or_never_will_be_counts_all_the_same() -> None:
    calendar = Calendar()
    day = DayLedger(5.0, clock=calendar)
    (await day.reserve(Amount(1, 0, 1.0))).settle(Amount(1, 0, 1.0))  # cancelled on its way: charged, not recorded
    calendar.in_journal.append((calendar.now, 2.0))
    await day.catch_up(calendar.spent_since)
    assert day.spent.usd == 3.0


async def test_a_new_day_starts_afresh() -> None:
    calendar = Calendar()
    told: list[object] = []
    day = DayLedger(5.0, clock=calendar)
    run = Ledger(Budget(), parent=day, on_event=told.append)
    await calendar.spend(run, 4.5)
    assert told == [BudgetWarning("usd_day", 4.5, 5.0, "day")]
    under_way = await run.reserve(Amount(1, 0, 0.4))
    with pytest.raises(BudgetExceeded):
        await run.reserve(Amount(1, 0, 1.0))
    calendar.now += 86_400
    await calendar.spend(run, 2.0)
    assert day.spent.usd == 2.0
    under_way.settle(Amount(1, 0, 0.25))
    run.recorded(0.25, calendar.now - 86_400)
    assert day.spent.usd == 2.25, "what settles today is paid for today"
    await day.catch_up(calendar.spent_since)
    assert day.spent.usd == 2.25
    await calendar.spend(run, 2.5)
    assert told[1:] == [BudgetWarning("usd_day", 4.75, 5.0, "day")]


async def test_what_a_resumed_run_paid_before_is_not_charged_to_this_day() -> None:
    day = DayLedger(5.0)
    run = Ledger(Budget(), parent=day)
    run.charge(Amount(1, 10, 4.0), live=False)
    assert (run.spent.usd, day.spent.usd) == (4.0, 0.0)
