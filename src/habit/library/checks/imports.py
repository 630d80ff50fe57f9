"""What a scheduler may import: parts of the standard library that compute, and nothing that reaches the world."""

from __future__ import annotations

import ast
import builtins
import importlib
from collections.abc import Iterator, Mapping
from types import ModuleType

from habit.library.checks.report import Finding

COMPUTING = frozenset({
    "__future__", "base64", "binascii", "bisect", "calendar", "cmath", "collections", "collections.abc", "copy", "csv",
    "dataclasses", "datetime", "decimal", "difflib", "enum", "fractions", "functools", "hashlib", "heapq", "html",
    "html.parser", "ipaddress", "itertools", "json", "math", "numbers", "operator", "re", "statistics", "string",
    "textwrap", "typing", "unicodedata", "urllib.parse", "xml.etree.ElementTree", "zoneinfo",
})  # fmt: skip
"""Modules that compute, give the same result every time, and take and give nothing but values."""
PARTLY: Mapping[str, frozenset[str]] = {
    "ast": frozenset({"literal_eval"}),
    "io": frozenset({"StringIO", "BytesIO"}),
}
"""Modules of which some names only are allowed."""
_DENIED: Mapping[str, frozenset[str]] = {
    # These turn a string into an attribute access, which no check could see.
    "operator": frozenset({"attrgetter", "methodcaller"}),
    "string": frozenset({"Formatter"}),
    # This evaluates the strings it is given.
    "typing": frozenset({"get_type_hints", "ForwardRef"}),
    "dataclasses": frozenset({"make_dataclass"}),
    # These read or write files.
    "xml.etree.ElementTree": frozenset({"parse", "iterparse", "ElementTree"}),
}
_TODAY = {
    "random": "take what you need in a fixed order instead of at random",
    "time": "use datetime on values of the context, or take the date as a parameter",
    "secrets": "compute from the context instead",
    "uuid": "compute from the context instead",
}
_TOO_MUCH = {
    "pandas": "write it with csv and collections, so that it runs anywhere",
    "numpy": "write it with plain numbers and math or statistics, so that it runs anywhere",
    "asyncio": "call recursive_llm in a plain loop, which runs in parallel by itself",
    "concurrent": "call recursive_llm in a plain loop, which runs in parallel by itself",
    "threading": "call recursive_llm in a plain loop, which runs in parallel by itself",
}
_OTHERWISE = "compute from context with the modules named in docs/checks.md"


def check_imports(tree: ast.Module) -> Iterator[Finding]:
    """Imports that are not allowed, and names taken from allowed modules that are not."""
    modules = imported_modules(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                for alias in node.names:
                    yield from _module(alias.name, node.lineno)
            case ast.ImportFrom(module=None) | ast.ImportFrom(level=1 | 2 | 3):
                yield Finding("imports", node.lineno, "it imports from the folder it lies in", "keep it in one file")
            case ast.ImportFrom(module=str(module)):
                names = [alias.name for alias in node.names if f"{module}.{alias.name}" not in COMPUTING]
                refused = list(_module(module, node.lineno)) if names else []
                yield from refused
                if not refused:
                    for name in names:
                        yield from _member(module, name, node.lineno)
            case ast.Attribute(attr=name):
                module_of = dotted(node.value, modules)
                if module_of is not None and f"{module_of}.{name}" not in COMPUTING:
                    yield from _member(module_of, name, node.lineno)
                    if not isinstance(node.ctx, ast.Load):
                        what = f"it changes {module_of}.{name}"
                        yield Finding("imports", node.lineno, what, "keep what you compute in variables of your own")


def imported_modules(tree: ast.Module) -> dict[str, str]:
    """For each name that stands for a module anywhere in the file, that module."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if f"{node.module}.{alias.name}" in COMPUTING:
                    found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def dotted(node: ast.expr, modules: Mapping[str, str]) -> str | None:
    """The module that an expression such as ``collections.abc`` stands for; None when it is no module."""
    match node:
        case ast.Name(id=name):
            return modules.get(name)
        case ast.Attribute(value=inner, attr=name):
            outer = dotted(inner, modules)
            whole = f"{outer}.{name}"
            is_module = outer is not None and any(
                known == whole or known.startswith(f"{whole}.") for known in COMPUTING
            )
            return whole if is_module else None
        case _:
            return None


def _module(name: str, line: int) -> Iterator[Finding]:
    if name in COMPUTING or name in PARTLY:
        return
    top = name.partition(".")[0]
    if top in _TODAY:
        message = f"it imports {name}, which gives something else each time"
        yield Finding("imports", line, message, _TODAY[top])
    else:
        yield Finding("imports", line, f"it imports {name}", _TOO_MUCH.get(top, _OTHERWISE))


def _member(module: str, name: str, line: int) -> Iterator[Finding]:
    """What is wrong with taking ``name`` from ``module``, which is allowed."""
    if module in PARTLY or module in COMPUTING:
        only = PARTLY.get(module)
        remedy = f"take only {', '.join(sorted(only))} from it" if only else _OTHERWISE
        if name == "*":
            yield Finding("imports", line, f"it imports everything from {module}", "name what you need")
        elif (only is not None and name not in only) or name in _DENIED.get(module, ()) or not _is_public(module, name):
            yield Finding("imports", line, f"it uses {module}.{name}, which is not allowed", remedy)
    elif not any(known.startswith(f"{module}.") for known in COMPUTING):
        return  # The import itself is refused already.
    elif f"{module}.{name}" not in COMPUTING and not any(k.startswith(f"{module}.{name}.") for k in COMPUTING):
        yield Finding("imports", line, f"it uses {module}.{name}, which is not allowed", _OTHERWISE)


def _is_public(module: str, name: str) -> bool:
    """Whether ``module`` has this name for others to use. Another module that it happens to have imported is none."""
    if name.startswith("_") or f"{module}.{name}" in COMPUTING:
        return not name.startswith("_")
    found = getattr(importlib.import_module(module), name, None)
    if found is None or isinstance(found, ModuleType):
        return False
    # A built-in such as ``open`` that a module has imported for itself is not a part of it.
    return found is not getattr(builtins, name, None) or name in getattr(importlib.import_module(module), "__all__", ())
