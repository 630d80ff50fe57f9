"""Python source to a syntax tree, one at a time.

CPython 3.11 counts the depth of the tree that it builds for all threads together (gh-106905): while two threads parse,
either may fail with a SystemError.
"""

from __future__ import annotations

import ast
import threading
from typing import Literal, overload

_parsing = threading.Lock()


@overload
def parse(code: str | bytes) -> ast.Module: ...


@overload
def parse(code: str | bytes, mode: Literal["eval"]) -> ast.Expression: ...


def parse(code: str | bytes, mode: Literal["exec", "eval"] = "exec") -> ast.Module | ast.Expression:
    """``ast.parse``, safe to call from any thread; raises what that raises."""
    with _parsing:
        tree = ast.parse(code, mode=mode)
    assert isinstance(tree, (ast.Module, ast.Expression))
    return tree
