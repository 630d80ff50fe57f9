"""Which words of a question are told to a small root as a matter of meaning, and that none is where code can decide."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit.schedulers.meaning import MOST_RECORDS, Unsaid, candidates, look_for, read_look
from habit.schedulers.prompts import FRONTIER, SMALL, Profile, profile_for
from habit.schedulers.rlm import RLM
from schedulers.conftest import Bench
from support.scripted import ScriptedProvider, block

INBOX = "from,kind,text\nann,note,win a free phone now\nbob,memo,see you at noon today\nann,note,cheap pills for you\n"
MAILS = [{"sender": "ann", "body": "win a free phone now"}, {"sender": "bob", "body": "see you at noon today"}]
ORDERS = "order,city,amount\n1,Rome,12\n2,Oslo,30\n3,Rome,7\n"
LIST = "- the cup is won on penalties\n- the bank raises its rates\n- a swimmer breaks a record\n"
PROSE = "# Notes\nIt rained all day and we stayed in.\nThe garden is under water by now.\nNobody came to see us.\n"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("How many messages are spam?", ("spam",)),
        ("How many of the messages are invitations?", ("invitations",)),
        ("How many customers want a refund?", ("refund",)),
        ("Which sender has the most spam?", ("spam",)),
        ("What is the sum of the amounts spent on food?", ("food",)),
        ("How many reviews of the lamp are negative?", ("lamp", "negative")),
        ("Which sender has the most messages?", ()),
        ("How many messages are from bob?", ()),
        ("How many tickets did Bob open?", ()),
        ("How many tickets were opened in April?", ()),
        ("What is the largest amount?", ()),
        ("How many lines contain prize?", ()),
        ("How many messages have the word prize?", ()),
        ('How many are "urgent"?', ()),
        ("How many are over 100 euros?", ()),
        ("", ()),
        ("spam " * 400, ()),
    ],
)
def test_words_that_a_question_may_leave_to_judgement(query: str, expected: tuple[str, ...]) -> None:
    assert candidates(query) == expected


@given(st.text(max_size=300))
def test_any_question_can_be_read(query: str) -> None:
    assert all(word.casefold() in query.casefold() for word in candidates(query))


@given(st.text(max_size=200) | st.builds(json.dumps, st.dictionaries(st.text(max_size=8), st.text(max_size=8))))
def test_whatever_a_session_prints_no_word_but_those_of_the_question_is_told(printed: str) -> None:
    found = read_look(printed, ("spam",))
    assert found is None or found.words == ("spam",)


def test_what_no_parser_can_take_says_nothing() -> None:
    assert read_look("[" * 100_000, ("spam",)) is None


def test_a_name_of_a_column_is_told_as_python_writes_it_or_not_at_all() -> None:
    def named(column: str) -> Unsaid | None:
        return read_look(json.dumps({"lacking": ["spam"], "column": column, "items": False}), ("spam",))

    assert named("it's\n") == Unsaid(("spam",), r"""[row["it's\n"] for row in rows]""", "table()")
    assert named("x" * 61) is None


async def hint(bench: Bench, context: Any, query: str, profile: Profile = SMALL) -> str:
    model = ScriptedProvider([block("answer('x')")])
    await bench.ask(model, context, query=query, profile=profile, kind=RLM)
    return model.calls[0].messages[-1].content.partition("No column or value is called ")[2]


@pytest.mark.parametrize(
    ("context", "query", "code"),
    [
        (
            INBOX,
            "How many messages are spam?",
            "rows = table()\nlabels = classify([row['text'] for row in rows], ['spam'",
        ),
        (
            MAILS,
            "How many messages are spam?",
            "rows = table()\nlabels = classify([row['body'] for row in rows], ['spam'",
        ),
        (LIST, "How many headlines are about sport?", "rows = context.strip().splitlines()\nlabels = classify(rows, ["),
        (
            ["a cat", "a dog", "a red van"],
            "How many are animals?",
            "rows = context\nlabels = classify(rows, ['animals'",
        ),
        ("\n".join(map(json.dumps, MAILS)), "How many messages are spam?", "[row['body'] for row in rows], ['spam'"),
    ],
)
async def test_a_small_root_is_shown_how_to_judge_each_record(
    bench: Bench, context: Any, query: str, code: str
) -> None:
    assert code in await hint(bench, context, query)


@pytest.mark.parametrize(
    ("context", "query"),
    [
        (INBOX, "How many messages are cheap?"),  # a word of a text
        (INBOX, "How many messages are memos?"),  # a value
        (INBOX, "What is the most frequent kind?"),
        (ORDERS, "How many orders are gifts?"),  # nothing to read in any row
        (PROSE, "How many guests came in the rain, all strangers?"),
        ({"a.txt": "one two three four", "b.txt": "five six seven eight"}, "How many texts are poems?"),
        ("", "How many messages are spam?"),
        (INBOX + "bob,memo,you are welcome here\n" * MOST_RECORDS, "How many messages are spam?"),
    ],
)
async def test_nothing_is_told_where_code_may_decide_or_where_there_are_no_records(
    bench: Bench, context: Any, query: str
) -> None:
    assert await hint(bench, context, query) == ""


@pytest.mark.parametrize(
    ("profile", "looks"), [(FRONTIER, False), (profile_for("small", "m", dialect="rlm"), False), (SMALL, True)]
)
async def test_only_the_small_profile_in_its_own_words_looks(bench: Bench, profile: Profile, looks: bool) -> None:
    assert bool(await hint(bench, INBOX, "How many messages are spam?", profile)) is looks


async def test_a_look_is_no_cell_and_leaves_no_variable(bench: Bench) -> None:
    model = ScriptedProvider([block("x = 1"), block("answer('x')")])
    await bench.ask(model, INBOX, query="How many messages are spam?", profile=SMALL)
    assert [cell.code for cell in await bench.store.cells("run")] == ["x = 1", "answer('x')"]
    assert "Variables: x: int = 1\n" in model.calls[1].messages[-1].content


def test_the_code_of_a_look_holds_its_words_as_python_writes_them() -> None:
    assert look_for(("it's",)).endswith(f'\n_look(["it\'s"], {MOST_RECORDS})')
