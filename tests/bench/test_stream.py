"""A stream of questions with a library: always right, root tokens at first contact only, soon cheaper than without."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from habit.bench.families import FAMILIES
from habit.bench.stream import Step, make_stream, run_stream
from habit.library.checks import check
from habit.library.repository import Repository
from habit.sandbox.cpython import CPythonSandbox

QUESTIONS = 200
NEAR_MISS_EVERY = 12
NAMES = {family.name for family in FAMILIES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stream")


@pytest.fixture(scope="module")
async def steps(folder: Path) -> AsyncIterator[list[Step]]:
    before = dict(os.environ)
    os.environ["HOME"] = str(folder)
    for role in ("AUTHOR", "COMMITTER"):
        os.environ.update({f"GIT_{role}_NAME": "Ada", f"GIT_{role}_EMAIL": "ada@example.org"})
    sandbox = CPythonSandbox()
    try:
        stream = make_stream(QUESTIONS, near=NEAR_MISS_EVERY)
        yield [step async for step in run_stream(stream, folder, library=True, sandbox=sandbox, shadow=0.05, mutants=0)]
    finally:
        await sandbox.aclose()
        os.environ.clear()
        os.environ.update(before)


@pytest.mark.xdist_group("stream")
class TestStream:
    async def test_every_answer_is_the_truth(self, steps: list[Step]) -> None:
        assert len(steps) == QUESTIONS
        assert [step for step in steps if not step.right] == []
        assert {step.family for step in steps} >= NAMES

    async def test_a_near_miss_is_never_answered_by_the_habit_it_resembles(self, steps: list[Step]) -> None:
        near = [step for step in steps if step.family not in NAMES]
        assert len(near) == QUESTIONS // NEAR_MISS_EVERY
        assert {step.answered_by.partition("@")[0] for step in near} <= {"rlm", *(step.family for step in near)}
        assert all(step.answered_by in ("rlm", f"{step.family}@1", f"{step.family}@2") for step in steps)

    async def test_a_hit_asks_nothing_of_the_root(self, steps: list[Step]) -> None:
        hits = [step for step in steps if step.answered_by != "rlm"]
        assert len(hits) > 0.8 * QUESTIONS
        assert sum(step.root_tokens for step in hits) == 0

    async def test_each_family_breaks_even_within_five_uses(self, steps: list[Step]) -> None:
        by_family = defaultdict(list)
        for step in steps:
            if step.form == next((family.formats[0] for family in FAMILIES if family.name == step.family), None):
                by_family[step.family].append(step)
        for name, mine in by_family.items():
            afresh = mine[0].root_tokens  # what each further question would have cost beside its leaf calls
            spent = [step.root_tokens + step.extra_tokens for step in mine]
            assert any(sum(spent[:uses]) <= uses * afresh for uses in range(2, 6)), name

    async def test_a_change_of_format_is_never_answered_by_chance_and_mostly_mended_at_once(
        self, steps: list[Step]
    ) -> None:
        drifts = {}
        for step in steps:
            if "but not about this input" in step.why and step.family in NAMES - drifts.keys():
                drifts[step.family] = step.number
        assert drifts.keys() == NAMES
        mended = 0
        for name, number in drifts.items():
            after = next((step for step in steps if step.family == name and step.number > number), None)
            mended += after is not None and after.answered_by == f"{name}@2"
        assert mended >= 0.8 * len(drifts)

    async def test_every_version_passes_the_cases_of_those_before(self, steps: list[Step], folder: Path) -> None:
        repository = Repository.open(folder / "habits")
        sandbox = CPythonSandbox()
        try:
            for habit in repository.habits():
                assert (await check(sandbox, habit)).green
                first = repository.get(habit.name, 1)
                assert all(habit.cases[name].to_json() == case.to_json() for name, case in first.cases.items())
        finally:
            await sandbox.aclose()
