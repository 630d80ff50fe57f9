"""What every store does: one suite, run against the store in memory and the one in SQLite."""

from __future__ import annotations

import re
from dataclasses import replace

import anyio
import pytest
from journal_samples import CALL, CELL, RUN, a_call, a_run, failed, key_of

from habit.errors import JournalError, UsageError
from habit.journal.packing import LONG_MESSAGE, LONG_STDOUT
from habit.journal.records import RunStatus
from habit.journal.store import Store

ODD_TEXTS = [
    "",
    "plain",
    "naïve 漢字 😀",
    "\ufeffBOM",
    "CR\r\nLF\rend",
    "NUL \0 inside",
    "\0",
    "lone \ud800 high",
    "two that must not join: \ud83d\ude00",
    "\udcff from a file name",
    "long " * 1000,
    "long \0 " * 1000,
    "long \ud800 " * 1000,
    "(\u00b5/\u00fd looks a bit like zstd",
]


async def test_a_run_comes_back_as_it_was_added(store: Store) -> None:
    async with store.claim(RUN.id):
        await store.add_run(RUN)
        assert await store.run(RUN.id) == RUN


async def test_the_end_of_a_run_is_recorded_and_may_be_recorded_again(store: Store) -> None:
    await store.add_run(RUN)
    await store.end_run(RUN.id, "budget", {"answer": None, "usage": {"usd": None}})
    assert (await store.run(RUN.id)).status == "budget"
    await store.end_run(RUN.id, "answered", {"answer": [1, "two", None, 2.5]})
    assert await store.run(RUN.id) == replace(RUN, status="answered", result={"answer": [1, "two", None, 2.5]})


async def test_the_same_run_id_twice_is_refused(store: Store) -> None:
    await store.add_run(RUN)
    with pytest.raises(JournalError, match="in the journal already"):
        await store.add_run(replace(RUN, query="another"))
    assert (await store.run(RUN.id)).query == RUN.query


async def test_settings_come_back_as_json_has_them(store: Store) -> None:
    run = replace(RUN, settings={"tuple": (1, 2), "nested": {"key": [None, True]}}, status="failed")
    await store.add_run(run)
    assert (await store.run(RUN.id)).settings == {"tuple": [1, 2], "nested": {"key": [None, True]}}
    await store.end_run(RUN.id, "answered", {"answer": (1, 2)})
    assert (await store.run(RUN.id)).result == {"answer": [1, 2]}


async def test_a_running_run_that_nobody_claims_is_interrupted(store: Store) -> None:
    async with store.claim(RUN.id):
        await store.add_run(RUN)
        assert [run.status for run in await store.runs()] == ["running"]
    assert [run.status for run in await store.runs()] == ["interrupted"]
    assert (await store.run(RUN.id)).status == "interrupted"
    async with store.claim(RUN.id):
        assert (await store.run(RUN.id)).status == "running"


@pytest.mark.parametrize("status", ["answered", "salvaged", "budget", "failed", "interrupted"])
async def test_an_ended_run_keeps_its_status_when_nobody_claims_it(store: Store, status: RunStatus) -> None:
    await store.add_run(RUN)
    await store.end_run(RUN.id, status, {})
    assert (await store.run(RUN.id)).status == status


async def test_a_claim_is_held_once_and_given_back(store: Store) -> None:
    async with store.claim("r1"), store.claim("r2"):
        with pytest.raises(UsageError, match="run r1 is being worked on by another process"):
            async with store.claim("r1"):
                pytest.fail("claimed twice")
    async with store.claim("r1"):
        pass


async def test_a_claim_is_given_back_when_its_holder_fails_or_is_cancelled(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        async with store.claim("r1"):
            raise ZeroDivisionError
    with anyio.CancelScope() as scope:
        async with store.claim("r1"):
            scope.cancel()
            await anyio.sleep_forever()
    async with store.claim("r1"):
        pass


async def test_of_many_who_claim_at_once_one_gets_it(store: Store) -> None:
    outcomes: list[str] = []
    everyone_tried = anyio.Event()

    async def claim() -> None:
        try:
            async with store.claim("r1"):
                outcomes.append("held")
                await everyone_tried.wait()
        except UsageError:
            outcomes.append("refused")
            if outcomes.count("refused") == 7:
                everyone_tried.set()

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(claim)
    assert sorted(outcomes) == ["held"] + ["refused"] * 7


async def test_runs_are_listed_newest_first_up_to_the_limit(store: Store) -> None:
    for run_id, started in [("b", 2.0), ("d", 1.0), ("a", 2.0), ("c", 3.0)]:
        await store.add_run(a_run(run_id, started=started))
    assert [run.id for run in await store.runs()] == ["c", "b", "a", "d"]
    assert [run.id for run in await store.runs(2)] == ["c", "b"]
    assert await store.runs(0) == []


async def test_a_run_is_found_by_id_prefix_or_last(store: Store) -> None:
    for run_id, started in [("aa", 1.0), ("aab", 5.0), ("abc", 3.0), ("b", 5.0)]:
        await store.add_run(a_run(run_id, started=started))
    assert (await store.run("aa")).id == "aa"
    assert (await store.run("ab")).id == "abc"
    assert (await store.run("last")).id == "b"


async def test_last_is_the_newest_that_somebody_asked(store: Store) -> None:
    await store.add_run(a_run("a", started=1.0, settings={"for": "z"}))
    assert (await store.run("last")).id == "a"  # there is no other
    await store.add_run(a_run("b", started=2.0))
    await store.add_run(a_run("c", started=3.0, settings={"for": "b"}))
    await store.add_run(a_run("d", started=4.0, strategy="learn"))
    assert (await store.run("last")).id == "b"
    assert [run.serves for run in await store.runs()] == [None, "b", None, "z"]


async def test_an_ambiguous_prefix_names_the_candidates(store: Store) -> None:
    for run_id in ["ab1", "ab2", "c"]:
        await store.add_run(a_run(run_id))
    with pytest.raises(UsageError, match="type more of one: ab2, ab1"):
        await store.run("ab")
    for number in range(3, 9):
        await store.add_run(a_run(f"ab{number}"))
    with pytest.raises(UsageError, match="of 8 runs, so type more of one: ab8, ab7, ab6, ab5, ab4 and 3 more"):
        await store.run("a")


@pytest.mark.parametrize("ref", ["zzz", "", "%", "a_", "\ud800", "\0"])
async def test_an_unknown_run_points_at_the_list(store: Store, ref: str) -> None:
    await store.add_run(a_run("ab1"))
    with pytest.raises(UsageError, match="`habit runs` lists them"):
        await store.run(ref)


async def test_an_unknown_run_names_near_ids(store: Store) -> None:
    await store.add_run(a_run("20261122-165501-x7k2q9hf"))
    with pytest.raises(UsageError, match=re.escape("did you mean 20261122-165501-x7k2q9hf?")):
        await store.run("20261122-165501-x7k2q9hh")


@pytest.mark.parametrize("ref", ["last", "20"])
async def test_a_journal_without_runs_says_so(store: Store, ref: str) -> None:
    with pytest.raises(UsageError, match="no runs yet"):
        await store.run(ref)


async def test_cells_come_in_the_order_they_started(store: Store) -> None:
    await store.add_run(RUN)
    child = replace(CELL, session="0.1", started=102.0)
    second = replace(CELL, index=2, started=103.0)
    for cell in [second, child, CELL]:
        await store.add_cell(cell)
    assert await store.cells(RUN.id) == [CELL, child, second]


async def test_the_same_cell_again_replaces_the_first(store: Store) -> None:
    await store.add_run(RUN)
    await store.add_cell(CELL)
    again = replace(CELL, status="error", error="ZeroDivisionError", started=110.0)
    await store.add_cell(again)
    assert await store.cells(RUN.id) == [again]


async def test_calls_come_in_the_order_they_were_recorded(store: Store) -> None:
    await store.add_run(RUN)
    calls = [a_call(name, started=started) for name, started in [("x", 9.0), ("y", 1.0), ("a", 5.0)]]
    for call in calls:
        await store.add_call(call)
    assert await store.calls(RUN.id) == calls


async def test_every_field_of_a_call_is_kept(store: Store) -> None:
    await store.add_run(RUN)
    call = replace(
        CALL, occurrence=3, usd=None, finish="length", attempts=4, cached_from="another run", role="root", session="0.1"
    )
    await store.add_call(call)
    await store.add_call(failed("other"))
    assert await store.calls(RUN.id) == [call, failed("other")]


async def test_a_failed_call_is_replaced_and_counts_as_recorded_then(store: Store) -> None:
    await store.add_run(RUN)
    for call in [failed("a"), a_call("b"), failed("a", attempts=2)]:
        await store.add_call(call)
    assert await store.calls(RUN.id) == [a_call("b"), failed("a", attempts=2)]
    await store.add_call(a_call("a", reply="at last"))
    assert await store.calls(RUN.id) == [a_call("b"), a_call("a", reply="at last")]


async def test_a_reply_is_never_replaced(store: Store) -> None:
    await store.add_run(RUN)
    await store.add_call(a_call(reply="first"))
    await store.add_call(a_call(reply="second"))
    await store.add_call(failed())
    assert await store.calls(RUN.id) == [a_call(reply="first")]


async def test_the_same_call_of_another_run_or_occurrence_is_another_call(store: Store) -> None:
    for run_id in ["r1", "r2"]:
        await store.add_run(a_run(run_id))
        for occurrence in [0, 1]:
            await store.add_call(a_call(run=run_id, occurrence=occurrence, reply=f"{run_id} {occurrence}"))
    assert [call.reply for call in await store.calls("r1")] == ["r1 0", "r1 1"]
    assert [call.reply for call in await store.calls("r2")] == ["r2 0", "r2 1"]


async def test_an_unknown_run_has_no_cells_and_no_calls(store: Store) -> None:
    assert await store.cells("nothing") == []
    assert await store.calls("nothing") == []


async def test_records_of_an_unknown_run_are_refused(store: Store) -> None:
    for add in [store.add_cell(CELL), store.add_call(CALL), store.end_run(RUN.id, "failed", {})]:
        with pytest.raises(JournalError, match="has no run"):
            await add


async def test_many_calls_at_once_are_all_recorded_and_one_that_fails_harms_only_itself(store: Store) -> None:
    await store.add_run(RUN)
    refused: list[int] = []

    async def add(number: int) -> None:
        run_id = "no such run" if number % 50 == 7 else RUN.id
        try:
            await store.add_call(a_call(number, run=run_id, reply=str(number)))
        except JournalError:
            refused.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(300):
            tasks.start_soon(add, number)
    assert sorted(refused) == [number for number in range(300) if number % 50 == 7]
    recorded = {call.reply for call in await store.calls(RUN.id)}
    assert recorded == {str(number) for number in range(300) if number % 50 != 7}


async def test_a_leaf_reply_is_remembered_from_a_run_in_any_state(store: Store) -> None:
    await store.add_run(RUN)
    assert await store.remember(CALL.key, 0, role="leaf") is None
    await store.add_call(replace(CALL, finish="length"))
    remembered = await store.remember(CALL.key, 0, role="leaf")
    assert remembered is not None
    assert remembered.run == RUN.id
    assert (remembered.text, remembered.input_tokens, remembered.output_tokens) == ("yes", 12, 1)
    assert remembered.finish == "length"
    assert await store.remember(CALL.key, 1, role="leaf") is None
    assert await store.remember(key_of("other"), 0, role="leaf") is None


@pytest.mark.parametrize("status", ["running", "interrupted", "salvaged", "budget", "failed"])
async def test_a_root_reply_is_remembered_only_from_an_answered_run(store: Store, status: RunStatus) -> None:
    await store.add_run(a_run("r1"))
    await store.add_call(a_call(run="r1", role="root"))
    await store.end_run("r1", status, {})
    assert await store.remember(CALL.key, 0, role="root") is None
    await store.add_run(a_run("r2"))
    await store.add_call(a_call(run="r2", role="root", reply="from the answered one"))
    await store.end_run("r2", "answered", {})
    remembered = await store.remember(CALL.key, 0, role="root")
    assert remembered is not None
    assert (remembered.run, remembered.text) == ("r2", "from the answered one")


async def test_a_failure_is_not_remembered_and_does_not_hide_a_reply(store: Store) -> None:
    for run_id in ["r1", "r2", "r3"]:
        await store.add_run(a_run(run_id))
    await store.add_call(failed(run="r1"))
    assert await store.remember(CALL.key, 0, role="leaf") is None
    await store.add_call(a_call(run="r2"))
    await store.add_call(failed(run="r3"))
    remembered = await store.remember(CALL.key, 0, role="leaf")
    assert remembered is not None
    assert remembered.run == "r2"


async def test_a_reply_that_ran_ahead_in_vain_is_remembered_after_one_that_was_asked_for(store: Store) -> None:
    for run_id in ("ahead", "asked"):
        await store.add_run(a_run(run_id))
    for number, reply in ((-1, "first"), (-2, "second")):
        await store.add_call(a_call(run="ahead", occurrence=number, reply=reply))
    for occurrence, reply in ((0, "first"), (1, "second")):
        found = await store.remember(key_of("first"), occurrence, role="leaf")
        assert found is not None
        assert (found.run, found.text) == ("ahead", reply)
    assert await store.remember(key_of("first"), 2, role="leaf") is None
    await store.add_call(a_call(run="asked", occurrence=0, reply="asked"))
    found = await store.remember(key_of("first"), 0, role="leaf")
    assert found is not None
    assert found.text == "asked"
    assert [call.unasked for call in await store.calls("ahead")] == [True, True]


async def test_a_reply_that_ran_ahead_is_moved_to_the_number_it_is_asked_for_under(store: Store) -> None:
    for run_id in ("ahead", "other"):
        await store.add_run(a_run(run_id))
        await store.add_call(a_call(run=run_id, occurrence=-1, reply=run_id))
    await store.add_call(a_call(run="ahead", occurrence=0, reply="ahead"), instead_of=-1)
    assert [(call.occurrence, call.reply) for call in await store.calls("ahead")] == [(0, "ahead")]
    assert [(call.occurrence, call.reply) for call in await store.calls("other")] == [(-1, "other")]
    found = await store.remember(key_of("first"), 0, role="leaf")
    assert found is not None
    assert found.run == "ahead"


async def test_an_empty_reply_is_a_reply(store: Store) -> None:
    await store.add_run(RUN)
    await store.add_call(a_call(reply=""))
    remembered = await store.remember(CALL.key, 0, role="leaf")
    assert remembered is not None
    assert remembered.text == ""
    assert [call.reply for call in await store.calls(RUN.id)] == [""]


@pytest.mark.parametrize("text", ODD_TEXTS)
async def test_texts_come_back_exactly(store: Store, text: str) -> None:
    run = replace(
        RUN, query=text, settings={"s": text, text: 1}, context={"files": [[text, "d"]]}, strategy=text, status="failed"
    )
    cell = replace(CELL, session=text, code=text, status=text, stdout=text, error=text)
    prompt = ((text, "a"), ("user", text[:LONG_MESSAGE]))
    call = replace(CALL, model=text, prompt=prompt, reply=text, error=text, error_reason=text, finish=text)
    await store.add_run(run)
    await store.add_cell(cell)
    await store.add_call(call)
    await store.end_run(run.id, "answered", {"answer": text})
    assert await store.run(run.id) == replace(run, status="answered", result={"answer": text})
    assert await store.cells(run.id) == [cell]
    assert await store.calls(run.id) == [call]
    remembered = await store.remember(call.key, 0, role="leaf")
    assert remembered is not None
    assert (remembered.text, remembered.finish) == (text, text)


async def test_a_long_message_is_kept_as_its_ends_and_its_digest(store: Store) -> None:
    await store.add_run(RUN)
    text = "head" + "x" * LONG_MESSAGE + "tail"
    await store.add_call(replace(CALL, prompt=(("user", "x" * LONG_MESSAGE), ("user", text))))
    [call] = await store.calls(RUN.id)
    assert call.prompt[0] == ("user", "x" * LONG_MESSAGE)
    role, kept = call.prompt[1]
    assert role == "user"
    assert kept.startswith("headxxx")
    assert kept.endswith("xxxtail")
    assert f"{len(text) - 3000:,} characters left out; SHA-256 of the whole: {key_of(text)}" in kept
    assert len(kept) < LONG_MESSAGE


async def test_a_long_output_is_kept_head_and_tail_and_the_rest_is_counted(store: Store) -> None:
    await store.add_run(RUN)
    whole = replace(CELL, stdout="a" * LONG_STDOUT, stdout_dropped=5)
    long = replace(CELL, index=2, stdout="h" + "m" * LONG_STDOUT + "t", stdout_dropped=5)
    await store.add_cell(whole)
    await store.add_cell(long)
    first, second = await store.cells(RUN.id)
    assert first == whole
    assert len(second.stdout) == LONG_STDOUT
    assert (second.stdout[0], second.stdout[-1], second.stdout_dropped) == ("h", "t", 7)


@pytest.mark.parametrize("data", [b"", b"\0", "lone \ud800".encode("utf-8", "surrogatepass"), bytes(range(256)) * 5000])
async def test_blobs_are_found_by_their_digest(store: Store, data: bytes) -> None:
    digest = await store.put_blob(data)
    assert await store.put_blob(data) == digest
    assert re.fullmatch("[0-9a-f]{64}", digest)
    assert await store.get_blob(digest) == data


@pytest.mark.parametrize("digest", ["0" * 64, "", "../../../etc/passwd", "\ud800"])
async def test_a_blob_that_is_not_there_is_an_error(store: Store, digest: str) -> None:
    with pytest.raises(JournalError):
        await store.get_blob(digest)


async def test_a_closed_store_refuses_work_and_may_be_closed_again(store: Store) -> None:
    await store.add_run(RUN)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.aclose)
        tasks.start_soon(store.aclose)
    await store.aclose()
    uses = [
        store.add_run(RUN),
        store.add_call(CALL),
        store.add_cell(CELL),
        store.end_run(RUN.id, "failed", {}),
        store.remember(CALL.key, 0, role="leaf"),
        store.runs(),
        store.run("last"),
        store.cells(RUN.id),
        store.calls(RUN.id),
        store.put_blob(b""),
        store.get_blob("0" * 64),
    ]
    for use in uses:
        with pytest.raises(JournalError, match="closed"):
            await use


async def test_what_was_spent_since_a_moment_counts_live_calls_of_all_runs(store: Store) -> None:
    assert await store.spent_since(0.0) == 0.0
    other = a_run("20261122-165502-00bbbbbb")
    await store.add_run(RUN)
    await store.add_run(other)
    for call in (
        a_call("before", usd=100.0, started=999.0),
        a_call("at that moment", usd=0.25, started=1000.0),
        a_call("of another run", run=other.id, usd=0.5, started=2000.0),
        failed("billed all the same", usd=0.125, started=2000.0),
        failed("never sent", usd=7.0, attempts=0, started=2000.0),
        a_call("taken from a run", usd=7.0, cached_from=other.id, started=2000.0),
        a_call("no price known", usd=None, started=2000.0),
    ):
        await store.add_call(call)
    assert await store.spent_since(1000.0) == 0.875
    await store.add_call(a_call("billed all the same", usd=0.5, started=3000.0))
    assert await store.spent_since(1000.0) == 1.25, "a failure that was tried again is replaced"
    assert await store.spent_since(4000.0) == 0.0
