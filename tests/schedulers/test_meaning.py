"""Which words of a question are told to a small root as a matter of meaning, and that none is where code can decide."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit.schedulers.meaning import MOST_RECORDS, Unsaid, candidates, look_for, read_look
from habit.schedulers.prompts import FRONTIER, SMALL, Profile, profile_for
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


async def told(bench: Bench, context: Any, query: str, profile: Profile = SMALL) -> tuple[str, str]:
    """The words that the root is told to judge, and the grammar that its first reply is held to."""
    model = ScriptedProvider([block("answer('x')")])
    await bench.ask(model, context, query=query, profile=profile)
    (call,) = model.calls
    words = call.messages[-1].content.partition("No column or value is called ")[2].partition(",")[0]
    return words, call.sampling.grammar or ""


@pytest.mark.parametrize(
    ("context", "query", "words", "code"),
    [
        (
            INBOX,
            "How many messages are spam?",
            "'spam'",
            r"labels = classify([row['text'] for row in rows], ['",
        ),
        (
            MAILS,
            "Which messages are spam?",
            "'spam'",
            r"labels = classify([row['body'] for row in rows], ['",
        ),
        (
            LIST,
            "How many are about sport?",
            "'sport'",
            r"rows = context.strip().splitlines()\nlabels = classify(rows, ['",
        ),
        (["a cat", "a red van"], "How many are animals?", "'animals'", r"rows = context\nlabels = classify(rows, ['"),
        ("\n".join(map(json.dumps, MAILS)), "How many are spam?", "'spam'", r"[row['body'] for row in rows], ['"),
    ],
)
async def test_a_small_root_is_told_and_held_to_judging_each_record(
    bench: Bench, context: Any, query: str, words: str, code: str
) -> None:
    said, grammar = await told(bench, context, query)
    assert said == words
    assert grammar.startswith(r'root ::= "```python\n')
    assert f'{code}" [^\\n]* "\\n" line{{1,14}}' in grammar.splitlines()[0]


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
    assert await told(bench, context, query) == ("", SMALL.grammar)


@pytest.mark.parametrize(
    ("profile", "looks"), [(FRONTIER, False), (profile_for("small", "m", dialect="rlm"), False), (SMALL, True)]
)
async def test_only_the_small_profile_in_its_own_words_looks(bench: Bench, profile: Profile, looks: bool) -> None:
    assert bool((await told(bench, INBOX, "How many messages are spam?", profile))[0]) is looks


async def test_a_look_is_no_cell_and_leaves_no_variable(bench: Bench) -> None:
    model = ScriptedProvider([block("x = 1"), block("answer('x')")])
    await bench.ask(model, INBOX, query="How many messages are spam?", profile=SMALL)
    assert [cell.code for cell in await bench.store.cells("run")] == ["x = 1", "answer('x')"]
    assert "Variables: x: int = 1\n" in model.calls[1].messages[-1].content
    assert model.calls[1].sampling.grammar == SMALL.grammar  # only the first block is held to a beginning


def test_the_grammar_of_a_beginning_quotes_whatever_a_column_is_called() -> None:
    grammar = SMALL.grammar_beginning("""labels = classify([row['a\\\\b "c" é'] for row in rows], ['""")
    assert grammar is not None
    held = grammar.splitlines()[0].removeprefix("root ::= ").partition(" [^")[0]
    assert json.loads(held).endswith("""row['a\\\\b "c" é'] for row in rows], ['""")
    assert FRONTIER.grammar_beginning("x = ") is None


def test_the_code_of_a_look_holds_its_words_as_python_writes_them() -> None:
    assert look_for(("it's",)).endswith(f'\n_look(["it\'s"], {MOST_RECORDS})')
