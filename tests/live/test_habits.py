"""The local model answers, its program becomes a habit, and the habit answers the next question of the family."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import anyio.to_thread
import pytest

from habit import Run, RunFailed
from habit.engine import Engine
from habit.library.crystallise.learn import Learned, learn
from habit.library.crystallise.refusal import CannotLearn
from habit.library.repository import Repository

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live")]

MONDAY = {
    "a sleeping tabby cat": "animal",
    "a red fire engine": "vehicle",
    "two wild horses": "animal",
    "a delivery van": "vehicle",
    "a bowl of tomato soup": "food",
    "a grey wolf": "animal",
    "an old bicycle": "vehicle",
    "cheese and olives": "food",
}
TUESDAY = {
    "a flock of geese": "animal",
    "a hammer and nails": "tool",
    "an elephant with its calf": "animal",
    "a spider in its web": "animal",
    "a green lizard": "animal",
    "a hand saw": "tool",
}
WORDINGS = (
    "How many of the items are animals?",
    "How many of the items are animal?",
    "How many items are animals?",
    "How many of the items are an animal?",
    "How many animals are there among the items?",
)
"""Tried in turn until a right answer comes of code that can be learned: a small model does not always write it."""


def listed(items: dict[str, str]) -> str:
    return "".join(f"ITEM: {text}\n" for text in items)


async def answered_and_learned(engine: Engine, path: Path) -> tuple[Run, Learned]:
    verdicts = []
    for wording in WORDINGS:
        try:
            run = await engine.ask(wording, paths=[path], returns=int)
            if run.answer != 3 or run.usage.leaf.calls == 0:
                verdicts.append(f"{run.answer!r} with {run.usage.leaf.calls} leaf calls")
                continue
            return run, await learn(engine.resources, [run.id], name="count-items", describe=False, mutants=0)
        except (RunFailed, CannotLearn) as problem:
            verdicts.append(str(problem))
    raise AssertionError(verdicts)


async def test_a_program_of_the_local_model_becomes_a_habit(
    local_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    monday, tuesday, library = tmp_path / "monday.txt", tmp_path / "tuesday.txt", tmp_path / "habits"
    monday.write_text(listed(MONDAY))
    tuesday.write_text(listed(TUESDAY))
    run, learned = await answered_and_learned(engine, monday)
    assert run.usage.root.calls > 0
    assert learned.report.green, learned.report.troubles()
    (name,) = learned.habit.spec.parameters

    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
    repository = await anyio.to_thread.run_sync(Repository.init, library)
    candidate = await anyio.to_thread.run_sync(repository.propose, learned.habit)
    assert await anyio.to_thread.run_sync(repository.approve, candidate, candidate.tree) == 1

    settings = replace(engine.settings, library=str(library))
    async with Engine(settings) as later:
        hit = await later.ask(run.query, paths=[tuesday], returns=int)
        assert (hit.habit, hit.usage.root.calls, hit.usage.leaf.calls) == ("count-items@1", 0, len(TUESDAY))
        assert abs(hit.answer - 4) <= 1  # leaf calls of a small model may miss one
        label = next(one for one in learned.habit.spec.parameters[name].choices if one not in ("animal", "animals"))
        other = await later.ask(re.sub("an animal|animals?", label, run.query), paths=[tuesday], returns=int)
        assert (other.habit, other.usage.root.calls) == ("count-items@1", 0)
        assert hit.answer + other.answer <= len(TUESDAY)
        async with Engine(replace(settings, strategy="habit")) as strict:
            with pytest.raises(RunFailed, match="No habit answers this"):
                await strict.ask("Which of the items is the heaviest?", paths=[tuesday])
