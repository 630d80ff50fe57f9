"""Libraries for tests: a home of one's own, habits to keep, and git as a user has it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from habit.contexts.context import Context
from habit.library.case import Case, Exchange
from habit.library.habit import Habit
from habit.library.spec import Ceiling, Contract, HabitSpec, Intent, Parameter, Provenance, RecordField

SOURCE = '''
def scheduler(context, recursive_llm, *, label: str) -> int:
    """Count the lines of one label."""
    count = 0
    for line in context.splitlines():
        if recursive_llm("spam or ham?", line, returns=["spam", "ham"]) == label:
            count += 1
    return count
'''
CASE = Case(
    {"label": "spam"},
    Context.of("buy now\nhello\nwin big"),
    [
        Exchange("spam or ham?", Context.of(line), {"enum": ["spam", "ham"]}, reply)
        for line, reply in (("buy now", "spam"), ("hello", "ham"), ("win big", "spam"))
    ],
    2,
    "run-1",
    "How many messages are spam?",
)
SPEC = HabitSpec(
    name="count-label",
    description="Counts the messages of one label.",
    intent=Intent(summary="Count messages by label", operation="count", phrasings=("How many messages are {label}?",)),
    parameters={
        "label": Parameter(type="choice", choices=("spam", "ham"), example="spam", description="which messages")
    },
    returns='{"type": "integer"}',
    contract=Contract(
        kind="text",
        shape="csv",
        delimiter=",",
        fields=(RecordField(name="text", type="string"),),
        postconditions=({"rule": "at_least", "value": 0},),
    ),
    ceiling=Ceiling(base_calls=1, calls_per_record=1.0),
    provenance=Provenance(runs=("run-1",), model="mock:model", learned="2026-11-24T12:00:00Z", contexts=("ab" * 32,)),
)


def a_habit(name: str = "count-label", more: str = "", **changes: object) -> Habit:
    """A habit; ``more`` is appended to its code, ``changes`` are of its spec."""
    spec = HabitSpec.model_validate({**SPEC.model_dump(), "name": name, **changes}, strict=False)
    return Habit(spec, SOURCE + more, {"first": CASE})


def again(habit: Habit, more: str) -> Habit:
    """The same habit with more code."""
    return replace(habit, source=f"{habit.source}\n{more}\n")


def isolate(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A home with an identity for git and nothing else of this machine's."""
    for name in list(os.environ):
        if name.startswith(("GIT_", "SSH_", "GPG_", "XDG_")):
            monkeypatch.delenv(name)
    home = folder / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[user]\nname = Ada Lovelace\nemail = ada@example.org\n[init]\ndefaultBranch = main\n[gc]\nauto = 0\n"
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def git(folder: Path, *arguments: str, **environment: str) -> str:
    """What git prints in ``folder``; it must succeed."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}{done.stdout}"
    return done.stdout


def a_project(folder: Path, files: Mapping[str, str] | None = None) -> Path:
    """A repository of a user with one commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q")
    for path, text in (files or {"README.md": "A project.\n", "src/main.py": "print(1)\n"}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "Begin")
    return folder


def hook(folder: Path, name: str, script: str) -> None:
    """Install a hook."""
    path = Path(git(folder, "rev-parse", "--git-path", "hooks").strip())
    path = path if path.is_absolute() else folder / path
    path.mkdir(parents=True, exist_ok=True)
    (path / name).write_text(f"#!/bin/sh\n{script}\n")
    (path / name).chmod(0o755)


def is_sound(folder: Path) -> bool:
    """Whether git finds nothing wrong, and no temporary work tree is left."""
    git(folder, "fsck", "--no-dangling")
    return git(folder, "worktree", "list", "--porcelain").count("worktree ") == 1


def everything_uncommitted(folder: Path) -> tuple[str, str, dict[str, bytes]]:
    """A user's index and files, byte for byte."""
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }
    options = ("--binary", "--no-ext-diff", "--no-color")
    return git(folder, "diff", "--cached", *options), git(folder, "diff", *options), files
