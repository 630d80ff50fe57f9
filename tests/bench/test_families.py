"""Each family's truth is found out twice, and its program finds the same."""

from __future__ import annotations

import random
from typing import Any

import pytest

from habit.bench.data import LABELS, THINGS, make_dataset
from habit.bench.families import FAMILIES, Family
from habit.bench.near import NEAR


def oracle(query: str, text: str, labels: dict[str, str]) -> str:
    return labels[text] if "kind" in query else next(thing for thing in THINGS if f" {thing}" in text)


@pytest.mark.parametrize("family", [*FAMILIES, *NEAR], ids=lambda family: family.name)
def test_the_program_of_a_family_finds_the_truth(family: Family) -> None:
    for seed in range(20):
        data, rng = make_dataset(seed), random.Random(seed)
        given = family.draw(rng, data)
        form = rng.choice(family.all_formats)
        answers: list[Any] = []
        names: dict[str, Any] = {
            "context": family.context(data, form),
            "recursive_llm": lambda query, text, returns=str, data=data: oracle(query, text, data.labels),
            "answer": answers.append,
            "print": lambda *values: None,
        }
        for cell in family.cells(form, given):
            exec(cell, names)
        assert answers == [family.true_answer(data, given)]


def test_datasets_are_made_from_their_seed() -> None:
    assert make_dataset(3) == make_dataset(3) != make_dataset(4)
    data = make_dataset(5, 400)
    assert len(data.labels) == 400
    assert set(data.labels.values()) == set(LABELS)
    assert not any(label in message.text.lower() for message in data.messages for label in LABELS)


def test_every_question_names_its_parameters() -> None:
    for family in (*FAMILIES, *NEAR):
        data, rng = make_dataset(1), random.Random(1)
        given = family.draw(rng, data)
        for wording in range(len(family.phrasings)):
            assert all(str(value) in family.question(given, wording) for value in given.values())
