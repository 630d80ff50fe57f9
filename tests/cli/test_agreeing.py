"""Large maps on the command line: a question on the terminal, ``--yes``, or a clean stop with the way on."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import anyio
import pytest
from command_bench import Program, Result, Terminal

from habit.calls.events import BudgetWarning, FanOut
from habit.calls.fanout import UNPRICED_CALLS
from habit.cli.agreeing import Agreement
from habit.cli.progress import Progress
from support.mock_server import MockServer, Request, running_server

MANY = UNPRICED_CALLS + 1
MAP = FanOut("0", 1, "openai:gpt-5-mini", 5_000, 1_000_000, 3.2)


def reply(request: Request) -> str:
    """A map of many short leaf calls, whose server has no known price."""
    if "recursive_llm" not in request.prompt:
        return "yes"
    return f"```python\nanswer(len(recursive_llm_map('?', [str(n) for n in range({MANY})])))\n```"


@pytest.fixture
def server() -> Iterator[MockServer]:
    with ExitStack() as stack:
        yield stack.enter_context(running_server(reply))


def ask(program: Program, server: MockServer, *more: str) -> Result:
    return program(
        "ask", "How many?", "--model", "mock", "--base-url", server.url, "--returns", "int", *more, stdin=b"x"
    )


def test_without_a_terminal_the_run_stops_and_says_how_to_go_on(program: Program, server: MockServer) -> None:
    stopped = ask(program, server)
    assert (stopped.code, stopped.raw_out) == (3, b"")
    assert f"{MANY:,} calls to mock, price unknown." in stopped.err
    assert f"Nobody agreed to a map of {MANY:,} calls" in stopped.err
    assert "--yes" in stopped.err
    resumed = program("resume", "last", "--yes")
    assert (resumed.code, resumed.raw_out) == (0, f"{MANY}\n".encode())


class Keyboard:
    """A terminal for stdin and stderr of this process."""

    def __init__(self, patch: Callable[[str, object], None]) -> None:
        self._ours, theirs = pty.openpty()
        self._files = [os.fdopen(theirs, "r"), os.fdopen(os.dup(theirs), "w")]
        patch("stdin", self._files[0])
        patch("stderr", self._files[1])

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    async def shown(self, wanted: bytes) -> bytes:
        seen = b""
        while wanted not in seen:
            await anyio.wait_readable(self._ours)
            seen += os.read(self._ours, 4096)
        return seen

    def close(self) -> None:
        for file in self._files:
            file.close()
        os.close(self._ours)


@contextmanager
def at_a_terminal() -> Iterator[Keyboard]:
    """From inside the test, because pytest sets its own streams after the fixtures."""
    with pytest.MonkeyPatch.context() as patch:
        keyboard = Keyboard(lambda name, file: patch.setattr(sys, name, file))
        yield keyboard
    keyboard.close()


@pytest.mark.parametrize(
    ("typed", "agreed"),
    [(b"y\n", True), (b" Yes \n", True), (b"n\n", False), (b"\n", False), (b"yesterday\n", False), (b"\x04", False)],
)
async def test_people_are_asked_on_the_terminal(typed: bytes, agreed: bool) -> None:
    answers: list[bool] = []

    async def ask_them(progress: Progress) -> None:
        answers.append(await Agreement(lambda: progress)(MAP))

    with anyio.fail_after(60), at_a_terminal() as keyboard:
        progress = Progress()
        progress.on_event(MAP)
        async with anyio.create_task_group() as group:
            keyboard.type(b"y\n")  # typed ahead, to another question
            group.start_soon(ask_them, progress)
            shown = await keyboard.shown(b"Go on? [y/N] ")
            assert b"5,000 calls to openai:gpt-5-mini, about $3.20." in shown
            progress.tick()  # the live line keeps away
            keyboard.type(typed)
        assert answers == [agreed]
        progress.tick()
        assert (await keyboard.shown(b"tokens")).count(b"tokens") == 1


async def test_a_question_can_be_cancelled() -> None:
    with anyio.fail_after(60), at_a_terminal() as keyboard:
        async with anyio.create_task_group() as group:
            group.start_soon(Agreement(lambda: None), MAP)
            await keyboard.shown(b"Go on?")
            group.cancel_scope.cancel()


def test_on_a_terminal_no_means_no(program: Program, server: MockServer) -> None:
    (program.folder / "x.txt").write_text("x")
    terminal = Terminal()
    process = terminal.start(
        program, "ask", "How many?", "x.txt", "--model", "mock", "--base-url", server.url, "--returns", "int"
    )
    terminal.read_until(b"Go on? [y/N] ")
    terminal.type(b"n\n")
    terminal.read_until(b"Nobody agreed")
    assert process.wait(60) == 3
    terminal.read_all()


def test_with_a_piped_input_people_are_asked_all_the_same(program: Program, server: MockServer) -> None:
    terminal = Terminal()
    inner = f"exec {sys.executable} -m habit.cli ask 'How many?' --model mock --base-url {server.url} --returns int"
    process = terminal.start(program, code=f"import os; os.execvp('sh', ['sh', '-c', {f'echo x | {inner[5:]}'!r}])")
    terminal.read_until(b"Go on? [y/N] ")
    terminal.type(b"n\n")
    terminal.read_until(b"Nobody agreed")
    assert process.wait(60) == 3
    terminal.read_all()


@pytest.mark.parametrize(
    ("warning", "text"),
    [
        (BudgetWarning("calls", 8, 10, "run"), "The run has used 8 of its 10 calls."),
        (BudgetWarning("tokens", 81_000, 100_000, "engine"), "The engine has used 81,000 of its 100,000 tokens."),
        (BudgetWarning("usd", 0.41, 0.5, "run"), "The run has used $0.4100 of its $0.5."),
        (BudgetWarning("seconds", 48.0, 60.0, "run"), "The run has used 48 of its 60 seconds."),
        (BudgetWarning("usd_day", 4.2, 5.0, "day"), "have spent $4.20 of the $5.00 allowed for today (UTC)."),
    ],
)
def test_a_budget_that_is_nearly_used_up_is_a_warning(
    capsys: pytest.CaptureFixture[str], warning: BudgetWarning, text: str
) -> None:
    progress = Progress()
    progress.on_event(warning)
    progress.on_event(warning)
    shown = capsys.readouterr().err
    assert shown.count(text) == 1
    assert shown.startswith("Warning: ")
