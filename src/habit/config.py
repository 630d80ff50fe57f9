"""Settings: from ``habit.toml`` or ``[tool.habit]``, then ``HABIT_*`` variables, then flags or arguments."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from habit.errors import UsageError

PROFILES = ("auto", "frontier", "small")
STRATEGIES = ("auto", "rlm", "agent", "direct", "habit")
DIALECTS = ("habit", "rlm", "dspy")
EXECUTIONS = ("auto", "fence", "tool")
SANDBOXES = ("auto", "cpython", "monty")
LEAST_CELL_MEMORY = 64 << 20
"""Bytes a session needs to start its threads at all."""


@dataclass(frozen=True)
class Settings:
    """Everything that can be set, with its default. Field names are the keys of ``habit.toml``."""

    model: str | None = None
    """The root model; None takes the local model when it is there."""
    leaf_model: str | None = None
    """The model of leaf calls; None takes the root model."""
    base_url: str | None = None
    """An OpenAI-compatible server to ask instead of the provider's own address."""
    profile: str = "auto"
    strategy: str = "auto"
    dialect: str = "habit"
    """Whose system prompt the root model gets: Habit's own, or one in the manner of ``rlm`` or of ``dspy``."""
    execution: str = "auto"
    """How the root hands over code: in a fenced block, by a call of the tool ``run_python``, or as its profile says."""
    sandbox: str = "auto"
    """Where cells run: ``cpython``, ``monty``, or ``auto``, which takes cpython where this machine can lock it down."""
    max_usd: float | None = None
    max_tokens: int | None = None
    max_calls: int | None = None
    max_seconds: float | None = None
    max_usd_day: float | None = None
    """US dollars that all runs of this journal may use in one day (UTC), together."""
    confirm_usd: float = 1.0
    """Ask before maps that are together expected to cost more US dollars than this; see docs/budgets.md."""
    max_depth: int = 2
    max_cells: int = 30
    cell_seconds: float = 60.0
    cell_memory: int = 4 << 30
    """Bytes of address space a session may use beyond its context."""
    journal: str = ".habit/journal.db"
    library: str = "habits"
    """The folder of habits: a git repository, or a folder in one; see docs/habits.md."""
    no_journal: bool = False
    no_cache: bool = False
    otel: bool = False
    """Make OpenTelemetry spans of runs; see docs/telemetry.md."""
    concurrency: int | None = None
    """Most requests under way at once to one model; by default as many as it takes."""
    sessions: int | None = None
    """Runs of one engine that are worked on at once, each with a sandbox session; by default as many as memory allows.
    Others wait for their turn. Child runs do not count."""
    speculate: int = 32
    """Leaf calls that may run ahead of a session at once; 0 for none. See docs/speculation.md."""
    direct_up_to: int = 2_000
    """Tokens up to which ``auto`` has prose read in one call, where no habit answers; 0 for never. See
    docs/decisions/one-call.md."""
    stream_starts: bool = False
    """Let complete statements of a cell start their calls while the model still writes the rest of it."""
    shadow: float = 0.0
    """The share of a habit's answers, from 0 to 1, that is also solved afresh and compared."""
    no_repair: bool = False
    """Open no repair when a habit meets an input that it can't answer."""
    window: int | None = None
    """The model's context window in tokens, where the price list does not know it."""
    base_url_from_file: bool = False
    """Set by ``load``: the base URL stands in a project's file, so no key of the user's is sent to it."""

    def __post_init__(self) -> None:
        _check_choice("profile", self.profile, PROFILES)
        _check_choice("strategy", self.strategy, STRATEGIES)
        _check_choice("dialect", self.dialect, DIALECTS)
        _check_choice("execution", self.execution, EXECUTIONS)
        _check_choice("sandbox", self.sandbox, SANDBOXES)
        for name in ("max_depth", "speculate", "direct_up_to"):
            _check_at_least(name, getattr(self, name), 0)
        if not 0 <= self.shadow <= 1:
            raise UsageError(f"--shadow must be a share from 0 to 1, not {self.shadow}.")
        _check_at_least("cell_memory", self.cell_memory, LEAST_CELL_MEMORY)
        for name in ("max_cells", "concurrency", "sessions", "window"):
            _check_at_least(name, getattr(self, name), 1)
        for name in ("max_usd", "max_tokens", "max_calls", "max_seconds", "max_usd_day", "confirm_usd", "cell_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{_flag(name)} must be greater than 0, not {value}.")


SETTABLE = tuple(field.name for field in fields(Settings) if field.name != "base_url_from_file")


def load(
    flags: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """The settings in force: ``flags`` that are not None over HABIT_* variables over the file in ``folder``.

    Raises UsageError for an unknown key or a value that does not fit.
    """
    environ = os.environ if environ is None else environ
    from_file = _from_file(folder or Path.cwd())
    from_env = {name: value for name in SETTABLE if (value := environ.get(f"HABIT_{name.upper()}"))}
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    values = {
        **{name: _convert(name, value, f"{name} in the configuration file") for name, value in from_file.items()},
        **{name: _convert(name, value, f"HABIT_{name.upper()}") for name, value in from_env.items()},
        **given,
    }
    in_file_only = "base_url" in from_file and "base_url" not in from_env and "base_url" not in given
    return replace(Settings(**values), base_url_from_file=in_file_only)


def _from_file(folder: Path) -> dict[str, Any]:
    """The table of ``habit.toml``, else ``[tool.habit]`` of ``pyproject.toml``; empty when there is neither."""
    for name, table in (("habit.toml", ()), ("pyproject.toml", ("tool", "habit"))):
        path = folder / name
        try:
            found: Any = tomllib.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
            raise UsageError(f"{path} can't be read as TOML: {problem}.") from None
        for key in table:
            found = found.get(key, {})
        if not found:
            continue
        if "intent" in found and "contract" in found:
            raise UsageError(f"{path} is a habit, not settings: work in a folder above it.")
        for key in found:
            if key not in SETTABLE:
                close = difflib.get_close_matches(key, SETTABLE, 1)
                hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(SETTABLE)}."
                raise UsageError(f"{path} has an unknown key {key!r}; {hint}")
        return dict(found)
    return {}


def _convert(name: str, value: Any, where: str) -> Any:
    """``value`` as the type of the setting ``name``."""
    kind = _KINDS[name]
    if kind is bool and isinstance(value, str) and value.lower() in _BOOLEANS:
        return _BOOLEANS[value.lower()]
    if kind in (int, float) and isinstance(value, str):
        try:
            return kind(value)
        except ValueError:
            raise UsageError(f"{where} must be a number, not {value!r}.") from None
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise UsageError(f"{where} must be {_KIND_WORDS[kind]}, not {value!r}.")
    return value


_BOOLEANS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_KIND_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def _kind(hint: Any) -> type:
    """The one type besides None that a setting may have."""
    if isinstance(hint, UnionType):
        (hint,) = (kind for kind in get_args(hint) if kind is not type(None))
    assert isinstance(hint, type)
    return hint


_KINDS = {name: _kind(hint) for name, hint in get_type_hints(Settings).items()}


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{_flag(name)} must be one of {', '.join(choices)}, not {value!r}.")


def _check_at_least(name: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise UsageError(f"{_flag(name)} must be at least {least}, not {value}.")
