"""Files on disk: read safely one by one, found in folders by the rules of git."""

from __future__ import annotations

import itertools
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from typing import TypeAlias

from pathspec import GitIgnoreSpec

from habit.memory import require_memory

LEFT_OUT = frozenset({".git", ".hg", ".svn", ".bzr", ".jj", ".habit", "_darcs", "CVS"})
"""Folders that hold version control's own data, or Habit's; never part of an input."""
_MAX_IGNORE_BYTES = 1 << 20
_LARGE = 64 << 20
"""Bytes from which on it is asked whether there is memory for a file."""
_FOLDERS_A_TICK = 100


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One line of a ``.gitignore``."""

    regex: re.Pattern[str]
    ignores: bool
    """False for one that begins with ``!``."""


_Rules: TypeAlias = tuple[tuple[str, Sequence[_Pattern]], ...]
"""(folder with a slash at its end, what its .gitignore says), from the outermost folder to the innermost."""


class Unusable(Exception):
    """A file that cannot be read as text: what it is or lacks, and the way on."""

    def __init__(self, path: str, reason: str, remedy: str = "leave it out") -> None:
        super().__init__(path, reason, remedy)
        self.path = path
        self.reason = reason
        self.remedy = remedy


def shown(path: str) -> str:
    """``path`` for messages: one line of valid Unicode, whatever bytes the name is made of."""
    if path.isprintable():
        return path
    text = os.fsencode(path).decode("utf-8", "replace")
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def read_file(path: str) -> bytes:
    """The bytes of a regular file; raises Unusable for anything else, and never waits for another process.

    Raises UsageError when there is no memory for it.
    """
    with opened_file(path) as (file, size):
        if size >= _LARGE:
            require_memory(size)
        return file.readall()


@contextmanager
def opened_file(path: str) -> Iterator[tuple[FileIO, int]]:
    """A regular file, opened for reading, and its size; raises Unusable for anything else, or when reading fails."""
    try:
        # Asked before it is opened, since opening a device can do things; and after, since it may be another by then.
        _regular(path, os.stat(path).st_mode)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            _regular(path, status.st_mode)
            yield file, status.st_size
    except FileNotFoundError:
        reason = "is a link that leads nowhere" if os.path.islink(path) else "is no longer there"
        raise Unusable(path, reason) from None
    except PermissionError:
        raise Unusable(path, "may not be read by you", "change its permissions (chmod +r), leave it out") from None
    except OSError as error:
        raise Unusable(path, f"cannot be read ({error.strerror})") from None


def _regular(path: str, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise Unusable(path, "is a folder")
    kinds = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
    kind = kinds.get(stat.S_IFMT(mode), "a device")
    raise Unusable(path, f"is {kind}, not a file", f'pipe its text in (habit ask "…" - < {shown(path)}), leave it out')


@dataclass
class Folder:
    """What is in a folder and all folders below, by the rules of its ``.gitignore`` files."""

    root: str
    """Absolute path."""
    bad: list[Unusable] = field(default_factory=list)
    ignored: int = 0
    links_out: int = 0
    """Links to files outside the folder: a folder from elsewhere must not bring in what its reader never named."""
    folder_links: int = 0
    tick: Callable[[], None] = lambda: None
    """Called now and then while many folders are listed."""

    def walk(self) -> list[tuple[str, str]]:
        """(path relative to the folder, absolute path) of every file, sorted."""
        real_root = os.path.realpath(self.root)
        found: list[tuple[str, str]] = []
        pending = [(self.root, "", outer_rules(self.root))]
        for count in itertools.count(1):
            if not pending:
                break
            if count % _FOLDERS_A_TICK == 0:
                self.tick()
            folder, prefix, rules = pending.pop()
            try:
                with os.scandir(folder) as entries:
                    listing = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                self.bad.append(Unusable(folder, f"is a folder that cannot be listed ({error.strerror})"))
                continue
            rules = own_rules(folder, rules)
            for entry in listing:
                path, name = entry.path, prefix + entry.name
                try:
                    is_folder = entry.is_dir(follow_symlinks=False)
                    link = entry.is_symlink()
                except OSError as error:
                    self.bad.append(Unusable(path, f"cannot be read ({error.strerror})"))
                    continue
                if entry.name in LEFT_OUT and (is_folder or entry.name == ".git"):
                    continue
                if is_ignored(path, rules, is_folder=is_folder):
                    self.ignored += 1
                elif is_folder:
                    pending.append((path, name + "/", rules))
                elif not link or self._leads_inside(path, real_root):
                    found.append((name, path))
        return sorted(found)

    def _leads_inside(self, link: str, real_root: str) -> bool:
        """Whether a link leads to a file of this folder. One to a folder is not followed: what is in a folder below
        this one is found there, and what is elsewhere was not asked for."""
        target = os.path.realpath(link)
        if os.path.isdir(link):
            self.folder_links += 1
            return False
        # One that leads nowhere is kept, to be named with all else that cannot be read.
        if os.path.exists(link) and os.path.commonpath([target, real_root]) != real_root:
            self.links_out += 1
            return False
        return True


def is_ignored(path: str, rules: _Rules, *, is_folder: bool) -> bool:
    """What the innermost ``.gitignore`` that has anything to say about ``path`` says."""
    for base, patterns in reversed(rules):
        inside = path[len(base) :] + "/" * is_folder
        for pattern in reversed(patterns):
            if pattern.regex.search(inside):
                return pattern.ignores
    return False


def own_rules(folder: str, rules: _Rules) -> _Rules:
    """``rules`` and those that the ``.gitignore`` in ``folder`` adds."""
    path = os.path.join(folder, ".gitignore")
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return rules
        data = read_file(path)[:_MAX_IGNORE_BYTES]
    except (OSError, Unusable):
        return rules
    lines = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff").split("\n")
    patterns = [pattern for line in lines for pattern in _patterns(line.removesuffix("\r"))]
    return (*rules, (os.path.join(folder, ""), patterns)) if patterns else rules


def _patterns(line: str) -> Iterator[_Pattern]:
    try:
        read = GitIgnoreSpec.from_lines([line]).patterns
    except ValueError:
        # git passes over a pattern it cannot read, and so do we.
        return
    for pattern in read:
        if pattern.regex is not None and pattern.include is not None:
            yield _Pattern(_itself(pattern.regex), pattern.include)


def _itself(regex: re.Pattern[str]) -> re.Pattern[str]:
    """``regex`` for what a pattern names, and not for what is below that, nor ``a`` for ``a/**``.

    As git does, every folder on the way is asked about by itself; pathspec weighs all of them against each other.
    """
    if "ps_d" in regex.groupindex:  # the slash behind a folder, on the way or at the end
        return re.compile(rf"(?:{regex.pattern})\Z", regex.flags)
    return re.compile(regex.pattern + "." * regex.pattern.endswith("/"), regex.flags)


def outer_rules(folder: str) -> _Rules:
    """The rules of the folders above, up to the top of the git repository, unless they rule out ``folder`` itself."""
    above: list[str] = []
    inner = folder
    while not os.path.lexists(os.path.join(inner, ".git")):
        outer = os.path.dirname(inner)
        if outer == inner:
            return ()
        above.append(outer)
        inner = outer
    rules: _Rules = ()
    if not above:
        return rules
    for outer, inner in zip(reversed(above), [*reversed(above[:-1]), folder], strict=True):
        rules = own_rules(outer, rules)
        if is_ignored(inner, rules, is_folder=True):
            # Asked for by name all the same, so what rules it out does not count.
            return ()
    return rules
