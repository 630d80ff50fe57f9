"""Schemas as servers want them."""

import pytest

from habit.calls.structured import as_object_schema, choice_grammar, choices


def test_an_object_schema_stays_as_it_is():
    schema = {"type": "object", "properties": {"a": {}}}
    assert as_object_schema(schema) == schema


def test_any_other_schema_is_wrapped_and_its_definitions_stay_in_reach():
    schema = {"type": "array", "items": {"$ref": "#/$defs/Pair"}, "$defs": {"Pair": {"type": "object"}}, "$schema": "x"}
    assert as_object_schema(schema) == {
        "type": "object",
        "properties": {"value": {"type": "array", "items": {"$ref": "#/$defs/Pair"}}},
        "required": ["value"],
        "additionalProperties": False,
        "$defs": {"Pair": {"type": "object"}},
    }


def test_a_schema_that_refers_to_its_own_root_is_left_to_the_prompt():
    assert as_object_schema({"type": "array", "items": {"$ref": "#"}}) is None


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"enum": ["a", "b"]}, ["a", "b"]),
        ({"type": "string", "enum": ["a"]}, ["a"]),
        ({"enum": ["a", 1]}, None),
        ({"enum": []}, None),
        ({"type": "integer", "enum": ["a"]}, None),
        ({"type": "string"}, None),
        (None, None),
    ],
)
def test_choices(schema, expected):
    assert choices(schema) == expected


def test_the_grammar_of_choices_escapes_what_it_must():
    assert choice_grammar(["a", 'b"c', "d\\e", "f\ng", "é", "\x00"]) == (
        'root ::= "a" | "b\\"c" | "d\\\\e" | "f\\ng" | "é" | "\\x00"'
    )
