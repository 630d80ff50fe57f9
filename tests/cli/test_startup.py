"""The command line before it does anything: help, near matches, usage errors, and what it does not import."""

import subprocess
import sys

import pytest
from command_bench import FakeEngine, InProcess, Program

import habit as package

HEAVY = ["anyio", "asyncio", "habit.engine", "httpx", "numpy", "pandas", "pydantic", "pydantic_ai", "rich", "sqlite3"]


@pytest.mark.parametrize("arguments", [["--help"], ["ask", "--help"], ["--version"], ["nonsense"]])
def test_help_waits_for_nothing_heavy(arguments: list[str]) -> None:
    code = f"""
import sys
from habit.cli import main
try:
    main({arguments!r})
except SystemExit:
    print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.splitlines()[-1] == "[]"


def test_the_package_is_the_command_too() -> None:
    done = subprocess.run([sys.executable, "-m", "habit", "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"habit {package.__version__}\n")


@pytest.mark.parametrize(
    "command",
    [
        "",
        "ask",
        "runs",
        "show",
        "resume",
        "replay",
        "init",
        "habits",
        "review",
        "approve",
        "reject",
        "rollback",
        "retire",
        "log",
        "diff",
        "doctor",
        "completion",
        "models",
        "models list",
        "models pull",
        "models rm",
    ],
)
def test_every_command_has_help(habit: InProcess, command: str) -> None:
    result = habit(*command.split(), "--help")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"Usage: {' '.join(['habit', *command.split()])} ")


def test_alone_it_shows_the_help(habit: InProcess) -> None:
    assert habit().out == habit("--help").out
    assert habit("models").out == habit("models", "--help").out


def test_the_version(habit: InProcess) -> None:
    assert habit("--version").out == f"habit {package.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["aks"], "There is no command 'aks'; did you mean ask?"),
        (["models", "pll"], "There is no command 'pll'; did you mean pull?"),
        (["xyzzy"], "the commands are ask, run, "),
        (["How many are there?"], "to ask a question, type: habit ask QUERY [PATH ...]"),
        (["ask"], "QUERY"),
        (["ask", "?", "--max-cals", "1"], "--max-calls"),
        (["ask", "?", "--max-calls", "many"], "'many'"),
        (["ask", "?", "--max-calls", "0"], "--max-calls must be greater than 0"),
        (["ask", "?", "--max-usd", "-1"], "--max-usd must be greater than 0"),
        (["ask", "?", "--max-usd", "nan"], "--max-usd must be greater than 0"),
        (["ask", "?", "--max-seconds", "0"], "--max-seconds must be greater than 0"),
        (["ask", "?", "--max-tokens", "0"], "--max-tokens must be greater than 0"),
        (["ask", "?", "--max-cells", "0"], "--max-cells must be at least 1"),
        (["ask", "?", "--max-depth", "-1"], "--max-depth must be at least 0"),
        (["ask", "?", "--cell-seconds", "0"], "--cell-seconds must be greater than 0"),
        (["ask", "?", "--cell-memory", "lots"], "512M"),
        (["ask", "?", "--concurrency", "0"], "--concurrency must be at least 1"),
        (["ask", "?", "--sessions", "0"], "--sessions must be at least 1"),
        (["ask", "?", "--window", "0"], "--window must be at least 1"),
        (["ask", "?", "--profile", "huge"], "auto, frontier, small"),
        (["ask", "?", "--strategy", "luck"], "auto, rlm"),
        (["ask", "?", "--returns", "lst[str]"], "did you mean list"),
        (["runs", "--limit", "0"], "--limit"),
        (["show"], "RUN"),
        (["show", "last"], "There is no journal .habit/journal.db"),
        (["resume", "last"], "There is no journal .habit/journal.db"),
        (["replay", "last", "--journal", "elsewhere.db"], "There is no journal elsewhere.db"),
        (["models", "rm", "nothing.gguf"], "habit models list"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_usage_errors_are_one_line_and_status_2(
    habit: InProcess, engine: FakeEngine, arguments: list[str], said: str, as_json: bool
) -> None:
    result = habit(*arguments, *(["--json"] if as_json and arguments[0] in ("ask", "runs", "show", "resume") else []))
    assert (result.code, result.raw_out) == (2, b"")
    assert len(result.err.splitlines()) == 1
    assert result.err.startswith("Error: ")
    assert said in result.err
    assert engine.asked == {}


def test_as_a_program_it_says_the_same(program: Program) -> None:
    result = program("ask", "?", "--max-calls", "0", "--json")
    assert (result.code, result.raw_out) == (2, b"")
    assert result.err == "Error: --max-calls must be greater than 0, not 0.\n"


def test_reading_commands_leave_no_journal_behind(habit: InProcess, own_place) -> None:  # type: ignore[no-untyped-def]
    for command in (["runs"], ["show", "last"], ["resume", "last"], ["replay", "last"]):
        habit(*command)
    assert list(own_place.iterdir()) == []


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_no_color_is_respected(
    habit: InProcess, monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    assert ("\x1b[31m" in habit("aks", terminal=True).err) == coloured
    assert "\x1b[" not in habit("aks").err
