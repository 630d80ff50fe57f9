"""What counts as a cell's own work, with clocks moved by hand."""

from __future__ import annotations

from habit.sandbox.cpython.clock import CellClock


class Hands:
    wall = 100.0
    cpu = 5.0


def make() -> tuple[CellClock, Hands]:
    hands = Hands()
    return CellClock(lambda: hands.wall, lambda: hands.cpu), hands


def test_wall_time_counts_while_nothing_is_asked() -> None:
    clock, hands = make()
    hands.wall += 3
    hands.cpu += 1
    assert clock.spent() == 3


def test_waiting_costs_nothing_but_work_beside_it_does() -> None:
    clock, hands = make()
    hands.wall += 2
    clock.begin_wait()
    assert clock.waiting
    hands.wall += 1000
    assert clock.spent() == 2
    hands.cpu += 4
    assert clock.spent() == 6
    clock.end_wait()
    assert not clock.waiting
    hands.wall += 1
    assert clock.spent() == 7


def test_calls_that_overlap_count_as_one_wait() -> None:
    clock, hands = make()
    clock.begin_wait()
    hands.wall += 10
    clock.begin_wait()
    hands.wall += 10
    hands.cpu += 1
    clock.end_wait()
    hands.wall += 10
    assert clock.spent() == 1
    clock.end_wait()
    hands.wall += 10
    assert clock.spent() == 11


def test_a_clock_that_goes_backwards_takes_nothing_away() -> None:
    clock, hands = make()
    hands.wall += 5
    clock.begin_wait()
    hands.cpu = 0
    assert clock.spent() == 5
