"""Ctrl-C and SIGTERM in a real process: once stops with a consistent record, twice ends at once."""

import json
import signal
import subprocess
from pathlib import Path

import pytest
from command_bench import Program, Terminal

WAITING = """
import sys, pathlib, anyio
import habit.cli.running as running
from habit.errors import RunFailed
from habit.events import Notice, RunStarted
from habit.run import Run, RunEnded

class Engine:
    looking_after = False
    async def settled(self):
        self.on_event(Notice("Comparing"))
        print("settling", file=sys.stderr, flush=True)
        while not pathlib.Path("settled").exists():
            await anyio.sleep(0.01)
        self.on_event(Notice("They agree"))
    async def __aenter__(self):
        return self
    async def __aexit__(self, *_):
        pathlib.Path("closed").touch()
    async def ask(self, query, **details):
        self.on_event(RunStarted("R1", "m", "rlm"))
        if query == "answered":
            self.on_event(RunEnded(Run("R1", query, "answered", 42)))
            print("now", file=sys.stderr, flush=True)
        if query == "given":
            self.looking_after = True
            run = Run("R1", query, "answered", 42)
            self.on_event(RunEnded(run))
            self.on_event(Notice("Told early"))
            return run
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                pathlib.Path("noted").touch()
                if query == "stuck":
                    print("stuck", file=sys.stderr, flush=True)
                    await anyio.sleep_forever()
            if query == "errs":
                raise RunFailed("because it was stopped")

def open_engine(settings, on_event, listeners):
    engine = Engine()
    engine.on_event = on_event
    return engine

running.open_engine = open_engine
from habit.cli import main
main(sys.argv[1:])
"""


def _until(process: "subprocess.Popen[bytes]", wanted: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if wanted in line.decode():
            return
    pytest.fail(f"it ended before it said {wanted!r}")


def _end(process: "subprocess.Popen[bytes]") -> tuple[int, bytes, list[str]]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err.decode().splitlines()


@pytest.mark.parametrize("query", ["waits", "errs"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_run_and_says_how_to_go_on(
    program: Program, own_place: Path, query: str, number: int, code: int
) -> None:
    process = program.start("ask", query, "--json", code=WAITING)
    _until(process, "Run R1")
    process.send_signal(number)
    assert _end(process) == (
        code,
        b"",
        ["Stopping; press Ctrl-C again to end at once.", "Interrupted; continue with: habit resume R1"],
    )
    assert {path.name for path in own_place.iterdir()} == {"noted", "closed"}


@pytest.mark.parametrize("form", ["--json", "--verbose"])
def test_an_answer_is_there_before_what_is_done_for_the_library(program: Program, own_place: Path, form: str) -> None:
    process = program.start("ask", "given", form, code=WAITING)
    assert process.stdout is not None
    out = process.stdout.read()  # its end, although the process goes on
    _until(process, "settling")
    assert process.poll() is None
    assert json.loads(out) == 42 if form == "--verbose" else json.loads(out)["answer"] == 42
    Path("settled").touch()
    code, _, err = _end(process)
    assert (code, err[-1]) == (0, "They agree")


def test_what_is_told_of_the_library_comes_after_the_answer(program: Program, own_place: Path) -> None:
    Path("settled").touch()
    process = program.start("ask", "given", code=WAITING)
    code, out, err = _end(process)
    assert (code, out) == (0, b"42\n")
    given = "The answer is given; a habit is being checked or mended. Ctrl-C leaves that undone."
    assert [line for line in err if not line.startswith(("Run", "answered"))] == [
        "Told early",
        given,
        "Comparing",
        "settling",
        "They agree",
    ]


def test_ctrl_c_leaves_what_is_done_for_the_library_and_keeps_the_answer(program: Program, own_place: Path) -> None:
    process = program.start("ask", "given", code=WAITING)
    _until(process, "settling")
    process.send_signal(signal.SIGINT)
    code, out, err = _end(process)
    assert (code, out) == (0, b"42\n")
    assert "The answer was known already; what was under way for the library is left undone." in err
    assert Path("closed").exists()


def test_an_answer_is_given_when_what_is_stopped_is_only_done_for_the_library(
    program: Program, own_place: Path
) -> None:
    process = program.start("ask", "answered", code=WAITING)
    _until(process, "now")
    process.send_signal(signal.SIGINT)
    code, out, err = _end(process)
    assert (code, out) == (0, b"42\n")
    assert "The answer was known already; what was under way for the library is left undone." in err


def test_the_second_ctrl_c_ends_at_once(program: Program, own_place: Path) -> None:
    process = program.start("ask", "stuck", code=WAITING)
    _until(process, "Run R1")
    process.send_signal(signal.SIGINT)
    _until(process, "stuck")
    process.send_signal(signal.SIGINT)
    assert _end(process) == (130, b"", [])
    assert not (own_place / "closed").exists()


def test_without_a_journal_there_is_nothing_to_go_on_with(program: Program) -> None:
    process = program.start("ask", "waits", "--no-journal", code=WAITING)
    _until(process, "Run R1")
    process.send_signal(signal.SIGINT)
    code, _, lines = _end(process)
    assert code == 130
    assert lines[-1] == "Interrupted; no journal was kept, so the run can't be continued."


def test_ctrl_c_while_standard_input_is_read(program: Program) -> None:
    process = program.start("ask", "waits", code=WAITING, stdin=subprocess.PIPE)
    _until(process, "Waiting for standard input")
    process.send_signal(signal.SIGINT)
    code, out, lines = _end(process)
    assert (code, out, lines[-1]) == (130, b"", "Interrupted.")


def test_an_ignored_ctrl_c_stays_ignored(program: Program, own_place: Path) -> None:
    """As in the background of a script, whose Ctrl-C is not meant for us."""
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + WAITING
    process = program.start("ask", "waits", code=code)
    _until(process, "Run R1")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert _end(process)[0] == 143
    assert (own_place / "closed").exists()  # so SIGTERM was the first to be heeded, not the second


def test_ctrl_c_at_a_terminal_takes_the_live_line_away(program: Program) -> None:
    terminal = Terminal()
    process = terminal.start(program, "ask", "waits", code=WAITING, stdout=subprocess.PIPE)
    terminal.read_until(b"0 cells")
    terminal.type(b"\x03")
    out, _ = process.communicate(timeout=60)
    shown = terminal.read_all()
    assert (process.returncode, out) == (130, b"")
    last = shown[shown.rindex(b"0 cells") :]
    assert b"\r\x1b[2K\x1b[2mStopping" in last
    assert last.rstrip().endswith(b"Interrupted; continue with: habit resume R1")
    assert b"Traceback" not in shown
