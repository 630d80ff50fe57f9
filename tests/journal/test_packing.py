"""Texts to database values and back."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from habit.journal.packing import LONG_MESSAGE, LONG_TEXT, MESSAGE_ENDS, excerpt, pack, pack_json, unpack, unpack_json

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates included
LONG_ONES = st.builds(lambda text, times: text * times, ANY_TEXT, st.integers(1, 3000))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
    max_leaves=10,
)


def through_sqlite(value: str | bytes) -> Any:
    with closing(sqlite3.connect(":memory:")) as db:
        return db.execute("SELECT ?", (value,)).fetchone()[0]


@settings(deadline=None)
@given(ANY_TEXT | LONG_ONES)
@example("\ud83d\ude00")
@example("\0")
@example("(\u00b5/\u00fd")
def test_text_comes_back_exactly(text: str) -> None:
    assert unpack(through_sqlite(pack(text))) == text


@settings(deadline=None)
@given(JSON)
@example({"two halves": "\ud83d\ude00"})
@example([math.inf])
def test_json_comes_back_exactly(value: Any) -> None:
    assert unpack_json(through_sqlite(pack_json(value))) == value


def test_ordinary_text_stays_readable_with_any_sqlite_tool() -> None:
    assert pack("naïve 漢字") == "naïve 漢字"


def test_long_text_is_compressed() -> None:
    assert pack("a" * LONG_TEXT) == "a" * LONG_TEXT
    assert len(pack("a" * (LONG_TEXT + 1))) < 100


def test_text_that_sql_functions_would_cut_is_kept_as_bytes() -> None:
    assert pack("a\0b") == b"a\0b"


@settings(deadline=None)
@given(st.integers(0, 3 * LONG_MESSAGE))
def test_an_excerpt_is_never_longer_than_its_text_and_keeps_both_ends(length: int) -> None:
    text = "".join(chr(0x4E00 + number % 5000) for number in range(length))
    kept = excerpt(text)
    assert len(kept) <= len(text)
    assert kept[:MESSAGE_ENDS] == text[:MESSAGE_ENDS]
    assert kept[-MESSAGE_ENDS:] == text[-MESSAGE_ENDS:]
    assert (kept == text) == (length <= LONG_MESSAGE)


def test_excerpts_of_different_texts_differ() -> None:
    ends = "x" * MESSAGE_ENDS
    assert excerpt(f"{ends}{'a' * 5000}{ends}") != excerpt(f"{ends}{'b' * 5000}{ends}")


@pytest.mark.parametrize("text", ["a" * 5000, "\ud800" * 5000, "\0" * 5000])
def test_an_excerpt_of_odd_text_can_be_made(text: str) -> None:
    assert excerpt(text).startswith(text[:MESSAGE_ENDS])
