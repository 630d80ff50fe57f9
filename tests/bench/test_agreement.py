"""Every scheduler finds the truth when leafs make no mistakes, and only the agent's prompts grow with the input."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio.to_thread
import pytest

from habit.accounting import Orchestration
from habit.bench.families import FAMILIES, Family
from habit.bench.large import LARGE
from habit.bench.near import NEAR
from habit.bench.oracle import NAME, OracleModel, OracleModels
from habit.bench.stream import look_after, make_stream
from habit.bench.tasks import Planned, Question
from habit.config import Settings
from habit.engine import Engine
from habit.library.repository import Repository
from habit.run import Run, plain
from habit.sandbox.cpython import CPythonSandbox

LEARNING, SMALL, LARGER = 20_000, 100_000, 1_000_000
NAMED = pytest.mark.parametrize("family", LARGE, ids=lambda family: family.name)
READS_ALL = ("sum-by-user", "top-spenders", "count-kind", "kind-by-city", "pairs-of-kind", "pairs-by-spend")
"""Families for which an agent keeps books on the whole input."""


@dataclass
class Asking:
    """An engine for each strategy, with one library."""

    engines: dict[str, Engine]
    repository: Repository

    async def ask(self, strategy: str, question: Question) -> Run:
        """The run of a right answer."""
        run = await self.engines[strategy].ask(question.text, question.context, returns=question.family.returns)
        assert plain(run.answer) == question.truth
        return run

    async def account(self, strategy: str, family: Family, size: int) -> Orchestration:
        """What asking about an input of ``size`` took."""
        run = await self.ask(strategy, planned(family, size).question())
        assert run.orchestration is not None
        return run.orchestration


def planned(family: Family, size: int, seed: int = 0) -> Planned:
    return Planned(family, family.formats[0], size, seed)


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
                settings = Settings(
                    model=NAME,
                    journal=str(folder / f"{strategy}.db"),
                    library=str(folder / "habits"),
                    strategy="auto" if strategy == "habit" else strategy,
                    no_cache=True,
                )
                engine = Engine(settings, models=OracleModels(OracleModel()), sandbox=sandbox)
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
