"""Contracts are inferred from contexts, hold for those, and name the clause that another context violates."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit.calls.returns import Returns
from habit.contexts.context import Context
from habit.errors import UsageError
from habit.library.contract import broken_postconditions, infer_contract, observe, sampling, violations
from habit.library.contract.lines import is_safe, line_pattern, share_that_fits
from habit.library.spec import Contract

CSV = "id,sender,sent,label,size\n" + "".join(
    f"{n},{name},2026-11-{n % 28 + 1:02},{label},{n * 3.5}\n"
    for n, (name, label) in enumerate([("ada", "spam"), ("bob", "ham"), ("cy", "ham")] * 20)
)
RECORDS = [
    {
        "id": n,
        "user": {"name": f"u{n % 7}"},
        "label": ["bug", "question"][n % 2],
        "tags": ["a", "b"],
        "open": n % 3 == 0,
    }
    for n in range(40)
]
LOG = "".join(f"[2026-11-24 10:{n % 60:02}:05] {['INFO', 'WARN'][n % 2]} worker {n}: done\n" for n in range(80))
MAILS = {f"mail/{n}.txt": f"From: someone\n\nHello number {n}" for n in range(9)}


def context_of(value: Any) -> Context:
    return Context.of(value)


def contract_of(value: Any, answer: Any = 0, type_: Any = int, **more: Any) -> Contract:
    return infer_contract([Context.of(value)], answer_type=Returns.from_type(type_), answers=[answer], **more)


@pytest.mark.parametrize(
    ("value", "shape", "records"),
    [
        (CSV, "csv", 60),
        (CSV.replace(",", "\t"), "tsv", 60),
        (CSV.replace(",", ";"), "csv", 60),
        (LOG, "log", 80),
        ("\n".join(json.dumps(one) for one in RECORDS), "json-lines", 40),
        (json.dumps(RECORDS), "json-text/records", 40),
        (RECORDS, "records", 40),
        ([["ada", 1], ["bob", 2]], "rows", 2),
        (["one", "two"], "strings", 2),
        ({f"k{n}": {"a": n} for n in range(5)}, "mapping", 5),
        ({"messages": RECORDS, "total": 40}, "object", 40),
        (MAILS, "texts", 9),
        ({f"{n}.csv": CSV for n in range(4)}, "texts/csv", 4),
        ("# One\n\ntext\n\n# Two\n\nmore\n\n# Three\n\nend\n", "sections", 3),
        ("<a><b>1</b><b>2</b><b>3</b></a>", "markup", 1),
        ("It was a dark night.\nNobody came.\n", "text", 2),
        (17, "scalar", 1),
        ("", "empty", 0),
        ([], "empty", 0),
    ],
)
def test_the_layout_is_seen(value: Any, shape: str, records: int) -> None:
    facts = observe(Context.of(value))
    assert (facts.shape, facts.records, facts.exact) == (shape, records, True)
    if shape != "empty":
        assert violations(contract_of(value), Context.of(value)) == []


def test_columns_and_keys_have_types() -> None:
    assert {one.name: one.type for one in observe(Context.of(CSV)).fields} == {
        "id": "integer",
        "sender": "string",
        "sent": "date",
        "label": "string",
        "size": "number",
    }
    keys = {one.name: one.type for one in observe(Context.of(RECORDS)).fields}
    assert keys == {
        "id": "integer",
        "user": "object",
        "user.name": "string",
        "label": "string",
        "tags": "list",
        "tags[]": "string",
        "open": "boolean",
    }


def csv(change: Callable[[str], str]) -> str:
    return change(CSV)


@pytest.mark.parametrize(
    ("value", "other", "says"),
    [
        (CSV, RECORDS, "kind: the habit takes text and the input is json .records.."),
        (CSV, LOG, "shape: the habit takes csv and the input is log."),
        (CSV, CSV.replace(",", ";"), "delimiter: the habit takes cells separated by comma and the input has semicolon"),
        (CSV, CSV.replace(",", "\t"), "shape: the habit takes csv and the input is tsv."),
        (CSV, CSV.replace("label", "class"), 'columns: .*"label" missing'),
        (CSV, "\n".join(line + ",x" for line in CSV.split("\n")[:-1]).replace(",x", ",note", 1), '"note" new'),
        (CSV, "\n".join(",".join(reversed(line.split(","))) for line in CSV.split("\n")), "their order changed"),
        (CSV, CSV.replace("2026-11-", "11/").replace(",ham", "/2026,ham").replace(",spam", "/2026,spam"), "dates writ"),
        (CSV, CSV.replace(",ham,", ",ham,about "), '"size" holds string values in the input, and the habit takes num'),
        (CSV, CSV.replace("\n", "\r\n"), r"marks: its lines end in \\r\\n"),
        (CSV, "\ufeff" + CSV, "marks: it begins with a byte order mark"),
        (CSV, CSV.replace("ada", '"ada, lady"'), "marks: some of its cells stand in quotes"),
        (CSV, "# exported today\n" + CSV, "marks: comments come before its rows"),
        (CSV, CSV.split("\n", 1)[1], "marks: it has no header line"),
        (CSV, "", "shape: the habit takes csv and the input is empty"),
        (RECORDS, [{**one, "label": None} for one in RECORDS], '"label" is always empty'),
        (
            RECORDS,
            [{k: v for k, v in one.items() if k != "user"} for one in RECORDS],
            'needs "user", and the input doe',
        ),
        (RECORDS, [{**one, "id": str(one["id"])} for one in RECORDS], '"id" holds string values'),
        (RECORDS, [*RECORDS, {"id": 1}], "some records of the input lack it"),
        (RECORDS, {"records": RECORDS}, "shape: the habit takes records and the input is object"),
        ({"messages": RECORDS}, {"messages": [{"text": "x"}]}, r'needs "messages\[\].id"'),
        (LOG, LOG.replace("[2026-11-24 10", "24/11/2026 10").replace("]", ""), "line pattern: only 0%"),
        (MAILS, {f"{n}.csv": CSV for n in range(4)}, "the habit takes texts and the input is texts/csv"),
    ],
)
def test_a_violated_clause_is_named(value: Any, other: Any, says: str) -> None:
    found = violations(contract_of(value), Context.of(other))
    assert found
    assert any(re.search(says, one) for one in found), found


def test_other_contents_of_the_same_format_are_fit() -> None:
    contract = contract_of(CSV)
    lines = CSV.split("\n")
    for fewer in (2, 3, 5):
        assert violations(contract, Context.of("\n".join(lines[:fewer]))) == []
    assert violations(contract, Context.of(lines[0] + "\n")) == []
    assert observe(Context.of(CSV)).records == 60
    assert violations(contract, Context.of(CSV.replace("ham", "unsure"))) == []
    assert violations(contract_of(RECORDS), Context.of(RECORDS[:1])) == []
    assert violations(contract_of({"messages": RECORDS}), Context.of({"messages": []})) == []
    assert violations(contract_of(LOG), Context.of(LOG.replace("2026", "2031") + "Traceback:\n  torn line\n")) == []


def test_numbers_and_dates_may_be_written_in_the_ways_that_were_seen() -> None:
    mixed = "n,day\n" + "".join(f"{n if n % 2 else n + 0.5},{n}/11/2026\n" for n in range(5, 15))
    contract = contract_of(mixed)
    assert [(field.type, field.patterns) for field in contract.fields] == [("number", ()), ("date", ("9/9/9",))]
    assert violations(contract, Context.of("n,day\n1,1/1/2026\n2,12/12/2026\n3,3/12/2026\n")) == []
    assert "dates written" in violations(contract, Context.of("n,day\n1,2026-01-01\n2,2026-01-02\n"))[0]


def test_code_that_takes_cells_by_name_needs_only_those() -> None:
    contract = contract_of(CSV, uses={"label"}, by_name=True)
    assert violations(contract, Context.of("label,other\nspam,1\nham,2\nham,3\n")) == []
    assert violations(contract, Context.of("class,other\nspam,1\nham,2\nham,3\n"))
    assert violations(contract, Context.of(CSV.replace("ada", '"ada, lady"'))) == []


def test_a_closed_set_of_labels_is_one() -> None:
    contract = contract_of(CSV, labels={"label": ["spam"]})
    assert [field.labels for field in contract.fields if field.labels] == [("ham", "spam")]
    assert violations(contract, Context.of(CSV.replace("ham", "spam"))) == []
    late = CSV + "".join(f"{n},x,2026-11-01,ham,1.5\n" for n in range(9000)) + "9,x,2026-11-01,phishing,1.5\n"
    assert "phishing" in violations(contract, Context.of(late))[0]


def test_the_size_is_bounded_on_both_sides() -> None:
    contract = contract_of(CSV)
    assert contract.bytes == (1, 16 << 20)
    big = CSV.split("\n")[0] + "\n" + "1,ada,2026-11-02,spam,1.5\n" * 700_000
    assert violations(contract, Context.of(big)) == [
        f"bytes: the input has {len(big):,} bytes, and the habit was learned for at most {16 << 20:,}."
    ]


def test_rows_are_counted_as_csv_has_them_and_doubtful_ones_by_line() -> None:
    quoted = "id,text\n" + "".join(f'{n},"two\nlines, and more"\n' for n in range(20)) + "\n\n"
    assert (observe(Context.of(quoted)).records, observe(Context.of(quoted)).exact) == (20, True)
    stray = CSV.replace("5,cy", '5,"cy', 1)
    assert observe(Context.of(stray)).records == 60
    assert broken_postconditions(contract_of(CSV, 40, operation="count"), 40, observe(Context.of(stray))) == []


def test_a_large_input_is_only_sampled() -> None:
    row = json.dumps(RECORDS[3])
    big = Context("json", b"[" + b",\n".join([row.encode()] * 300_000) + b"]")
    lines = Context("text", b"\n".join([row.encode()] * 300_000))
    tracemalloc.start()
    facts = [observe(big), observe(lines)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20
    assert [one.shape for one in facts] == ["records", "json-lines"]
    assert facts[1].records == 300_000
    assert abs(facts[0].records - 300_000) < 15_000
    assert not facts[0].exact
    assert [one.partition(":")[0] for one in violations(contract_of(RECORDS), big)] == ["bytes"]


def test_several_runs_must_share_a_format() -> None:
    def both(*values: Any) -> Contract:
        return infer_contract(
            [Context.of(v) for v in values], answer_type=Returns.from_type(int), answers=[1] * len(values)
        )

    assert both(CSV, CSV.replace("ham", "x")).shape == "csv"
    with pytest.raises(UsageError, match="laid out differently"):
        both(CSV, RECORDS)
    with pytest.raises(UsageError, match="different columns"):
        both(CSV, CSV.replace("label", "class"))
    optional = both(RECORDS, [{**one, "extra": 1} for one in RECORDS])
    assert [field.name for field in optional.fields if not field.required] == ["extra"]


@pytest.mark.parametrize(
    ("value", "type_", "answers", "more", "rules"),
    [
        (CSV, int, [20], {"operation": "count"}, ["at_least", "at_most_records"]),
        (CSV, str, ["20"], {"operation": "count"}, ["at_least", "at_most_records"]),
        (CSV, int, [20], {}, []),
        (CSV, float, [-3.5], {"operation": "sum"}, []),
        (CSV, str, ["ada"], {"operation": "extract"}, ["not_empty", "in_context"]),
        (RECORDS, str, ["made up"], {"operation": "extract"}, ["not_empty"]),
        (CSV, str, ["ham"], {"operation": "top", "labels": {"label": ["ham", "spam"]}}, ["one_of"]),
        (CSV, str, ["ham"], {"operation": "top", "choices": [("ham", "spam")]}, ["one_of"]),
        (CSV, str, ["ada"], {"operation": "top", "choices": [("ham", "spam")]}, ["not_empty", "in_context"]),
        (
            CSV,
            list[str],
            [["ada", "bob"]],
            {"operation": "top", "parameters": [{"k": 2}]},
            ["not_empty", "in_context", "at_most_items"],
        ),
        (CSV, list[int], [[3, 2, 1]], {"operation": "sort"}, ["sorted"]),
    ],
)
def test_promises_follow_from_the_kind_of_question(
    value: Any, type_: Any, answers: list[Any], more: dict[str, Any], rules: list[str]
) -> None:
    contract = infer_contract([Context.of(value)], answer_type=Returns.from_type(type_), answers=answers, **more)
    assert [rule["rule"] for rule in contract.postconditions] == rules
    facts = observe(Context.of(value))
    given = (more.get("parameters") or [{}])[0]
    assert broken_postconditions(contract, answers[0], facts, given) == []


@pytest.mark.parametrize(
    ("rule", "answer", "says"),
    [
        ({"rule": "at_least", "value": 0}, -1, "less than 0"),
        ({"rule": "at_most_records"}, 61, "counts more than the 60 records"),
        ({"rule": "one_of", "values": ["spam", "ham"]}, "eggs", "none of the labels"),
        ({"rule": "in_context"}, "zoe", "does not occur"),
        ({"rule": "in_context"}, ["ada", "zoe"], "does not occur"),
        ({"rule": "not_empty"}, " ", "empty"),
        ({"rule": "unique"}, ["a", "a"], "twice"),
        ({"rule": "sorted"}, [2, 1], "not in order"),
        ({"rule": "sorted", "descending": True}, [1, 2], "not in order"),
        ({"rule": "at_most_items", "parameter": "k"}, [1, 2, 3], "3 items where 2"),
        ({"rule": "at_least", "value": 0}, None, "can't be checked"),
        ({"rule": "at_least"}, 1, "can't be checked"),
        ({"rule": "__import__"}, 1, "does not know"),
        ({"rule": ["x"]}, 1, "does not know"),
        ({}, 1, "does not know"),
    ],
)
def test_a_broken_promise_is_named(rule: dict[str, Any], answer: Any, says: str) -> None:
    contract = Contract(kind="text", shape="csv", postconditions=(rule,))
    (said,) = broken_postconditions(contract, answer, observe(Context.of(CSV)), {"k": 2})
    assert says in said


def test_an_estimate_of_the_records_breaks_no_promise() -> None:
    contract = Contract(kind="text", shape="csv", postconditions=({"rule": "at_most_records"},))
    assert broken_postconditions(contract, 99, observe(Context.of(CSV)))
    assert broken_postconditions(contract, 99, replace(observe(Context.of(CSV)), exact=False)) == []


def test_an_item_that_was_cut_in_two_is_no_item() -> None:
    payload = b"[" + b"1234567," * 700_000 + b"1]"
    assert set(observe(Context("json", payload)).items) == {1234567}
    assert sampling._items("[1, 23", 1, 10)[0] == [1]


def test_text_in_json_is_found_however_it_is_escaped() -> None:
    for payload in (b'["caf\\u00e9 \\"x\\""]', '["café \\"x\\""]'.encode(), b'["\\u0063af\\u00e9 \\"x\\""]'):
        contract = Contract(kind="json", shape="strings", postconditions=({"rule": "in_context"},))
        facts = observe(Context("json", payload))
        assert broken_postconditions(contract, 'café "x"', facts) == []
        assert broken_postconditions(contract, "tea", facts)


@given(st.lists(st.text(max_size=60), max_size=30))
def test_a_line_pattern_is_always_safe_and_fits_its_lines(lines: list[str]) -> None:
    pattern = line_pattern(lines)
    assert is_safe(pattern)
    assert share_that_fits(pattern, lines) >= 0.8


@pytest.mark.parametrize(
    ("lines", "pattern"),
    [
        ([f"2026-0{n}-11 ok" for n in range(1, 7)], r"\d{4}\-\d{2}\-\d{2}\ ok"),
        ([f"took {n} ms of {n * 111} at 09:{n:02}" for n in range(1, 7)], r"took\ \d++\ ms\ of\ \d++\ at\ \d{2}:\d{2}"),
    ],
    ids=["dates", "numbers"],
)
def test_only_numbers_filled_up_with_zeros_are_of_one_width(lines: list[str], pattern: str) -> None:
    assert line_pattern(lines) == pattern


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "a*", "(?:x|y)", r"\d+\d+", ".*", "a{1000}", r"\w++", "a|b", "[a-z]+", "\\"]
)
def test_a_pattern_that_could_take_forever_is_never_tried(pattern: str) -> None:
    assert not is_safe(pattern)
    contract = contract_of(LOG).model_copy(update={"line_pattern": pattern})
    assert "can be tried safely" in violations(contract, Context.of(LOG))[0]


@given(st.binary(max_size=300), st.sampled_from(["text", "json"]))
def test_no_bytes_make_it_fail(payload: bytes, kind: Any) -> None:
    for contract in (contract_of(CSV), contract_of(RECORDS), contract_of(LOG)):
        violations(contract, Context(kind, payload))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=6), inner, max_size=5),
    max_leaves=20,
)


@given(json_values)
def test_any_value_satisfies_the_contract_inferred_from_it(value: Any) -> None:
    context = Context.of(value)
    if observe(context).shape != "empty":
        assert violations(contract_of(value), context) == []


def test_hostile_depth_and_numbers_are_no_trouble() -> None:
    for payload in (b"[" * 100_000, b"[" + b"9" * 6_000 + b"]", b'{"a":' * 50_000, b"[" + b"[]," * 2_000_000):
        assert observe(Context("json", payload)).shape in ("unreadable", "rows", "list")
    assert observe(Context("text", ("a," * 200_000 + "\n").encode() * 3)).kind == "text"
    assert observe(Context("text", b'"' + b"a,b\n" * 500_000)).kind == "text"
