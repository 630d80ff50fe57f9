"""The sandbox backends that the contract tests run against."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from habit.sandbox.choose import monty_is_installed, open_sandbox
from habit.sandbox.session import Sandbox


def _cpython() -> Sandbox:
    return open_sandbox("cpython")


def _monty() -> Sandbox:
    if not monty_is_installed():
        pytest.skip("pydantic-monty is not installed: pip install 'habit[monty]'")
    return open_sandbox("monty")


BACKENDS: dict[str, Callable[[], Sandbox]] = {"cpython": _cpython, "monty": _monty}
