"""Reads a root reply: the code blocks in it, or what is wrong with them."""

from __future__ import annotations

import re
from dataclasses import dataclass

LANGUAGES = frozenset({"python", "py", "python3", "repl", "ipython"})
"""Fence labels that hold code to run. A block with no label is run when there is no labelled one."""

_FENCE = re.compile(r"^[ \t]*(?P<marks>`{3,}|~{3,})[ \t]*(?P<label>[^\s`]*)[^\n`]*$")


@dataclass(frozen=True)
class Blocks:
    """The code of one reply, in order."""

    codes: tuple[str, ...]
    unclosed: bool = False
    """The last block has no closing fence; it is among ``codes`` all the same."""

    def runnable(self, *, cut_off: bool) -> tuple[str, ...]:
        """The code to run: all of it, but for a last block that was ``cut_off`` at the model's output limit."""
        return self.codes[:-1] if cut_off and self.unclosed else self.codes


def read_blocks(text: str) -> Blocks:
    """Find the fenced blocks of ``text``.

    Labels other than those of LANGUAGES (``json``, ``text``, ``output``…) are prose. A fence is closed by a line of
    at least as many of the same marks and nothing else, so that fences inside a longer fence stay part of its code;
    a reply may also begin or end its code on the fence's own line.
    """
    labelled: list[str] = []
    bare: list[str] = []
    lines = _lines(text)
    unclosed = False
    position = 0
    while position < len(lines):
        opening = _FENCE.match(lines[position])
        position += 1
        if not opening:
            continue
        marks, label = opening["marks"], opening["label"].lower().strip("{}.")
        body: list[str] = []
        closed = False
        while position < len(lines):
            line = lines[position]
            position += 1
            if _closes(line, marks) and not _inside_string(body, lines[position:], marks):
                closed = True
                break
            body.append(line)
        code = _dedent("\n".join(body))
        if not code.strip():
            continue
        if label in LANGUAGES:
            labelled.append(code)
            unclosed = not closed
        elif not label:
            bare.append(code)
            unclosed = not closed
    return Blocks(tuple(labelled or bare), unclosed)


def _lines(text: str) -> list[str]:
    """Lines of a reply; code on the line of its opening or closing fence is given a line of its own."""
    text = text.replace("\r\n", "\n")
    text = re.sub(r"(?m)^([ \t]*(?:`{3,})[ \t]*(?:python3?|py|repl|ipython))[ \t]+(?=[^\n`]*\()", r"\1\n", text)
    return re.sub(r"(?m)^(?![ \t]*`{3,})(.*[^`\s][ \t]*)(`{3,})[ \t]*$", r"\1\n\2", text).split("\n")


def _closes(line: str, marks: str) -> bool:
    stripped = line.strip()
    return len(stripped) >= len(marks) and set(stripped) == {marks[0]}


def _inside_string(body: list[str], rest: list[str], marks: str) -> bool:
    """Whether a closing fence stands inside a triple-quoted string, as prompts with fences of their own do.

    Only when another closing fence follows: a string that is never closed must not swallow the rest of the reply.
    """
    code = "\n".join(body)
    odd = any(code.count(quote) % 2 for quote in ('"""', "'''"))
    return odd and any(_closes(line, marks) for line in rest)


def _dedent(code: str) -> str:
    """Remove the indentation that a list item around the fence puts before every line."""
    lines = code.split("\n")
    indents = [len(line) - len(line.lstrip(" \t")) for line in lines if line.strip()]
    margin = min(indents, default=0)
    return "\n".join(line[margin:] if line.strip() else "" for line in lines) if margin else code
