"""A temporary work tree in which commits are made as the user would make them: with his hooks, signing and identity.

His own work tree and index are not involved, so whatever he has under way there stays as it is, byte for byte.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from habit.errors import HabitError
from habit.library.git import Git, GitError
from habit.library.objects import empty_tree, tree_at
from habit.library.place import Place

_PREFIX = "habit-work-"
_OURS = re.compile(_PREFIX + r"[a-z0-9_]{8}")


class Refused(HabitError):
    """git or a hook of the user did not let a change pass; nothing was changed."""


@dataclass(frozen=True)
class Workplace:
    """A work tree of its own, detached at a commit."""

    place: Place
    git: Git
    hooks: str
    start: str
    """The commit it was made at; empty for a repository without commits."""

    def put(self, name: str, tree: str) -> None:
        """Let the habit's folder be exactly ``tree``; with no tree, let it be gone."""
        path = self.place.path(name)
        self.git.read("rm", "-r", "-q", "-f", "--ignore-unmatch", "--", path)
        if tree:
            self.git.read("read-tree", "-u", f"--prefix={path}/", tree)

    def merge(self, commit: str) -> None:
        """Begin a merge with ``commit`` that takes nothing of it yet: what is taken is ``put``."""
        # a candidate may be older than the first commit of the library
        how = ("--no-ff", "--no-commit", "--no-autostash", "--allow-unrelated-histories")
        self._act("merge", "-q", *how, "-s", "ours", commit)

    def commit(self, message: bytes) -> str:
        """Commit what was put. Raises Refused with the words of the hook that refused, or of git."""
        self._act("commit", "-q", "--allow-empty", "--cleanup=whitespace", "-F", "-", stdin=message)
        return self.git.read("rev-parse", "--verify", "HEAD").decode().strip()

    def changed_elsewhere(self, commit: str, name: str) -> list[str]:
        """Paths outside the habit's folder in which ``commit`` differs from where this began."""
        before = self.start or empty_tree(self.git)
        changed = self.git.read("diff-tree", "-r", "-z", "--name-only", "--no-renames", before, commit)
        inside = f"{self.place.path(name)}/".encode("utf-8", "surrogateescape")
        return [
            path.decode("utf-8", "replace") for path in changed.split(b"\0") if path and not path.startswith(inside)
        ]

    def must_hold(self, commit: str, name: str, tree: str) -> None:
        """Raises Refused unless ``commit`` holds exactly ``tree`` as the habit's folder and is otherwise as before."""
        found = tree_at(self.git, commit, self.place.path(name))
        other = self.changed_elsewhere(commit, name)
        if found != tree or other:
            what = other[0] if other else self.place.path(name)
            raise Refused(f"A hook changed {what} while {name} was committed; let it leave habits as they are.")

    def _act(self, *arguments: str, stdin: bytes = b"") -> None:
        try:
            self.git.act("-c", f"core.hooksPath={self.hooks}", *arguments, stdin=stdin)
        except GitError as problem:
            raise Refused(f"git {arguments[0]} was refused, and nothing was changed: {problem}") from None


@contextlib.contextmanager
def workplace(place: Place, commit: str, *, branch: str = "") -> Iterator[Workplace]:
    """A temporary work tree at ``commit``; with no commit, ``branch`` begins with the first one made there.

    The caller holds the library's lock.
    """
    git = place.git
    hooks = git.folder / git.line("rev-parse", "--git-path", "hooks")
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
    try:
        at = commit or _nothing(git)
        try:
            made = ("worktree", "add", "-q", "--detach", str(folder), at)
            git.act("-c", f"core.hooksPath={hooks}", *made, environment=_NO_LFS)
        except GitError as problem:
            raise Refused(f"No temporary work tree could be made: {problem}") from None
        here = Git(folder)
        if not commit:
            here.act("symbolic-ref", "HEAD", f"refs/heads/{branch}")
        yield Workplace(place, here, str(hooks), commit)
    finally:
        _remove(git, folder)


def _nothing(git: Git) -> str:
    """A commit of nothing, for a work tree in a repository that has none yet; it becomes part of no history."""
    who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in _NOBODY.items()}
    return git.act("commit-tree", "-m", "Nothing", empty_tree(git), environment=who).decode().strip()


_NO_LFS = {"GIT_LFS_SKIP_SMUDGE": "1"}
"""Nothing is fetched for a temporary work tree: what is committed there is the index, whatever the files hold."""
_NOBODY = {"NAME": "Habit", "EMAIL": "habit@localhost", "DATE": "1700000000 +0000"}


def clear_away(place: Place) -> None:
    """Remove temporary work trees of processes that died: the lock is ours, so nobody is at work in them."""
    for entry in leftovers(place):
        folder = Path(_line(entry / "gitdir")).parent
        # Both must point at each other, so that a repository from elsewhere can't name a folder to be removed.
        if _OURS.fullmatch(folder.name) and Path(_line(folder / ".git").removeprefix("gitdir: ")) == entry:
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(entry, ignore_errors=True)


def leftovers(place: Place) -> list[Path]:
    """What git knows of temporary work trees, those of dead processes and of one at work."""
    return [entry for entry in (place.common / "worktrees").glob(f"{_PREFIX}*") if _OURS.fullmatch(entry.name)]


def _line(path: Path) -> str:
    try:
        return path.read_text("utf-8", "surrogateescape").strip()
    except OSError:  # it was never written
        return ""


def _remove(git: Git, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    git.line("worktree", "remove", "--force", "--force", str(folder))
