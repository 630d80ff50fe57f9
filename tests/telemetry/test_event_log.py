"""The events as JSON lines: what is told and what is not, and files, pipes and readers that fail."""

import json
import math
import os
import re
import threading
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import habit
from habit.calls.call import Call, Message, Reply
from habit.calls.events import CallEnded, CallFinished, CallRetried, CallStarted
from habit.calls.usage import Usage
from habit.errors import CallFailed, UsageError
from habit.events import CellFinished, CellStarted, Event, Notice, RunStarted
from habit.run import Run, RunEnded
from habit.telemetry import event_log
from habit.telemetry.event_json import CONTENT, to_json, to_line
from habit.telemetry.event_log import EventLog

SECRET = "what nobody else should read"
CALL = Call("openai:gpt-5-mini", (Message("user", SECRET),), "leaf", schema={"const": SECRET}, session="0.1", cell=3)
REPLY = Reply(SECRET, 10, 5, 0.25, seconds=1.5)
FAILURE = CallFailed(f"it refused: {SECRET}", reason="refused")
RUN = Run("R1", SECRET, "answered", SECRET, usage=Usage(calls=1), cells=2, error=f"{SECRET}: {SECRET}")
EVENTS: list[Event] = [
    RunStarted("R1", "local", "rlm", ("a note",)),
    CellStarted("0", 1, SECRET),
    CellFinished("0", 1, "error", SECRET, f"Traceback …\nKeyError: '{SECRET}'"),
    CallStarted(CALL, 0),
    CallRetried(CALL, 1, 0.5, FAILURE),
    CallFinished(CALL, 0, REPLY),
    CallEnded(CALL, 0, FAILURE),
    RunEnded(RUN),
]


def test_a_call_is_told_flat_and_without_words() -> None:
    assert to_json(CallFinished(CALL, 2, REPLY)) == {
        "event": "call_finished",
        "role": "leaf",
        "model": "openai:gpt-5-mini",
        "session": "0.1",
        "cell": 3,
        "key": CALL.key,
        "occurrence": 2,
        "input_tokens": 10,
        "output_tokens": 5,
        "cache_read_tokens": 0,
        "usd": 0.25,
        "finish": "stop",
        "seconds": 1.5,
        "cached": False,
        "estimated": False,
    }


def test_why_a_call_gave_nothing() -> None:
    assert to_json(CallEnded(CALL, 0, FAILURE))["reason"] == "refused"
    assert to_json(CallEnded(CALL, 0, None))["reason"] == "stopped"


def test_a_failed_cell_tells_the_kind_of_its_error() -> None:
    assert to_json(EVENTS[2])["error_type"] == "KeyError"
    assert to_json(CellFinished("0", 1, "ok", "", ""))["error_type"] is None
    assert to_json(CellFinished("0", 1, "error", "", "pandas.errors.ParserError: line 1\nsecret"))["error_type"] == (
        "pandas.errors.ParserError"
    )


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_words_are_told_on_request_only(event: Event) -> None:
    assert SECRET not in json.dumps(to_json(event))
    assert (SECRET in json.dumps(to_json(event, content=True))) is not isinstance(event, RunStarted)


def test_a_line_is_ascii_and_valid_json_whatever_it_holds() -> None:
    run = Run("R1", "\ud800\u2028\n", "answered", [math.nan, math.inf, {"a": b"x"}])
    line = to_line(RunEnded(run), run="R1", time=1.5, content=True)
    assert line.isascii()
    assert "\n" not in line
    value = json.loads(line, parse_constant=lambda name: pytest.fail(name))
    assert (value["time"], value["run"], value["query"]) == ("1970-01-01T00:00:01.500000Z", "R1", "\ud800\u2028\n")
    assert value["answer"][:2] == [None, None]


def test_lines_are_appended_with_the_run_they_belong_to(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for _ in range(2):
        with EventLog(str(path)) as log:
            log.on_event(Notice("before"))
            for event in EVENTS:
                log.on_event(event)
            log.on_event(Notice("after"))
    values = [json.loads(line) for line in path.read_text().splitlines()]
    assert [value["event"] for value in values[:3]] == ["notice", "run_started", "cell_started"]
    assert [value["run"] for value in values[:3]] == [None, "R1", "R1"]
    assert [value["run"] for value in values[-2:]] == ["R1", None]
    assert len(values) == 2 * (len(EVENTS) + 2)


def test_a_line_is_there_as_soon_as_it_is_told() -> None:
    reader, writer = os.pipe()
    with open(reader) as lines, EventLog(f"/dev/fd/{writer}") as log:
        os.close(writer)
        log.on_event(EVENTS[0])
        assert json.loads(lines.readline())["event"] == "run_started"
        log.on_event(EVENTS[1])
        assert json.loads(lines.readline())["event"] == "cell_started"


@pytest.mark.parametrize("path", ["-", "", "no/such/folder/events", "."])
def test_what_can_not_be_opened_is_a_usage_error(path: str) -> None:
    with pytest.raises(UsageError, match="--events"), EventLog(path):
        pass


def warned_by(path: str, events: int) -> list[str]:
    said: list[str] = []
    with EventLog(path, warn=said.append) as log:
        for _ in range(events):
            log.on_event(EVENTS[0])
    return said


def test_a_full_disk_is_told_once_and_harms_nothing() -> None:
    [warning] = warned_by("/dev/full", 1_000)
    assert warning.startswith("Not all events are in /dev/full: No space left")


def test_a_reader_that_went_away_is_told_once_and_harms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    gone = threading.Thread(target=lambda: open(path).close())
    gone.start()
    said: list[str] = []
    with EventLog(str(path), warn=said.append) as log:
        gone.join()
        for _ in range(100):
            log.on_event(EVENTS[0])
    assert len(said) == 1
    assert "Broken pipe" in said[0]


def test_a_reader_that_does_not_read_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "_MOST_WAITING", 100)
    monkeypatch.setattr(event_log, "_PATIENCE_SECONDS", 0.01)
    reader, writer = os.pipe()
    said = warned_by(f"/dev/fd/{writer}", 5_000)
    os.close(writer)
    os.close(reader)
    assert len(said) == 1
    assert "did not keep up" in said[0]


def every_event() -> set[type[Event]]:
    for module in walk_packages(habit.__path__, "habit."):
        if "events" in module.name or module.name == "habit.run":
            import_module(module.name)
    return {kind for kind in Event.__subclasses__() if kind.__module__.startswith("habit.")}


def documented() -> dict[str, set[str]]:
    """Event name → the fields that docs/events.md lists for it."""
    text = (Path(__file__).parents[2] / "docs" / "events.md").read_text("utf-8")
    sections = re.split(r"(?m)^### `(\w+)`$", text)[1:]
    return {
        name: set(re.findall(r"(?m)^\| `(\w+)`", body))
        for name, body in zip(sections[::2], sections[1::2], strict=True)
    }


OBJECTS = {
    "Call": {"role", "model", "session", "cell", "key", "messages", "schema"},
    "Reply": to_json(CallFinished(CALL, 0, REPLY), content=True).keys()
    - to_json(CallStarted(CALL, 0), content=True).keys(),
    "CallFailed": {"reason", "message"},
    "CallFailed | None": {"reason", "message"},
    "Run": to_json(RunEnded(RUN), content=True).keys() - {"event"},
}
"""Fields of events that are laid flat, by their type."""


def test_the_document_lists_every_event_with_every_field() -> None:
    expected = {}
    for kind in every_event():
        names = {"run"}  # on every line, and so documented once
        for field in fields(kind):
            names |= OBJECTS.get(str(field.type), {field.name, "error_type"} if field.name == "error" else {field.name})
        expected[re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()] = names
    assert {name: found | {"run"} for name, found in documented().items()} == expected


def test_the_document_marks_content() -> None:
    text = (Path(__file__).parents[2] / "docs" / "events.md").read_text("utf-8")
    marked = {name for name, rest in re.findall(r"(?m)^\| `(\w+)` \| (.*)$", text) if rest.startswith("content")}
    assert marked == CONTENT
