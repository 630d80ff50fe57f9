"""When requests may leave: against simulated servers, in simulated time."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habit.calls.flow import Flow, Trouble
from habit.calls.inflight import FIRST, UNANSWERED
from habit.calls.pace import Pace
from habit.calls.ratelimits import RateLimit
from support.simulated_server import Admit, bucket, fixed_window, play, sliding_window

LIMITERS = {
    "bucket": lambda rate: bucket(rate, rate),
    "small bucket": lambda rate: bucket(rate, rate / 5),
    "fixed window": fixed_window,
    "sliding window": sliding_window,
}
RETRY_AFTER = {"silent": lambda wait: None, "exact": lambda wait: wait, "whole seconds": math.ceil}


@pytest.mark.parametrize("says", RETRY_AFTER)
@pytest.mark.parametrize("limiter", LIMITERS)
@pytest.mark.parametrize("latency", [0.02, 0.5, 2.0])
def test_a_rate_limit_is_found_within_ten_seconds_and_kept_to(limiter: str, says: str, latency: float):
    for rate in (20, 50, 200):
        played = play(
            Flow(4096),
            LIMITERS[limiter](rate),
            seconds=40,
            latency=lambda _: latency,
            retry_after=RETRY_AFTER[says],
        )
        assert played.share_refused < 0.02
        # A whole second of silence after each refusal is lost for good where a server saves nothing up.
        assert played.rate(10, 20) >= (0.85 if says == "whole seconds" else 0.9) * rate
        assert played.rate(10, 40) >= 0.9 * rate


@pytest.mark.parametrize("says", RETRY_AFTER)
@pytest.mark.parametrize("limiter", ["sliding window", "small bucket"])
def test_refusals_that_take_a_tenth_of_a_second_are_few(limiter: str, says: str):
    for latency in (0.02, 0.3, 2.0):
        server, said = LIMITERS[limiter](50), RETRY_AFTER[says]
        played = play(Flow(4096), server, seconds=40, latency=lambda _, s=latency: s, refusal=0.1, retry_after=said)
        assert played.share_refused < 0.02


@pytest.mark.parametrize("limiter", ["sliding window", "fixed window", "small bucket"])
def test_a_server_that_takes_few_is_understood_though_it_says_whole_seconds(limiter: str):
    """Once what it takes is known hardly anything is refused, however much the first refusals weigh."""
    played = play(
        Flow(4096), LIMITERS[limiter](5), seconds=120, latency=lambda _: 0.3, refusal=0.1, retry_after=math.ceil
    )
    assert played.rate(10, 40) >= 0.9 * 5
    assert sum(moment > 10 for moment in played.refused) <= 0.01 * len(played.taken)


def test_two_refusals_of_one_second_do_not_lower_the_pace_twice():
    pace, now = Pace(), 1.0
    pace.refused(0.4, accepted=40, seconds=1.0, lately=40, pause=0.0)
    for moment in (0.7, 1.0):
        pace.refused(moment, accepted=12, seconds=0.3, lately=40, pause=0.0)
    while now < 6:
        now = pace.ready_at(now)
        pace.take(now)
    assert pace.rate == pytest.approx(0.97 * 40)


@pytest.mark.parametrize("rate", [10, 50])
def test_the_word_of_a_window_is_not_held_against_it_when_it_comes_late(rate: int):
    """Replies take 2 s, and tell of a window of one second that ended long ago."""
    second, taken = 0, 0

    def admit(now: float) -> float | None:
        nonlocal second, taken
        if int(now) != second:
            second, taken = int(now), 0
        if taken == rate:
            return second + 1 - now
        taken += 1
        return None

    def limits(now: float) -> tuple[RateLimit, ...]:
        return (RateLimit("requests", rate, rate - taken, second + 1 - now),)

    played = play(Flow(4096), admit, seconds=40, latency=lambda _: 2.0, limits=limits)
    assert played.rate(10, 40) >= 0.9 * rate


def test_a_server_without_limits_is_not_limited_by_us():
    def takes_all(now: float) -> None:
        return None

    played = play(Flow(4096), takes_all, seconds=2, latency=lambda _: 0.5)
    assert sum(moment < 1.3 for moment in played.taken) > 1000
    assert played.peak > 2000


def test_a_server_that_has_not_answered_yet_is_not_flooded():
    played = play(Flow(4096), lambda now: None, seconds=60, latency=lambda _: 100.0)
    assert played.peak == UNANSWERED


def test_the_ceiling_holds():
    played = play(Flow(3), lambda now: None, seconds=2, latency=lambda _: 0.01)
    assert played.peak == 3
    assert len(played.taken) == pytest.approx(600, abs=10)


def test_without_demand_nothing_grows():
    flow = Flow(4096)
    for moment in range(100):
        assert flow.ready_at(moment) == moment
        ticket = flow.send(moment)
        flow.nobody_waits()
        flow.reply(ticket, moment + 0.5, tokens=10, work=60)
    assert flow.in_flight.limit == FIRST


def test_a_process_that_is_late_itself_does_not_grow_for_it():
    flow = Flow(4096)
    for _ in range(FIRST):
        flow.send(0.0)
    assert flow.ready_at(0.0) > 0
    flow.due(10.0)
    assert flow.in_flight.limit == FIRST + 1


def test_what_an_event_loop_is_late_is_made_up_for_at_a_slow_pace_too():
    def sent(late: float) -> int:
        pace, now, count = Pace(), 0.0, 0
        pace.refused(now, accepted=50, seconds=1.0, lately=50, pause=0.0)
        while now < 1:  # before it grows
            now = pace.ready_at(now) + late
            pace.take(now)
            count += 1
        return count

    assert sent(late=0.005) > 0.95 * sent(late=0.0)


def test_of_a_volley_of_refusals_only_the_first_counts():
    flow = Flow(64)
    tickets = [flow.send(0.0) for _ in range(8)]
    assert [flow.fail(ticket, 0.1, "refused") for ticket in tickets] == [True] + 7 * [False]
    assert flow.in_flight.limit == 4


def test_a_longer_retry_after_of_the_same_volley_is_honoured():
    flow = Flow(64)
    first, second = flow.send(0.0), flow.send(0.0)
    flow.fail(first, 0.1, "refused", retry_after=1.0)
    flow.fail(second, 0.2, "other", retry_after=5.0)
    assert flow.ready_at(0.3) == 5.2


@pytest.mark.parametrize("trouble", ["refused", "overloaded"])
def test_trouble_halves_what_is_under_way_and_it_grows_again(trouble: Trouble):
    flow = Flow(4096)
    tickets = [flow.send(0.0) for _ in range(8)]
    flow.fail(tickets.pop(), 1.0, trouble)
    assert flow.in_flight.limit == 4
    assert flow.learned
    play(flow, lambda now: None, seconds=30, latency=lambda _: 0.5)
    assert flow.in_flight.limit > 4


def test_a_server_that_slows_down_with_each_request_gets_fewer():
    """It works at 20 at once, whatever is sent: more under way only wait."""
    flow = Flow(4096)
    played = play(flow, lambda now: None, seconds=60, latency=lambda count: 0.5 * max(1.0, count / 20))
    assert flow.in_flight.limit < 400
    assert played.replies > 0.9 * 40 * 50


def test_replies_that_are_slow_whatever_we_do_do_not_cost_us():
    """Latency triples for good, at the same number under way: fewer are tried, do not help, and that is undone."""
    flow, replies = Flow(256), 0

    def latency(_: int) -> float:
        nonlocal replies
        replies += 1
        return 0.5 if replies < 4000 else 1.5

    play(flow, lambda now: None, seconds=60, latency=latency)
    assert flow.in_flight.limit == 256


@pytest.mark.parametrize(("rate", "size"), [(2.0, 60), (50.0, 50)])
def test_headers_are_believed_before_anything_is_refused(rate: float, size: int):
    level, at = float(size), 0.0

    def admit(now: float) -> float | None:
        nonlocal level, at
        level, at = min(size, level + (now - at) * rate), now
        level -= 1
        return None if level >= 0 else 1.0

    def limits(now: float) -> tuple[RateLimit, ...]:
        left = max(0.0, level)
        return (RateLimit("requests", size, math.floor(left), (size - left) / rate),)

    played = play(Flow(4096), admit, seconds=60, latency=lambda _: 0.02, limits=limits)
    assert len(played.refused) <= 0.02 * len(played.taken)
    assert played.rate(10, 60) >= 0.9 * rate


def test_a_header_that_says_wait_for_ever_is_tried_in_ten_seconds():
    for began in (0.0, 1000.0):
        flow = Flow(64)
        ticket = flow.send(began)
        flow.reply(ticket, began + 1, tokens=10, work=60, limits=(RateLimit("requests", 10_000, 0, 86_400),))
        assert began + 1 < flow.ready_at(began + 1) <= began + 11


servers = st.one_of(
    st.builds(bucket, st.floats(0.5, 2000), st.floats(1, 3000)),
    st.builds(fixed_window, st.integers(1, 2000)),
    st.builds(sliding_window, st.integers(1, 500)),
)


@settings(max_examples=60, deadline=None)
@given(
    admit=servers,
    ceiling=st.integers(1, 300),
    latency=st.floats(0.05, 3),
    refusal=st.floats(0.001, 0.5),
    retry_after=st.sampled_from(list(RETRY_AFTER.values())),
    limit=st.none() | st.tuples(st.integers(1, 10**6), st.floats(0, 1), st.floats(0, 1e6)),
)
def test_never_stuck_never_above_the_ceiling_whatever_the_server_does(
    admit: Admit,
    ceiling: int,
    latency: float,
    refusal: float,
    retry_after: object,
    limit: tuple[int, float, float] | None,
):
    told = () if limit is None else (RateLimit("tokens", limit[0], limit[0] * limit[1], limit[2]),)
    played = play(
        Flow(ceiling),
        admit,
        seconds=60,
        latency=lambda _: latency,
        refusal=refusal,
        retry_after=retry_after,  # type: ignore[arg-type]
        limits=lambda now: told,
    )
    assert played.peak <= ceiling
    assert any(moment > 20 for moment in played.taken)
