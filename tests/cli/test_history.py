"""``habit runs`` and ``habit show`` on a real journal."""

import sqlite3
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from command_bench import InProcess, a_run

from habit.journal.records import CallRecord, CellRecord, RunRecord
from habit.journal.sqlite import SqliteStore

JOURNAL = ".habit/journal.db"


def _record(run_id: str, query: str, started: float) -> RunRecord:
    return RunRecord(
        id=run_id,
        query=query,
        started=started,
        settings={"model": "mock:m", "leaf_model": "mock:m", "max_cells": 30, "profile": "auto", "window": None},
        context={"kind": "text", "digest": "d", "origin": "big.log", "bytes": 12345678, "files": [], "blob": None},
    )


def _call(run_id: str, occurrence: int, role: str, **details: Any) -> CallRecord:
    return CallRecord(
        **{
            "run": run_id,
            "key": "k" * 64,
            "occurrence": occurrence,
            "role": role,
            "session": "0",
            "cell": 1,
            "model": "mock:m",
            "prompt": (("user", "what?"),),
            "reply": "that",
            "input_tokens": 1000,
            "output_tokens": 10,
            "usd": 0.5,
            "seconds": 1.5,
            "started": 1000.0,
            **details,
        }
    )


async def _fill(path: str) -> None:
    store = await SqliteStore.open(path)
    try:
        await store.add_run(_record("20260101-000000-aa", "How many\nerrors?", 1767225600.0))
        await store.add_run(_record("20260102-000000-bb", "Which \x1b[31mone?", 1767312000.0))
        for index, code in enumerate(["print(1)", "answer('two\nlines')"], 1):
            status, out = ("ok", "x" * 3000) if index == 1 else ("answered", "\x1b[2J")
            await store.add_cell(
                CellRecord("20260101-000000-aa", "0", index, code, status, out, 0, "", 0.25, 1000.0 + index)
            )
        await store.add_call(_call("20260101-000000-aa", 0, "root"))
        await store.add_call(_call("20260101-000000-aa", 1, "leaf", cached_from="20251231-000000-zz"))
        await store.add_call(_call("20260101-000000-aa", 2, "leaf", cache_read_tokens=500))
        failed = {"reply": None, "error": "slow", "error_reason": "timeout"}
        await store.add_call(_call("20260101-000000-aa", 3, "leaf", **failed))
        run = a_run(id="20260101-000000-aa", query="How many\nerrors?", answer="two\nlines", cells=2, seconds=3.5)
        await store.end_run(run.id, "answered", run.to_json())
    finally:
        await store.aclose()


@pytest.fixture
def journal(own_place: Path) -> str:
    anyio.run(_fill, JOURNAL)
    return JOURNAL


def test_runs_as_json_newest_first(habit: InProcess, journal: str) -> None:
    result = habit("runs", "--json")
    assert (result.code, result.err) == (0, "")
    assert result.json == [
        {
            "run": "20260102-000000-bb",
            "query": "Which \x1b[31mone?",
            "status": "interrupted",
            "started": "2026-01-02T00:00:00Z",
            "answer": None,
            "strategy": "rlm",
            "for": None,
            "seconds": None,
            "usd": None,
        },
        {
            "run": "20260101-000000-aa",
            "query": "How many\nerrors?",
            "status": "answered",
            "started": "2026-01-01T00:00:00Z",
            "answer": "two\nlines",
            "strategy": "rlm",
            "for": None,
            "seconds": 3.5,
            "usd": 0.0125,
        },
    ]
    assert datetime.fromisoformat(result.json[0]["started"]).timestamp() == 1767312000.0


def test_runs_as_lines(habit: InProcess, journal: str) -> None:
    lines = habit("runs").out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("20260102-000000-bb  2026-01-0")
    assert lines[0].endswith("  interrupted  Which \\x1b[31mone?")
    assert lines[1].endswith("  answered     How many errors?")


def test_runs_on_a_terminal_are_cut_to_its_width(
    habit: InProcess, journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("habit.cli.history.width_of", lambda stream: 30)
    assert {len(line) for line in habit("runs", terminal=True).out.splitlines()} == {30}


def test_at_most_as_many_runs_as_asked_for(habit: InProcess, journal: str) -> None:
    assert [run["run"] for run in habit("runs", "--json", "--limit", "1").json] == ["20260102-000000-bb"]


def test_no_runs_yet(habit: InProcess) -> None:
    assert habit("runs", "--json").json == []
    result = habit("runs")
    assert (result.code, result.raw_out) == (0, b"")
    assert "There are no runs in .habit/journal.db yet" in result.err


def test_another_journal(habit: InProcess, own_place: Path) -> None:
    anyio.run(_fill, "other/j.db")
    assert len(habit("runs", "--json", "--journal", "other/j.db").json) == 2


def test_show_tells_it_all(habit: InProcess, journal: str) -> None:
    result = habit("show", "20260101")
    assert (result.code, result.err) == (0, "")
    shown = result.out
    for expected in (
        "run       20260101-000000-aa\n",
        "query     How many errors?\n",
        "status    answered\n",
        "context   big.log (text, 12,345,678 bytes)\n",
        "settings  model=mock:m, leaf_model=mock:m, max_cells=30\n",
        "cell 1 (ok, 0.25 s)\n    | print(1)\n    xxx",
        "… 1,000 more characters\n",
        "cell 2 (answered, 0.25 s)\n    | answer('two\n    | lines')\n    \\x1b[2J\n",
        "    1 root to mock:m, 1,000 tokens in, 10 out, 1.5 s\n",
        "    3 leaf to mock:m, 2,000 tokens in (25% from the provider's cache), 20 out, 3.0 s, 1 from the journal, "
        "1 failed (timeout)\n",
        "answer\n    two\n    lines\n",
        "2 cells, 3 calls paid for, 1 from the journal, 0 failed, $0.0125, 3.5 s\n",
    ):
        assert expected in shown


def test_show_an_interrupted_run_says_how_to_go_on(habit: InProcess, journal: str) -> None:
    shown = habit("show", "last").out
    assert "\x1b" not in shown
    assert shown.endswith("This run was interrupted; continue with: habit resume 20260102-000000-bb\n")


def test_show_as_json_has_everything(habit: InProcess, journal: str) -> None:
    shown = habit("show", "20260101", "--json").json
    assert (shown["run"], shown["status"], shown["answer"]) == ("20260101-000000-aa", "answered", "two\nlines")
    assert shown["usage"]["calls"] == 3
    assert shown["context"]["origin"] == "big.log"
    assert shown["settings"]["model"] == "mock:m"
    assert [cell["code"] for cell in shown["cell_records"]] == ["print(1)", "answer('two\nlines')"]
    assert [call["error_reason"] for call in shown["call_records"]] == ["", "", "", "timeout"]
    assert shown["call_records"][0]["prompt"] == [["user", "what?"]]


def test_show_an_interrupted_run_as_json(habit: InProcess, journal: str) -> None:
    shown = habit("show", "last", "--json").json
    assert (shown["status"], shown["answer"], shown["cell_records"]) == ("interrupted", None, [])


@pytest.mark.parametrize(("ref", "said"), [("2026", "is the beginning of 2 runs"), ("zz", "there is no run 'zz'")])
def test_a_run_that_is_not_there_is_a_usage_error(habit: InProcess, journal: str, ref: str, said: str) -> None:
    result = habit("show", ref, "--json")
    assert (result.code, result.raw_out) == (2, b"")
    assert said in result.err
    assert len(result.err.splitlines()) == 1


def test_a_journal_of_a_newer_format_is_a_usage_error(habit: InProcess, journal: str) -> None:
    with sqlite3.connect(journal) as db:
        db.execute("PRAGMA user_version = 999")
    db.close()
    for command in (["runs"], ["show", "last"]):
        result = habit(*command)
        assert (result.code, result.raw_out, len(result.err.splitlines())) == (2, b"", 1)
        assert "newer" in result.err


def test_a_file_that_is_no_journal_is_said(habit: InProcess, own_place: Path) -> None:
    (own_place / "j.db").write_bytes(b"not a database, but long enough to look at " * 10)
    result = habit("runs", "--journal", "j.db")
    assert (result.code, len(result.err.splitlines())) == (1, 1)
    assert "j.db" in result.err


def test_with_no_journal_there_is_none_to_read(habit: InProcess, journal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HABIT_NO_JOURNAL", "1")
    result = habit("runs")
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert "HABIT_NO_JOURNAL" in result.err


async def _fill_long(path: str) -> None:
    """A run that continues another one and had its oldest cells folded."""
    store = await SqliteStore.open(path)
    try:
        record = _record("20260103-000000-cc", "And by month?", 1767398400.0)
        settings = {**record.settings, "continues": "20260101-000000-aa"}
        await store.add_run(replace(record, settings=settings))
        for index, (session, folded) in enumerate(
            [("0", 0), ("0", 1), ("0", 1), ("0.1", 0), ("0", 6), ("0.1", 2), ("0", 6)], 1
        ):
            cell = CellRecord(record.id, session, index, "x", "ok", "", 0, "", 0.25, 1000.0 + index, folded)
            await store.add_cell(cell)
        await store.end_run(record.id, "answered", a_run(id=record.id).to_json())
    finally:
        await store.aclose()


def test_show_a_run_that_continues_another_one_with_what_was_folded(habit: InProcess) -> None:
    anyio.run(_fill_long, JOURNAL)
    shown = habit("show", "last").out
    assert shown.startswith("run       20260103-000000-cc\ncontinues 20260101-000000-aa\nquery     And by month?\n")
    assert "continues=" not in shown
    notes = [line for line in shown.splitlines() if "folded" in line or line.startswith("cell ")]
    assert [line.partition(" (")[0] if line.startswith("cell") else line for line in notes] == [
        "cell 1",
        "(cell 1 was folded into a summary before this one)",
        "cell 2",
        "cell 3",
        "cell 4 of child run 0.1",
        "(cells 1–6 were folded into a summary before this one)",
        "cell 5",
        "(cells 1–2 were folded into a summary before this one)",
        "cell 6 of child run 0.1",
        "cell 7",
    ]
    assert [cell["folded"] for cell in habit("show", "last", "--json").json["cell_records"]] == [0, 1, 1, 0, 6, 2, 6]


def test_a_large_batch_tells_what_some_of_its_calls_saw(habit: InProcess, own_place: Path) -> None:
    async def fill() -> None:
        store = await SqliteStore.open(JOURNAL)
        try:
            await store.add_run(_record("20260101-000000-aa", "Which?", 1767225600.0))
            for number in range(7):
                asked = (("user", f"Which?\n\n<text>\nline {number}\n</text>"),)
                await store.add_call(
                    _call("20260101-000000-aa", number, "leaf", prompt=asked, started=1000.0 + number / 9)
                )
        finally:
            await store.aclose()

    anyio.run(fill)
    told = habit("show", "last", "--batches", "--no-pager").out
    assert "   saw: Which? <text>\n      1. line 0 </text>\n" in told
    assert "      5. line 4 </text>\n      … and 2 more, each of which --json tells\n" in told
    [batch] = habit("show", "last", "--batches", "--json").json["batches"]
    assert batch["each_sees"] == [f"line {number} </text>" for number in range(7)]


def test_show_tells_what_orchestration_cost_and_the_batches(habit: InProcess, journal: str) -> None:
    shown = habit("show", "20260101-000000-aa", "--no-pager").out
    assert "orchestration\n" in shown
    assert "prompt tokens carried earlier steps" in shown
    batches = habit("show", "20260101-000000-aa", "--batches", "--no-pager").out
    assert batches.startswith("1. 1 root call")
    assert "saw: what?" in batches
    assert "then the run has its answer" in batches
