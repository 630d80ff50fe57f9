"""One line on stderr that is redrawn in place, where there is a terminal to draw it on."""

from __future__ import annotations

import contextlib
import sys

from habit.cli.output import coloured, is_live, one_line, width_of

_CLEAR = "\r\x1b[2K"


class LiveLine:
    """The line; nothing is drawn where ``is_live`` is false."""

    def __init__(self) -> None:
        self.stream = sys.stderr
        self.is_live = is_live(self.stream)
        self._drawn = False

    def draw(self, line: str) -> None:
        """Show ``line``, as far as there is room for it, in the place of what was there."""
        with contextlib.suppress(OSError, ValueError):  # a terminal that went away must not end the work
            self.stream.write(_CLEAR + coloured(one_line(line[: width_of(self.stream) - 1]), "2", self.stream))
            self.stream.flush()
            self._drawn = True

    def erase(self) -> None:
        """Take it away until it is drawn again."""
        if self._drawn:
            self._drawn = False
            with contextlib.suppress(OSError, ValueError):
                self.stream.write(_CLEAR)
                self.stream.flush()

    def close(self) -> None:
        """Take it away, for good."""
        self.erase()
        self.is_live = False
