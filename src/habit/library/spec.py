"""What ``habit.toml`` says: intent, parameters, contract, budget and provenance. Hostile input until validated.

docs/habits.md documents every field; ``FORMAT`` is raised when a reader of the old format could no longer be right.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from habit.calls.returns import Returns
from habit.errors import UsageError

FORMAT: Literal[1] = 1
"""The format of habit folders that this code writes and reads."""
NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
"""What a habit may be called: also an Agent Skill's name, a folder, a git ref and a part of a tag."""
MOST_NAME_CHARS = 64
MOST_CHARS = 1 << 20
_MOST_KEY_PARTS = 100
_SAID = re.compile(
    r'''"""(?:[^"\\]|\\.|"(?!""))*+"""(?:"{0,2}+)|'{3}(?:[^']|'(?!''))*+'{3}(?:'{0,2}+)'''
    r"""|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'|\#[^\n]*+""",
    re.DOTALL,
)
"""Strings and comments of a TOML file."""

Scalar = str | int | float | bool
Value = Scalar | list[Scalar]
"""What a parameter can be given."""


class _Part(BaseModel):
    """A part of the file: nothing unknown, nothing converted silently, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Parameter(_Part):
    """One typed parameter of the scheduler, filled from the question."""

    type: Literal["string", "integer", "number", "boolean", "list", "choice"]
    """``list`` is a list of strings."""
    description: str = ""
    choices: tuple[str, ...] = ()
    """For ``choice``: the only values it may have."""
    example: Value
    """The value it had in the run that the habit was learned from."""

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` is of this type; nothing is converted."""
        match self.type:
            case "string":
                return isinstance(value, str)
            case "choice":
                return isinstance(value, str) and value in self.choices
            case "integer":
                return type(value) is int
            case "number":
                return type(value) is int or (type(value) is float and math.isfinite(value))
            case "boolean":
                return isinstance(value, bool)
            case "list":
                return isinstance(value, list) and all(isinstance(item, str) for item in value)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.type == "choice") != bool(self.choices):
            raise ValueError("choices belong to a parameter of type choice, which needs some")
        if not self.accepts(self.example):
            raise ValueError(f"its example {self.example!r} is not of type {self.type}")
        return self


class Intent(_Part):
    """What the habit is for, as matching sees it."""

    summary: str
    """One sentence: what question it answers, in terms of its parameters."""
    operation: str = ""
    """The kind of question: count, sum, mean, top, earliest, latest, list, extract, compare, classify, join …"""
    phrasings: Annotated[tuple[str, ...], Field(min_length=1)]
    """Questions as templates, such as ``How many messages are {label}?``; the first is the one it was learned from."""


class RecordField(_Part):
    """One column of a table, or one key of records."""

    name: str
    type: Literal["string", "integer", "number", "boolean", "date", "list", "object", "any"] = "any"
    required: bool = True
    labels: tuple[str, ...] = ()
    """Where the habit depends on a closed set of values: those it knows."""
    patterns: tuple[str, ...] = ()
    """For dates: how they are written, with digits as 9; empty where that does not matter."""
    seen: tuple[str, ...] = ()
    """Where the code compares it: the few values that it had in the runs learned from. An input may have others."""


class Contract(_Part):
    """What the habit requires of a context and promises of its answer."""

    kind: Literal["text", "json"]
    """As Context.kind."""
    shape: str
    """The layout of the context: csv, tsv, json-lines, records, lines, log, sections, texts, object, text …"""
    delimiter: str = ""
    fields: tuple[RecordField, ...] = ()
    ordered: bool = True
    """Whether columns must be these and no others, in this order; code that takes cells by name needs no order."""
    closed: bool = False
    """Whether JSON keys must be these and no others, in this order, because the code goes through all of them."""
    marks: tuple[str, ...] = ()
    """Oddities that the habit has met: ``crlf``, ``cr``, ``bom``, ``quotes``, ``comments``, ``no header``."""
    line_pattern: str = ""
    """A regular expression that the lines of a log begin with, of the simple kind that ``lines.py`` describes."""
    bytes: tuple[int, int] = (0, 1 << 40)
    """Least and most bytes of a context that it is used for."""
    postconditions: tuple[Mapping[str, Any], ...] = ()
    """Rules an answer must satisfy beyond its type, such as ``{rule = "at_least", value = 0}``."""
    format_literals: tuple[Value, ...] = ()
    """Literals of the scheduler that belong to the format of the input, such as a column's name or a marker."""


_Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Limit = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Ceiling(_Part):
    """What one use may take together, whatever it is asked about: ``base + per_record × records + per_byte × bytes``.

    Records are counted as ``records.count_for_ceiling`` does; bytes are those of the payload.
    """

    base_calls: Annotated[int, Field(ge=0)] = 0
    calls_per_record: _Share = 0.0
    calls_per_byte: _Share = 0.0
    """For schedulers that cut a text by its length instead of by its records."""
    max_usd: _Limit | None = None
    max_seconds: _Limit | None = None

    def calls(self, records: int, size: int = 0) -> int:
        """Leaf calls that a context of so many records and bytes (``size``) may take; what stands between n marks are
        n + 1 pieces."""
        return self.base_calls + int(self.calls_per_record * records + self.calls_per_byte * (size + 1) + 0.999999)


class Provenance(_Part):
    """Where the habit comes from."""

    runs: tuple[str, ...]
    """The runs it was learned from."""
    model: str
    learned: str
    """When, ISO 8601 in UTC."""
    contexts: tuple[str, ...] = ()
    """Digests (SHA-256) of the contexts of those runs."""
    repairs: str = ""
    """The version, ``name@n``, that this one repairs, hardens or relaxes."""
    notes: tuple[str, ...] = ()
    """What was lifted, dropped and rejected, a line each."""


class HabitSpec(_Part):
    """The whole of ``habit.toml``."""

    format: Literal[1] = FORMAT
    name: Annotated[str, Field(max_length=MOST_NAME_CHARS)]
    description: Annotated[str, Field(max_length=1024)]
    intent: Intent
    parameters: Mapping[str, Parameter] = {}
    returns: str = ""
    """What type the answer has: a JSON schema, as JSON text because TOML has no null; empty for plain text."""
    contract: Contract
    also: tuple[Contract, ...] = ()
    """Further layouts of input that it takes, each with the promises it makes there."""
    ceiling: Ceiling = Ceiling()
    capabilities: tuple[str, ...] = ()
    """Anything beyond pure computation and bounded calls; a new one always needs a person."""
    relations: tuple[str, ...] = ()
    """Metamorphic relations that held on the source case and are tests since."""
    policy: Literal["review", "pure-and-green"] = "review"
    provenance: Provenance

    @model_validator(mode="after")
    def _is_named_well(self) -> Self:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name for a habit: use lower-case words joined by hyphens")
        for name in self.parameters:
            if not name.isidentifier() or name.startswith("_") or name in ("context", "recursive_llm"):
                raise ValueError(f"{name!r} is no name for a parameter: use a plain Python name")
        try:
            _ = self.answer_type
        except ValueError as problem:
            raise ValueError(f"returns is no usable JSON schema: {problem}") from None
        return self

    @property
    def contracts(self) -> tuple[Contract, ...]:
        """Every layout of input that it takes."""
        return (self.contract, *self.also)

    @cached_property
    def answer_type(self) -> Returns:
        """``returns`` as a type. Raises ValueError when it is no usable JSON schema."""
        return Returns.from_schema(json.loads(self.returns) if self.returns else None)

    @classmethod
    def from_toml(cls, text: str, where: str = "habit.toml") -> Self:
        """Read a ``habit.toml``. Raises UsageError that names the field which is wrong."""
        if len(text) > MOST_CHARS:
            raise UsageError(f"{where} is longer than {MOST_CHARS:,} characters: restore it from git.")
        if _longest_key(text) > _MOST_KEY_PARTS:
            raise UsageError(f"{where} has a key of more than {_MOST_KEY_PARTS} parts: restore it from git.")
        try:
            return cls.model_validate_json(_as_json(tomllib.loads(text)))
        except ValidationError as problem:
            first = problem.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "it"
            raise UsageError(f"{where} is no habit of format {FORMAT}: {place}: {first['msg']}.") from None
        except (ValueError, RecursionError) as problem:  # a number of too many digits is a plain ValueError
            raise UsageError(f"{where} can't be read as TOML: {problem}.") from None

    def to_toml(self) -> str:
        """The text of ``habit.toml``; the same spec always gives the same text."""
        return tomli_w.dumps(_without_none(self.model_dump(mode="json", exclude_defaults=False)))


def _longest_key(text: str) -> int:
    """Parts of the longest key, or more: ``tomllib`` takes time with the square of them."""
    return max(piece.count(".") for piece in re.split(r"[=,\[\]{}\n]", _SAID.sub("_", text))) + 1


def _as_json(table: Mapping[str, Any]) -> str:
    return json.dumps(table, default=str)


def _without_none(value: Any) -> Any:
    """TOML has no null: what is None is left out, and is None again when it is read."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
