"""Run ids."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habit.journal.naming import is_safe_in_a_path, new_run_id

TIMES = st.floats(0, 4e9)


@pytest.fixture
def far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_from_greenwich")
def test_an_id_tells_its_time_in_utc() -> None:
    assert re.fullmatch("20261122-165501-[0-9a-z]{8}", new_run_id(1795366501.5))


@settings(deadline=None)
@given(TIMES, TIMES)
def test_ids_sort_by_time_to_the_millisecond(one: float, other: float) -> None:
    earlier, later = sorted([one, other])
    if int(later * 1024) > int(earlier * 1024):
        assert new_run_id(earlier) < new_run_id(later)
    else:
        assert new_run_id(earlier)[:18] == new_run_id(later)[:18]


@settings(deadline=None)
@given(TIMES)
def test_ids_are_safe_in_a_path(now: float) -> None:
    assert is_safe_in_a_path(new_run_id(now))


@pytest.mark.parametrize(
    "run_id", ["", ".", "..", ".hidden", "a/b", "/a", "a\0", "a\n", "a" * 101, "ü", "\ud800", "-a"]
)
def test_what_could_leave_the_folder_is_not_safe(run_id: str) -> None:
    assert not is_safe_in_a_path(run_id)


def test_ids_of_the_same_moment_differ() -> None:
    assert len({new_run_id(1.0) for _ in range(2000)}) == 2000
