"""A library: a git repository, or a folder in one, that holds habits; and what can be done with it.

Everything here blocks; callers on an event loop use ``anyio.to_thread``. Reading goes by git's objects: what HEAD holds
and a tag vouches for, never what lies edited in a work tree. Changing takes the library's lock, see changing.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from habit.errors import UsageError
from habit.library import changing, history, landing
from habit.library.git import Git
from habit.library.habit import Habit
from habit.library.local import LocalState
from habit.library.messages import plain
from habit.library.objects import Folder, empty_tree, folder, folders, read_files, tree_at
from habit.library.place import Place
from habit.library.versions import Refs, Version, is_name, read_refs

State = Literal["active", "suspended", "edited", "broken"]


@dataclass(frozen=True)
class Standing:
    """One folder of the library, and whether it may be run."""

    name: str
    state: State
    habit: Habit | None
    """What is run; only when it is active."""
    version: int | None
    tree: str
    says: str = ""
    """Why it is not run, and the way on, in one sentence."""


@dataclass(frozen=True)
class Candidate:
    """A habit that waits for a review, on the branch ``habit/<name>``."""

    name: str
    commit: str
    tree: str
    """The tree of its folder: what a review sees and an approval takes."""
    base: str
    """The tree of the folder in HEAD that it would replace; empty for a new habit."""
    habit: Habit
    when: int

    @property
    def branch(self) -> str:
        """The branch it is on."""
        return f"habit/{self.name}"


class Repository:
    """A library of habits."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.local = LocalState(place.state)

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """The library in ``folder``. Raises UsageError when that is in no git repository."""
        place = Place.find(folder)
        if place is None:
            raise UsageError(f"There is no library of habits in {folder}: make one with habit init.")
        repository = cls(place)
        changing.recover(repository.place, repository.local)
        return repository

    @classmethod
    def find(cls, folder: str | Path) -> Self | None:
        """The library in ``folder``; None where there is no such folder (git is not asked) or no repository."""
        path = Path(folder).expanduser()
        if not path.is_dir() or Place.find(path) is None:
            return None
        return cls.open(path)

    @classmethod
    def init(cls, folder: str | Path) -> Self:
        """Make ``folder`` a library: in the repository it is in, else as a repository of its own. Does it once only."""
        path = Path(folder).expanduser()
        place = Place.find(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise UsageError(f"{folder} can't be made: {problem.strerror}.") from None
        if place is None:
            Git(path).act("init", "-q")
        return cls.open(folder)

    @property
    def git(self) -> Git:
        """git in the top folder of the user's work tree."""
        return self.place.git

    # --- reading -------------------------------------------------------------------------------------------------

    def refs(self) -> Refs:
        """What tags and branches say, now."""
        return read_refs(self.git)

    def standings(self) -> list[Standing]:
        """Every folder of HEAD that is a habit or claims to be one, by name."""
        refs = self.refs()
        here = {name: one for name, one in folders(self.git, self._head_tree()).items() if self._is_habit(one, refs)}
        suspended = {name: self.local.read("suspended", name) for name in self.local.names("suspended")}
        vouched = {name: refs.vouching(name, one.tree) for name, one in here.items()}
        found: dict[str, Standing] = {}
        for name, one in here.items():
            version = vouched[name]
            if version is None:
                found[name] = Standing(name, "edited", None, None, one.tree, self._not_approved(name, refs))
            elif suspended.get(name, {}).get("tree") == one.tree:
                says = f"{version.label} is suspended ({suspended[name].get('reason', '')}); to use it again: "
                says += f"habit rollback {name} {version.number}"
                found[name] = Standing(name, "suspended", None, version.number, one.tree, says)
        contents = read_files(self.git, [one for name, one in here.items() if name not in found])
        for name, files in contents.items():
            version = vouched[name]
            assert version is not None
            try:
                habit = self._habit(name, files, version.number)
                found[name] = Standing(name, "active", habit, version.number, here[name].tree)
            except UsageError as problem:
                found[name] = Standing(name, "broken", None, version.number, here[name].tree, str(problem))
        return [found[name] for name in sorted(found)]

    def habits(self) -> list[Habit]:
        """The active versions: what HEAD holds, a tag vouches for, and nothing suspends."""
        return [standing.habit for standing in self.standings() if standing.habit is not None]

    def retired(self, standings: Iterable[Standing]) -> list[Version]:
        """The newest version of every habit that has some and is not among those of HEAD, by name."""
        newest = {one.name: one for one in sorted(self.refs().versions, key=lambda one: one.number)}
        return [newest[name] for name in sorted(newest.keys() - {standing.name for standing in standings})]

    def warnings(self) -> list[str]:
        """What is not run and looks as if it would be, one sentence each: to be said wherever habits are used."""
        said = [standing.says for standing in self.standings() if standing.says]
        return said + [
            f"{self.place.path(name)} has edits that are not approved and not run; to take them up: habit review {name}"
            for name in self.edited()
        ]

    def edited(self) -> list[str]:
        """Habits whose folder in the user's work tree differs from HEAD."""
        return sorted({name for path in landing.edits(self.place) if is_name(name := self._name_of(path))})

    def get(self, name: str, version: int | None = None) -> Habit:
        """The active version of a habit, or the one of this number. Raises UsageError when there is none."""
        if version is not None:
            return self._of_version(self.version(name, version))
        for standing in self.standings():
            if standing.name == name:
                if standing.habit is None:
                    raise UsageError(standing.says)
                return standing.habit
        raise UsageError(self._unknown(name))

    def version(self, name: str, number: int) -> Version:
        """What the tag ``name@number`` says. Raises UsageError when there is none."""
        refs = self.refs()
        found = refs.version(name, number)
        if found is None:
            known = ", ".join(str(one.number) for one in refs.of(name))
            raise UsageError(
                f"There is no {name}@{number}; its versions are {known}." if known else self._unknown(name)
            )
        return found

    def candidates(self) -> list[Candidate]:
        """What waits for a review; branches that hold no readable habit are left out, see ``unreadable``."""
        return [one for one in self._branches() if isinstance(one, Candidate)]

    def unreadable(self) -> list[str]:
        """What is wrong with branches ``habit/<name>`` that hold no readable habit, a sentence each."""
        return [str(one) for one in self._branches() if isinstance(one, UsageError)]

    def _branches(self) -> list[Candidate | UsageError]:
        found: list[Candidate | UsageError] = []
        for branch in self.refs().branches:
            try:
                found.append(self.candidate(branch.name))
            except UsageError as problem:
                found.append(problem)
        return found

    def candidate(self, name: str) -> Candidate:
        """The candidate ``name``. Raises UsageError when there is none, or when it can't be read."""
        branch = self.refs().branch(name)
        if branch is None:
            raise UsageError(self._no_candidate(name))
        tree = tree_at(self.git, branch.commit, self.place.path(name))
        if not tree:
            raise UsageError(f"The branch habit/{name} holds no {self.place.path(name)}: git branch -D habit/{name}")
        habit = self._read(folder(self.git, name, tree), f"habit/{name}:{self.place.path(name)}")
        base = tree_at(self.git, "HEAD", self.place.path(name))
        return Candidate(name, branch.commit, tree, base, habit, branch.when)

    def log(self, name: str) -> list[history.Entry]:
        """What happened to a habit, newest first. Raises UsageError when nothing ever did."""
        entries = history.entries(self.place, self.refs(), name)
        if not entries:
            raise UsageError(self._unknown(name))
        return entries

    def diff(self, name: str, old: int | None = None, new: int | None = None) -> str:
        """The difference of two versions; by default what the candidate would change in the current one."""
        after = self.version(name, new).tree if new is not None else self._newest_tree(name)
        before = self.version(name, old).tree if old is not None else self._current_tree(name)
        return history.difference(self.git, before or empty_tree(self.git), after)

    # --- changing ------------------------------------------------------------------------------------------------

    def propose(self, habit: Habit, trailers: Mapping[str, str] | None = None) -> Candidate:
        """Make ``habit`` a candidate; proposing again puts the new one on top of the old one.

        Raises UsageError when it is what is approved already, and Refused when a hook refuses it.
        """
        changing.propose(self.place, self.local, habit, trailers or {})
        return self.candidate(habit.name)

    def take_up(self, name: str) -> Candidate:
        """Make a candidate of a folder that was edited by hand, in the work tree or in commits no tag vouches for."""
        if self._fetched(name) and name not in self.edited():
            raise UsageError(self._no_candidate(name))
        changing.take_up(self.place, self.local, name)
        return self.candidate(name)

    def reviewed(self, candidate: Candidate) -> None:
        """Remember that a person has seen exactly this, compared with exactly what it would replace."""
        values = {"tree": candidate.tree, "base": candidate.base, "when": str(int(time.time()))}
        self.local.write(values, "reviews", candidate.name)

    def seen(self, name: str) -> tuple[str, str] | None:
        """The tree that was last reviewed of the candidate ``name``, and the one it was compared with."""
        kept = self.local.read("reviews", name) if is_name(name) else {}
        return (kept["tree"], kept.get("base", "")) if "tree" in kept else None

    def approve_what_was_seen(self, name: str) -> int:
        """Approve the candidate ``name`` as it was last reviewed. Raises UsageError when nobody has looked at it."""
        self.candidate(name)
        seen = self.seen(name)
        if seen is None:
            raise UsageError(f"Nobody has looked at {name} yet: habit review {name}")
        return changing.approve(self.place, self.local, name, *seen, {})

    def approve(self, candidate: Candidate, reviewed_tree: str, trailers: Mapping[str, str] | None = None) -> int:
        """Merge exactly the reviewed tree and tag it ``<name>@<n>``; gives n.

        Raises UsageError when anything changed since (the candidate, or what it replaces), Refused when a hook refuses.
        """
        return changing.approve(self.place, self.local, candidate.name, reviewed_tree, candidate.base, trailers or {})

    def reject(self, name: str, reason: str = "") -> None:
        """Take the candidate off the list; a tag keeps what it was, who did not want it, and why."""
        changing.reject(self.place, self.local, name, reason)

    def rollback(self, name: str, number: int, reason: str = "") -> None:
        """Let version ``number`` be the active one again, by a new commit; also brings back a retired habit."""
        changing.rollback(self.place, self.local, self.version(name, number), reason)

    def retire(self, name: str, reason: str = "") -> None:
        """Take a habit out of use, by a new commit; its versions stay, and ``rollback`` brings them back."""
        changing.retire(self.place, self.local, name, reason)

    def suspend(self, name: str, reason: str) -> None:
        """Stop using the active version, in this clone, until another is active or ``rollback`` names it again."""
        habit = self.get(name)
        tree = tree_at(self.git, "HEAD", self.place.path(habit.name))
        self.local.write({"tree": tree, "reason": plain(reason), "when": str(int(time.time()))}, "suspended", name)

    def restored(self, name: str) -> float:
        """When a version of ``name`` was last rolled back to, here or in commits from elsewhere; 0.0 for never."""
        kept = self.local.read("restored", name) if is_name(name) else {}
        commits = [one.when for one in history.entries(self.place, self.refs(), name) if one.what == "rolled back"]
        return max([float(kept.get("when", 0.0)), *commits])

    # --- how -----------------------------------------------------------------------------------------------------

    def _head_tree(self) -> str:
        return f"HEAD:{self.place.prefix.removesuffix('/')}"

    def _is_habit(self, one: Folder, refs: Refs) -> bool:
        """Whether a folder claims to be a habit; other folders may lie beside habits."""
        return is_name(one.name) and ("habit.toml" in one.entries or bool(refs.of(one.name)))

    def _name_of(self, path: str) -> str:
        """The habit in whose folder ``path`` (below the top) lies; empty for none."""
        inside = path.removeprefix(self.place.prefix)
        return inside.split("/", 1)[0] if "/" in inside and path.startswith(self.place.prefix) else ""

    def _not_approved(self, name: str, refs: Refs) -> str:
        known = refs.of(name)
        what = f"differs from {known[-1].label}" if known else "was never approved"
        return f"{self.place.path(name)} {what} and is not run; to look at it and approve it: habit review {name}"

    def _no_candidate(self, name: str) -> str:
        if fetched := self._fetched(name):
            return f"{name} has a candidate at {fetched}, not here yet: git branch habit/{name} {fetched}"
        known = ", ".join(one.name for one in self.refs().branches)
        return f"{name} has no candidate; waiting are: {known}." if known else f"{name} has no candidate to review."

    def _fetched(self, name: str) -> str:
        """The branch of a candidate as a remote was last seen to have it, such as ``origin/habit/NAME``; empty for none
        that is still to be merged."""
        if not is_name(name):
            return ""
        pattern = f"refs/remotes/*/habit/{name}"
        return self.git.line("for-each-ref", "--count=1", "--no-merged=HEAD", "--format=%(refname:lstrip=2)", pattern)

    def _unknown(self, name: str) -> str:
        refs = self.refs()
        if refs.branch(name):
            return f"{name} is a candidate that waits for: habit review {name}"
        if self._fetched(name) and not refs.of(name):
            return self._no_candidate(name)
        if refs.of(name):
            return f"{name} is retired; to bring it back: habit rollback {name} {refs.of(name)[-1].number}"
        known = ", ".join(standing.name for standing in self.standings())
        return f"There is no habit {name!r} in {self.place.shown}; " + (
            f"known: {known}." if known else "it has none yet: habit learn RUN makes one."
        )

    def _habit(self, name: str, files: Mapping[str, bytes] | UsageError, version: int | None, where: str = "") -> Habit:
        if isinstance(files, UsageError):
            raise files
        place = where or (self.place.path(name) if version is None else f"{name}@{version}")
        habit = Habit.from_files(files, where=place, version=version)
        if habit.name != name:
            raise UsageError(f"{place}/habit.toml says that it is {habit.name}: rename the folder or the habit.")
        return habit

    def _read(self, one: Folder, where: str) -> Habit:
        return self._habit(one.name, read_files(self.git, [one])[one.name], None, where)

    def _of_version(self, version: Version) -> Habit:
        files = read_files(self.git, [folder(self.git, version.name, version.tree)])[version.name]
        return self._habit(version.name, files, version.number)

    def _current_tree(self, name: str) -> str:
        return tree_at(self.git, "HEAD", self.place.path(name))

    def _newest_tree(self, name: str) -> str:
        refs = self.refs()
        if refs.branch(name):
            return self.candidate(name).tree
        if not refs.of(name):
            raise UsageError(self._unknown(name))
        return refs.of(name)[-1].tree
