"""The history of questions: private, bounded, without keys."""

from pathlib import Path

import pytest

from habit.cli.prompt import History, holds_secret


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "habit" / "history"


def test_questions_are_kept_in_a_private_file(path: Path) -> None:
    assert History(path).lines() == []
    history = History(path)
    assert history.add("How many\nare\tthere?")
    assert history.add("Which?")
    assert not history.add("Which?")
    assert History(path).lines() == ["How many are there?", "Which?"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_last_question_of_an_earlier_conversation_is_not_repeated(path: Path) -> None:
    History(path).add("Which?")
    history = History(path)
    history.lines()
    assert not history.add("Which?")


def test_two_conversations_at_once_lose_nothing(path: Path) -> None:
    first, second = History(path), History(path)
    first.add("a")
    second.add("b")
    first.add("c")
    assert History(path).lines() == ["a", "b", "c"]


def test_a_long_history_is_shortened(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"question {number}\n" for number in range(1600)))
    lines = History(path).lines()
    assert (len(lines), lines[0], lines[-1]) == (1000, "question 600", "question 1599")
    assert path.read_text().splitlines() == lines
    assert [entry.name for entry in path.parent.iterdir()] == ["history"]


def test_what_somebody_put_there_cannot_steer_the_terminal(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x1b[2Jhello\xff\n\n")
    assert History(path).lines() == ["\\x1b[2Jhello\N{REPLACEMENT CHARACTER}"]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("How many errors are there, and of what kind?", False),
        ("Is correct-horse-battery in it?", True),
        ("Does sk-abcdefghijklmnop occur?", True),
        ("What is at https://user:hunter2@host/x?", True),
        ("What is at https://host/x?", False),
    ],
)
def test_keys_are_not_kept(path: Path, monkeypatch: pytest.MonkeyPatch, text: str, secret: bool) -> None:
    monkeypatch.setenv("SOME_API_KEY", "correct-horse-battery")
    assert holds_secret(text) == secret
    assert History(path).add(text) == (not secret)
    assert path.exists() == (not secret)
