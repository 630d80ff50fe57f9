"""Asking people, on their terminal, before a map that is expected to be expensive is sent."""

from __future__ import annotations

import contextlib
import os
import sys
import termios
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from habit.cli.output import is_terminal

if TYPE_CHECKING:
    from habit.calls.events import FanOut
    from habit.cli.progress import Progress

_YES = __name__ + ".yes"
_QUESTION = "Go on? [y/N] "


def _note_yes(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    context.meta[_YES] = value


yes_option = click.option(
    "--yes",
    is_flag=True,
    expose_value=False,
    callback=_note_yes,
    help="Send large maps unasked, whatever they are expected to cost.",
)


def agreed_beforehand() -> bool:
    """Whether the command at hand was given ``--yes``; to be asked in its own thread."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_YES))


class Agreement:
    """Asks people whether a map may be sent; without a terminal to ask on, only ``--yes`` agrees."""

    def __init__(self, progress: Callable[[], Progress | None]) -> None:
        """``progress`` is the one on the terminal at the time of asking; it has told what the map is by then."""
        self._progress = progress
        self._yes = agreed_beforehand()

    async def __call__(self, map_: FanOut) -> bool:
        """Whether to go on."""
        if self._yes:
            return True
        progress = self._progress()
        with _keyboard() as keyboard, progress.held() if progress else contextlib.nullcontext():
            if keyboard is None:
                return False
            with contextlib.suppress(termios.error):  # not a terminal after all
                termios.tcflush(keyboard, termios.TCIFLUSH)  # nothing typed ahead counts as an answer
            sys.stderr.write(_QUESTION)
            sys.stderr.flush()
            return (await _line(keyboard)).strip().lower() in (b"y", b"yes")


@contextlib.contextmanager
def _keyboard() -> Iterator[int | None]:
    """A file to read a person's answer from: the terminal, even where standard input is something else."""
    if not is_terminal(sys.stderr):
        yield None
    elif is_terminal(sys.stdin):
        yield sys.stdin.fileno()
    else:
        try:
            terminal = os.open("/dev/tty", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            yield None
            return
        try:
            yield terminal
        finally:
            os.close(terminal)


async def _line(keyboard: int) -> bytes:
    """The next line that is typed, without holding up the event loop."""
    import anyio

    line = b""
    while not line.endswith(b"\n"):
        await anyio.wait_readable(keyboard)
        typed = os.read(keyboard, 1024)
        if not typed:  # Ctrl-D
            break
        line += typed
    return line
