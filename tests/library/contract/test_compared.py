"""What columns code compares with its parameters, and which of them are noted as columns of labels."""

from __future__ import annotations

import textwrap

import pytest

from habit.calls.returns import Returns
from habit.contexts.context import Context
from habit.library.contract import Compared, comparisons, infer_contract, violations
from habit.library.spec import Contract


def compared(body: str) -> set[Compared]:
    head = "def scheduler(context, recursive_llm, *, label: str, labels: list):\n"
    return {one for one in comparisons(head + textwrap.indent(body, "    ")) if one.column and one.parameter}


EXACTLY = {Compared("kind", "label", True, False)}
WHATEVER_CASE = {Compared("kind", "label", False, False)}
EACH = {Compared("kind", "labels", True, True)}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("return sum(row['kind'] == label for row in context)", EXACTLY),
        ("return [row for row in context if label != row.get('kind', '')]", EXACTLY),
        ("for row in context:\n    kind = row['kind'].strip()\n    if kind == label:\n        n += 1", EXACTLY),
        ("return label in {row['kind'] for row in context}", EXACTLY),
        ("return sum((row.get('kind') or '').lower() == label.lower() for row in context)", WHATEVER_CASE),
        (
            "wanted = label.casefold()\nreturn [r for r in context if str(r['kind']).casefold() == wanted]",
            WHATEVER_CASE,
        ),
        ("return [row for row in context if row['kind'] in labels]", EACH),
        ("wanted = set(labels)\nreturn [row for row in context if row['kind'] not in wanted]", EACH),
        ("return [sum(row['kind'] == one for row in context) for one in labels]", EACH),
        ("return [row for row in context if row['kind'] in (label, 'none')]", EXACTLY),
    ],
)
def test_what_is_plain_to_see(body: str, found: set[Compared]) -> None:
    assert compared(body) == found


@pytest.mark.parametrize(
    "body",
    [
        "return sum(label in row['kind'] for row in context)",
        "return sum(row['kind'] > label for row in context)",
        "label = label[:3]\nreturn sum(row['kind'] == label for row in context)",
        "return [row for row in context for label in labels[1:] if row['kind'] == label]",
        "def of(label):\n    return [row for row in context if row['kind'] == label]\nreturn of('x')",
        "if context:\n    one = 'none'\nelse:\n    one = label\nreturn sum(row['kind'] == one for row in context)",
        "return sum(recursive_llm('kind?', row['text']) == label for row in context)",
        "return sum(row['kind'].split('/')[0] == label for row in context)",
    ],
)
def test_in_doubt_nothing_is_compared(body: str) -> None:
    assert compared(body) == set()


def test_what_is_looked_for_elsewhere_is_said() -> None:
    head = "def scheduler(context, recursive_llm, *, label: str):\n    return "
    both = comparisons(head + "[r for r in context if r['kind'] == label or label in r['text']]")
    assert both == {Compared("kind", "label", True, False), Compared("", "label", False, False)}


@pytest.mark.parametrize("source", ["def scheduler(:", "\0", "(" * 100_000, ""])
def test_code_that_cannot_be_read_compares_nothing(source: str) -> None:
    assert comparisons(source) == frozenset()


KINDS = ["spam", "ham", "ham", "news"]


def contract_of(*texts: str | list[dict[str, object]]) -> Contract:
    contexts = [Context.of(text) for text in texts]
    answers = [0] * len(texts)
    return infer_contract(contexts, answer_type=Returns.from_type(int), answers=answers, compared={"kind"})


def table(kinds: list[str]) -> str:
    return "id,kind,text\n" + "".join(f"{n},{kind},hello {n % 2}\n" for n, kind in enumerate(kinds))


def seen(contract: Contract) -> dict[str, tuple[str, ...]]:
    return {one.name: one.seen for one in contract.fields if one.seen}


def test_the_labels_of_a_compared_column_are_noted() -> None:
    assert seen(contract_of(table(KINDS * 5))) == {"kind": ("ham", "news", "spam")}
    assert seen(contract_of([{"id": n, "kind": kind} for n, kind in enumerate(KINDS * 5)]))["kind"]
    nested: list[dict[str, object]] = [{"about": {"kind": kind}} for kind in KINDS * 5]
    assert seen(contract_of(nested)) == {"about.kind": ("ham", "news", "spam")}
    assert seen(contract_of(table(["ham", "spam"] * 5), table(["ham", "eggs"] * 5))) == {
        "kind": ("eggs", "ham", "spam")
    }


@pytest.mark.parametrize(
    "kinds",
    [
        [*KINDS * 5, "once"],
        [f"kind {n}" for n in range(13)] * 3,
        ["ham", "x" * 41] * 5,
        ["1", "2"] * 5,
    ],
    ids=["one is there once", "too many", "too long", "numbers"],
)
def test_a_column_of_other_text_is_none_of_labels(kinds: list[str]) -> None:
    assert seen(contract_of(table(kinds))) == {}
    assert seen(contract_of(table(kinds), table(KINDS * 5))) == {}


def test_one_value_alone_is_no_set_of_labels() -> None:
    assert seen(contract_of(table(["ham"] * 9))) == {}
    assert seen(contract_of(table(["ham"] * 9), table(["spam"] * 9))) == {"kind": ("ham", "spam")}


def test_a_new_label_in_an_input_breaks_nothing() -> None:
    contract = contract_of(table(KINDS * 5))
    assert violations(contract, Context.of(table(["ham", "phishing"] * 4))) == []
    assert violations(contract, Context.of(table([f"kind {n}" for n in range(200)]))) == []
