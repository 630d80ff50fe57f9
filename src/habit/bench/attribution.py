"""Whose fault a wrong answer is: the scheduler's, a leaf's, the match's, or that of an input whose format changed.

Decided by what would have been answered had one thing been right: first the leaf replies, then the habit and its
parameters, then the format of the input. What mends the answer was at fault; the scheduler is where nothing does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import anyio.to_thread

from habit.bench.counterfactual import Again, Oracle, chosen_by, made_again
from habit.bench.families import Family
from habit.bench.large import EVERY
from habit.bench.oracle import oracle_about
from habit.bench.surveys import asked
from habit.bench.tasks import Question
from habit.calls.call import Call
from habit.calls.provider import Provider
from habit.contexts.context import Context
from habit.engine import Engine
from habit.errors import UsageError
from habit.journal.records import RunRecord
from habit.library.repository import Repository
from habit.schedulers.habit import Chosen

Who = Literal["scheduler", "leaf", "match", "drift"]


@dataclass(frozen=True)
class Fault:
    """Whose fault a wrong answer is."""

    who: Who
    evidence: str
    """One sentence."""
    certain: bool = True
    """False where it is presumed, because the root could not be asked what it would have done."""


async def attribute(
    engine: Engine, run_id: str, question: Question, *, oracle: Oracle | None = None, root: Provider | None = None
) -> Fault:
    """Whose fault it is that the run ``run_id`` of ``question`` was answered wrongly.

    ``oracle`` tells what leafs should have replied; by default that of the bench. ``root`` is the model that steered
    the run, where it may be asked again: a root that has seen wrong replies can't be judged by what it said then. It
    is sent nothing else, and nothing is written. Raises UsageError for a run that has not ended.
    """
    store = await engine.store()
    record = await store.run(run_id)
    if record.result is None or record.status in ("running", "interrupted"):
        raise UsageError(f"Run {record.id} has not ended: ask whose fault it is when it has.")
    return await _Inquiry(engine, record, question, oracle or truth_about(question), root).held()


def truth_about(question: Question) -> Oracle:
    """Right replies to leaf calls that ``question`` leads to: about one message, or the question itself about a part
    of the input."""
    model = oracle_about(question)

    async def reply(call: Call) -> str | None:
        prompt = call.messages[-1].content if len(call.messages) < 3 else call.messages[1].content
        if question.text in prompt:
            return part_of_the_truth(question, prompt)
        text = (await model.request(replace(call, messages=(*call.messages[:1], *call.messages[1:2])))).text
        return None if text in ("none", "nothing") and not asked(prompt) else text  # of a survey that is a reply

    return reply


def part_of_the_truth(question: Question, prompt: str) -> str:
    """The answer to ``question`` if the messages in ``prompt`` were all there are; ``nothing`` where there is none.

    They are known by their ids, or where the prompt has none by their texts, one of which may be a part of another.
    """
    data, told = question.dataset, prompt.replace(question.text, "")
    words = set(re.findall(r"\w+", told))
    by_id = tuple(one for one in data.messages if one.id in words)
    there = replace(data, messages=by_id or tuple(one for one in data.messages if one.text in told))
    try:
        value = question.family.truth(there, question.parameters)
    except (StopIteration, ValueError):
        return "nothing"
    return ", ".join(value) if isinstance(value, list) else str(value)


class _Inquiry:
    """Into one wrong answer."""

    def __init__(
        self, engine: Engine, record: RunRecord, question: Question, oracle: Oracle, root: Provider | None
    ) -> None:
        self._resources = engine.resources
        self._record = record
        self._question = question
        self._root = root
        self._again = partial(made_again, engine.resources, record, oracle)

    async def held(self) -> Fault:
        """What it comes to."""
        result = self._record.result or {}
        if self._record.strategy == "direct":
            return _of_direct(answered=self._record.status == "answered")
        again = await self._again()
        if self._is_right(again):
            return Fault("leaf", f"with right leaf replies ({again.other} were wrong) the same code answers right")
        chosen = chosen_by(result)
        if chosen is not None and not result.get("gave_up"):
            return await self._of_habit(chosen)
        return await self._of_root(again)

    async def _of_root(self, again: Again) -> Fault:
        """The root wrote the code or took the steps, and right leaf replies alone do not mend them."""
        if not again.saw_else and not again.unknown:
            return Fault("scheduler", "right leaf replies do not mend the answer, and the root saw no wrong ones")
        if self._root is None:
            if not again.other:
                return Fault("scheduler", "no leaf reply is known to be wrong", certain=False)
            evidence = f"the root saw {again.other} wrong leaf replies, and was not asked what right ones had led it to"
            return Fault("leaf", evidence, certain=False)
        asked = await self._again(root=self._root)
        if self._is_right(asked):
            return Fault(
                "leaf", f"from the first of {asked.other} wrong leaf replies on, right ones lead the root right"
            )
        return Fault("scheduler", "asked again from the first wrong leaf reply on, the root is wrong all the same")

    async def _of_habit(self, chosen: Chosen) -> Fault:
        """A habit answered, and right leaf replies do not mend its answer."""
        question = self._question
        meant = await anyio.to_thread.run_sync(self._meant, chosen)
        if meant is not None and question.family.name not in meant:
            others = " or ".join(meant)
            return Fault("match", f"{chosen.full_name} is for questions of {others}, not of {question.family.name}")
        right = _parameters(chosen, question, (meant or {}).get(question.family.name))
        if right is None:
            return Fault("match", f"{chosen.full_name} can't be given the parameters of the question")
        if right != chosen.parameters and self._is_right(await self._again(parameters=right)):
            return Fault("match", f"with the parameters of the question {chosen.full_name} answers right")
        for form in question.family.all_formats:
            if form == question.form:
                continue
            context = await anyio.to_thread.run_sync(Context.of, replace(question, form=form).context)
            if self._is_right(await self._again(parameters=right, context=context)):
                return Fault("drift", f"{chosen.full_name} answers right when the input is {form}, not {question.form}")
        return Fault("scheduler", f"{chosen.full_name} answers wrongly with right leaf replies, parameters and format")

    def _meant(self, chosen: Chosen) -> Mapping[str, Slots] | None:
        """The families whose questions ``chosen`` is for, as its library or its name says; None if neither does."""
        repository = Repository.find(self._resources.settings.library)
        if repository is not None:
            try:
                phrasings = repository.get(chosen.name, chosen.version).spec.intent.phrasings
            except UsageError:
                phrasings = ()
            found = {family.name: slots for each in phrasings for family, slots in understood(each)}
            if found:
                return found
        return {one.name: {} for one in EVERY if one.name == chosen.name} or None

    def _is_right(self, again: Again) -> bool:
        return again.run.status in ("answered", "salvaged") and self._question.is_right(again.run.answer)


Slots = Mapping[str, str]
"""What stands in the place of each parameter of a family: ``{name}`` of a habit's own parameter, or a value."""


def understood(phrasing: str, families: Sequence[Family] = EVERY) -> list[tuple[Family, Slots]]:
    """The families that put a question in this way, a template or a question itself."""
    read = ((family, family.recognised(phrasing)) for family in families)
    return [
        (family, {name: str(value) for name, value in slots.items()}) for family, slots in read if slots is not None
    ]


def _parameters(chosen: Chosen, question: Question, slots: Slots | None) -> dict[str, Any] | None:
    """What the habit should have been given; None when it has no parameter for what the question varies."""
    given = question.parameters
    if slots:
        own = {name: slot[1:-1] for name, slot in slots.items() if slot.startswith("{")}
        fixed = [name for name, slot in slots.items() if name not in own and slot != str(given[name])]
        return None if fixed else {own[name]: given[name] for name in own}
    if len(given) != len(chosen.parameters):
        return None
    return dict(zip(chosen.parameters, given.values(), strict=True))


def _of_direct(*, answered: bool) -> Fault:
    if answered:
        return Fault("leaf", "there was one call, and its reply is wrong")
    return Fault("scheduler", "one call with all of the input could not be made")
