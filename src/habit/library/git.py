"""The ``git`` command line, run with arguments as a list, no shell, a time limit, and nothing asked at a terminal.

``read`` is for what no hook has a say in: in plain English and with literal paths. ``act`` changes something as the
user would, in his own language, with his hooks, his signing and his configuration; what a hook says becomes the error.
A library from elsewhere cannot run anything here: cloning brings no hooks and no configuration.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from habit.errors import HabitError, UsageError

READ_SECONDS = 60.0
ACT_SECONDS = 600.0
"""Hooks may run a test suite."""
_ELSEWHERE = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_QUARANTINE_PATH",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
)
"""Set where Habit is run by a hook or an alias of another repository: they would lead git there."""
_NOISE = re.compile(r"^(?:hint|warning|Preparing worktree|HEAD is now at|Updating |Switched to)\b.*$", re.MULTILINE)
_MOST_WORDS = 600


class GitError(HabitError):
    """git refused; the message has its words."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Git:
    """git in one folder."""

    folder: Path

    def read(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """What git prints. Raises GitError when it fails."""
        return _checked(arguments, self._run(arguments, stdin, _reading(), READ_SECONDS))

    def line(self, *arguments: str) -> str:
        """The one line that git prints; empty when it fails or prints nothing."""
        done = self._run(arguments, b"", _reading(), READ_SECONDS)
        return "" if done.returncode else _text(done.stdout).removesuffix("\n")

    def holds(self, *arguments: str) -> bool:
        """Whether git answers yes, by its exit status: 0 or 1. Raises GitError for any other."""
        done = self._run(arguments, b"", _reading(), READ_SECONDS)
        if done.returncode not in (0, 1):
            _checked(arguments, done)
        return done.returncode == 0

    def act(self, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> bytes:
        """Change something, with the user's hooks and signing. Raises GitError with what git or a hook said."""
        return _checked(arguments, self._run(arguments, stdin, {**_acting(), **(environment or {})}, ACT_SECONDS))

    def _run(
        self, arguments: Sequence[str], stdin: bytes, environment: Mapping[str, str], seconds: float
    ) -> subprocess.CompletedProcess[bytes]:
        command = ["git", "-c", "core.quotePath=false", *arguments]
        try:
            return subprocess.run(
                command, cwd=self.folder, input=stdin, capture_output=True, env=dict(environment), timeout=seconds
            )
        except FileNotFoundError:
            if not self.folder.is_dir():
                raise UsageError(f"There is no folder {self.folder}.") from None
            raise UsageError("A library of habits needs git: install it, and see that it is on your PATH.") from None
        except OSError as problem:
            raise UsageError(f"git can't be run in {self.folder}: {problem.strerror}.") from None
        except subprocess.TimeoutExpired:
            raise GitError(f"git {arguments[0]} took longer than {seconds:.0f} seconds and was stopped.", -1) from None


def _reading() -> dict[str, str]:
    return {**_acting(), "LC_ALL": "C", "GIT_LITERAL_PATHSPECS": "1", "GIT_OPTIONAL_LOCKS": "0"}


def _acting() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "GIT_MERGE_AUTOEDIT": "no", "GIT_EDITOR": "true"}


def _checked(arguments: Sequence[str], done: subprocess.CompletedProcess[bytes]) -> bytes:
    if done.returncode == 0:
        return done.stdout
    said = _NOISE.sub("", _text(done.stderr) or _text(done.stdout))
    words = " ".join(said.split())
    if len(words) > _MOST_WORDS:
        words = f"… {words[-_MOST_WORDS:]}"
    verb = arguments[2] if arguments[0] == "-c" else arguments[0]
    raise GitError(words or f"git {verb} ended with status {done.returncode}", done.returncode)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
