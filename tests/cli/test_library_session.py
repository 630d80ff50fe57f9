"""A question that comes back: asked once, learned, reviewed, approved; then answered by habit, and mended.

Every command is the real one, against a real HTTP server, a real git repository, the real sandbox and journal.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_bench import InProcess, Result

from support.mock_server import MockServer, Request, running_server

MONDAY = "from,text\nann,win a prize now\nbob,see you at noon\nann,cheap pills here\ncid,thanks for the report\n"
TUESDAY = (
    "from,text\ndee,lunch at one?\nann,win a car today\nbob,the minutes are attached\ncid,win big or go home\n"
    "bob,call me back please\n"
)
NEW_FORMAT = json.dumps([{"sender": "ann", "body": "win it all"}, {"sender": "bob", "body": "good morning"}])

LOOK = "print(context[:200])"
COUNT = """import csv, io
rows = list(csv.DictReader(io.StringIO(context)))
count = 0
for row in rows:
    kind = recursive_llm("Is this message spam or ham?", row["text"], returns=["spam", "ham"])
    if kind == "spam":
        count += 1
answer(count)"""
SENDER = """import csv, io
from collections import Counter
spam = Counter()
for row in csv.DictReader(io.StringIO(context)):
    if recursive_llm("Is this message spam or ham?", row["text"], returns=["spam", "ham"]) == "spam":
        spam[row["from"]] += 1
answer(spam.most_common(1)[0][0])"""
COUNT_JSON = """count = 0
for row in context:
    if recursive_llm("Is this message spam or ham?", row["body"], returns=["spam", "ham"]) == "spam":
        count += 1
answer(count)"""
MENDED = '''import csv
import io

def scheduler(context, recursive_llm, *, {name}: str) -> int:
    """Count the messages of one kind, in a table or in a list of records."""
    if isinstance(context, str):
        texts = [row["text"] for row in csv.DictReader(io.StringIO(context))]
    else:
        texts = [row["body"] for row in context]
    count = 0
    for text in texts:
        kind = recursive_llm("Is this message spam or ham?", text, returns=["spam", "ham"])
        if kind == {name}:
            count += 1
    return count
'''
WORDS = {
    "name": "kinds-of-messages",
    "description": "Counts the messages of one kind; for inboxes.",
    "summary": "How many messages are of a kind.",
    "operation": "count",
    "parameters": {"label": "The kind of message that is counted."},
}


def reply(request: Request) -> str:
    """What a good model would say; roots are told from leaves by their prompts."""
    prompt = request.prompt
    if "Describe it for a library" in prompt:
        return json.dumps(WORDS)
    if "Saved programs" in prompt:
        return '{"habit": "none", "parameters": {}}'
    if "spam or ham?" in prompt and "recursive_llm" not in prompt:
        return "spam" if re.search("win|pills", request.messages[-1][1]) else "ham"
    if "Mend a Python program" in prompt:
        signature = re.search(r"\*, (\w+):", prompt)
        assert signature is not None
        return _code(f"answer({MENDED.format(name=signature[1])!r})")
    if "Which sender" in prompt:
        return _code(SENDER)
    if '"body"' in prompt or "'body'" in prompt or "body" in prompt.partition("sender")[2][:400]:
        return _code(COUNT_JSON)
    return _code(COUNT) if any(role == "assistant" for role, _ in request.messages) else _code(LOOK)


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


class Office:
    """A folder with an inbox, the command line, and a server that counts what it is asked."""

    def __init__(self, habit: InProcess, server: MockServer) -> None:
        self.habit, self.server = habit, server
        self.model = ["--model", "mock", "--base-url", server.url]

    def ask(self, query: str, path: str, returns: str = "int") -> Result:
        return self.habit("ask", query, path, "--returns", returns, *self.model, "--json")

    def roots_since(self, count: int) -> int:
        """Root calls after the first ``count`` requests."""
        return sum("recursive_llm" in request.prompt for request in self.server.requests[count:])


@pytest.fixture
def office(habit: InProcess, own_place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "ada@example.org")
    (own_place / "inbox-monday.csv").write_text(MONDAY)
    (own_place / "inbox-tuesday.csv").write_text(TUESDAY)
    (own_place / "inbox-new-format.json").write_text(NEW_FORMAT)
    subprocess.run(["git", "init", "-q"], cwd=own_place, check=True, env={**os.environ})
    with running_server(reply) as server:
        yield Office(habit, server)


def test_from_a_question_to_a_habit_that_is_mended(office: Office, own_place: Path) -> None:
    habit = office.habit
    assert habit("init").code == 0

    asked = office.ask("How many messages are spam?", "inbox-monday.csv")
    assert (asked.json["answer"], asked.json["strategy"], asked.json["habit"]) == (2, "rlm", None), asked.err

    learned = habit("learn", "last", "--name", "count-label")
    assert learned.code == 0, learned.err
    assert "spam" in learned.out + learned.err

    reviewed = habit("review", "count-label")
    assert reviewed.code == 0, reviewed.err
    assert "def scheduler(context, recursive_llm" in reviewed.out
    approved = habit("approve", "count-label")
    assert approved.code == 0, approved.err
    assert "count-label@1" in approved.out + approved.err

    before = len(office.server.requests)
    hit = office.ask("How many messages are ham?", "inbox-tuesday.csv")
    assert (hit.json["answer"], hit.json["habit"]) == (3, "count-label@1"), hit.err
    assert office.roots_since(before) == 0
    assert (hit.json["usage"]["root"]["calls"], hit.json["usage"]["leaf"]["calls"]) == (0, 5)

    again = habit("learn", "last")
    assert again.code == 2
    assert "was answered by the habit count-label@1; learn from a run that" in again.err

    other = office.ask("Which sender has the most spam?", "inbox-tuesday.csv", "str")
    assert other.json["habit"] is None
    assert other.json["answer"] in ("ann", "cid")
    assert office.ask("How many messages are not spam?", "inbox-tuesday.csv").json["habit"] is None

    drifted = office.ask("How many messages are spam?", "inbox-new-format.json")
    assert (drifted.json["answer"], drifted.json["habit"]) == (1, None), drifted.err
    assert "count-label@1" in drifted.json["why"]
    assert "habit review count-label" in drifted.err
    assert habit("show", "last", "--json").json["run"] == drifted.json["run"]  # and not a run of the repair
    aside = [row for row in habit("runs", "--json").json if row["for"] == drifted.json["run"]]
    assert len(aside) == 3  # the old code, tried first; the question for other code; and that code, tried
    assert f"(for {drifted.json['run']}) Mend a Python program" in habit("runs").out
    assert "Mend a Python" not in habit("suggest").out

    green = habit("test")
    assert green.code == 0, green.out + green.err

    page = habit("review", "count-label")
    assert page.code == 0
    assert page.out.count("Without it: ") == 2  # the run that wrote the repair answered nobody
    assert habit("approve", "count-label").code == 0
    for path, spam in (("inbox-new-format.json", 1), ("inbox-monday.csv", 2)):
        mended = office.ask("How many messages are spam?", path)
        assert (mended.json["answer"], mended.json["habit"]) == (spam, "count-label@2"), mended.err

    assert habit("rollback", "count-label", "1").code == 0
    rolled = office.ask("How many messages are ham?", "inbox-monday.csv")
    assert rolled.json["habit"] == "count-label@1"

    log = habit("log", "count-label")
    assert "count-label@2" in log.out
    stats = habit("stats")
    assert re.search(r"count-label@1\s+2 hits", stats.out), stats.out

    used = habit("run", "count-label", "inbox-tuesday.csv", "--param", "label=ham", *office.model)
    wrong_name = used.code == 2
    name = re.search(r"it has (\w+)", used.err)
    if wrong_name and name:
        used = habit("run", "count-label", "inbox-tuesday.csv", "--param", f"{name[1]}=ham", *office.model)
    assert used.out.strip() == "3", used.err
    explained = habit("explain", "last")
    assert "count-label@1" in explained.out
    assert "it was named" in explained.out
    assert own_place.joinpath("habits", "count-label", "SKILL.md").exists()


def test_the_same_without_a_type_as_people_type_it(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """No command names a model: it is configured, and so words the habit too."""
    habit = office.habit
    monkeypatch.setenv("HABIT_MODEL", "mock")
    monkeypatch.setenv("HABIT_BASE_URL", office.server.url)
    assert habit("ask", "How many messages are spam?", "inbox-monday.csv").out == "2\n"
    before = len(office.server.requests)
    learned = habit("learn", "last", "--name", "count-label")
    assert learned.code == 0, learned.err
    assert "asked mock: 1 call" in learned.out
    assert len(office.server.requests) == before + 1
    assert WORDS["description"] in habit("review", "count-label").out
    for command in ("review", "approve"):
        done = habit(command, "count-label")
        assert done.code == 0, done.err
    before = len(office.server.requests)
    assert habit("ask", "How many messages are ham?", "inbox-tuesday.csv").out == "3\n"
    assert office.roots_since(before) == 0
    other = habit("ask", "Which sender has the most spam?", "inbox-tuesday.csv")
    assert other.out in ("ann\n", "cid\n")
    drifted = habit("ask", "How many messages are spam?", "inbox-new-format.json")
    assert drifted.out == "1\n"
    assert "habit review count-label" in drifted.err
    for command in ("review", "approve"):
        done = habit(command, "count-label")
        assert done.code == 0, done.err
    again = habit("ask", "How many messages are spam?", "inbox-new-format.json", "--json").json
    assert (again["answer"], again["habit"]) == ("1", "count-label@2")
    assert habit("test").code == 0
    assert habit("rollback", "count-label", "1").code == 0
    used = habit("run", "count-label", "inbox-tuesday.csv", "--param", "label=ham")
    assert used.out == "3\n"
    assert "count-label@1" in habit("explain", "last").out
