"""Runs as models write them become habits that answer other questions about other inputs."""

from __future__ import annotations

import pytest

from habit.library.crystallise.learn import learn
from habit.library.crystallise.refusal import CannotLearn
from habit.sandbox.session import Sandbox

from .bench import answered, use
from .memorised import MEMORISED
from .scripts import SCRIPTS, TICKETS, Script, topic


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
async def test_a_run_becomes_a_habit(sandbox: Sandbox, script: Script) -> None:
    async with answered(sandbox, script) as engine:
        learned = await learn(engine.resources, ["last"], mutants=0)
    habit = learned.habit
    print(habit.source, learned.lifted)
    assert learned.report.green, learned.report.troubles()
    assert next(iter(habit.cases.values())).parameters == script.parameters
    for text in script.gone:
        assert text not in habit.source
    if script.elsewhere is not None:
        context, parameters, expected = script.elsewhere
        used = await use(sandbox, habit, context, parameters, script.leaf)
        assert used.trouble == ""
        assert used.answer == expected


@pytest.mark.parametrize("script", MEMORISED, ids=lambda script: script.name)
async def test_what_was_memorised_never_becomes_a_habit(sandbox: Sandbox, script: Script) -> None:
    async with answered(sandbox, script) as engine:
        with pytest.raises(CannotLearn) as refusal:
            await learn(engine.resources, ["last"], mutants=0)
    assert "does not run by itself" not in str(refusal.value)


async def test_an_answer_that_leaf_calls_choose_is_one_of_their_labels(sandbox: Sandbox) -> None:
    code = """labels = ['delivery', 'refund', 'crash', 'other']
kinds = Counter(recursive_llm('Topic?', ticket['text'], returns=labels) for ticket in context)
answer(kinds.most_common(1)[0][0])"""
    script = Script("", "Which topic is the most common?", TICKETS, [code], "delivery", returns=str, leaf=topic)
    async with answered(sandbox, script) as engine:
        learned = await learn(engine.resources, ["last"], mutants=0)
    assert learned.habit.spec.contract.postconditions == (
        {"rule": "one_of", "values": ["delivery", "refund", "crash", "other"]},
    )


async def test_a_text_that_is_declared_part_of_the_format_may_stay(sandbox: Sandbox) -> None:
    lines = "JOB backup OK\nJOB mail FAILED code 3\nJOB index OK\nJOB sync OK\nJOB feed FAILED code 9\n"
    code = "answer(sum('FAILED' in line for line in context.splitlines()))"
    script = Script("", "How many jobs went wrong?", lines, [code], 2)
    async with answered(sandbox, script) as engine:
        with pytest.raises(CannotLearn, match="'FAILED' was copied from the input"):
            await learn(engine.resources, ["last"], mutants=0)
        learned = await learn(engine.resources, ["last"], mutants=0, format_literals=["FAILED"])
    assert "FAILED" in learned.habit.spec.contract.format_literals
    assert learned.report.green


async def test_an_answer_that_is_declared_part_of_the_format_is_refused(sandbox: Sandbox) -> None:
    code = "answer('bob' if context else '')"
    script = Script("", "Who wrote twice?", TICKETS, [code], "bob", returns=str)
    async with answered(sandbox, script) as engine:
        with pytest.raises(CannotLearn, match="the same answer whatever"):
            await learn(engine.resources, ["last"], mutants=0, format_literals=["bob"])
