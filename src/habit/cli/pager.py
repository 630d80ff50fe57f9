"""Shows text on a terminal a screenful at a time, in the reader's own pager, when it is longer than the screen."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys

from habit.cli.output import encode, is_live, is_terminal, width_of, write

_OPTIONS = "-FRX"
"""For less, as git calls it: end at once when all fits, colours as they are, leave the text on the screen."""


def write_paged(text: str, *, wanted: bool = True) -> None:
    """Put ``text`` on stdout; through a pager when it is ``wanted``, is long, and a person reads it."""
    command = _pager() if wanted and _is_long(text) else []
    if not command or not _page(text, command):
        write(text)


def _is_long(text: str) -> bool:
    """Whether a person at a terminal would see the beginning of ``text`` scroll away."""
    if not (is_live(sys.stdout) and is_terminal(sys.stdin)):
        return False
    try:
        rows = os.get_terminal_size(sys.stdout.fileno()).lines or 24
    except (OSError, ValueError):
        rows = 24
    width = width_of(sys.stdout)
    return sum(1 + max(0, len(line) - 1) // width for line in text.splitlines()) >= rows


def _pager() -> list[str]:
    """The command: HABIT_PAGER, else PAGER, else less or more; empty for none."""
    for name in ("HABIT_PAGER", "PAGER"):
        if name in os.environ:
            try:
                return shlex.split(os.environ[name])
            except ValueError:  # a quotation mark without its other half
                return []
    return next(([name] for name in ("less", "more") if shutil.which(name)), [])


def _page(text: str, command: list[str]) -> bool:
    """Show ``text`` in the pager; False when it could not be started."""
    environment = {"LESS": _OPTIONS, "LESSCHARSET": "utf-8", **os.environ}
    try:
        pager = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
    except OSError:
        return False
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the pager's, which ends a search with it
    try:
        pager.communicate(encode(text if text.endswith("\n") else f"{text}\n", "utf-8"))  # it may leave before the end
    finally:
        signal.signal(signal.SIGINT, before)
    return True
