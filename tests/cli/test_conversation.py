"""``habit ask`` at a prompt, in a real terminal: one session for all questions, Ctrl-C for one run, a history."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from command_bench import FakeEngine, InProcess, Program, Terminal

from support.mock_server import HANG, Answer, MockServer, Request, failing, running_server

PROMPT = b"habit> "


def code(text: str) -> str:
    return f"```python\n{text}\n```"


class Talk:
    """A conversation in a terminal of its own; its first question has not been asked yet."""

    def __init__(self, program: Program, server: MockServer, *arguments: str, **streams: int) -> None:
        self.terminal = Terminal()
        self.server = server
        model = ["--model", "mock", "--base-url", server.url]
        self.process = self.terminal.start(program, "ask", *arguments, *model, **streams)
        self.seen = 0
        self.read_until(PROMPT)

    def read_until(self, wanted: bytes) -> bytes:
        """What was shown since the last time, up to ``wanted``."""
        before, self.terminal.shown = self.terminal.shown[: self.seen], self.terminal.shown[self.seen :]
        self.terminal.read_until(wanted)
        end = self.terminal.shown.index(wanted) + len(wanted)
        part = self.terminal.shown[:end]
        self.terminal.shown = before + self.terminal.shown
        self.seen += end
        return part

    def ask(self, question: str, wanted: bytes = PROMPT) -> bytes:
        self.terminal.type(question.encode() + b"\r")
        return self.read_until(wanted)

    def end(self, keys: bytes = b"\x04") -> int:
        for _ in range(20):
            self.terminal.type(keys)
            try:
                code = self.process.wait(5)
            except subprocess.TimeoutExpired:
                continue  # Python may miss a Ctrl-C in the very moment in which it shows the prompt
            self.terminal.read_all()
            return code
        raise AssertionError("it did not end")


@pytest.fixture
def talk(program: Program, own_place: Path) -> Iterator[Callable[..., Talk]]:
    (own_place / "numbers.txt").write_text("1\n2\n3\n")
    with ExitStack() as stack:

        def start(*script: str | Answer | Callable[[Request], str | Answer], arguments: tuple[str, ...] = ()) -> Talk:
            first = script[0]
            server = stack.enter_context(running_server(first if callable(first) else script))
            return Talk(program, server, *(arguments or ("-i", "numbers.txt", "--returns", "json")))

        yield start


def lines(shown: bytes) -> list[str]:
    return shown.decode().replace("\r", "").split("\n")


def history(tmp_path: Path) -> Path:
    return tmp_path / "home" / ".local" / "state" / "habit" / "history"


def test_questions_share_one_session(talk: Callable[..., Talk], habit: InProcess, tmp_path: Path) -> None:
    talking = talk(
        code("numbers = [int(line) for line in context.split()]\nanswer(sum(numbers))"),
        code("answer([query, len(numbers)])"),
    )
    assert "6" in lines(talking.ask("What is the sum?"))
    assert '["How many?", 3]' in lines(talking.ask("How many?"))
    assert talking.end() == 0
    recorded = habit("runs", "--json").json
    assert [(run["query"], run["answer"]) for run in recorded] == [
        ("How many?", ["How many?", 3]),
        ("What is the sum?", 6),
    ]
    settings = habit("show", "last", "--json").json["settings"]
    assert settings["continues"] == recorded[1]["run"]
    kept = history(tmp_path)
    assert kept.read_text() == "What is the sum?\nHow many?\n"
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("keys", [b"\r", b"  \r", b"\x04", b"\x03"], ids=["empty", "blank", "Ctrl-D", "Ctrl-C"])
def test_ways_to_leave(talk: Callable[..., Talk], keys: bytes) -> None:
    talking = talk("never asked")
    assert talking.end(keys) == 0
    assert talking.server.requests == []
    assert b"Traceback" not in talking.terminal.shown


def test_ctrl_c_stops_the_run_and_comes_back(talk: Callable[..., Talk], habit: InProcess) -> None:
    replies = iter(
        [code("x = 7\nanswer(x)"), code("x = 8\nprint(x)"), HANG, code("answer(['and now', x])"), code("answer(x + 1)")]
    )
    talking = talk(lambda request: next(replies))
    talking.ask("First?")
    talking.ask("Second?", b"1 cell, 1 call (1 under way)")
    talking.terminal.type(b"\x03")
    stopped = talking.read_until(PROMPT).decode()
    assert "Stopping; press Ctrl-C again to end at once." in stopped
    assert "Interrupted; continue with: habit resume 2" in stopped
    # What the stopped run did to the variables is undone: the next one goes on from the last whole one.
    assert '["and now", 7]' in lines(talking.ask("Third?"))
    assert "8" in lines(talking.ask("Fourth?"))
    assert talking.end() == 0
    runs = habit("runs", "--json").json
    assert [run["status"] for run in runs] == ["answered", "answered", "interrupted", "answered"]
    third = habit("show", runs[1]["run"], "--json").json
    assert third["settings"]["continues"] == runs[3]["run"]
    assert habit("replay", "last").code == 0


STUCK = """
import sys, anyio
from contextlib import asynccontextmanager
import habit.cli.running as running
from habit.events import RunStarted

class Engine:
    async def __aenter__(self):
        return self
    async def __aexit__(self, *_):
        pass
    @asynccontextmanager
    async def session(self, **about):
        yield self
    async def ask(self, query, *, on_event, **details):
        on_event(RunStarted("R1", "m", "rlm"))
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                print("stuck", file=sys.stderr, flush=True)
                await anyio.sleep_forever()

running.open_engine = lambda settings, on_event, listeners: Engine()
from habit.cli import main
main(sys.argv[1:])
"""


def test_the_second_ctrl_c_ends_at_once(program: Program) -> None:
    terminal = Terminal()
    process = terminal.start(program, "ask", code=STUCK)
    terminal.read_until(PROMPT)
    terminal.type(b"What?\r")
    terminal.read_until(b"0 cells")
    terminal.type(b"\x03")
    terminal.read_until(b"stuck")
    terminal.type(b"\x03")
    assert process.wait(60) == 130
    terminal.read_all()


BROKEN = """
import sys
import habit.cli.running as running
from habit.errors import SandboxError

class Engine:
    async def __aenter__(self):
        raise {error}
    async def __aexit__(self, *_):
        pass

running.open_engine = lambda settings, on_event, *more: Engine()
from habit.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("error", "said"),
    [("SandboxError('No sandbox.')", "Error: No sandbox."), ("KeyError('x')", "This is a bug in Habit")],
)
def test_without_an_engine_there_is_no_prompt_to_come_back_to(program: Program, error: str, said: str) -> None:
    terminal = Terminal()
    process = terminal.start(program, "ask", code=BROKEN.format(error=error))
    terminal.read_until(PROMPT)
    terminal.type(b"What?\r")
    assert process.wait(60) == 1
    shown = terminal.read_all()
    assert said in shown.decode().replace("\x1b[31m", "").replace("\x1b[0m", "")
    assert shown.count(PROMPT) == 1


def test_a_question_that_fails_is_not_the_end(talk: Callable[..., Talk]) -> None:
    talking = talk(failing(401, "who are you"), code("answer('here')"))
    assert "Error: " in talking.ask("First?").decode()
    assert "here" in lines(talking.ask("Second?"))
    assert talking.end() == 0


def test_an_input_that_is_not_there_is_the_end(talk: Callable[..., Talk]) -> None:
    talking = talk("never asked", arguments=("-i", "nubmers.txt"))
    talking.terminal.type(b"What?\r")
    assert talking.process.wait(60) == 2
    shown = talking.terminal.read_all()
    assert b"nubmers.txt" in shown
    assert b"numbers.txt" in shown
    assert talking.server.requests == []


def test_an_earlier_run_can_be_gone_on_with(talk: Callable[..., Talk], habit: InProcess) -> None:
    first = talk(code("y = 5\nanswer(y)"))
    first.ask("What?")
    first.end()
    second = talk(code("answer(y + 1)"), arguments=("-i", "--continue", "last"))
    assert "6" in lines(second.ask("And one more?"))
    assert second.end() == 0


def test_arrows_bring_back_earlier_questions(talk: Callable[..., Talk], tmp_path: Path) -> None:
    pytest.importorskip("readline")
    kept = history(tmp_path)
    kept.parent.mkdir(parents=True)
    kept.write_text("How old?\n")
    kept.chmod(0o644)
    talking = talk(code("answer(query)"), code("answer(query)"))
    assert "How old?" in lines(talking.ask("\x1b[A"))[1:]
    assert "How older?" in lines(talking.ask("\x1b[A\x1b[Der"))[1:]
    assert talking.end() == 0
    assert kept.read_text().splitlines()[0] == "How old?"
    assert kept.stat().st_mode & 0o777 == 0o600


def test_answers_alone_go_to_a_stdout_that_is_no_terminal(program: Program, own_place: Path) -> None:
    with running_server([code("answer('a')"), code("answer('b')")]) as server:
        talking = Talk(program, server, "--json", stdout=subprocess.PIPE)
        talking.ask("First?")
        talking.ask("Second?")
        assert talking.end() == 0
        assert talking.process.stdout is not None
        out = talking.process.stdout.read().decode()
    assert [line.count('"answer":') for line in out.splitlines()] == [1, 1]
    assert "habit>" not in out


# -- without a terminal --


@pytest.mark.parametrize("arguments", [[], ["-i"], ["-i", "a.txt"], ["--json"]])
def test_without_a_terminal_a_query_is_needed(habit: InProcess, engine: FakeEngine, arguments: list[str]) -> None:
    result = habit("ask", *arguments, stdin=b"What?\n")
    assert (result.code, result.raw_out, engine.asked) == (2, b"", {})
    assert result.err == (
        "Error: There is no QUERY, and no terminal to ask for one: type habit ask QUERY [PATH ...].\n"
    )


def test_the_keyboard_is_not_an_input(habit: InProcess) -> None:
    result = habit("ask", "-i", "-", typing=True, terminal=True)
    assert (result.code, "must come from a PATH" in result.err) == (2, True)


def test_a_query_that_is_a_file_is_asked_and_remarked_on(habit: InProcess, engine: FakeEngine, own_place: Path) -> None:
    (own_place / "a.txt").touch()
    result = habit("ask", "a.txt", typing=True)
    assert (result.code, engine.asked["query"]) == (0, "a.txt")
    assert "to ask about it, type: habit ask -i a.txt" in result.err
    assert "was taken" not in habit("ask", "a.txt", "a.txt").err


def test_a_state_folder_that_cannot_be_used_harms_nothing(
    talk: Callable[..., Talk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", os.devnull)
    talking = talk(code("answer(1)"))
    assert "1" in lines(talking.ask("What?"))
    assert talking.end() == 0
