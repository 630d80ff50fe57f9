"""The library as people live it, with the local model and every command the real one: asked once, learned, reviewed,
approved; then answered by habit, and mended when the format of the input changes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live")]

MONDAY = (
    ("ann@example.org", "See you at noon in the canteen?", "ham"),
    ("prizes@win.example", "WINNER!! You have won a 1000 pound cash prize. Text CLAIM to 80888 now!", "spam"),
    ("bob@example.org", "The meeting with the architects is moved to Thursday", "ham"),
    ("meds@cheap.example", "Cheap pills without prescription, 90% off, order now!", "spam"),
    ("cid@example.org", "Thanks for the report. I have two small remarks on page 3", "ham"),
    ("ann@example.org", "Can you pick up the kids at five today?", "ham"),
    ("lotto@win.example", "URGENT! Your mobile number was drawn for a FREE iPhone. Reply YES to claim it", "spam"),
    ("dora@example.org", "Happy birthday! Let's have dinner on Saturday", "ham"),
)
TUESDAY = (
    ("bob@example.org", "I am on the train and home in about an hour", "ham"),
    (
        "prizes@win.example",
        "Congratulations! You have been selected for a FREE holiday. Call 09061 now to claim",
        "spam",
    ),
    ("cid@example.org", "The minutes of yesterday's call are attached", "ham"),
    ("prizes@win.example", "FINAL NOTICE: claim your cash prize of 5000 dollars today, click the link now!", "spam"),
    ("ann@example.org", "Lunch tomorrow? I know a quiet place by the river", "ham"),
    ("dora@example.org", "Shall we take the early train on Sunday?", "ham"),
)
MOVED = (
    ("bob@example.org", "Could we talk about the offer on Friday morning?", "ham"),
    ("loans@fast.example", "Get a loan of 5000 today with no credit check! Click here to WIN a bonus", "spam"),
    ("dora@example.org", "The keys are with the neighbour, see you tonight", "ham"),
    ("lotto@win.example", "You WON the lottery! Send your bank details to claim your prize money", "spam"),
)
"""Clear cases: what is tested is the session; how often the model is right as a leaf has a test of its own."""


def csv_of(messages: tuple[tuple[str, str, str], ...]) -> str:
    return "from,text\n" + "".join(f'{sender},"{text}"\n' for sender, text, _ in messages)


def json_of(messages: tuple[tuple[str, str, str], ...]) -> str:
    return json.dumps([{"from": sender, "text": text} for sender, text, _ in messages], indent=1)


def count(messages: tuple[tuple[str, str, str], ...], label: str) -> int:
    return sum(kind == label for *_, kind in messages)


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Office:
    """A folder with inboxes, and the program ``habit``."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment

    def __call__(self, *arguments: str) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "habit.cli", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=3_600,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def ask(self, query: str, path: str) -> Result:
        return self("ask", query, path, "--model", "local", "--max-cells", "6", "--json")

    def run(self, parameter: str) -> Result:
        return self("run", "count-label", "inbox-tuesday.csv", "--param", parameter, "--model", "local")


@pytest.fixture
def office(local_model: Path, tmp_path: Path) -> Office:
    (tmp_path / "inbox-monday.csv").write_text(csv_of(MONDAY))
    (tmp_path / "inbox-tuesday.csv").write_text(csv_of(TUESDAY))
    (tmp_path / "inbox-new-format.json").write_text(json_of(MOVED))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HABIT_", "GIT_"))}
    environment["HABIT_MODELS"] = str(local_model.parent)
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{role}_NAME": "Ada", f"GIT_{role}_EMAIL": "ada@example.org"}
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True, env=environment)
    return Office(tmp_path, environment)


def test_from_a_question_to_a_habit_that_takes_a_new_format(office: Office) -> None:
    assert office("init").code == 0

    asked = office.ask("How many messages are spam?", "inbox-monday.csv")
    assert asked.code == 0, asked.err
    assert (asked.json["strategy"], asked.json["habit"]) == ("rlm", None)
    assert asked.json["usage"]["root"]["calls"] > 0
    assert asked.json["usage"]["leaf"]["calls"] >= len(MONDAY)
    assert str(asked.json["answer"]) == str(count(MONDAY, "spam"))

    for command in (("learn", "last", "--name", "count-label"), ("review", "count-label"), ("approve", "count-label")):
        done = office(*command)
        assert done.code == 0, done.err

    # This model does not know the word: of six such messages it calls none "ham" rather than "not ham". So it is the
    # session that is asserted for "ham", and the answer for "spam".
    ham = office.ask("How many messages are ham?", "inbox-tuesday.csv")
    assert (ham.code, ham.json["habit"]) == (0, "count-label@1"), ham.err
    assert (ham.json["usage"]["root"]["calls"], ham.json["usage"]["leaf"]["calls"]) == (0, len(TUESDAY))
    assert 0 <= int(ham.json["answer"]) <= len(TUESDAY)
    hit = office.ask("How many messages are spam?", "inbox-tuesday.csv")
    assert (hit.code, hit.json["habit"]) == (0, "count-label@1"), hit.err
    assert (hit.json["usage"]["root"]["calls"], hit.json["usage"]["leaf"]["calls"]) == (0, len(TUESDAY))
    assert str(hit.json["answer"]) == str(count(TUESDAY, "spam"))

    other = office.ask("Which sender has the most spam?", "inbox-tuesday.csv")
    assert other.json["habit"] is None  # not the same question; whether the model can answer it is another matter
    assert "count-label" in office("explain", "last").out or other.json["usage"]["root"]["calls"] > 0

    moved = office.ask("How many messages are spam?", "inbox-new-format.json")
    assert (moved.code, moved.json["habit"]) == (0, None), moved.err
    assert "count-label@1 answers this question, but not about this input" in moved.json["why"]
    assert abs(int(moved.json["answer"]) - count(MOVED, "spam")) <= 1  # it counts one too many now and then
    assert "habit review count-label" in moved.err

    tested = office("test")
    assert tested.code == 0, tested.out + tested.err
    for command in (("review", "count-label"), ("approve", "count-label")):
        done = office(*command)
        assert done.code == 0, done.err
    mended = office.ask("How many messages are spam?", "inbox-new-format.json")
    assert (mended.json["habit"], str(mended.json["answer"])) == ("count-label@2", str(moved.json["answer"]))
    assert mended.json["usage"]["root"]["calls"] == 0

    assert office("rollback", "count-label", "1").code == 0
    log = office("log", "count-label")
    assert "count-label@2" in log.out
    assert "rolled back" in log.out
    stats = office("stats")
    assert re.search(r"count-label@1\s+2 hits", stats.out), stats.out

    used = office.run("label=spam")
    name = re.search(r"it has (\w+)", used.err)
    if used.code == 2 and name:  # what the parameter is called depends on the code that the model wrote
        used = office.run(f"{name[1]}=spam")
    assert (used.code, used.out.strip()) == (0, str(hit.json["answer"])), used.err
    explained = office("explain", "last").out
    assert "count-label@1" in explained
    assert "it was named" in explained
