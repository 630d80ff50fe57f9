"""Where a scheduler asks: its leaf calls with a fixed prompt, and the recorded replies that belong to each."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from habit.library.case import Exchange
from habit.library.checks.mutants import HELPER
from habit.library.hardening.rules import Example


@dataclass(frozen=True)
class Site:
    """One leaf call in the code."""

    call: ast.Call
    query: str
    many: bool
    """Whether it is ``ask_each``, which asks about each of its items."""

    def examples(self, exchanges: Iterable[Exchange]) -> list[Example]:
        """The texts that it asked about and the replies they got; failed calls and other slices are no examples."""
        return [
            (exchange.context.value(), exchange.reply)
            for exchange in exchanges
            if exchange.query == self.query
            and exchange.context is not None
            and exchange.context.kind == "text"
            and not exchange.reason
        ]


def sites_of(tree: ast.Module) -> tuple[list[Site], list[tuple[str, str]]]:
    """The leaf calls whose prompt is fixed; and the prompts of the others, each with why it is left alone."""
    constants = _constants(tree)
    helper = ast.dump(ast.parse(HELPER).body[0])
    inside_helper = {
        inner
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and ast.dump(node) == helper
        for inner in ast.walk(node)
    }
    found: list[Site] = []
    others: list[tuple[str, str]] = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or node in inside_helper:
            continue
        many = isinstance(node.func, ast.Name) and node.func.id == "ask_each" and len(node.args) == 3
        one = isinstance(node.func, ast.Name) and node.func.id == "recursive_llm" and bool(node.args)
        if not many and not one:
            continue
        query = node.args[1] if many else node.args[0]
        text = constants.get(query.id) if isinstance(query, ast.Name) else _text(query)
        if text is None:
            others.append((ast.unparse(query)[:120], "its prompt varies with the question"))
        elif one and len(node.args) != 2:
            others.append((text, "it asks about nothing but its prompt"))
        else:
            found.append(Site(node, text, many))
    queries = [site.query for site in found]
    shared = [site for site in found if queries.count(site.query) > 1]
    others += [(site.query, "it is asked in more than one place") for site in shared[:1]]
    return [site for site in found if site not in shared], others


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _constants(tree: ast.Module) -> dict[str, str]:
    """Names that stand for one text wherever they are seen: assigned once in the whole file."""
    assigned: dict[str, list[str | None]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            assigned.setdefault(node.id, [])
        if isinstance(node, ast.arg):
            assigned.setdefault(node.arg, []).append(None)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            assigned[node.targets[0].id].append(_text(node.value))
    stores = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return {
        name: texts[0]
        for name, texts in assigned.items()
        if len(texts) == 1 and texts[0] is not None and stores.count(name) == 1
    }


def all_exchanges(groups: Sequence[Sequence[Exchange]]) -> list[Exchange]:
    """The exchanges of several sources, each asked-and-answered pair counted as often as it was recorded."""
    return [exchange for group in groups for exchange in group]
