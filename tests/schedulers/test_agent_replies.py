"""The agent loop where replies, windows and results are not as long as they should be, and with a small model."""

from __future__ import annotations

from typing import Any

import pytest

from habit.errors import CallFailed, RunFailed
from habit.schedulers.agent import AgentLoop
from habit.schedulers.prompts import FRONTIER, SMALL
from habit.schedulers.scheduler import Outcome
from schedulers.conftest import Bench
from support.scripted import CUT_OFF, ScriptedProvider, use

LINES = "".join(f"line {n} user=u{n % 3}\n" for n in range(2_000))


async def ask(bench: Bench, model: ScriptedProvider, context: Any = LINES, **how: Any) -> Outcome:
    return await bench.ask(model, context, kind=AgentLoop, **how)


HALF = [
    '```json answer\n{"value": "half of',
    "```json answer\n12",
    '```json answer\n{"value": 12',
    '{"tool": "answer", "arguments": {"value": 12',
    '{"tool": "answer", "arguments": {"value": "half of',
    '<tool_call>{"name": "answer", "arguments": {"value": 12',
    '```json\n{"tool": "answer", "arguments": {"value": 12}}',
]


@pytest.mark.parametrize("reply", HALF, ids=range(len(HALF)))
async def test_a_call_that_was_cut_off_is_not_done(bench: Bench, reply: str) -> None:
    model = ScriptedProvider([f"{reply}{CUT_OFF}", use("answer", value="1234")])
    assert (await ask(bench, model)).answer == "1234"
    assert "cut off" in model.calls[1].messages[-1].content


async def test_calls_before_one_that_was_cut_off_are_done(bench: Bench) -> None:
    reply = f'{use("count", pattern="u1")}\n\n```json answer\n{{"value": "ha{CUT_OFF}'
    model = ScriptedProvider([reply, use("answer", value="whole")])
    assert (await ask(bench, model)).answer == "whole"
    assert "667 matches" in model.calls[1].messages[-1].content


async def test_the_model_is_told_the_schema_of_a_structured_answer(bench: Bench) -> None:
    schema = {"type": "object", "properties": {"surname": {"type": "string"}}, "required": ["surname"]}
    model = ScriptedProvider([use("answer", name="Eco"), use("answer", surname="Eco")])
    assert (await ask(bench, model, returns=schema)).answer == {"surname": "Eco"}
    assert '"surname"' in model.calls[0].messages[0].content


async def test_a_small_model_is_shown_less_of_the_input_and_smaller_pages(bench: Bench) -> None:
    wide = "\n".join(",".join(f"column{n}" for n in range(40)) for _ in range(100))
    prompts = {}
    for profile in (SMALL, FRONTIER):
        model = ScriptedProvider([use("read", page=1), use("answer", value="x")])
        await ask(Bench(bench.sandbox), model, wide, profile=profile)
        prompts[profile.name] = [len(call.messages[-1].content) for call in model.calls]
    (small_start, small_page), (start, page) = prompts[SMALL.name], prompts[FRONTIER.name]
    assert small_start < start
    assert SMALL.page_chars / 2 < small_page < SMALL.page_chars + 500 < page


async def test_a_small_model_that_repeats_itself_is_asked_at_another_temperature(bench: Bench) -> None:
    model = ScriptedProvider([use("peek"), use("peek"), use("answer", value="x")])
    await ask(bench, model, profile=SMALL)
    temperatures = [call.sampling.temperature for call in model.calls]
    assert temperatures == [SMALL.root_temperature, SMALL.root_temperature, SMALL.repeat_temperature]


async def test_long_replies_of_slices_are_cut_with_their_size_and_share_a_page(bench: Bench) -> None:
    model = ScriptedProvider(
        [use("recursive_llm", query="?", slices=["1"] * 6), use("answer", value="x")], leaf=lambda _: "a" * 50_000
    )
    await ask(bench, model)
    told = model.root_calls[1].messages[-1].content
    assert told.count("characters more]") == 6
    assert len(told) < FRONTIER.page_chars + 1_000


async def test_a_lost_session_is_replaced_and_the_model_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from habit.sandbox.cpython.session import CPythonSession
    from habit.sandbox.session import CellResult

    run = CPythonSession.run_cell

    async def dies(self: CPythonSession, code: str, host: Any) -> CellResult:
        if code.startswith("count"):
            return await run(self, "import os\nos._exit(3)", host)
        return await run(self, code, host)

    monkeypatch.setattr(CPythonSession, "run_cell", dies)
    model = ScriptedProvider([use("count", pattern="u1"), use("search", pattern="^line 7 "), use("answer", value="x")])
    assert (await ask(bench, model)).answer == "x"
    assert "Ask for less at once." in model.calls[1].messages[-1].content
    assert model.calls[2].messages[-1].content.startswith("1 line matches")
    assert [cell.status for cell in await bench.store.cells("run")] == ["died", "ok", "answered"]


async def test_a_conversation_that_fits_no_more_ends_with_the_best_answer(bench: Bench) -> None:
    full = CallFailed("the prompt is too long", reason="too_long")
    model = ScriptedProvider([use("read", page=1), use("read", page=2), full, "42"])
    outcome = await ask(bench, model, returns=int)
    assert (outcome.status, outcome.answer) == ("salvaged", 42)
    assert outcome.note == "the conversation fills the model's window"
    assert len(model.calls[3].messages) == 4  # the question, and the last step with the request for the answer


async def test_an_input_whose_question_alone_fills_the_window_fails_with_a_sentence(bench: Bench) -> None:
    with pytest.raises(RunFailed) as failure:
        await ask(bench, ScriptedProvider([], window=6_000), query="How many? " * 5_000)
    assert "window" in str(failure.value)


async def test_the_full_text_of_steps_that_were_folded_stays_in_the_journal(bench: Bench) -> None:
    text = "".join(f"word {n} of the text\n" for n in range(20_000))
    steps = [use("read", page=n) for n in range(1, 13)]

    class Reader(ScriptedProvider):
        async def request(self, call: Any) -> Any:
            if "notes" in call.messages[0].content and len(call.messages) == 2:
                self.script.insert(0, "the notes")
            return await super().request(call)

    model = Reader([*steps, use("answer", value="done")], window=12_000)
    assert (await ask(bench, model, text)).answer == "done"
    cells = await bench.store.cells("run")
    shown = "".join(cell.stdout.partition("\n")[2].removesuffix("\n") for cell in cells[:-1])
    assert text.startswith(shown[:1_000])
    assert len(shown) > 12 * FRONTIER.page_chars / 4
    folded = [cell.folded for cell in cells]
    assert folded[0] == 0
    assert folded == sorted(folded)
    assert 0 < folded[-1] < len(steps)
