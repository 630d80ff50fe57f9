"""Which versions of habits there are, and which are active: tags vouch for the contents of folders.

A tag ``<name>@<n>`` says in its message which tree it vouches for. A folder of HEAD is active when a tag vouches for
exactly its tree. So approval follows the contents through merges, rebases and squashes, and ends with any edit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from habit.library.git import Git
from habit.library.messages import CANDIDATE, REASON, TREE, trailers_of
from habit.library.spec import MOST_NAME_CHARS, NAME

BRANCHES = "refs/heads/habit/"
"""Candidates are branches ``habit/<name>``."""
_APPROVED = re.compile(rf"refs/tags/({NAME.pattern})@([1-9][0-9]{{0,8}})")
_REJECTED = re.compile(rf"refs/tags/({NAME.pattern})@rejected-([0-9a-f]{{7,64}})")


@dataclass(frozen=True)
class Version:
    """An approved version, as its tag tells."""

    name: str
    number: int
    tree: str
    """The folder's tree that was approved."""
    commit: str
    """The commit that the tag points to."""
    when: int
    """Unix seconds."""
    who: str
    message: str

    @property
    def label(self) -> str:
        """``count-label@1``, which is also the tag."""
        return f"{self.name}@{self.number}"


@dataclass(frozen=True)
class Rejection:
    """A candidate that was not wanted; its tag keeps it."""

    name: str
    commit: str
    when: int
    who: str
    reason: str


@dataclass(frozen=True)
class Branch:
    """A branch ``habit/<name>``."""

    name: str
    commit: str
    when: int
    checked_out: str
    """The work tree that has it checked out; empty for none."""


@dataclass(frozen=True)
class Refs:
    """All that the refs of a repository say about habits, read at one moment."""

    versions: Sequence[Version]
    rejections: Sequence[Rejection]
    branches: Sequence[Branch]
    taken: Mapping[str, int]
    """The highest number of any tag ``<name>@<n>``, whoever made it and whether or not it vouches."""

    def next_number(self, name: str) -> int:
        """The number of the next version."""
        return self.taken.get(name, 0) + 1

    def of(self, name: str) -> list[Version]:
        """The versions of one habit, oldest first."""
        return sorted((one for one in self.versions if one.name == name), key=lambda one: one.number)

    def vouching(self, name: str, tree: str) -> Version | None:
        """The newest version of ``name`` whose contents are ``tree``."""
        return next((one for one in reversed(self.of(name)) if one.tree == tree), None)

    def version(self, name: str, number: int) -> Version | None:
        """Version ``number`` of ``name``."""
        return next((one for one in self.of(name) if one.number == number), None)

    def branch(self, name: str) -> Branch | None:
        """The branch of the candidate ``name``."""
        return next((one for one in self.branches if one.name == name), None)


def is_name(name: str) -> bool:
    """Whether a habit can be called so."""
    return len(name) <= MOST_NAME_CHARS and NAME.fullmatch(name) is not None


_FIELDS = (
    "refname",
    "objectname",
    "*objectname",
    "taggerdate:unix",
    "committerdate:unix",
    "taggername",
    "taggeremail",
    "worktreepath",
    "contents",
)
_OBJECT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def read_refs(git: Git) -> Refs:
    """Look at all tags and branches that are about habits; tags of other kinds and makers are left alone."""
    versions: list[Version] = []
    rejections: list[Rejection] = []
    branches: list[Branch] = []
    taken: dict[str, int] = {}
    for ref, target, tagged, tag_time, commit_time, name, mail, checked_out, contents in _rows(git):
        branch = ref.removeprefix(BRANCHES)
        if branch != ref:
            if is_name(branch):
                branches.append(Branch(branch, target, _seconds(commit_time), checked_out))
            continue
        approved, rejected = _APPROVED.fullmatch(ref), _REJECTED.fullmatch(ref)
        if approved:
            taken[approved[1]] = max(taken.get(approved[1], 0), int(approved[2]))
        trailers = trailers_of(contents.split("-----BEGIN ", 1)[0])
        who, when = f"{name} {mail}".strip(), _seconds(tag_time)
        if not tagged or not is_name((approved or rejected or [""] * 2)[1]):
            continue
        if approved and _OBJECT.fullmatch(tree := trailers.get(TREE, "")):
            versions.append(Version(approved[1], int(approved[2]), tree, tagged, when, who, contents))
        elif rejected and CANDIDATE in trailers:
            rejections.append(Rejection(rejected[1], tagged, when, who, trailers.get(REASON, "")))
    return Refs(versions, rejections, branches, taken)


def _rows(git: Git) -> list[list[str]]:
    form = "".join(f"%({field})%00" for field in _FIELDS)
    text = git.read("for-each-ref", f"--format={form}", BRANCHES, "refs/tags/*@*").decode("utf-8", "replace")
    cells = text.split("\0")[:-1]
    rows = [cells[at : at + len(_FIELDS)] for at in range(0, len(cells), len(_FIELDS))]
    return [[row[0].removeprefix("\n"), *row[1:]] for row in rows]


def _seconds(text: str) -> int:
    return int(text) if text.isdigit() else 0
