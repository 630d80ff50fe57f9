"""Habit alone, with models that answer at once from memory: what its own machinery takes, without HTTP."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from figures import Row

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from habit.calls.call import Call, Reply  # noqa: E402
from habit.calls.prefixes import prefix_share  # noqa: E402
from habit.config import Settings  # noqa: E402
from habit.contexts.describe import describe  # noqa: E402
from habit.engine import Engine  # noqa: E402
from support.scripted import ScriptedModels, ScriptedProvider, block  # noqa: E402

WORDS = ("prices", "refunds", "delays", "lost luggage", "heating", "noise", "staff", "tickets")
"""Of an instruction of some hundred tokens."""


async def measure_alone(folder: Path) -> list[Row]:
    """All of it."""
    return [
        await two_cells(folder),
        await child_run(folder),
        await further_children(folder, "the whole", "context"),
        await further_children(folder, "a slice of 2 MB", "context[n * 2_000_000 : (n + 1) * 2_000_000]"),
        await leaf_batch(folder),
        await prefixes(folder),
        *metadata(),
    ]


async def two_cells(folder: Path) -> Row:
    """The overhead of a run of two cells, journal on disk, zygote warm."""
    row = Row("Habit alone, no HTTP: run of 2 cells, warm", "ms", 25)
    async with _engine(folder, [block("print(len(context))"), block("answer(len(context))")] * 40) as engine:
        for number in range(31):
            started = time.perf_counter()
            await engine.ask(f"How long? ({number})", "some text " * 100, returns=int)
            if number:
                row.add("habit", (time.perf_counter() - started) * 1e3)
    return row


async def child_run(folder: Path) -> Row:
    """What a child run adds: its own shared context, session and cell."""
    row = Row("Habit alone, no HTTP: one child run", "ms", 15)
    code = "answer(''.join(recursive_llm(f'How long? {n}', 'word ' * 30_000) for n in range(4)))"
    script = [block(code), *[block("answer(str(len(context)))")] * 4] * 20
    direct = [block("answer('1')")] * 20
    async with _engine(folder, script) as nested, _engine(folder, direct) as flat:
        for number in range(16):
            started = time.perf_counter()
            await nested.ask(f"nested {number}", "x")
            between = time.perf_counter()
            await flat.ask(f"flat {number}", "x")
            if number:
                row.add("habit", (2 * between - started - time.perf_counter()) / 4 * 1e3)
    return row


class Timed(ScriptedProvider):
    """Notes when each request came."""

    def __init__(self, script: list[str]) -> None:
        super().__init__(script, window=20_000)
        self.times: list[float] = []

    async def request(self, call: Call) -> Reply:
        self.times.append(time.perf_counter())
        return await super().request(call)


async def further_children(folder: Path, what: str, given: str, size: int = 100_000_000) -> Row:
    """From one child's only request to the next one's: a whole child run each, when the context is there already."""
    row = Row(f"Habit alone, no HTTP: each further child run about {what} of a 100 MB context", "ms", 50)
    code = f"answer(''.join(recursive_llm(f'How long? {{n}}', {given}) for n in range(11)))"
    provider = Timed([block(code), *[block("answer(str(len(context)))")] * 11])
    settings = Settings(model="scripted", journal=str(folder / "alone" / "journal.db"), no_cache=True)
    line = "2026-11-22T10:00:00 INFO a request took 90 ms\n"
    async with Engine(settings, models=ScriptedModels(provider)) as engine:
        await engine.ask("children", line * (size // len(line)))
    of_children = provider.times[1:]
    row.add("habit", *((after - before) * 1e3 for before, after in pairwise(of_children)))
    return row


async def leaf_batch(folder: Path) -> Row:
    """What the kernel, the journal and the sandbox add to each of 1,000 leaf calls in one map."""
    row = Row("Habit alone, no HTTP: each of 1,000 leaf calls in one map", "ms")
    code = "answer(len(recursive_llm_map('?', [str(n) for n in range(1000)])))"
    async with _engine(folder, [block(code)] * 6) as engine:
        for number in range(6):
            started = time.perf_counter()
            await engine.ask(f"batch {number}", "x", returns=int)
            if number:
                row.add("habit", time.perf_counter() - started)
    return row


async def prefixes(folder: Path) -> Row:
    """How much of what the leaf prompts of one map share is out of a prefix cache's reach."""
    row = Row("Habit alone: shared tokens of 200 leaf prompts that a prefix cache can't serve", "%", 10)
    question = " ".join(f"Rule {n}: a message about {word} is urgent." for n, word in enumerate(WORDS, 1))
    code = f"recursive_llm_map({question!r}, [f'{{n}} words' for n in range(200)], returns=bool); answer('done')"
    provider = ScriptedProvider([block(code)], window=20_000)
    settings = Settings(model="scripted", journal=str(folder / "alone" / "journal.db"), no_cache=True)
    async with Engine(settings, models=ScriptedModels(provider)) as engine:
        await engine.ask("prefixes", "x")
    row.add("habit", 100 * (1 - prefix_share(provider.leaf_calls).of_shared))
    return row


def metadata() -> list[Row]:
    """What it takes to tell the model of 100 MB of each kind."""
    size = 100_000_000
    log = "".join(f"2026-11-22T10:00:{n % 60:02} INFO request {n} took {n * 7 % 90} ms\n" for n in range(20_000))
    table = "".join(
        f"{n},{n * 7 % 90},{'open' if n % 3 else 'closed'},2026-11-{n % 28 + 1:02}\n" for n in range(20_000)
    )
    kinds: dict[str, Callable[[], object]] = {  # one at a time, for the sake of memory
        "log": lambda: log * (size // len(log)),
        "table": lambda: table * (size // len(table)),
        "folder of texts": lambda: {f"src/{n % 50}/{n}.py": log[n : n + 5_000] for n in range(size // 5_000)},
        "list of records": lambda: [
            {"id": n, "user": {"tags": ["a", "b"][: n % 3]}, "text": log[n : n + 500]} for n in range(size // 500)
        ],
    }
    rows = []
    for kind, make in kinds.items():
        value = make()
        row = Row(f"Habit alone: metadata of 100 MB, a {kind}", "ms", 50)
        for _ in range(6):
            started = time.perf_counter()
            describe(value)
            row.add("habit", (time.perf_counter() - started) * 1e3)
        rows.append(row)
    return rows


def _engine(folder: Path, script: list[str]) -> Engine:
    settings = Settings(model="scripted", journal=str(folder / "alone" / "journal.db"), no_cache=True)
    return Engine(settings, models=ScriptedModels(ScriptedProvider(script, window=20_000)))
