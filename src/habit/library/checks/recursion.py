"""Recursion: which functions of a file may come to call themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from habit.library.checks.report import Finding

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def cycles(tree: ast.Module) -> Iterator[Finding]:
    """Functions that can reach themselves. Whoever mentions a function is taken to call it, so that passing one on
    hides nothing; methods (``.name``) are told apart by their names alone."""
    mentions = _mentions(tree)
    for name, (line, _) in mentions.items():
        if name in _reached(name, mentions):
            remedy = "write it as a loop over a list that is there before the loop begins"
            yield Finding("recursion", line, f"{name.removeprefix('.')} can call itself", remedy)


def _mentions(tree: ast.Module) -> dict[str, tuple[int, set[str]]]:
    """For each named function its line and the names and attributes (with a dot) that it mentions."""
    found: dict[str, tuple[int, set[str]]] = {}
    for name, line, body in _named(tree):
        seen: set[str] = set()
        for part in body:
            for node in ast.walk(part):
                match node:
                    case ast.Name(id=other, ctx=ast.Load()):
                        seen.add(other)
                    case ast.Attribute(attr=other):
                        seen.add(f".{other}")
        before = found.get(name)
        found[name] = (before[0], before[1] | seen) if before else (line, seen)
    return found


def _named(tree: ast.Module) -> Iterator[tuple[str, int, list[ast.AST]]]:
    classes: dict[ast.AST, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            classes.update(dict.fromkeys(node.body, node.name))
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name, body=body) | ast.AsyncFunctionDef(name=name, body=body):
                yield f".{name}" if node in classes else name, node.lineno, list(body)
                # Making an object runs these.
                if node in classes and name in ("__init__", "__post_init__"):
                    yield classes[node], node.lineno, list(body)
            case ast.Assign(targets=targets, value=value) if _holds_lambda(value):
                for target in targets:
                    for inner in ast.walk(target):
                        if isinstance(inner, ast.Name):
                            yield inner.id, node.lineno, [value]
            case ast.NamedExpr(target=ast.Name(id=name), value=value) if _holds_lambda(value):
                yield name, node.lineno, [value]


def _holds_lambda(node: ast.expr) -> bool:
    return any(isinstance(inner, ast.Lambda) for inner in ast.walk(node))


def _reached(name: str, mentions: dict[str, tuple[int, set[str]]]) -> set[str]:
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        for other in mentions[waiting.pop()][1]:
            if other in mentions and other not in reached:
                reached.add(other)
                waiting.append(other)
    return reached
