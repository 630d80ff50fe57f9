"""Why a run can't become a habit, and what would change that."""

from __future__ import annotations

from habit.errors import UsageError


class CannotLearn(UsageError):
    """A run that can't become a sound habit: the reason, and what would change it."""

    def __init__(self, reason: str, what_would_change_it: str) -> None:
        super().__init__(f"This can't become a habit: {reason}; {what_would_change_it}.")
        self.reason = reason
        self.what_would_change_it = what_would_change_it
