"""Clear words where the sandbox has no world: modules that were not loaded, files, input."""

from __future__ import annotations

import builtins
import errno
import io
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

from habit.sandbox.cpython.inside.output import NoInput, refuse_input

_NETWORK = {"requests", "httpx", "aiohttp", "urllib3", "http", "socket", "ssl", "openai", "anthropic", "urllib"}


class ClosedFinder:
    """Comes last among the finders and says why a module is not to be had."""

    def __init__(self, failures: Mapping[str, str]) -> None:
        self._failures = failures

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Always raise: whatever can be imported was imported before the sandbox closed."""
        top = name.partition(".")[0]
        reason = self._failures.get(name) or self._failures.get(top)
        if reason:
            text = f"the module {name!r} could not be loaded for this sandbox ({reason})"
        elif top in _NETWORK:
            text = f"no module {name!r} here: this sandbox has no network"
        else:
            text = f"no module {name!r} here: only the standard library, and numpy and pandas where installed"
        raise ModuleNotFoundError(f"{text}; the data is in the variable `context`", name=name)


def close_imports(failures: Mapping[str, str]) -> None:
    """From now on an import of anything that is not loaded explains why it fails."""
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, ClosedFinder(failures)]
    sys.path[:] = []
    sys.path_importer_cache.clear()


def close_world() -> None:
    """From now on ``open`` and ``input`` explain themselves."""
    sys.stdin = NoInput()
    builtins.input = refuse_input
    builtins.open = io.open = _refuse_open


def _refuse_open(file: Any = "", *arguments: Any, **named: Any) -> NoReturn:
    raise PermissionError(errno.EPERM, "this sandbox has no files: the data is in the variable `context`", str(file))
