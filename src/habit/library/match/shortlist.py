"""The lexical shortlist: the habits whose words a question has, by BM25 in an SQLite table in memory."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence

from habit.library.match.words import tokens_of
from habit.library.spec import HabitSpec

_WORD = re.compile(r"[^\W_]+")
_MOST_WORDS = 60


def shortlist(question: str, habits: Sequence[tuple[HabitSpec, Sequence[str]]], most: int) -> list[int]:
    """Indexes of at most ``most`` habits, the likeliest first; each habit with its remembered phrasings.

    Only narrows down: whether a habit fits is decided later. A few habits are all kept.
    """
    if len(habits) <= most:
        return list(range(len(habits)))
    words = list(dict.fromkeys(word for token in tokens_of(question) for word in _WORD.findall(token.text)))
    if not words:
        return []
    with sqlite3.connect(":memory:") as index:
        index.execute("CREATE VIRTUAL TABLE habits USING fts5(phrasings, about, tokenize='porter unicode61')")
        rows = [(number, *_texts(spec, more)) for number, (spec, more) in enumerate(habits)]
        index.executemany("INSERT INTO habits(rowid, phrasings, about) VALUES (?, ?, ?)", rows)
        # Each word in quotes, so that none is read as an operator of the query language.
        wanted = " OR ".join(f'"{_plain(word)}"' for word in words[:_MOST_WORDS])
        found = index.execute(
            "SELECT rowid FROM habits WHERE habits MATCH ? ORDER BY bm25(habits, 3.0, 1.0), rowid LIMIT ?",
            (wanted, most),
        ).fetchall()
    index.close()
    return [int(number) for (number,) in found]


def _texts(spec: HabitSpec, more: Sequence[str]) -> tuple[str, str]:
    about = [spec.name, spec.description, spec.intent.summary, spec.intent.operation]
    for name, parameter in spec.parameters.items():
        about += [name, parameter.description, *parameter.choices]
    return _plain(" ".join([*spec.intent.phrasings, *more])), _plain(" ".join(about))


def _plain(text: str) -> str:
    """Text that SQLite takes: without NUL and lone surrogates."""
    return re.sub("[\ud800-\udfff\0]", " ", text)
