"""Progress: one live line on a terminal, sparse lines elsewhere, cells with -v; never a reason for a run to fail."""

import sys

import pytest
from command_bench import FakeEngine, InProcess, Stream, a_run

from habit.calls.call import Call, Message, Reply
from habit.calls.events import CallEnded, CallFinished, CallRetried, CallStarted
from habit.cli.progress import Progress
from habit.errors import CallFailed
from habit.events import CellFinished, CellStarted, ChildStarted, RunStarted, SchedulerChosen

CALL = Call("m", (Message("user", "?"),), "leaf")
STARTED = RunStarted("R1", "mock:model", "rlm")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _stderr(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> Stream:
    """Takes the place of stderr: from inside the test, because pytest sets its own after the fixtures."""
    stream = Stream(terminal=terminal, errors="backslashreplace")
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("NO_COLOR", "1")
    return stream


def _text(stream: Stream) -> str:
    stream.flush()
    return stream.bytes.getvalue().decode()


def test_it_says_how_a_question_is_answered_for_which_there_is_no_habit(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _stderr(monkeypatch, terminal=False)
    progress = Progress()
    progress.on_event(SchedulerChosen(None, "the library is empty."))
    progress.on_event(SchedulerChosen(None, "the library is empty; it is short prose", "direct"))
    assert _text(screen).splitlines() == [
        "No habit: the library is empty. The model writes a program.",
        "No habit: the library is empty; it is short prose. One call reads it all.",
    ]


def test_it_counts_what_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    _stderr(monkeypatch, terminal=False)
    clock = Clock()
    progress = Progress(clock=clock)
    for event in (
        STARTED,
        CellStarted("0", 1, "x"),
        CallStarted(CALL, 0),
        CallStarted(CALL, 1),
        CallStarted(CALL, 2),
        CallStarted(CALL, 3),
        CallStarted(CALL, 4),
        CallFinished(CALL, 0, Reply("a", 1000, 200, usd=0.25)),
        CallFinished(CALL, 1, Reply("a", 500, 5, usd=0.0, cached=True)),
        CallEnded(CALL, 2, CallFailed("no", reason="empty")),
        CallEnded(CALL, 3, None),
    ):
        progress.on_event(event)
    clock.now = 2.0
    assert progress.line() == "1 cell, 3 calls (1 under way, 1 from the journal), 1.2k tokens, $0.2500, 2.0 s"
    assert progress.run == "R1"


def test_an_unknown_price_stays_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    _stderr(monkeypatch, terminal=False)
    progress = Progress()
    progress.on_event(CallFinished(CALL, 0, Reply("a", 1, 1, usd=None)))
    progress.on_event(CallFinished(CALL, 1, Reply("a", 1, 1, usd=1.0)))
    assert "price unknown" in progress.line()


@pytest.mark.parametrize(
    ("tokens", "text"), [(999, "999"), (1000, "1.0k"), (999_949, "999.9k"), (999_950, "1.0M"), (4_500_000, "4.5M")]
)
def test_tokens_in_few_characters(monkeypatch: pytest.MonkeyPatch, tokens: int, text: str) -> None:
    _stderr(monkeypatch, terminal=False)
    progress = Progress()
    progress.on_event(CallFinished(CALL, 0, Reply("a", tokens, 0)))
    assert f", {text} tokens" in progress.line()


def test_the_live_line_is_redrawn_in_place_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _stderr(monkeypatch, terminal=True)
    clock = Clock()
    progress = Progress(clock=clock)
    progress.on_event(STARTED)
    progress.tick()
    clock.now = 1.0
    progress.tick()
    progress.close()
    assert _text(screen) == (
        "\r\x1b[2K0 cells, 0 calls, 0 tokens, $0.0000, 0.0 s"
        "\r\x1b[2K0 cells, 0 calls, 0 tokens, $0.0000, 1.0 s"
        "\r\x1b[2K"
    )


def test_what_is_said_meanwhile_stands_above_the_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _stderr(monkeypatch, terminal=True)
    progress = Progress()
    progress.tick()
    before = _text(screen)
    progress.warn("look")
    assert _text(screen) == before + "\r\x1b[2KWarning: look\n"


def test_the_live_line_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _stderr(monkeypatch, terminal=True)
    monkeypatch.setattr("habit.cli.live_line.width_of", lambda stream: 20)
    Progress().tick()
    assert len(_text(screen).removeprefix("\r\x1b[2K")) == 19


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _stderr(monkeypatch, terminal=True)
    monkeypatch.setenv("TERM", "dumb")
    progress = Progress()
    progress.on_event(STARTED)
    progress.tick()
    assert "\x1b" not in _text(screen)


def test_plain_lines_come_only_with_news(monkeypatch: pytest.MonkeyPatch) -> None:
    log = _stderr(monkeypatch, terminal=False)
    progress = Progress(clock=Clock())
    progress.tick()
    assert _text(log) == ""
    progress.on_event(STARTED)
    progress.tick()
    progress.tick()
    progress.on_event(CellStarted("0", 1, "x"))
    progress.tick()
    assert _text(log).splitlines() == [
        "Run R1 with mock:model.",
        "0 cells, 0 calls, 0 tokens, $0.0000, 0.0 s",
        "1 cell, 0 calls, 0 tokens, $0.0000, 0.0 s",
    ]


CELLS = (
    STARTED,
    CellStarted("0", 1, "print('hi\x1b[2J')\n"),
    ChildStarted("0.1", 1),
    CellStarted("0.1", 1, "answer(1)"),
    CellFinished("0.1", 1, "answered", "", ""),
    CallRetried(CALL, 1, 2.5, CallFailed("The server is busy.", reason="rate_limited")),
    CellFinished("0", 1, "error", "hi\x1b[2J\n", "NameError: x\n"),
)


def test_verbose_shows_the_cells(habit: InProcess, engine: FakeEngine) -> None:
    engine.events = CELLS
    result = habit("ask", "?", "-v")
    assert result.out == "42\n"
    assert result.err.splitlines()[1:-1] == [
        "── cell 1 ",
        "print('hi\\x1b[2J')",
        "child run 0.1, 1 deep",
        "── cell 1 of child run 0.1 ",
        "answer(1)",
        "── answered",
        "The server is busy. Trying again in 2.5 s.",
        "── error",
        "hi\\x1b[2J",
        "NameError: x",
    ]


def test_without_verbose_cells_are_only_counted(habit: InProcess, engine: FakeEngine) -> None:
    engine.events = CELLS
    assert "print" not in habit("ask", "?").err


def test_the_last_line_has_the_exact_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    log = _stderr(monkeypatch, terminal=False)
    progress = Progress()
    progress.on_event(CallStarted(CALL, 0))
    progress.summary(a_run(cells=2, seconds=3.21))
    assert _text(log) == "answered: 2 cells, 4 calls (1 from the journal), 297 tokens, $0.0125, 3.2 s (run R1)\n"


def test_a_stderr_that_went_away_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _stderr(monkeypatch, terminal=True)
    progress = Progress(verbose=True)
    progress.tick()
    screen.close()
    for event in CELLS:
        progress.on_event(event)
    progress.tick()
    progress.summary(a_run())
