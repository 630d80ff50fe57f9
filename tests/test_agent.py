"""The agent loop over HTTP: native tool calls, faults, resume after a kill, replay, and what a run says of itself."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from pydantic import BaseModel

from habit import BudgetExceeded, RunFailed, Settings
from habit.calls.budget import Budget
from habit.calls.retry import RetryPolicy
from habit.engine import Engine
from habit.events import Event, Notice
from habit.sandbox.cpython import CPythonSandbox
from support.mock_server import EMPTY, RESET, Answer, MockServer, Request, Script, failing, nonsense, rate_limited
from test_kill import habit, recorded

TEXT = "".join(f"line {n} user=u{n % 3}\n" for n in range(3_000))


def called(*calls: tuple[str, Any], text: str | None = None) -> Answer:
    """A reply that calls tools; arguments that are no text become JSON."""
    made = [(name, given if isinstance(given, str) else json.dumps(given)) for name, given in calls]
    return Answer(text, tool_calls=made, finish="tool_calls")


def steps(*roots: Answer | str) -> Script:
    """Root replies one after the other; every leaf call is told yes."""
    left = list(roots)

    def reply(request: Request) -> Answer | str:
        return "yes" if "<text>" in request.prompt else left.pop(0)

    return reply


def engine(server: MockServer, folder: Path, sandbox: CPythonSandbox, **settings: Any) -> Engine:
    chosen = Settings(model="m", base_url=server.url, strategy="agent", journal=str(folder / "journal.db"), **settings)
    return Engine(chosen, sandbox=sandbox)


COUNTING = (
    called(("peek", {}), ("count", {"pattern": "u1"}), text="Let me see."),
    called(("recursive_llm", {"query": "Is it so?", "slices": ["1", "2"]})),
    called(("answer", {"value": 1_000})),
)


async def test_tools_are_offered_and_each_call_gets_its_result(tmp_path: Path, sandbox: CPythonSandbox) -> None:
    async with MockServer(steps(*COUNTING)) as server, engine(server, tmp_path, sandbox) as habits:
        run = await habits.ask("How many lines of u1?", TEXT, returns=int)
        assert (run.answer, run.status, run.strategy, run.cells) == (1_000, "answered", "agent", 4)
        assert (run.usage.root.calls, run.usage.leaf.calls) == (3, 2)
        first, second = (server.requests[index].body for index in (0, 1))
        names = [tool["function"]["name"] for tool in first["tools"]]
        assert names == ["peek", "search", "read", "count", "recursive_llm", "answer"]
        assert first["tools"][-1]["function"]["parameters"]["properties"]["value"] == {"type": "integer"}
        made, *results = second["messages"][2:]
        assert made["content"] == "Let me see."
        assert [call["function"]["name"] for call in made["tool_calls"]] == ["peek", "count"]
        assert json.loads(made["tool_calls"][1]["function"]["arguments"]) == {"pattern": "u1"}
        assert [result["role"] for result in results] == ["tool", "tool"]
        assert results[0]["content"].startswith("The context is a text")
        assert results[1]["content"] == "1,000 matches on 1,000 lines."
        replay = await habits.replay(run.id)
        assert replay.same
        assert replay.run.usage.calls == 0


FAULTS = [rate_limited("0"), failing(503), nonsense(), RESET, EMPTY]


@pytest.mark.parametrize("fault", FAULTS, ids=["429", "503", "nonsense", "reset", "empty"])
@pytest.mark.parametrize("at", [0, 1, 2])
async def test_a_fault_of_the_server_harms_no_run(
    fault: Answer, at: int, tmp_path: Path, sandbox: CPythonSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("habit.calls.kernel.RetryPolicy", lambda: RetryPolicy(first_wait=0.001, max_wait=0.002))
    script = [*COUNTING[:at], fault, *COUNTING[at:]]
    async with MockServer(steps(*script)) as server, engine(server, tmp_path, sandbox) as habits:
        run = await habits.ask("How many?", TEXT, returns=int)
        assert (run.answer, run.status) == (1_000, "answered")
        assert (await habits.replay(run.id)).same


@pytest.mark.parametrize("said", ["m does not support tools", "tool choice requires --enable-auto-tool-choice"])
async def test_a_server_without_tools_is_spoken_to_in_text(said: str, tmp_path: Path, sandbox: CPythonSandbox) -> None:
    events: list[Event] = []
    script = steps(failing(400, said), '```json count\n{"pattern": "u1"}\n```', '```json answer\n{"value": 1000}\n```')
    async with MockServer(script) as server, engine(server, tmp_path, sandbox) as habits:
        run = await habits.ask("How many?", TEXT, returns=int, on_event=events.append)
        assert run.answer == 1_000
        assert ["tools" in request.body for request in server.requests] == [True, False, False]
        assert "takes no tools" in next(event.text for event in events if isinstance(event, Notice))
        assert (await habits.replay(run.id)).same


async def test_a_session_remembers_that_its_model_takes_no_tools(tmp_path: Path, sandbox: CPythonSandbox) -> None:
    answer = '```json answer\n{"value": "x"}\n```'
    slices = '```json recursive_llm\n{"query": "Is it so?", "slices": ["1-9", "10-19"]}\n```'
    script = steps(failing(400, "m does not support tools"), answer, slices, answer, answer, answer)
    async with MockServer(script) as server, engine(server, tmp_path, sandbox, window=9_000) as habits:
        async with habits.session(TEXT * 2) as session:
            await session.ask("How many?")
            second = await session.ask("And now?")
        assert ["tools" in request.body for request in server.requests] == [True] + [False] * 5
        assert second.depth == 1
        assert (await habits.replay(second.id)).same


async def test_calls_that_make_no_sense_are_remarked_on(tmp_path: Path, sandbox: CPythonSandbox) -> None:
    script = steps(
        called(("look", {"at": "it"})),
        called(("search", '{"pattern": '), ("count", {"pattern": "u1"})),
        called(("search", {"pattern": "'); import os; os.system('id"})),
        "It is 1000.",
        *COUNTING[2:],
    )
    async with MockServer(script) as server, engine(server, tmp_path, sandbox) as habits:
        run = await habits.ask("How many?", TEXT, returns=int)
        assert run.answer == 1_000
        prompts = [json.dumps(request.messages) for request in server.requests]
        assert "There is no tool 'look'" in prompts[1]
        assert "are no JSON" in prompts[2]
        assert "1,000 matches" in prompts[2]
        assert "No line matches" in prompts[3]
        assert "called no tool" in prompts[4]


async def test_a_budget_stops_it_with_the_best_answer(tmp_path: Path, sandbox: CPythonSandbox) -> None:
    script = steps(called(("peek", {})), called(("read", {"page": 1})), "17")
    async with MockServer(script) as server, engine(server, tmp_path, sandbox) as habits:
        with pytest.raises(BudgetExceeded) as stop:
            await habits.ask("How many?", TEXT, returns=int, budget=Budget(max_calls=3))
        assert stop.value.run is not None
        assert (stop.value.run.status, stop.value.run.answer) == ("budget", 17)


async def test_other_budgets_stop_it_and_a_larger_one_lets_it_go_on(tmp_path: Path, sandbox: CPythonSandbox) -> None:
    async with MockServer(killed_at(COUNTING)) as server, engine(server, tmp_path, sandbox) as habits:
        with pytest.raises(BudgetExceeded) as stop:
            await habits.ask("How many?", TEXT, returns=int, budget=Budget(max_tokens=6_000))
        assert stop.value.run is not None
        assert (stop.value.run.status, stop.value.limit) == ("budget", "tokens")
        used = stop.value.run.usage
        assert used.root.input_tokens + used.root.output_tokens + used.leaf.input_tokens <= 6_000
        assert (await habits.replay("last")).same
        sent = len(server.requests)
        run = await habits.resume("last")
        assert (run.answer, run.usage.calls) == (1_000, 5)
        assert len(server.requests) == 5
        assert sent < 5


async def test_seconds_stop_it_while_a_tool_waits(tmp_path: Path, sandbox: CPythonSandbox) -> None:
    async with MockServer(killed_at(COUNTING)) as server, engine(server, tmp_path, sandbox) as habits:
        server.hold()
        server.let_through(2)
        with pytest.raises(BudgetExceeded) as stop:
            await habits.ask("How many?", TEXT, returns=int, budget=Budget(max_seconds=1.0))
        assert stop.value.limit == "seconds"
        server.let_through()
        assert (await habits.resume("last")).answer == 1_000


async def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path, sandbox: CPythonSandbox) -> None:
    async with MockServer(killed_at(COUNTING)) as server, engine(server, tmp_path, sandbox) as habits:
        server.hold()
        server.let_through(3)
        async with anyio.create_task_group() as group:
            group.start_soon(partial(habits.ask, "How many?", TEXT, returns=int))
            with anyio.fail_after(30):
                await server.arrived(4)
                store = await habits.store()
                while len(await store.calls((await store.runs())[0].id)) < 3:
                    await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        server.let_through()
        run = await habits.resume("last")
        assert (run.answer, run.status, run.usage.root.calls, run.usage.leaf.calls) == (1_000, "answered", 3, 2)
        assert (await habits.replay(run.id)).same


async def test_asking_again_costs_nothing_unless_told_so(tmp_path: Path, sandbox: CPythonSandbox) -> None:
    async with MockServer(killed_at(COUNTING)) as server, engine(server, tmp_path, sandbox) as habits:
        await habits.ask("How many?", TEXT, returns=int)
        again = await habits.ask("How many?", TEXT, returns=int)
        assert (again.answer, again.usage.calls, again.usage.cached_calls) == (1_000, 0, 5)
        assert len(server.requests) == 5
    async with MockServer(killed_at(COUNTING)) as server, engine(server, tmp_path, sandbox, no_cache=True) as habits:
        assert (await habits.ask("How many?", TEXT, returns=int)).usage.calls == 5


async def test_a_failed_run_is_resumed_and_replayed(tmp_path: Path, sandbox: CPythonSandbox) -> None:
    script = steps(COUNTING[0], failing(401, "no"), *COUNTING[1:])
    async with MockServer(script) as server, engine(server, tmp_path, sandbox) as habits:
        with pytest.raises(RunFailed) as failure:
            await habits.ask("How many?", TEXT, returns=int)
        assert failure.value.run is not None
        assert (failure.value.run.status, failure.value.run.cells) == ("failed", 2)
        assert (await habits.replay("last")).same
        assert (await habits.resume("last")).answer == 1_000


class Count(BaseModel):
    user: str
    lines: int


@pytest.mark.parametrize(
    ("returns", "bad", "good", "answer"),
    [
        (Count, {"value": {"user": "u1"}}, {"user": "u1", "lines": 3}, Count(user="u1", lines=3)),
        (list[int], {"value": ["a"]}, {"value": [1, 2]}, [1, 2]),
        (["yes", "no"], {"value": "perhaps"}, {"value": "no"}, "no"),
        (bool, {"value": "hm"}, {"value": False}, False),
        (float, {"value": None}, {"value": 2.5}, 2.5),
    ],
    ids=["pydantic", "list", "choice", "bool", "float"],
)
async def test_answers_have_the_type_that_was_asked_for(
    returns: Any, bad: Any, good: Any, answer: Any, tmp_path: Path, sandbox: CPythonSandbox
) -> None:
    script = steps(called(("answer", bad)), called(("answer", good)))
    async with MockServer(script) as server, engine(server, tmp_path, sandbox) as habits:
        run = await habits.ask("How many?", TEXT, returns=returns)
        assert run.answer == answer
        assert type(run.answer) is type(answer)
        assert len(server.requests) == 2
        assert "Traceback" not in json.dumps(server.requests[1].messages)
        assert (await habits.replay(run.id, returns=returns)).same


TOGETHER = (
    called(*(("recursive_llm", {"query": f"Is it {n}?", "slices": ["1", "2"]}) for n in range(3))),
    called(("answer", {"value": 1_000})),
)


async def test_several_calls_of_recursive_llm_are_under_way_together(tmp_path: Path, sandbox: CPythonSandbox) -> None:
    async with MockServer(killed_at(TOGETHER)) as server, engine(server, tmp_path, sandbox) as habits:
        server.hold()
        server.let_through(1)
        runs = []
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                runs.append(await habits.ask("How many?", TEXT, returns=int))

            group.start_soon(ask)
            with anyio.fail_after(30):
                await server.arrived(7)  # the root's and all six, none of which has a reply
            server.let_through()
        (run,) = runs
        assert (run.answer, run.cells, run.usage.leaf.calls) == (1_000, 4, 6)
        assert run.orchestration is not None
        assert run.orchestration.batches == 3
        results = [text for role, text in server.requests[-1].messages if role == "tool"]
        assert results == ["page 1: yes\npage 2: yes"] * 3
        replay = await habits.replay(run.id)
        assert replay.same
        assert replay.run.usage.calls == 0


async def test_a_budget_holds_for_calls_that_are_under_way_together(tmp_path: Path, sandbox: CPythonSandbox) -> None:
    async with MockServer(steps(*TOGETHER[:1], "17")) as server, engine(server, tmp_path, sandbox) as habits:
        with pytest.raises(BudgetExceeded) as stop:
            await habits.ask("How many?", TEXT, returns=int, budget=Budget(max_calls=5))
        assert stop.value.run is not None
        assert (stop.value.run.answer, stop.value.run.usage.calls, len(server.requests)) == (17, 5, 5)
        assert (await habits.replay("last")).same


PAGES = 40


def reading(request: Request) -> Answer | str:
    """A model that reads page after page by what it was last told, and takes notes when it is asked to."""
    if "tools" not in request.body:
        return f"notes: {request.prompt.count('word')} words"
    read = [int(page) for page in re.findall(r"pages? (\d+) of", request.prompt)]
    folded = [int(page) for page in re.findall(r"read\(page=(\d+)\)", request.prompt)]
    last = max([0, *read, *folded])
    return called(("read", {"page": last + 1}) if last < PAGES // 2 else ("answer", {"value": f"page {last}"}))


async def test_notes_are_taken_once_and_a_replay_takes_them_again(tmp_path: Path, sandbox: CPythonSandbox) -> None:
    text = "".join(f"word {n} of the text\n" for n in range(20_000))
    async with MockServer(reading) as server, engine(server, tmp_path, sandbox, window=12_000) as habits:
        run = await habits.ask("How far?", text)
        assert run.answer == f"page {PAGES // 2}"
        notes = [request for request in server.requests if "tools" not in request.body]
        assert notes
        assert (await habits.replay(run.id)).same


@pytest.mark.parametrize("point", [6, 11, 16])
async def test_killed_and_resumed_around_the_notes(point: int, tmp_path: Path) -> None:
    (tmp_path / "input.txt").write_text("".join(f"word {n} of the text\n" for n in range(20_000)))
    environment = {**os.environ, "HABIT_API_KEY": "none"}
    async with MockServer(reading) as server:
        run, sent = await killed_and_resumed(server, tmp_path, environment, point, "How far?", "--window", "12000")
    assert (run["status"], run["answer"]) == ("answered", f"page {PAGES // 2}")
    assert sent == run["usage"]["calls"] - point


@pytest.mark.parametrize("point", [1, 3, 6, 7])
async def test_killed_while_calls_are_under_way_together(point: int, tmp_path: Path) -> None:
    (tmp_path / "input.txt").write_text(TEXT)
    environment = {**os.environ, "HABIT_API_KEY": "none"}
    async with MockServer(killed_at(TOGETHER)) as server:
        run, sent = await killed_and_resumed(server, tmp_path, environment, point, "How many?", "--returns", "int")
    assert (run["status"], run["answer"], run["usage"]["calls"]) == ("answered", 1_000, 8)
    assert sent == 8 - point


async def killed_and_resumed(
    server: MockServer, folder: Path, environment: dict[str, str], point: int, query: str, *how: str
) -> tuple[Any, int]:
    """The run as it ended when it was killed with ``point`` calls in the journal, and the requests after that."""
    server.hold()
    ask = habit(folder, "ask", query, str(folder / "input.txt"), "--strategy", "agent", *how)
    process = await anyio.open_process(
        [*ask, "--model", "m", "--base-url", server.url], env=environment, stdout=subprocess.PIPE, cwd=folder
    )
    server.let_through(point)
    with anyio.fail_after(60):
        await server.arrived(point + 1)
        while await anyio.to_thread.run_sync(recorded, folder) < point:
            pass
    process.send_signal(signal.SIGKILL)
    await process.wait()
    before = len(server.requests)
    server.let_through()
    result = await anyio.run_process(habit(folder, "resume", "last"), env=environment, cwd=folder, check=False)
    assert result.returncode == 0, result.stderr.decode()
    return json.loads(result.stdout), len(server.requests) - before


async def test_another_question_goes_on_with_the_conversation(tmp_path: Path, sandbox: CPythonSandbox) -> None:
    script = steps(*COUNTING, called(("answer", {"value": "the same"})))
    async with MockServer(script) as server, engine(server, tmp_path, sandbox) as habits:
        async with habits.session(TEXT) as session:
            await session.ask("How many?", returns=int)
            second = await session.ask("And of u2?")
        assert second.answer == "the same"
        last = server.requests[-1].messages
        assert [role for role, _ in last[-2:]] == ["assistant", "tool"]
        assert "And of u2?" in last[-1][1]
        assert (await habits.replay(second.id)).same


async def test_a_run_that_another_strategy_goes_on_with(tmp_path: Path, sandbox: CPythonSandbox) -> None:
    script = steps(*COUNTING, "```python\nanswer(query)\n```")
    async with MockServer(script) as server, engine(server, tmp_path, sandbox) as habits:
        first = await habits.ask("How many?", TEXT, returns=int)
        async with habits.session(continue_from=first.id, change={"strategy": "rlm"}) as session:
            second = await session.ask("And now?")
    assert (second.answer, second.strategy) == ("And now?", "rlm")


async def test_a_run_accounts_for_its_orchestration(tmp_path: Path, sandbox: CPythonSandbox) -> None:
    async with MockServer(steps(*COUNTING)) as server, engine(server, tmp_path, sandbox) as habits:
        run = await habits.ask("How many?", TEXT, returns=int)
    known = run.orchestration
    assert known is not None
    assert (known.root_calls, known.leaf_calls, known.batches, known.wasted_calls) == (3, 2, 4, 0)
    assert known.bookkeeping_tokens > known.reentered_tokens > 0
    assert run.to_json()["orchestration"]["root_calls"] == 3
    assert type(run).from_json(run.to_json()).to_json() == run.to_json()


def killed_at(replies: Iterable[Answer]) -> Script:
    """Replies by how far the conversation is, so that a process that starts again is told the same."""
    known = list(replies)

    def reply(request: Request) -> Answer | str:
        if "<text>" in request.prompt:
            return "yes"
        return known[sum(role == "assistant" for role, _ in request.messages)]

    return reply


@pytest.mark.parametrize("point", [0, 1, 2, 4])
async def test_killed_and_resumed(point: int, tmp_path: Path) -> None:
    (tmp_path / "input.txt").write_text(TEXT)
    environment = {**os.environ, "HABIT_API_KEY": "none"}
    async with MockServer(killed_at(COUNTING)) as server:
        run, sent = await killed_and_resumed(server, tmp_path, environment, point, "How many?", "--returns", "int")
        assert (run["status"], run["answer"], run["strategy"]) == ("answered", 1_000, "agent")
        assert run["usage"]["calls"] == 5
        assert sent == 5 - point
        shown = await anyio.run_process([*habit(tmp_path, "show", "last", "--batches")], cwd=tmp_path)
        known = json.loads(shown.stdout)
        assert [batch["calls"] for batch in known["batches"] if batch["role"] == "leaf"] in ([2], [1, 1])
