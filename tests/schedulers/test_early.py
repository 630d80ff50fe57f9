"""Early starts: calls of a cell that is still being written, and runs that go as they go without them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

import anyio
import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from habit import Engine, Settings
from habit.errors import CallFailed, RunFailed
from habit.sandbox.cpython import CPythonSandbox
from habit.schedulers import early
from habit.schedulers.early import EarlyCopy
from schedulers.conftest import Bench
from support.mock_server import Answer, MockServer, Request
from support.scripted import CUT_OFF, ScriptedProvider, block

EVERYWHERE = range(2_000)
FIRST = "first = recursive_llm('one?', 'a')\n"


def told_when_asked(model: ScriptedProvider, calls: int, reply: str = "yes") -> None:
    """The root's first reply ends only once ``calls`` leaf calls have arrived; each is answered ``reply``."""
    told = model.told[1] = anyio.Event()

    def leaf(prompt: str) -> str:
        if len(model.leaf_calls) == calls:
            told.set()
        return reply

    model.leaf = leaf


class Watched(EarlyCopy):
    """A copy of which a test knows when it has done all it can for now."""

    last: Watched | None = None

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.stays = 0
        self.over = False
        Watched.last = self

    async def run(self) -> None:
        try:
            await super().run()
        finally:
            self.over = True

    async def _stay(self) -> NoReturn:
        self.stays += 1
        await super()._stay()

    @classmethod
    async def quiet(cls) -> None:
        """Wait until it waits for more code, or goes no further."""
        while (copy := cls.last) is not None and not copy.over and not copy.stays:
            if copy._receive.statistics().tasks_waiting_receive:
                break
            await anyio.lowlevel.checkpoint()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "EarlyCopy", Watched)


async def ask(bench: Bench, model: ScriptedProvider, code: str = "", **more: object) -> object:
    with anyio.fail_after(30):
        return (await bench.ask(model, stream_starts=True, **more)).answer  # type: ignore[arg-type]


async def test_a_leaf_call_arrives_before_the_roots_reply_has_ended(tmp_path: Path) -> None:
    arrived = anyio.Event()

    def reply(request: Request) -> Answer:
        if "one?" not in request.prompt:
            return Answer(pieces=["I ask.\n```python\n", FIRST, "print(first)\n", arrived, "answer(first)\n```"])
        arrived.set()
        return Answer("it is so")

    async with MockServer(reply) as server:
        chosen = Settings(
            model="m", base_url=server.url, journal=str(tmp_path / "j.db"), stream_starts=True, profile="frontier"
        )
        async with Engine(chosen) as engine:
            with anyio.fail_after(30):
                run = await engine.ask("What is so?", "some text")
            assert (run.answer, run.usage.calls, run.usage.wasted_calls) == ("it is so", 2, 0)
            replay = await engine.replay(run.id)
        assert replay.same
        assert replay.run.notes == run.notes == ()
        assert len(server.requests) == 2


async def test_statements_wait_for_real_replies_and_not_for_predicted_ones(bench: Bench) -> None:
    code = f"{FIRST}if first == 'go on':\n    second = recursive_llm('two?', first)\nx = 1\nanswer(second)"
    model = ScriptedProvider([block(code)], cuts=EVERYWHERE)
    told_when_asked(model, 2, "go on")
    assert await ask(bench, model) == "go on"
    assert len(model.leaf_calls) == 2


async def test_a_later_cell_begins_where_the_session_is(bench: Bench) -> None:
    one = block("import random\nr = recursive_llm('zero?', 'z')\nnumber = random.random()\nprint(r)")
    two = block("r2 = recursive_llm(f'{r} {number}?', 'b')\nx = 1\nanswer(r2)")
    model = ScriptedProvider([one, two], cuts=EVERYWHERE)
    model.told = {1: anyio.Event(), 2: anyio.Event()}

    def leaf(prompt: str) -> str:
        count = len(model.leaf_calls)
        model.told[count].set()
        return f"reply {count}"

    model.leaf = leaf
    assert await ask(bench, model) == "reply 2"
    assert len(model.leaf_calls) == 2
    assert "reply 1 0." in model.leaf_calls[1].messages[-1].content


@pytest.mark.parametrize("ending", ["x = (\n```", f"x = 1{CUT_OFF}", "return 3\n```"])
async def test_a_reply_that_turns_out_to_be_no_good_is_treated_as_ever(
    bench: Bench, watched: None, ending: str
) -> None:
    script = [f"```python\n{FIRST}y = 1\n{ending}", block(f"{FIRST}answer(first)")]
    model = ScriptedProvider(list(script), cuts=EVERYWHERE)
    model.between = Watched.quiet  # the copy of the second cell comes to the call before the session does
    told_when_asked(model, 1)
    assert await ask(bench, model) == "yes"
    assert len(model.leaf_calls) == 1, "the call that was started is not paid for twice"
    plain = Bench(bench.sandbox)
    await plain.ask(ScriptedProvider(script))
    assert [(c.code, c.status, c.error) for c in await bench.store.cells("run")] == [
        (c.code, c.status, c.error) for c in await plain.store.cells("run")
    ]


@pytest.mark.parametrize("begin", ["rlm_query('child?')", "answer('early')", "recursive_llm('bad?', 'a')"])
async def test_neither_children_nor_answers_nor_failed_calls_are_gone_past(
    bench: Bench, watched: None, begin: str
) -> None:
    code = f"{begin}\nx = 1\nrecursive_llm('after?', 'b')\ny = 2\nz = 3"
    script = [block(code), block("answer('next')"), block("answer('last')")]

    async def go(bench: Bench, *, early: bool) -> tuple[object, list[str]]:
        model = ScriptedProvider(
            script,
            leaf=lambda prompt: CallFailed("no", reason="rejected") if "bad?" in prompt else "yes",
            cuts=EVERYWHERE,
        )
        model.between = Watched.quiet
        outcome = await bench.ask(model, stream_starts=early)
        return outcome, [call.messages[-1].content for call in model.leaf_calls]

    with anyio.fail_after(30):
        outcome, asked = await go(bench, early=True)
        plain, asked_plainly = await go(Bench(bench.sandbox), early=False)
    assert outcome == plain
    if "bad?" in begin:  # the session tries again what failed ahead
        assert asked == asked_plainly * 2
    else:
        assert asked == asked_plainly


@pytest.mark.parametrize(("concurrency", "ahead"), [(2, 0), (8, 1)])
async def test_nothing_starts_early_where_the_provider_has_no_room(
    bench: Bench, watched: None, concurrency: int, ahead: int
) -> None:
    """The last place at a provider is left to the run itself."""
    model = ScriptedProvider([block(f"{FIRST}x = 1\nanswer(first)")], cuts=EVERYWHERE)
    model.concurrency = concurrency
    model.between = Watched.quiet
    assert await ask(bench, model) == "yes"
    assert Watched.last is not None
    assert Watched.last._started == ahead


async def test_a_session_that_asks_nothing_is_not_copied(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from habit.schedulers.live import LiveSession

    copies: list[object] = []

    async def copy(live: LiveSession) -> object:
        copies.append(live)
        raise AssertionError

    monkeypatch.setattr(LiveSession, "copy", copy)
    model = ScriptedProvider([block("x = 1\ny = 2\nprint(x + y)"), block("x = 3\nanswer(x)")], cuts=EVERYWHERE)
    assert await ask(bench, model, returns=int) == 3
    assert not copies


STATEMENTS = st.sampled_from([
    "a = recursive_llm('q1?', 'x')",
    "b = recursive_llm('q2?', context.splitlines()[0])",
    "c = [recursive_llm('q3?', line) for line in context.splitlines()]",
    "d = recursive_llm_map('q4?', ['m', 'n', 'm'])",
    "for n in context.split():\n    if 'a' in recursive_llm('q5?', n):\n        break\nelse:\n    n = 0",
    "print(a)",
    "e = recursive_llm('q6?', a)",
    "f = recursive_llm('q6?', a)",
    "def g(x):\n    return recursive_llm('q7?', x)\n",
    "print(g('y'), len(globals()))",
    "try:\n    h = int(recursive_llm('q8?', 'z'))\nexcept ValueError as error:\n    print(error)",
    "import random\nprint(random.random())",
    "1 / 0",
    "a; recursive_llm('q1?', 'x')",
    "print(sum(classify(['u', 'v'], ['p', 'q']) == ['p', 'q'] for _ in range(2)))",
    "x = '''\nprint(1)\n'''",
    "answer(str(sorted(k for k in globals() if len(k) == 1)))",
])  # fmt: skip


def oracle(prompt: str) -> str:
    """A pure function of the prompt."""
    if "labels" in prompt or "one of" in prompt:
        return "p" if len(prompt) % 2 else "q"
    return "abc"[sum(map(ord, prompt)) % 3] * 2


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(STATEMENTS, min_size=1, max_size=6), min_size=1, max_size=3), st.sampled_from([1, 7, 23, 90, 500])
)
async def test_a_run_goes_as_it_goes_without_early_starts(
    sandbox: CPythonSandbox, watched: None, cells: list[list[str]], size: int
) -> None:
    script = [block("\n".join(cell)) for cell in cells] + [block("answer('end')")]

    ahead: list[int] = []

    async def go(early: bool) -> tuple[object, ...]:
        bench = Bench(sandbox)
        model = ScriptedProvider(list(script), leaf=oracle, cuts=range(0, 500, size))
        model.between = Watched.quiet
        try:
            answer: object = (await bench.ask(model, "a line\nb line\n", stream_starts=early)).answer
        except RunFailed as failure:
            answer = str(failure)
        ahead.append(bench.rlm.kernel.usage.speculated_calls)
        calls = [call for call in await bench.store.calls("run") if call.occurrence >= 0]
        ran = [(c.session, c.index, c.code, c.status, c.stdout, c.error) for c in await bench.store.cells("run")]
        return answer, ran, Counter((call.key, call.occurrence, call.reply, call.cell) for call in calls)

    assert await go(True) == await go(False)
    event(f"calls that went ahead: {ahead[0]}")
