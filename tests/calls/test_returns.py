"""Typed answers: what a type accepts, how replies are read, and that neither ever guesses or loses anything."""

import datetime
import enum
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, computed_field

from habit.calls.returns import Returns
from habit.calls.schemas import structured
from habit.errors import UsageError

texts = st.text(st.characters(), max_size=30)
ints = st.integers(-(2**70), 2**70)
floats = st.floats(allow_nan=False, allow_infinity=False)
any_json = st.recursive(
    st.none() | st.booleans() | ints | floats | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=12,
)
TYPED: dict[str, st.SearchStrategy[Any]] = {
    "int": ints,
    "float": floats,
    "bool": st.booleans(),
    "str": texts,
    "json": any_json,
    "list[str]": st.lists(texts, max_size=5),
    "list[int]": st.lists(ints, max_size=5),
    "dict[str, float]": st.dictionaries(texts, floats, max_size=5),
    "dict[str, list[bool]]": st.dictionaries(texts, st.lists(st.booleans(), max_size=3), max_size=3),
    "int | None": st.none() | ints,
    "list[str | int]": st.lists(texts | ints, max_size=5),
    'Literal["a", "b c", "B"]': st.sampled_from(["a", "b c", "B"]),
    "list": st.lists(any_json, max_size=4),
    "dict": st.dictionaries(texts, any_json, max_size=4),
}
typed_values = st.sampled_from(sorted(TYPED)).flatmap(lambda name: st.tuples(st.just(name), TYPED[name]))


def same(left: Any, right: Any) -> bool:
    """Equal with the same types all through."""
    return json.dumps(left) == json.dumps(right)


def outcome(attempt: Callable[[], Any]) -> Any:
    try:
        return attempt()
    except ValueError as reason:
        return reason


@given(typed_values)
@settings(max_examples=500, deadline=None)
def test_every_value_of_a_type_passes_unchanged(typed: tuple[str, Any]) -> None:
    name, value = typed
    assert same(Returns.from_text(name).check(value), value)


@given(typed_values, st.sampled_from(["{}", "```json\n{}\n```", "```\n{}```", "\n {}\n"]))
@settings(max_examples=500, deadline=None)
def test_replies_are_read_bare_fenced_and_wrapped(typed: tuple[str, Any], form: str) -> None:
    name, value = typed
    returns = Returns.from_text(name)
    if returns.schema is None:
        assert returns.parse(f"  {value}\n") == value.strip()
        return
    sole = isinstance(value, dict) and set(value) == {"value"}
    if not (name == "json" and sole):
        assert same(returns.parse(form.format(json.dumps(value))), value)
    if returns.schema.get("type") != "object":
        assert same(returns.parse(form.format(json.dumps({"value": value}))), value)


@given(typed_values)
@settings(max_examples=200, deadline=None)
def test_the_journal_gives_back_the_same_type(typed: tuple[str, Any]) -> None:
    name, value = typed
    returns = Returns.from_text(name)
    again = Returns.from_json(json.loads(json.dumps(returns.to_json())))
    assert again == returns
    assert same(again.check(value), value)
    assert Returns.from_schema(returns.schema) == returns


@given(st.sampled_from(sorted(TYPED)), any_json | texts)
@settings(max_examples=500, deadline=None)
def test_whatever_comes_gives_a_value_or_one_line(name: str, value: Any) -> None:
    returns = Returns.from_text(name)
    for attempt in (lambda: returns.check(value), lambda: returns.parse(str(value))):
        result = outcome(attempt)
        if isinstance(result, ValueError):
            assert len(str(result).splitlines()) == 1
            assert len(str(result)) < 2000
        else:
            assert same(returns.check(result), result)


@pytest.mark.parametrize(
    ("name", "value", "result"),
    [
        ("int", 3.0, 3),
        ("int", "42", 42),
        ("int", " -7 ", -7),
        ("int", 1e15, 10**15),
        ("float", 3, 3.0),
        ("float", "2.5", 2.5),
        ("bool", "Yes", True),
        ("bool", "false", False),
        ("str", 42, "42"),
        ("str", True, "True"),
        ("str", ["a", 1], '["a", 1]'),
        ("str", {"ä": None}, '{"ä": null}'),
        ("list[str]", ["a", 1, 2.5], ["a", "1", "2.5"]),
        ("list[int]", (1, "2"), [1, 2]),
        ("dict[str, int]", {1: 2.0}, {"1": 2}),
        ("json", {"a": (1, 2)}, {"a": [1, 2]}),
        ("int | None", "5", 5),
        ("list[str | int]", ["5", 5], ["5", 5]),
        ('Literal["Spam", "ham"]', " spam", "Spam"),
        ("Literal[1, 2]", 2.0, 2),
    ],
)
def test_lossless_coercions(name: str, value: Any, result: Any) -> None:
    assert same(Returns.from_text(name).check(value), result)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("int", "abc", "expected int, got str 'abc'"),
        ("int", 3.5, "expected int, got float 3.5"),
        ("int", True, "expected int, got bool True"),
        ("int", None, "expected int, got None"),
        ("int", "007", "expected int, got str '007'"),
        ("int", "1_000", "expected int"),
        ("int", "٣", "expected int"),
        ("int", float("inf"), "expected int, got float inf"),
        ("int", 10**4000, "bits"),
        ("float", "nan", "expected float"),
        ("float", float("nan"), "expected float, got float nan"),
        ("float", False, "expected float, got bool False"),
        ("bool", 1, "expected bool, got int 1"),
        ("bool", "maybe", "expected bool"),
        ("str", None, "expected str, got None"),
        ("list[str]", "abc", "expected list, got str 'abc'"),
        ("list[str]", ["a", None], "at [1]: expected str, got None"),
        ("list[str]", [True], "at [0]: expected str, got bool True"),
        ("dict[str, int]", {"a": "x"}, "at .a: expected int, got str 'x'"),
        ("dict[str, list[int]]", {"a b": [1, {}]}, "at ['a b'][1]: expected int, got dict of 0"),
        ("dict[str, int]", {1: 1, "1": 2}, "twice"),
        ("dict[str, int]", {(1, 2): 1}, "keys must be str"),
        ("json", {"a": float("nan")}, "at .a: expected a finite number, got float nan"),
        ("json", {1, 2}, "expected a value JSON can hold"),
        ("json", object(), "expected a value JSON can hold"),
        ("int | None", "x", "expected int, got str 'x' or expected None, got str 'x'"),
        ('Literal["a", "b"]', "c", 'expected one of "a", "b", got str \'c\''),
        ("Literal[1, 2]", True, "expected one of 1, 2, got bool True"),
    ],
)
def test_everything_else_is_refused_with_a_reason(name: str, value: Any, reason: str) -> None:
    with pytest.raises(ValueError) as refused:
        Returns.from_text(name).check(value)
    assert reason in str(refused.value)


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def test_nesting_has_an_end() -> None:
    returns = Returns.from_text("json")
    assert returns.check(nested(90)) == nested(90)
    with pytest.raises(ValueError, match="more than 100 levels"):
        returns.check(nested(110))
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    for name in ("json", "list", "str"):
        with pytest.raises(ValueError, match="flatter"):
            Returns.from_text(name).check(deep)
    with pytest.raises(ValueError):
        Returns.from_text("json").parse("[" * 100_000 + "]" * 100_000)


CHOICES = ["spam", "not spam", "C", "C++", "other"]


@pytest.mark.parametrize(
    ("reply", "choice"),
    [
        ("spam", "spam"),
        ("Spam.", "spam"),
        ("**Not spam**", "not spam"),
        ('"spam"', "spam"),
        ("c++", "C++"),
        ("C++.", "C++"),
        ("C.", "C"),
        ("(other)", "other"),
        ("The answer is: not spam", "not spam"),
        ("Label: C++", "C++"),
        ('{"label": "spam"}', "spam"),
        ("spam\n\nIt offers a prize.", "spam"),
        ("It looks harmless.\nAnswer: not spam", "not spam"),
    ],
)
def test_choices_are_matched(reply: str, choice: str) -> None:
    assert Returns.from_type(CHOICES).parse(reply) == choice


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "spa",
        "no spam at all",
        "spam or other",
        "spam\nother",
        "I think it is spam, or not",
        "not  sp am",
        "ham",
        "+",
    ],
)
def test_choices_are_never_guessed(reply: str) -> None:
    with pytest.raises(ValueError, match=r"expected one of|the reply is empty"):
        Returns.from_type(CHOICES).parse(reply)


def test_choices_that_differ_only_in_case_need_the_exact_one() -> None:
    returns = Returns.from_type(["US", "us"])
    assert returns.parse("us") == "us"
    with pytest.raises(ValueError):
        returns.parse("Us")
    assert Returns.from_type(["1", "2"]).parse("1") == "1"
    assert Returns.from_type(["true", "false"]).check("True") == "true"


@pytest.mark.parametrize(
    ("name", "reply", "value"),
    [
        ("bool", "Yes.", True),
        ("bool", "**No**", False),
        ("bool", "Yes, because it says so.", True),
        ("bool", "No. The text never mentions it.", False),
        ("bool", "The answer is no", False),
        ("bool", '{"answer": "yes"}', True),
        ("bool", "TRUE", True),
        ("int", "1,234", 1234),
        ("int", "**42**", 42),
        ("int", "42.", 42),
        ("int", "-3", -3),
        ("int", "The total is large.\nAnswer: 12", 12),
        ("int", "1e3", 1000),
        ("float", "$3.50", 3.5),
        ("float", "-1,234.5", -1234.5),
        ("float", "€ 12", 12.0),
        ("float", ".5", 0.5),
        ("list[str]", 'Here it is: ["a", "b"]. Anything else?', ["a", "b"]),
        ("list[str]", 'First:\n```json\n["a"]\n```\nDone.', ["a"]),
        ("dict", 'Sure! {"a": [1]}', {"a": [1]}),
        ("dict", '{"value": 1}', {"value": 1}),
        ("dict", '{"value": {"a": 1}}', {"value": {"a": 1}}),
        ("list[int]", '{"result": [1]}', [1]),
    ],
)
def test_replies_in_words(name: str, reply: str, value: Any) -> None:
    assert same(Returns.from_text(name).parse(reply), value)


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("bool", "maybe"),
        ("bool", "No idea"),
        ("bool", "Yes and no"),
        ("bool", "No. 5"),
        ("bool", "1"),
        ("int", "42 items"),
        ("int", "3.5"),
        ("int", "about 4"),
        ("int", "4-5"),
        ("int", "42\n43"),
        ("int", "```\n1\n```\nor\n```\n2\n```"),
        ("int", "1,23"),
        ("int", "12,3456"),
        ("int", "NaN"),
        ("float", "50%"),
        ("float", "1.234,56"),
        ("float", "Infinity"),
        ("float", "$"),
        ("float", "1e999"),
        ("list[str]", "- a\n- b"),
        ("list[str]", '["a"] or ["b"]'),
        ("list[int]", '["a"]'),
        ("json", "hello"),
        ("json", '{"a": NaN}'),
        ("json", '{"a": '),
        ("dict", "[1, 2]"),
        ("int", ""),
        ("json", "   "),
    ],
)
def test_replies_that_could_mean_something_else_are_refused(name: str, reply: str) -> None:
    with pytest.raises(ValueError):
        Returns.from_text(name).parse(reply)


def test_unknown_types_name_near_ones() -> None:
    for text, near in [("lst[str]", "list"), ("strng", "str"), ("integr", "integer"), ("Bool", "bool")]:
        with pytest.raises(UsageError, match=rf"did you mean .*{near}"):
            Returns.from_text(text)
    for text in (
        "",
        "dict[int, str]",
        "__import__('os')",
        "int()",
        "list[int",
        "Literal[x]",
        "list[1]",
        "x" * 5000,
        "a|b",
    ):
        with pytest.raises(UsageError, match="Unknown type"):
            Returns.from_text(text)


def test_names_for_people() -> None:
    assert Returns.from_text("dict[str,list[int]]").name == "dict[str, list[int]]"
    assert Returns.from_text("Optional[float]").name == "float | None"
    assert Returns.from_type(["a", "b"]).name == 'one of "a", "b"'
    assert Returns.from_schema({"type": "object", "title": "A  person", "properties": {}}).name == "A person"


def test_instructions() -> None:
    assert Returns.from_text("str").instruction == ""
    assert Returns.from_type(["a", "b"]).instruction == 'Reply with one of: "a", "b".'
    assert Returns.from_text("list[str]").instruction == "Reply with JSON only: a list of strings."
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}}
    assert json.dumps(schema) in Returns.from_schema(schema).instruction
    for name in TYPED:
        assert "\n" not in Returns.from_text(name).instruction


PERSON = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://example.com/person.json",
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "pattern": "^[A-Z]"},
        "age": {"type": "integer", "minimum": 0},
        "friends": {"type": "array", "items": {"$ref": "#/$defs/name"}, "uniqueItems": True},
    },
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"name": {"type": "string", "maxLength": 5}},
}


def test_a_schema_file(tmp_path: Path) -> None:
    path = tmp_path / "person.json"
    path.write_text(json.dumps(PERSON))
    returns = Returns.from_text(str(path))
    assert returns.name == "person"
    assert returns.check({"name": "Ada", "age": "36"}) == {"name": "Ada", "age": 36}
    for value, reason in [
        ({"age": 1}, "missing key 'name'"),
        ({"name": "Ada", "x": 1}, "unexpected key 'x'"),
        ({"name": "Ada", "age": -1}, "minimum"),
        ({"name": "ada"}, "does not match the pattern"),
        ({"name": ""}, "at"),
        ({"name": "Ada", "friends": ["Bob", "Bob"]}, "twice"),
        ({"name": "Ada", "friends": ["Robert"]}, "too long"),
        ("Ada", "expected dict, got str 'Ada'"),
    ]:
        with pytest.raises(ValueError, match=reason):
            returns.check(value)


def test_unusable_schema_files(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "bad.json").write_text('{"type": "strin"}')
    (tmp_path / "big.json").write_text(json.dumps({"enum": ["x" * 100] * 10_000}))
    (tmp_path / "folder.json").mkdir()
    for name in ("list", "broken", "deep", "bad", "big", "folder", "absent"):
        with pytest.raises(UsageError, match=rf"{name}\.json"):
            Returns.from_text(str(tmp_path / f"{name}.json"))


BOMB: dict[str, Any] = {
    "$defs": {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(30)}
    | {"a30": {"type": "integer"}},
    "$ref": "#/$defs/a0",
}
RICH_BOMB: dict[str, Any] = {
    "$defs": {f"a{n}": {"oneOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(30)}
    | {"a30": {"type": "integer"}},
    "$ref": "#/$defs/a0",
}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.com/x.json"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "#/$defs/absent"},
        {"$ref": "other.json#/a"},
        {"$ref": 7},
        {"properties": {"a": {"$ref": "http://localhost/x"}}},
        {"$dynamicRef": "#x"},
        {"properties": {"a": {"$id": "http://localhost/", "type": "string"}}},
        {"patternProperties": {"(a+)+$": {}}},
        {"unevaluatedProperties": False},
        {"type": "strin"},
        {"type": "array", "items": 7},
        {"type": "array", "minItems": -1},
        {"enum": "abc"},
        {"pattern": "(?=a)b"},
        {"pattern": "("},
        {"pattern": 3},
        {"enum": ["x" * 1000] * 1000},
        {"enum": [{1, 2}]},
        {"const": float("nan")},
        [],
        "int",
        7,
        True,
    ],
)
def test_hostile_and_broken_schemas_are_refused(schema: Any) -> None:
    with pytest.raises(ValueError) as refused:
        Returns.from_schema(schema)
    assert len(str(refused.value)) < 700


def test_schemas_that_run_away_are_stopped() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"not": deep}
    loop: dict[str, Any] = {}
    loop["not"] = loop
    for schema in (deep, loop):
        with pytest.raises(ValueError, match="deep"):
            Returns.from_schema(schema)
    for schema in (BOMB, RICH_BOMB, {"$ref": "#"}, {"oneOf": [{"$ref": "#"}]}, {"not": {"$ref": "#"}}):
        returns = Returns.from_schema(schema)
        with pytest.raises(ValueError, match=r"steps|deep"):
            returns.check(1)


def test_patterns_take_linear_time() -> None:
    returns = Returns.from_schema({"type": "string", "pattern": "^(a|a)*(a+)+$"})
    with pytest.raises(ValueError, match="does not match"):
        returns.check("a" * 50_000 + "!")
    with pytest.raises(ValueError, match="does not match"):
        returns.check("\udc80")


def test_keywords_may_be_names_of_properties() -> None:
    returns = Returns.from_schema({"type": "object", "properties": {"$ref": {"type": "integer"}, "pattern": {}}})
    assert returns.check({"$ref": "1", "pattern": "("}) == {"$ref": 1, "pattern": "("}
    assert Returns.from_schema({"enum": [{"$ref": "http://x"}]}).check({"$ref": "http://x"})


def test_recursive_schemas_work() -> None:
    tree = {"$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}}, "$ref": "#/$defs/t"}
    assert Returns.from_schema(tree).check([[], [[]]]) == [[], [[]]]
    with pytest.raises(ValueError, match=r"at \[1\]\[0\]: expected list, got int 1"):
        Returns.from_schema(tree).check([[], [1]])


def test_structured_output_schemas() -> None:
    person = {"type": "object", "properties": {}}
    assert structured(person) is person
    wrapped = structured({"type": "array", "items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "integer"}}})
    assert wrapped["type"] == "object"
    assert wrapped["$defs"] == {"n": {"type": "integer"}}
    assert Returns.from_schema(wrapped).check({"value": [1]}) == {"value": [1]}


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Person(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(alias="fullName")
    born: datetime.date
    tags: set[str] = set()
    favourite: Colour | None = None


class Square(BaseModel):
    model_config = ConfigDict(extra="forbid")
    side: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def area(self) -> int:
        return self.side**2


class Node(BaseModel):
    children: list["Node"] = []


def test_pydantic_models() -> None:
    returns = Returns.from_type(list[Person])
    value = returns.parse('Sure:\n```json\n[{"fullName": "Ada", "born": "1815-12-10", "favourite": "red"}]\n```')
    assert value == [{"fullName": "Ada", "born": "1815-12-10", "tags": [], "favourite": "red"}]
    assert same(returns.check(value), value)
    [person] = returns.to_python(value)
    assert (person.name, person.born, person.favourite) == ("Ada", datetime.date(1815, 12, 10), Colour.RED)
    with pytest.raises(ValueError, match=r"at 0\.born: .* got str 'soon'"):
        returns.check([{"fullName": "Ada", "born": "soon"}])
    with pytest.raises(ValueError, match="missing key 'fullName'"):
        returns.check([{"born": "1815-12-10"}])
    again = Returns.from_json(json.loads(json.dumps(returns.to_json())))
    assert again.name == returns.name
    assert again.to_python(again.check(value)) == value


@pytest.mark.parametrize(
    ("wanted", "value", "python"),
    [
        (int, 3, 3),
        (Colour, "Red", Colour.RED),
        (datetime.date, "2024-02-29", datetime.date(2024, 2, 29)),
        (tuple[int, str], [1, "a"], (1, "a")),
        (dict[int, str], {"1": "a"}, {1: "a"}),
        (set[int], [1, 2], {1, 2}),
        (Optional[int], None, None),  # noqa: UP045
        (Literal["x", 3, None], 3, 3),
        (Node, {"children": [{"children": []}]}, Node(children=[Node()])),
        (Square, {"side": 3}, Square(side=3)),
        (None, None, None),
    ],
)
def test_python_types(wanted: Any, value: Any, python: Any) -> None:
    returns = Returns.from_type(wanted)
    checked = returns.parse(json.dumps(value))
    assert returns.to_python(checked) == python
    assert same(returns.check(checked), checked)


def test_more_ways_to_say_a_type() -> None:
    assert Returns.from_type(str).is_text
    assert Returns.from_type({"type": "string"}).is_text
    assert Returns.from_schema(None).is_text
    assert Returns.from_type(("a", "b")).choices == ("a", "b")
    assert Returns.from_type(Any).schema == {}
    returns = Returns.from_text("int")
    assert Returns.from_type(returns) is returns


@pytest.mark.parametrize(
    "wanted", [[], [""], ["a", "a"], ["a", 1], "int", object(), print, lambda: 0, {"type": "strin"}, 7]
)
def test_what_is_no_type_is_a_usage_error(wanted: Any) -> None:
    with pytest.raises(UsageError):
        Returns.from_type(wanted)


def test_plain_types_import_neither_pydantic_nor_jsonschema() -> None:
    code = (
        "import sys; from habit.calls.returns import Returns\n"
        "for name in ('int', 'list[str]', 'json'):\n"
        "    returns = Returns.from_text(name); Returns.from_schema(returns.schema).instruction\n"
        "Returns.from_text('list[int]').parse('[1, 2]')\n"
        "print([m for m in ('pydantic', 'pydantic_core', 'jsonschema', 'referencing') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
