"""The user's own work tree: what is edited in it, and how a commit lands there without touching what is his."""

from __future__ import annotations

import os
import stat

from habit.errors import UsageError
from habit.library.git import Git, GitError
from habit.library.habit import MOST_FILE_BYTES, MOST_FILES
from habit.library.objects import tree_at
from habit.library.place import Place
from habit.library.workplace import Refused


def edits(place: Place) -> list[str]:
    """Paths below the library, from the top of the work tree, that differ from HEAD or are new there."""
    where = ["--", place.prefix] if place.prefix else []
    if where and not (place.git.folder / place.prefix).is_dir():
        return []
    listed = place.git.read("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", *where)
    return [line[3:].decode("utf-8", "surrogateescape") for line in listed.split(b"\0") if line]


def land(place: Place, commit: str, name: str, why: str) -> None:
    """Move the user's branch, index and files to ``commit``, which is made on top of where they are.

    Raises Refused, with nothing changed, when that would touch anything he has not committed.
    """
    staged = _stage_what_is_the_same(place, commit, name)
    try:
        place.git.act(
            *("merge", "-q", "--ff-only", "--no-autostash", "--no-overwrite-ignore", commit),
            environment={"GIT_REFLOG_ACTION": f"habit {why}"},
        )
    except GitError as problem:
        if staged:
            place.git.read("reset", "-q", "--", *staged)
        raise Refused(f"Your work tree could not take the change, and was left as it is: {problem}") from None


def _stage_what_is_the_same(place: Place, commit: str, name: str) -> list[str]:
    """Stage edits of the habit that are byte for byte what ``commit`` has, so that a merge lets them be.

    Raises Refused when there are others where ``commit`` changes something: git itself would not miss a removed file.
    """
    git = place.git
    listed = git.read("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--", place.path(name))
    same = []
    for line in listed.split(b"\0"):
        state, path = line[:2].decode(), line[3:].decode("utf-8", "surrogateescape")
        wanted = tree_at(git, commit, path) if line else ""
        if not line or tree_at(git, "HEAD", path) == wanted:
            continue
        is_staged = state in ("M ", "A ", "D ")  # as a git that was killed while it landed this has left it
        if _blob_on_disk(git, path) != wanted or not (is_staged or state in (" M", " D", "??")):
            shown = path.encode("utf-8", "replace").decode()
            raise Refused(f"{shown} has changes of yours that this would overwrite: commit, stash or restore it first.")
        if not is_staged:
            same.append(path)
    if same:
        git.read("add", "-A", "--", *same)
    return same


def _blob_on_disk(git: Git, path: str) -> str:
    """The object that a file of the work tree would be; empty when it is not there."""
    if not os.path.lexists(git.folder / path):
        return ""
    return git.line("hash-object", "--no-filters", "--", path)


def files_on_disk(place: Place, name: str) -> dict[str, bytes]:
    """The files of a habit's folder in the user's work tree; no link is followed."""
    top = place.on_disk(name)
    found: dict[str, bytes] = {}
    for folder_, inner, names in os.walk(top):
        for one in [*names, *(sub for sub in inner if (os.path.islink(os.path.join(folder_, sub))))]:
            path = os.path.join(folder_, one)
            details = os.lstat(path)
            shown = os.path.relpath(path, top).replace(os.sep, "/")
            if not stat.S_ISREG(details.st_mode):
                raise UsageError(f"{place.path(name)}/{shown} is a link or a device, not a file: remove it.")
            if details.st_size > MOST_FILE_BYTES or len(found) >= MOST_FILES:
                raise UsageError(
                    f"{place.path(name)} is too large for a habit, at {shown}: take out what is not its own."
                )
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            with os.fdopen(handle, "rb") as file:
                found[shown] = file.read(MOST_FILE_BYTES + 1)
    return found
