"""Reads a root reply while it comes: gives the statements of its first code block as soon as each is complete."""

from __future__ import annotations

import ast
import re

from habit.schedulers.replies import LANGUAGES

_OPENING = re.compile(rf"```(?:{'|'.join(sorted(LANGUAGES))})\n", re.IGNORECASE)
_SETTLED_LATER = re.compile(r"^[ \t]*(?:`{3,}|~{3,}|\[\[ ## )|^[ \t>*_`]*FINAL", re.MULTILINE)
"""What makes a reply more than one block after some talk; which code is run is then clear at its end only."""
_GOES_ON = re.compile(r"(?:else|elif|except|finally)\b|[ \t#)\]}]|$")
"""How a line begins that is no new statement: a clause of the one before, the inside of one, a comment or nothing."""
MOST_CODE = 100_000
"""Characters of a block above which it is read no further: each of its statements is parsed as it ends."""


class OpenBlock:
    """The block that a reply has opened. Cautious: where another reading is possible, it gives nothing more."""

    def __init__(self) -> None:
        self.over = False
        """Nothing more will come."""
        self._begin: int | None = None
        self._given = 0
        self._looked = 0
        self._text = ""

    def feed(self, text: str) -> str:
        """The statements that are complete now and were not before; ``text`` is all of the reply so far.

        A reply that does not go on from what was fed before (it is being asked for again) ends the reading.
        """
        text = text.replace("\r\n", "\n").removesuffix("\r")
        self.over = self.over or not text.startswith(self._text)
        self._text = text
        if self.over or (self._begin is None and not self._find_beginning()):
            return ""
        assert self._begin is not None
        code = text[self._begin :]
        if len(code) > MOST_CODE:
            self.over = True
        end = code.rfind("\n") + 1  # a line is read once it is whole
        given = ""
        while (line_end := code.find("\n", self._looked, end)) >= 0:
            line = code[self._looked : line_end]
            if "```" in line or "~~~" in line:
                self.over = True
                break
            if not _GOES_ON.match(line):
                given += self._complete(code[self._given : self._looked])
            self._looked = line_end + 1
        return given

    def _complete(self, code: str) -> str:
        """``code``, if it is whole statements: then what follows it begins another one."""
        if not code.strip() or not _parses(code):
            return ""
        self._given += len(code)
        return code

    def _find_beginning(self) -> bool:
        found = _OPENING.search(self._text)
        talk = self._text if found is None else self._text[: found.start()]
        if found is None:
            return False
        if _SETTLED_LATER.search(talk) or (talk and not talk.endswith("\n")):
            self.over = True
            return False
        self._begin = found.end()
        return True


def _parses(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
