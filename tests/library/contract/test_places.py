"""Code that goes through the columns or keys of a record is told from code that takes them by name."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from habit.calls.returns import Returns
from habit.contexts.context import Context
from habit.library.contract import infer_contract, violations
from habit.library.contract.places import goes_by_place

BY_NAME = [
    "return sum(row['n'] for row in context)",
    "counts = defaultdict(int)\nfor row in rows:\n    counts[row['who']] += 1\nreturn max(counts.items())",
    "counts = Counter(one.get('who') for one in context)\nreturn counts.most_common(1)[0][0]",
    "sums = {}\nfor one in context:\n    sums[one['a']] = sums.get(one['a'], 0) + 1\nreturn sorted(sums.items())",
    "return len(context['messages'])",
    "return {one['a']: one['b'] for one in context}",
    "seen: dict[str, int] = {}\nreturn list(seen.values())",
    "return [one['tags'] for one in context if len(one['tags']) > 2]",
]
BY_PLACE = [
    "return sum(list(row.values())[1] for row in context)",
    "for row in context:\n    name, number = row.values()\nreturn number",
    "return sum(len(row) for row in context if row['n'])",
    "return [key for row in context for key in row if row['n']]",
    "return list(csv.DictReader(lines).fieldnames)[2]",
    "for row in context:\n    pairs = {**row}\n    found = list(pairs.items())",
    "for row in context:\n    row = dict(row)\n    x = next(iter(row.values()))",
    "def first(row):\n    return list(row)[0], row['n']",
]


@pytest.mark.parametrize("code", BY_NAME)
def test_by_name(code: str) -> None:
    assert not goes_by_place(ast.parse(code))
    assert not goes_by_place(ast.parse(code).body)


@pytest.mark.parametrize("code", BY_PLACE)
def test_by_place(code: str) -> None:
    assert goes_by_place(ast.parse(code))


ONE: dict[str, Any] = {"who": "ada", "n": 3}


@pytest.mark.parametrize(
    ("closed", "other", "says"),
    [
        (False, {**ONE, "note": "x"}, ""),
        (False, {"n": 3, "who": "ada"}, ""),
        (True, {**ONE, "note": "x"}, 'keys: "note" new in the input'),
        (True, {"note": "x", **ONE}, 'keys: "note" new in the input'),
        (True, {"n": 3, "who": "ada"}, "keys: their order changed"),
        (True, ONE, ""),
    ],
)
def test_new_keys_matter_to_code_that_goes_through_them(closed: bool, other: dict[str, Any], says: str) -> None:
    contract = infer_contract([Context.of([ONE, ONE])], answer_type=Returns.from_type(int), answers=[6], closed=closed)
    found = violations(contract, Context.of([other, other]))
    assert [one for one in found if says and one.startswith(says)] == found
    assert bool(found) is bool(says)
