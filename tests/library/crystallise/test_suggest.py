"""Families in the journal: what recurs and is expensive is worth a habit, and the reason is said where it is not."""

from __future__ import annotations

from typing import Any

from habit.journal.records import RunRecord
from habit.library.crystallise.suggest import suggestions


def run(number: int, query: str, *, answer: Any = 1, tokens: int = 5_000, digest: str = "", **more: Any) -> RunRecord:
    usage = {
        "usd": 0.02,
        "root": {"calls": 3, "input_tokens": tokens, "output_tokens": 0},
        "leaf": {"calls": 3, "input_tokens": tokens, "output_tokens": 0},
    }
    result = {"answer": answer, "usage": usage, "seconds": 2.0}
    context = {"kind": "text", "digest": digest or str(number), "files": [[f"/in/{number}.csv", "0"]]}
    settings = {"returns": {"name": "int", "schema": {"type": "integer"}}}
    return RunRecord(f"run-{number}", query, float(number), settings, context, status="answered", result=result, **more)


def test_families_are_ranked_by_what_they_would_have_saved() -> None:
    runs = [
        run(1, "How many messages are spam?"),
        run(2, "How many messages are from Ann?"),
        run(3, "How many messages are from Bob?", tokens=9_000),
        run(4, "Which 3 cities sold the most?", tokens=90_000),
        run(5, "Which 5 cities sold the most?", tokens=90_000),
        run(6, "Which 5 cities sold the least?"),
    ]
    worth, others = suggestions(runs)
    assert [[one.id for one in family.runs] for family in worth] == [["run-5", "run-4"], ["run-3", "run-2"]]
    assert worth[0].command == "habit learn run-5 run-4"
    assert worth[0].saved_tokens == 90_000
    assert worth[1].saved_usd == 0.01
    assert worth[1].saved_seconds == 1.0
    assert {family.query: family.against for family in others} == {
        "How many messages are spam?": "asked once",
        "Which 5 cities sold the least?": "asked once",
    }


def test_what_a_habit_answered_is_saved_already() -> None:
    hit = run(2, "How many messages are from Bob?", tokens=0)
    assert hit.result is not None
    hit.result["habit"] = "count-by-sender@1"  # type: ignore[index]
    worth, others = suggestions([run(1, "How many messages are from Ann?"), hit])
    assert (worth, [family.against for family in others]) == ([], ["asked once"])


def test_what_is_not_worth_learning_is_said() -> None:
    runs = [
        run(1, "How many rows?", tokens=100),
        run(2, "How many rows?", tokens=100),
        run(3, "Summarise the text", answer="a", digest="d"),
        run(4, "Summarise the text", answer="b", digest="d"),
        run(5, "List the authors", strategy="habit"),
    ]
    worth, others = suggestions(runs)
    assert not worth
    assert [family.against for family in others] == [
        "unstable: the same question about the same input was answered differently",
        "cheap to find anew",
    ]


def test_other_inputs_and_types_are_other_families_and_what_is_learned_is_left_out() -> None:
    json_run = run(2, "How many messages are spam?")
    json_run = RunRecord(**{**json_run.__dict__, "context": {"kind": "json", "digest": "x", "files": []}})
    runs = [run(1, "How many messages are spam?"), json_run, run(3, "How many messages are spam?")]
    worth, others = suggestions(runs)
    assert [len(family.runs) for family in (*worth, *others)] == [2, 1]
    assert suggestions(runs, {"run-1"})[0] == []
