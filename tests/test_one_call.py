"""The rule of ``auto`` that reads short prose in one call: whole engines, real journal and sandbox, scripted models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from habit import Settings, UsageError
from habit.cli.using import explanation
from habit.contexts.context import Context
from habit.engine import Engine
from habit.one_call import why_one_call
from habit.sandbox.cpython import CPythonSandbox
from support.scripted import ScriptedModels, ScriptedProvider, block

LETTER = (
    "Dear Mrs Hofer, thank you for your letter of 3 May. We are sorry that the wardrobe reached you with a scratched "
    "door. Our carpenter, Mr Lindner, will come on Tuesday. You need not pay anything for that. Yours, Petra Aigner\n"
)
WHO = "Who brings the new door?"
TABLE = "from,text\nann,I will come at noon. See you there.\nbob,The minutes are attached. Good bye.\n"


class Bench:
    def __init__(self, folder: Path, sandbox: CPythonSandbox) -> None:
        self.folder, self.sandbox = folder, sandbox

    def engine(self, *script: str, **settings: Any) -> Engine:
        self.model = ScriptedProvider(script, leaf=lambda prompt: "Lindner")
        chosen = {"model": "scripted", "journal": str(self.folder / "journal.db"), **settings}
        return Engine(Settings(**chosen), sandbox=self.sandbox, models=ScriptedModels(self.model))


@pytest.fixture
def bench(tmp_path: Path, sandbox: CPythonSandbox) -> Bench:
    return Bench(tmp_path, sandbox)


@pytest.mark.parametrize(
    ("query", "context", "settings", "window", "direct"),
    [
        (WHO, LETTER, {}, 100_000, True),
        ("How much must Mrs Hofer pay?", LETTER, {}, 100_000, True),
        (WHO, LETTER, {"direct_up_to": 0}, 100_000, False),
        (WHO, LETTER, {"direct_up_to": 60}, 100_000, False),
        (WHO, LETTER, {}, 120, False),
        (WHO, LETTER * 60, {}, 100_000, False),
        (WHO, LETTER * 60, {"direct_up_to": 20_000}, 100_000, True),
        (WHO, LETTER * 60, {"direct_up_to": 20_000}, 6_000, False),
        ("How many words does it have?", LETTER, {}, 100_000, False),
        ("List all names.", LETTER, {}, 100_000, False),
        ("Who wrote?", TABLE, {}, 100_000, False),
        (WHO, "", {}, 100_000, False),
        (WHO, [LETTER], {}, 100_000, False),
        (WHO, {"a.txt": LETTER}, {}, 100_000, False),
        (WHO, LETTER, {"strategy": "rlm"}, 100_000, False),
        (WHO, LETTER, {"strategy": "agent"}, 100_000, False),
    ],
)
def test_short_prose_is_read_and_all_else_is_worked_on(
    query: str, context: Any, settings: dict[str, Any], window: int, direct: bool
) -> None:
    assert bool(why_one_call(query, Context.of(context), Settings(**settings), window)) is direct


async def test_auto_reads_short_prose_and_says_why(bench: Bench) -> None:
    async with bench.engine() as engine:
        run = await engine.ask(WHO, LETTER)
        assert (run.answer, run.strategy, run.usage.root.calls, run.usage.leaf.calls) == ("Lindner", "direct", 0, 1)
        assert "prose of at most" in run.why
        assert "direct_up_to" in run.why
        record = await (await engine.store()).run(run.id)
        told = explanation(record)
        assert told["answered by"] == "one call with the whole input"
        assert told["why"] == run.why
        assert (await engine.replay(run.id)).same
    async with bench.engine(direct_up_to=0) as later:  # what was decided is kept with the run
        assert (await later.replay(run.id)).same


async def test_the_rule_can_be_turned_off(bench: Bench) -> None:
    async with bench.engine(block("answer('x')"), direct_up_to=0) as engine:
        run = await engine.ask(WHO, LETTER)
        assert (run.answer, run.strategy, run.why) == ("x", "rlm", "")
    async with bench.engine() as later:
        assert (await later.replay(run.id)).same
    with pytest.raises(UsageError, match="--direct-up-to must be at least 0"):
        Settings(direct_up_to=-1)


async def test_a_session_has_a_program_written_for_questions_that_go_on_with_each_other(bench: Bench) -> None:
    async with bench.engine(block("answer('x')")) as engine, engine.session(LETTER) as session:
        run = await session.ask(WHO)
        assert (run.answer, run.strategy) == ("x", "rlm")


async def test_a_run_that_goes_on_with_one_call_is_told_its_question_and_answer(bench: Bench) -> None:
    async with bench.engine() as engine:
        first = await engine.ask(WHO, LETTER)
    async with bench.engine(block("answer('Tuesday')")) as engine, engine.session(continue_from=first.id) as session:
        second = await session.ask("And when does he come?")
        assert (second.answer, second.strategy) == ("Tuesday", "rlm")
        (call,) = bench.model.root_calls
        told = call.messages[-1].content
        assert WHO in told
        assert "The answer was given: Lindner" in told
        assert "And when does he come?" in told
        assert (await engine.replay(second.id)).same
