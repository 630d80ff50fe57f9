"""Several runs of a family: what varies between them is a parameter, what differs too much is refused."""

from __future__ import annotations

from typing import Any

import pytest

from habit.engine import Engine
from habit.errors import UsageError
from habit.library.crystallise import wording
from habit.library.crystallise.antiunify import differing_segment
from habit.library.crystallise.cutting import SMALL
from habit.library.crystallise.learn import Learned, learn
from habit.library.crystallise.refusal import CannotLearn
from habit.sandbox.session import Sandbox

from .bench import engine_for, provider, use
from .scripts import MESSAGES, OTHER_MESSAGES, OTHER_SALES, OTHER_TICKETS, SALES, TICKETS, about, is_spam

COUNT = """
n = 0
for {row} in table():
    if {row}["sender"] == "{sender}":
        n += 1
answer(n)
"""
ASK = """
hits = [t for t in context if recursive_llm("Is this about {what} ? yes or no", t["text"], returns=bool)]
answer(len(hits))
"""


async def asked(engine: Engine, *questions: tuple[str, Any]) -> list[str]:
    """The runs of these questions about these inputs."""
    return [(await engine.ask(query, context, returns=int)).id for query, context in questions]


async def test_what_varies_between_runs_is_a_parameter(sandbox: Sandbox) -> None:
    cells = [COUNT.format(row="row", sender="bob"), COUNT.format(row="r", sender="fay")]
    async with engine_for(sandbox, provider(cells, is_spam)) as engine:
        runs = await asked(engine, ("How many are from bob?", MESSAGES), ("How many are from fay?", OTHER_MESSAGES))
        learned = await learn(engine.resources, runs, mutants=0)
    assert learned.report.green
    assert [case.parameters for case in learned.habit.cases.values()] == [{"sender": "bob"}, {"sender": "fay"}]
    assert learned.habit.spec.intent.phrasings == ("How many are from {sender}?",)


async def test_what_varies_inside_of_prompts_is_a_parameter(sandbox: Sandbox) -> None:
    cells = [ASK.format(what="refunds"), ASK.format(what="late delivery")]
    questions = [
        ("How many tickets are about refunds?", TICKETS),
        ("How many tickets are about late delivery?", OTHER_TICKETS),
    ]
    async with engine_for(sandbox, provider(cells, about)) as engine:
        learned = await learn(engine.resources, await asked(engine, *questions), mutants=0)
    ((name, _),) = learned.habit.spec.parameters.items()
    assert [case.parameters[name] for case in learned.habit.cases.values()] == ["refunds", "late delivery"]
    used = await use(sandbox, learned.habit, TICKETS, {name: "crash"}, about)
    assert used.answer == 2


async def test_what_varies_and_is_not_asked_for_is_refused(sandbox: Sandbox) -> None:
    cells = [COUNT.format(row="row", sender="ann"), COUNT.format(row="row", sender="fay")]
    async with engine_for(sandbox, provider(cells, is_spam)) as engine:
        runs = await asked(engine, ("How many are theirs?", MESSAGES), ("How many are theirs?", OTHER_MESSAGES))
        with pytest.raises(CannotLearn, match="'ann' is a value that was read in the input"):
            await learn(engine.resources, runs, mutants=0)


async def test_programs_that_differ_are_refused(sandbox: Sandbox) -> None:
    cells = [COUNT.format(row="row", sender="ann"), "answer(sum(r['sender'] == 'fay' for r in table()))"]
    async with engine_for(sandbox, provider(cells, is_spam)) as engine:
        runs = await asked(engine, ("How many are from ann?", MESSAGES), ("How many are from fay?", OTHER_MESSAGES))
        with pytest.raises(CannotLearn, match="found their answers by different programs"):
            await learn(engine.resources, runs, mutants=0)
        with pytest.raises(UsageError, match="each once"):
            await learn(engine.resources, [runs[0], runs[0]], mutants=0)
        with pytest.raises(UsageError, match="no name for a habit"):
            await learn(engine.resources, runs[:1], name="../up", mutants=0)


async def test_a_run_that_goes_on_with_another_is_learned_whole(sandbox: Sandbox) -> None:
    cells = ["rows = table()\nanswer(len(rows))", "answer(sum(r['units'] for r in rows if r['city'] == 'Rome'))"]
    async with engine_for(sandbox, provider(cells, is_spam)) as engine:
        first = await engine.ask("How many sales are there?", SALES, returns=int)
        await engine.ask("How many units were sold in Rome?", continue_from=first.id, returns=int)
        learned = await learn(engine.resources, ["last"], mutants=0)
    used = await use(sandbox, learned.habit, OTHER_SALES, {"city": "Bern"}, is_spam)
    assert used.answer == 8


async def test_a_large_input_is_cut_down(sandbox: Sandbox) -> None:
    lines = "\n".join(f"{i},{'ann' if i % 7 else 'bob'},message number {i} of many {'x' * 40}" for i in range(3_000))
    context = f"id,sender,text\n{lines}"
    cells = [COUNT.format(row="row", sender="bob")]
    async with engine_for(sandbox, provider(cells, is_spam)) as engine:
        await engine.ask("How many are from bob?", context, returns=int)
        learned = await learn(engine.resources, ["last"], mutants=0)
    (case,) = learned.habit.cases.values()
    assert learned.report.green
    assert len(case.context.payload) <= SMALL < len(context)
    assert 0 < case.expected < 429


async def described(sandbox: Sandbox, leaf: Any, **how: Any) -> tuple[Learned, list[str]]:
    """What is learned with the help of a model, and the strategies of the runs in the journal."""
    async with engine_for(sandbox, provider([COUNT.format(row="row", sender="bob")], leaf)) as engine:
        await engine.ask("How many are from bob?", MESSAGES, returns=int)
        learned = await learn(engine.resources, ["last"], mutants=0, **how)
        store = await engine.store()
        return learned, [run.strategy for run in await store.runs()]


async def test_a_model_may_name_and_describe_it(sandbox: Sandbox) -> None:
    words = (
        '{"name": "Count by sender", "description": "Counts messages\\n of a \\"\\"\\"sender.", "summary": "s", '
        '"operation": "sum", "parameters": {"sender": "Whose messages.", "more": "?"}}'
    )
    learned, strategies = await described(sandbox, lambda question, text: words, describe=True)
    spec = learned.habit.spec
    assert spec.name == "count-by-sender"
    assert spec.description == "Counts messages of a '''sender."
    assert spec.intent.operation == "count"
    assert spec.parameters["sender"].description == "Whose messages."
    assert learned.report.green
    assert strategies == ["learn", "rlm"]


async def test_a_name_that_will_not_do_is_not_taken(sandbox: Sandbox) -> None:
    words = '{"name": "../x", "description": "", "summary": "", "operation": "sum", "parameters": {"sender": ""}}'
    learned, _ = await described(sandbox, lambda question, text: words, describe=True)
    assert learned.habit.spec.name == "count-by-sender"
    assert learned.rejected == ['"../x" is no name for a habit']


async def test_words_that_nobody_demanded_are_asked_for_where_a_model_is_named(sandbox: Sandbox) -> None:
    words = '{"name": "tally", "description": "", "summary": "", "operation": "sum", "parameters": {"sender": ""}}'
    learned, strategies = await described(sandbox, lambda question, text: words, describe=None)
    assert learned.habit.spec.name == "tally"
    assert [(one.model, one.usage.leaf.calls) for one in learned.asked] == [("scripted", 1)]
    assert strategies == ["learn", "rlm"]
    learned, strategies = await described(sandbox, lambda question, text: words)
    assert (learned.habit.spec.name, learned.asked, strategies) == ("count-by-sender", [], ["rlm"])


async def test_words_are_waited_for_only_so_long(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wording, "_PATIENCE", 0.0)
    async with engine_for(sandbox, provider([COUNT.format(row="row", sender="bob")], lambda q, t: "{}")) as engine:
        await engine.ask("How many are from bob?", MESSAGES, returns=int)
        learned = await learn(engine.resources, ["last"], mutants=0, describe=None)
        newest = (await (await engine.store()).runs(limit=1))[0]
    assert learned.habit.spec.name == "count-by-sender"
    assert learned.rejected == ["the model gave no description (there was no reply within 0 seconds)"]
    assert (newest.strategy, newest.status) == ("learn", "failed")


REWRITES = {
    "same": ("return sum(row['sender'] == sender for row in table(context))", ""),
    "wrong": ("return len(table(context))", "it answers 12 instead of 2"),
    "written down": (
        "return sum(row['sender'] == sender for row in table(context)) if sender else 2",
        "2 is the answer",
    ),
    "for one value": ("return sum(row['sender'] == 'bob' for row in table(context))", "'bob' is the value of sender"),
    "a file": ("return len(open('x').read())", "open"),
}


@pytest.mark.parametrize("kind", REWRITES)
async def test_a_rewrite_is_kept_only_if_all_checks_pass(sandbox: Sandbox, kind: str) -> None:
    line, reason = REWRITES[kind]

    def write(question: str, text: str) -> str:
        before = text[: text.index("def scheduler")]
        return f"```python\n{before}def scheduler(context, recursive_llm, *, sender: str) -> int:\n    {line}\n```"

    learned, _ = await described(sandbox, write, rewrite=True)
    assert learned.report.green
    assert (line in learned.habit.source) == (reason == "")
    assert len(learned.rejected) == (reason != "")
    assert all(reason in one for one in learned.rejected)


async def test_a_call_made_while_learning_is_not_replayed(sandbox: Sandbox) -> None:
    async with engine_for(sandbox, provider([COUNT.format(row="row", sender="bob")], lambda q, t: "nothing")) as engine:
        await engine.ask("How many are from bob?", MESSAGES, returns=int)
        learned = await learn(engine.resources, ["last"], mutants=0, describe=True)
        assert len(learned.rejected) == 1
        with pytest.raises(UsageError, match="while learning"):
            await engine.replay((await (await engine.store()).runs(limit=1))[0].id)


def test_the_part_that_differs_is_found_in_whole_words() -> None:
    assert differing_segment(["Is it about a refund?", "Is it about late parcels?"]) == ["a refund", "late parcels"]
    assert differing_segment(["the same", "the same"]) is None


async def test_code_that_asked_again_gets_the_replies_that_it_got(sandbox: Sandbox) -> None:
    cells = [
        "rows = table()\nfirst = recursive_llm('spam or ham?', rows[0]['text'], returns=['spam', 'ham'])\nprint(first)",
        "kinds = [recursive_llm('spam or ham?', r['text'], returns=['spam', 'ham']) for r in rows]\n"
        "answer(kinds.count('spam'))",
    ]
    asked_before: set[str] = set()

    def changing(question: str, text: str) -> str:
        first = "WIN a prize" in text and text not in asked_before
        asked_before.add(text)
        return "ham" if first else is_spam(question, text)

    async with engine_for(sandbox, provider(cells, changing)) as engine:
        run = await engine.ask("How many messages are spam?", MESSAGES, returns=int)
        assert run.answer == 5
        learned = await learn(engine.resources, ["last"], mutants=0)
    assert learned.report.green
    assert learned.dropped[-1] == "dropped 1 of 13 model calls whose replies do not reach the answer"
