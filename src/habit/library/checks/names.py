"""Which names a module's code takes from outside: those bound in none of the scopes that are around them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

Scoped = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def free_names(tree: ast.Module) -> Iterator[ast.Name]:
    """Every use of a name that the module does not bind where it is seen: a built-in, or nothing at all."""
    yield from _free(tree.body, (bound_in(tree),), frozenset())


def bound_in(scope: ast.AST) -> frozenset[str]:
    """The names that ``scope`` itself binds, without those of the scopes inside it."""
    names: set[str] = set()
    if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        names.update(argument.arg for argument in arguments_of(scope.args))
    outer: set[str] = set()
    for node in _own_nodes(scope):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Import() | ast.ImportFrom():
                names.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                names.add(name)
            case ast.MatchMapping(rest=str(name)):
                names.add(name)
            case ast.Global(names=others) | ast.Nonlocal(names=others):
                outer.update(others)
    return frozenset(names - outer)


def arguments_of(arguments: ast.arguments) -> list[ast.arg]:
    """All of them, in the order in which they are written."""
    starred = [argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *starred]


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope's own body. Of inner scopes only what they bind or evaluate out here."""
    waiting: list[ast.AST] = list(_body(scope))
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, _COMPREHENSIONS):
            # Only a walrus binds outside a comprehension; its targets are its own.
            waiting += [inner.target for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr)]
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            waiting += outside_of(node)
        else:
            waiting += ast.iter_child_nodes(node)


def _body(scope: ast.AST) -> list[ast.AST]:
    match scope:
        case ast.Lambda(body=body):
            return [body]
        case ast.Module(body=body) | ast.FunctionDef(body=body) | ast.AsyncFunctionDef(body=body):
            return list(body)
        case ast.ClassDef(body=body):
            return list(body)
        case _:
            raise TypeError(f"{type(scope).__name__} is no scope")


def outside_of(scope: Scoped) -> list[ast.AST]:
    """What belongs to a function or class but is evaluated in the scope around it."""
    if isinstance(scope, ast.ClassDef):
        return [*scope.decorator_list, *scope.bases, *scope.keywords]
    defaults = [default for default in (*scope.args.defaults, *scope.args.kw_defaults) if default is not None]
    if isinstance(scope, ast.Lambda):
        return list(defaults)
    notes = [argument.annotation for argument in arguments_of(scope.args) if argument.annotation is not None]
    return [*scope.decorator_list, *defaults, *notes, *([scope.returns] if scope.returns is not None else [])]


def _free(nodes: Sequence[ast.AST], around: tuple[frozenset[str], ...], of_class: frozenset[str]) -> Iterator[ast.Name]:
    """Names of a class body (``of_class``) are seen in that body alone, not in the functions inside it."""
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                if name not in of_class and not any(name in scope for scope in around):
                    yield node
            case ast.ClassDef():
                yield from _free(outside_of(node), around, of_class)
                yield from _free(_body(node), around, bound_in(node))
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                yield from _free(outside_of(node), around, of_class)
                yield from _free(_body(node), (*around, bound_in(node)), frozenset())
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                first = node.generators[0]
                targets = [inner for generator in node.generators for inner in ast.walk(generator.target)]
                bound = frozenset(inner.id for inner in targets if isinstance(inner, ast.Name))
                yield from _free([first.iter], around, of_class)
                inside = [child for child in ast.iter_child_nodes(node) if child is not first]
                yield from _free([*inside, first.target, *first.ifs], (*around, bound), frozenset())
            case _:
                yield from _free(list(ast.iter_child_nodes(node)), around, of_class)
