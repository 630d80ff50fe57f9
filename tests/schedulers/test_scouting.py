"""Scouts at work: a loop in a real session, the calls that ran ahead of it, and what is left when it is over."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest

from habit.calls.budget import Budget
from habit.calls.call import Call, Reply
from habit.config import Settings
from habit.contexts.context import Context
from habit.engine import Engine
from habit.errors import BudgetExceeded, UsageError
from habit.journal.memory import MemoryStore
from habit.run import Run
from habit.sandbox.session import Sandbox, Session, SessionSpec, SharedContext
from habit.schedulers import scouting
from sandbox.backends import BACKENDS
from support.scripted import ScriptedModels, ScriptedProvider, block

LOOP = "found = []\nfor i in range({count}):\n    if 'yes' in llm_query(f'item {{i}}?'):\n        found.append(i)\n"


class CountingSandbox:
    """A sandbox that counts the sessions it opens."""

    def __init__(self, inner: Sandbox) -> None:
        self.inner = inner
        self.name = inner.name
        self.opened = 0
        self.alive: set[Session] = set()

    async def warm_up(self) -> None:
        await self.inner.warm_up()

    async def share(self, context: Context) -> SharedContext:
        counting, shared = self, await self.inner.share(context)

        class Shared:
            async def session(self, spec: SessionSpec) -> Session:
                session = await shared.session(spec)
                counting.opened += 1
                counting.alive.add(session)
                close = session.aclose

                async def aclose() -> None:
                    await close()
                    counting.alive.discard(session)

                session.aclose = aclose  # type: ignore[method-assign]
                return session

            async def aclose(self) -> None:
                await shared.aclose()

        return Shared()

    async def aclose(self) -> None:
        await self.inner.aclose()


@pytest.fixture(scope="module", params=list(BACKENDS))
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    sandbox = BACKENDS[request.param]()
    yield sandbox
    await sandbox.aclose()


@pytest.fixture
def sandbox(backend: Sandbox) -> CountingSandbox:
    return CountingSandbox(backend)


class Crowd(ScriptedProvider):
    """Leaf calls after the first ones are answered once so many were made: alone, a loop would wait for ever."""

    def __init__(
        self, script: list[str], crowd: int, *, alone: int = 1, leaf: Callable[[str], str] = lambda prompt: "yes"
    ) -> None:
        super().__init__(script, leaf=leaf)
        self.crowd = crowd
        self.alone = alone
        self.enough = anyio.Event()
        self.asked = 0

    async def request(self, call: Call) -> Reply:
        if call.role == "leaf":
            self.asked += 1
            if self.asked > self.crowd:
                self.enough.set()
            if self.asked > self.alone:
                await self.enough.wait()
        return await super().request(call)


async def ask(
    model: ScriptedProvider, sandbox: Sandbox, *, store: MemoryStore | None = None, speculate: int = 32, **more: Any
) -> Run:
    settings = Settings(model="scripted", no_journal=True, speculate=speculate)
    async with Engine(settings, store=store, models=ScriptedModels(model), sandbox=sandbox) as engine:
        with anyio.fail_after(60):
            return await engine.ask("q", "some context", **more)


async def test_a_loop_goes_out_at_once_and_wastes_nothing(sandbox: CountingSandbox) -> None:
    model = Crowd([block(LOOP.format(count=9) + "answer(str(found))")], 8)
    run = await ask(model, sandbox)
    assert run.answer == str(list(range(9)))
    assert (run.usage.calls, run.usage.speculated_calls, run.usage.wasted_calls) == (10, 7, 0)
    assert sandbox.opened == 2
    assert not sandbox.alive


async def test_a_comprehension_is_limited_by_the_provider_alone(sandbox: CountingSandbox) -> None:
    code = "answer(str(len([llm_query(f'item {i}?') for i in range(50)])))"
    run = await ask(Crowd([block(code)], 49, alone=0), sandbox, speculate=2)
    assert (run.answer, run.usage.speculated_calls, run.usage.wasted_calls) == ("50", 49, 0)


async def test_a_later_cell_is_run_ahead_with_the_variables_of_the_earlier(sandbox: CountingSandbox) -> None:
    first = "words = ['w' + w for w in 'abcdefghi']\nkind = recursive_llm('What kind?', context)\nprint(kind)"
    second = "out = []\nfor w in words:\n    out.append(llm_query(f'{w} of kind {kind}'))\nanswer(str(len(out)))"
    model = Crowd([block(first), block(second)], 9, alone=2)
    run = await ask(model, sandbox)
    assert (run.answer, run.usage.wasted_calls) == ("9", 0)
    assert run.usage.speculated_calls > 0
    assert {call.messages[-1].content.count("of kind yes") for call in model.leaf_calls if call.cell == 2} == {1}


@pytest.mark.parametrize(
    "code",
    [
        "r = 'start'\nfor i in range(30):\n    r = llm_query(f'{i} after {r}')\nanswer(r)",
        "for i in range(100):\n    if llm_query(f'item {i}: stop?').endswith('7'):\n        break\nanswer(str(i))",
        "i = 0\nwhile not llm_query(f'item {i}: stop?').endswith('7'):\n    i += 1\nanswer(str(i))",
    ],
)
@pytest.mark.parametrize("window", [1, 8])
async def test_what_cannot_be_foreseen_stays_right_and_wastes_the_window_at_most(
    sandbox: CountingSandbox, code: str, window: int
) -> None:
    def model() -> ScriptedProvider:
        return Slow([block(code)], leaf=lambda prompt: str(sum(map(ord, prompt)) * 31 % 97))

    plain = await ask(model(), sandbox, speculate=0)
    run = await ask(model(), sandbox, speculate=window)
    assert run.answer == plain.answer
    assert run.usage.calls - run.usage.wasted_calls == plain.usage.calls
    assert run.usage.wasted_calls <= window
    assert sandbox.opened <= 2 + 1 + window.bit_length()


async def test_a_loop_whose_questions_hold_the_last_reply_sends_no_scout(sandbox: CountingSandbox) -> None:
    code = "r = 'start'\nfor i in range(12):\n    r = llm_query(f'{i} after {r}')\nanswer(r)"
    run = await ask(Slow([block(code)], leaf=lambda prompt: f"reply{sum(map(ord, prompt))}"), sandbox)
    assert (run.usage.calls, run.usage.wasted_calls, sandbox.opened) == (13, 0, 1)


async def test_long_contexts_with_the_same_ends_are_not_taken_for_one(sandbox: CountingSandbox) -> None:
    """A copy knows a long context by its ends; what the session asks is planned from all of it."""
    code = (
        "end = 'x' * 600_000\nfound = []\nfor i in range(6):\n"
        "    found.append(recursive_llm('which?', end + f'<{i}>' + end))\nanswer(' '.join(found))"
    )
    model = ScriptedProvider([block(code)], leaf=lambda prompt: re.findall("<(.)>", prompt)[0], window=10_000_000)
    run = await ask(model, sandbox)
    assert run.answer == "0 1 2 3 4 5"


class Slow(ScriptedProvider):
    """Takes a moment for each leaf call."""

    moment = 0.004
    """In seconds."""

    async def request(self, call: Call) -> Reply:
        if call.role == "leaf":
            await anyio.sleep(self.moment)
        return await super().request(call)


async def test_a_run_that_never_loops_costs_no_process_more(sandbox: CountingSandbox) -> None:
    codes = ["a = llm_query('one')\nb = recursive_llm('two', a)", "c = llm_query('three')\nanswer(a + b + c)"]
    run = await ask(Slow([block(code) for code in codes]), sandbox)
    assert (sandbox.opened, run.usage.speculated_calls) == (1, 0)


async def test_nothing_runs_ahead_of_an_answer_or_a_child(sandbox: CountingSandbox) -> None:
    code = (
        "for i in range(3):\n    llm_query(f'item {i}?')\n"
        "kept = rlm_query('work on this')\n"
        "for i in range(3):\n    llm_query(f'{kept} {i}?')\n"
        "answer(kept)\nllm_query('never')"
    )
    model = Slow([block(code), block("answer('done')")])
    run = await ask(model, sandbox)
    assert run.answer == "done"
    assert len(model.root_calls) == 2
    assert not any("never" in call.messages[-1].content for call in model.leaf_calls)
    assert (len(model.leaf_calls), run.usage.wasted_calls) == (6, 0)


async def test_a_run_replayed_asks_for_the_same_even_of_a_model_that_never_says_the_same(
    sandbox: CountingSandbox,
) -> None:
    numbers = itertools.count()
    codes = [
        "total = 0\nfor i in range(12):\n    total += int(llm_query(f'item {i % 5}: how many?'))\nprint(total)",
        "seen = [llm_query(f'item {i % 5}: how many?') for i in range(6)]\nanswer(str((total, seen)))",
    ]
    model = Crowd([block(code) for code in codes], 8, leaf=lambda prompt: str(next(numbers) * 7 % 11))
    store = MemoryStore()
    settings = Settings(model="scripted", no_journal=True)
    async with Engine(settings, store=store, models=ScriptedModels(model), sandbox=sandbox) as engine:
        run = await engine.ask("q", "some context")
        replay = await engine.replay(run.id)
    assert replay.same
    assert replay.run.notes == ()
    assert run.usage.speculated_calls > 0
    records = [call for call in await store.calls(run.id) if not call.unasked]
    assert len(records) == 20


@pytest.mark.parametrize("rebuilt", [False, True])
async def test_a_session_that_goes_on_runs_ahead_with_its_variables(sandbox: CountingSandbox, rebuilt: bool) -> None:
    first = block("kind = llm_query('kind?')\nanswer(kind)")
    second = block("out = [int(llm_query(f'{i} of kind {kind}')) for i in range(9)]\nanswer(query + str(len(out)))")
    model = Crowd([first, second], 9, alone=2, leaf=lambda prompt: "7")
    store, settings = MemoryStore(), Settings(model="scripted", no_journal=True)
    async with Engine(settings, store=store, models=ScriptedModels(model), sandbox=sandbox) as engine:
        with anyio.fail_after(60):
            if rebuilt:
                earlier = await engine.ask("one", "some context")
                run = await engine.ask("two", continue_from=earlier.id)
            else:
                async with engine.session("some context") as session:
                    await session.ask("one")
                    run = await session.ask("two")
    assert run.answer == "two9"
    assert run.usage.speculated_calls >= 7
    assert all("kind 7" in call.messages[-1].content for call in model.leaf_calls[1:])


async def test_a_run_that_was_stopped_goes_on_and_pays_for_nothing_twice(sandbox: CountingSandbox) -> None:
    store, settings = MemoryStore(), Settings(model="scripted", no_journal=True)
    script = [block(LOOP.format(count=20) + "answer(str(len(found)))")]
    model = Stopping(script)
    async with Engine(settings, store=store, models=ScriptedModels(model), sandbox=sandbox) as engine:
        with anyio.move_on_after(60) as scope:
            model.stop = scope.cancel
            await engine.ask("q", "some context")
        assert not sandbox.alive
        [record] = await store.runs()
        assert record.status == "interrupted"
        answered = {call.prompt[-1][1] for call in await store.calls(record.id) if call.reply is not None}
        assert len(answered) > 5
        again = Slow(script)
        engine.resources._models = ScriptedModels(again)
        run = await engine.resume(record.id)
        assert (run.answer, run.notes) == ("20", ())
        assert not answered & {call.messages[-1].content for call in again.leaf_calls}
        assert (await engine.replay(record.id)).same


class Stopping(Slow):
    """Stops the run when half of its calls are answered."""

    stop: Callable[[], None]
    replied = 0

    async def request(self, call: Call) -> Reply:
        if self.replied > 8:
            self.stop()
            await anyio.sleep_forever()
        reply = await super().request(call)
        self.replied += 1
        return reply


async def test_a_look_at_the_input_before_the_first_cell_is_done_by_the_scout_as_well(
    sandbox: CountingSandbox,
) -> None:
    """Else the places of its code would not be those of the session."""
    settings = Settings(model="scripted", no_journal=True, profile="small")
    model = Crowd([block(LOOP.format(count=20) + "answer(str(len(found)))")], 9)
    async with Engine(settings, models=ScriptedModels(model), sandbox=sandbox) as engine:
        with anyio.fail_after(60):
            run = await engine.ask("How many of them are cheerful?", "- ann\n- bob\n- cid\n- dan\n")
    assert (run.answer, run.usage.wasted_calls) == ("20", 0)
    assert run.usage.speculated_calls >= 7


PIPELINE = """
out = []
for i in range(24):
    said = llm_query(f'item {i}: sum up')
    out.append(llm_query(f'is it so that {said}?'))
answer(' '.join(out))
"""
ASIDE = """
said, out = 'nothing', []
for i in range(24):
    said = llm_query(f'after {said}, step {i}')
    out.append(llm_query(f'item {i}?'))
answer(' '.join(out))
"""
SELDOM = """
out = []
for i in range(40):
    kind = llm_query(f'kind of item {i}?')
    if kind == 'long':
        out.append(rlm_query(f'work on {i}'))
    out.append(kind)
answer(' '.join(out))
"""


def _told(prompt: str) -> str:
    return "long" if re.search("item (3|4)[?]", prompt) else f"reply {sum(map(ord, prompt)) * 31 % 1009}"


class Rooted(Slow):
    """Child runs answer with what they were asked to work on."""

    def __init__(self, code: str, moment: float = Slow.moment) -> None:
        super().__init__(leaf=_told)
        self.code, self.moment = code, moment

    async def request(self, call: Call) -> Reply:
        self.script = [block(self.code if call.session == "0" else "answer(context)")]
        return await super().request(call)


@pytest.mark.parametrize(("code", "least", "most_wasted"), [(PIPELINE, 9, 8), (ASIDE, 9, 8), (SELDOM, 9, 8)])
async def test_one_place_that_cannot_be_foreseen_does_not_hold_up_the_others(
    sandbox: CountingSandbox, code: str, least: int, most_wasted: int
) -> None:
    plain = await ask(Rooted(code), sandbox, speculate=0)
    run = await ask(Rooted(code, moment=0.2), sandbox)  # a scout gets as far as it can meanwhile
    assert run.answer == plain.answer
    assert run.usage.speculated_calls - run.usage.wasted_calls >= least
    assert run.usage.wasted_calls <= most_wasted


NESTED = """
found = []
for i in range(40):
    for j in range(10):
        if llm_query(f'item {i}, part {j}?') == 'yes':
            found.append(j)
            break
answer(str(found))
"""


async def test_breaks_ever_again_waste_the_window_or_a_quarter(sandbox: CountingSandbox) -> None:
    def model() -> ScriptedProvider:
        return Slow([block(NESTED)], leaf=lambda prompt: "no" if sum(map(ord, prompt)) * 31 % 97 % 4 else "yes")

    plain = await ask(model(), sandbox, speculate=0)
    run = await ask(model(), sandbox)
    assert run.answer == plain.answer
    assert run.usage.wasted_calls <= max(32, run.usage.speculated_calls / 4)


async def test_what_is_certain_runs_ahead_whatever_was_wasted_before(
    sandbox: CountingSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scouting.History, "is_good", False)
    certain = "out = [llm_query(f'item {i}?') for i in range(30)]"
    loop = "for i in range(30):\n    out.append(llm_query(f'thing {i}?'))\nanswer(str(len(out)))"
    model = Crowd([block(certain), block(loop)], 29, alone=0)
    run = await ask(model, sandbox)
    assert (run.answer, run.usage.speculated_calls, run.usage.wasted_calls) == ("60", 29, 0)


async def test_a_cell_that_worked_for_long_is_not_done_again(
    sandbox: CountingSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scouting, "MOST_REPEATED_SECONDS", 0.02)
    work = "n = 0\nwhile n < 1_500_000:\n    n += 1\n"
    run = await ask(Slow([block(work + LOOP.format(count=9) + "answer(str(len(found)))")]), sandbox)
    assert (run.answer, sandbox.opened, run.usage.speculated_calls) == ("9", 1, 0)


async def test_a_budget_stops_a_run_where_it_would_have_stopped_without(sandbox: CountingSandbox) -> None:
    for speculate in (0, 32):
        model = Slow([block(LOOP.format(count=50) + "answer('x')")])
        with pytest.raises(BudgetExceeded) as stopped:
            await ask(model, sandbox, speculate=speculate, budget=Budget(max_calls=20))
        assert stopped.value.run is not None
        assert (len(model.leaf_calls), stopped.value.run.usage.wasted_calls) == (18, 0)
        assert not sandbox.alive


async def test_processes_and_descriptors_are_given_back(sandbox: CountingSandbox) -> None:
    async def once() -> None:
        model = Slow([block(LOOP.format(count=12)), block("1/0"), block(LOOP.format(count=5) + "answer('x')")])
        await ask(model, sandbox)

    await once()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        await once()
    assert not sandbox.alive
    assert scouting._scouts[sandbox]["alive"] == 0
    with anyio.fail_after(20):
        while len(os.listdir("/proc/self/fd")) > before:  # the killed are waited for in the background
            await anyio.sleep(0.01)


async def test_there_are_never_more_scouts_than_a_sandbox_may_have(
    sandbox: CountingSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scouting, "MOST_SCOUTS", 0)
    run = await ask(Slow([block(LOOP.format(count=9) + "answer(str(len(found)))")]), sandbox)
    assert (run.answer, sandbox.opened, run.usage.speculated_calls) == ("9", 1, 0)


def test_the_window_is_a_setting() -> None:
    assert Settings().speculate == 32
    with pytest.raises(UsageError, match="--speculate must be at least 0"):
        Settings(speculate=-1)
