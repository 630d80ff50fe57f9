"""What a scheduler carries along does what the helpers of a session do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from habit.contexts.context import Context
from habit.library.crystallise import carried
from habit.library.crystallise.evidence import Evidence, stem
from habit.sandbox.cpython.inside.helpers import Helpers

from .scripts import MESSAGES, NOTES, SALES, TICKETS

TABLES = [
    MESSAGES,
    SALES,
    "a\tb\n1\t2.5\n\t-3\n",
    "id;n\n1;20\n2;30\n",
    'name,note\n"Ada, B","says ""hi"""\nBen,\n',
    "\ufeffk,v\r\nx,1\r\ny,2\r\n",
    TICKETS,
    json.dumps(TICKETS),
    "\n".join(json.dumps(ticket) for ticket in TICKETS),
    [{"a": 1, "b": None}, {"a": 2, "c": [1]}],
]


@pytest.mark.parametrize("context", TABLES)
def test_tables_are_read_alike(context: Any) -> None:
    assert carried.table(context) == Helpers(context, lambda *asked: []).table()


@pytest.mark.parametrize("word", ["WIN", "win", "lunch", r"\bre:", "ann|bob"])
def test_lines_are_found_alike(word: str) -> None:
    assert carried.find(MESSAGES, word) == Helpers(MESSAGES, lambda *asked: []).find(word)


def test_parts_are_split_alike() -> None:
    assert carried.parts(NOTES) == Helpers(NOTES, lambda *asked: []).parts()


def test_many_are_asked_at_once_where_that_can_be_done() -> None:
    def one(query: str, item: str, **how: Any) -> str:
        return f"{query} {item}"

    assert carried.ask_each(one, "?", ["a", "b"]) == ["? a", "? b"]
    one.map = lambda query, items, **how: ["together"]  # type: ignore[attr-defined]
    assert carried.ask_each(one, "?", ["a", "b"]) == ["together"]


@pytest.mark.parametrize(
    ("query", "literal", "found"),
    [
        ("How many errors are there?", "ERROR", "errors"),
        ("Sum of refunded orders", "refund", "refunded"),
        ("How many companies?", "company", "companies"),
        ("paid by credit card", "credit_card", "credit card"),
        ("sales in March 2024", "2024-03", "March 2024"),
        ("How many are there?", "many", None),
        ("What about Annie?", "Ann", None),
    ],
)
def test_what_a_question_says_is_found_in_it(query: str, literal: str, found: str | None) -> None:
    place = Evidence(query, Context.of(""), None).in_query(literal)
    assert (place and place.text) == found


@pytest.mark.parametrize(
    ("query", "number"), [("top 3", 3), ("the five last", 5), ("over 1,500 EUR", 1500), ("10%", 0.1)]
)
def test_numbers_are_found_as_they_are_said(query: str, number: float) -> None:
    assert Evidence(query, Context.of(""), None).number_in_query(number) is not None


def test_inflections_have_one_stem() -> None:
    assert {stem(word) for word in ("complain", "complains", "complained", "complaining")} == {"complain"}
