"""Child runs wait for their turn on their level, and never for one another in a circle."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from habit.calls.call import Call, Reply
from habit.events import ChildFinished, ChildStarted
from habit.schedulers.workbench import Limits
from schedulers.conftest import Bench
from support.scripted import ScriptedProvider, block

FAN_OUT = "answer(str(len(rlm_query_batched([f'part {n} of {context}' for n in range(6)]))))"


class Tree(ScriptedProvider):
    """Sessions ask for six children each, down to the lowest level, where they answer at once."""

    async def request(self, call: Call) -> Reply:
        await anyio.lowlevel.checkpoint()
        lowest = call.session.count(".") == 2
        return Reply(block("answer(context)" if lowest else FAN_OUT), 1, 1)


@pytest.mark.parametrize("most", [1, 2, 5])
async def test_a_tree_wider_than_its_levels_ends(bench: Bench, most: int) -> None:
    alive = {1: 0, 2: 0}
    peaks = {1: 0, 2: 0}

    def watch(event: Any) -> None:
        if isinstance(event, (ChildStarted, ChildFinished)):
            alive[event.depth] += 1 if isinstance(event, ChildStarted) else -1
            peaks[event.depth] = max(peaks[event.depth], alive[event.depth])

    with anyio.fail_after(60):
        outcome = await bench.ask(Tree(), "x", limits=Limits(max_depth=2, max_children=most), on_event=watch)
    assert outcome.answer == "6"
    assert alive == {1: 0, 2: 0}
    assert peaks == {1: most, 2: most}
