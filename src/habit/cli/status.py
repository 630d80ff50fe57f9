"""Exit statuses; docs/cli.md promises them to other programs."""

from __future__ import annotations

ANSWERED = 0
"""Also for an answer that was salvaged at a limit; a warning on stderr says so."""
FAILED = 1
USAGE = 2
BUDGET = 3
INTERRUPTED = 130
