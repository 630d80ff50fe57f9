"""``habit learn`` and ``habit suggest`` against a mock server, a real journal and a real git repository."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_bench import InProcess

from support.mock_server import Answer, MockServer, Request, running_server

COUNT = """
n = 0
for line in context.splitlines():
    if recursive_llm("spam or ham?", line, returns=["spam", "ham"]) == "spam":
        n += 1
print(n)
"""


def model(request: Request) -> str | Answer:
    """A root that counts or writes down, and a leaf that knows spam."""
    messages = request.messages
    last = messages[-1][1]
    if "spam or ham?" in last and "<text>" in last:
        return "spam" if "win" in last else "ham"
    if "written down" in str(messages):
        return "```python\nanswer(2)\n```"
    return f"```python\n{COUNT}\n```" if len(messages) <= 2 else "```python\nanswer(n)\n```"


@pytest.fixture
def server() -> Iterator[MockServer]:
    with running_server(model) as running:
        yield running


@pytest.fixture
def inbox(own_place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "ada@example.org")
    (own_place / "inbox.txt").write_text("win a car\nlunch?\nwin again\nsee you\n")
    return own_place


def ask(habit: InProcess, server: MockServer, query: str) -> None:
    options = ["--returns", "int", "--model", "mock", "--base-url", server.url]
    result = habit("ask", query, "inbox.txt", *options)
    assert (result.code, result.out) == (0, "2\n"), result.err


def test_a_run_becomes_a_candidate_in_git(habit: InProcess, server: MockServer, inbox: Path) -> None:
    ask(habit, server, "How many messages are spam?")
    learned = habit("learn", "last", "--name", "count-label")
    assert learned.code == 0, learned.err
    assert learned.out.startswith("count-label: a candidate, tests green\n  How many messages are {label}?\n")
    assert "lifted 'spam' as label" in learned.out
    assert "1 case with 4 recorded model calls" in learned.out
    assert "habit review count-label" in learned.err
    git = ["git", "-C", str(inbox / "habits"), "show", "habit/count-label:count-label/scheduler.py"]
    shown = subprocess.run(git, capture_output=True, text=True, check=True)
    assert "def scheduler(context, recursive_llm, *, label: str) -> int:" in shown.stdout
    again = habit("learn", "last", "--json")
    assert again.json["green"]
    assert again.json["parameters"]["label"]["choices"] == ["spam", "ham"]


def test_a_refusal_says_why_and_what_to_do(habit: InProcess, server: MockServer, inbox: Path) -> None:
    ask(habit, server, "How many messages are written down?")
    refused = habit("learn", "last")
    assert refused.code == 2
    assert refused.out == ""
    assert "written down and not computed" in refused.err
    assert "ask again" in refused.err
    assert not (inbox / "habits").exists()


def test_what_is_worth_learning_is_suggested(habit: InProcess, server: MockServer, inbox: Path) -> None:
    ask(habit, server, "How many messages are spam?")
    alone = habit("suggest")
    assert alone.code == 0
    assert "No family of runs is worth learning yet." in alone.out
    assert "How many messages are spam? (asked once)" in alone.out
    assert [one["against"] for one in habit("suggest", "--json").json["not_worth"]] == ["asked once"]
    habit("learn", "last")
    assert habit("suggest", "--json").json == {"worth": [], "not_worth": []}


def test_without_a_journal_there_is_nothing_to_learn_from(habit: InProcess) -> None:
    for command in (["learn", "last"], ["suggest"]):
        result = habit(*command)
        assert result.code == 2
        assert "There is no journal" in result.err
