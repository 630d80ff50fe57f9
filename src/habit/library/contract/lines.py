r"""Line patterns: how the lines of a log begin, as a regular expression that takes linear time on any line.

A pattern comes from a habit, which is hostile input. So only these atoms are allowed, none of which can backtrack:
a literal character, ``\d{n}``, and the possessive ``\d++``, ``[A-Za-z]++``, ``[A-Z]++``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_ATOM = r"\\d\{\d{1,3}\}|\\d\+\+|\[A-Za-z\]\+\+|\[A-Z\]\+\+|\\[^\w\s]|\\ |\\\t|[^\\\[\](){}.*+?^$|]"
_SAFE = re.compile(f"(?:{_ATOM}){{0,200}}")
_RUNS = re.compile(r"\d+|[A-Za-z]+|[^\dA-Za-z]", re.ASCII)
_WIDTH = 200
_MOST_RUNS = 40
_NEARLY_ALL = 0.95


def is_safe(pattern: str) -> bool:
    """Whether ``pattern`` is of the kind that can be tried on any line."""
    return _SAFE.fullmatch(pattern) is not None


def line_pattern(lines: Sequence[str]) -> str:
    """What nearly all ``lines`` begin with; empty when they have no beginning in common that says anything."""
    runs = [_RUNS.findall(line[:_WIDTH])[:_MOST_RUNS] for line in lines if line.strip()]
    if len(runs) < 5:
        return ""
    atoms: list[str] = []
    telling = 0
    for index in range(_MOST_RUNS):
        here = [line[index] for line in runs if len(line) > index]
        kinds = [_kind(run) for run in here]
        kind = max(set(kinds), key=kinds.count) if kinds else ""
        fitting = [run for run, its in zip(here, kinds, strict=True) if its == kind]
        if not kind or len(fitting) < _NEARLY_ALL * len(lines):
            break
        runs = [line for line in runs if len(line) > index and _kind(line[index]) == kind]
        atoms.append(_atom(kind, fitting))
        # Words that vary say nothing; digits in fixed places and signs between them do.
        telling += kind == "digits" or len(set(fitting)) == 1
    while atoms and atoms[-1] in ("[A-Za-z]++", r"\ "):
        atoms.pop()
    pattern = "".join(atoms)
    return pattern if telling >= 3 and is_safe(pattern) else ""


def _kind(run: str) -> str:
    if run[0] in "0123456789":
        return "digits"
    return "letters" if run[0].isascii() and run[0].isalpha() else run


def _atom(kind: str, runs: Sequence[str]) -> str:
    if kind == "digits":
        # Numbers that happen to be of one length are of another tomorrow, unless they are filled up with zeros.
        width = len(runs[0])
        fixed = width > 1 and (len(set(runs)) == 1 or any(run.startswith("0") for run in runs))
        return rf"\d{{{width}}}" if fixed and all(len(run) == width for run in runs) else r"\d++"
    if kind != "letters":
        return re.escape(kind)
    if len(set(runs)) == 1:
        return runs[0]
    return "[A-Z]++" if all(run.isupper() for run in runs) else "[A-Za-z]++"


def share_that_fits(pattern: str, lines: Sequence[str]) -> float:
    """The share of ``lines`` that begin as a safe ``pattern`` says; one where there are no lines."""
    known = [line for line in lines if line.strip()]
    compiled = re.compile(pattern, re.ASCII)
    return sum(bool(compiled.match(line[:_WIDTH])) for line in known) / len(known) if known else 1.0


def common(patterns: Sequence[str]) -> str:
    """What several patterns begin with alike."""
    shared: list[str] = []
    for column in zip(*(re.findall(_ATOM, pattern) for pattern in patterns), strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return "".join(shared)
