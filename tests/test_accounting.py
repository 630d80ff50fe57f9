"""Accounts of runs and their batches, from records made by hand and from the journals of real runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit import Settings
from habit.accounting import account, batches
from habit.engine import Engine
from habit.journal.memory import MemoryStore
from habit.journal.packing import LONG_MESSAGE, excerpt, length_of
from habit.journal.records import CallRecord, CellRecord
from support.scripted import ScriptedModels, ScriptedProvider, block


def call(started: float, seconds: float = 1.0, **more: Any) -> CallRecord:
    """A leaf call of cell 1, if nothing else is said."""
    known: dict[str, Any] = {
        "run": "r",
        "key": "k",
        "occurrence": 0,
        "role": "leaf",
        "session": "0",
        "cell": 1,
        "model": "m",
        "prompt": (("system", "s"), ("user", "What?")),
        "reply": "yes",
        "input_tokens": 10,
        "output_tokens": 1,
        "usd": 0.0,
    }
    return CallRecord(started=started, seconds=seconds, **{**known, **more})


def root(started: float, cell: int, *messages: str, **more: Any) -> CallRecord:
    roles = ("system", *("user", "assistant") * len(messages))
    prompt = tuple(zip(roles, messages, strict=False))
    return call(started, role="root", cell=cell, prompt=prompt, **{"input_tokens": 100, **more})


def cell(index: int, seconds: float, session: str = "0") -> CellRecord:
    return CellRecord("r", session, index, "", "ok", "", 0, "", seconds, 0.0)


def test_calls_that_overlap_went_out_together() -> None:
    together = [call(0.0), call(0.5), call(1.2, 3.0), call(2.0)]  # the last two by way of the second
    apart = [call(9.0), call(11.0)]
    found = batches([*apart, *together])
    assert [batch.calls for batch in found] == [4, 1, 1]
    assert [round(batch.seconds, 1) for batch in found] == [4.2, 1.0, 1.0]
    assert found[0].input_tokens == 40


def test_calls_that_waited_for_their_turn_together_are_a_batch_however_few_are_sent_at_once() -> None:
    one_line = [call(float(n), waited=n - 0.01 * n) for n in range(5)]
    [batch] = batches(one_line[::-1])
    assert (batch.calls, round(batch.seconds, 1)) == (5, 5.0)
    assert [one.calls for one in batches([call(float(n)) for n in range(5)])] == [1] * 5


def test_replies_from_the_journal_are_a_batch() -> None:
    known = [call(float(n), 0.0, cached_from="other", attempts=0) for n in range(5)]
    [batch] = batches(known)
    assert (batch.calls, batch.from_journal) == (5, 5)


def test_a_barrier_says_who_takes_the_replies() -> None:
    records = [
        root(0.0, 1, "s", "q"),
        call(2.0),
        call(4.0),
        root(6.0, 2, "s", "q", "a", "out"),
        call(8.0, session="0.1", role="root", cell=1),
        call(20.0, cell=2),
    ]
    assert [batch.then for batch in batches(records)] == [
        "cell 1 takes the reply",
        "cell 1 goes on with the replies",
        "what cell 1 makes of the replies goes to the root",
        "cell 2 takes the reply",
        "session 0 has its answer",
        "the run has its answer",
    ]


def test_a_batch_says_what_all_were_asked_and_what_each_saw() -> None:
    asked = "Which kind is it?\n\n<text>\n{}\n</text>"
    shown = ["the kettle leaks", "the kettle is fine", f"the lamp {'flickers ' * 99}"]
    together = [call(0.1 * n, prompt=(("system", "s"), ("user", asked.format(text)))) for n, text in enumerate(shown)]
    [batch] = batches([*together[::-1]])
    assert batch.sees == "Which kind is it? <text>"
    assert batch.each_sees[:2] == ["the kettle leaks </text>", "the kettle is fine </text>"]
    assert batch.each_sees[2].startswith("the lamp flickers")
    assert len(batch.each_sees[2]) == 100
    [alone] = batches(together[:1])
    assert (alone.sees, alone.each_sees) == ("Which kind is it? <text> the kettle leaks </text>", [])
    loop = batches([replace(one, started=9.0 * n) for n, one in enumerate(together)])
    assert [(one.sees, one.each_sees[0][:8]) for one in loop] == [
        ("Which kind is it? <text>", text) for text in ("the kett", "the kett", "the lamp")
    ]
    unlike = [call(0.0, prompt=(("user", "one"),)), call(0.1, prompt=(("user", "only"),)), call(0.2, prompt=())]
    assert [list(each.each_sees) for each in batches(unlike)] == [["one", "only", ""]]


def test_bookkeeping_is_what_carries_earlier_steps() -> None:
    start, step = "q" * 800, "o" * 900
    first = root(0.0, 1, "s" * 200, start)
    second = root(2.0, 2, "s" * 200, start, "a" * 100, step, input_tokens=2_000)
    known = account([first, second], [])
    assert known.bookkeeping_tokens == 1_000
    assert known.reentered_tokens == 900
    folded = root(4.0, 3, "s" * 200, start + "f" * 1_000, input_tokens=2_000)
    assert account([first, folded], []).bookkeeping_tokens == 1_000
    notes = root(4.0, 3, "n" * 1_000, "steps" * 200, input_tokens=2_000)
    assert account([first, notes], []).bookkeeping_tokens == 1_000


def test_a_reply_that_is_quoted_to_another_call_re_entered() -> None:
    said = "The delivery came two days late."
    quoting = call(2.0, prompt=(("user", f"{said}\n{'x' * (99 - len(said))}"),), input_tokens=100)
    records = [call(0.0, reply=f"- none\n{said}"), quoting]
    assert account(records, []).reentered_tokens == len(said)
    assert account(records[::-1], []).reentered_tokens == len(said)
    telling_root = root(2.0, 2, "s", "q", "a", f"{said}\n{'x' * 99}", input_tokens=1_000)
    assert account([root(0.0, 1, "s", "q"), call(1.0, 0.5, reply=said), telling_root], []).reentered_tokens < 1_000
    too_early = [call(1.5, reply=said), quoting]
    assert account(too_early, []).reentered_tokens == 0


def test_the_critical_path_is_the_longest_chain() -> None:
    records = [
        root(0.0, 1, "s", "q"),
        call(2.0, 1.0),
        call(2.1, 5.0),
        call(10.0, 1.0, session="0.1", role="root"),
        call(12.0, 3.0, session="0.1"),
        call(12.5, 1.0, session="0.1"),
        call(11.0, 9.0),  # beside the child, and longer
    ]
    assert account(records, [cell(1, 0.5)]).critical_path_seconds == pytest.approx(1 + 5 + 9 + 0.5)
    assert account(records[:-1], [cell(1, 0.5, "0.1")]).critical_path_seconds == pytest.approx(1 + 5 + 1 + 3 + 0.5)


def test_calls_in_vain_are_waste() -> None:
    records = [call(0.0), call(0.1, occurrence=-1), call(0.2, reply=None, input_tokens=7, output_tokens=0)]
    known = account(records, [])
    assert (known.wasted_calls, known.wasted_tokens) == (2, 18)
    assert known.leaf_calls == 2
    assert batches(records)[0].ahead == 1


def test_nothing_is_accounted_for_as_nothing() -> None:
    known = account([], [])
    assert set(known.to_json().values()) == {0}
    assert batches([]) == []


@given(st.integers(0, 3 * LONG_MESSAGE), st.sampled_from(["x", "\n", "é", "[… 9 characters left out …]"]))
def test_the_length_of_an_excerpt_is_that_of_the_whole(times: int, what: str) -> None:
    assert length_of(excerpt(what * times)) == len(what * times)


TIMES = st.floats(0, 20, allow_nan=False)
CALLS = st.builds(
    call,
    TIMES,
    TIMES,
    role=st.sampled_from(["root", "leaf"]),
    session=st.sampled_from(["0", "0.1", "0.1.1", "0.2"]),
    cell=st.integers(1, 3),
    prompt=st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text()), max_size=4).map(tuple),
    reply=st.none() | st.text(),
)


@given(st.lists(CALLS, max_size=12))
def test_whatever_the_records_every_call_is_in_one_batch_and_the_chain_fits(records: list[CallRecord]) -> None:
    found = batches(records)
    assert sum(batch.calls for batch in found) == len(records)
    known = account(records, [])
    assert known.batches == len(found)
    assert known.critical_path_seconds <= sum(record.seconds for record in records) + 1e-6
    assert known.bookkeeping_tokens <= sum(record.input_tokens for record in records)


@pytest.mark.parametrize("concurrency", [64, 1])
async def test_a_run_of_code_is_accounted_for_in_the_same_way(concurrency: int) -> None:
    code = "found = recursive_llm_map('Which?', [str(n) for n in range(9)])\nprint(found)"
    model = ScriptedProvider([block(code), block("answer('x')")], leaf=lambda prompt: "a reply long enough to tell")
    model.concurrency = concurrency
    store = MemoryStore()
    settings = Settings(model="scripted", no_journal=True, speculate=0)
    async with Engine(settings, store=store, models=ScriptedModels(model)) as engine:
        run = await engine.ask("q", "some text")
    known = run.orchestration
    assert known is not None
    assert (known.root_calls, known.leaf_calls, known.peak_prompt_tokens) == (2, 9, run.peak_prompt_tokens)
    assert known.bookkeeping_tokens > 0
    roles = [batch.role for batch in batches(await store.calls(run.id))]
    assert roles == ["root", "leaf", "root"]
