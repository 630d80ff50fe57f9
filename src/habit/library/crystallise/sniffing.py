"""Sniffing: code that looks at how an input begins to tell one layout from another takes nothing out of it."""

from __future__ import annotations

import ast

from habit.library.crystallise.evidence import WORD, Evidence
from habit.library.crystallise.literals import Site

_MOST_SNIFFED = 1_000
"""Characters, or records, of the beginning of an input by which its layout is told."""


def tells_layouts_apart(site: Site, value: float, evidence: Evidence) -> bool:
    """Whether the beginning of the input is only compared with what belongs to a format: ``context[0] == "{"``."""
    parents = list(site.parents)
    at = next(number for number, outer in enumerate(parents) if isinstance(outer, ast.Subscript))
    index = parents[at].slice  # type: ignore[attr-defined]
    from_the_start = isinstance(index, ast.Slice) and index.lower is None and index.step is None
    if not 0 <= value <= _MOST_SNIFFED or (value != 0 and not from_the_start):
        return False
    for inner, outer in zip(parents[at:], parents[at + 1 :], strict=False):
        match outer:
            case ast.Attribute(attr="strip" | "lstrip" | "rstrip" | "lower" | "upper"):
                continue
            case ast.Call(args=[]):
                continue
            case ast.Attribute(attr="startswith" | "endswith"):
                continue
            case ast.Call(func=ast.Attribute(attr="startswith" | "endswith"), args=[told]) if inner is outer.func:
                return _is_of_a_format(told, evidence)
            case ast.Compare(left=left, comparators=others):
                return all(_is_of_a_format(side, evidence) for side in (left, *others) if side is not inner)
        return False
    return False


def _is_of_a_format(node: ast.expr, evidence: Evidence) -> bool:
    """Whether a text has no words but the names of columns and keys."""
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return all(_is_of_a_format(item, evidence) for item in node.elts)
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return is_text and all(evidence.is_named(word) for word in WORD.findall(ast.literal_eval(node)))
