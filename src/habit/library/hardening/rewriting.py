"""Rewriting a scheduler: a rule put before a leaf call, and taken away again.

``decide_1`` holds the rule and ``ask_1`` asks only what the rule does not know. Both are ordinary functions of the
file; their names and first lines are how ``relax`` finds them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from habit.library.hardening.rules import Rule
from habit.library.hardening.sites import Site

_MARK = re.compile(r"(?:decide|ask)_\d+")
_DOC = "The reply of a rule that stands in for a leaf call; None where it does not know."


def with_rules(source: str, rules: Sequence[tuple[Site, Rule, str]]) -> str:
    """``source`` with a rule before each of these leaf calls. ``rules`` must be of ``ast.parse(source)``; each comes
    with the prompt that it is for."""
    taken = {int(number) for number in re.findall(r"\bdecide_(\d+)\b", source)}
    functions: list[str] = []
    edits: list[tuple[ast.Call, str]] = []
    for number, (site, rule, prompt) in zip(_free(taken), rules, strict=False):
        decided = f"decide_{number}(text)"
        if site.varies is not None:
            decided += f" if query == {prompt!r} else None"
        body = "\n".join(f"    {line}" for line in rule.body().split("\n"))
        functions.append(
            f'def decide_{number}(text):\n    """{_DOC}"""\n'
            f"    if not isinstance(text, str):\n        return None\n{body}\n\n\n"
            f"def ask_{number}(recursive_llm, query, text, **how):\n"
            f'    """Ask what the rule of decide_{number} does not know."""\n'
            f"    decided = {decided}\n"
            f"    return recursive_llm(query, text, **how) if decided is None else decided\n"
        )
        edits.append((site.call, _asking(site, number)))
    text = _replaced(source, edits)
    lines = _lines(text)
    tree = ast.parse(text)
    first = next(node for node in tree.body if not _is_head(node))
    decorators = [one.lineno for one in getattr(first, "decorator_list", [])]
    at = min([first.lineno, *decorators]) - 1
    needs_re = any("re." in one for one in functions) and not re.search(r"(?m)^import re$", text)
    head = ("import re\n\n\n" if needs_re else "") + "\n\n".join(functions) + "\n\n"
    return "".join([*lines[:at], head, *lines[at:]])


def without_rules(source: str) -> tuple[str, int]:
    """``source`` with every rule taken away, and how many there were."""
    tree = ast.parse(source)
    asking = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("ask_") and _MARK.fullmatch(node.name)
    }
    numbers = {name.removeprefix("ask_") for name in asking}
    rules = [node for node in tree.body if isinstance(node, ast.FunctionDef) and _is_rule(node, numbers)]
    if len(rules) != 2 * len(asking):
        return source, 0
    edits: list[tuple[ast.Call, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in asking:
            arguments = [*node.args[1:], *node.keywords]
            edits.append((node, f"recursive_llm({', '.join(ast.unparse(one) for one in arguments)})"))
    text = _replaced(source, edits)
    lines = _lines(text)
    for node in reversed([one for one in ast.parse(text).body if isinstance(one, ast.FunctionDef)]):
        if _is_rule(node, numbers):
            end = node.end_lineno or node.lineno
            while end < len(lines) and not lines[end].strip():
                end += 1
            del lines[node.lineno - 1 : end]
    return _without_unused_re("".join(lines)), len(asking)


def _is_rule(node: ast.FunctionDef, numbers: set[str]) -> bool:
    if _MARK.fullmatch(node.name) is None or node.name.partition("_")[2] not in numbers:
        return False
    said = ast.get_docstring(node) or ""
    return said == _DOC or said.startswith("Ask what the rule of decide_")


def _free(taken: set[int]) -> list[int]:
    return [number for number in range(1, 1000) if number not in taken]


def _asking(site: Site, number: int) -> str:
    keywords = ", ".join(ast.unparse(keyword) for keyword in site.call.keywords)
    more = f", {keywords}" if keywords else ""
    if site.many:
        llm, query, items = (ast.unparse(one) for one in site.call.args)
        return f"[ask_{number}({llm}, {query}, item{more}) for item in {items}]"
    query, text = (ast.unparse(one) for one in site.call.args)
    return f"ask_{number}(recursive_llm, {query}, {text}{more})"


def _replaced(source: str, edits: Sequence[tuple[ast.Call, str]]) -> str:
    """``source`` with calls replaced where they stand; columns of the tree count bytes of UTF-8."""
    lines = [line.encode() for line in _lines(source)]
    for call, text in sorted(edits, key=lambda one: (one[0].lineno, one[0].col_offset), reverse=True):
        first, last = call.lineno - 1, (call.end_lineno or call.lineno) - 1
        before = lines[first][: call.col_offset]
        after = lines[last][call.end_col_offset :]
        lines[first : last + 1] = [before + text.encode() + after]
    return b"".join(lines).decode()


def _lines(source: str) -> list[str]:
    """Lines as Python counts them, with their ends; other line breaks may stand inside of texts."""
    return re.findall(r"[^\n]*\n|[^\n]+", source)


def _is_head(node: ast.stmt) -> bool:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_text or isinstance(node, (ast.Import, ast.ImportFrom))


def _without_unused_re(source: str) -> str:
    tree = ast.parse(source)
    used = any(isinstance(node, ast.Name) and node.id == "re" for node in ast.walk(tree))
    return source if used else re.sub(r"(?m)^import re\n+", "", source, count=1)
