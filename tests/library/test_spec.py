"""``habit.toml`` is written and read back without loss, and refused with the field that is wrong."""

from __future__ import annotations

import pytest

from habit.errors import UsageError
from habit.library.spec import Ceiling, Contract, HabitSpec, Intent, Parameter, Provenance, RecordField

SPEC = HabitSpec(
    name="count-label",
    description="Counts the messages of one label.",
    intent=Intent(summary="Count messages by label", operation="count", phrasings=("How many messages are {label}?",)),
    parameters={"label": Parameter(type="choice", choices=("spam", "ham"), example="spam")},
    returns='{"type": "integer"}',
    contract=Contract(
        kind="text",
        shape="csv",
        delimiter=",",
        fields=(RecordField(name="text", type="string"),),
        postconditions=({"rule": "at_least", "value": 0},),
    ),
    ceiling=Ceiling(base_calls=1, calls_per_record=1.0),
    provenance=Provenance(runs=("run-1",), model="m", learned="2026-11-24T12:00:00Z"),
)


def test_it_is_read_back_as_it_was_written() -> None:
    assert HabitSpec.from_toml(SPEC.to_toml()) == SPEC
    assert SPEC.answer_type.name == "int"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('name = "count-label"', 'name = "../up"'), "is no name for a habit"),
        (("format = 1", "format = 2"), "format"),
        (('type = "choice"', 'type = "integer"'), "choices"),
        (("base_calls = 1", "base_calls = 1\nextra = 1"), "extra"),
        (("base_calls = 1", 'base_calls = "many"'), "base_calls"),
        (('returns = "{', 'returns = "'), "returns"),
        (("[parameters.label]", "[parameters.context]"), "no name for a parameter"),
        (("format = 1", "format ="), "can't be read as TOML"),
        (("format = 1", "format = 1" + "0" * 5000), "can't be read as TOML"),
        (("base_calls = 1", "base_calls = 0x" + "f" * 5000), "can't be read as TOML"),
        (("base_calls = 1", "base_calls = -1"), "base_calls"),
        (("calls_per_record = 1.0", "calls_per_record = inf"), "calls_per_record: Input should be a finite number"),
        (("calls_per_record = 1.0", "calls_per_record = nan"), "calls_per_record"),
        (("base_calls = 1", "base_calls = 1\nmax_usd = 0.0"), "max_usd"),
        (("base_calls = 1", "base_calls = 1\n" + "a." * 20_000 + "a = 1"), "a key of more than 100 parts"),
        (("base_calls = 1", "base_calls = 1\n" + '"=" . ' * 20_000 + "a = 1"), "a key of more than 100 parts"),
        (("format = 1", "format = 1 #" + "x" * 2_000_000), "is longer than"),
        (('[\n    "How many messages are {label}?",\n]', "[]"), "phrasings"),
    ],
)
def test_what_is_wrong_is_named(change: tuple[str, str], says: str) -> None:
    text = SPEC.to_toml()
    assert change[0] in text
    with pytest.raises(UsageError, match=says):
        HabitSpec.from_toml(text.replace(*change))


def test_dots_in_strings_and_comments_are_no_keys() -> None:
    dots = "1." * 500
    said = f'base_calls = 1 # {dots}\nmax_usd = 1.5 # "'
    spec = HabitSpec.from_toml(SPEC.to_toml().replace("base_calls = 1", said).replace("Counts the", dots, 1))
    assert spec.description.startswith("1.1.1.")


def test_a_ceiling_grows_with_the_records() -> None:
    assert Ceiling(base_calls=2, calls_per_record=0.5).calls(5) == 5


def test_a_number_is_one_that_json_can_hold() -> None:
    number = Parameter(type="number", example=1.5)
    assert all(number.accepts(value) for value in (0, -2.5, 10**400))
    assert not any(number.accepts(value) for value in (float("nan"), float("inf"), -float("inf"), True, "1"))
