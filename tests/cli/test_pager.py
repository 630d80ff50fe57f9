"""The pager of ``show`` and ``runs``: for long text, for people, and never in the way of a program."""

import subprocess
from pathlib import Path

import anyio
import pytest
from command_bench import InProcess, Program, Terminal

from habit.cli import pager
from habit.journal.records import CellRecord, RunRecord
from habit.journal.sqlite import SqliteStore

NOTING = "sh -c 'cat > seen; echo \"$LESS\" > options'"


@pytest.fixture(autouse=True)
def journal(own_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run, whose output takes more than a screen."""

    async def fill() -> None:
        store = await SqliteStore.open(".habit/journal.db")
        await store.add_run(RunRecord("R1", "How many?", 1.0, {}, {}))
        output = "\n".join(f"line {number} \x1b[31mred" for number in range(60))
        await store.add_cell(CellRecord("R1", "0", 1, "x", "ok", output, 0, "", 0.25, 1.0))
        for number in range(2, 40):
            await store.add_run(RunRecord(f"R{number}", "?", 0.5, {}, {}))
        await store.aclose()

    anyio.run(fill)
    for name in ("PAGER", "HABIT_PAGER", "LESS", "LESSCHARSET"):
        monkeypatch.delenv(name, raising=False)


def seen(place: Path) -> str | None:
    """What the pager was given, if it was called."""
    path = place / "seen"
    return path.read_text() if path.exists() else None


@pytest.mark.parametrize("command", [["show", "R1"], ["runs"]])
def test_long_text_goes_to_the_pager(habit: InProcess, own_place: Path, command: list[str]) -> None:
    plain = habit(*command).out
    result = habit(*command, terminal=True, typing=True, PAGER=NOTING)
    assert (result.code, result.out) == (0, "")
    assert seen(own_place) is not None
    assert (own_place / "options").read_text() == "-FRX\n"
    assert "\x1b" not in (seen(own_place) or "")
    if command[0] == "show":
        assert seen(own_place) == plain
        assert "line 59 \\x1b[31mred" in plain


@pytest.mark.parametrize(
    "details",
    [
        {"terminal": False, "typing": True},
        {"terminal": True, "typing": False},
        {"terminal": True, "typing": True, "TERM": "dumb"},
        {"terminal": True, "typing": True, "HABIT_PAGER": ""},
        {"terminal": True, "typing": True, "HABIT_PAGER": "no such pager"},
        {"terminal": True, "typing": True, "HABIT_PAGER": "'half"},
    ],
)
def test_without_a_reader_or_a_pager_it_is_printed(habit: InProcess, own_place: Path, details: dict[str, str]) -> None:
    result = habit("show", "R1", **{"PAGER": NOTING, **details})  # type: ignore[arg-type]
    assert "line 59" in result.out
    assert seen(own_place) is None


@pytest.mark.parametrize("command", [["show", "R1", "--no-pager"], ["show", "R1", "--json"], ["runs", "--no-pager"]])
def test_flags_that_mean_no_pager(habit: InProcess, own_place: Path, command: list[str]) -> None:
    assert "R1" in habit(*command, terminal=True, typing=True, PAGER=NOTING).out
    assert seen(own_place) is None


def test_short_text_needs_no_pager(habit: InProcess, own_place: Path) -> None:
    assert "R2" in habit("show", "R2", terminal=True, typing=True, PAGER=NOTING).out
    assert seen(own_place) is None


def test_long_lines_count_as_the_rows_they_take(habit: InProcess, own_place: Path) -> None:
    assert not pager._is_long("x" * 10_000)  # not a terminal here

    async def fill() -> None:
        store = await SqliteStore.open(".habit/journal.db")
        await store.add_run(RunRecord("S1", "y" * 2000, 9.0, {}, {}))
        await store.aclose()

    anyio.run(fill)
    habit("show", "S1", terminal=True, typing=True, PAGER=NOTING)
    assert "y" * 2000 in (seen(own_place) or "")


def test_ones_own_settings_for_habit_and_for_less_go_first(habit: InProcess, own_place: Path) -> None:
    habit("show", "R1", terminal=True, typing=True, PAGER="false", HABIT_PAGER=NOTING, LESS="-S")
    assert "line 59" in (seen(own_place) or "")
    assert (own_place / "options").read_text() == "-S\n"


def test_a_pager_that_leaves_early_is_no_error(habit: InProcess) -> None:
    result = habit("show", "R1", terminal=True, typing=True, PAGER="true")
    assert (result.code, result.err) == (0, "")


@pytest.mark.skipif(not pager.shutil.which("less"), reason="less is not installed")
def test_less_in_a_real_terminal(program: Program) -> None:
    terminal = Terminal()
    process: subprocess.Popen[bytes] = terminal.start(program, "show", "R1")
    terminal.read_until(b":\x1b[K")
    assert b"line 59" not in terminal.shown
    terminal.shown = b""
    terminal.type(b"\x03")  # the pager's business, which rings and then forgets what was typed meanwhile
    terminal.read_until(b"\x07")
    assert any(terminal.shows_after(b"G", b"line 59") for _ in range(60))
    terminal.type(b"q")
    assert process.wait(60) == 0
    assert b"Traceback" not in terminal.read_all()
