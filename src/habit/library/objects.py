"""Habits as git objects: trees of folders, the files in them, and trees made of files. No work tree is looked at."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from habit.errors import UsageError
from habit.library.git import Git, GitError
from habit.library.habit import CASES, MOST_BYTES, MOST_FILE_BYTES, MOST_FILES

FILE_MODES = ("100644", "100755")


@dataclass(frozen=True)
class Entry:
    """One file of a folder, as git holds it."""

    mode: str
    """``120000`` is a link, ``160000`` another repository: neither is ever followed."""
    blob: str
    size: int


@dataclass(frozen=True)
class Folder:
    """One folder below the library, as git holds it."""

    name: str
    tree: str
    entries: Mapping[str, Entry]
    """By path in the folder."""


def folders(git: Git, treeish: str) -> dict[str, Folder]:
    """The folders directly below ``treeish``, with all their files; none when there is no such tree."""
    try:
        listing = git.read("ls-tree", "-r", "-t", "-z", "-l", "--full-tree", treeish)
    except GitError:
        if git.line("rev-parse", "--verify", "--quiet", treeish):
            raise
        return {}
    trees: dict[str, str] = {}
    entries: dict[str, dict[str, Entry]] = {}
    for line in listing.split(b"\0"):
        if not line:
            continue
        details, path = line.decode("utf-8", "surrogateescape").split("\t", 1)
        mode, kind, oid, size = details.split()
        top, _, rest = path.partition("/")
        if kind == "tree" and not rest:
            trees[top] = oid
        elif kind != "tree" and rest:
            entries.setdefault(top, {})[rest] = Entry(mode, oid, int(size) if size.isdigit() else 0)
    return {name: Folder(name, tree, entries.get(name, {})) for name, tree in trees.items()}


def folder(git: Git, name: str, tree: str) -> Folder:
    """The folder that the object ``tree`` is. Raises UsageError when there is no such tree here."""
    try:
        listing = git.read("ls-tree", "-r", "-z", "-l", "--full-tree", tree)
    except GitError as problem:
        raise UsageError(f"The files of {name} are not in this repository; fetch its tags again ({problem}).") from None
    entries = {}
    for line in listing.split(b"\0"):
        if line:
            details, path = line.decode("utf-8", "surrogateescape").split("\t", 1)
            mode, _, oid, size = details.split()
            entries[path] = Entry(mode, oid, int(size) if size.isdigit() else 0)
    return Folder(name, tree, entries)


def read_files(git: Git, wanted: Iterable[Folder]) -> dict[str, dict[str, bytes] | UsageError]:
    """The contents of the folders' files, by folder; an error where a folder is not one that anybody should read."""
    found: dict[str, dict[str, bytes] | UsageError] = {}
    blobs: list[tuple[str, str, str]] = []
    for one in wanted:
        trouble = _trouble(one)
        if trouble:
            found[one.name] = UsageError(f"{one.name} can't be used: {trouble}.")
            continue
        found[one.name] = {}
        blobs += [(one.name, path, entry.blob) for path, entry in one.entries.items()]
    if not blobs:
        return found
    output = git.read("cat-file", "--batch", stdin="".join(f"{blob}\n" for _, _, blob in blobs).encode())
    at = 0
    for name, path, blob in blobs:
        end = output.index(b"\n", at)
        header = output[at:end].split()
        files = found[name]
        assert not isinstance(files, UsageError)
        if header[1:2] != [b"blob"]:
            raise UsageError(f"The file {name}/{path} ({blob[:12]}) is not in this repository: fetch it again.")
        size = int(header[2])
        files[path] = output[end + 1 : end + 1 + size]
        at = end + 1 + size + 1
    return found


def _trouble(one: Folder) -> str:
    if len(one.entries) > MOST_FILES:
        return f"it has more than {MOST_FILES} files"
    for path, entry in one.entries.items():
        if entry.mode not in FILE_MODES:
            return f"{path} is a link or another repository, not a file"
        if entry.size > MOST_FILE_BYTES:
            return f"{path} is larger than {MOST_FILE_BYTES >> 20} MiB"
    if sum(entry.size for entry in one.entries.values()) > MOST_BYTES:
        return f"its files are larger than {MOST_BYTES >> 20} MiB together"
    return ""


def write_tree(git: Git, files: Mapping[str, bytes]) -> str:
    """The tree of a folder with ``files`` (those of a habit: at most in ``cases/``), written to the repository."""
    paths = sorted(files)
    with tempfile.TemporaryDirectory(prefix="habit-files-") as place:
        on_disk = []
        for index, path in enumerate(paths):
            on_disk.append(Path(place, str(index)))
            on_disk[-1].write_bytes(files[path])
        listing = "".join(f"{path}\n" for path in on_disk).encode("utf-8", "surrogateescape")
        blobs = git.read("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=listing).decode().split()
    by_path = dict(zip(paths, blobs, strict=True))
    cases = {path.removeprefix(CASES): blob for path, blob in by_path.items() if path.startswith(CASES)}
    lines = [f"100644 blob {blob}\t{path}" for path, blob in by_path.items() if not path.startswith(CASES)]
    if cases:
        tree = _make_tree(git, [f"100644 blob {blob}\t{name}" for name, blob in cases.items()])
        lines.append(f"040000 tree {tree}\tcases")
    return _make_tree(git, lines)


def empty_tree(git: Git) -> str:
    """The tree of an empty folder."""
    return _make_tree(git, [])


def _make_tree(git: Git, lines: list[str]) -> str:
    return git.read("mktree", "-z", stdin="".join(f"{line}\0" for line in lines).encode()).decode().strip()


def tree_at(git: Git, commit: str, path: str) -> str:
    """The object that ``path`` is in ``commit``; empty when it is not there."""
    return git.line("rev-parse", "--verify", "--quiet", f"{commit}:{path}") if commit else ""
