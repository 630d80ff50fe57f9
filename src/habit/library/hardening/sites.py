"""Where a scheduler asks: its leaf calls whose prompt can be told, and the recorded replies that belong to each."""

from __future__ import annotations

import ast
import re
from collections import Counter
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
    """The prompt; one with parameters in it as it is written in the code."""
    many: bool
    """Whether it is ``ask_each``, which asks about each of its items."""
    varies: re.Pattern[str] | None = None
    """For a prompt with parameters in it, what it can become."""

    def prompts(self, exchanges: Iterable[Exchange]) -> list[str]:
        """The prompts that were sent from here, the most frequent first. A rule is for one of them: with another value
        in the prompt the reply to the same text may be another."""
        if self.varies is None:
            return [self.query]
        found = Counter(one.query for one in exchanges if self.varies.fullmatch(one.query))
        return [prompt for prompt, _ in found.most_common()]

    def examples(self, exchanges: Iterable[Exchange], prompt: str) -> list[Example]:
        """The texts that it asked about and the replies they got; failed calls and other slices are no examples."""
        return [
            (exchange.context.value(), exchange.reply)
            for exchange in exchanges
            if exchange.query == prompt
            and exchange.context is not None
            and exchange.context.kind == "text"
            and not exchange.reason
        ]


def sites_of(tree: ast.Module) -> tuple[list[Site], list[tuple[str, str]]]:
    """The leaf calls whose prompt is fixed, or has parameters in it; and the prompts of the others, each with why it is
    left alone."""
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
        written = constants.get(query.id) if isinstance(query, ast.Name) else query
        text, varies = (None, None) if written is None else (_text(written), _pattern(written))
        if varies is not None and written is not None:
            text = ast.unparse(written)
        if text is None:
            others.append((ast.unparse(query)[:120], "its prompt varies with the question"))
        elif one and len(node.args) != 2:
            others.append((text, "it asks about nothing but its prompt"))
        else:
            found.append(Site(node, text, many, varies))
    queries = [site.query for site in found]
    shared = [site for site in found if queries.count(site.query) > 1 or _is_reached(site, found)]
    others += [(site.query, "it is asked in more than one place") for site in shared[:1]]
    return [site for site in found if site not in shared], others


def _is_reached(site: Site, sites: Sequence[Site]) -> bool:
    """Whether another site may send the same prompt: then it is not known whose replies were recorded."""
    others = [other for other in sites if other is not site]
    if site.varies is None:
        return any(other.varies is not None and other.varies.fullmatch(site.query) for other in others)
    return any(other.varies is not None or site.varies.fullmatch(other.query) for other in others)


def _pattern(node: ast.expr) -> re.Pattern[str] | None:
    """What an f-string can become; None for anything else, and where nothing in it is fixed."""
    if not isinstance(node, ast.JoinedStr):
        return None
    fixed = [part.value for part in node.values if isinstance(part, ast.Constant)]
    if not any(str(part).strip() for part in fixed):
        return None
    parts = [re.escape(str(one.value)) if isinstance(one, ast.Constant) else "(?s:.*)" for one in node.values]
    return re.compile("".join(parts))


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Names that stand for one text wherever they are seen: assigned once in the whole file."""
    assigned: dict[str, list[ast.expr | None]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            assigned.setdefault(node.id, [])
        if isinstance(node, ast.arg):
            assigned.setdefault(node.arg, []).append(None)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            known = _text(node.value) is not None or _pattern(node.value) is not None
            assigned[node.targets[0].id].append(node.value if known else None)
    stores = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return {
        name: texts[0]
        for name, texts in assigned.items()
        if len(texts) == 1 and texts[0] is not None and stores.count(name) == 1
    }


def all_exchanges(groups: Sequence[Sequence[Exchange]]) -> list[Exchange]:
    """The exchanges of several sources, each asked-and-answered pair counted as often as it was recorded."""
    return [exchange for group in groups for exchange in group]
