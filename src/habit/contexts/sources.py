"""The things that paths name: files, folders, what a glob matches, standard input."""

from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from habit.contexts.files import shown
from habit.errors import UsageError

STDIN = "-"


@dataclass(frozen=True)
class Source:
    """One thing to read: a file or folder by its absolute path, or standard input."""

    kind: Literal["file", "folder", "stdin"]
    path: str
    relative: bool = field(default=False, compare=False)


def expand(path: str) -> list[Source]:
    """What ``path`` names: itself, or the matches of a glob that no shell has expanded."""
    if path == STDIN:
        return [Source("stdin", STDIN)]
    if not path or "\0" in path:
        raise UsageError("A path is empty or holds a NUL character; name a file, a folder, or - for standard input.")
    try:
        os.lstat(path)
        return [_source(path)]
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise UsageError(f"{shown(path)[:200]} cannot be read ({error.strerror}); check the path.") from None
    if glob.has_magic(path):
        matches = sorted(glob.glob(path, recursive=True))
        if not matches:
            raise UsageError(f"No file matches {shown(path)}; check the pattern.")
        return [_source(match) for match in matches]
    raise UsageError(_missing(path))


def _source(path: str) -> Source:
    whole = os.path.abspath(path)
    if ".." in path.split(os.sep):
        # After a link, the folder above is not the one that the text of the path suggests.
        folder, name = os.path.split(path)
        whole = os.path.realpath(path) if name == ".." else os.path.join(os.path.realpath(folder), name)
    return Source("folder" if os.path.isdir(path) else "file", whole, not os.path.isabs(path))


def _missing(path: str) -> str:
    folder, name = os.path.split(path.rstrip(os.sep))
    if not os.path.isdir(folder or "."):
        return f"There is no file {shown(path)}, nor a folder {shown(folder)}; check the path."
    try:
        with os.scandir(folder or ".") as entries:
            names = [entry.name for entry in islice(entries, 20_000)]
    except OSError:
        names = []
    folded = {known.casefold(): known for known in names}
    near = [folded[key] for key in difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)]
    hint = f"did you mean {' or '.join(shown(os.path.join(folder, known)) for known in near)}?" if near else ""
    return f"There is no file {shown(path)}; {hint or 'check the path.'}"


def base_of(sources: Sequence[Source]) -> str:
    """What keys are relative to: where we are, or what absolute paths have in common."""
    folders = [os.path.dirname(source.path) for source in sources if source.kind != "stdin"]
    if any(source.relative for source in sources) or not folders:
        return os.getcwd()
    return os.path.commonpath(folders)


def key_of(source: Source, base: str) -> str:
    """The key of ``source`` in a dict of texts."""
    return STDIN if source.kind == "stdin" else os.path.relpath(source.path, base)
