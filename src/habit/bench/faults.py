"""Faults on purpose: wrong answers of which it is known who was at fault, to measure how well that is found out.

Every fault is made in a real run: mutants of the programs that models write, agents that err in their bookkeeping,
leafs that misread, habits that are matched to another family or given other parameters, and inputs whose format has
changed under a habit that has no contract. Only runs that end in a wrong answer are kept.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from habit.bench.attribution import Fault, Who, attribute
from habit.bench.counterfactual import Chooses
from habit.bench.data import Format, make_dataset
from habit.bench.families import FAMILIES, Family
from habit.bench.faulty import NAME, FaultyModel, Script, agent_step, reads, sized_agent_step, spoilt
from habit.bench.forgiving import forgiving, program
from habit.bench.large import EVERY
from habit.bench.sized import make_sized
from habit.bench.tasks import Question
from habit.calls.call import Call
from habit.config import Settings
from habit.engine import Engine
from habit.errors import RunError
from habit.journal.memory import MemoryStore
from habit.library.checks.mutants import mutants_of
from habit.sandbox.session import Sandbox
from habit.schedulers.habit import Chosen

_MUTANTS = 12
"""Mutants of a program that are tried until one answers wrongly."""
_TRIES = 12
"""Questions that are tried until a fault of a kind shows in the answer."""


@dataclass(frozen=True)
class Seeded:
    """A wrong answer, who is at fault, and who was found to be."""

    family: str
    strategy: str
    how: str
    """What was done."""
    who: Who
    found: Fault
    leaf_calls: int
    """Leaf calls that the inquiry made of the run's own model: none, as the oracle has the replies."""

    @property
    def right(self) -> bool:
        """Whether the right one was found."""
        return self.found.who == self.who


class Faults:
    """Makes wrong answers, one kind after the other, with engines that share a journal and a sandbox."""

    def __init__(
        self, sandbox: Sandbox, *, seed: int = 0, families: Sequence[Family] = FAMILIES, size: int | None = None
    ) -> None:
        """``size`` in bytes is that of the inputs, which families for any size need; None for 24 or 120 records."""
        self._rng = random.Random(seed)
        self._families = families
        self._size = size
        self._sandbox = sandbox
        self._store = MemoryStore()
        self._model = FaultyModel()
        self._model.luck = random.Random(seed + 1)

    async def each(self, rounds: int = 1) -> AsyncIterator[Seeded]:
        """Wrong answers of every kind and family, ``rounds`` times, each with what the inquiry found."""
        for _ in range(rounds):
            for family in self._families:
                for kind in (self._code, self._steering, self._reading, self._matching, self._drifting):
                    async for one in kind(family):
                        yield one

    async def _code(self, family: Family) -> AsyncIterator[Seeded]:
        """Programs of a model, and habits, that are wrong; alone, and while leafs misread besides."""
        for misreads in (0.0, 0.3) if reads(family) else (0.0,):
            question = self._question(family)
            *before, last = family.cells(question.form, question.parameters)
            programs = ([*before, mutant] for mutant in self._mutants(last))
            attempts = (self._rlm(question, cells, "scheduler", "a mutant", misreads) for cells in programs)
            async for one in _first(attempts):
                yield one
        question = self._question(family)
        mutants = self._mutants(program(family, question.form, question.parameters))
        given = question.parameters
        attempts = (self._habit(question, family, mutant, given, "scheduler", "a mutant") for mutant in mutants)
        async for one in _first(attempts):
            yield one

    async def _steering(self, family: Family) -> AsyncIterator[Seeded]:
        """Agents that err in what they make of right and of wrong replies."""
        for misreads in (0.0, 0.3) if reads(family) else (0.0,):
            question = self._question(family, 120)
            async for one in _first([self._agent(question, spoilt, "scheduler", "wrong bookkeeping", misreads)]):
                yield one

    async def _reading(self, family: Family) -> AsyncIterator[Seeded]:
        """Leafs that misread, under every scheduler."""
        if not reads(family):
            return
        for misread in (self._computed, self._read_off, self._in_a_habit, self._under_an_agent):
            async for one in _first(misread(family) for _ in range(_TRIES)):
                yield one

    async def _computed(self, family: Family) -> Seeded | None:
        question = self._question(family)
        cells = family.cells(question.form, question.parameters)
        return await self._rlm(question, cells, "leaf", "wrong leaf replies, added up by code", 0.4)

    async def _read_off(self, family: Family) -> Seeded | None:
        question = self._question(family)
        *before, last = family.cells(question.form, question.parameters)
        shown = last.replace("\nprint(found)\nanswer(found)", "\nprint('FOUND', repr(found))")
        return await self._rlm(question, [*before, shown], "leaf", "wrong replies, read off", 0.4)

    async def _in_a_habit(self, family: Family) -> Seeded | None:
        question = self._question(family)
        source = program(family, question.form, question.parameters)
        return await self._habit(question, family, source, question.parameters, "leaf", "wrong leaf replies", 0.4)

    async def _under_an_agent(self, family: Family) -> Seeded | None:
        question = self._question(family, 120)
        return await self._agent(question, lambda value, rng: value, "leaf", "wrong leaf replies", 0.6)

    async def _matching(self, family: Family) -> AsyncIterator[Seeded]:
        """Habits of another family, and the right habit with other parameters."""
        others = [
            one
            for one in EVERY
            if one is not family and one.returns == family.returns and one.formats[0] == family.formats[0]
            if one.tables == family.tables
        ]

        async def another() -> Seeded | None:
            other, question = self._rng.choice(others), self._question(family)
            return await self._mismatched(question, other, "another family's habit")

        async for one in _first(another() for _ in range(_TRIES if others else 0)):
            yield one
        varies = self._question(family).parameters
        async for one in _first(
            self._mismatched(self._question(family), family, "other parameters") for _ in range(_TRIES if varies else 0)
        ):
            yield one

    async def _mismatched(self, question: Question, of: Family, how: str) -> Seeded | None:
        given = of.draw(self._rng, question.dataset)
        return await self._habit(question, of, program(of, question.form, given), given, "match", how)

    async def _drifting(self, family: Family) -> AsyncIterator[Seeded]:
        """A forgiving habit, without a contract, whose input has come to be written in another way."""
        first = family.formats[0]

        async def changed(form: Format) -> Seeded | None:
            question = replace(self._question(family), form=form)
            source = forgiving(program(family, first, question.parameters))
            return await self._habit(question, family, source, question.parameters, "drift", f"{first} became {form}")

        for form in _other_forms(family):
            async for one in _first(changed(form) for _ in range(_TRIES // 2)):
                yield one

    def _question(self, family: Family, size: int = 24) -> Question:
        seed = self._rng.randrange(1 << 30)
        form = family.formats[self._rng.randrange(len(family.formats))] if size == 24 else family.formats[0]
        dataset = make_dataset(seed, size) if self._size is None else make_sized(seed, self._size, form, family.tables)
        return Question(family, dataset, form, family.draw(self._rng, dataset))

    def _mutants(self, source: str) -> list[str]:
        mutants = [ast.unparse(one.tree) for one in mutants_of(source, 10_000)[0]]
        self._rng.shuffle(mutants)
        return mutants[:_MUTANTS]

    async def _rlm(
        self, question: Question, cells: Sequence[str], who: Who, how: str, misreads: float
    ) -> Seeded | None:
        def script(call: Call) -> str:
            shown = re.findall(r"(?m)^FOUND (.*)$", call.messages[-1].content)
            turn = sum(message.role == "assistant" for message in call.messages)
            code = f"answer({shown[-1]})" if shown else cells[min(turn, len(cells) - 1)]
            return f"```python\n{code}\n```"

        if who == "scheduler" and misreads and not await self._is_wrong(question, script, "rlm"):
            return None  # wrong for what leafs misread, not for the program
        return await self._asked(question, script, "rlm", who, how, misreads)

    async def _agent(
        self, question: Question, bookkeeping: Callable[[Any, random.Random], Any], who: Who, how: str, misreads: float
    ) -> Seeded | None:
        slip = self._rng.randrange(1 << 30)

        def script(call: Call) -> str:
            def slips(value: Any) -> Any:
                return bookkeeping(value, random.Random(slip))

            return agent_step(call, question, slips) if self._size is None else sized_agent_step(call, slips)

        if who == "scheduler" and misreads and not await self._is_wrong(question, script, "agent"):
            return None
        return await self._asked(question, script, "agent", who, how, misreads)

    async def _habit(
        self,
        question: Question,
        of: Family,
        source: str,
        parameters: Mapping[str, Any],
        who: Who,
        how: str,
        misreads: float = 0.0,
    ) -> Seeded | None:
        chosen = Chosen(of.name, 1, source, dict(parameters))
        return await self._asked(question, lambda call: "", "auto", who, how, misreads, chosen)

    async def _is_wrong(self, question: Question, script: Script, strategy: str) -> bool:
        async with self._engine(strategy) as engine:
            run = await self._ask(engine, question, script, 0.0, None)
        return run is not None

    async def _asked(
        self,
        question: Question,
        script: Script,
        strategy: str,
        who: Who,
        how: str,
        misreads: float,
        chosen: Chosen | None = None,
    ) -> Seeded | None:
        """The inquiry into a wrong answer; None when the answer is right, or there is none."""
        async with self._engine(strategy) as engine:
            before = self._model.leafs
            run = await self._ask(engine, question, script, misreads, chosen)
            if run is None:
                return None
            if misreads and self._model.leafs == before:
                return None  # nothing was read by a leaf
            before = self._model.leafs
            found = await attribute(engine, run, question, root=self._model)
            named = "habit" if chosen else strategy
            noise = f", leafs misread {misreads:.0%} besides" if misreads and who != "leaf" else ""
            return Seeded(question.family.name, named, how + noise, who, found, self._model.leafs - before)

    async def _ask(
        self, engine: Engine, question: Question, script: Script, misreads: float, chosen: Chosen | None
    ) -> str | None:
        """The run that answered wrongly."""
        self._model.about = question
        self._model.script, self._model.misreads = script, misreads
        librarian = Chooses(chosen) if chosen else None
        async with engine.session(question.context) as session:
            session.last = True
            try:
                run = await session.ask(question.text, returns=question.family.returns, librarian=librarian)
            except RunError:
                return None
        wrong = run.status == "answered" and not question.is_right(run.answer)
        return run.id if wrong and bool(run.habit) == bool(chosen) else None

    def _engine(self, strategy: str) -> Engine:
        settings = Settings(model=NAME, strategy=strategy, no_cache=True, max_cells=8, library="/nonexistent")
        return Engine(settings, models=self._model, store=self._store, sandbox=self._sandbox)


async def _first(attempts: Iterable[Awaitable[Seeded | None]]) -> AsyncIterator[Seeded]:
    """The first attempt whose fault shows in the answer, if one does; no more are made after it."""
    for attempt in attempts:
        if (seeded := await attempt) is not None:
            yield seeded
            return


def _other_forms(family: Family) -> Sequence[Format]:
    """The formats that a forgiving program for the family's first one reads without an error, and wrongly."""
    return ("semicolons", "json-lines") if "json-lines" in family.formats else (family.later,)
