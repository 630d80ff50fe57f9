"""``habit ask`` with an engine that does as it is told: settings, streams, exit statuses."""

from pathlib import Path
from typing import Any

import pytest
from command_bench import FakeEngine, InProcess, a_run

from habit.calls.returns import Returns
from habit.calls.usage import Usage
from habit.errors import BudgetExceeded, HabitError, JournalError, RunFailed, SandboxError, UsageError
from habit.events import Notice, RunStarted
from habit.run import Run


def test_the_answer_is_all_of_stdout(habit: InProcess, engine: FakeEngine) -> None:
    result = habit("ask", "How many?", "a.txt", "b/", "*.log")
    assert (result.code, result.out) == (0, "42\n")
    assert engine.asked["query"] == "How many?"
    assert list(engine.asked["paths"]) == ["a.txt", "b/", "*.log"]
    assert engine.asked["returns"] == Returns.from_text("str")
    assert engine.asked["skip_bad"] is False
    assert result.err.splitlines() == [
        "Run R1 with mock:model.",
        "answered: 0 cells, 4 calls (1 from the journal), 297 tokens, $0.0125, 0.0 s (run R1)",
    ]


def test_json_is_the_run(habit: InProcess, engine: FakeEngine) -> None:
    result = habit("ask", "How many?", "--json")
    assert isinstance(engine.outcome, Run)
    assert result.json == engine.outcome.to_json()


FLAGS: list[tuple[list[str], str, Any]] = [
    (["--model", "openai:m"], "model", "openai:m"),
    (["--leaf-model", "ollama:m"], "leaf_model", "ollama:m"),
    (["--base-url", "http://h/v1"], "base_url", "http://h/v1"),
    (["--profile", "small"], "profile", "small"),
    (["--window", "4096"], "window", 4096),
    (["--concurrency", "3"], "concurrency", 3),
    (["--sessions", "5"], "sessions", 5),
    (["--strategy", "rlm"], "strategy", "rlm"),
    (["--max-usd", "0.5"], "max_usd", 0.5),
    (["--max-tokens", "1000"], "max_tokens", 1000),
    (["--max-calls", "7"], "max_calls", 7),
    (["--max-seconds", "9"], "max_seconds", 9.0),
    (["--max-depth", "0"], "max_depth", 0),
    (["--max-cells", "4"], "max_cells", 4),
    (["--cell-seconds", "2.5"], "cell_seconds", 2.5),
    (["--cell-memory", "100000000"], "cell_memory", 100_000_000),
    (["--cell-memory", "2G"], "cell_memory", 2 << 30),
    (["--cell-memory", "150.5 MiB"], "cell_memory", 301 << 19),
    (["--journal", "j.db"], "journal", "j.db"),
    (["--no-journal"], "no_journal", True),
    (["--no-cache"], "no_cache", True),
]


@pytest.mark.parametrize(
    ("flags", "name", "value"), FLAGS, ids=lambda part: " ".join(part) if type(part) is list else ""
)
def test_each_flag_sets_what_it_is_named_after(
    habit: InProcess, engine: FakeEngine, flags: list[str], name: str, value: Any
) -> None:
    assert habit("ask", "?", *flags).code == 0
    assert getattr(engine.settings, name) == value


def test_flags_go_over_variables_and_variables_over_the_file(
    habit: InProcess, engine: FakeEngine, own_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_place / "habit.toml").write_text('model = "file"\nmax_calls = 1\nmax_cells = 1\nno_cache = true\n')
    monkeypatch.setenv("HABIT_MAX_CALLS", "2")
    monkeypatch.setenv("HABIT_MAX_CELLS", "2")
    habit("ask", "?", "--max-cells", "3")
    chosen = engine.settings
    assert (chosen.model, chosen.max_calls, chosen.max_cells, chosen.no_cache) == ("file", 2, 3, True)


def test_returns_and_skip_bad_reach_the_engine(habit: InProcess, engine: FakeEngine) -> None:
    habit("ask", "?", "x", "--returns", "list[int]", "--skip-bad")
    assert engine.asked["returns"] == Returns.from_text("list[int]")
    assert engine.asked["skip_bad"] is True


def test_a_salvaged_answer_comes_with_a_warning(habit: InProcess, engine: FakeEngine) -> None:
    engine.outcome = a_run(status="salvaged", notes=("the limit of 3 cells is reached",))
    result = habit("ask", "?")
    assert (result.code, result.out) == (0, "42\n")
    assert "Warning: the limit of 3 cells is reached" in result.err
    assert "Warning: A limit was met, so this is the best answer known" in result.err


def test_a_note_is_shown_once(habit: InProcess, engine: FakeEngine) -> None:
    engine.events = (RunStarted("R1", "m", "rlm", ("read as latin-1",)), Notice("look"))
    engine.outcome = a_run(notes=("read as latin-1",))
    result = habit("ask", "?")
    assert result.err.count("Warning: read as latin-1\n") == 1
    assert "look\n" in result.err


def _stopped(answer: Any) -> BudgetExceeded:
    run = a_run(status="budget", answer=answer, error="The budget of 3 calls is used up.")
    return BudgetExceeded("The budget of 3 calls is used up.", limit="calls", run=run)


def test_a_budget_stops_with_the_best_answer(habit: InProcess, engine: FakeEngine) -> None:
    engine.outcome = _stopped("41")
    result = habit("ask", "?")
    assert (result.code, result.out) == (3, "41\n")
    assert "Warning: The budget was used up, so this is the best answer known" in result.err
    assert result.err.splitlines()[-1] == "Error: The budget of 3 calls is used up."


def test_a_budget_stops_without_an_answer(habit: InProcess, engine: FakeEngine) -> None:
    engine.outcome = _stopped(None)
    result = habit("ask", "?")
    assert (result.code, result.out) == (3, "")
    assert "best answer" not in result.err


def test_a_run_that_can_go_on_says_how(habit: InProcess, engine: FakeEngine) -> None:
    way_on = f"to go on from there: habit resume {a_run().id}"
    engine.outcome = _stopped(None)
    assert way_on in habit("ask", "?").err.splitlines()[-2]
    assert way_on not in habit("ask", "?", "--no-journal").err
    for usage, said in ((Usage(failed_calls=1), True), (Usage(), False)):
        engine.outcome = RunFailed("It failed.", a_run(status="failed", answer=None, error="It failed.", usage=usage))
        assert (way_on in habit("ask", "?").err) is said
    named = "too large: habit resume R1 --yes"
    engine.outcome = RunFailed(named, a_run(status="budget", answer=None, error=named))
    assert way_on not in habit("ask", "?").err


def test_a_budget_stop_as_json(habit: InProcess, engine: FakeEngine) -> None:
    engine.outcome = _stopped("41")
    result = habit("ask", "?", "--json")
    assert (result.code, result.json["status"], result.json["answer"]) == (3, "budget", "41")
    assert result.json["error"] == "The budget of 3 calls is used up."


def test_a_failed_run_as_text_and_json(habit: InProcess, engine: FakeEngine) -> None:
    engine.outcome = RunFailed("It failed.", a_run(status="failed", answer=None, error="It failed."))
    result = habit("ask", "?")
    assert (result.code, result.out) == (1, "")
    assert result.err.splitlines()[-1] == "Error: It failed."
    result = habit("ask", "?", "--json")
    assert (result.code, result.json["status"], result.json["error"]) == (1, "failed", "It failed.")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("bad"), 2),
        (RunFailed("bad"), 1),
        (HabitError("bad"), 1),
        (JournalError("bad"), 1),
        (SandboxError("bad"), 1),
        (BudgetExceeded("bad", limit="usd"), 3),
    ],
)
def test_errors_without_a_run_leave_stdout_empty(
    habit: InProcess, engine: FakeEngine, error: Exception, code: int
) -> None:
    engine.outcome, engine.events = error, ()
    result = habit("ask", "?", "--json")
    assert (result.code, result.raw_out) == (code, b"")
    assert result.err == "Error: bad\n"


def test_an_error_of_many_lines_is_one_line_and_harmless(habit: InProcess, engine: FakeEngine) -> None:
    engine.outcome, engine.events = HabitError("it said:\n  <html>\x1b[31m\n"), ()
    assert habit("ask", "?").err == "Error: it said: <html>\\x1b[31m\n"


def test_a_bug_is_called_one(habit: InProcess, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.outcome, engine.events = KeyError("oops"), ()
    result = habit("ask", "?")
    assert (result.code, result.raw_out) == (1, b"")
    assert result.err == (
        "Error: This is a bug in Habit: KeyError: 'oops'; please report it with the output under HABIT_DEBUG=1.\n"
    )
    monkeypatch.setenv("HABIT_DEBUG", "1")
    assert "Traceback" in habit("ask", "?").err


# -- standard input --


def test_without_paths_standard_input_is_read(habit: InProcess, engine: FakeEngine) -> None:
    habit("ask", "?", stdin=b"a\r\n\xff\0")
    assert engine.asked["stdin"] == b"a\r\n\xff\0"
    assert engine.asked["paths"] == ("-",)


def test_with_a_dash_standard_input_is_read(habit: InProcess, engine: FakeEngine) -> None:
    habit("ask", "?", "a.txt", "-", stdin=b"piped")
    assert engine.asked["stdin"] == b"piped"
    assert list(engine.asked["paths"]) == ["a.txt", "-"]


def test_with_paths_standard_input_is_left_alone(habit: InProcess, engine: FakeEngine) -> None:
    habit("ask", "?", "a.txt", stdin=b"for somebody else")
    assert engine.asked["stdin"] is None


def test_nobody_is_asked_to_type(habit: InProcess, engine: FakeEngine) -> None:
    habit("ask", "?", stdin=b"", typing=True)
    assert engine.asked["stdin"] is None
    assert engine.asked["paths"] == ()


def test_a_dash_at_a_terminal_says_how_to_end(habit: InProcess, engine: FakeEngine) -> None:
    result = habit("ask", "?", "-", stdin=b"typed", typing=True)
    assert engine.asked["stdin"] == b"typed"
    assert "end with Ctrl-D" in result.err


def test_a_standard_input_that_is_closed_is_none(habit: InProcess, engine: FakeEngine) -> None:
    assert habit("ask", "?", stdin=None).code == 0
    assert engine.asked["stdin"] is None
