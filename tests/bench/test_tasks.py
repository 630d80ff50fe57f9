"""Questions about inputs of any size: true twice over, right-sized, known by their words and by their key."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from habit.bench.data import LABELS, make_dataset, thing_of
from habit.bench.families import FAMILIES, Family
from habit.bench.large import ASK_KINDS, ASK_THREATS, EVERY, LARGE, PACK
from habit.bench.sized import THREATENING, label_of, make_sized
from habit.bench.tasks import Planned, Question, make_questions, plan_questions

SEEDS = range(6)
NAMED = pytest.mark.parametrize("family", LARGE, ids=lambda family: family.name)


def size_of(context: Any) -> int:
    if isinstance(context, dict):
        return sum(map(len, context.values()))
    return len(context if isinstance(context, str) else json.dumps(context))


def leaf(query: str, text: str, returns: Any = str) -> Any:
    if query == ASK_KINDS:
        assert len(text.splitlines()) <= PACK
        return [label_of(line) for line in text.splitlines()]
    if query == ASK_THREATS:
        return [line for line in text.splitlines() if line in THREATENING]
    return thing_of(text) if "thing" in query else label_of(text)


def answer_of(question: Question) -> Any:
    """What the family's program finds, without any scheduler."""
    answers: list[Any] = []
    names: dict[str, Any] = {
        "context": question.context,
        "recursive_llm": leaf,
        "recursive_llm_map": lambda query, texts, returns=str: [leaf(query, text) for text in texts],
        "answer": answers.append,
        "print": lambda *values: None,
    }
    for cell in question.family.cells(question.form, question.parameters):
        exec(cell, names)
    return answers[0]


@NAMED
def test_the_program_of_a_family_finds_the_truth_at_any_size(family: Family) -> None:
    for question in make_questions([family], [2_000, 40_000], SEEDS):
        assert answer_of(question) == question.truth
        assert question.score(question.truth) == 1.0


@NAMED
def test_an_input_has_the_size_that_was_asked_for(family: Family) -> None:
    for question in make_questions([family], [10_000, 100_000], [0, 1, 2]):
        size = size_of(question.context)
        assert question.size is not None
        assert abs(size - question.size) < 400, question.form


@NAMED
def test_answers_stay_short_as_inputs_grow(family: Family) -> None:
    for question in make_questions([family], [300_000], SEEDS):
        assert len(json.dumps(question.truth)) < 1_000


def test_each_kind_has_a_family_and_a_needle_is_in_the_later_part() -> None:
    assert {family.kind for family in LARGE} == {"aggregation", "needle", "pairwise", "multi-hop", "extraction"}
    for seed in SEEDS:
        data = make_sized(seed, 20_000, "csv")
        assert sum(message.text in THREATENING for message in data.messages) == 1
        assert len(data.labels) == len(data.messages)
        assert all(label_of(message.text) == message.label for message in data.messages)


def test_a_question_says_which_family_it_is_of_and_with_which_parameters() -> None:
    questions = [*make_questions(LARGE, [5_000], SEEDS)]
    for family in FAMILIES:
        data = make_dataset(3)
        for wording in range(len(family.phrasings)):
            given = family.draw(random.Random(wording), data)
            questions.append(Question(family, data, family.formats[0], given, wording))
    for question in questions:
        found = {one.name: one.recognised(question.text) for one in EVERY}
        assert {name: given for name, given in found.items() if given is not None} == {
            question.family.name: dict(question.parameters)
        }


def test_a_key_is_known_before_its_input_is_made_and_stays() -> None:
    planned = list(plan_questions(LARGE, [3_000, 6_000], [0, 1]))
    assert len({one.key for one in planned}) == len(planned) == 4 * len(LARGE)
    assert [one.key for one in planned] == [one.key for one in make_questions(LARGE, [3_000, 6_000], [0, 1])]
    assert Planned(LARGE[0], "csv", 10_000, 0).key == "df910710eca08cb57a09"
    again = planned[5].question()
    assert again == planned[5].question()


def test_questions_of_a_stream_have_keys_too() -> None:
    data = make_dataset(1)
    first, second = (Question(FAMILIES[0], data, "csv", {"label": label}) for label in ("praise", "question"))
    assert first.key != second.key
    assert first.key == Question(FAMILIES[0], make_dataset(1), "csv", {"label": "praise"}).key


def test_no_kind_stands_in_the_words_of_its_messages() -> None:
    assert not any(label in text.lower() for text in THREATENING for label in LABELS)


class TestScores:
    pairs = next(family for family in LARGE if family.name == "pairs-of-kind")
    ranked = next(family for family in LARGE if family.name == "top-spenders")
    count = next(family for family in LARGE if family.name == "count-kind")
    word = next(family for family in LARGE if family.name == "thread-starter")

    @pytest.mark.parametrize(
        ("answer", "score"),
        [
            (["a & b", "c & d"], 1.0),
            (["c & d", "A & b "], 1.0),
            (["a & b"], 2 / 3),
            (["a & b", "c & d", "e & f", "g & h"], 2 / 3),
            (["a & b", "a & b"], 0.5),
            (["x & y"], 0.0),
            ([], 0.0),
            (None, 0.0),
            ("a & b", 0.0),
        ],
    )
    def test_a_list_is_scored_by_f1(self, answer: Any, score: float) -> None:
        truth = ["a & b", "c & d"]
        assert self.pairs.score(answer, truth) == pytest.approx(score)
        assert self.pairs.is_right(answer, truth) == (score == 1.0)

    def test_where_order_counts_an_item_has_to_be_in_its_place(self) -> None:
        scores = [self.ranked.score(answer, ["a", "b", "c"]) for answer in ("abc", "acb", "ab", "cab")]
        assert scores == [0, 0, 0, 0]
        scores = [self.ranked.score(list(answer), ["a", "b", "c"]) for answer in ("abc", "acb", "ab", "cab")]
        assert scores == pytest.approx([1, 1 / 3, 0.8, 0])
        assert not self.ranked.is_right(["b", "a"], ["a", "b"])

    def test_anything_else_is_right_or_not(self) -> None:
        assert [self.count.score(answer, 3) for answer in (3, 4, "3", True, None, 3.0)] == [1, 0, 0, 0, 0, 0]
        assert [self.word.score(answer, "ada") for answer in ("ada", "Ada ", "boris", None)] == [1, 1, 0, 0]

    def test_nothing_where_nothing_is_right(self) -> None:
        assert self.pairs.score([], []) == 1.0
        assert self.pairs.score(["a & b"], []) == 0.0
