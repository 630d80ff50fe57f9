"""An answer copied from what was printed is computed; anything else that is written down stays refused."""

from __future__ import annotations

import pytest

from habit.library.crystallise.learn import learn
from habit.library.crystallise.refusal import CannotLearn
from habit.sandbox.session import Sandbox

from .bench import answered, use
from .scripts import MESSAGES, OTHER_MESSAGES, Script

COUNT = "sum('WIN' in line for line in context.splitlines())"
QUERY = "How many lines contain WIN?"


def script(*cells: str, answer: object = 4, returns: object = int) -> Script:
    return Script("copied", QUERY, MESSAGES, list(cells), answer, returns=returns)


@pytest.mark.parametrize(
    "cells",
    [
        (f"print({COUNT})", "answer(4)"),
        (f"print({COUNT}, 'lines')", "answer(4)"),
        ("print(context[:30])", f"result = {COUNT}\nprint(result)\nresult = None", "print('done')\nanswer(4)"),
        (f"n = {COUNT}\nprint(n)", "answer(4)"),
    ],
)
async def test_the_code_that_printed_it_is_learned(sandbox: Sandbox, cells: tuple[str, ...]) -> None:
    async with answered(sandbox, script(*cells)) as engine:
        learned = await learn(engine.resources, ["last"], mutants=0)
    assert learned.report.green, learned.report.troubles()
    assert any("copied from what the code printed" in note for note in learned.dropped)
    assert "4" not in learned.habit.source
    used = await use(sandbox, learned.habit, OTHER_MESSAGES, learned.habit.cases["run-1"].parameters, lambda *_: "")
    assert used.answer == 3


@pytest.mark.parametrize(
    "cells",
    [
        (f"print({COUNT} + 1)", "answer(4)"),  # not what was printed
        ("print(4)", "answer(4)"),
        (f"print({COUNT})", "print('so many')", "answer(4)"),  # not the cell before
        (f"print({COUNT})\nprint(4)", "answer(4)"),
        (f"for n in [1]: print({COUNT})", "answer(4)"),
        (f"print({COUNT}, end='')", "answer(4)"),
        (f"print(*[{COUNT}])", "answer(4)"),
        (f"print({COUNT}, 6)", "answer(6)"),
        (f"x = {COUNT}\nprint(len('WINN'))", "answer(4)"),  # a constant that happens to be it
    ],
)
async def test_what_was_not_computed_is_refused(sandbox: Sandbox, cells: tuple[str, ...]) -> None:
    one = script(*cells, answer=6 if cells[-1] == "answer(6)" else 4)
    async with answered(sandbox, one) as engine:
        with pytest.raises(CannotLearn):
            await learn(engine.resources, ["last"], mutants=0)
