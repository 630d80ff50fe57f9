"""Completion: what click's classes offer, what a real bash offers, and that none of it waits for the engine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from click.shell_completion import ShellComplete, get_completion_class
from command_bench import InProcess

from habit.cli.app import cli
from habit.journal.records import RunRecord
from habit.journal.sqlite import SqliteStore
from habit.local.models import DEFAULT

OLD, NEW = "20260101-000000-aa", "20260102-000000-bb"


@pytest.fixture
def journal(own_place: Path) -> Path:
    path = own_place / ".habit" / "journal.db"

    async def fill() -> None:
        store = await SqliteStore.open(path)
        for run_id, query, started in ((OLD, "How\nmany?", 1.0), (NEW, "x" * 2000 + "\x1b[2J", 2.0)):
            await store.add_run(RunRecord(run_id, query, started, {}, {}))
        await store.add_run(RunRecord("$(touch x)", "hostile", 3.0, {}, {}))
        await store.end_run(OLD, "answered", {})
        await store.aclose()

    anyio.run(fill)
    return path


def complete(*words: str, shell: str = "bash") -> list[tuple[str, str, str]]:
    """(type, value, help) of each suggestion for the last word."""
    kind = get_completion_class(shell)
    assert kind is not None
    completer: ShellComplete = kind(cli, {}, "habit", "_HABIT_COMPLETE")
    items = completer.get_completions(list(words[:-1]), words[-1])
    return [(item.type, item.value, item.help or "") for item in items]


def values(*words: str) -> list[str]:
    return [value for _, value, _ in complete(*words)]


def test_commands_and_flags() -> None:
    assert values("res") == ["resume"]
    assert values("models", "p") == ["pull"]
    assert set(values("ask", "?", "--max-c")) == {"--max-calls", "--max-cells"}
    assert values("completion", "") == ["bash", "zsh", "fish"]


@pytest.mark.parametrize(
    ("flag", "offered"),
    [
        ("--profile", ["auto", "frontier", "small"]),
        ("--dialect", ["habit", "rlm", "dspy"]),
        ("--execution", ["auto", "fence", "tool"]),
        ("--strategy", ["auto", "rlm", "agent", "direct", "habit"]),
        ("--max-calls", []),
    ],
)
def test_words_of_a_flag(flag: str, offered: list[str]) -> None:
    assert values("ask", "?", flag, "") == offered


def test_every_flag_with_choices_in_its_help_completes_them() -> None:
    for name, command in cli.commands.items():
        for option in command.params:
            if "|" in (option.metavar or ""):
                assert values(name, option.opts[0], "") == (option.metavar or "").split("|"), (name, option.opts)


def test_paths_are_the_shells_business() -> None:
    assert complete("ask", "?", "a") == [("file", "a", "")]
    assert complete("show", "--journal", "j") == [("file", "j", "")]
    assert complete("ask", "?", "--model", "./m") == [("file", "./m", "")]
    assert complete("ask", "?", "--returns", "sch") == [("file", "sch", "")]
    assert values("ask", "?", "--returns", "li") == ["list[str]", "list[int]"]
    assert complete("ask", "How") == []
    assert complete("ask", "-i", "a") == [("file", "a", "")]


def test_runs_come_newest_first_with_their_questions(journal: Path) -> None:
    offered = complete("show", "")
    assert [value for _, value, _ in offered] == ["last", NEW, OLD]
    assert [shown for _, _, shown in offered] == ["the newest run", "x" * 60, "How many?"]
    assert values("show", "20260101") == [OLD]


def test_only_unanswered_runs_can_be_resumed(journal: Path) -> None:
    assert values("resume", "") == ["last", NEW]


def test_the_journal_that_is_named_is_read(journal: Path, own_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_place / "elsewhere").mkdir()
    journal.rename(own_place / "elsewhere" / "j.db")
    assert values("show", "--journal", "elsewhere/j.db", "2026") == [NEW, OLD]
    monkeypatch.setenv("HABIT_JOURNAL", "elsewhere/j.db")
    assert values("replay", "2026") == [NEW, OLD]


@pytest.mark.parametrize("content", [None, b"", b"no database at all " * 100])
def test_without_a_journal_there_is_nothing_and_no_complaint(own_place: Path, content: bytes | None) -> None:
    if content is not None:
        (own_place / ".habit").mkdir()
        (own_place / ".habit" / "journal.db").write_bytes(content)
    before = sorted(own_place.rglob("*"))
    assert values("show", "") == []
    assert sorted(own_place.rglob("*")) == before


def test_a_wrong_configuration_file_means_no_suggestions(journal: Path, own_place: Path) -> None:
    (own_place / "habit.toml").write_text("nonsense")
    assert values("show", "") == []


def test_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HABIT_MODELS", str(tmp_path))
    (tmp_path / "mine.gguf").write_bytes(b"GGUF")
    assert values("ask", "?", "--model", "lo") == ["local", f"local:{DEFAULT}"]
    assert values("ask", "?", "--leaf-model", "anth") == ["anthropic:"]
    assert values("models", "pull", "") == [DEFAULT]
    assert values("models", "rm", "") == ["mine.gguf"]


def test_scripts_say_how_to_install_them(habit: InProcess) -> None:
    for shell, needed in (("bash", "complete -o nosort"), ("zsh", "#compdef habit"), ("fish", "complete --no-files")):
        result = habit("completion", shell)
        assert (result.code, needed in result.out) == (0, True)
        assert result.out.splitlines()[-1].startswith("# To install: ")
        assert "_HABIT_COMPLETE" in result.out
    assert habit("completion", "csh").code == 2


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("habit sh", ["show"]),
        ("habit show ", ["last", NEW, OLD]),
        ("habit ask ? --profile s", ["small"]),
        ("habit ask ? --model openr", ["openrouter:"]),
        ("habit ask ? --model local :", [DEFAULT]),
        ("habit ask ? --model local : qw", [DEFAULT]),
        ("habit ask \"'Which of these:'\" --model loc", ["local", f"local:{DEFAULT}"]),
        ("habit show --journal a:b 2026", [""]),
    ],
)
def test_in_a_real_bash(journal: Path, tmp_path: Path, line: str, offered: list[str]) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "habit").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m habit.cli "$@"\n')
    (folder / "habit").chmod(0o755)
    script = f"""
        eval "$(habit completion bash)"
        compopt() {{ echo "compopt $*" >&2; }}
        COMP_WORDS=({line.replace("?", "what")}{' ""' if line.endswith(" ") else ""})
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _habit_completion habit
        printf '%s\\n' "${{COMPREPLY[@]}}"
        complete -p habit >&2
    """
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
    )
    assert done.stdout.splitlines() == offered, done.stderr
    assert "-F _habit_completion habit" in done.stderr
    assert ("nospace" in done.stderr) == (offered[0].endswith(":"))


HEAVY = ["asyncio", "habit.engine", "httpx", "numpy", "pandas", "pydantic", "pydantic_ai", "rich", "genai_prices"]


@pytest.mark.parametrize("words", ["habit ", "habit show 2026", "habit ask ? --model o"])
def test_completion_waits_for_nothing_heavy(journal: Path, words: str) -> None:
    code = f"""
import sys
from habit.cli import main
try:
    main([])
except SystemExit:
    print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={
            **os.environ,
            "_HABIT_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
    )
    assert done.stdout
    assert done.stderr.splitlines()[-1] == "[]"
