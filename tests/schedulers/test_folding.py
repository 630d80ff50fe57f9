"""Long runs: older cells are folded when the conversation nears the model's window."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from habit.calls.fanout import EXPECTED_OUTPUT
from habit.events import Event, Folded
from habit.schedulers.workbench import Limits
from schedulers.conftest import Bench
from support.scripted import ScriptedProvider, block

WINDOW = 12_000
STEPS = 24


def long_run() -> list[str]:
    steps = [block(f"import re\nstep_{n} = {n}\nprint('step {n}: ' + 'word {n} ' * 400)") for n in range(STEPS)]
    return [*steps, block(f"answer(step_0 + step_{STEPS - 1})")]


async def run(bench: Bench, **how: Any) -> tuple[ScriptedProvider, Any]:
    model = ScriptedProvider(long_run(), window=WINDOW)
    outcome = await bench.ask(model, returns=int, limits=Limits(max_cells=STEPS + 1), **how)
    return model, outcome


async def test_a_run_far_longer_than_the_window_is_answered_with_its_variables_kept(bench: Bench) -> None:
    model, outcome = await run(bench)
    assert (outcome.status, outcome.answer) == ("answered", STEPS - 1)
    for call in model.calls:
        assert await model.count_tokens(call.messages) + EXPECTED_OUTPUT <= WINDOW


async def test_the_fold_has_a_line_for_each_cell_and_the_variables(bench: Bench) -> None:
    model, _ = await run(bench)
    _, start, *rest = model.calls[-1].messages
    assert "How many lines?" in start.content
    assert "cell 1: step_0 = 0 (… 3 lines) → ok, " in start.content
    assert "step 0: word 0" in start.content
    assert "step_5: int = 5" in start.content
    shown = "".join(message.content for message in rest)
    assert f"step {STEPS - 1}: word" in shown
    assert "step 0: word" not in shown
    roles = [message.role for message in model.calls[-1].messages]
    assert roles == ["system", *["user", "assistant"] * (len(rest) // 2), "user"]


async def test_folds_are_rare_so_that_prompts_can_be_reused_in_between(bench: Bench) -> None:
    model, _ = await run(bench)
    starts = [call.messages[1].content for call in model.calls]
    changes = sum(before != after for before, after in pairwise(starts))
    assert 1 <= changes <= STEPS // 3


async def test_the_journal_keeps_the_full_text_and_says_what_was_folded(bench: Bench) -> None:
    await run(bench)
    cells = await bench.store.cells("run")
    assert all(f"word {n} " * 400 in cell.stdout for n, cell in enumerate(cells[:-1]))
    folded = [cell.folded for cell in cells]
    assert folded[0] == 0
    assert folded == sorted(folded)
    assert 0 < folded[-1] < STEPS


async def test_a_fold_is_told(bench: Bench) -> None:
    events: list[Event] = []
    await run(bench, on_event=events.append)
    folds = [event for event in events if isinstance(event, Folded)]
    assert folds
    assert folds[0].session == "0"
    assert [fold.cells for fold in folds] == sorted({fold.cells for fold in folds})
