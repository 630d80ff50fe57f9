"""``habit learn`` and ``habit suggest`` against a mock server, a real journal and a real git repository."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_bench import InProcess

from habit.config import Settings
from habit.library.crystallise.wording import offers
from support.mock_server import Answer, MockServer, Request, failing, running_server

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


WORDS = {
    "name": "label tally",
    "description": "Counts messages of one kind.",
    "summary": "How many messages have a label.",
    "operation": "count",
    "parameters": {"label": "The kind that is counted."},
}


def described(server: MockServer, reply: str | Answer = "") -> MockServer:
    """From now on a server that answers requests for a description with ``reply``, or WORDS."""
    reply = reply or json.dumps(WORDS)
    server.script = lambda request: reply if "Describe it for a library" in request.prompt else model(request)
    return server


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


def test_a_model_that_is_named_words_it_in_one_call(habit: InProcess, server: MockServer, inbox: Path) -> None:
    ask(habit, server, "How many messages are spam?")
    before = len(described(server).requests)
    learned = habit("learn", "last", "--model", "mock", "--base-url", server.url)
    assert learned.code == 0, learned.err
    assert learned.out.startswith("label-tally: a candidate, tests green\n")
    assert "  asked mock: 1 call, 15 tokens, price unknown\n" in learned.out
    assert "without a model" not in learned.err
    assert len(server.requests) == before + 1
    assert "Counts messages of one kind." in habit("review", "label-tally").out
    again = habit("learn", "last", "--json", HABIT_MODEL="mock", HABIT_BASE_URL=server.url).json
    assert again["habit"] == "label-tally"  # the same question takes its own name once more
    assert [(one["model"], one["usage"]["cached_calls"]) for one in again["asked"]] == [("mock", 1)]
    assert len(server.requests) == before + 1


def test_the_name_that_a_person_gives_wins(habit: InProcess, server: MockServer, inbox: Path) -> None:
    ask(habit, server, "How many messages are spam?")
    described(server, json.dumps(WORDS | {"name": "../x"}))
    learned = habit("learn", "last", "--name", "count-label", "--model", "mock", "--base-url", server.url, "--json")
    assert (learned.json["habit"], learned.json["rejected"]) == ("count-label", [])
    assert "Counts messages of one kind." in habit("review", "count-label").out


def test_a_model_may_not_give_it_the_name_of_another_habit(habit: InProcess, server: MockServer, inbox: Path) -> None:
    ask(habit, server, "How many messages are spam?")
    assert habit("learn", "last", "--name", "label-tally").code == 0
    ask(habit, server, "Of all messages, how many are spam?")
    described(server)
    learned = habit("learn", "last", "--model", "mock", "--base-url", server.url, "--json")
    assert learned.json["habit"] not in ("", "label-tally")
    assert learned.json["rejected"] == ["label-tally is the name of another habit"]


def test_no_model_is_asked_unless_one_is_named_or_it_is_forbidden(
    habit: InProcess, server: MockServer, inbox: Path
) -> None:
    ask(habit, server, "How many messages are spam?")
    before = len(described(server).requests)
    for flags in ([], ["--no-describe", "--model", "mock", "--base-url", server.url]):
        learned = habit("learn", "last", *flags)
        assert learned.code == 0, learned.err
        assert learned.out.startswith("count-messages-by-label: a candidate, tests green\n")
        assert "asked" not in learned.out
        assert learned.err == "To look at it: habit review count-messages-by-label\n"
    assert len(server.requests) == before
    demanded = habit("learn", "last", "--describe")
    assert (demanded.code, demanded.out) == (2, "")
    assert "No model is configured" in demanded.err


NO_KEY = failing(401, "no such key")


@pytest.mark.parametrize(
    ("reply", "flags", "said", "calls"),
    [
        (NO_KEY, [], "the model gave no description (the server of mock refused the key", 1),
        (NO_KEY, ["--describe"], "the model gave no description (the server of mock refused the key", 1),
        ("I would call it Fred.", [], "the model gave no description (the reply can't be used", 1),
        (json.dumps(WORDS | {"name": "../x"}), [], '"../x" is no name for a habit', 1),
        ("", ["--max-tokens", "1"], "the model gave no description (", 0),
        ("", ["--max-usd", "1"], "no model could be asked for a description (", 0),
        ("", ["--base-url", "nowhere"], "no model could be asked for a description (The base URL", 0),
    ],
    ids=["key", "demanded", "nonsense", "name", "budget", "price", "address"],
)
def test_learning_never_fails_for_want_of_words(
    habit: InProcess,
    server: MockServer,
    inbox: Path,
    reply: str | Answer,
    flags: list[str],
    said: str,
    calls: int,
) -> None:
    ask(habit, server, "How many messages are spam?")
    before = len(described(server, reply).requests)
    learned = habit("learn", "last", "--model", "mock", "--base-url", server.url, *flags)
    assert len(server.requests) == before + calls
    assert learned.code == 0, learned.err
    assert learned.out.startswith("count-messages-by-label: a candidate, tests green\n")
    assert ("asked mock" in learned.out) == bool(calls)
    notice, _ = learned.err.splitlines()
    assert notice.startswith(f"Learned without a model's proposal: {said}")


@pytest.mark.parametrize(
    ("settings", "asks"),
    [
        (Settings(), False),
        (Settings(base_url="http://localhost:1/v1"), False),
        (Settings(model="openai:gpt-5-mini"), True),
        (Settings(model="local", leaf_model="openai:gpt-5-nano"), True),
        (Settings(model="openai:gpt-5-mini", leaf_model="local:qwen"), False),
        (Settings(model="local"), False),
        (Settings(model="/models/some.gguf"), False),
    ],
)
def test_words_are_asked_of_a_model_that_is_named_and_not_local(settings: Settings, asks: bool) -> None:
    assert offers(settings) is asks
