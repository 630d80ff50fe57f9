"""What became of one question of a bench: a line of ``outcomes.jsonl``, which is only ever added to."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self

from filelock import FileLock, Timeout

from habit.config import Settings
from habit.errors import HabitError, UsageError

SCHEMA = 2
_READABLE = (1, SCHEMA)
"""Schemas that a report can read. Lines of schema 1 have only the settings that differed from the defaults, and none of
the bench's own."""
FILE = "outcomes.jsonl"
Part = Literal["grid", "real", "stream", "learning"]
"""``real`` is a grid of questions about real texts."""


@dataclass(frozen=True)
class Outcome:
    """One finished question; tokens are input and output together, figures are those of the run's own accounts."""

    key: str
    """What a second start looks up: the question, how it was asked, and the settings."""
    question_key: str
    """The same for every way in which one question about one input is asked."""
    kind: str
    family: str
    size: int
    """Bytes of the input, as asked for; in a stream, as it is."""
    form: str
    seed: int
    number: int | None
    """The place in a stream."""
    part: Part
    """``learning``: asked so that a habit of its family can be learned, before the grid asks for one."""
    strategy: str
    """As it was asked for; ``auto`` is that with a library."""
    model: str
    oracle: bool
    """Whether a script answered and no model: costs are those of the scheduler, answers say nothing of any model."""
    noise: float
    latency: float
    question: str
    truth: Any
    answer: Any
    right: bool
    score: float
    """From 0 to 1: partial credit as the family gives it."""
    status: str
    error: str | None
    answered_by: str
    """``name@version``, or the scheduler; empty where there is no answer."""
    why: str
    root_calls: int
    leaf_calls: int
    root_tokens: int
    leaf_tokens: int
    extra_tokens: int
    """Of learning, shadows and repairs that this question led to, or that its habit began with."""
    peak_prompt_tokens: int
    reentered_tokens: int
    bookkeeping_tokens: int
    critical_path_seconds: float
    seconds: float
    extra_seconds: float
    usd: float | None
    """Of the run and of its extras; None where a price is not known."""
    wasted_calls: int
    run: str
    """Its id in the journal beside this file."""
    root_output_tokens: int | None = None
    """Of the root's tokens those of replies; None, as below, in lines of earlier versions."""
    leaf_output_tokens: int | None = None
    extra_output_tokens: int | None = None
    stream: int = 0
    """Questions of its stream; 0 in a grid, and where an older version wrote it down."""
    near: str = ""
    """Of a near-miss: the family that it almost is."""
    learned: str = ""
    """The habit that was learned from it or mended after it, ``name@version``, or why none could be."""
    fault: str | None = None
    """Of a wrong answer, where it was found out: scheduler, leaf, match or drift."""
    evidence: str = ""
    """What shows that, in a sentence."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """All that may change an answer, and the ``windows`` of root and leaf."""
    bench: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the bench itself, as they were given to the start that asked."""
    versions: Mapping[str, str] = field(default_factory=dict)
    schema: int = SCHEMA

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.root_tokens + self.leaf_tokens + self.extra_tokens

    @property
    def output_tokens(self) -> int | None:
        """Those of replies; None where an earlier version did not tell them apart."""
        parts = (self.root_output_tokens, self.leaf_output_tokens, self.extra_output_tokens)
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None

    def to_json(self) -> dict[str, Any]:
        """The object of its line."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Outcome:
        """The outcome that ``to_json`` wrote down. Raises ValueError for anything else."""
        if value.get("schema") not in _READABLE:
            raise ValueError(f"its schema is {value.get('schema')!r}, and this version of Habit knows 1 and {SCHEMA}")
        known = {one.name for one in fields(cls)}
        if value["schema"] < SCHEMA and value.get("oracle"):
            value = {**value, "usd": 0.0}  # counted at a made-up price
        try:
            return cls(**{name: item for name, item in value.items() if name in known})
        except TypeError as problem:
            raise ValueError(f"it lacks a field ({problem})") from None


def differing(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``settings`` that are not as they are by default."""
    usual = asdict(Settings())
    return {name: value for name, value in settings.items() if name in usual and value != usual[name]}


def digest_of(*parts: Any) -> str:
    """A short name for what ``parts`` say together, the same in every process."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def read_outcomes(folder: Path) -> list[Outcome]:
    """The outcomes in ``folder``, without a last line that was cut off as it was written. Raises UsageError."""
    path = folder / FILE
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as problem:
        raise UsageError(f"{path} can't be read ({problem.strerror}).") from None
    return [_read(path, number, line) for number, line in enumerate(lines[:-1], 1) if line.strip()]


def _read(path: Path, number: int, line: bytes) -> Outcome:
    try:
        value = json.loads(line)
        if not isinstance(value, dict):
            raise ValueError("it is no object")
        return Outcome.from_json(value)
    except ValueError as problem:
        raise UsageError(
            f"Line {number} of {path} is no outcome of a bench: {problem}; take it out, or use another folder."
        ) from None


class OutcomeLog:
    """The outcomes of one folder, with new ones added to their end; one process at a time. A context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outcomes: dict[str, Outcome] = {}
        """By key."""
        self._lock = FileLock(folder / ".lock")
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        """Take the folder, and read what it has. Raises UsageError when another process has it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(f"Another bench is running in {self.folder}: wait for it, or use another --out.") from None
        except OSError as problem:
            raise UsageError(f"The folder {self.folder} can't be used ({problem.strerror}).") from None
        try:
            self.outcomes = {one.key: one for one in read_outcomes(self.folder)}
            if any(one.schema != SCHEMA for one in self.outcomes.values()):
                raise UsageError(
                    f"The outcomes in {self.folder} are of an earlier version and do not hold all settings: habit "
                    "bench report tells of them, but to ask more, use another --out."
                )
            self._file = self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def _open(self) -> BinaryIO:
        """The file, at the end of its last whole line: one that was cut off has no newline, and is asked again."""
        file = (self.folder / FILE).open("ab+")
        file.seek(0)
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)
        file.seek(whole)
        return file

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the folder."""
        if self._file is not None:
            self._file.close()
        self._lock.release()

    def add(self, outcome: Outcome) -> None:
        """Write it down; it is on the disk when this returns. Raises HabitError when it can't be written."""
        assert self._file is not None
        line = json.dumps(outcome.to_json(), ensure_ascii=True, default=str) + "\n"
        try:
            self._file.write(line.encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as problem:
            raise HabitError(
                f"The outcome could not be written to {self.folder / FILE} ({problem.strerror}); "
                "start the same bench again once it can."
            ) from None
        self.outcomes[outcome.key] = outcome
