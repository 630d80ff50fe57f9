"""Where a library lies: a git repository, and the folder in it that holds the habits."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from habit.errors import UsageError
from habit.library.git import Git, GitError


@dataclass(frozen=True)
class Place:
    """A library's place."""

    git: Git
    """Runs in the top folder of the user's work tree."""
    common: Path
    """The repository itself (``.git``), shared by all its work trees."""
    prefix: str
    """The library's folder below the top, with ``/`` at its end; empty when the whole repository is the library."""
    shown: str
    """The folder as the user named it."""

    @classmethod
    def find(cls, folder: str | Path) -> Self | None:
        """The place of the library in ``folder``, which need not be there yet; None when that is in no repository."""
        shown = str(folder)
        if "\n" in shown or "\0" in shown:
            raise UsageError(f"{shown!r} can't be a library: its name has a line break.")
        path = Path(os.path.realpath(Path(shown).expanduser()))
        if path.exists() and not path.is_dir():
            raise UsageError(f"{shown} is a file, not a folder: name the library's folder with --library DIR.")
        start = next(one for one in (path, *path.parents) if one.is_dir())
        try:
            found = Git(start).read("rev-parse", "--show-toplevel", "--git-common-dir", "--absolute-git-dir")
        except GitError as problem:
            if "not a git repository" in str(problem):
                return None
            if "must be run in a work tree" in str(problem):
                raise UsageError(
                    f"{shown} is in a bare repository or in .git itself: give a folder of a work tree, made with "
                    "git clone or git worktree add."
                ) from None
            raise UsageError(f"git refuses the repository of {shown}: {problem}") from None
        lines = os.fsdecode(found).removesuffix("\n").split("\n")
        if len(lines) != 3:
            raise UsageError(f"{shown} can't be a library: a folder above it has a line break in its name.")
        top = Path(os.path.realpath(lines[0]))
        inside = path.relative_to(top).as_posix()
        prefix = "" if inside == "." else f"{inside}/"
        return cls(Git(top), Path(os.path.realpath(start / lines[1])), prefix, shown)

    @property
    def state(self) -> Path:
        """Where Habit keeps what belongs to this clone alone: the lock, reviews, suspensions."""
        return self.common / "habit"

    def path(self, name: str) -> str:
        """The habit's folder below the top of the work tree."""
        return f"{self.prefix}{name}"

    def on_disk(self, name: str) -> Path:
        """The habit's folder in the user's work tree."""
        return self.git.folder / self.prefix / name
