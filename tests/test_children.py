"""A thousand child runs asked for at once: each has its own output and state, and what they used is counted exactly."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from habit import Settings
from habit.calls.call import Call, Reply
from habit.engine import Engine
from habit.events import ChildFinished, ChildStarted
from habit.sandbox.cpython import CPythonSandbox
from habit.schedulers.workbench import Limits
from support.scripted import ScriptedModels, ScriptedProvider, block

CHILDREN = 1_000
AT_ONCE = Limits().max_children
ASK_FOR_CHILDREN = f"""
left_by_root = "only the root's"
print("this is the root")
replies = rlm_query_batched([f"child {{n}} of {CHILDREN}" for n in range({CHILDREN})])
answer(replies)
"""
FIRST_CELL = """
import builtins, json, sys
found = [name for name in ("left_by_root", "left_by_child", "mine") if name in globals()]
found += [place.__name__ for place in (json, sys, builtins) if hasattr(place, "left_by_child")]
mine = context.split()[1]
for place in (json, sys, builtins):
    place.left_by_child = mine
left_by_child = mine
print(f"this is child {mine}, which found {found}")
reply = recursive_llm("Who is this?", context)
"""
SECOND_CELL = """
assert json.left_by_child == sys.left_by_child == left_by_child == mine
answer(f"{mine} {reply}")
"""


class Children(ScriptedProvider):
    """Every session gets the same code; the first replies come when as many sessions as may live wait for theirs."""

    concurrency = 2 * CHILDREN

    def __init__(self) -> None:
        super().__init__(leaf=lambda prompt: "leaf " + found_in(prompt, r"child (\d+) of")[0])
        self.printed: dict[str, list[str]] = {}
        self.tokens = {"root": [0, 0], "leaf": [0, 0]}
        self.waiting = 0
        self.all_wait = anyio.Event()

    async def request(self, call: Call) -> Reply:
        if call.role == "leaf":
            reply = await super().request(call)
        elif call.session == "0":
            reply = await self.say(call, ASK_FOR_CHILDREN)
        elif len(call.messages) == 2:
            self.waiting += 1
            if self.waiting == AT_ONCE:
                self.all_wait.set()
            await self.all_wait.wait()
            reply = await self.say(call, FIRST_CELL)
        else:
            self.printed[call.session] = found_in("\n".join(m.content for m in call.messages), r"this is child \d+, .*")
            reply = await self.say(call, SECOND_CELL)
        spent = self.tokens[call.role]
        spent[0] += reply.input_tokens
        spent[1] += reply.output_tokens
        return reply

    async def say(self, call: Call, code: str) -> Reply:
        return Reply(block(code), await self.count_tokens(call.messages), len(block(code)) // 4)


def found_in(text: str, pattern: str) -> list[str]:
    return re.findall(pattern, text)


@pytest.fixture
async def sandbox() -> AsyncIterator[CPythonSandbox]:
    sandbox = CPythonSandbox()
    yield sandbox
    await sandbox.aclose()


async def test_a_thousand_children_keep_apart_and_are_counted(tmp_path: Path, sandbox: CPythonSandbox) -> None:
    model = Children()
    alive, most_alive = 0, 0

    def watch(event: Any) -> None:
        nonlocal alive, most_alive
        alive += isinstance(event, ChildStarted) - isinstance(event, ChildFinished)
        most_alive = max(most_alive, alive)

    settings = Settings(model="scripted", journal=str(tmp_path / "journal.db"), no_cache=True)
    async with Engine(settings, sandbox=sandbox, models=ScriptedModels(model), on_event=watch) as engine:
        run = await engine.ask("Who are they?", "nothing", returns=list[str])
        store = await engine.store()
        cells = await store.cells(run.id)
        calls = await store.calls(run.id)

    assert run.answer == [f"{n} leaf {n}" for n in range(CHILDREN)]
    assert most_alive == AT_ONCE
    assert alive == 0

    assert len(model.printed) == CHILDREN
    lines = sorted(line for (line,) in model.printed.values())
    assert lines == sorted(f"this is child {n}, which found []" for n in range(CHILDREN))
    written = {(cell.session, cell.index): cell.stdout for cell in cells}
    assert len(written) == len(cells) == 1 + 2 * CHILDREN
    assert written["0", 1] == "this is the root\n"
    for session, (line,) in model.printed.items():
        assert written[session, 1] == f"{line}\n"
        assert written[session, 2] == ""

    usage = run.usage
    assert (usage.root.calls, usage.leaf.calls) == (1 + 2 * CHILDREN, CHILDREN)
    assert (usage.calls, usage.cached_calls, usage.failed_calls) == (1 + 3 * CHILDREN, 0, 0)
    for tally, spent in ((usage.root, model.tokens["root"]), (usage.leaf, model.tokens["leaf"])):
        assert [tally.input_tokens, tally.output_tokens] == spent
    assert len(calls) == usage.calls
    assert run.cells == 1 + 2 * CHILDREN
