"""Parameters given by name, the question they make, and what one use may take."""

from __future__ import annotations

from typing import Any

import pytest

from habit import UsageError
from habit.calls.budget import Budget
from habit.contexts.context import Context
from habit.library.contract import observe
from habit.library.evidence import Use
from habit.library.spec import Ceiling, HabitSpec, Intent, Parameter
from habit.library.using import ENOUGH_HITS, budget_of, chosen, filled, judge_of, narrowed_by, question_of
from habit.schedulers.habit import Chosen
from support.library_bench import MONDAY, TUESDAY, count_label
from support.made_habits import spec_of

PARAMETERS = {
    "label": Parameter(type="choice", choices=("spam", "ham"), example="spam"),
    "count": Parameter(type="integer", example=3),
    "share": Parameter(type="number", example=0.5),
    "all": Parameter(type="boolean", example=True),
    "users": Parameter(type="list", example=["ann", "bob"]),
    "word": Parameter(type="string", example="win"),
}
AS_TEXT = {"label": "ham", "count": "7", "share": "2", "all": "no", "users": "ann, bob,", "word": "a=b"}
AS_VALUES = {"label": "ham", "count": 7, "share": 2.0, "all": False, "users": ["ann", "bob"], "word": "a=b"}


@pytest.mark.parametrize("given", [AS_TEXT, AS_VALUES])
def test_parameters_are_taken_as_text_and_as_values(given: dict[str, Any]) -> None:
    values = filled(spec_of(PARAMETERS), given)
    assert values == AS_VALUES
    assert [type(value) for value in values.values()] == [type(value) for value in AS_VALUES.values()]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("label", "eggs", "label of count-label must be one of spam, ham, not 'eggs'"),
        ("count", "many", "count of count-label must be of type integer, not 'many'"),
        ("count", "1.5", "of type integer"),
        ("count", True, "of type integer"),
        ("share", "half", "of type number"),
        ("share", "nan", "of type number"),
        ("share", float("inf"), "of type number"),
        ("all", "maybe", "of type boolean"),
        ("users", [1], "of type list"),
        ("word", 5, "of type string"),
    ],
)
def test_a_value_of_another_type_is_a_sentence(name: str, value: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        filled(spec_of(PARAMETERS), {**AS_VALUES, name: value})


@pytest.mark.parametrize(
    ("name", "example"),
    [("users", "--param users=ann,bob"), ("all", "--param all=true"), ("count", "--param count=3")],
)
def test_what_is_missing_is_told_with_an_example_that_works(name: str, example: str) -> None:
    given = {key: value for key, value in AS_VALUES.items() if key != name}
    with pytest.raises(UsageError) as problem:
        filled(spec_of(PARAMETERS), given)
    assert str(problem.value).endswith(example)
    filled(spec_of(PARAMETERS), {**given, name: example.partition("=")[2]})


def test_an_unknown_name_is_told_what_there_is() -> None:
    with pytest.raises(UsageError, match="no parameter 'xyz'; it has label, count"):
        filled(spec_of(PARAMETERS), {"xyz": 1})
    with pytest.raises(UsageError, match="it has none"):
        filled(spec_of(), {"xyz": 1})


def asking(*phrasings: str) -> HabitSpec:
    return spec_of(PARAMETERS).model_copy(update={"intent": Intent(summary="Count things", phrasings=phrasings)})


@pytest.mark.parametrize(
    ("phrasing", "question"),
    [
        ("How many are {label}?", "How many are ham?"),
        ("The {count} of {users}?", "The 7 of ann, bob?"),
        ("By {users:or}?", "By ann or bob?"),
        ("What of {nothing}?", "What of {nothing}?"),
    ],
)
def test_the_question_is_in_the_words_of_the_first_phrasing(phrasing: str, question: str) -> None:
    assert question_of(asking(phrasing, "other"), AS_VALUES) == question


def test_a_value_that_looks_like_a_slot_stays_what_it_is() -> None:
    assert question_of(asking("Where is {word} of {label}?"), {"word": "{label}", "label": "ham"}) == (
        "Where is {label} of ham?"
    )


def test_a_use_may_take_what_the_ceiling_says_and_a_little_more() -> None:
    facts = observe(Context.of(TUESDAY))
    few = budget_of(Ceiling(base_calls=1), facts)
    more = budget_of(Ceiling(base_calls=1, calls_per_record=1.0, max_usd=0.5, max_seconds=9.0), facts)
    assert few == Budget(max_calls=4)
    assert more.max_calls is not None
    assert 5 <= more.max_calls <= 12
    assert (more.max_usd, more.max_seconds) == (0.5, 9.0)


def test_the_judge_is_the_same_after_the_journal() -> None:
    habit, context = count_label(), Context.of(MONDAY)
    contract = habit.spec.contract.model_copy(update={"postconditions": ({"rule": "at_least", "value": 0},)})
    spec = habit.spec.model_copy(update={"contract": contract})
    habit = type(habit)(spec, habit.source, habit.cases, 1)
    one = chosen(habit, {"label": "spam"}, observe(context))
    again = judge_of(Chosen.from_json(one.to_json()), context)
    for answer in (2, 0, -1):
        assert list(one.judge(answer)) == list(again(answer))
    assert again(-1)
    assert not again(2)


def hit(tokens: int, calls: int, usd: float | None) -> Use:
    return Use("a", 1, "run", 1.0, "hit", tokens=tokens, usd=usd, calls=calls)


def test_evidence_narrows_what_a_use_may_take() -> None:
    hits = [hit(1_000, 10, 0.01)] * ENOUGH_HITS
    assert narrowed_by(hits, Budget(max_calls=100)) == Budget(max_calls=100, max_tokens=40_000, max_usd=0.4)
    assert narrowed_by([*hits, hit(5_000, 10, 0.01)], Budget(max_calls=100)).max_tokens == 200_000
    assert narrowed_by(hits, Budget(max_calls=100, max_usd=0.1)).max_usd == 0.1


@pytest.mark.parametrize(
    "uses",
    [
        [],
        [hit(1_000, 10, 0.01)] * (ENOUGH_HITS - 1),
        [hit(0, 0, 0.0)] * 9,  # all from the journal: they say nothing
        [Use("a", 1, "run", 1.0, "fallback", tokens=9, calls=9)] * 9,
    ],
)
def test_little_evidence_narrows_nothing(uses: list[Use]) -> None:
    assert narrowed_by(uses, Budget(max_calls=100)) == Budget(max_calls=100)


def test_without_a_price_only_tokens_are_narrowed() -> None:
    uses = [hit(1_000, 10, None)] * ENOUGH_HITS
    assert narrowed_by(uses, Budget(max_calls=10)) == Budget(max_calls=10, max_tokens=4_000)
