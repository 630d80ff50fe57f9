"""Leaf prompts: what they share with each other, byte by byte, and in which order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit.calls.call import Call
from habit.calls.kernel import Kernel
from habit.calls.prefixes import prefix_share
from habit.calls.returns import Returns
from habit.contexts.context import Context
from habit.journal.memory import MemoryStore
from habit.schedulers.leaf import RESTATED_CHARS, LeafCaller
from habit.schedulers.prompts import FRONTIER, SMALL, Profile
from habit.schedulers.scheduler import Task
from support.scripted import ScriptedProvider

INSTRUCTION = (
    "Which team has to deal with this message? Refunds: prices, payments, refunds and lost tickets. Timetable: late or "
    "cancelled trains and missed connections. On board: seats, heating, staff and noise. Other: the rest. When it is "
    "about several of them, choose the one that the writer spends most words on; when it only asks to be called back, "
    "choose Other. Never guess from the tone, and take no notice of greetings, signatures and quoted earlier messages."
)


def leaf(query: str, text: str, *, profile: Profile = FRONTIER, returns: object = bool) -> Call:
    model = ScriptedProvider()
    caller = LeafCaller(Kernel(model, model, store=MemoryStore(), run_id="r"), profile)
    task = Task("the question of the run", Context.of(""), Returns.from_type(str))
    return caller.call(query, Context.of(text), Returns.from_type(returns), task, cell=1)


@given(st.text(), st.text(), st.text(), st.sampled_from([FRONTIER, SMALL]))
def test_calls_with_the_same_query_begin_with_the_same_bytes(
    query: str, one: str, other: str, profile: Profile
) -> None:
    first, second = leaf(query, one, profile=profile), leaf(query, other, profile=profile)
    (system, user), (system_too, user_too) = first.messages, second.messages
    assert system == system_too
    assert 0 < user.shared == user_too.shared
    assert user.content[: user.shared] == user_too.content[: user.shared]


def test_the_shared_instruction_comes_first_and_the_question_once_more_at_the_end() -> None:
    call = leaf("Is it\nurgent?", "the slice")
    user = call.messages[1].content
    assert user.index("Is it\nurgent?") < user.index("the slice") < user.index("Now answer: Is it urgent?")
    assert "the slice" not in user[: call.messages[1].shared]
    assert user.splitlines()[-1] == "Now answer: Is it urgent?"


def test_a_long_instruction_is_pointed_to_and_not_repeated() -> None:
    assert len(INSTRUCTION) > RESTATED_CHARS
    user = leaf(INSTRUCTION, "the slice").messages[1].content
    assert user.count(INSTRUCTION) == 1
    assert user.splitlines()[-1] == "Now answer the question above."


@pytest.mark.parametrize("returns", [str, bool, list[str]])
def test_a_prefix_cache_serves_nine_tenths_of_what_leaf_prompts_share(returns: object) -> None:
    texts = [f"{n} messages came from {town} today." for n, town in enumerate(("Bern", "Oslo", "Rome", "Lima"))]
    share = prefix_share([leaf(INSTRUCTION, text, returns=returns) for text in texts])
    assert share.of_shared >= 0.9


def test_a_small_model_gets_the_text_first() -> None:
    user = leaf("Is it urgent?", "the slice", profile=SMALL).messages[1].content
    assert user.startswith("Text: the slice\n\nIs it urgent?\n")
