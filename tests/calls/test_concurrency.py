"""The limiter that all runs share: turns, pauses, cancellation; in virtual time, and once over real HTTP."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import anyio
import pytest

from habit.calls.call import Reply
from habit.calls.concurrency import BackOff, Limiter, limiter_of, most_at_once, share_limiter
from habit.calls.events import SlowedDown
from habit.calls.kernel import Kernel
from habit.calls.lines import Early
from habit.calls.provider import TransientFailure
from habit.calls.pydantic_ai import open_provider
from habit.calls.ratelimits import RateLimit
from habit.calls.retry import RetryPolicy
from support.fakes import FakeProvider, ask, memory_store, transient
from support.mock_server import Answer, MockServer, Request, rate_limited
from support.simulated_server import bucket
from support.virtual_time import run_virtually

GOOD = Reply("ok", 10, 5)


def replying(seconds: float, sent: list[str], name: str) -> Callable[[], Awaitable[Reply]]:
    async def send() -> Reply:
        sent.append(name)
        await anyio.sleep(seconds)
        return GOOD

    return send


async def refuse(retry_after: float | None = None) -> Reply:
    await anyio.sleep(0)
    raise transient("rate_limited", retry_after)


async def ignoring(attempt: Awaitable[Reply]) -> None:
    try:
        await attempt
    except TransientFailure:
        return


def test_owners_take_turns():
    async def main() -> list[str]:
        limiter, sent = Limiter(1), list[str]()
        async with anyio.create_task_group() as group:
            for name in ["big", *["big"] * 4, "small", "small"]:
                group.start_soon(lambda name=name: limiter.request(replying(1, sent, name), owner=name))
        return sent

    assert run_virtually(main()) == ["big", "big", "small", "big", "small", "big", "big"]


def test_a_second_attempt_goes_before_its_owners_other_requests():
    async def main() -> list[str]:
        limiter, sent = Limiter(1), list[str]()
        async with anyio.create_task_group() as group:
            for name, again in (("first", False), ("second", False), ("third", True)):
                group.start_soon(lambda n=name, a=again: limiter.request(replying(1, sent, n), owner=0, again=a))
        return sent

    assert run_virtually(main()) == ["first", "third", "second"]


def test_early_requests_of_all_owners_go_last_unless_somebody_needs_them_after_all():
    async def main() -> list[str]:
        limiter, sent, marks = Limiter(1), list[str](), [Early() for _ in range(4)]
        async with anyio.create_task_group() as group:

            def start(name: str, owner: int, early: Early | None = None) -> None:
                group.start_soon(lambda: limiter.request(replying(1, sent, name), owner=owner, early=early))

            start("first", 0)
            for number, early in enumerate(marks):
                start(f"early {number}", number % 2, early)
            await anyio.sleep(0.1)
            marks[2].need()
            start("needed", 1)
            await anyio.sleep(0.1)
            marks[2].need()
            marks[3].need()
        assert all(mark.came for mark in marks)
        return sent

    assert run_virtually(main()) == ["first", "early 2", "needed", "early 3", "early 0", "early 1"]


def test_an_early_request_that_was_cancelled_or_has_left_is_not_sent_again_when_it_is_needed():
    async def main() -> list[str]:
        limiter, sent, left, cancelled = Limiter(1), list[str](), Early(), Early()
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: limiter.request(replying(1, sent, "left"), owner=0, early=left))
            await anyio.sleep(0.1)
            left.need()
            with anyio.move_on_after(0.1):
                await limiter.request(replying(1, sent, "cancelled"), owner=0, early=cancelled)
            cancelled.need()
            await limiter.request(replying(1, sent, "last"), owner=0)
        return sent

    assert run_virtually(main()) == ["left", "last"]


def test_more_is_of_use_early_until_the_server_keeps_requests_waiting():
    async def main() -> list[bool]:
        limiter, seen = Limiter(4096), list[bool]()
        told = replace(GOOD, limits=(RateLimit("requests", 100, 0, 600),))

        async def last_allowed() -> Reply:
            return told

        async with anyio.create_task_group() as group:
            for _ in range(200):
                group.start_soon(lambda: limiter.request(replying(1, [], ""), owner=0))
            await anyio.sleep(0.01)
            seen.append(limiter.has_room())  # only finding out
            await anyio.sleep(10)
            await limiter.request(last_allowed, owner=0)
            seen.append(limiter.has_room())  # nobody waits yet
            group.start_soon(lambda: limiter.request(replying(1, [], ""), owner=0))
            await anyio.sleep(0.01)
            seen.append(limiter.has_room())  # by its word
        return seen

    assert run_virtually(main()) == [True, True, False]


def test_nothing_of_anybody_leaves_while_the_server_wants_to_be_left_alone():
    async def main() -> float:
        limiter, sent = Limiter(64), list[str]()
        with pytest.raises(TransientFailure):
            await limiter.request(lambda: refuse(30), owner="a")
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: limiter.request(replying(0, sent, "b"), owner="b"))
            await anyio.sleep(29.9)
            assert sent == []
            assert limiter.saturated
        return anyio.current_time()

    assert run_virtually(main()) == pytest.approx(30, abs=0.1)


def test_who_will_not_wait_so_long_is_told_at_once_and_nothing_is_sent():
    async def main() -> tuple[list[str], float]:
        limiter, sent = Limiter(1), list[str]()
        async with anyio.create_task_group() as group:

            async def waits() -> None:
                with pytest.raises(TransientFailure, match="it failed"):
                    await limiter.request(replying(0, sent, "waits"), owner="a", patience=120)

            async def refused() -> Reply:
                await anyio.sleep(1)
                return await refuse(3600)

            group.start_soon(ignoring, limiter.request(refused, owner="a"))
            group.start_soon(waits)
            await anyio.sleep(2)
            await waits()
        return sent, anyio.current_time()

    sent, moment = run_virtually(main())
    assert sent == []
    assert moment == 2


@pytest.mark.parametrize("at", [0.5, 1.0])
def test_one_that_is_cancelled_while_it_waits_or_when_its_turn_comes_keeps_nobody_out(at: float):
    async def main() -> list[str]:
        limiter, sent = Limiter(1), list[str]()
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: limiter.request(replying(1, sent, "first"), owner=0))
            await anyio.sleep(0)

            async def cancelled() -> None:
                with anyio.move_on_after(at):
                    await limiter.request(replying(5, sent, "cancelled"), owner=0)

            group.start_soon(cancelled)
            await anyio.sleep(0)
            group.start_soon(lambda: limiter.request(replying(1, sent, "last"), owner=0))
        assert limiter.under_way == 0
        return sent

    assert [name for name in run_virtually(main()) if name != "cancelled"] == ["first", "last"]


def test_a_back_off_is_told_once_for_a_volley():
    async def main() -> list[BackOff]:
        limiter, told = Limiter(64), list[BackOff]()
        async with anyio.create_task_group() as group:
            for _ in range(8):
                attempt = limiter.request(lambda: refuse(2.0), owner=0, on_back_off=told.append)
                group.start_soon(ignoring, attempt)
        return told

    [told] = run_virtually(main())
    assert (told.trouble, told.pause, told.at_once) == ("refused", 2.0, 4)


@pytest.mark.parametrize(("root", "leaf"), [(0.0, 20.0), (0.5, 20.0), (10.0, 10.0), (5.0, 0.5)])
def test_calls_that_are_merely_longer_than_others_are_not_taken_for_slow_ones(root: float, leaf: float):
    """A thousand runs: a call of the root, one of the leaf, one of the root again, at one model that takes them all."""
    told = list[BackOff]()

    async def main() -> float:
        limiter = Limiter(4096)

        async def call(owner: int, kind: str) -> None:
            async def send() -> Reply:
                await anyio.sleep(root if kind == "root" else leaf * (1 + owner % 10 / 30))
                return Reply("ok", 1500, 100) if kind == "root" else GOOD

            await limiter.request(send, owner=owner, kind=kind, on_back_off=told.append)

        async def run(owner: int) -> None:
            for kind in ("root", "leaf", "root"):
                await call(owner, kind)

        async with anyio.create_task_group() as group:
            for owner in range(1000):
                group.start_soon(run, owner)
        return anyio.current_time()

    seconds = run_virtually(main())
    assert told == []
    # Before there is a reply only 128 may be under way, and four more for each: a wave or two more, no longer.
    assert seconds < 3 * (2 * root + 1.3 * leaf)


def test_saturated_only_once_limits_were_met():
    async def main() -> list[bool]:
        limiter, seen = Limiter(64), []
        async with anyio.create_task_group() as group:
            for _ in range(30):
                group.start_soon(lambda: limiter.request(replying(0.05, [], ""), owner=0))
            await anyio.sleep(0.01)
            seen.append(limiter.saturated)  # only finding out
            await anyio.sleep(1)
            seen.append(limiter.saturated)  # nobody waits
        limiter = Limiter(2)
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(lambda: limiter.request(replying(0.05, [], ""), owner=0))
            await anyio.sleep(0.01)
            seen.append(limiter.saturated)
        return seen

    assert run_virtually(main()) == [False, False, True]


def test_providers_of_one_server_share_a_limiter_in_one_loop():
    async def main() -> list[Limiter]:
        providers = [FakeProvider(), FakeProvider(), FakeProvider()]
        share_limiter(providers[0], ("m", "url"))
        share_limiter(providers[1], ("m", "url"))
        share_limiter(providers[2], ("m", "other"))
        return [limiter_of(provider) for provider in (*providers, providers[0])]

    first, second, third, again = run_virtually(main())
    assert first is second is again
    assert first is not third
    assert run_virtually(main())[0] is not first


def test_the_ceiling_by_default_is_what_can_be_open():
    assert most_at_once(7) == 7
    assert 64 <= most_at_once(None) <= 4096


async def test_a_map_makes_ready_only_a_little_more_than_is_under_way():
    store = await memory_store("run")
    looked_up = 0
    remember = store.remember

    async def counting(*arguments: object, **more: object) -> object:
        nonlocal looked_up
        looked_up += 1
        return await remember(*arguments, **more)  # type: ignore[arg-type]

    store.remember = counting  # type: ignore[method-assign, assignment]
    provider = FakeProvider(concurrency=4)
    provider.gate = anyio.Event()
    kernel = Kernel(provider, provider, store=store, run_id="run")
    async with anyio.create_task_group() as group:
        group.start_soon(kernel.call_all, [ask(str(n)) for n in range(1000)])
        await anyio.wait_all_tasks_blocked()
        assert looked_up == 8 + 4
        provider.gate.set()
    assert len(provider.sent) == 1000


async def test_a_call_that_was_turned_away_unsent_costs_nothing_and_is_written_down():
    provider, store, events = FakeProvider(lambda _: transient("rate_limited", 3600)), await memory_store("run"), []
    kernel = Kernel(provider, provider, store=store, run_id="run", retry=RetryPolicy(), on_event=events.append)
    results = await kernel.call_all([ask("a")])
    results += await kernel.call_all([ask("b")])
    assert [result.reason for result in results] == ["rate_limited", "rate_limited"]  # type: ignore[union-attr]
    assert [call.messages[0].content for call in provider.sent] == ["a"]
    assert [(record.attempts, record.error_reason) for record in await store.calls("run")] == [
        (1, "rate_limited"),
        (0, "rate_limited"),
    ]
    assert kernel.usage.calls == 1
    assert kernel.ledger.held.calls == 0
    assert [event.reason for event in events if isinstance(event, SlowedDown)] == ["refused"]


async def test_a_real_server_that_allows_so_many_requests_a_second_refuses_few():
    """200 a second, over HTTP: all calls get their reply. How many were refused is counted, and no time."""
    admit, began, refused = bucket(200, 200), time.monotonic(), 0

    def script(request: Request) -> object:
        nonlocal refused
        wait = admit(time.monotonic() - began)
        if wait is None:
            return "yes"
        refused += 1
        return rate_limited()

    async with MockServer(script) as server:  # type: ignore[arg-type]
        provider = await open_provider("m", base_url=server.url)
        kernel = Kernel(provider, provider, store=await memory_store("run"), run_id="run")
        replies = await kernel.call_all([ask(str(n)) for n in range(700)])
        await provider.aclose()
    assert [reply.text for reply in replies if isinstance(reply, Reply)] == ["yes"] * 700
    # Most of them while it is found out; on a machine that is busy with other things refusals are noticed late.
    assert refused < 0.2 * 700


async def test_what_a_server_says_in_headers_keeps_it_from_refusing():
    said = {
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1s",
    }

    def script(request: Request) -> object:
        return Answer("yes", headers=said)

    async with MockServer(script) as server:  # type: ignore[arg-type]
        provider = await open_provider("m", base_url=server.url)
        reply = await provider.request(ask("x"))
        await provider.aclose()
    assert [(limit.unit, limit.limit, limit.remaining, limit.reset) for limit in reply.limits] == [
        ("requests", 10, 0, 1)
    ]
