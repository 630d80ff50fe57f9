"""Recordings against a simple model."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journal_samples import a_call, failed, key_of

from habit.journal.records import CallRecord
from habit.journal.replay import Recording

SESSIONS = ["0", "0.1", "0.1.1", "0.2", "0.12"]


@st.composite
def recorded_calls(draw: st.DrawFn) -> list[CallRecord]:
    """Calls of one run: key and occurrence are unique, as a store keeps them."""
    slots = draw(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), unique=True, max_size=15))
    return [
        replace(
            a_call(name) if draw(st.booleans()) else failed(name),
            occurrence=occurrence,
            role=draw(st.sampled_from(["root", "leaf"])),
            session=draw(st.sampled_from(SESSIONS)),
        )
        for name, occurrence in slots
    ]


def is_above(session: str, other: str) -> bool:
    return session == other or other.startswith(session + ".")


def resumable(calls: list[CallRecord]) -> list[CallRecord]:
    def acted_on(position: int, call: CallRecord) -> bool:
        later = calls[position + 1 :]
        return any(c.role == "root" and c.reply is not None and is_above(c.session, call.session) for c in later)

    return [call for position, call in enumerate(calls) if call.reply is not None or acted_on(position, call)]


ASKED = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 6)), max_size=20)


@settings(deadline=None)
@pytest.mark.parametrize("mode", ["replay", "resume"])
@given(calls=recorded_calls(), asked=ASKED)
def test_each_call_is_given_once(mode: str, calls: list[CallRecord], asked: list[tuple[str, int]]) -> None:
    recording = Recording.for_replay(calls) if mode == "replay" else Recording.for_resume(calls)
    left = list(calls) if mode == "replay" else resumable(calls)
    assert recording.unused() == left
    for name, occurrence in asked:
        expected = next((c for c in left if (c.key, c.occurrence) == (key_of(name), occurrence)), None)
        assert recording.take(key_of(name), occurrence) == expected
        if expected is not None:
            left.remove(expected)
        assert recording.unused() == left


def test_a_failure_the_code_has_not_acted_on_is_tried_again() -> None:
    calls = [a_call("root", role="root"), failed("leaf"), a_call("leaf 2")]
    assert Recording.for_resume(calls).take(key_of("leaf"), 0) is None
    assert Recording.for_replay(calls).take(key_of("leaf"), 0) == failed("leaf")


def test_a_failure_the_code_has_acted_on_stays() -> None:
    calls = [failed("leaf", session="0.1"), a_call("root", role="root")]
    assert Recording.for_resume(calls).take(key_of("leaf"), 0) == calls[0]


def test_progress_of_a_sibling_says_nothing_about_a_failure() -> None:
    calls = [failed("leaf", session="0.1"), a_call("root", role="root", session="0.2")]
    assert Recording.for_resume(calls).unused() == [calls[1]]


def test_a_failed_root_call_is_tried_again_unless_the_run_went_on_after_it() -> None:
    last = [a_call("root", role="root"), failed("root 2", role="root")]
    assert Recording.for_resume(last).unused() == [last[0]]
    passed_over = [failed("root", role="root"), a_call("root 2", role="root")]
    assert Recording.for_resume(passed_over).unused() == passed_over
