"""Matching: what is filled in, what is refused and why, what is remembered, and what a model may decide."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from habit.calls.call import Call
from habit.calls.kernel import Kernel
from habit.calls.returns import Returns
from habit.contexts.context import Context
from habit.errors import CallFailed
from habit.library.case import Case
from habit.library.contract import infer_contract
from habit.library.match import Abstained, Match, Matcher, RememberedPhrasings
from habit.library.match.align import Effort
from habit.library.match.matcher import _MOST_EFFORT
from habit.library.spec import HabitSpec, Intent, Parameter, Provenance
from support.fakes import FakeProvider, memory_store

CSV = "id,sender,label\n" + "".join(
    f"{n},{['Ada', 'Bob', 'Bosnia and Herzegovina'][n % 3]},{['spam', 'ham'][n % 2]}\n" for n in range(12)
)
INBOX = Context.of(CSV)


@dataclass(frozen=True, eq=False)
class Known:
    spec: HabitSpec
    cases: dict[str, Case] = field(default_factory=dict)
    version: int | None = 1


def habit(
    name: str, phrasings: list[str], parameters: dict[str, Parameter], *, type_: Any = int, context: Context = INBOX
) -> Known:
    returns = Returns.from_type(type_)
    spec = HabitSpec(
        name=name,
        description=name,
        intent=Intent(summary=name, phrasings=tuple(phrasings)),
        parameters=parameters,
        returns=json.dumps(returns.schema) if returns.schema else "",
        contract=infer_contract([context], answer_type=returns, answers=[]),
        provenance=Provenance(runs=("r",), model="m", learned="2026-11-24T12:00:00Z"),
    )
    case = Case({key: one.example for key, one in parameters.items()}, context, (), 0)
    return Known(spec, {"first": case})


LABEL = Parameter(type="choice", choices=("spam", "ham"), example="spam")
COUNT = habit("count-label", ["How many messages are {label}?"], {"label": LABEL})
BY = habit(
    "count-sender", ["How many messages are from {sender}?"], {"sender": Parameter(type="string", example="Ada")}
)
TOP = habit("top", ["Which {k} senders wrote most?"], {"k": Parameter(type="integer", example=2)}, type_=list[str])


async def match(query: str, *habits: Known, context: Context = INBOX, **more: Any) -> Match[Known] | Abstained[Known]:
    return await Matcher(more.pop("phrasings", None)).match(query, context, habits or (COUNT, BY), **more)


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("How many messages are ham?", {"label": "ham"}),
        ("HOW MANY MESSAGES ARE HAM", {"label": "ham"}),
        ("Count the hams messages", {"label": "ham"}),
        ("please, how many of the messages are “spam”", {"label": "spam"}),
        ("How many messages are from Bob?", {"sender": "Bob"}),
        ("How many messages are from bob?", {"sender": "Bob"}),
        ("How many messages are from Bosnia and Herzegovina?", {"sender": "Bosnia and Herzegovina"}),
        ('How many messages are from "Nobody Known"?', {"sender": "Nobody Known"}),
    ],
)
async def test_values_are_filled_as_the_input_has_them(query: str, values: dict[str, Any]) -> None:
    found = await match(query)
    assert isinstance(found, Match)
    assert (found.parameters, found.how) == (values, "phrasing")


@pytest.mark.parametrize(
    "query",
    [
        "How many messages are from Ada and Bob?",
        "How many messages are from spam?",
        'How many messages are from "spam"?',
        "How many messages are from Zoe?",
        "How many messages are not ham?",
        "How many messages aren't ham?",
        "How many messages are ham, spam?",
        "How many messages are ham ham?",
        "How many messages are ham (excluding the first)?",
        "How many messages are !ham?",
        "How many messages are eggs?",
        "How many message are ham?",
        "How many messages are?",
        "",
        "?" * 900,
        "How many messages are ham? " * 60,
    ],
)
async def test_it_abstains_by_default(query: str) -> None:
    found = await match(query)
    assert isinstance(found, Abstained)
    assert found.reason.endswith(".")
    assert found.likely is None


async def test_the_declared_type_is_a_hard_filter() -> None:
    assert isinstance(await match("Which 3 senders wrote most?", TOP, returns=Returns.from_type(list[str])), Match)
    found = await match("Which 3 senders wrote most?", TOP)
    assert isinstance(found, Abstained)
    assert found.reason == "No habit gives an answer of type str."
    assert isinstance(await match("How many messages are ham?", returns=Returns.from_type(float)), Match)
    assert isinstance(await match("How many messages are ham?", returns=Returns.from_type(bool)), Abstained)


async def test_another_format_is_told_apart_from_another_question() -> None:
    other = Context.of([{"sender": "Ada", "label": "spam"}])
    found = await match("How many messages are spam?", context=other)
    assert isinstance(found, Abstained)
    assert found.unfit is not None
    assert (found.unfit.habit, found.unfit.parameters) == (COUNT, {"label": "spam"})
    assert found.reason == (
        "count-label answers this question, but kind: the habit takes text and the input is json (records)."
    )
    other_question = await match("Which messages are spam?", context=other)
    assert isinstance(other_question, Abstained)
    assert other_question.unfit is None
    assert other_question.reason == (
        "No habit with words of this question takes an input of this format "
        "(count-label: kind: the habit takes text and the input is json (records))."
    )


async def test_two_habits_or_two_readings_are_one_too_many() -> None:
    twin = habit("twin", ["How many messages are {label}?"], {"label": LABEL})
    found = await match("How many messages are ham?", COUNT, twin)
    assert isinstance(found, Abstained)
    assert "Several habits answer this question: count-label and twin" in found.reason
    text = Context.of("a b c\n")
    pair = {"x": Parameter(type="string", example="a"), "y": Parameter(type="string", example="b")}
    loose = habit("pair", ["compare {x} {y}"], pair, context=text)
    found = await match("compare a b c", loose, context=text)
    assert isinstance(found, Abstained)
    assert "several ways" in found.reason


async def test_an_article_of_the_phrasing_is_no_part_of_a_value() -> None:
    text = Context.of("the code of the boiler house is 17\nthe code of the boat house is 18\n")
    place = {"place": Parameter(type="string", example="boat house")}
    code = habit("code", ["What is the code of the {place}?"], place, context=text)
    found = await match("What is the code of the boiler house?", code, context=text)
    assert isinstance(found, Match)
    assert found.parameters == {"place": "boiler house"}


async def test_values_have_the_form_of_the_example() -> None:
    since = habit("since", ["messages since {day}"], {"day": Parameter(type="string", example="2026-01-31")})
    found = await match("messages since 2025-12-01", since)
    assert isinstance(found, Match)
    assert found.parameters == {"day": "2025-12-01"}
    for other in ("May", "Ada", "01/12/2025", "2025-12-1", "yesterday"):
        assert isinstance(await match(f"messages since {other}", since), Abstained)


async def test_lists_are_joined_as_they_were_learned() -> None:
    names = {"names": Parameter(type="list", example=["Ada"])}
    both = habit("both", ["How many messages are from {names}?"], names)
    found = await match("How many messages are from Ada, Bob and Bosnia and Herzegovina?", both)
    assert isinstance(found, Abstained), "the items of a list are parted by the word that is in one of them"
    found = await match('How many messages are from Ada, Bob and "Bosnia and Herzegovina"?', both)
    assert isinstance(found, Match)
    assert found.parameters == {"names": ["Ada", "Bob", "Bosnia and Herzegovina"]}
    assert isinstance(await match("How many messages are from Ada or Bob?", both), Abstained)
    either = habit("either", ["How many messages are from {names:or}?"], names)
    assert isinstance(await match("How many messages are from Ada or Bob?", either), Match)
    assert isinstance(await match("How many messages are from Ada and Bob?", either), Abstained)


async def test_values_are_found_in_an_input_too_large_to_be_read() -> None:
    rows = "".join(f"{n},{'Zoe' if n == 200_001 else 'Ada'},{['spam', 'ham'][n % 2]}\n" for n in range(400_000))
    found = await match("How many messages are from Zoe?", context=Context.of("id,sender,label\n" + rows))
    assert isinstance(found, Match)
    assert isinstance(
        await match("How many messages are from spam?", context=Context.of("id,sender,label\n" + rows)), Abstained
    )


async def test_few_of_many_habits_are_looked_at() -> None:
    many = [habit(f"habit-{n}", [f"How many things{n} are {{label}}?"], {"label": LABEL}) for n in range(120)]
    found = await match("How many messages are ham?", *many, COUNT)
    assert isinstance(found, Match)
    assert found.habit is COUNT
    assert isinstance(await match('"NEAR( OR * \0 \ud800 AND', *many, COUNT), Abstained)


# -- with a model --


async def kernel_of(reply: str | CallFailed | Callable[[Call], Any]) -> tuple[Kernel, FakeProvider]:
    provider = FakeProvider(reply if callable(reply) else lambda call: reply, window=100_000)
    return Kernel(provider, provider, store=await memory_store("run"), run_id="run"), provider


async def test_a_model_may_see_the_same_words_in_another_order() -> None:
    kernel, provider = await kernel_of('{"habit": "count-label", "parameters": {"label": "spam"}}')
    found = await match("Of the messages, how many are spam?", kernel=kernel)
    assert isinstance(found, Match)
    assert (found.habit, found.parameters, found.how) == (COUNT, {"label": "spam"}, "model")
    [call] = provider.sent
    assert call.role == "leaf"
    assert call.schema is not None
    assert call.schema["properties"]["habit"]["enum"] == ["count-label", "count-sender", "none"]


async def test_a_phrasing_confirmed_by_use_needs_no_model() -> None:
    kernel, provider = await kernel_of('{"habit": "count-label", "parameters": {"label": "spam"}}')
    phrasings = RememberedPhrasings()
    found = await match("Of the messages, how many are spam?", kernel=kernel, phrasings=phrasings)
    assert isinstance(found, Match)
    assert found.phrasing == "Of the messages how many are {label}"
    phrasings.add("count-label", found.phrasing)
    again = await match("Of the messages, how many are ham?", kernel=kernel, phrasings=phrasings)
    assert isinstance(again, Match)
    assert (again.parameters, again.how, len(provider.sent)) == ({"label": "ham"}, "remembered phrasing", 1)
    phrasings.remove("count-label", found.phrasing)
    assert isinstance(await match("Of the messages, how many are ham?", phrasings=phrasings), Abstained)


async def test_what_the_rules_cannot_confirm_is_offered_and_not_run() -> None:
    kernel, _ = await kernel_of('{"habit": "count-label", "parameters": {"label": "spam"}}')
    phrasings = RememberedPhrasings()
    query = "What's the tally of spam in the inbox?"
    found = await match(query, kernel=kernel, phrasings=phrasings)
    assert isinstance(found, Abstained)
    assert found.likely is not None
    assert found.likely.parameters == {"label": "spam"}
    phrasings.add("count-label", found.likely.phrasing or "")
    again = await match(query.replace("spam", "ham"), phrasings=phrasings)
    assert isinstance(again, Match)
    assert again.parameters == {"label": "ham"}


@pytest.mark.parametrize(
    "reply",
    [
        '{"habit": "none", "parameters": {}}',
        '{"habit": "other", "parameters": {}}',
        '{"habit": "count-label", "parameters": {}}',
        '{"habit": "count-label", "parameters": {"label": "ham"}}',
        '{"habit": "count-label", "parameters": {"label": "eggs"}}',
        '{"habit": "count-label", "parameters": {"label": ["spam"]}}',
        '{"habit": "count-label", "parameters": {"label": "spam", "more": 1}}',
        '{"habit": ["count-label"], "parameters": {"label": "spam"}}',
        '{"habit": "count-label"}',
        '{"habit": "count-label", "parameters": "spam"}',
        "count-label",
        "[" * 5_000,
        "",
        CallFailed("it is down", reason="server"),
    ],
)
async def test_whatever_a_model_says_is_checked(reply: Any) -> None:
    kernel, _ = await kernel_of(reply)
    found = await match("Of the messages, how many are spam?", kernel=kernel)
    assert isinstance(found, Abstained)


@pytest.mark.parametrize(
    "query",
    [
        "Of the messages, how many are not spam?",
        "Of the messages, which are spam?",
        "Of the threads, how many are spam?",
        "Of the messages, how many are spam and long?",
        "How many messages show spam?",
        "How many are spam?",
        "Of the spam messages, how many are spam?",
        "Of the 5 messages, how many are spam?",
        'Of the "messages", how many are spam?',
        "spam messages or spam, how many?",
        "Are the messages spam?",
    ],
)
async def test_a_model_cannot_make_two_questions_the_same(query: str) -> None:
    kernel, provider = await kernel_of('{"habit": "count-label", "parameters": {"label": "spam"}}')
    assert isinstance(await match(query, kernel=kernel), Abstained)
    assert len(provider.sent) == 1


@pytest.mark.parametrize("hostile", [30, 49])
async def test_a_library_of_endless_phrasings_makes_no_question_slow(
    hostile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    take = Effort.take

    def counted(self: Effort, steps: int) -> bool:
        taken.append(steps)
        return take(self, steps)

    monkeypatch.setattr(Effort, "take", counted)
    text = Parameter(type="string", example="a")
    names = [f"s{n}" for n in range(6)]
    many = [
        habit(
            f"endless-{number}",
            [" ".join(f"how many {{{name}}}" for name in names) + f" {n} messages" for n in range(200)],
            dict.fromkeys(names, text),
        )
        for number in range(hostile)
    ]
    question = "How many messages are spam " + "how many a " * 20
    for query, name in (("How many messages are spam?", "count-label"), (question, None)):
        taken.clear()
        found = await match(query, *many, COUNT)
        assert (found.habit.spec.name if isinstance(found, Match) else None) == name
        assert sum(taken) < 2 * _MOST_EFFORT
    assert isinstance(found, Abstained)
    assert "had too many to try them all" in found.reason


NOTES = Context.of("from,text\nann,win a prize now\nbob,see you at noon\nann,the cheap pills\n")
OTHERS = Context.of("from,text\ncid,lunch at one is fine\nann,urgent call me back\nbob,the minutes of today\n")
JUDGED = habit(
    "count-judged", ["How many messages are {word}?"], {"word": Parameter(type="string", example="spam")}, context=NOTES
)
SAID = habit(
    "count-said", ["How many messages say {word}?"], {"word": Parameter(type="string", example="noon")}, context=NOTES
)


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("How many messages are spam?", "spam"),
        ("How many messages are ham?", "ham"),
        ("How many messages are urgent?", "urgent"),  # one of them says so
        ("How many messages are there?", None),
        ("How many messages are long?", None),
        ("How many messages are not spam?", None),
        ("How many messages are spam or ham?", None),
        ("How many messages are 17?", None),
    ],
)
async def test_a_word_that_is_judged_by_meaning_need_not_be_in_the_input(query: str, word: str | None) -> None:
    found = await match(query, JUDGED, context=OTHERS)
    assert (found.parameters if isinstance(found, Match) else None) == (None if word is None else {"word": word})


async def test_a_word_that_the_input_of_a_case_says_is_searched_for_in_others_too() -> None:
    assert isinstance(await match("How many messages say lunch?", SAID, context=OTHERS), Match)
    assert isinstance(await match("How many messages say spam?", SAID, context=OTHERS), Abstained)
