"""Measures what Habit itself costs: `make bench` prints a table, and writes benchmarks/results.json.

A figure is the median of its repetitions. Models answer at once, from memory, so that only Habit's own time is seen.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import anyio

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from habit.config import Settings  # noqa: E402
from habit.engine import Engine  # noqa: E402
from support.scripted import ScriptedModels, ScriptedProvider, block  # noqa: E402


@dataclass(frozen=True)
class Figure:
    """One measurement; ``target`` and ``median`` in ``unit``."""

    name: str
    unit: str
    target: float | None
    median: float
    least: float
    most: float
    repetitions: int

    @classmethod
    def of(cls, name: str, unit: str, target: float | None, values: list[float]) -> Figure:
        return cls(name, unit, target, statistics.median(values), min(values), max(values), len(values))

    @property
    def row(self) -> str:
        target = "" if self.target is None else f"≤ {self.target:g}"
        met = "" if self.target is None else ("yes" if self.median <= self.target else "no")
        spread = f"{self.least:.3g}–{self.most:.3g}"
        return f"| {self.name} | {self.unit} | {target} | {self.median:.3g} | {spread} | {self.repetitions} | {met} |"


async def two_cells(folder: Path) -> Figure:
    """The overhead of a run of two cells, journal on disk, zygote warm."""
    values = []
    async with _engine(folder, [block("print(len(context))"), block("answer(len(context))")] * 40) as engine:
        for number in range(31):
            started = time.perf_counter()
            await engine.ask(f"How long? ({number})", "some text " * 100, returns=int)
            values.append((time.perf_counter() - started) * 1e3)
    return Figure.of("run of two cells, warm", "ms", 25, values[1:])


async def child_run(folder: Path) -> Figure:
    """What a child run adds: its own shared context, session and cell."""
    values = []
    code = "answer(recursive_llm('How long?', 'word ' * 30_000))"
    script = [block(code), block("answer(str(len(context)))")] * 20
    direct = [block("answer('1')")] * 20
    async with _engine(folder, script, window=8_000) as nested, _engine(folder, direct, window=8_000) as flat:
        for number in range(16):
            started = time.perf_counter()
            await nested.ask(f"nested {number}", "x")
            between = time.perf_counter()
            await flat.ask(f"flat {number}", "x")
            values.append((2 * between - started - time.perf_counter()) * 1e3)
    return Figure.of("one child run", "ms", None, values[1:])


async def large_context(folder: Path) -> list[Figure]:
    """From a 100 MB file to the end of its first cell: with the zygote's start, and from a warm zygote."""
    path = folder / "large.log"
    line = "2026-11-22T10:00:00 INFO request served in 12 ms for user 1234\n"
    path.write_text(line * (100_000_000 // len(line)))
    cold: list[float] = []
    warm: list[float] = []
    for number in range(5):
        async with _engine(folder, [block("answer(context.count('INFO'))")] * 2) as engine:
            for temperature, values in (("cold", cold), ("warm", warm)):
                started = time.perf_counter()
                await engine.ask(f"How many? ({number}, {temperature})", paths=[path], returns=int)
                values.append(time.perf_counter() - started)
    name = "100 MB file to the end of the first cell"
    return [Figure.of(f"{name}, warm", "s", 0.6, warm), Figure.of(f"{name}, with the zygote's start", "s", 0.6, cold)]


async def journal_size(folder: Path) -> Figure:
    """Journal bytes beyond the blob for a run of two cells on a 10 MB context."""
    text = "".join(f"line {number}: {number * 7919 % 104729}\n" for number in range(500_000))
    async with _engine(folder, [block("print(context[:5000])"), block("answer('x')")]) as engine:
        await engine.ask("?", text)
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file() and path.name.startswith("journal"))
    return Figure.of("journal beyond the blob, 10 MB context", "MB", 1, [size / 1e6])


async def leaf_batch(folder: Path) -> Figure:
    """What the kernel, the journal and the sandbox add to each of 1,000 leaf calls in one map."""
    values = []
    code = "answer(len(recursive_llm_map('?', [str(n) for n in range(1000)])))"
    async with _engine(folder, [block(code)] * 6, no_cache=True) as engine:
        for number in range(6):
            started = time.perf_counter()
            await engine.ask(f"batch {number}", "x", returns=int)
            values.append(time.perf_counter() - started)
    return Figure.of("1,000 leaf calls in one map, each", "ms", None, values[1:])


def command(name: str, target: float | None, *arguments: str) -> Figure:
    """Seconds of a whole process, beyond those of a bare interpreter where it is an import."""
    values = []
    for _ in range(11):
        started = time.perf_counter()
        subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
        values.append(time.perf_counter() - started)
    return Figure.of(name, "s", target, values[1:])


def _engine(folder: Path, script: list[str], *, window: int = 100_000, no_cache: bool = False) -> Engine:
    settings = Settings(model="scripted", journal=str(folder / "journal.db"), no_cache=no_cache)
    return Engine(settings, models=ScriptedModels(ScriptedProvider(script, window=window)))


def main() -> None:
    """Measure everything and report."""
    python = sys.executable
    figures = [
        command("a bare `python -c pass`", None, python, "-c", "pass"),
        command("`import habit` (whole process)", 0.15, python, "-c", "import habit"),
        command("`habit --help`", 0.3, str(Path(python).parent / "habit"), "--help"),
    ]
    measurements: list[Callable[[Path], Awaitable[Figure | list[Figure]]]] = [
        two_cells,
        child_run,
        large_context,
        journal_size,
        leaf_batch,
    ]
    for measure in measurements:
        with tempfile.TemporaryDirectory() as folder:
            measured = anyio.run(measure, Path(folder))
            figures += measured if isinstance(measured, list) else [measured]
    machine = f"{os.cpu_count()} CPUs, {platform.machine()}, Linux {platform.release().split('-')[0]}"
    heading = f"{date.today().isoformat()} · {machine} · Python {platform.python_version()}"
    print(f"{heading}\n\n| measure | unit | target | median | range | n | met |\n|---|---|---|---|---|---|---|")
    print("\n".join(figure.row for figure in figures))
    report = {"heading": heading, "figures": [asdict(figure) for figure in figures]}
    (ROOT / "benchmarks" / "results.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
