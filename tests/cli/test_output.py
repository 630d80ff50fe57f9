"""What goes to stdout and stderr: exact for programs, harmless on a terminal, never a crash."""

import json
import math
import os
import subprocess
import sys
from typing import Any

import pytest
from command_bench import FakeEngine, InProcess, Program, a_run
from hypothesis import given
from hypothesis import strategies as st

from habit.cli.output import answer_text, encode, json_text, one_line, visible
from habit.errors import BudgetExceeded, RunFailed

any_text = st.text(st.characters(exclude_categories=()))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text,
    lambda inner: st.lists(inner) | st.dictionaries(any_text, inner),
)


@given(json_values, st.sampled_from([None, 2]))
def test_json_is_exact_in_any_encoding(value: Any, indent: int | None) -> None:
    text = json_text(value, indent=indent)
    text.encode("utf-8")
    assert not any(0x7F <= ord(char) <= 0x9F for char in text)
    assert json.loads(text) == value


def test_json_has_no_nan() -> None:
    assert json_text({"a": [math.nan, -math.inf, 1.5]}) == '{"a": [null, null, 1.5]}'


@given(any_text)
def test_nothing_visible_steers_a_terminal(text: str) -> None:
    shown = visible(text)
    assert not any(ord(char) < 0x20 and char not in "\t\n" for char in shown)
    assert not any(0x7F <= ord(char) <= 0x9F for char in shown)
    if text.isprintable():
        assert shown == text


def test_an_escape_sequence_is_shown_and_not_obeyed() -> None:
    assert visible("a\x1b[2Jb\r\u202ec") == "a\\x1b[2Jb\\r\\u202ec"


@given(any_text)
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1


@given(any_text, st.sampled_from(["utf-8", "ascii", "latin-1"]))
def test_any_text_can_be_encoded(text: str, encoding: str) -> None:
    data = encode(text, encoding)
    if not any(0xD800 <= ord(char) <= 0xDFFF for char in text) and encoding == "utf-8":
        assert data.decode() == text


def test_bytes_that_were_no_text_come_out_as_they_went_in() -> None:
    assert encode(b"caf\xe9".decode("utf-8", "surrogateescape"), "utf-8") == b"caf\xe9"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        (42, "42"),
        (0.1, "0.1"),
        (math.inf, "inf"),
        (True, "true"),
        (None, "null"),
        (["ä", "b"], '["ä", "b"]'),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_answers_as_text(answer: Any, text: str) -> None:
    assert answer_text(answer) == text


@pytest.mark.parametrize(
    ("answer", "out"),
    [
        ("a", b"a\n"),
        ("a\n", b"a\n"),
        ("a\r\nb", b"a\r\nb\n"),
        ("\udce9", b"\xe9\n"),
        ("\ud800", b"?\n"),
        ("\0", b"\0\n"),
    ],
)
def test_a_piped_answer_is_exact(habit: InProcess, engine: FakeEngine, answer: str, out: bytes) -> None:
    engine.outcome = a_run(answer=answer)
    assert habit("ask", "?").raw_out == out


def test_an_answer_on_a_terminal_cannot_steer_it(habit: InProcess, engine: FakeEngine) -> None:
    engine.outcome = a_run(answer="\x1b]0;title\x07")
    assert habit("ask", "?", terminal=True).raw_out == b"\\x1b]0;title\\x07\n"


def test_json_on_a_terminal_is_indented(habit: InProcess, engine: FakeEngine) -> None:
    assert habit("ask", "?", "--json", terminal=True).out.startswith('{\n  "run"')
    assert habit("ask", "?", "--json").out.count("\n") == 1


@pytest.mark.parametrize("flags", [[], ["--json"]])
@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (a_run(), 0),
        (RunFailed("no", a_run(status="failed")), 1),
        (BudgetExceeded("no", limit="usd", run=a_run(status="budget")), 3),
    ],
)
def test_the_status_does_not_depend_on_the_reader(
    habit: InProcess, engine: FakeEngine, outcome: Any, code: int, flags: list[str]
) -> None:
    engine.outcome = outcome
    assert habit("ask", "?", *flags, reader_gone=True).code == code


PRINT = """
import sys
from habit.cli.app import main
from habit.cli.output import OutputClosed
import habit.cli.ask as ask, habit.cli.output as output
import click, habit.cli.app as app

@app.cli.command()
def spill():
    for _ in range(100):
        output.write("x" * 100_000, code=7)
main(["spill"])
"""


def test_a_reader_who_leaves_is_no_error(program: Program) -> None:
    process = program.start(code=PRINT)
    assert process.stdout is not None
    process.stdout.read(1)
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (7, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_said_in_one_line(program: Program) -> None:
    with open("/dev/full", "wb") as full:
        process = program.start(code=PRINT, stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.decode().splitlines() == [
        "Error: The output could not be written (No space left on device); see it again with: habit show last"
    ]


def test_streams_that_are_closed_are_no_crash(program: Program) -> None:
    command = subprocess.list2cmdline([sys.executable, "-m", "habit.cli", "nonsense"])
    done = subprocess.run(["sh", "-c", f"{command} >&- 2>&- <&-"], cwd=program.folder, timeout=60)
    assert done.returncode == 2
