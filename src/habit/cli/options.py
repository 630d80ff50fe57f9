"""Flags that several commands share; a flag that sets something is named like its field of ``Settings``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from habit.cli import completing
from habit.cli.agreeing import yes_option

Command = TypeVar("Command", bound=Callable[..., Any])

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)


class Size(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """Bytes: a whole number, or with a unit such as ``512M`` or ``4GiB`` (powers of 1024)."""

    name = "BYTES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of bytes that ``value`` stands for."""
        if isinstance(value, int):
            return value
        found = _SIZE.fullmatch(value.strip())
        if found is None:
            self.fail(f"{value!r} is not a size; write bytes such as 536870912, or 512M, or 4G.", param, ctx)
        return int(float(found[1]) * _UNITS[found[2].lower()])


def _option(*names: str, **details: Any) -> Callable[[Command], Command]:
    return click.option(*names, default=None, shell_complete=completing.by_metavar(details.get("metavar")), **details)


def _stack(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def apply(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return apply


habit_argument = click.argument("name", metavar="NAME", shell_complete=completing.habits)
run_argument = click.argument("ref", metavar="RUN", shell_complete=completing.runs)
json_flag = click.option("--json", "as_json", is_flag=True, help="Print one JSON value instead of text.")
verbose_flag = click.option("-v", "--verbose", is_flag=True, help="Show the cells on stderr as they run.")
journal_option = _option("--journal", metavar="FILE", help="The journal to use (default .habit/journal.db).")

model_options = _stack(
    _option("--model", metavar="M", help="The root model: local, openai:gpt-5-mini, anthropic:…, ollama:…, a GGUF."),
    _option("--leaf-model", metavar="M", help="The model of leaf calls (default: the root model)."),
    _option("--base-url", metavar="URL", help="An OpenAI-compatible server to ask instead of the provider's."),
    _option("--profile", metavar="auto|frontier|small", help="How the prompts speak: to large or to small models."),
    _option("--dialect", metavar="habit|rlm|dspy", help="Whose system prompt the root model gets (default habit)."),
    _option("--execution", metavar="auto|fence|tool", help="How it hands over code: in a fence or by a tool call."),
    _option("--window", type=int, metavar="N", help="The model's context window in tokens, where it is not known."),
    _option(
        "--concurrency",
        type=int,
        metavar="N",
        help="Most requests under way at once (default: as many as the model takes).",
    ),
    _option("--sessions", type=int, metavar="N", help="Most runs worked on at once (default: as memory allows)."),
    _option("--speculate", type=int, metavar="N", help="Calls that run ahead of a loop (default 32, 0: none)."),
    _option("--stream-starts", is_flag=True, help="Start a cell's first calls while the model still writes the rest."),
)

budget_options = _stack(
    _option("--max-usd", type=float, metavar="X", help="Stop before more than X US dollars are spent."),
    _option("--max-tokens", type=int, metavar="N", help="Stop before more than N tokens are used."),
    _option("--max-calls", type=int, metavar="N", help="Stop before more than N calls are made."),
    _option("--max-seconds", type=float, metavar="S", help="Stop after S seconds."),
    _option("--max-usd-day", type=float, metavar="X", help="US dollars for all runs of this journal in a day (UTC)."),
    _option("--confirm-usd", type=float, metavar="X", help="Ask before a map that may cost more (default $1)."),
    yes_option,
)

limit_options = _stack(
    _option("--sandbox", metavar="auto|cpython|monty", help="Where cells run (default auto: cpython where it can)."),
    _option("--max-depth", type=int, metavar="N", help="Levels of child runs (default 2)."),
    _option("--max-cells", type=int, metavar="N", help="Cells of one session (default 30)."),
    _option("--cell-seconds", type=float, metavar="S", help="Seconds one cell may work (default 60)."),
    _option("--cell-memory", type=Size(), metavar="BYTES", help="Memory of a session beyond its context (default 4G)."),
)

listening_options = _stack(
    _option("--events", metavar="FILE", help="Append what happens to FILE, one JSON object a line."),
    click.option("--events-content", is_flag=True, help="Put code, prompts, replies and answers there too."),
    _option("--otel", is_flag=True, help="Send OpenTelemetry spans, as the OTEL_* variables say."),
)

direct_option = _option(
    "--direct-up-to", type=int, metavar="N", help="Tokens of prose auto reads in one call (default 2000)."
)
strategy_option = _stack(
    _option(
        "--strategy",
        metavar="auto|rlm|agent|direct|habit",
        help="auto (default): a habit that fits, else one call for short prose, else a program that the model writes; "
        "rlm: always that; agent: tool calls step by step; direct: the whole input in one call; habit: a habit or "
        "nothing.",
    ),
    direct_option,
)
library_option = _option("--library", metavar="DIR", help="The library of habits (default ./habits).")
library_options = _stack(
    library_option,
    _option("--shadow", type=float, metavar="X", help="Solve this share of a habit's answers afresh too, and compare."),
    click.option("--no-repair", is_flag=True, default=None, help="Open no repair when a habit can't answer."),
)

record_options = _stack(
    journal_option,
    _option("--no-journal", is_flag=True, help="Keep no record; the run can't be resumed."),
    _option("--no-cache", is_flag=True, help="Ask again, even where the journal knows the reply."),
)
