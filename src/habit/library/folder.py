"""Habits as they lie in a folder, approved or not: what ``habit test``, pytest and a team's CI look at.

Nothing here is run as it lies: runs take habits from git, see repository.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from habit.errors import UsageError
from habit.library.habit import CASE_FILE, CASES, SOURCE_FILE, SPEC_FILE, Habit
from habit.library.habit import MOST_FILE_BYTES as MOST_BYTES
from habit.library.habit import MOST_FILES as MOST


def habit_folders(library: Path, names: Sequence[str] = ()) -> list[Path]:
    """The folders of ``library`` that hold a habit, or those of ``names``, in order. Raises UsageError."""
    if not library.is_dir():
        raise UsageError(f"There is no library in {library}: make one with habit init, or name one with --library DIR.")
    if not names:
        return sorted(path.parent for path in library.glob(f"*/{SPEC_FILE}"))
    folders = [library / name for name in dict.fromkeys(names)]
    for folder in folders:
        if folder.parent != library or not (folder / SPEC_FILE).is_file():
            raise UsageError(f"There is no habit {folder.name!r} in {library}: habit habits lists those there are.")
    return folders


def read_folder(folder: Path) -> Habit:
    """The habit in ``folder``. Raises UsageError that says which file is wrong."""
    files: dict[str, bytes] = {}
    for path in [folder / SPEC_FILE, folder / SOURCE_FILE, *sorted((folder / CASES).glob("*.json"))[:MOST]]:
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not path.is_file():
            continue  # A link may lead anywhere, and a habit needs none.
        if name in (SPEC_FILE, SOURCE_FILE) or CASE_FILE.fullmatch(name):
            if path.stat().st_size > MOST_BYTES:
                raise UsageError(f"{path} is larger than {MOST_BYTES >> 20} MiB: restore it from git.")
            files[name] = path.read_bytes()
    habit = Habit.from_files(files, where=str(folder))
    if habit.name != folder.name:
        raise UsageError(f"{folder / SPEC_FILE} calls itself {habit.name!r}: rename the folder, or the habit.")
    return habit


def read_all(library: Path, names: Sequence[str] = ()) -> Mapping[str, Habit | UsageError]:
    """The habits of ``library``, or those of ``names``; in place of one that cannot be read, the reason."""
    found: dict[str, Habit | UsageError] = {}
    for folder in habit_folders(library, names):
        try:
            found[folder.name] = read_folder(folder)
        except UsageError as problem:
            found[folder.name] = problem
    return found
