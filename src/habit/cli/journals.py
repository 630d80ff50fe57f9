"""The journal a command reads: asked about before it is opened, because opening one that is not there creates it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from habit.errors import UsageError

if TYPE_CHECKING:
    from habit.config import Settings


def journal_of(settings: Settings) -> Path:
    """Where the journal is, or would be. Raises UsageError when none is kept."""
    if settings.no_journal:
        raise UsageError("No journal is kept, because no_journal is set in habit.toml or HABIT_NO_JOURNAL.")
    return Path(settings.journal)


def must_exist(settings: Settings) -> None:
    """Raises UsageError when there is no journal to find a run in."""
    if not journal_of(settings).exists():
        raise UsageError(f"There is no journal {settings.journal}; name one with --journal FILE.")
