"""What happened to a habit, as tags, commits and branches tell; and differences between its versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from habit.library.git import Git
from habit.library.messages import APPROVED, EVENTS, REASON, RETIRED, ROLLED_BACK, trailers_of
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
    order = _commits(place.git, name)
    found = [
        Entry(one.when, "approved", one.number, one.who, one.commit, _source(one.message)) for one in refs.of(name)
    ]
    for one in refs.rejections:
        if one.name == name:
            found.append(Entry(one.when, "rejected", None, one.who, one.commit, one.reason))
    found += [Entry(one.when, "candidate", None, "", one.commit) for one in refs.branches if one.name == name]
    found += [entry for entry in order.values() if entry.what != "approved"]
    place_of = {commit: -index for index, commit in enumerate(order)}
    return sorted(found, key=lambda one: (one.when, place_of.get(one.commit, 1), one.version or 0), reverse=True)


def _source(message: str) -> str:
    trailers = trailers_of(message.split("-----BEGIN ", 1)[0])
    run, model = trailers.get("Habit-Run", ""), trailers.get("Habit-Model", "")
    return ", ".join(part for part in (f"run {run}" if run else "", model) if part)


def _commits(git: Git, name: str) -> dict[str, Entry]:
    """What changed which version is active, in the history of HEAD, by commit and newest first."""
    if not git.line("rev-parse", "--verify", "--quiet", "HEAD"):
        return {}
    wanted = [f"--grep=^{event}: {name}(@[0-9]+)?$" for event in EVENTS]
    form = "--format=%H%x00%ct%x00%cn <%ce>%x00%B%x00"
    cells = git.read("log", "--topo-order", "-E", *wanted, form, "HEAD", "--").decode("utf-8", "replace").split("\0")
    found = {}
    for at in range(0, len(cells) - 1, 4):
        commit, when, who, body = cells[at : at + 4]
        trailers = trailers_of(body)
        for event, what in _EVENTS.items():
            label, _, number = trailers.get(event, "").partition("@")
            if label == name:
                version = int(number) if number.isdigit() else None
                entry = Entry(int(when), what, version, who, commit.strip(), trailers.get(REASON, ""))
                found[entry.commit] = entry
    return found


_EVENTS: dict[str, What] = {APPROVED: "approved", ROLLED_BACK: "rolled back", RETIRED: "retired"}


def difference(git: Git, old: str, new: str) -> str:
    """Two trees compared, as a unified diff without colours; nothing of the user's configuration has a say in it."""
    options = ("--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--src-prefix=a/", "--dst-prefix=b/")
    return git.read("diff", *options, old, new, "--").decode("utf-8", "replace")
