"""``habit resume`` and ``habit replay`` with an engine that does as it is told."""

from pathlib import Path

import pytest
from command_bench import FakeEngine, InProcess, a_run

from habit.errors import BudgetExceeded, ReplayMismatch, UsageError
from habit.events import CellStarted, RunStarted
from habit.journal.memory import MemoryStore
from habit.journal.records import RunRecord
from habit.run import Replay


@pytest.fixture(autouse=True)
def journal(own_place: Path) -> Path:
    """Something at the journal's place: the fake engine does not look into it."""
    path = own_place / ".habit" / "journal.db"
    path.parent.mkdir()
    path.touch()
    return path


def test_resume_answers_like_ask(habit: InProcess, engine: FakeEngine) -> None:
    result = habit("resume", "last")
    assert (result.code, result.out) == (0, "42\n")
    assert engine.asked == {"resume": "last"}
    assert habit("resume", "last", "--json").json == a_run().to_json()


def test_resume_takes_a_new_budget_and_a_journal(habit: InProcess, engine: FakeEngine, own_place: Path) -> None:
    (own_place / "j.db").touch()
    flags = ["--journal", "j.db", "--max-calls", "5", "--max-usd", "1", "--max-tokens", "6", "--max-seconds", "7"]
    habit("resume", "R", *flags)
    chosen = engine.settings
    assert (chosen.journal, chosen.max_calls, chosen.max_usd) == ("j.db", 5, 1.0)
    assert (chosen.max_tokens, chosen.max_seconds) == (6, 7.0)


def test_resume_stopped_by_a_budget(habit: InProcess, engine: FakeEngine) -> None:
    engine.outcome = BudgetExceeded("Used up.", limit="calls", run=a_run(status="budget", answer=None))
    result = habit("resume", "last", "--json")
    assert (result.code, result.json["status"]) == (3, "budget")


def test_resume_a_run_that_somebody_else_works_on(habit: InProcess, engine: FakeEngine) -> None:
    engine.outcome, engine.events = UsageError("run R is being worked on"), ()
    result = habit("resume", "last", "--json")
    assert (result.code, result.raw_out, result.err) == (2, b"", "Error: run R is being worked on\n")


def test_a_replay_that_gives_the_same(habit: InProcess, engine: FakeEngine) -> None:
    engine.outcome = Replay(a_run(), "42", same=True)
    result = habit("replay", "last")
    assert (result.code, result.out) == (0, "42\n")
    assert result.err.splitlines()[-1] == "The replay gave the same answer."
    as_json = habit("replay", "last", "--json").json
    assert as_json == {**a_run().to_json(), "same": True, "recorded_answer": "42"}


def test_a_replay_that_gives_something_else(habit: InProcess, engine: FakeEngine) -> None:
    engine.outcome = Replay(a_run(), "41", same=False)
    result = habit("replay", "last")
    assert (result.code, result.out) == (1, "42\n")
    assert result.err.splitlines()[-1] == "Error: The replay did not give the recorded answer."
    result = habit("replay", "last", "--json")
    assert (result.code, result.json["same"], result.json["recorded_answer"]) == (1, False, "41")


@pytest.mark.parametrize(("status", "out"), [("answered", b"null\n"), ("failed", b"")])
def test_a_replayed_null_is_an_answer_only_of_a_run_that_was_answered(
    habit: InProcess, engine: FakeEngine, status: str, out: bytes
) -> None:
    engine.outcome = Replay(a_run(answer=None, status=status), None, same=True)
    result = habit("replay", "last")
    assert (result.code, result.raw_out) == (0, out)


class Departing(FakeEngine):
    """A replay that asks something else than was recorded."""

    async def store(self) -> MemoryStore:
        store = MemoryStore()
        await store.add_run(RunRecord("R1", "How many?", 0.0, {}, {}))
        await store.end_run("R1", "answered", {"answer": "41"})
        return store


def test_a_replay_that_asks_something_else(habit: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    events = (RunStarted("R1", "m", "rlm"), CellStarted("0", 1, "x"))
    engine = Departing(outcome=ReplayMismatch("Another call."), events=events)
    monkeypatch.setattr("habit.cli.running.open_engine", engine.open)
    result = habit("replay", "R1")
    assert (result.code, result.raw_out) == (1, b"")
    assert result.err.splitlines()[-1] == "Error: The replay did not give the recorded answer: Another call."
    result = habit("replay", "R1", "--json")
    assert result.code == 1
    shown = result.json
    assert (shown["run"], shown["status"], shown["same"]) == ("R1", "failed", False)
    assert (shown["answer"], shown["recorded_answer"], shown["error"]) == (None, "41", "Another call.")
    assert shown["cells"] == 1
