"""Runs whose code comes by calls of ``run_python``: real HTTP, sandbox and journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from habit import RunFailed, Settings
from habit.engine import Engine
from habit.run import Run
from habit.sandbox.cpython import CPythonSandbox
from support.mock_server import Answer, MockServer, Script, failing, ran


class Bench:
    def __init__(self, folder: Path, sandbox: CPythonSandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.server = MockServer()

    def engine(self, **settings: Any) -> Engine:
        given = {"model": "mock", "base_url": self.server.url, "execution": "tool", **settings}
        return Engine(Settings(journal=str(self.folder / "journal.db"), **given), sandbox=self.sandbox)

    async def ask(self, script: Script, context: Any = "a b c", *, returns: Any = int, **settings: Any) -> Run:
        self.server = MockServer(script)
        async with self.server, self.engine(**settings) as engine:
            return await engine.ask("How many words?", context, returns=returns)

    @property
    def last_messages(self) -> list[dict[str, Any]]:
        return list(self.server.requests[-1].body["messages"])


@pytest.fixture
def bench(tmp_path: Path, sandbox: CPythonSandbox) -> Bench:
    return Bench(tmp_path, sandbox)


COUNT = [ran("words = context.split()\nprint(words)", "Let me look."), ran("answer(len(words))")]


async def test_a_run_by_tool_calls(bench: Bench) -> None:
    run = await bench.ask(COUNT)
    assert (run.status, run.answer, run.cells) == ("answered", 3, 2)
    made, result = bench.last_messages[-2:]
    assert made["content"] == "Let me look."
    assert json.loads(made["tool_calls"][0]["function"]["arguments"])["code"].startswith("words =")
    assert result["role"] == "tool"
    assert "['a', 'b', 'c']" in result["content"]
    assert "run_python" in bench.last_messages[0]["content"]


async def test_it_replays_without_a_model(bench: Bench) -> None:
    run = await bench.ask(COUNT)
    async with bench.engine() as engine:
        replay = await engine.replay(run.id)
    assert (replay.same, replay.run.answer, len(bench.server.requests)) == (True, 3, 2)


async def test_a_run_that_broke_off_goes_on(bench: Bench) -> None:
    async with MockServer([COUNT[0], failing(401), COUNT[1]]) as server:
        bench.server = server
        async with bench.engine() as engine:
            with pytest.raises(RunFailed):
                await engine.ask("How many words?", "a b c", returns=int)
            run = await engine.resume("last")
    assert (run.answer, len(server.requests)) == (3, 3)


async def test_code_reaches_the_session_to_the_letter(bench: Bench) -> None:
    code = "s = '''\n```python\n\\d\té\n```'''\nanswer(s)"
    run = await bench.ask([ran(code)], returns=str)
    assert run.answer == "\n```python\n\\d\té\n```"


async def test_several_calls_in_one_reply_run_in_order_until_one_errs(bench: Bench) -> None:
    several = Answer(
        None, tool_calls=[("run_python", json.dumps({"code": code})) for code in ("x = 1", "y = x / 0", "z = 2")]
    )
    run = await bench.ask([several, ran("answer(x + ('z' in globals()))")])
    assert (run.answer, run.cells) == (1, 3)
    first, second, third = bench.last_messages[-3:]
    assert first["content"] == second["content"] == "(see the output of the last call)"
    assert "ZeroDivisionError" in third["content"]


async def test_a_fenced_reply_is_run_as_well(bench: Bench) -> None:
    run = await bench.ask(["```python\nprint(len(context))\n```", "```repl\nanswer(len(context))\n```"])
    assert run.answer == 5
    assert [message["role"] for message in bench.last_messages[-2:]] == ["assistant", "user"]


@pytest.mark.parametrize(
    "lost",
    [
        Answer(None, tool_calls=[("run_python", '{"code": }')]),
        Answer(None, tool_calls=[("search", '{"query": "words"}')]),
        "I think there are three.",
    ],
    ids=["broken arguments", "another tool", "words only"],
)
async def test_a_reply_without_code_is_told_so_at_once(bench: Bench, lost: Answer | str) -> None:
    run = await bench.ask([lost, ran("answer(3)")])
    assert (run.answer, run.usage.calls) == (3, 2)
    assert bench.last_messages[-1]["role"] == "user"
    assert "run_python" in bench.last_messages[-1]["content"]


async def test_a_call_cut_off_at_the_output_limit_is_not_run(bench: Bench) -> None:
    cut = Answer(None, tool_calls=[("run_python", '{"code": "answer(99)\\nmore = [1, 2')], finish="length")
    run = await bench.ask([cut, ran("answer(3)")])
    assert run.answer == 3
    assert "cut off" in bench.last_messages[-1]["content"]


async def test_at_the_limit_of_cells_the_best_answer_is_asked_for_in_words(bench: Bench) -> None:
    run = await bench.ask([ran("print(3)"), ran("print(3)"), "3"], max_cells=2)
    assert (run.status, run.answer) == ("salvaged", 3)
    assert "tools" not in bench.server.requests[-1].body


async def test_a_server_without_tools_says_what_to_leave_out(bench: Bench) -> None:
    with pytest.raises(RunFailed, match="leave out --execution tool"):
        await bench.ask([failing(400, "mock does not support tools")])


@pytest.mark.parametrize("execution", ["auto", "fence"])
async def test_no_tool_is_offered_where_code_comes_in_fences(bench: Bench, execution: str) -> None:
    run = await bench.ask(["```python\nanswer(3)\n```"], execution=execution)
    assert run.answer == 3
    assert "tools" not in bench.server.requests[0].body
