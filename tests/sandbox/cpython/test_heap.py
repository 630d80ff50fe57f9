"""What fills the holes of the heap is bounded, whatever the allocator does."""

from __future__ import annotations

import pytest

from habit.sandbox.cpython import heap

MOST = 80 << 20
"""Bytes."""


def test_an_allocator_that_puts_nothing_side_by_side_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    one_after_the_other = heap._objects
    made = 0

    def scattered(size: int, count: int) -> list[object]:
        nonlocal made
        made += size * count
        assert made < MOST
        return one_after_the_other(size, count)[:1] * count

    monkeypatch.setattr(heap, "_objects", scattered)
    monkeypatch.setattr(heap.gc, "freeze", lambda: None)
    filling = heap.settle()
    assert filling
