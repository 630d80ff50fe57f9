"""Contexts are taken apart into records and put together again without loss."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habit.contexts.context import Context
from habit.library.records import count_for_ceiling, rename, split
from habit.library.spec import Contract, RecordField

TEXTS = st.text(st.sampled_from("ab,;\"'\n\r\t é\x0b\u2028\ud800x1"), max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def table(*names: str, shape: str = "csv", **more: Any) -> Contract:
    return Contract(kind="text", shape=shape, fields=tuple(RecordField(name=name) for name in names), **more)


@settings(deadline=None, max_examples=60)
@given(TEXTS, st.sampled_from(["lines", "log", "csv", "tsv", "json-lines", "text"]), st.sampled_from(["", ";", "||"]))
def test_texts_are_joined_without_loss(text: str, shape: str, delimiter: str) -> None:
    context = Context.of(text)
    records = split(context, Contract(kind="text", shape=shape, delimiter=delimiter))
    if records is not None:
        assert records.join(records.items).payload == context.payload


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.text(st.sampled_from('ab,"\n é'), max_size=6), min_size=2, max_size=2), max_size=6),
    st.booleans(),
)
def test_rows_of_tables_are_records_whatever_their_cells_hold(rows: list[list[str]], crlf: bool) -> None:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n" if crlf else "\n").writerows([["name", "size"], *rows])
    if any("\n" in cell for row in rows for cell in row) and crlf:
        return  # Mixed line ends: not taken apart.
    context = Context.of(written.getvalue())
    records = split(context, table("name", "size"))
    assert records is not None
    assert records.join(records.items).payload == context.payload
    assert len(records.items) == len(rows)
    half = records.join(records.items[len(rows) // 2 :]).value()
    assert list(csv.reader(io.StringIO(half, newline=""))) == [["name", "size"], *rows[len(rows) // 2 :]]


@settings(deadline=None, max_examples=60)
@given(JSON, st.sampled_from(["records", "rows", "strings", "list", "mapping", "texts", "object"]))
def test_json_is_joined_without_loss(value: Any, shape: str) -> None:
    if isinstance(value, str):
        return
    context = Context.of(value)
    records = split(context, Contract(kind="json", shape=shape))
    if records is not None:
        assert records.join(records.items).value() == value


@pytest.mark.parametrize(
    ("text", "contract", "items"),
    [
        ("a\nb\n", Contract(kind="text", shape="lines"), ["a", "b"]),
        ("a\r\nb", Contract(kind="text", shape="lines"), ["a", "b"]),
        ("id,t\n1,x\n2,y\n", table("id", "t"), ["1,x", "2,y"]),
        ("id,t\n1,x\n2,y\n", table(), ["1,x", "2,y"]),
        ("1,x\n2,y\n", table("[0]", "[1]"), ["1,x", "2,y"]),
        ("id\tt\n1\tx\n2\ty\n", table("id", shape="tsv"), ["1\tx", "2\ty"]),
        ('id,t\n1,"x\ny"\n', table("id", "t"), ['1,"x\ny"']),
    ],
)
def test_records_of_texts(text: str, contract: Contract, items: list[str]) -> None:
    records = split(Context.of(text), contract)
    assert records is not None
    assert list(records.items) == items


@pytest.mark.parametrize(
    ("value", "contract"),
    [
        ("a\r\nb\nc", Contract(kind="text", shape="lines")),
        ('id,t\n1,"x\n', table("id", "t")),
        ("other,t\n1,x\n", table("id", "t")),
        ("# Head\ntext", Contract(kind="text", shape="sections")),
        ({"a": [1], "b": [2]}, Contract(kind="json", shape="object")),
        (3, Contract(kind="json", shape="scalar")),
    ],
)
def test_what_cannot_be_taken_apart_for_certain_is_not(value: Any, contract: Contract) -> None:
    assert split(Context.of(value), contract) is None


def test_records_inside_an_object_keep_what_is_around_them() -> None:
    value = {"unit": "EUR", "rows": [{"a": 1}, {"a": 2}]}
    records = split(Context.of(value), Contract(kind="json", shape="object"))
    assert records is not None
    assert records.join(records.items[:1]).value() == {"unit": "EUR", "rows": [{"a": 1}]}


@pytest.mark.parametrize(
    ("value", "count"),
    [("a\nb\n\nc", 4), ("", 1), ([1, 2, 3], 3), ({"a": 1, "b": 2}, 2), ({"m": [1, 2, 3], "n": {"x": 1}}, 4), (7, 1)],
)
def test_a_ceiling_counts_no_fewer_records_than_there_are(value: Any, count: int) -> None:
    assert count_for_ceiling(Context.of(value)) == count


@pytest.mark.parametrize(
    ("value", "shape", "renamed"),
    [
        ("id,kind\n1,spam\nspam,ham\n", "csv", "id,kind\n1,ham\nspam,spam\n"),
        (
            '{"kind": "spam", "t": "spam"}\n{"kind": "ham"}',
            "json-lines",
            '{"kind": "ham", "t": "spam"}\n{"kind": "spam"}',
        ),
        ([{"kind": "spam"}, {"kind": None}], "records", [{"kind": "ham"}, {"kind": None}]),
    ],
)
def test_labels_are_renamed_in_their_field_alone(value: Any, shape: str, renamed: Any) -> None:
    kind = RecordField(name="kind", labels=("spam", "ham"))
    fields = (RecordField(name="id"), kind) if shape == "csv" else (kind,)
    contract = Contract(kind="text" if isinstance(value, str) else "json", shape=shape, fields=fields)
    records = split(Context.of(value), contract)
    assert records is not None
    other = rename(records, contract, {"spam": "ham", "ham": "spam"})
    assert other is not None
    assert other.join(other.items).value() == renamed
