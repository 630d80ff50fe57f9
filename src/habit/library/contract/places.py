"""Whether code goes through the columns or keys of a record, so that a new one among them can make a difference.

Code that takes a value by its name never sees what stands beside it. In doubt it goes through all of them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

_THROUGH = frozenset({"values", "items", "keys", "popitem"})
_MAKING = frozenset({"dict", "Counter", "defaultdict", "OrderedDict", "fromkeys"})
_LOOKING = frozenset({
    "list", "tuple", "set", "sorted", "iter", "enumerate", "zip", "len", "max", "min", "reversed", "map", "filter",
})  # fmt: skip


def goes_by_place(program: ast.AST | Iterable[ast.AST]) -> bool:
    """Whether the values or keys of a record are gone through, counted, or taken by their place in ``program``."""
    parts = [program] if isinstance(program, ast.AST) else list(program)
    nodes = [node for part in parts for node in ast.walk(part)]
    made, records = _made(nodes), _records(nodes)
    return any(_by_place(node, made, records - made) for node in nodes)


def _by_place(node: ast.AST, made: set[str], records: set[str]) -> bool:
    match node:
        case ast.Attribute(attr="fieldnames"):
            return True
        case ast.Call(func=ast.Attribute(value=owner, attr=attr), args=[]) if attr in _THROUGH:
            return not (isinstance(owner, ast.Name) and owner.id in made) and not _is_making(owner)
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in _LOOKING:
            return any(isinstance(one, ast.Name) and one.id in records for one in arguments)
        case ast.For(iter=ast.Name(id=name)) | ast.comprehension(iter=ast.Name(id=name)):
            return name in records
        case _:
            return False


def _made(nodes: Iterable[ast.AST]) -> set[str]:
    """Names of dictionaries that the code makes itself, and that are nothing else."""
    made: set[str] = set()
    others: set[str] = set()
    for node in nodes:
        match node:
            case ast.Assign(targets=targets, value=value):
                names = {one.id for one in targets if isinstance(one, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                names = {name}
            case ast.For(target=target) | ast.comprehension(target=target):
                others |= {one.id for one in ast.walk(target) if isinstance(one, ast.Name)}
                continue
            case ast.arg(arg=name):
                others.add(name)
                continue
            case _:
                continue
        (made if _is_making(value) else others).update(names)
    return made - others


def _is_making(value: ast.expr) -> bool:
    match value:
        case ast.Dict(keys=keys):
            return None not in keys  # {**row} is a record again
        case ast.DictComp():
            return True
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=arguments):
            return name in _MAKING and (name != "dict" or not arguments)
        case _:
            return False


def _records(nodes: Iterable[ast.AST]) -> set[str]:
    """Names of what the code takes a value of by name, once for each of many."""
    targets = {
        one.id
        for node in nodes
        if isinstance(node, (ast.For, ast.comprehension))
        for one in ast.walk(node.target)
        if isinstance(one, ast.Name)
    } | {node.arg for node in nodes if isinstance(node, ast.arg) and node.arg != "context"}
    by_name: set[str] = set()
    for node in nodes:
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str())):
                by_name.add(name)
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr="get"), args=[ast.Constant(value=str()), *_]
            ):
                by_name.add(name)
    return by_name & targets
