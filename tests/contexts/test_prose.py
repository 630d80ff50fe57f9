"""What is prose, and what only looks like it."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit.contexts.prose import MOST_CHARS, is_prose

LETTER = (
    "Dear Mrs Hofer,\nthank you for your letter of 3 May. We are sorry that the wardrobe reached you with a scratched "
    "door. Our carpenter, Mr Lindner, will come on Tuesday. You need not pay for that!\nYours sincerely,\nPetra\n"
)
WRAPPED = "\n".join(
    [
        "# Notes on a journey",
        "",
        "We left the village before dawn, because the guide wanted to cross the",
        "river while it was low. It had snowed in the night, and the path was hard",
        "to see. My sister carried the tent, and I had the food and the stove.",
    ]
)
CYRILLIC = "Мы вышли из деревни до рассвета. Ночью шёл снег, и тропу было трудно разглядеть. Сестра несла палатку."


@pytest.mark.parametrize("text", [LETTER, WRAPPED, CYRILLIC, LETTER.replace("\n", "\r\n")])
def test_sentences_are_prose(text: str) -> None:
    assert is_prose(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Too short. Really.",
        "from,text\n" + "".join(f"ann{n},I will come at noon. See you there then!\n" for n in range(9)),
        "".join(f"2026-03-{n:02} 10:00:00 INFO the job was done in time. All is well now.\n" for n in range(1, 9)),
        "".join(json.dumps({"text": f"This is message {n}. It is short. Good bye."}) + "\n" for n in range(9)),
        "def f(x):\n    return x + 1  # Adds one. Nothing else. Fine.\n\n\nclass A:\n    y = f(2)\n",
        "milk.\nbread.\neggs.\nbutter.\ncheese.\n",
        "word " * 500 + "end. " * 3,
        "<p>One sentence here.</p><p>Another one there.</p><p>And a third, that is all.</p>",
    ],
    ids=["empty", "short", "table", "log", "json lines", "code", "list", "no sentences", "markup"],
)
def test_what_code_works_on_is_none(text: str) -> None:
    assert not is_prose(text)


def test_a_long_text_is_not_looked_at() -> None:
    assert not is_prose(LETTER * (MOST_CHARS // len(LETTER) + 1))


@given(st.text(max_size=400))
def test_any_text_can_be_asked_about(text: str) -> None:
    assert is_prose(text) in (True, False)


@pytest.mark.parametrize("piece", ["a. ", ".", "\n", '"', "! ) ", "a,b\n", "{", "<"])
def test_no_text_takes_long(piece: str) -> None:
    started = time.process_time()
    is_prose(piece * (MOST_CHARS // len(piece)))
    assert time.process_time() - started < 20  # a guard against quadratic time, not a measurement
