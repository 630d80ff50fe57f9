"""What monty lacks is said truly: in the docs, to the model, and in the list of tests that it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from habit.sandbox.monty.differences import BY_NAME, DIFFERENCES, as_markdown, explain
from sandbox.monty.expected import ANY, EXPECTED

DOCS = Path(__file__).parents[3] / "docs" / "sandbox.md"


def test_the_docs_hold_the_table() -> None:
    assert as_markdown() in DOCS.read_text("utf-8"), (
        "put habit.sandbox.monty.differences.as_markdown() into docs/sandbox.md"
    )


def test_names_are_unique_and_the_tests_name_known_differences() -> None:
    assert len(BY_NAME) == len(DIFFERENCES)
    assert set(EXPECTED) - {ANY} <= set(BY_NAME)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        ("NotImplementedError: The monty syntax parser does not yet support yield expressions", "generators"),
        (
            "NotImplementedError: The monty syntax parser does not yet support class inheritance and metaclasses",
            "inheritance",
        ),
        ("ModuleNotFoundError: No module named 'numpy'", "numpy"),
        ("ModuleNotFoundError: No module named 'concurrent'", "threads"),
        ("ModuleNotFoundError: No module named 'statistics'", "modules"),
        ("AttributeError: module 'asyncio' has no attribute 'create_task'", "asyncio"),
        ("AttributeError: 'dict' object has no attribute 'get'", "dunder"),
        ("AttributeError: 'json.JSONDecodeError' object has no attribute 'msg'", "exceptions"),
        ("AttributeError: 'binascii.Incomplete' object has no attribute 'reason'", "call-failed"),
        ("NameError: name 'globals' is not defined", "namespaces"),
        ("PermissionError: Permission denied: '/etc/passwd'", "world"),
        ("TypeError: object of type 'Box' has no len()", "operators"),
        ("NotImplementedError: The monty syntax parser does not yet support something new", "in-part"),
        ("ZeroDivisionError: division by zero", None),
        ("KeyError: 'x'", None),
        ("TypeError: '<' not supported between instances of 'int' and 'str'", None),
    ],
)
def test_errors_are_explained(error: str, name: str | None) -> None:
    found = explain(error)
    assert (found.name if found else None) == name
