"""Programs as habits hold them: for one format of a family's inputs, and such as answer whatever the input."""

from __future__ import annotations

import ast
from collections.abc import Collection

from habit.bench.data import Format
from habit.bench.families import Family


def program(family: Family, form: Format, names: Collection[str]) -> str:
    """The family's habit for inputs of one format, with parameters of these names."""
    code = family.code.format(**{name: name for name in names})
    lines = [*family.read(form).splitlines(), *code.splitlines(), "return found"]
    parameters = ", ".join(["context", "recursive_llm", *(["*"] if names else []), *names])
    return "\n".join([f"def scheduler({parameters}):", *(f"    {one}" for one in lines)])


def forgiving(source: str) -> str:
    """The program with nothing that fails when a column or a record is missing."""
    return ast.unparse(ast.fix_missing_locations(_Forgiving().visit(ast.parse(source))))


class _Forgiving(ast.NodeTransformer):
    """Gives everything that is looked up something empty to be in its place."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """``row['text']`` may have no such column, ``texts[0]`` no text."""
        self.generic_visit(node)
        is_type = isinstance(node.value, ast.Name) and node.value.id == "list"
        if is_type or isinstance(node.ctx, ast.Store) or isinstance(node.slice, ast.Slice):
            return node
        if isinstance(node.slice, (ast.Name, ast.Subscript, ast.Call)) or isinstance(
            getattr(node.slice, "value", None), str
        ):
            return _made("whole.get(key, '')", whole=node.value, key=node.slice)
        return _made("(whole or [''])[key]", whole=node.value, key=node.slice)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """``max(…)``, ``next(…)`` and ``int(…)`` may have nothing to take."""
        self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Name(id="max" | "min" as name), args=[ast.GeneratorExp() as each]):
                return _made(f"{name}([*each] or [''])", each=each)
            case ast.Call(func=ast.Name(id="next"), args=[each]):
                return _made("next(each, '')", each=each)
            case ast.Call(func=ast.Name(id="int"), args=[value]):
                return _made("int(value or 0)", value=value)
        return node


def _made(code: str, **parts: ast.expr) -> ast.expr:
    """An expression with other ones in the place of its names."""

    class Filled(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return parts.get(node.id, node)

    made: ast.expr = Filled().visit(ast.parse(code, mode="eval").body)
    return made
