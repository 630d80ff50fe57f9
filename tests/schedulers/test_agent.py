"""The agent loop: real sandboxes, real kernel, a store in memory, scripted models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from habit.calls.budget import Budget
from habit.calls.fanout import EXPECTED_OUTPUT
from habit.errors import BudgetExceeded, CallFailed, RunFailed, SessionDied
from habit.events import Event, Folded, Notice
from habit.sandbox.cpython import CPythonSandbox
from habit.sandbox.cpython.session import CPythonSession
from habit.sandbox.monty import MontySandbox
from habit.sandbox.session import CellResult, Sandbox, SessionLimits
from habit.schedulers.agent import AgentLoop
from habit.schedulers.prompts import FRONTIER, SMALL
from habit.schedulers.scheduler import Outcome
from habit.schedulers.workbench import Limits
from schedulers.conftest import Bench
from support.scripted import CUT_OFF, ScriptedProvider, use

NATIVE = replace(FRONTIER, execution="tool")
LINES = "".join(f"line {n} user=u{n % 3}\n" for n in range(2_000))


@pytest.fixture(params=["cpython", "monty"], scope="module")
async def each_sandbox(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    sandbox: Sandbox = CPythonSandbox() if request.param == "cpython" else MontySandbox()
    yield sandbox
    await sandbox.aclose()


async def ask(bench: Bench, model: ScriptedProvider, context: Any = LINES, **how: Any) -> Outcome:
    return await bench.ask(model, context, kind=AgentLoop, **how)


async def given(sandbox: Sandbox, *replies: str, context: Any = LINES, **how: Any) -> list[str]:
    """What the model is told after each of its ``replies``."""
    model = ScriptedProvider([*replies, use("answer", value="x")], window=1_000_000)
    await ask(Bench(sandbox), model, context, **how)
    return [call.messages[-1].content for call in model.root_calls[1:]]


async def test_tools_are_called_until_one_answers(bench: Bench) -> None:
    model = ScriptedProvider([use("count", pattern="^line"), use("answer", value=2_000)])
    assert await ask(bench, model, returns=int) == Outcome("answered", 2_000)
    assert "2,000 matches on 2,000 lines" in model.calls[1].messages[-1].content
    cells = await bench.store.cells("run")
    assert [cell.code for cell in cells] == ["count(pattern='^line')", "answer(2000)"]
    assert [cell.status for cell in cells] == ["ok", "answered"]


async def test_nothing_runs_ahead_of_tools(bench: Bench) -> None:
    model = ScriptedProvider([use("answer", value="x")])
    await ask(bench, model, stream_starts=True)
    assert bench.rlm.speculation.limit == 0
    assert model.calls[0].heard is None


async def test_two_long_results_in_a_small_window_are_folded_all_the_same(bench: Bench) -> None:
    reply = "\n\n".join(use("read", page=n) for n in range(1, 6))
    model = ScriptedProvider([reply, reply, "notes", use("answer", value="x")], window=9_000)
    assert (await ask(bench, model, "word " * 9_000)).answer == "x"
    assert "notes" in model.calls[-1].messages[1].content


async def test_the_model_sees_what_the_input_is_and_never_the_bulk(bench: Bench) -> None:
    model = ScriptedProvider([use("answer", value="x")])
    await ask(bench, model)
    prompt = "".join(message.content for message in model.calls[0].messages)
    assert "line 0" in prompt
    assert "line 1000" not in prompt


async def test_the_conversation_only_grows(bench: Bench) -> None:
    model = ScriptedProvider([use("peek"), "no tool", use("read", page=1), use("answer", value="x")])
    await ask(bench, model)
    for earlier, later in pairwise(model.calls):
        assert later.messages[: len(earlier.messages)] == earlier.messages


async def test_tools_are_given_to_a_model_that_takes_them(bench: Bench) -> None:
    model = ScriptedProvider([use("answer", value=["a"])])
    await ask(bench, model, returns=list[str], profile=NATIVE)
    tools = {tool.name: tool for tool in model.calls[0].tools}
    assert list(tools) == ["peek", "search", "read", "count", "recursive_llm", "answer"]
    assert tools["answer"].parameters["properties"]["value"] == {"type": "array", "items": {"type": "string"}}
    assert "```json" not in model.calls[0].messages[0].content


async def test_without_tools_they_are_told_in_words(bench: Bench) -> None:
    model = ScriptedProvider([use("answer", value="x")])
    await ask(bench, model)
    assert model.calls[0].tools == ()
    assert "```json search" in model.calls[0].messages[0].content


async def test_a_small_model_is_held_to_one_call_by_a_grammar(bench: Bench) -> None:
    model = ScriptedProvider(['{"tool": "count", "arguments": {"pattern": "u1"}}', use("answer", value="667")])
    assert (await ask(bench, model, profile=SMALL)).answer == "667"
    assert "root ::= call-0 | call-1" in (model.calls[0].sampling.grammar or "")
    assert "667 matches" in model.calls[1].messages[-1].content


async def test_a_model_that_turns_out_to_take_no_tools_is_told_of_them_in_words(bench: Bench) -> None:
    refusal = CallFailed("m can't be given tools", reason="no_tools")
    events: list[Event] = []
    model = ScriptedProvider([refusal, use("peek"), use("answer", value="x")])
    assert (await ask(bench, model, profile=NATIVE, on_event=events.append)).answer == "x"
    assert [bool(call.tools) for call in model.calls] == [True, False, False]
    assert "```json search" in model.calls[1].messages[0].content
    assert any(isinstance(event, Notice) for event in events)


# -- what the tools give ---------------------------------------------------------------------------------------------


async def test_peek_says_what_there_is(each_sandbox: Sandbox) -> None:
    [text, short] = await given(each_sandbox, use("peek"), use("peek"))
    assert "a text: 34,890 characters on 3 pages of at most 12,000 characters" in text
    assert "line 0 user" in text
    assert "line 1999 user" in text
    [short] = await given(each_sandbox, use("peek"), context="all of it")
    assert short.endswith("all of it")
    [items] = await given(each_sandbox, use("peek"), context=["one", {"two": 2}])
    assert "a list of 2 items" in items
    assert '[1] {"two": 2}' in items
    [files] = await given(each_sandbox, use("peek"), context={"a.txt": "x" * 30_000, "b.txt": "y"})
    assert "page 1: a.txt (30,000 characters)" in files
    assert "page 4: b.txt (1 characters)" in files


async def test_search_finds_lines_with_their_pages(each_sandbox: Sandbox) -> None:
    found, more, literal, other, nothing = await given(
        each_sandbox,
        use("search", pattern=r"^line 19\d\d user=u1$", limit=2),
        use("search", pattern=r"^line 19\d\d user=u1$", limit=2, skip=32),
        use("search", pattern="("),
        use("search", pattern="LINE 77 "),
        use("search", pattern="nowhere"),
    )
    assert (
        found
        == "34 lines match:\npage 3: line 1900 user=u1\npage 3: line 1903 user=u1\n[32 more lines: go on with skip=2]"
    )
    assert more == "34 lines match:\npage 3: line 1996 user=u1\npage 3: line 1999 user=u1"
    assert "is no regular expression" in literal
    assert "with ignore_case, 1 lines match" in other
    assert nothing == "No line matches, in any case."


async def test_a_long_line_is_shown_around_what_was_found(each_sandbox: Sandbox) -> None:
    [told] = await given(each_sandbox, use("search", pattern="needle"), context="x" * 50_000 + "needle" + "y" * 50_000)
    assert "needleyyy" in told
    assert len(told) < 400


async def test_count_by_value(each_sandbox: Sandbox) -> None:
    [told] = await given(each_sandbox, use("count", pattern=r"user=(\w+)"))
    assert told.splitlines()[:3] == ["2,000 matches on 2,000 lines.", "The group has 3 different values:", "667 × u0"]


async def test_a_line_counts_once_however_often_it_matches(each_sandbox: Sandbox) -> None:
    [told] = await given(each_sandbox, use("count", pattern="b|$"), context="abb\ncd")
    assert told.endswith(" matches on 2 lines.")


async def test_read_gives_whole_pages(each_sandbox: Sandbox) -> None:
    page, small, missing = await given(
        each_sandbox, use("read", page=3), use("read", page=1, last_page=3), use("read", page=4)
    )
    assert page.startswith("page 3 of 3:\nline ")
    assert page.endswith("line 1999 user=u1")
    assert "no room for more: go on with page 2" in small
    assert missing == "There is no page 4: the pages are 1 to 3."
    [several] = await given(each_sandbox, use("read", page=1, last_page=9), context={"a": "one", "b": "two"})
    assert several == "pages 1-2 of 2:\n=== a ===\none\n=== b ===\ntwo"


async def test_pages_hold_everything_once(each_sandbox: Sandbox) -> None:
    text = "".join(f"{n} " + "word " * (n % 400) + "\n" * (n % 3) for n in range(400))
    pages = await given(each_sandbox, *(use("read", page=n) for n in range(1, 60)), context=text, limits=Limits(99))
    shown = [page.partition("\n")[2] for page in pages if page.startswith("page")]
    assert "".join("".join(shown).split()) == "".join(text.split())


async def test_slices_are_read_by_other_calls_at_the_same_time(each_sandbox: Sandbox) -> None:
    model = ScriptedProvider(
        [use("recursive_llm", query="Which?", slices=["1", "2-3"]), use("answer", value="x")],
        leaf=lambda prompt: "begins at 0" if "line 0 " in prompt else CallFailed("no luck", reason="rejected"),
    )
    await ask(Bench(each_sandbox), model)
    told = model.root_calls[1].messages[-1].content
    assert told.splitlines()[0] == "page 1: begins at 0"
    assert told.splitlines()[1].startswith("pages 2-3: failed: ")
    assert len(model.leaf_calls) == 2


async def test_what_several_calls_of_a_reply_ask_is_asked_at_once_and_told_apart(each_sandbox: Sandbox) -> None:
    reply = "\n\n".join(
        [
            use("recursive_llm", query="First?", slices=["1", "2"]),
            use("recursive_llm", query="Never", slices=["1-99"]),
            use("count", pattern="user=u1"),
            use("recursive_llm", query="Second?", slices=["3"]),
            use("recursive_llm", query="First?", slices=["1", "2"]),
        ]
    )
    model = ScriptedProvider(
        [reply, use("answer", value="x")],
        leaf=lambda prompt: "one" if "First?" in prompt else CallFailed("no luck", reason="rejected"),
    )
    bench = Bench(each_sandbox)
    await ask(bench, model)
    told = model.root_calls[1].messages[-1].content
    parts = [part.partition("\n")[2].strip() for part in told.split("[result ")[1:]]
    assert parts[0] == parts[4] == "page 1: one\npage 2: one"
    assert parts[1] == "There is no page 99: the pages are 1 to 3."
    assert parts[2].startswith("667 matches")
    assert parts[3].startswith("page 3: failed: no luck")
    cells = await bench.store.cells("run")
    assert [cell.status for cell in cells] == ["ok", "error", "ok", "ok", "ok", "answered"]
    asked = {call.cell for call in model.leaf_calls if call.cell != 5}
    assert asked == {1}  # all that was asked by one cell, but for the very same, which is asked once more


async def test_nothing_is_asked_that_comes_after_the_answer(bench: Bench) -> None:
    calls = [use("recursive_llm", query=f"q{n}", slices=["1"]) for n in range(3)]
    model = ScriptedProvider(["\n\n".join([calls[0], use("answer", value="first"), *calls[1:]])])
    assert (await ask(bench, model)).answer == "first"
    assert ["q0" in call.messages[-1].content for call in model.leaf_calls] == [True]


async def test_nothing_is_asked_beyond_the_limit_of_steps(bench: Bench) -> None:
    reply = "\n\n".join(use("recursive_llm", query=f"q{n}", slices=["1"]) for n in range(5))
    model = ScriptedProvider([reply, "a guess"])
    assert (await ask(bench, model, limits=Limits(max_cells=3))).answer == "a guess"
    assert len(model.leaf_calls) == 3


async def test_the_questions_of_a_first_call_that_fails_are_asked_all_the_same(bench: Bench) -> None:
    calls = [use("recursive_llm", query="a", slices=["1-99"]), use("recursive_llm", query="b", slices=["2"])]
    model = ScriptedProvider(["\n\n".join(calls), use("answer", value="x")])
    await ask(bench, model)
    told = model.root_calls[1].messages[-1].content
    assert "There is no page 99" in told
    assert "page 2: yes" in told
    assert len(model.leaf_calls) == 1


async def test_a_slice_too_large_for_a_prompt_becomes_a_child_run(bench: Bench) -> None:
    model = ScriptedProvider(
        [
            use("recursive_llm", query="How many?", slices=["1-20"]),
            use("count", pattern="word"),
            use("answer", value="many"),
            use("answer", value="done"),
        ],
        window=9_000,
    )
    assert (await ask(bench, model, "word " * 20_000)).answer == "done"
    assert [call.session for call in model.root_calls] == ["0", "0.1", "0.1", "0"]
    assert bench.rlm.depth == 1
    assert "many" in model.root_calls[-1].messages[-1].content


# -- replies that are not as they were asked for ---------------------------------------------------------------------


BAD = [
    ("I think it is 3.", "called no tool"),
    (use("look", where="x"), "There is no tool 'look'"),
    ('{"tool": "look", "arguments": {}}', "There is no tool 'look'"),
    ("```json search\n{broken\n```", "are no JSON"),
    (use("search"), "search needs pattern."),
    (use("search", pattern="x", colour="red"), "no argument 'colour'"),
    (use("search", pattern=["x"]), "has to be a text"),
    (use("read", page="three"), "has to be a whole number"),
    (use("read", page=10**30), "has to be a whole number"),
    (use("search", pattern="x", ignore_case="perhaps"), "true or false"),
    (use("search", pattern=""), "The pattern is empty"),
    (use("recursive_llm", query="q", slices=["a"]), "have to be pages such as"),
    (use("recursive_llm", query="q", slices=[]), "have to be pages such as"),
    (use("recursive_llm", query="q", slices=["1"] * 500), "are too many"),
    (use("recursive_llm", query="q", slices=["1-99"]), "There is no page 99"),
    (use("answer"), "answer needs a value"),
    (use("answer", value="many"), "expected int"),
]


@pytest.mark.parametrize(("reply", "said"), BAD, ids=range(len(BAD)))
@pytest.mark.parametrize("profile", [FRONTIER, NATIVE], ids=["text", "native"])
async def test_what_is_wrong_is_said_in_a_sentence(bench: Bench, reply: str, said: str, profile: Any) -> None:
    model = ScriptedProvider([reply, use("answer", value=3)])
    assert (await ask(bench, model, returns=int, profile=profile)).answer == 3
    told = model.calls[1].messages[-1].content
    assert said in told
    assert "Traceback" not in told


LENIENT = [
    '{"tool": "count", "arguments": {"pattern": "line 7 "}}',
    'Let me count.\n```json\n{"name": "count", "parameters": {"pattern": "line 7 "}}\n```\nThat should do.',
    '<tool_call>{"name": "count", "arguments": {"pattern": "line 7 "}}</tool_call>',
    '[{"name": "count", "arguments": {"pattern": "line 7 "}}]',
    '{"tool": "count", "pattern": "line 7 "}',
    '{"function": {"name": "count", "arguments": "{\\"pattern\\": \\"line 7 \\"}"}}',
    "```json count\n{'pattern': 'line 7 '}\n```".replace("'", '"'),
    '```count\n{"pattern": "line 7 "}\n```',
    '```json count\n{"regex": "line 7 "}\n```',
    '```json count\n{"pattern": "line 7 ", "ignore_case": null}\n```',
    "```count\nline 7 \n```",
]


@pytest.mark.parametrize("reply", LENIENT, ids=range(len(LENIENT)))
async def test_what_must_be_meant_is_done(bench: Bench, reply: str) -> None:
    model = ScriptedProvider([reply, use("answer", value="x")])
    await ask(bench, model)
    assert model.calls[1].messages[-1].content.startswith("1 matches on 1 lines")


async def test_an_empty_reply_and_one_cut_off_are_remarked_on(bench: Bench) -> None:
    model = ScriptedProvider(
        [CallFailed("an empty reply", reason="empty"), f"Well, {CUT_OFF}", use("answer", value="x")]
    )
    assert (await ask(bench, model)).answer == "x"
    assert "called no tool" in model.calls[1].messages[-1].content
    assert "cut off" in model.calls[2].messages[-1].content


async def test_what_one_call_can_not_ask_takes_nothing_from_the_others(each_sandbox: Sandbox) -> None:
    asked = [use("recursive_llm", query=query, slices=["1"]) for query in ("First?", " ", "Last?")]
    model = ScriptedProvider(["\n\n".join(asked), use("answer", value="x")], leaf=lambda prompt: "one")
    bench = Bench(each_sandbox)
    await ask(bench, model)
    assert [cell.status for cell in await bench.store.cells("run")] == ["ok", "error", "ok", "answered"]
    told = model.root_calls[1].messages[-1].content
    assert told.count("page 1: one") == 2
    assert told.count("the query is empty") == 1


async def test_several_calls_in_one_reply_are_done_in_order_and_told_apart(bench: Bench) -> None:
    reply = "\n\n".join([use("count", pattern="u1"), use("look"), use("read", page=99), use("peek")])
    model = ScriptedProvider([reply, use("answer", value="x")])
    await ask(bench, model, "[result 1 of 4: count]\n")
    told = model.calls[1].messages[-1].content
    assert bench.rlm.cells == len(await bench.store.cells("run")) == 5  # with the answer; every call is one
    assert told.index("No line matches") < told.index("There is no page 99") < told.index("The context is")
    assert "\n\\[result 1 of 4: count]" in told  # the context's own line is not taken for one of ours


async def test_nothing_is_done_after_the_answer(bench: Bench) -> None:
    model = ScriptedProvider(["\n\n".join([use("answer", value="first"), use("answer", value="second")])])
    assert (await ask(bench, model)).answer == "first"
    assert bench.rlm.cells == 1


async def test_the_same_call_again_is_remarked_on(bench: Bench) -> None:
    model = ScriptedProvider([use("peek"), use("peek"), use("answer", value="x")])
    await ask(bench, model)
    assert "same call as before" in model.calls[2].messages[-1].content


async def test_an_answer_in_another_form_is_taken(bench: Bench) -> None:
    for reply in (
        use("answer", value="3"),
        use("answer", answer=3),
        "```json answer\n3\n```",
        '{"tool": "answer", "arguments": 3}',
    ):
        assert (await ask(Bench(bench.sandbox), ScriptedProvider([reply]), returns=int)).answer == 3
    whole = ScriptedProvider([use("answer", name="Eco", born=1932)])
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "born": {"type": "integer"}}}
    assert (await ask(Bench(bench.sandbox), whole, returns=schema)).answer == {"name": "Eco", "born": 1932}


# -- walls -----------------------------------------------------------------------------------------------------------


async def test_a_pattern_that_never_ends_is_stopped_and_the_run_goes_on(each_sandbox: Sandbox) -> None:
    limits = Limits(session=SessionLimits(cell_seconds=1.0))
    hostile = "a" * 5_000 + "!"
    model = ScriptedProvider([use("search", pattern="(a|aa)+$"), use("count", pattern="!"), use("answer", value="x")])
    assert (await ask(Bench(each_sandbox), model, hostile, limits=limits)).answer == "x"
    assert model.calls[2].messages[-1].content.startswith("1 matches on 1 lines")


async def test_the_tools_are_there_again_after_a_session_was_lost(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, codes = CPythonSession.run_cell, []

    async def lost_once(self: CPythonSession, code: str, host: Any) -> CellResult:
        codes.append(code)
        if len(codes) == 3:
            raise SessionDied("gone")
        return await run(self, code, host)

    monkeypatch.setattr(CPythonSession, "run_cell", lost_once)
    model = ScriptedProvider([use("peek"), use("peek"), use("count", pattern="u1"), use("answer", value="x")])
    assert (await ask(bench, model)).answer == "x"
    assert "667 matches" in model.calls[3].messages[-1].content


async def test_a_session_that_can_not_hold_the_tools_fails_the_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(self: CPythonSession, code: str, host: Any) -> CellResult:
        raise SessionDied("gone")

    monkeypatch.setattr(CPythonSession, "run_cell", lost)
    with pytest.raises(RunFailed, match="--cell-memory"):
        await ask(bench, ScriptedProvider([use("peek")]))


# -- limits ----------------------------------------------------------------------------------------------------------


async def test_the_limit_of_steps_ends_with_the_best_answer(bench: Bench) -> None:
    model = ScriptedProvider([use("peek"), use("peek") + "\n\n" + use("peek"), "42"])
    outcome = await ask(bench, model, returns=int, limits=Limits(max_cells=2))
    assert (outcome.status, outcome.answer) == ("salvaged", 42)
    assert "1 more step can be taken" in model.calls[1].messages[-1].content
    assert bench.rlm.cells == 2
    assert model.calls[2].tools == ()


async def test_a_spent_budget_of_calls_still_asks_for_the_best_answer(bench: Bench) -> None:
    model = ScriptedProvider([use("peek"), use("recursive_llm", query="q", slices=["1", "2", "3"]), "a guess"])
    with pytest.raises(BudgetExceeded) as stop:
        await ask(bench, model, budget=Budget(max_calls=4))
    assert stop.value.limit == "calls"
    assert stop.value.best_answer == "a guess"


async def test_a_spent_budget_brings_home_what_is_under_way_and_no_call_more(bench: Bench) -> None:
    reply = "\n\n".join(use("recursive_llm", query=f"q{n}", slices=["1", "2"]) for n in range(9))
    model = ScriptedProvider([reply, "a guess"])
    with pytest.raises(BudgetExceeded):
        await ask(bench, model, budget=Budget(max_calls=8))
    assert [call.reply for call in await bench.store.calls("run") if call.role == "leaf"] == ["yes"] * 6
    assert len(model.calls) == 8


async def test_a_spent_budget_stays_one_when_the_last_call_is_useless(bench: Bench) -> None:
    model = ScriptedProvider([use("recursive_llm", query="q", slices=["1", "2", "3"]), "no idea"])
    with pytest.raises(BudgetExceeded) as stop:
        await ask(bench, model, budget=Budget(max_calls=3), returns=int)
    assert stop.value.best_answer is None


async def test_a_useless_last_call_fails_the_run(bench: Bench) -> None:
    for last in ("no idea", f"12{CUT_OFF}"):
        model = ScriptedProvider([use("peek"), last])
        with pytest.raises(RunFailed, match="limit of 1 cells"):
            await ask(Bench(bench.sandbox), model, returns=int, limits=Limits(max_cells=1))


async def test_child_runs_stop_at_the_depth_limit(bench: Bench) -> None:
    model = ScriptedProvider(
        [use("recursive_llm", query="How many?", slices=["1-20"]), use("answer", value="done")], window=9_000
    )
    assert (await ask(bench, model, "word " * 20_000, limits=Limits(max_depth=0))).answer == "done"
    assert "smaller slices" in model.calls[1].messages[-1].content
    assert {call.session for call in model.calls} == {"0"}


async def test_a_child_that_finds_no_answer_harms_only_its_slice(bench: Bench) -> None:
    child = [use("peek"), use("peek"), CallFailed("no", reason="rejected")]
    model = ScriptedProvider(
        [use("recursive_llm", query="?", slices=["1-20"]), *child, use("answer", value="done")], window=9_000
    )
    assert (await ask(bench, model, "word " * 20_000, limits=Limits(max_cells=2))).answer == "done"
    assert "failed: the child run found no answer" in model.calls[-1].messages[-1].content


async def test_children_whose_prompts_are_the_same_keep_their_calls_apart(bench: Bench) -> None:
    halves = {name: f"{'word ' * 9_000}{name}{' word' * 9_000}" for name in "ab"}
    answers = [use("answer", value="y"), use("answer", value="y")]
    both = [use("recursive_llm", query="?", slices=[pages]) for pages in ("1-31", "32-62")]
    model = ScriptedProvider(["\n\n".join(both), *answers, use("answer", value="done")], window=9_000)
    assert (await ask(bench, model, halves)).answer == "done"
    first, second = (call for call in model.calls if call.session != "0")
    assert first.key != second.key


async def test_a_leaf_reply_that_was_cut_off_says_so(bench: Bench) -> None:
    model = ScriptedProvider(
        [use("recursive_llm", query="?", slices=["1"]), use("answer", value="x")], leaf=lambda _: f"a long sto{CUT_OFF}"
    )
    await ask(bench, model)
    assert "cut off here" in model.root_calls[1].messages[-1].content


async def test_a_failing_model_fails_the_run(bench: Bench) -> None:
    with pytest.raises(CallFailed, match="key"):
        await ask(bench, ScriptedProvider([CallFailed("check the key", reason="rejected")]))


# -- compaction ------------------------------------------------------------------------------------------------------

WINDOW = 12_000
STEPS = 24


def long_run(notes: str | Exception = "the notes") -> ScriptedProvider:
    """A model that reads page after page, and takes notes when it is asked to."""

    class Reader(ScriptedProvider):
        async def request(self, call: Any) -> Any:
            if "notes" in call.messages[0].content and not call.tools and len(call.messages) == 2:
                self.script.insert(0, notes)
            return await super().request(call)

    return Reader([*(use("read", page=n) for n in range(1, STEPS + 1)), use("answer", value="done")], window=WINDOW)


async def reading(bench: Bench, model: ScriptedProvider, **how: Any) -> Outcome:
    text = "".join(f"word {n} of the text\n" for n in range(20_000))
    return await ask(bench, model, text, limits=Limits(max_cells=STEPS + 1), profile=NATIVE, **how)


async def test_older_steps_are_summed_up_in_notes_when_the_window_is_near(bench: Bench) -> None:
    model, events = long_run(), []
    assert (await reading(bench, model, on_event=events.append)).answer == "done"
    for call in model.calls:
        assert await model.count_tokens(call.measured) + min(EXPECTED_OUTPUT, 700) <= WINDOW
    notes = [call for call in model.calls if not call.tools]
    assert 1 <= len(notes) <= STEPS // 2
    assert all(call.role == "root" for call in notes)
    assert "Your notes on the steps before these:\nthe notes" in notes[-1].messages[-1].content
    assert "the notes" in model.calls[-1].messages[1].content
    assert "How many lines?" in model.calls[-1].messages[1].content
    assert [event.cells for event in events if isinstance(event, Folded)] != []
    assert (await bench.store.cells("run"))[-1].folded > 0
    roles = [message.role for message in model.calls[-1].messages]
    assert roles == ["system", *["user", "assistant"] * ((len(roles) - 2) // 2), "user"]


async def test_without_notes_there_is_a_line_for_each_step(bench: Bench) -> None:
    model = long_run(CallFailed("no", reason="rejected"))
    assert (await reading(bench, model)).answer == "done"
    assert "read(page=1) → ok" in model.calls[-1].messages[1].content


async def test_a_page_is_smaller_where_the_window_is(bench: Bench) -> None:
    model = ScriptedProvider([use("peek"), use("answer", value="x")], window=6_000)
    await ask(bench, model)
    assert "of at most 2,000 characters" in model.calls[1].messages[-1].content
