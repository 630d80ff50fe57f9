"""Every scheduler finds the truth when leafs make no mistakes, and only the agent's prompts grow with the input."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import anyio.to_thread
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from habit.accounting import Orchestration
from habit.bench.counterfactual import Chooses
from habit.bench.data import make_dataset
from habit.bench.families import FAMILIES, Family
from habit.bench.forgiving import program
from habit.bench.large import EVERY, LARGE
from habit.bench.near import NEAR
from habit.bench.oracle import NAME, OracleModel, OracleModels
from habit.bench.stream import look_after, make_stream
from habit.bench.tasks import Planned, Question
from habit.config import Settings
from habit.engine import Engine
from habit.library.repository import Repository
from habit.run import Run, plain
from habit.sandbox.cpython import CPythonSandbox
from habit.schedulers.habit import Chosen

LEARNING, SMALL, LARGER = 20_000, 100_000, 1_000_000
NAMED = pytest.mark.parametrize("family", LARGE, ids=lambda family: family.name)
READS_ALL = ("sum-by-user", "top-spenders", "count-kind", "kind-by-city", "pairs-of-kind", "pairs-by-spend")
"""Families for which an agent keeps books on the whole input."""


@dataclass
class Asking:
    """An engine for each strategy, with one library."""

    engines: dict[str, Engine]
    repository: Repository

    async def ask(self, strategy: str, question: Question, chosen: Chosen | None = None) -> Run:
        """The run of a right answer; ``chosen`` is the habit that gives it."""
        librarian = None if chosen is None else Chooses(chosen)
        async with self.engines[strategy].session(question.context) as session:
            session.last = True
            run = await session.ask(question.text, returns=question.family.returns, librarian=librarian)
        assert plain(run.answer) == question.truth, (strategy, question.family.name, question.form)
        return run

    async def account(self, strategy: str, family: Family, size: int) -> Orchestration:
        """What asking about an input of ``size`` took."""
        run = await self.ask(strategy, planned(family, size).question())
        assert run.orchestration is not None
        return run.orchestration


def planned(family: Family, size: int, seed: int = 0) -> Planned:
    return Planned(family, family.formats[0], size, seed)


@st.composite
def any_question(draw: st.DrawFn) -> Question:
    """Of any family, in any format and wording, about an input of its own: of a page or two, or of up to 40 kB."""
    family, seed = draw(st.sampled_from(EVERY)), draw(st.integers(0, 1 << 32))
    sized = family not in (*FAMILIES, *NEAR) or (family in LARGE and draw(st.booleans()))
    form = draw(st.sampled_from(family.formats if sized else family.all_formats))
    wording = draw(st.integers(0, len(family.phrasings) - 1))
    if sized:
        return Planned(family, form, draw(st.integers(1_000, 40_000)), seed, wording).question()
    data = make_dataset(seed, draw(st.integers(24, 120)))
    return Question(family, data, form, family.draw(Random(seed), data), wording)


@pytest.fixture(scope="module")
async def asking(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asking]:
    folder: Path = tmp_path_factory.mktemp("agreement")
    before = dict(os.environ)
    os.environ["HOME"] = str(folder)
    for role in ("AUTHOR", "COMMITTER"):
        os.environ.update({f"GIT_{role}_NAME": "Ada", f"GIT_{role}_EMAIL": "ada@example.org"})
    sandbox = CPythonSandbox()
    repository = await anyio.to_thread.run_sync(Repository.init, str(folder / "habits"))
    try:
        async with AsyncExitStack() as stack:
            engines = {}
            for strategy in ("direct", "agent", "rlm", "habit"):
                how = Settings(
                    model=NAME,
                    journal=str(folder / f"{strategy}.db"),
                    library=str(folder / "habits"),
                    strategy="auto" if strategy == "habit" else strategy,
                    no_cache=True,
                )
                engine = Engine(how, models=OracleModels(OracleModel()), sandbox=sandbox)
                engines[strategy] = await stack.enter_async_context(engine)
            yield Asking(engines, repository)
    finally:
        await sandbox.aclose()
        os.environ.clear()
        os.environ.update(before)


@pytest.mark.xdist_group("agreement")
class TestAgreement:
    @NAMED
    @pytest.mark.parametrize("strategy", ["direct", "agent", "rlm"])
    async def test_each_strategy_finds_the_truth_in_every_format(
        self, asking: Asking, family: Family, strategy: str
    ) -> None:
        for seed, form in enumerate(family.formats):
            await asking.ask(strategy, Planned(family, form, LEARNING, seed, seed % len(family.phrasings)).question())

    @pytest.mark.parametrize("strategy", ["direct", "agent"])
    async def test_small_families_are_answered_too(self, asking: Asking, strategy: str) -> None:
        for question in make_stream(2 * len(FAMILIES), 3):
            await asking.ask(strategy, question)

    @pytest.mark.parametrize("strategy", ["direct", "agent", "rlm"])
    async def test_near_misses_are_answered_too(self, asking: Asking, strategy: str) -> None:
        questions = make_stream(len(FAMILIES), 3, near=1)
        assert {question.family for question in questions} == set(NEAR)
        for question in questions:
            await asking.ask(strategy, question)

    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(any_question())
    async def test_all_schedulers_give_the_same_answer(self, asking: Asking, question: Question) -> None:
        for strategy in ("direct", "agent", "rlm"):
            await asking.ask(strategy, question)
        source = program(question.family, question.form, question.parameters)
        run = await asking.ask("habit", question, Chosen(question.family.name, 1, source, question.parameters))
        assert run.habit == f"{question.family.name}@1"

    @NAMED
    async def test_prompts_and_root_tokens_stay_as_they_are_when_the_input_grows(
        self, asking: Asking, family: Family
    ) -> None:
        first = await asking.ask("habit", planned(family, LEARNING).question())
        look = partial(look_after, asking.engines["habit"], asking.repository, first.id, family.name)
        await look(learned=True, mutants=0)
        for strategy in ("rlm", "habit"):
            small, large = [await asking.account(strategy, family, size) for size in (SMALL, LARGER)]
            assert large.peak_prompt_tokens <= 1.1 * small.peak_prompt_tokens
            assert large.root_tokens <= 1.1 * small.root_tokens
            assert large.root_tokens == 0 or strategy == "rlm"

    @pytest.mark.parametrize("family", [one for one in LARGE if one.name in READS_ALL], ids=lambda family: family.name)
    async def test_the_prompts_of_an_agent_grow(self, asking: Asking, family: Family) -> None:
        small, large = [await asking.account("agent", family, size) for size in (SMALL, LARGER)]
        assert large.reentered_tokens > 1.3 * small.reentered_tokens
        assert large.bookkeeping_tokens > 1.2 * small.bookkeeping_tokens

    async def test_ten_megabytes_make_an_agent_carry_more_in_every_prompt(self, asking: Asking) -> None:
        family = next(one for one in LARGE if one.name == "sum-by-user")
        small, large = [await asking.account("agent", family, size) for size in (SMALL, 10_000_000)]
        assert large.root_tokens > 5 * small.root_tokens
        assert large.peak_prompt_tokens > 1.3 * small.peak_prompt_tokens

    async def test_ten_megabytes_take_no_larger_prompt(self, asking: Asking) -> None:
        family = next(one for one in LARGE if one.name == "log-count")
        small, large = [await asking.account("rlm", family, size) for size in (SMALL, 10_000_000)]
        assert large.peak_prompt_tokens <= 1.1 * small.peak_prompt_tokens
        assert large.root_tokens <= 1.1 * small.root_tokens
