"""Reads a root reply: the code blocks in it and a final answer given in words, as any dialect writes them."""

from __future__ import annotations

import ast
import json
import re
from contextlib import suppress
from dataclasses import dataclass

from habit.calls.toolcalls import split
from habit.syntax import parse

LANGUAGES = frozenset({"python", "py", "python3", "repl", "ipython"})
"""Fence labels that hold code to run. A block with no label is run when there is no labelled one."""

_FENCE = re.compile(r"^[ \t]*(?P<marks>`{3,}|~{3,})[ \t]*(?P<label>[^\s`]*)[^\n`]*$")

_FINAL = re.compile(r"(?m)^[ \t>*_`]*FINAL(?P<var>_VAR)?\(")
_QUOTES = " \t\n\"'`"


@dataclass(frozen=True)
class Blocks:
    """The code of one reply, in order."""

    codes: tuple[str, ...]
    unclosed: bool = False
    """The last block has no closing fence; it is among ``codes`` all the same."""
    final: str | None = None
    """Code that gives the answer which the prose states with FINAL(...) or FINAL_VAR(...)."""

    def runnable(self, *, cut_off: bool) -> tuple[str, ...]:
        """The code to run: all of it, but for what was ``cut_off`` at the model's output limit.

        A final answer in words comes last: it may speak of what the code before it has found.
        """
        codes = self.codes[:-1] if cut_off and self.unclosed else self.codes
        return codes if self.final is None or cut_off else (*codes, self.final)


def read_blocks(text: str) -> Blocks:
    """Find the fenced blocks of ``text``.

    Labels other than those of LANGUAGES (``json``, ``text``, ``output``…) are prose. A fence is closed by a line of
    at least as many of the same marks and nothing else, so that fences inside a longer fence stay part of its code;
    a reply may also begin or end its code on the fence's own line. A line ``FINAL(...)`` or ``FINAL_VAR(...)``
    outside of any block gives the answer. Code that came by a call of ``run_python`` is taken to the letter, and
    fences beside it are talk.
    """
    words, called = split(text)
    if called:
        return Blocks(called, final=_final(words))
    text, sectioned = _code_section(text)
    labelled: list[str] = []
    bare: list[str] = []
    prose: list[str] = []
    lines = _lines(text)
    unclosed = False
    position = 0
    while position < len(lines):
        opening = _FENCE.match(lines[position])
        position += 1
        if not opening:
            prose.append(lines[position - 1])
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
    if sectioned and not (labelled or bare) and (code := _dedent("\n".join(prose))).strip():
        return Blocks((code,))
    return Blocks(tuple(labelled or bare), unclosed, _final("\n".join(prose)))


def _code_section(text: str) -> tuple[str, bool]:
    """The section that DSPy's field markers call code, where there is one: ``[[ ## code ## ]]``, fenced or bare."""
    sections = re.split(r"(?m)^[ \t]*\[\[ ## (\w+) ## \]\][ \t]*$", text)
    named = dict(zip(sections[1::2], sections[2::2], strict=True))
    return (named["code"].strip("\n"), True) if "code" in named else (text, False)


def _final(prose: str) -> str | None:
    """Code for the last ``FINAL(...)`` or ``FINAL_VAR(...)`` that begins a line of ``prose``, and ends one."""
    for found in reversed(list(_FINAL.finditer(prose))):
        argument = _argument(prose[found.end() :])
        if argument is None:
            continue
        if found["var"]:
            return f"FINAL_VAR({argument.strip(_QUOTES)!r})"
        if argument.isidentifier():  # most likely the name of a variable
            return f"FINAL(globals().get({argument!r}, {argument!r}))"
        return f"FINAL({_stated(argument)!r})"
    return None


def _argument(text: str) -> str | None:
    """What stands before the parenthesis that closes a call, if a line ends there; None when the call is mere talk."""
    depth = 1
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            rest = text[position + 1 :].partition("\n")[0]
            return text[:position].strip() if not rest.strip("*_`. \t") else None
    # Parentheses that don't add up, as in running text: the last one of the reply closes.
    stripped = text.rstrip("*_`. \t\n")
    return stripped[:-1].strip() if stripped.endswith(")") else None


def _stated(text: str) -> object:
    """What the argument of FINAL(...) states: a text, unless it is plainly a quoted one, a list or a dict."""
    if text[:1] not in ("'", '"', "[", "{"):
        return text
    for read in (json.loads, _literal):
        with suppress(SyntaxError, ValueError, MemoryError, RecursionError):
            return read(text)
    return text


def _literal(text: str) -> object:
    return ast.literal_eval(parse(text, "eval"))


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
