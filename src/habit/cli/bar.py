"""The bar of a long download, on stderr: redrawn on a terminal, a line for every tenth anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from habit.cli.output import is_live, note_line

Advance = Callable[[int, int], None]
"""Takes the bytes that are here and the bytes that there will be."""


@contextmanager
def progress_bar(name: str) -> Iterator[Advance]:
    """A bar for fetching ``name``; gives the function to call with how far it is."""
    if not is_live(sys.stderr):
        yield _tenths(name)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _tenths(name: str) -> Advance:
    shown = -1

    def advance(done: int, total: int) -> None:
        nonlocal shown
        tenth = done * 10 // total if total else 0
        if tenth > shown:
            shown = tenth
            note_line(f"{name}: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB")

    return advance
