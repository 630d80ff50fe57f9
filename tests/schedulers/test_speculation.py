"""The rules of speculation: predictions, windows, and what is certain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit.contexts.context import Context
from habit.sandbox.session import LlmRequest
from habit.schedulers.certain import certain_lines
from habit.schedulers.speculation import (
    MOST_MISSES,
    MOST_WASTED,
    PATIENCE,
    Dependence,
    History,
    Predicted,
    Predictions,
    Stream,
)


def request(
    query: str, context: str | None = None, *, site: int = 1, schema: dict[str, str] | None = None
) -> LlmRequest:
    return LlmRequest(query, None if context is None else Context.of(context), schema, site=site)


def test_the_last_reply_to_the_same_template_is_the_prediction() -> None:
    known = Predictions()
    assert known.predict(request("Is it?", "a")) is None
    known.learn(request("Is it?", "a"), "yes")
    known.learn(request("Is it?", "b"), "no")
    assert known.predict(request("Is it?", "c")) == Predicted("no")


def test_prompts_with_the_slice_inside_share_their_place_in_the_code() -> None:
    known = Predictions()
    known.learn(request("chunk one … is it?"), "yes")
    assert known.predict(request("another … is it?")) == Predicted("yes")
    assert known.predict(request("another … is it?", site=2)) is None


def test_templates_at_one_place_are_told_apart_by_how_they_begin() -> None:
    known = Predictions()
    known.learn(request("Rate from 1 to 10, with care: x"), "7")
    known.learn(request("Name the topic of this text: x"), "sports")
    assert known.predict(request("Rate from 1 to 10, with care: y")) == Predicted("7")


def test_a_prediction_has_the_type_of_the_reply() -> None:
    known = Predictions()
    known.learn(request("How many?", "a", schema={"type": "integer"}), 3)
    assert known.predict(request("How many?", "b")) is None
    assert known.predict(request("How many?", "b", schema={"type": "integer"})) == Predicted(3)


def depends(*steps: tuple[str, str], site: int = 1) -> bool:
    """Whether a place that asked and was told so is taken for one that nothing can run ahead of."""
    dependence = Dependence()
    for query, value in steps:
        dependence.asked(request(query, site=site))
        before = dependence.at(request(query, site=site))
        dependence.told(request(query, site=site), value)
    return before


def test_a_question_that_holds_the_reply_before_it_depends_on_it() -> None:
    assert depends(("after nothing", "n4711"), ("after n4711", "n12"))
    assert depends(("sum up: a", "word " * 1000), ("go on: " + "word " * 1000, "more"))
    assert not depends(("item 0", "spam"), ("item 1", "spam"))
    assert not depends(("is it spam?", "spam"), ("is it spam, too?", "spam")), "every question holds that word"
    assert not depends(("item a", "spam"), ("item spammer", "spam")), "no word of its own"


def test_a_short_reply_in_a_question_may_be_chance_once() -> None:
    once = [("item 0", "1"), ("item 1", "9")]
    assert not depends(*once)
    assert depends(("item 0", "7"), ("after 7", "8"), ("after 8", "9"))
    assert not depends(*once, ("item 2", "5")), "a question without it takes it back"


def test_dependence_is_told_by_the_context_as_well() -> None:
    dependence = Dependence()
    first, second = request("sum up", "nothing yet"), request("sum up", "a summary so far")
    dependence.asked(first)
    dependence.told(first, "a summary so far")
    dependence.asked(second)
    assert dependence.at(second)
    assert not dependence.at(request("sum up", "x", site=2))


def fill(stream: Stream, first: int) -> int:
    """Start as many as there is room for; how many."""
    count = 0
    while stream.has_room:
        stream.start(("q", first + count))
        count += 1
    return count


def test_a_window_begins_with_a_part_and_grows_with_what_is_adopted() -> None:
    stream = Stream(32)
    assert fill(stream, 0) == 8
    for number in range(8):
        assert stream.asked(("q", number))
    assert fill(stream, 8) == 16
    for number in range(8, 100):
        stream.asked(("q", number))
        fill(stream, number + 100)
    assert stream.window <= 32


def test_a_dependent_loop_wastes_less_than_the_window_and_then_no_more() -> None:
    stream = Stream(32)
    for number in range(1, 200):
        fill(stream, 1000 * number)  # nothing of which is ever asked for
        assert not stream.asked(("q", number))
        if stream.unforeseen():
            stream.copy_is_gone()
    assert (stream.window, stream.wasted) == (0, 15)
    assert not stream.has_room


def test_a_copy_that_left_calls_behind_halves_the_window_however_much_it_brought() -> None:
    stream = Stream(32)
    for number in range(8):
        stream.start(("q", number))
        stream.asked(("q", number))
    assert stream.window == 16
    stream.copy_is_gone()
    assert stream.window == 16, "all that it brought was asked for"
    for number in range(8, 16):
        stream.start(("q", number))
        stream.asked(("q", number))
    stream.start(("q", 16))
    before = stream.window
    stream.copy_is_gone()
    assert stream.window == before // 2


@pytest.mark.parametrize("right", [0, 1, 4, 9])
@pytest.mark.parametrize("limit", [1, 8, 32])
def test_a_loop_that_changes_its_way_ever_again_wastes_the_window_or_a_quarter(right: int, limit: int) -> None:
    stream = Stream(limit)
    for turn in range(400):
        found = 0
        while stream.has_room:  # what the copy finds is right up to a point
            stream.start(("right" if found < right else "wrong", 1000 * turn + found))
            found += 1
        for number in range(right):
            stream.asked(("right", 1000 * turn + number))
        stream.copy_is_gone()
    assert stream.wasted <= max(limit, MOST_WASTED * stream.started)


def test_a_call_that_a_copy_left_behind_is_not_lost_when_it_is_asked_for_or_found_again() -> None:
    stream = Stream(8)
    for number in range(2):
        stream.start(("q", number))
    stream.copy_is_gone()
    assert stream.risk == (2, 2)
    assert not stream.asked(("q", 0))
    stream.start(("q", 1))
    assert (stream.started, stream.risk) == (2, (2, 1))
    assert stream.asked(("q", 1))
    assert (stream.wasted, stream.risk) == (0, (2, 0))


def test_a_place_that_a_copy_is_wrong_about_while_it_is_right_elsewhere_is_left_out() -> None:
    stream = Stream(8)
    for number in range(MOST_MISSES):
        stream.start(("a", number), 1)
        stream.start(("guess", number), 2)
        assert not stream.is_missed(2)
        stream.asked(("a", number), 1)
        stream.asked(("real", number), 2)
    assert stream.is_missed(2)
    assert not stream.is_missed(1)


def test_a_copy_that_went_another_way_says_nothing_about_single_places() -> None:
    stream = Stream(8)
    for number in range(5):
        stream.start(("guess", number), 1)
    for number in range(5):
        stream.asked(("real", number), 1)
    assert not stream.is_missed(1)


def test_a_copy_that_waits_for_what_is_never_asked_has_gone_another_way() -> None:
    stream = Stream(8)
    assert not any(stream.unforeseen() for _ in range(9)), "nothing of it is ahead: it may still be right"
    assert [stream.unforeseen(astray=True) for _ in range(PATIENCE)] == [False] * (PATIENCE - 1) + [True]


def test_a_stream_without_a_window_still_takes_what_is_certain() -> None:
    stream = Stream(0)
    assert not stream.has_room
    stream.start(("q", 0), certain=True)
    stream.asked(("q", 0))
    assert not stream.has_room


def test_a_miss_now_and_then_changes_nothing() -> None:
    stream = Stream(8)
    stream.start(("q", 0))
    stream.start(("q", 1))
    assert not any(stream.unforeseen() for _ in range(PATIENCE - 1))
    assert stream.asked(("q", 0))
    assert not stream.unforeseen()


def test_certain_calls_take_no_room() -> None:
    stream = Stream(4)
    for number in range(100):
        stream.start(("q", number), certain=True)
    assert stream.has_room
    stream.asked(("q", 0))
    stream.start(("r", 0))
    assert stream.has_room == (stream.window > 1)


@given(st.lists(st.sampled_from(["start", "certain", "hit", "miss"]), max_size=80), st.integers(1, 40))
def test_what_may_be_wasted_stays_within_the_window(steps: list[str], limit: int) -> None:
    stream = Stream(limit)
    ahead: list[int] = []
    for number, step in enumerate(steps):
        if step == "start" and stream.has_room:
            stream.start(("q", number))
            ahead.append(number)
        elif step == "hit" and ahead:
            stream.asked(("q", ahead.pop(0)))
        elif step == "miss" and stream.unforeseen():
            stream.copy_is_gone()
            ahead.clear()
        assert len(ahead) <= limit
        assert 0 <= stream.window <= limit
        assert stream.wasted >= len(ahead)


def test_a_run_that_wasted_more_than_a_quarter_speculates_no_more() -> None:
    history = History()
    assert history.is_good
    history.ended(Stream(8))
    good, bad = Stream(8), Stream(8)
    for number in range(2):
        good.start(("q", number))
        good.asked(("q", number))
        bad.start(("q", number))
    for _ in range(4):
        history.ended(good)
    assert history.is_good
    history.ended(bad)
    assert history.is_good
    history.ended(bad)
    assert not history.is_good


CERTAIN = [
    "out = [llm_query(f'is {c} it?') for c in chunks]",
    "out = {c: recursive_llm('is it?', c).strip().lower() for c in chunks if len(c) > 3}",
    "n = sum(1 for c in chunks if 'yes' in llm_query(c))",
    "print(''.join(llm_query(c) for c in chunks))",
    "out = [(c, recursive_llm('q', c) == 'yes') for cs in groups for c in cs]",
]
NOT_CERTAIN = [
    "for c in chunks:\n    out.append(llm_query(c))",
    "out = [int(llm_query(c)) for c in chunks]",
    "out = [json.loads(llm_query(c)) for c in chunks]",
    "any('yes' in llm_query(c) for c in chunks)",
    "best = max((llm_query(c) for c in chunks), key=int)",
    "print(len(llm_query(c) for c in chunks))",
    "thing.join(llm_query(c) for c in chunks)",
    "found = next(c for c in chunks if llm_query(c) == 'yes')",
    "out = [llm_query(llm_query(c)) for c in chunks]",
    "out = [llm_query(c) for c in llm_query('list').split()]",
    "out = [llm_query(last := c + last) for c in chunks]",
    "out = [llm_query(c) if c else llm_query('d') for c in chunks]",
    "out = [[llm_query(c) for c in cs] for cs in groups]",
    "def f():\n    return [llm_query(c) for c in chunks]",
    "out = [1 for c in chunks if llm_query(c) == 'yes' if other(c)]",
    "out = [ask(c) for c in chunks]",
    "out = [await llm_query(c) for c in chunks]",
    "out = [llm_query(c) for c in chunks]; n = llm_query('total')",
    "if x:\n    out = [llm_query(c) for c in chunks]",
    "out = [llm_query(c) for",
    "(" * 500 + "llm_query(c)",
]


@pytest.mark.parametrize("code", CERTAIN)
def test_comprehensions_that_look_at_no_reply_are_certain(code: str) -> None:
    assert certain_lines(f"import json\n{code}") == {2}


@pytest.mark.parametrize("code", NOT_CERTAIN)
def test_what_a_reply_may_decide_is_not(code: str) -> None:
    assert certain_lines(code) == frozenset()
