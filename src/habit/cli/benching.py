"""``habit bench`` and ``habit bench report``: what each way of asking costs and gets right, and the page about it."""

from __future__ import annotations

import json
import re
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from habit.cli import completing, options, status
from habit.cli.groups import HabitGroup
from habit.cli.output import note_line, visible, warning_line, write, write_json
from habit.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from habit.bench.families import Family
    from habit.bench.plan import Plan
    from habit.bench.runner import Bench, Ended

COMMANDS_FILE = "commands.jsonl"
"""Which commands filled a folder, a line for each start."""
_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmg]?i?b?)", re.IGNORECASE)


class _List(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """Words with commas between them; each is converted by ``each``, and Tab completes the last one."""

    name = "LIST"

    def __init__(self, each: Callable[[str], Any], known: Callable[[], Sequence[str]] | None = None) -> None:
        self._each = each
        self._known = known

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        """The values, in their order, each once."""
        if not isinstance(value, str):
            return tuple(value)
        words = [word.strip() for word in value.split(",") if word.strip()]
        for word in words:
            if self._known is not None and word not in self._known():
                self.fail(f"{word!r} is none of {', '.join(self._known())}.", param, ctx)
        try:
            return tuple(dict.fromkeys(map(self._each, words)))
        except ValueError as problem:
            self.fail(f"{value!r}: {problem}.", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The words that may come next."""
        before, comma, begun = incomplete.rpartition(",")
        known = [] if self._known is None else [word for word in self._known() if word not in before.split(",")]
        found = completing.words(*known)(ctx, param, begun)
        for item in found:
            item.value = f"{before}{comma}{item.value}"
        return found


def _size(word: str) -> int:
    found = _SIZE.fullmatch(word)
    if found is None or found[2].lower() not in _UNITS or not (size := int(float(found[1]) * _UNITS[found[2].lower()])):
        raise ValueError(f"{word!r} is not a size such as 10kB, 1MB or 10MiB")
    return size


def _share(word: str) -> float:
    share = float(word)
    if not 0 <= share < 1:
        raise ValueError(f"{word} is not a share from 0 to below 1")
    return share


def _families() -> tuple[Family, ...]:
    from habit.bench.large import LARGE

    return tuple(LARGE)


def _family_names() -> list[str]:
    return [family.name for family in _families()]


def _kinds() -> list[str]:
    return sorted({family.kind for family in _families()})


def _real_names() -> list[str]:
    from habit.bench.realdata import SETS

    return [real.name.removeprefix("real-") for real in SETS]


def _strategies() -> list[str]:
    from habit.bench.plan import STRATEGIES

    return list(STRATEGIES)


def _stream_strategies() -> list[str]:
    return ["direct", "agent", "rlm", "auto"]


@click.group(
    cls=HabitGroup, short_help="Measure what each way of asking costs and gets right.", invoke_without_command=True
)
@click.option("--out", default="bench", metavar="DIR", help="Where everything goes (default ./bench).")
@click.option("--oracle", is_flag=True, help="Ask a script that knows the truth in place of a model: costs alone.")
@click.option("--noise", type=_List(_share), default="0", metavar="X,…", help="Shares of leaf replies it gets wrong.")
@click.option("--latency", type=click.FloatRange(0), default=0.0, metavar="S", help="Seconds each of its calls takes.")
@click.option("--families", type=_List(str, _family_names), default=None, metavar="F,…", help="Only these families.")
@click.option("--kinds", type=_List(str, _kinds), default=None, metavar="K,…", help="Only families of these kinds.")
@click.option("--real", type=_List(str, _real_names), default="", metavar="S,…", help="Sets of real texts as well.")
@click.option(
    "--sizes", type=_List(_size), default="10kB,100kB,1MB,10MB", metavar="N,…", help="Of the inputs; '' for no grid."
)
@click.option(
    "--strategies", type=_List(str, _strategies), default="direct,agent,rlm,habit", metavar="S,…", help="Of the grid."
)
@click.option(
    "--seeds", type=click.IntRange(1), default=3, metavar="N", help="Inputs of each family and size, streams."
)
@click.option("--stream", type=click.IntRange(0), default=0, metavar="N", help="Questions of each stream.")
@click.option(
    "--stream-strategies",
    type=_List(str, _stream_strategies),
    default="direct,rlm,auto",
    metavar="S,…",
    help="Of streams.",
)
@click.option("--shadow", type=click.FloatRange(0, 1), default=0.0, metavar="X", help="As for ask; in streams.")
@click.option("--mutants", type=click.IntRange(0), default=None, metavar="N", help="Tried of what is learned.")
@options.model_options
@click.option("--max-usd", type=float, default=None, metavar="X", help="Stop before all of it costs more than $X.")
@click.option("--max-tokens", type=int, default=None, metavar="N", help="Of each question.")
@click.option("--max-calls", type=int, default=None, metavar="N", help="Of each question.")
@click.option("--max-seconds", type=float, default=None, metavar="S", help="Of each question.")
@options.limit_options
@options.json_flag
@options.verbose_flag
@click.pass_context
def bench(context: click.Context, /, **given: Any) -> int:
    """Ask made questions whose answers are known in every way there is, and write down what each costs and gets right.

    A grid of families, sizes and strategies; with --stream N also streams of N questions that recur, where auto is with
    a library that begins empty. Each finished question is a line of DIR/outcomes.jsonl, and each run is in
    DIR/journal.db. The same command again goes on where it was stopped. Tables and plots: habit bench report DIR

    Exit status: 0 when all was asked, 3 when --max-usd stopped it.
    """
    if context.invoked_subcommand is not None:
        return status.ANSWERED
    return _run(given)


def _run(given: dict[str, Any]) -> int:
    from habit.bench.attribution import attribute
    from habit.bench.runner import Bench
    from habit.cli.bench_line import BenchLine
    from habit.cli.running import run_until_stopped
    from habit.config import load
    from habit.library.checks.examine import MOST_MUTANTS

    as_json, verbose, mutants = given.pop("as_json"), given.pop("verbose"), given.pop("mutants")
    folder, oracle, latency, shadow = (given.pop(name) for name in ("out", "oracle", "latency", "shadow"))
    plan = _plan(given)
    if not oracle and (latency or any(plan.noises)):
        raise UsageError("--noise and --latency are of the scripted model: use them with --oracle.")
    settings = load(given)
    if oracle and given["model"] is not None:
        raise UsageError("Give either --model or --oracle: the oracle answers in the place of a model.")
    line = BenchLine(oracle=oracle, verbose=verbose)
    work = Bench(
        Path(folder),
        plan,
        settings,
        oracle=oracle,
        latency=latency,
        shadow=shadow,
        max_usd=settings.max_usd,
        mutants=MOST_MUTANTS if mutants is None else mutants,
        attribute=attribute,
        tell=line.tell,
    )
    ended = run_until_stopped(lambda: _started(work, Path(folder)), line, lambda: _way_on(folder))
    _say(ended, folder, as_json=as_json)
    return status.BUDGET if ended.stopped else status.ANSWERED


def _plan(given: dict[str, Any]) -> Plan:
    """The plan that the flags make; they are taken out of ``given``."""
    from habit.bench.plan import Plan
    from habit.bench.realdata import SETS

    names, kinds = given.pop("families"), given.pop("kinds")
    families = [
        one for one in _families() if (names is None or one.name in names) and (kinds is None or one.kind in kinds)
    ]
    real = [SETS[_real_names().index(name)] for name in given.pop("real")]
    if not families and not real:
        raise UsageError("No family is of these names and kinds: leave out --families or --kinds.")
    return Plan(
        families=families,
        real=real,
        sizes=given.pop("sizes"),
        strategies=given.pop("strategies"),
        seeds=given.pop("seeds"),
        noises=given.pop("noise"),
        stream=given.pop("stream"),
        stream_strategies=given.pop("stream_strategies"),
    )


async def _started(work: Bench, folder: Path) -> Ended:
    """Run it, and note the command."""
    import anyio.to_thread

    def note() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with (folder / COMMANDS_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"started": started, "command": _command()}) + "\n")

    await anyio.to_thread.run_sync(note)
    return await work.run()


def _command() -> str:
    """What was typed."""
    return shlex.join(["habit", *sys.argv[1:]])


def _way_on(folder: str) -> str:
    return f"Interrupted; what was answered is in {folder}. Go on with the same command: {_command()}"


def _say(ended: Ended, folder: str, *, as_json: bool) -> None:
    """How it ended, and what was left out."""
    left = ended.total - ended.done
    code = status.BUDGET if ended.stopped else status.ANSWERED
    if ended.stopped:
        warning_line(f"{left:,} of {ended.total:,} questions were left out: {ended.stopped}.")
    note_line(f"For tables and plots: habit bench report {shlex.quote(folder)}")
    if as_json:
        told: Mapping[str, Any] = {
            "folder": folder,
            "done": ended.done,
            "total": ended.total,
            "left_out": left,
            "usd": ended.usd,
            "stopped": ended.stopped,
        }
        write_json(told, code=code)
    else:
        write(f"{ended.done:,} of {ended.total:,} questions asked, ${ended.usd:.4f}: {visible(folder)}", code=code)


@bench.command("report", short_help="Tables and plots of what benches measured.")
@click.argument("folders", nargs=-1, required=True, metavar="DIR...", shell_complete=completing.paths)
@click.option("--to", default=None, metavar="FOLDER", help="Write report.md and its plots there, and report.html.")
@click.option("--html", is_flag=True, help="Print one self-contained page with its plots in place of Markdown.")
@click.option(
    "--prices",
    default=None,
    metavar="MODEL",
    shell_complete=completing.by_metavar("MODEL"),
    help="Count US$ at this model's list prices instead.",
)
def report(folders: tuple[str, ...], to: str | None, html: bool, prices: str | None) -> None:
    """Print tables of the outcomes in DIR, or of several DIRs together, as Markdown.

    With --to FOLDER also plots (SVG) and a page that holds everything; plots need the extra bench. A script and a model
    of one's own cost nothing: --prices openai:gpt-5-mini tells what the same tokens would have cost there.
    """
    from habit.bench.outcome import read_outcomes
    from habit.bench.report.page import report_of
    from habit.bench.report.pricing import Prices
    from habit.bench.report.rendering import html_of, markdown_of, write_report

    outcomes = [one for folder in folders for one in read_outcomes(Path(folder))]
    if not outcomes:
        raise UsageError(f"There are no outcomes in {' or '.join(folders)}: fill it with habit bench --out DIR.")
    commands = [line for folder in folders for line in _commands_in(Path(folder))]
    page = report_of(outcomes, commands=commands, prices=None if prices is None else Prices(prices))
    if to is not None:
        for path in write_report(page, Path(to)):
            note_line(f"wrote {path}")
    else:
        write(html_of(page) if html else markdown_of(page))


def _commands_in(folder: Path) -> list[str]:
    """The commands that filled ``folder``, each once."""
    try:
        lines = (folder / COMMANDS_FILE).read_text("utf-8").splitlines()
        return list(dict.fromkeys(str(json.loads(line)["command"]) for line in lines))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(
            f"{folder / COMMANDS_FILE} can't be read: take it out; only the report's text needs it."
        ) from None
