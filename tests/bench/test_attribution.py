"""Who was at fault is found out by making a run again with right replies, at no cost and with nothing written."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from habit.bench.attribution import attribute, part_of_the_truth, understood
from habit.bench.counterfactual import Again, Chooses, made_again
from habit.bench.data import LABELS, make_dataset
from habit.bench.families import FAMILIES, READ, family
from habit.bench.faults import Faults
from habit.bench.faulty import NAME, FaultyModel, Script, agent_step, sized_agent_step
from habit.bench.forgiving import program as program_of
from habit.bench.large import LARGE
from habit.bench.sized import make_sized
from habit.bench.tasks import Question
from habit.calls.call import Call
from habit.config import Settings
from habit.engine import Engine
from habit.errors import UsageError
from habit.journal.memory import MemoryStore
from habit.run import Run
from habit.sandbox.cpython import CPythonSandbox
from habit.schedulers.habit import Chosen

COUNT = Question(family("count-label"), make_dataset(5), "csv", {"label": "praise"})


class Asked:
    """One run of the scripted model, which may misread, and the engine that has it in its journal."""

    def __init__(self, sandbox: CPythonSandbox, strategy: str = "rlm") -> None:
        self.model = FaultyModel()
        self.store = MemoryStore()
        settings = Settings(model=NAME, strategy=strategy, no_cache=True, max_cells=8, library="/nonexistent")
        self.engine = Engine(settings, models=self.model, store=self.store, sandbox=sandbox)

    async def ask(self, question: Question, script: Script, misreads: float = 0.0, **how: Any) -> Run:
        self.model.about = question
        self.model.script, self.model.misreads = script, misreads
        async with self.engine.session(question.context) as session:
            return await session.ask(question.text, returns=question.family.returns, **how)


def writes(*cells: str) -> Script:
    def script(call: Call) -> str:
        turn = sum(message.role == "assistant" for message in call.messages)
        return f"```python\n{cells[min(turn, len(cells) - 1)]}\n```"

    return script


def program(question: Question) -> Script:
    return writes(*question.family.cells(question.form, question.parameters))


def agent(question: Question) -> Script:
    return lambda call: agent_step(call, question, lambda value: value)


async def test_seeded_faults_of_each_kind_are_told_apart(sandbox: CPythonSandbox) -> None:
    some = [family(name) for name in ("count-label", "ids-of-label", "latest-of-user", "compare-users")]
    cases = [one async for one in Faults(sandbox, seed=3, families=some).each()]
    assert set(Counter(one.who for one in cases)) == {"scheduler", "leaf", "match", "drift"}
    assert len(cases) >= 30
    assert [one for one in cases if not one.right] == []
    assert sum(one.leaf_calls for one in cases) == 0


async def test_seeded_faults_of_each_kind_are_told_apart_about_inputs_of_any_size(sandbox: CPythonSandbox) -> None:
    names = ("count-kind", "kind-by-city", "needle-threat", "thread-thing", "slow-requests")
    some = [one for one in LARGE if one.name in names]
    cases = [one async for one in Faults(sandbox, seed=3, families=some, size=20_000).each()]
    assert {one.family for one in cases if one.who == "drift"} == set(names)
    assert set(Counter(one.who for one in cases)) == {"scheduler", "leaf", "match", "drift"}
    assert len(cases) >= 40
    assert [one for one in cases if not one.right] == []
    assert sum(one.leaf_calls for one in cases) == 0


async def test_a_habit_of_the_changed_format_is_asked_about_the_first_one_by_drift(sandbox: CPythonSandbox) -> None:
    data = make_dataset(5)
    given = {"level": data.log[0].level, "component": data.log[0].component}
    question = Question(family("log-count"), data, "log", given)
    asked = Asked(sandbox, "auto")
    chosen = Chosen("log-count", 1, program_of(question.family, "tail", given), given)
    run = await asked.ask(question, writes(""), librarian=Chooses(chosen))
    assert (run.answer, run.habit, question.truth > 0) == (0, "log-count@1", True)
    assert (await attribute(asked.engine, run.id, question)).who == "drift"


async def test_an_inquiry_writes_nothing_and_leaves_the_run_as_it_was(sandbox: CPythonSandbox) -> None:
    asked = Asked(sandbox)
    run = await asked.ask(COUNT, program(COUNT), misreads=0.5)
    assert run.answer != COUNT.truth
    before = (await asked.store.run(run.id), await asked.store.calls(run.id), await asked.store.cells(run.id))
    calls = asked.model.calls
    assert (await attribute(asked.engine, run.id, COUNT)).who == "leaf"
    assert asked.model.calls == calls
    assert before == (await asked.store.run(run.id), await asked.store.calls(run.id), await asked.store.cells(run.id))
    assert len(await asked.store.runs()) == 1
    assert (await asked.engine.replay(run.id)).same


@pytest.mark.parametrize("strategy", ["rlm", "agent"])
async def test_with_the_recorded_replies_a_run_ends_as_it_ended(sandbox: CPythonSandbox, strategy: str) -> None:
    asked = Asked(sandbox, strategy)
    run = await asked.ask(COUNT, program(COUNT) if strategy == "rlm" else agent(COUNT), misreads=0.5)

    async def tells_nothing(call: Call) -> None:
        return None

    again = await made_again(asked.engine.resources, await asked.store.run(run.id), tells_nothing)
    assert (again.run.answer, again.run.status, again.other, again.saw_else, again.unknown) == (
        run.answer,
        "answered",
        0,
        0,
        0,
    )
    assert again.run.cells == run.cells


async def test_code_that_asks_other_calls_when_the_replies_are_right_gets_them_answered(
    sandbox: CPythonSandbox,
) -> None:
    kinds = repr(sorted(LABELS))
    code = (
        "import csv, io\nfound = 0\nfor row in csv.DictReader(io.StringIO(context)):\n"
        f"    kind = recursive_llm('What kind of message is this?', row['text'], returns={kinds})\n"
        "    if kind == 'praise' and recursive_llm('Is this kind certain? What kind of message is it?', row['text'], "
        f"returns={kinds}) == 'praise':\n        found += 1\nanswer(found)"
    )
    asked = Asked(sandbox)
    run = await asked.ask(COUNT, writes(code), misreads=0.6)
    assert run.answer != COUNT.truth
    record = await asked.store.run(run.id)
    recorded = {call.key for call in await asked.store.calls(run.id)}
    new: list[Call] = []

    async def notes(call: Call) -> str | None:
        if call.key not in recorded:
            new.append(call)
        return next(COUNT.dataset.labels[text] for text in COUNT.dataset.labels if text in call.messages[1].content)

    again: Again = await made_again(asked.engine.resources, record, notes)
    assert new
    assert again.run.answer == COUNT.truth
    assert again.unknown == 0


async def test_child_runs_keep_their_programs_while_their_leafs_are_put_right(sandbox: CPythonSandbox) -> None:
    question = replace(COUNT, dataset=make_dataset(6, 180), form="json-lines")
    kinds = repr(sorted(LABELS))
    parent = (
        "lines = context.splitlines(True)\nhalves = [''.join(lines[:90]), ''.join(lines[90:])]\n"
        "answer(sum(recursive_llm_map('How many are praise?', halves, returns=int)))"
    )
    child = (
        f"{READ['json-lines']}\nkinds = recursive_llm_map('What kind of message is this?', "
        f"[row['text'] for row in rows], returns={kinds})\nprint(kinds)",
        "answer(kinds.count('praise'))",
    )
    asked = Asked(sandbox)
    asked.model.window = 4_000

    def script(call: Call) -> str:
        turn = sum(message.role == "assistant" for message in call.messages)
        return f"```python\n{parent if call.session == '0' else child[turn]}\n```"

    run = await asked.ask(question, script, misreads=0.5)
    assert (run.depth, run.answer != question.truth) == (1, True)
    fault = await attribute(asked.engine, run.id, question)
    assert (fault.who, fault.certain) == ("leaf", True)


def test_a_message_whose_text_is_part_of_anothers_is_no_part_of_what_a_leaf_saw() -> None:
    first, second, *_ = COUNT.dataset.messages
    longer = replace(second, text=f"{first.text} (2)", label=first.label)
    question = replace(
        COUNT, dataset=replace(COUNT.dataset, messages=(first, longer)), parameters={"label": first.label}
    )
    rows = {one.id: one.text for one in (first, longer)}
    assert part_of_the_truth(question, f"{question.text}\n{longer.id},{rows[longer.id]}\n") == "1"
    assert part_of_the_truth(question, f"{question.text}\n{rows}\n") == "2"
    assert part_of_the_truth(question, f"{question.text}\n{first.text}\n") == "1"  # without ids, by its text
    assert part_of_the_truth(question, question.text) == "0"


async def test_a_root_that_read_wrong_replies_is_judged_by_what_right_ones_lead_it_to(sandbox: CPythonSandbox) -> None:
    asked = Asked(sandbox, "agent")
    run = await asked.ask(COUNT, agent(COUNT), misreads=1.0)
    sure = await attribute(asked.engine, run.id, COUNT, root=asked.model)
    assert (sure.who, sure.certain) == ("leaf", True)
    presumed = await attribute(asked.engine, run.id, COUNT)
    assert (presumed.who, presumed.certain) == ("leaf", False)
    asked.model.script = lambda call: agent_step(call, COUNT, lambda value: value + 1)
    assert (await attribute(asked.engine, run.id, COUNT, root=asked.model)).who == "scheduler"


async def test_an_agent_whose_leafs_were_right_is_at_fault_itself(sandbox: CPythonSandbox) -> None:
    asked = Asked(sandbox, "agent")
    run = await asked.ask(COUNT, lambda call: agent_step(call, COUNT, lambda value: value + 1))
    fault = await attribute(asked.engine, run.id, COUNT)
    assert (fault.who, fault.certain) == ("scheduler", True)


async def test_a_habit_that_gave_up_is_not_blamed_for_what_the_root_answered_then(sandbox: CPythonSandbox) -> None:
    asked = Asked(sandbox, "auto")
    broken = Chosen("latest-of-user", 1, "def scheduler(context, recursive_llm):\n    raise ValueError('no')\n", {})
    run = await asked.ask(COUNT, writes("answer(-1)"), librarian=Chooses(broken))
    assert (run.answer, run.habit) == (-1, None)
    assert (await attribute(asked.engine, run.id, COUNT)).who == "scheduler"


async def test_the_one_call_of_direct_is_a_leafs(sandbox: CPythonSandbox) -> None:
    asked = Asked(sandbox, "direct")
    run = await asked.ask(COUNT, writes(""), misreads=1.0)
    assert (await attribute(asked.engine, run.id, COUNT)).who == "leaf"


async def test_a_run_that_has_not_ended_is_nobodys_fault_yet(sandbox: CPythonSandbox) -> None:
    asked = Asked(sandbox)
    run = await asked.ask(COUNT, program(COUNT))
    await asked.store.end_run(run.id, "running", {})
    with pytest.raises(UsageError, match="has not ended"):
        await attribute(asked.engine, run.id, COUNT)


@pytest.mark.parametrize("one", FAMILIES, ids=lambda one: one.name)
def test_questions_and_templates_are_known_by_their_family(one: Any) -> None:
    for phrasing in one.phrasings:
        assert one.name in [known.name for known, _ in understood(phrasing)]
        assert one.name in [known.name for known, _ in understood(phrasing.replace("{", "{other_"))]
    question = replace(COUNT, family=one, form=one.formats[0], parameters=one.draw(Random(1), COUNT.dataset))
    assert ({known.name: slots for known, slots in understood(question.text)}[one.name]) == {
        name: str(value) for name, value in question.parameters.items()
    }


async def test_that_there_is_nothing_on_a_page_is_a_right_reply(sandbox: CPythonSandbox) -> None:
    """An agent has every page read for threats, of which most have none; a leaf sees some where there are none."""
    data = make_sized(3, 120_000, "csv")
    question = Question(next(one for one in LARGE if one.name == "needle-threat"), data, "csv", {})
    asked = Asked(sandbox, "agent")
    run = await asked.ask(question, lambda call: sized_agent_step(call, lambda value: value), misreads=0.6)
    assert run.answer != question.truth
    fault = await attribute(asked.engine, run.id, question, root=asked.model)
    assert (fault.who, fault.certain) == ("leaf", True)
