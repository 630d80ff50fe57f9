"""Naming: a name for a parameter, from the place its value stands in."""

from __future__ import annotations

import ast
import keyword
import re
from typing import Any

from habit.library.crystallise.evidence import Span
from habit.library.crystallise.literals import Site

_TOP = frozenset({"most_common", "nlargest", "nsmallest", "head", "tail"})


def name_for(site: Site, value: Any, taken: set[str], query: str, span: Span, wanted: str, others: set[str]) -> str:
    """A plain Python name that is neither ``taken`` nor one of the ``others``; ``wanted`` if it can be had."""
    name: str = re.sub(r"\W+", "_", (wanted or _guess(site, value, query, span)).lower()).strip("_")
    if not name.isidentifier() or keyword.iskeyword(name):
        name = "value"
    first = (f"other_{name}",) if {name, f"wanted_{name}"} & others else (name, f"wanted_{name}")
    for candidate in (*first, *(f"{name}_{number}" for number in range(2, 100))):
        if candidate not in taken | others:
            return str(candidate)
    return f"{name}_{len(taken)}"


def _guess(site: Site, value: Any, query: str, span: Span) -> str:
    if isinstance(value, (int, float)):
        return _number_name(site)
    if isinstance(value, list):
        return "values"
    if site.is_prose:
        before = re.findall(r"\w+", query[: span[0]])
        return "topic" if before and before[-1].lower() in ("about", "mention", "mentions", "of") else "kind"
    for outer in site.parents[:3]:
        match outer:
            case ast.Compare(ops=[ast.In() | ast.NotIn(), *_]):
                return "word"
            case ast.Compare(left=left, comparators=[right, *_]):
                return _name_of(left, site) or _name_of(right, site) or "value"
            case ast.Assign(targets=[ast.Name(id=name), *_], value=value) if value is site.node:
                return f"wanted_{name}"
            case ast.Call(func=ast.Attribute(attr="startswith" | "endswith" | "count" | "find" | "index")):
                return "word"
            case ast.Subscript() | ast.Call(func=ast.Attribute(attr="get")):
                return "key" if not site.is_pattern else "word"
    return "word"


def _number_name(site: Site) -> str:
    for outer in site.parents[:3]:
        match outer:
            case ast.Slice():
                return "count"
            case ast.Call(func=ast.Attribute(attr=attr)) if attr in _TOP:
                return "count"
            case ast.Compare():
                return "threshold"
            case ast.Assign(targets=[ast.Name(id=name), *_]):
                return f"wanted_{name}"
    return "number"


def _name_of(node: ast.expr, site: Site) -> str:
    """What the other side of a comparison is called."""
    match node:
        case ast.Name(id=name):
            return name if len(name) > 1 else ""
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case ast.Attribute(attr=name):
            return name
        case ast.Call(func=ast.Attribute(value=value, attr="lower" | "upper" | "strip" | "casefold")):
            return _name_of(value, site)
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(name)), *_]):
            return name
        case ast.Call(func=ast.Name(id="recursive_llm")):
            return "label"
    return ""
