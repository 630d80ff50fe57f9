"""A record that violates a contract is found wherever it lies in a large input; one that holds is let through."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from habit.calls.returns import Returns
from habit.contexts.context import Context
from habit.library.contract import infer_contract, observe, violations, violations_throughout
from habit.library.contract.sampling import WHOLE

HEADER = "id,sent,label,note"
ROW = {"id": 1, "sent": "2026-11-24", "label": "spam", "note": "so and so " * 12, "user": {"name": "ada"}}
MANY = WHOLE // 130


def rows(**odd: Any) -> list[dict[str, Any]]:
    """Many records, the odd one where no sample looks."""
    found = [{**ROW, "id": number} for number in range(MANY)]
    found[MANY // 2 + 41] = {key: value for key, value in {**found[MANY // 2 + 41], **odd}.items() if value != "GONE"}
    return found


def as_text(shape: str, records: list[dict[str, Any]]) -> Any:
    match shape:
        case "csv":
            lines = [",".join(str(one[key]) for key in HEADER.split(",")) for one in records]
            return "\n".join([HEADER, *lines]) + "\n"
        case "json-lines":
            return "".join(json.dumps(one) + "\n" for one in records)
        case "json-text/records":
            return json.dumps(records)
        case "object":
            return {"total": 3, "more": [1, [2]], "messages": records}
        case _:
            return records


SHAPES = ("csv", "json-lines", "records", "json-text/records", "object")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("odd", "says"),
    [
        ({}, ""),
        ({"note": "other"}, ""),
        ({"id": "seven"}, "'seven', and the habit takes integer|\"seven\", and the habit takes integer"),
        ({"sent": "24.11.2026"}, "24.11.2026.*and the habit takes date"),
        ({"label": "eggs"}, "labels: .*eggs.*does not know"),
    ],
    ids=["nothing", "text", "type", "date", "label"],
)
def test_the_odd_record_is_found(shape: str, odd: dict[str, Any], says: str) -> None:
    prefix = "messages[]." if shape == "object" else ""
    small = Context.of(
        as_text(shape, [{**ROW, "id": number, "label": ["spam", "ham"][number % 2]} for number in range(40)])
    )
    contract = infer_contract(
        [small], answer_type=Returns.from_type(int), answers=[0], labels={f"{prefix}label": ["spam", "ham"]}
    )
    facts = observe(Context.of(as_text(shape, rows(**odd))))
    assert facts.bytes > WHOLE
    assert violations(contract, facts) == []  # samples do not show it
    found = violations_throughout(contract, facts)
    if not says:
        assert found == []
    else:
        assert len(found) == 1
        assert re.search(says, found[0]), found


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "csv"])
@pytest.mark.parametrize(("odd", "name"), [({"id": "GONE"}, "id"), ({"user": {}}, "user.name")])
def test_a_record_without_a_key_is_found(shape: str, odd: dict[str, Any], name: str) -> None:
    small = Context.of(as_text(shape, [{**ROW, "id": number} for number in range(40)]))
    contract = infer_contract([small], answer_type=Returns.from_type(int), answers=[0])
    (found,) = violations_throughout(contract, observe(Context.of(as_text(shape, rows(**odd)))))
    assert "needs" in found
    assert f"{MANY // 2 + 42:,}" in found


def test_what_is_torn_is_not_read_as_what_it_begins_as() -> None:
    contract = infer_contract([Context.of([ROW, ROW])], answer_type=Returns.from_type(int), answers=[0])
    torn = Context("json", json.dumps(rows()).encode()[:-200])
    assert "can't be read to its end" in violations_throughout(contract, observe(torn))[0]


def test_a_parked_input_is_read_where_it_is() -> None:
    contract = infer_contract([Context.of([ROW, ROW])], answer_type=Returns.from_type(int), answers=[0])
    records = rows(id="seven") + rows()
    parked = Context.of(records).parked()
    assert not isinstance(parked.payload, bytes)
    (found,) = violations_throughout(contract, observe(parked))
    assert "seven" in found
