"""Whether a short text is prose: sentences to be read, and nothing that code would rather compute with."""

from __future__ import annotations

import re

from habit.contexts.texts import Text

MOST_CHARS = 200_000
"""Longer texts are not looked at."""
_SENTENCE_END = re.compile(r"[.!?…][\"'”’»)\]]*(?:\s|$)")
_WORD = re.compile(r"[^\W\d_]+")
_LEAST_SENTENCES = 3
_MOST_WORDS = 60
"""Words in a sentence, on the average; more of them are no sentences."""
_LEAST_LETTERS = 0.9
"""The share of letters and spaces; code, markup and figures have less."""
_LEAST_READ = 0.7
"""The share of the text that stands in lines of several words."""


def is_prose(text: str) -> bool:
    """Whether ``text`` is prose all through; in doubt it is not. Records, logs, tables, code and lists are not."""
    if len(text) > MOST_CHARS:
        return False
    ends, words = len(_SENTENCE_END.findall(text)), len(_WORD.findall(text))
    if ends < _LEAST_SENTENCES or words > ends * _MOST_WORDS:
        return False
    if sum(char.isalpha() or char.isspace() for char in text) < _LEAST_LETTERS * len(text):
        return False
    read = sum(len(line) for line in text.splitlines() if len(line.split()) >= 6)
    return read >= _LEAST_READ * len(text.strip()) and not Text(text).regular
