"""The RLM loop: real sandbox, real kernel, a store in memory, scripted models."""

from __future__ import annotations

import pytest

from habit.calls.budget import Budget
from habit.errors import BudgetExceeded, CallFailed, RunFailed
from habit.schedulers.prompts import SMALL
from habit.schedulers.scheduler import Outcome
from habit.schedulers.workbench import Limits
from schedulers.conftest import Bench
from support.scripted import CUT_OFF, ScriptedProvider, block


async def test_code_runs_until_it_answers(bench: Bench) -> None:
    model = ScriptedProvider([block("n = len(context.splitlines())\nprint(n)"), block("answer(n)")])
    outcome = await bench.ask(model, returns=int)
    assert outcome == Outcome("answered", 3)
    assert bench.rlm.cells == 2
    assert "3" in model.calls[1].messages[-1].content


async def test_the_root_sees_metadata_and_never_the_bulk(bench: Bench) -> None:
    bulk = "\n".join(f"line {n}" for n in range(100_000))
    model = ScriptedProvider([block("answer(str(len(context)))")])
    await bench.ask(model, bulk)
    prompt = "".join(message.content for message in model.calls[0].messages)
    assert "line 0" in prompt
    assert "line 50000" not in prompt
    assert len(prompt) < 15_000


async def test_a_small_model_is_shown_less_of_the_context(bench: Bench) -> None:
    wide = "\n".join(",".join(f"column{n}" for n in range(40)) for _ in range(100))
    model = ScriptedProvider([block("answer('x')")] * 2)
    await bench.ask(model, wide, profile=SMALL)
    await Bench(bench.sandbox).ask(model, wide)
    small, frontier = (call.messages[1].content for call in model.calls)
    assert len(small) < SMALL.preview_chars + 200 < len(frontier)
    assert "How many lines?" in small


async def test_the_conversation_only_grows(bench: Bench) -> None:
    model = ScriptedProvider([block("print(1)"), "no code", block("print(2)"), block("answer('x')")])
    await bench.ask(model)
    for earlier, later in zip(model.calls, model.calls[1:], strict=False):
        assert later.messages[: len(earlier.messages)] == earlier.messages


async def test_a_reply_without_code_is_told_so_at_once(bench: Bench) -> None:
    model = ScriptedProvider(["I think it is 3.", block("answer('3')")])
    assert (await bench.ask(model)).answer == "3"
    assert "no block" in model.calls[1].messages[-1].content


async def test_a_broken_block_comes_back_with_its_error(bench: Bench) -> None:
    model = ScriptedProvider([block("for x in"), block("answer('ok')")])
    assert (await bench.ask(model)).answer == "ok"
    assert "SyntaxError" in model.calls[1].messages[-1].content


async def test_a_block_that_was_cut_off_is_not_run(bench: Bench) -> None:
    model = ScriptedProvider([f"```python\nanswer('half')\nanswer('who{CUT_OFF}", block("answer('whole')")])
    assert (await bench.ask(model)).answer == "whole"
    assert "cut off" in model.calls[1].messages[-1].content


async def test_blocks_run_in_order_until_one_errs(bench: Bench) -> None:
    reply = "\n".join(block(code) for code in ("a = 1", "print('second', a)", "1/0", "print('never')"))
    model = ScriptedProvider([reply, block("answer(str(a))")])
    assert (await bench.ask(model)).answer == "1"
    feedback = model.calls[1].messages[-1].content
    assert "second 1" in feedback
    assert "ZeroDivisionError" in feedback
    assert "never" not in feedback


async def test_blocks_stop_at_the_answer(bench: Bench) -> None:
    model = ScriptedProvider([block("answer('first')") + "\n" + block("answer('second')")])
    assert (await bench.ask(model)).answer == "first"
    assert bench.rlm.cells == 1


async def test_a_leaf_call_sees_its_slice_and_question_only(bench: Bench) -> None:
    model = ScriptedProvider(
        [block("answer(recursive_llm('What number is this?', context.splitlines()[1]))")], leaf=lambda prompt: "2"
    )
    assert (await bench.ask(model)).answer == "2"
    prompt = model.leaf_calls[0].messages[-1].content
    assert "two" in prompt
    assert "three" not in prompt
    assert "What number is this?" in prompt


async def test_a_map_keeps_the_order(bench: Bench) -> None:
    model = ScriptedProvider(
        [block("answer(recursive_llm_map('Which?', [str(n) for n in range(50)], returns=int))")],
        leaf=lambda prompt: prompt.split("<text>\n")[1].split("\n")[0],
    )
    assert (await bench.ask(model, returns=list[int])).answer == list(range(50))


async def test_a_failed_slot_harms_only_itself(bench: Bench) -> None:
    def leaf(prompt: str) -> str | Exception:
        return CallFailed("the server said no", reason="rejected") if "b" in prompt.split("<text>")[1][:4] else "fine"

    code = "r = recursive_llm_map('q', ['a', 'b', 'c'], on_error='return')\nanswer([str(x) for x in r])"
    outcome = await bench.ask(ScriptedProvider([block(code)], leaf=leaf), returns=list[str])
    assert outcome.answer[0] == outcome.answer[2] == "fine"
    assert "the server said no" in outcome.answer[1]


async def test_a_failed_call_raises_in_the_cell(bench: Bench) -> None:
    model = ScriptedProvider(
        [block("try:\n    recursive_llm('q', 'x')\nexcept CallFailed as error:\n    answer('caught ' + str(error))")],
        leaf=lambda prompt: CallFailed("out of luck", reason="rejected"),
    )
    assert "caught" in (await bench.ask(model)).answer


async def test_a_context_too_large_for_a_prompt_becomes_a_child_run(bench: Bench) -> None:
    child = block("print(len(context))\nanswer(str(len(context)))")
    model = ScriptedProvider([block("answer(recursive_llm('How long?', context * 2))"), child], window=8_000)
    outcome = await bench.ask(model, "word " * 20_000)
    assert outcome.answer == str(2 * 5 * 20_000)
    assert bench.rlm.depth == 1
    assert bench.rlm.cells == 2
    assert {call.session for call in model.calls} == {"0", "0.1"}


async def test_child_runs_stop_at_the_depth_limit(bench: Bench) -> None:
    model = ScriptedProvider(
        [block("recursive_llm('q', context)"), block("answer('done')")],
        window=8_000,
    )
    outcome = await bench.ask(model, "word " * 20_000, limits=Limits(max_depth=0))
    assert outcome.answer == "done"
    assert "smaller slices" in model.calls[1].messages[-1].content


async def test_a_wrong_answer_type_is_shown_to_the_code(bench: Bench) -> None:
    model = ScriptedProvider([block("answer('many')"), block("answer(3)")])
    assert (await bench.ask(model, returns=int)).answer == 3
    assert "int" in model.calls[1].messages[-1].content


async def test_a_leaf_reply_of_the_wrong_type_is_asked_for_once_more(bench: Bench) -> None:
    replies = iter(["lots", "7"])
    model = ScriptedProvider(
        [block("answer(recursive_llm('n?', 'x', returns=int))")], leaf=lambda prompt: next(replies)
    )
    assert (await bench.ask(model, returns=int)).answer == 7
    assert "can't be used" in model.leaf_calls[1].messages[-1].content


async def test_two_wrong_leaf_replies_are_a_failed_call(bench: Bench) -> None:
    model = ScriptedProvider(
        [block("recursive_llm('n?', 'x', returns=int)"), block("answer(0)")], leaf=lambda prompt: "lots"
    )
    assert (await bench.ask(model, returns=int)).answer == 0
    assert "CallFailed" in model.root_calls[1].messages[-1].content


async def test_the_cell_limit_ends_with_the_best_answer(bench: Bench) -> None:
    model = ScriptedProvider([block("print(1)"), block("print(2)"), "42"])
    outcome = await bench.ask(model, returns=int, limits=Limits(max_cells=2))
    assert (outcome.status, outcome.answer) == ("salvaged", 42)
    assert "2 cells" in outcome.note


async def test_a_root_that_goes_round_in_circles_is_not_asked_to_the_end(bench: Bench) -> None:
    model = ScriptedProvider([*[block("print(missing)")] * 6, "42"])
    outcome = await bench.ask(model, returns=int)
    assert (outcome.status, outcome.answer, len(model.root_calls)) == ("salvaged", 42, 7)
    assert outcome.note == "the same code came 6 times in a row, and did the same each time"


async def test_the_same_code_that_gets_on_is_no_circle(bench: Bench) -> None:
    step = "at = globals().get('at', 0) + 1\nprint(at)\nif at == 12:\n    answer(at)"
    model = ScriptedProvider([block(step)] * 12)
    assert (await bench.ask(model, returns=int)).answer == 12
    assert not any("same code" in call.messages[-1].content for call in model.root_calls)


async def test_the_same_code_that_gets_on_in_silence_is_no_circle(bench: Bench) -> None:
    silent = "at = globals().get('at', 0) + 1\nif at == 12:\n    answer(at)"
    assert (await bench.ask(ScriptedProvider([block(silent)] * 12), returns=int)).answer == 12


async def test_a_reply_without_code_breaks_a_circle(bench: Bench) -> None:
    circle = [block("print(1)")] * 5
    model = ScriptedProvider([*circle, "Hm.", *circle, block("answer(1)")])
    assert (await bench.ask(model, returns=int)).answer == 1


async def test_a_useless_last_call_fails_the_run(bench: Bench) -> None:
    model = ScriptedProvider([block("print(1)"), "no idea"])
    with pytest.raises(RunFailed, match="limit of 1 cells"):
        await bench.ask(model, returns=int, limits=Limits(max_cells=1))


async def test_a_spent_budget_of_calls_still_asks_for_the_best_answer(bench: Bench) -> None:
    code = "for n in range(10):\n    recursive_llm('q', str(n))"
    model = ScriptedProvider([block(code), "my best guess"])
    with pytest.raises(BudgetExceeded) as stop:
        await bench.ask(model, budget=Budget(max_calls=5))
    assert stop.value.limit == "calls"
    assert stop.value.best_answer == "my best guess"
    assert len(model.calls) == 5


async def test_a_spent_budget_stays_one_when_the_last_call_is_useless(bench: Bench) -> None:
    model = ScriptedProvider([block("for n in range(10): recursive_llm('q', str(n))"), "no idea"])
    with pytest.raises(BudgetExceeded) as stop:
        await bench.ask(model, budget=Budget(max_calls=5), returns=int)
    assert stop.value.best_answer is None


async def test_a_spent_budget_brings_home_what_is_under_way(bench: Bench) -> None:
    code = "recursive_llm_map('q', [str(n) for n in range(20)])"
    with pytest.raises(BudgetExceeded):
        await bench.ask(ScriptedProvider([block(code), "a guess"]), budget=Budget(max_calls=8))
    calls = await bench.store.calls("run")
    assert [call.reply for call in calls if call.role == "leaf"] == ["yes"] * 6


async def test_a_leaf_reply_that_was_cut_off_is_never_taken_for_a_whole_one(bench: Bench) -> None:
    replies = iter([f"12{CUT_OFF}", "1234"])
    model = ScriptedProvider([block("answer(recursive_llm('n?', 'x', returns=int))")], leaf=lambda _: next(replies))
    assert (await bench.ask(model, returns=int)).answer == 1234
    always = ScriptedProvider(
        [block("recursive_llm('n?', 'x', returns=int)"), block("answer(0)")], leaf=lambda _: f"12{CUT_OFF}"
    )
    assert (await Bench(bench.sandbox).ask(always, returns=int)).answer == 0
    assert "cut off" in always.root_calls[1].messages[-1].content


async def test_a_text_that_was_cut_off_twice_says_so(bench: Bench) -> None:
    model = ScriptedProvider([block("answer(recursive_llm('?', 'x'))")], leaf=lambda _: f"a long sto{CUT_OFF}")
    assert "cut off here" in (await bench.ask(model)).answer


async def test_a_number_that_was_cut_off_is_no_best_answer(bench: Bench) -> None:
    model = ScriptedProvider([block("print(1)"), f"12{CUT_OFF}"])
    with pytest.raises(RunFailed, match="cut off"):
        await bench.ask(model, returns=int, limits=Limits(max_cells=1))


async def test_an_empty_root_reply_is_remarked_on(bench: Bench) -> None:
    model = ScriptedProvider([CallFailed("an empty reply", reason="empty"), block("answer('x')")])
    assert (await bench.ask(model)).answer == "x"
    assert "no block" in model.calls[1].messages[-1].content


async def test_the_root_is_shown_the_schema_of_a_structured_answer(bench: Bench) -> None:
    schema = {"type": "object", "properties": {"surname": {"type": "string"}}, "required": ["surname"]}
    model = ScriptedProvider([block("answer({'surname': 'Eco'})")])
    assert (await bench.ask(model, returns=schema)).answer == {"surname": "Eco"}
    assert '"surname"' in model.calls[0].messages[0].content


async def test_children_whose_prompts_are_the_same_keep_their_calls_apart(bench: Bench) -> None:
    contexts = [f"{'word ' * 9_000}{middle}{' word' * 9_000}" for middle in "ab"]
    child = block("answer(''.join(set(context) & {'a', 'b'}))")
    model = ScriptedProvider([block("answer(recursive_llm_map('?', context))"), child, child], window=8_000)
    assert (await bench.ask(model, contexts, returns=list[str])).answer == ["a", "b"]
    first, second = (call for call in model.calls if call.session != "0")
    assert first.messages == second.messages
    assert first.key != second.key


async def test_a_failing_root_model_fails_the_run(bench: Bench) -> None:
    with pytest.raises(CallFailed, match="key"):
        await bench.ask(ScriptedProvider([CallFailed("check the key", reason="rejected")]))


async def test_a_lost_session_is_replaced_and_the_model_told(bench: Bench) -> None:
    model = ScriptedProvider([block("x = 1\nimport os\nos._exit(3)"), block("answer(str('x' in globals()) + context)")])
    outcome = await bench.ask(model, "c")
    assert outcome.answer == "Falsec"
    assert "session was lost" in model.calls[1].messages[-1].content


async def test_the_same_code_again_is_remarked(bench: Bench) -> None:
    model = ScriptedProvider([block("print(1)"), block("print(1)"), block("answer('x')")])
    await bench.ask(model, profile=SMALL)
    assert "same code" in model.calls[2].messages[-1].content
    assert model.calls[1].sampling.temperature == 0.0
    assert model.calls[2].sampling.temperature == SMALL.repeat_temperature


async def test_long_output_is_cut_in_the_middle_with_its_size(bench: Bench) -> None:
    model = ScriptedProvider([block("print('a' * 10_000 + 'b' * 10_000)"), block("answer('x')")])
    await bench.ask(model, profile=SMALL)
    feedback = model.calls[1].messages[-1].content
    assert "characters left out" in feedback
    assert "aaa" in feedback
    assert "bbb" in feedback
    assert len(feedback) < SMALL.output_chars + 1_000


async def test_cells_are_in_the_journal(bench: Bench) -> None:
    await bench.ask(ScriptedProvider([block("print('hello')"), block("answer('x')")]))
    cells = await bench.store.cells("run")
    assert [(cell.index, cell.code, cell.status) for cell in cells] == [
        (1, "print('hello')", "ok"),
        (2, "answer('x')", "answered"),
    ]
    assert cells[0].stdout == "hello\n"
