"""A habit in memory: what it says of itself, its scheduler, its cases; and the files of a folder that hold it.

Files come from git repositories, which are hostile input: sizes are capped, names are checked, nothing is run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from habit.errors import UsageError
from habit.library.case import Case
from habit.library.skill import skill_text
from habit.library.spec import HabitSpec

SPEC_FILE = "habit.toml"
SOURCE_FILE = "scheduler.py"
SKILL_FILE = "SKILL.md"
CASES = "cases/"
CASE_FILE = re.compile(r"cases/([A-Za-z0-9][A-Za-z0-9_-]{0,99})\.json")
MOST_FILE_BYTES = 32 << 20
"""The largest file of a habit that is read; contexts of cases are cut down long before that."""
MOST_BYTES = 256 << 20
"""Of all files of a habit together: every question that may be one for it reads them."""
MOST_FILES = 1000


@dataclass(frozen=True)
class Habit:
    """A versioned scheduler with all that vouches for it."""

    spec: HabitSpec
    source: str
    """The text of ``scheduler.py``."""
    cases: Mapping[str, Case] = field(default_factory=dict)
    """By name: ``first`` stands in ``cases/first.json``."""
    version: int | None = None
    """Its number, once approved; None for a candidate."""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.spec.name

    @property
    def label(self) -> str:
        """``count-label@1``; the bare name of a candidate."""
        return self.name if self.version is None else f"{self.name}@{self.version}"

    def files(self) -> dict[str, bytes]:
        """The files of its folder, by path; the same habit always gives the same bytes."""
        texts = {
            SPEC_FILE: self.spec.to_toml(),
            SOURCE_FILE: self.source if self.source.endswith("\n") else f"{self.source}\n",
            SKILL_FILE: skill_text(self.spec),
        }
        for name, case in sorted(self.cases.items()):
            path = f"{CASES}{name}.json"
            if not CASE_FILE.fullmatch(path):
                raise UsageError(f"{name!r} is no name for a case: use letters, digits, hyphens and underscores.")
            texts[path] = case.to_json()
        try:
            return {path: text.encode("utf-8") for path, text in texts.items()}
        except UnicodeEncodeError as problem:
            raise UsageError(f"The habit {self.name} can't be written as UTF-8: {problem.reason}.") from None

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], *, where: str = "", version: int | None = None) -> Self:
        """Read a folder, given as its files by path; others than a habit's own are ignored.

        ``where`` names the folder in errors. Raises UsageError that says which file is wrong.
        """
        texts = {path: _text(path, files, where) for path in files if _is_ours(path)}
        for path in (SPEC_FILE, SOURCE_FILE):
            if path not in texts:
                raise UsageError(f"{where or 'The folder'} is no habit, because it has no {path}: restore it from git.")
        cases = {
            found[1]: Case.from_json(text, f"{where}/{path}" if where else path)
            for path, text in sorted(texts.items())
            if (found := CASE_FILE.fullmatch(path))
        }
        spec = HabitSpec.from_toml(texts[SPEC_FILE], f"{where}/{SPEC_FILE}" if where else SPEC_FILE)
        return cls(spec, texts[SOURCE_FILE], cases, version)

    def at(self, version: int | None) -> Self:
        """The same as the version of this number."""
        return replace(self, version=version)


def _is_ours(path: str) -> bool:
    return path in (SPEC_FILE, SOURCE_FILE) or CASE_FILE.fullmatch(path) is not None


def _text(path: str, files: Mapping[str, bytes], where: str) -> str:
    """One file as text with plain line ends."""
    place = f"{where}/{path}" if where else path
    if len(files[path]) > MOST_FILE_BYTES:
        raise UsageError(f"{place} is larger than {MOST_FILE_BYTES >> 20} MiB: restore it from git.")
    try:
        return files[path].decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise UsageError(f"{place} is not UTF-8 text: restore it from git.") from None
