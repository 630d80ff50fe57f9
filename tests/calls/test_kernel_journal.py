"""The kernel and the journal: replies of other runs, resume, replay, occurrence numbers."""

import contextlib
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habit.calls.budget import Budget
from habit.calls.call import Call, Reply, Sampling
from habit.calls.kernel import Kernel
from habit.calls.retry import RetryPolicy
from habit.calls.usage import Tally, Usage
from habit.errors import BudgetExceeded, CallFailed, ReplayMismatch
from habit.journal.replay import Recording
from support.fakes import FakeProvider, ask, memory_store

ONCE = RetryPolicy(attempts=1)


def numbering() -> FakeProvider:
    """A model that says something else each time it is asked."""
    counter: Counter[str] = Counter()

    def reply(call: Call) -> str:
        counter[call.key] += 1
        return f"{call.messages[-1].content} #{counter[call.key]}"

    return FakeProvider(reply)


async def test_replies_of_other_runs_are_reused_and_cost_nothing():
    provider = numbering()
    store = await memory_store("first", "second", "third")
    first = Kernel(provider, provider, store=store, run_id="first")
    assert [(await first.call(ask("a"))).text for _ in range(2)] == ["a #1", "a #2"]
    second = Kernel(provider, provider, store=store, run_id="second", budget=Budget(max_calls=1))
    replies = [await second.call(ask("a")) for _ in range(2)]
    assert [(reply.text, reply.cached, reply.usd) for reply in replies] == [("a #1", True, 0.0), ("a #2", True, 0.0)]
    assert second.usage == Usage(0, 2, 0, Tally(), Tally(), 0.0, 1)
    assert (await second.call(ask("a"))).text == "a #3"
    records = await store.calls("second")
    assert [(record.cached_from, record.attempts) for record in records] == [("first", 0), ("first", 0), (None, 1)]
    third = Kernel(provider, provider, store=store, run_id="third", use_cache=False)
    assert (await third.call(ask("a"))).text == "a #4"


async def test_other_settings_are_another_call():
    provider = numbering()
    store = await memory_store("first", "second")
    await Kernel(provider, provider, store=store, run_id="first").call(ask("a"))
    second = Kernel(provider, provider, store=store, run_id="second")
    await second.call(ask("a", sampling=Sampling(temperature=1.0)))
    await second.call(ask("a", schema={"type": "integer"}))
    assert second.usage.cached_calls == 0


async def test_a_resumed_run_counts_what_it_had_paid_for_and_asks_only_the_rest():
    provider = numbering()
    store = await memory_store("run")
    before = Kernel(provider, provider, store=store, run_id="run")
    await before.call(ask("root", role="root"))
    await before.call(ask("a"))
    paid = before.usage
    sent = len(provider.sent)
    recording = Recording.for_resume(await store.calls("run"))
    after = Kernel(provider, provider, store=store, run_id="run", recording=recording, budget=Budget(max_calls=3))
    again = [await after.call(ask("root", role="root")), await after.call(ask("a"))]
    assert [(reply.text, reply.cached) for reply in again] == [("root #1", False), ("a #1", False)]
    assert after.usage == paid
    assert len(provider.sent) == sent
    assert len(await store.calls("run")) == 2
    with pytest.raises(BudgetExceeded):
        await after.call(ask("b"))
    await after.call(ask("b"), final=True)
    assert after.usage.calls == 3


async def test_a_resumed_run_keeps_its_cached_replies_apart():
    provider = numbering()
    store = await memory_store("other", "run")
    await Kernel(provider, provider, store=store, run_id="other").call(ask("a"))
    await Kernel(provider, provider, store=store, run_id="run").call(ask("a"))
    recording = Recording.for_resume(await store.calls("run"))
    resumed = Kernel(provider, provider, store=store, run_id="run", recording=recording)
    assert (await resumed.call(ask("a"))).cached
    assert (resumed.usage.calls, resumed.usage.cached_calls) == (0, 1)


async def test_a_call_that_failed_is_asked_again_on_resume_and_its_record_replaced():
    healthy = False

    def reply(call: Call) -> str | CallFailed:
        return "fine" if healthy else CallFailed("no network", reason="connection")

    provider = FakeProvider(reply)
    store = await memory_store("run")
    with pytest.raises(CallFailed):
        await Kernel(provider, provider, store=store, run_id="run").call(ask("a"))
    healthy = True
    recording = Recording.for_resume(await store.calls("run"))
    resumed = Kernel(provider, provider, store=store, run_id="run", recording=recording)
    assert (await resumed.call(ask("a"))).text == "fine"
    assert [record.reply for record in await store.calls("run")] == ["fine"]


async def test_a_replay_repeats_replies_and_failures_and_touches_nothing():
    def reply(call: Call) -> str | CallFailed:
        return CallFailed("no", reason="refused") if call.messages[-1].content == "bad" else "good"

    provider = FakeProvider(reply)
    store = await memory_store("run")
    live = Kernel(provider, provider, store=store, run_id="run")
    await live.call_all([ask("a"), ask("bad")])
    recorded = await store.calls("run")

    class Untouchable:
        def __getattr__(self, name: str) -> object:
            raise AssertionError(f"a replay used {name}")

    absent = FakeProvider(lambda call: pytest.fail("a replay asked the model"))
    replay = Kernel(
        absent, absent, store=Untouchable(), run_id="run", recording=Recording.for_replay(recorded), replay=True
    )
    good, bad = await replay.call_all([ask("a"), ask("bad")])
    assert isinstance(good, Reply)
    assert (good.text, good.cached) == ("good", True)
    assert isinstance(bad, CallFailed)
    assert (str(bad), bad.reason) == ("no", "refused")
    assert replay.usage == Usage(0, 1, 1, Tally(), Tally(), 0.0, 1)
    with pytest.raises(ReplayMismatch, match="leaf call in session 0, cell 7"):
        await replay.call(ask("something else", cell=7))
    with pytest.raises(ReplayMismatch):
        await replay.call(ask("a"))


async def test_the_replay_of_a_stopped_run_is_stopped_where_the_run_was():
    provider = FakeProvider(concurrency=3)
    store = await memory_store("run")
    calls = [ask(str(n)) for n in range(20)]
    live = Kernel(provider, provider, store=store, run_id="run", budget=Budget(max_calls=8))
    with pytest.raises(BudgetExceeded):
        await live.call_all(calls)
    best = await live.call(ask("best?", role="root"), final=True)
    recording = Recording.for_replay(await store.calls("run"))
    replay = Kernel(provider, provider, store=store, run_id="run", recording=recording, replay=True, stopped_by="calls")
    with pytest.raises(BudgetExceeded) as stop:
        await replay.call_all(calls)
    assert stop.value.limit == "calls"
    assert (await replay.call(ask("best?", role="root"), final=True)).text == best.text
    assert recording.unused() == []


def test_a_replay_needs_a_recording():
    with pytest.raises(ValueError, match="recording"):
        Kernel(FakeProvider(), FakeProvider(), store=None, run_id="run", replay=True)  # type: ignore[arg-type]


batches = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=6), max_size=6)


@settings(max_examples=60, deadline=None)
@given(batches, st.integers(0, 36))
async def test_a_run_resumed_anywhere_gets_what_it_got_and_pays_for_nothing_twice(plan, crash_after):
    """A run with repeated prompts, whose model never says the same twice, is cut off and resumed, then replayed."""

    class Crash(Exception):
        pass

    provider = numbering()
    store = await memory_store("run")

    async def execute(kernel: Kernel, limit: int | None = None) -> list[str]:
        texts: list[str] = []
        for batch in plan:
            if limit is not None and len(texts) >= limit:
                raise Crash
            results = await kernel.call_all([ask(text) for text in batch])
            texts += [result.text for result in results if isinstance(result, Reply)]
        return texts

    with contextlib.suppress(Crash):
        await execute(Kernel(provider, provider, store=store, run_id="run"), crash_after)
    recording = Recording.for_resume(await store.calls("run"))
    resumed = Kernel(provider, provider, store=store, run_id="run", recording=recording)
    texts = await execute(resumed)
    total = sum(map(len, plan))
    assert len(provider.sent) == total == resumed.usage.calls
    for letter in "abc":
        said = [text for text in texts if text.startswith(letter)]
        assert said == [f"{letter} #{n}" for n in range(1, len(said) + 1)]
    replay = Kernel(
        provider,
        provider,
        store=store,
        run_id="run",
        recording=Recording.for_replay(await store.calls("run")),
        replay=True,
    )
    assert await execute(replay) == texts
    assert replay.usage == replace(Usage(), cached_calls=total, peak_prompt_tokens=resumed.usage.peak_prompt_tokens)
