"""What happened to a habit, as tags, commits and branches tell; and differences between its versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from habit.library.git import Git
from habit.library.messages import EVENTS, REASON, RETIRED, ROLLED_BACK, trailers_of
from habit.library.place import Place
from habit.library.versions import Refs

What = Literal["candidate", "approved", "rejected", "rolled back", "retired"]


@dataclass(frozen=True)
class Entry:
    """One event."""

    when: int
    """Unix seconds."""
    what: What
    version: int | None
    who: str
    commit: str
    details: str = ""
    """The reason, or where the version comes from."""


def entries(place: Place, refs: Refs, name: str) -> list[Entry]:
    """Everything that happened to ``name``, newest first."""
    found = [
        Entry(one.when, "approved", one.number, one.who, one.commit, _source(one.message)) for one in refs.of(name)
    ]
    found += [
        Entry(one.when, "rejected", None, one.who, one.commit, one.reason)
        for one in refs.rejections
        if one.name == name
    ]
    found += [Entry(one.when, "candidate", None, "", one.commit) for one in refs.branches if one.name == name]
    found += _commits(place.git, name)
    return sorted(found, key=lambda entry: (entry.when, entry.version or 0), reverse=True)


def _source(message: str) -> str:
    trailers = trailers_of(message.split("-----BEGIN ", 1)[0])
    run, model = trailers.get("Habit-Run", ""), trailers.get("Habit-Model", "")
    return ", ".join(part for part in (f"run {run}" if run else "", model) if part)


def _commits(git: Git, name: str) -> list[Entry]:
    """Roll-backs and retirements in the history of HEAD."""
    if not git.line("rev-parse", "--verify", "--quiet", "HEAD"):
        return []
    wanted = [f"--grep=^{event}: {name}(@[0-9]+)?$" for event in EVENTS if event in (ROLLED_BACK, RETIRED)]
    form = "--format=%H%x00%ct%x00%cn <%ce>%x00%B%x00"
    cells = git.read("log", "-E", *wanted, form, "HEAD", "--").decode("utf-8", "replace").split("\0")[:-1]
    found = []
    for at in range(0, len(cells), 4):
        commit, when, who, body = cells[at : at + 4]
        trailers = trailers_of(body)
        rolled, retired = trailers.get(ROLLED_BACK, ""), trailers.get(RETIRED, "")
        what: What = "rolled back" if rolled else "retired"
        label = rolled or retired
        number = label.partition("@")[2]
        if label.partition("@")[0] == name:
            version = int(number) if number.isdigit() else None
            found.append(Entry(int(when), what, version, who, commit.strip(), trailers.get(REASON, "")))
    return found


def difference(git: Git, old: str, new: str) -> str:
    """Two trees compared, as a unified diff without colours; nothing of the user's configuration has a say in it."""
    options = ("--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--src-prefix=a/", "--dst-prefix=b/")
    return git.read("diff", *options, old, new, "--").decode("utf-8", "replace")
