"""Contract of every backend: code as language models write it works."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Callable

import pytest

from sandbox.conftest import Open
from sandbox.hosts import RecordingHost, value_of
from sandbox.modelcode import CASES, WHOLE, Case
from sandbox.test_contract_cells import run


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_cell_as_a_model_writes_it(open_session: Open, case: Case) -> None:
    for needed in ("numpy", "pandas"):
        if f"import {needed}" in case.code:
            pytest.importorskip(needed)
    host = RecordingHost(lambda request: value_of(request).upper() if request.context else "yes")
    result = await run(await open_session(case.context), case.code, host)
    assert result.status == ("ok" if case.answer is None else "answered"), result.error
    assert result.stdout == case.printed
    assert result.answer == case.answer


def has(*kinds: type[ast.AST]) -> Callable[[Case], bool]:
    return lambda case: any(isinstance(node, kinds) for node in ast.walk(ast.parse(case.code)))


def uses_re_unimported(case: Case) -> bool:
    used = any(isinstance(node, ast.Name) and node.id == "re" for node in ast.walk(ast.parse(case.code)))
    return used and not re.search(r"^\s*(import|from) .*\bre\b", case.code, re.MULTILINE)


def awaits_at_top_level(case: Case) -> bool:
    def inside(node: ast.AST) -> bool:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            return False
        is_await = isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith))
        is_await = is_await or (isinstance(node, ast.comprehension) and bool(node.is_async))
        return is_await or any(inside(child) for child in ast.iter_child_nodes(node))

    return inside(ast.parse(case.code))


SHARES: dict[str, tuple[Callable[[Case], bool], float, float]] = {
    "slices": (has(ast.Slice), 0.63, 0.10),
    "f-strings": (has(ast.JoinedStr), 0.59, 0.10),
    "for": (has(ast.For), 0.53, 0.20),
    "comprehensions": (has(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp), 0.17, 0.10),
    "def": (has(ast.FunctionDef, ast.AsyncFunctionDef), 0.09, 0.07),
    "await": (awaits_at_top_level, 0.07, 0.03),
    "imports": (has(ast.Import, ast.ImportFrom), 0.30, 0.10),
    "re without import": (uses_re_unimported, 32 / 424, 0.08),
    "globals()": (lambda case: "globals()" in case.code, 0.05, 0.03),
    "print": (lambda case: "print(" in case.code, 0.90, 0.10),
}
"""How often each was seen in 424 cells that models wrote, and how far ours may be from it."""


def test_the_cells_are_like_those_that_models_wrote() -> None:
    """Lengths are those of whole cells: a median of 15 lines, and 50 for the longest tenth."""
    assert len(WHOLE) >= 110
    assert len({case.name for case in CASES}) == len(CASES)
    lengths = [len(case.code.strip().splitlines()) for case in WHOLE]
    assert 13 <= statistics.median(lengths) <= 17
    assert 45 <= statistics.quantiles(lengths, n=10)[-1] <= 55
    found = {name: sum(map(feature, CASES)) / len(CASES) for name, (feature, _, _) in SHARES.items()}
    wrong = {name: found[name] for name, (_, share, off) in SHARES.items() if abs(found[name] - share) > off}
    assert wrong == {}


@pytest.mark.parametrize(
    "word",
    [
        "llm_query(", "llm_query_batched(", "rlm_query(", "rlm_query_batched(", "FINAL(", "FINAL_VAR(", "SUBMIT(",
        "SHOW_VARS(", "recursive_llm(", "recursive_llm_map(", 'answer["ready"]', "answer.update(", "answer = {",
        "answer(", "class ", "yield ", "asyncio.gather(", "asyncio.as_completed(", "ThreadPoolExecutor(",
        "import pandas", "json.loads(", "csv.", "Counter(", "except CallFailed", "except (CallFailed", "overlap", '"""',
        "find(",
    ],
)  # fmt: skip
def test_the_cells_use_what_models_use(word: str) -> None:
    assert any(word in case.code for case in CASES)
