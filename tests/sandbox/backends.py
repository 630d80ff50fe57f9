"""The sandbox backends that the contract tests run against."""

from __future__ import annotations

from collections.abc import Callable

from habit.sandbox.cpython import CPythonSandbox
from habit.sandbox.session import Sandbox

BACKENDS: dict[str, Callable[[], Sandbox]] = {"cpython": CPythonSandbox}
