"""Repair: what is proposed does the old cases and the new one; what does not is not proposed, and says why."""

from __future__ import annotations

import json

import pytest

from habit import Run
from habit.library.repository import Repository
from support.library_bench import (
    MENDED,
    MONDAY,
    QUERY,
    RECORDS,
    SOURCE,
    TUESDAY,
    LibraryBench,
    Model,
    afresh,
    count_label,
    root_by,
)

ONLY_NEW = MENDED.replace("isinstance(context, str)", "False")
WRONG_ON_NEW = MENDED.replace('row["body"]', 'row["sender"]')
IMPORTS = MENDED.replace("import io", "import io\nimport socket")
BY_HEART = MENDED.replace("    else:\n", "    else:\n        return 1\n")
POSITION = MENDED.replace("for row in context]", "for row in context[0:1]]")
READ = MENDED.replace("for row in context]", 'for row in context if row["sender"] == "ann"]')
ONE_LABEL = MENDED.replace("== label", '== "spam"')
ENDLESS = MENDED.replace("    count = 0", "    while True:\n        pass\n    count = 0")


def repairer(*programs: str) -> Model:
    """A model that answers afresh, and writes ``programs``, one for each repair that it is asked for."""
    left = list(programs)

    def root(prompt: str) -> str:
        return f"answer({left.pop(0)!r})" if "Mend a Python program" in prompt else afresh("records", "spam")

    return Model(root)


async def ask_about_records(bench: LibraryBench, model: Model, **settings: object) -> Run:
    async with bench.engine(model, **settings) as engine:
        run = await engine.ask("How many messages are spam?", RECORDS, returns=int)
    assert (run.answer, run.habit) == (1, None)
    return run


async def test_a_repair_comes_as_a_candidate_with_both_cases(bench: LibraryBench) -> None:
    run = await ask_about_records(bench, repairer(f"```python\n{MENDED}```"))
    assert bench.told[-1] == "A repair of count-label@1 passes its old cases and this one: habit review count-label"
    repository = Repository.open(bench.library)
    assert [habit.version for habit in repository.habits()] == [1]  # nothing is in use that nobody reviewed
    candidate = repository.candidate("count-label").habit
    assert candidate.source == MENDED
    assert [contract.kind for contract in candidate.spec.contracts] == ["text", "json"]
    assert candidate.spec.also[0].postconditions == ({"rule": "at_least", "value": 0}, {"rule": "at_most_records"})
    assert candidate.spec.provenance.repairs == "count-label@1"
    assert run.id in candidate.spec.provenance.runs
    new = next(case for name, case in candidate.cases.items() if name != "first")
    assert (new.expected, new.run, new.query, new.context.value()) == (1, run.id, run.query, RECORDS)
    repository.approve(repository.candidate("count-label"), repository.candidate("count-label").tree)
    async with bench.engine(Model(root_by({}))) as engine:
        for context, answer in ((RECORDS, 1), (MONDAY, 2), (TUESDAY, 1)):
            again = await engine.ask("How many messages are spam?", context, returns=int)
            assert (again.answer, again.habit) == (answer, "count-label@2")


@pytest.mark.parametrize(
    ("program", "why"),
    [
        (ONLY_NEW, "case first: "),
        (WRONG_ON_NEW, "on the new input it answers 0 and the right answer is 1"),
        (IMPORTS, "socket"),
        (ENDLESS, "while"),
        ("def scheduler(context, recursive_llm, *, label):\n    return 1 / 0\n", "ZeroDivisionError"),
        ("I can't do that.", "scheduler.py"),
        (SOURCE, "on the new input it fails: "),
        (BY_HEART, "its code gives the same answer whatever the input holds"),
        (POSITION, "1 cuts this very input at a fixed place"),
        (READ, "'ann' is a value that was read in the input"),
        (ONE_LABEL, "'spam' is the value of label in one question"),
    ],
    ids=[
        "old case",
        "new input",
        "import",
        "endless",
        "raises",
        "no code",
        "unchanged",
        "the answer",
        "a position",
        "a value",
        "a parameter",
    ],
)
async def test_what_does_not_do_is_told_and_tried_once_more(bench: LibraryBench, program: str, why: str) -> None:
    model = repairer(program, MENDED)
    await ask_about_records(bench, model)
    first, second = (prompt for prompt in model.repairs_asked)
    assert "Your last attempt" not in first
    assert why in second
    assert program.rstrip() in second
    assert bench.told[-1].startswith("A repair of count-label@1 passes")


@pytest.mark.parametrize("program", [ONLY_NEW, WRONG_ON_NEW, IMPORTS], ids=["old case", "new input", "import"])
async def test_after_two_rounds_nothing_is_proposed_and_the_reason_is_told(bench: LibraryBench, program: str) -> None:
    model = repairer(program, program)
    await ask_about_records(bench, model)
    assert len(model.repairs_asked) == 2
    assert bench.told[-1].startswith("No repair of count-label@1 was found: ")
    assert Repository.open(bench.library).candidates() == []


async def test_without_budget_left_nothing_is_tried(bench: LibraryBench) -> None:
    model = repairer(MENDED)
    await ask_about_records(bench, model, max_calls=4, no_cache=True)
    assert bench.outcomes() == ["violated"]
    assert Repository.open(bench.library).candidates() == []


async def test_all_rounds_share_what_the_run_left(bench: LibraryBench) -> None:
    model = repairer(WRONG_ON_NEW, MENDED)
    await ask_about_records(bench, model, max_calls=8, no_cache=True)
    assert len(model.calls) <= 8
    assert Repository.open(bench.library).candidates() == []
    assert "No repair of count-label@1 was found" in bench.told[-1]


async def test_repairs_can_be_turned_off(bench: LibraryBench) -> None:
    model = repairer(MENDED)
    await ask_about_records(bench, model, no_repair=True)
    assert model.repairs_asked == []
    assert bench.told == []


async def test_a_habit_that_gave_up_is_repaired_too(bench: LibraryBench) -> None:
    brittle = SOURCE.replace("    count = 0\n", "    count = 0 if 'prize' in context else 1 // 0\n")
    bench.approve(count_label(brittle))

    def root(prompt: str) -> str:
        return f"answer({SOURCE!r})" if "Mend a Python program" in prompt else afresh("csv", "spam")

    model = Model(root)
    async with bench.engine(model) as engine:
        run = await engine.ask("How many messages are spam?", TUESDAY, returns=int)
    assert (run.answer, run.habit) == (1, None)
    assert "ZeroDivisionError" in model.repairs_asked[0]
    assert bench.outcomes() == ["fallback"]
    candidate = Repository.open(bench.library).candidate("count-label").habit
    assert (candidate.source, len(candidate.spec.contracts), len(candidate.cases)) == (SOURCE, 1, 2)


async def test_code_that_only_the_contract_kept_from_the_input_is_tried_before_a_model_is_asked(
    bench: LibraryBench,
) -> None:
    bench.approve(count_label(MENDED))
    model = repairer()
    await ask_about_records(bench, model)
    assert model.repairs_asked == []
    assert bench.told[-1] == "The code of count-label@2 can do this input too: habit review count-label"
    candidate = Repository.open(bench.library).candidate("count-label").habit
    assert (candidate.source, len(candidate.cases)) == (MENDED, 2)
    assert [contract.kind for contract in candidate.spec.contracts] == ["text", "json"]


async def test_what_is_repaired_takes_the_input_that_it_was_repaired_for(bench: LibraryBench) -> None:
    marked = MONDAY.replace("\n", "\r\n")  # the same columns: only the line ends are others
    model = Model(lambda prompt: afresh("csv", "spam"))
    async with bench.engine(model) as engine:
        run = await engine.ask("How many messages are spam?", marked, returns=int)
        await engine.settled()
        assert (run.answer, run.habit) == (2, None)
        assert "not about this input" in run.why
        assert model.repairs_asked == []
        bench.approve(Repository.open(bench.library).candidate("count-label").habit)
        again = await engine.ask("How many messages are spam?", marked, returns=int)
    assert (again.answer, again.habit) == (2, "count-label@2")


@pytest.mark.parametrize(
    "told",
    ["context[0] == '['", "context.lstrip()[:1] in ('[', '{')", "not context.splitlines()[0].startswith('from,text')"],
)
async def test_a_repair_may_tell_layouts_apart_by_how_inputs_begin(bench: LibraryBench, told: str) -> None:
    program = f"""import csv
import io
import json

def scheduler(context, recursive_llm, *, label):
    if {told}:
        texts = [row["body"] for row in json.loads(context)]
    else:
        texts = [row["text"] for row in csv.DictReader(io.StringIO(context))]
    return sum(recursive_llm({QUERY!r}, text, returns=["spam", "ham"]) == label for text in texts)
"""
    fresh = afresh("records", "spam").replace("in context", "in __import__('json').loads(context)")
    model = Model(lambda prompt: f"answer({program!r})" if "Mend a Python program" in prompt else fresh)
    async with bench.engine(model) as engine:
        run = await engine.ask("How many messages are spam?", json.dumps(RECORDS), returns=int)
    assert (run.answer, run.habit) == (1, None)
    assert bench.told[-1].startswith("A repair of count-label@1 passes"), bench.told
