"""Suggesting: families of runs in the journal that recur, ranked by what a habit would have saved."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from habit.journal.records import RunRecord
from habit.library.crystallise.description import operation_of
from habit.library.crystallise.evidence import STOP_WORDS, WORD, stem
from habit.library.crystallise.scopes import words

CHEAP_TOKENS = 1_500
"""Root tokens of a run below which a habit saves less than it takes to look after it."""
MOST_RUNS = 1_000
"""Of the newest runs, how many are looked at."""
_LEARNED_FROM = 3
"""Runs that a suggestion names: more of them only take longer to replay."""
_ALIKE = 0.75
"""Share of the words that two questions of a family have in common, in the same order."""
_POLAR = words("not no without never most least more less fewer before after first last min max above below")


@dataclass(frozen=True)
class Family:
    """Runs that ask the same kind of question about the same kind of input."""

    runs: Sequence[RunRecord]
    """Newest first."""
    kind: str
    """What the inputs are: a file ending, or ``text`` and ``json``."""

    @property
    def query(self) -> str:
        """The newest question."""
        return self.runs[0].query

    @property
    def saved_tokens(self) -> int:
        """Root tokens of all runs but the first."""
        return sum(_root_tokens(run) for run in self.runs[:-1])

    @property
    def saved_usd(self) -> float | None:
        """USD that root calls of all runs but the first cost, by their share of the tokens; None if not known."""
        costs = [_root_usd(run) for run in self.runs[:-1]]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None

    @property
    def saved_seconds(self) -> float:
        """Seconds of all runs but the first, by the share of root calls in all calls."""
        return sum(_root_seconds(run) for run in self.runs[:-1])

    @property
    def to_learn(self) -> Sequence[RunRecord]:
        """The runs to learn from: the newest of each question."""
        return list({run.query: run for run in reversed(self.runs)}.values())[::-1][:_LEARNED_FROM]

    @property
    def command(self) -> str:
        """What to type."""
        return "habit learn " + " ".join(run.id for run in self.to_learn)

    @property
    def against(self) -> str:
        """Why it is not worth learning; empty when it is."""
        if len(self.runs) == 1:
            return "asked once"
        if self._differs:
            return "unstable: the same question about the same input was answered differently"
        if self.saved_tokens / (len(self.runs) - 1) < CHEAP_TOKENS:
            return "cheap to find anew"
        return ""

    @property
    def _differs(self) -> bool:
        answers: dict[tuple[str, str], set[str]] = {}
        for run in self.runs:
            answer = json.dumps((run.result or {}).get("answer"), sort_keys=True)
            answers.setdefault((run.query, str(run.context.get("digest"))), set()).add(answer)
        return any(len(different) > 1 for different in answers.values())


def suggestions(runs: Sequence[RunRecord], learned: Collection[str] = ()) -> tuple[list[Family], list[Family]]:
    """Families worth learning, the best first, and those that are not. ``learned`` are runs that are in a habit."""
    families: list[list[RunRecord]] = []
    for run in sorted(runs, key=lambda one: one.started, reverse=True):
        if run.status != "answered" or run.strategy not in ("rlm", "auto") or run.is_aside:
            continue
        if (run.result or {}).get("habit"):
            continue  # it was saved already
        for family in families:
            if _is_of(run, family[0]):
                family.append(run)
                break
        else:
            families.append([run])
    found = [Family(family, kind_of(family[0])) for family in families if not any(run.id in learned for run in family)]
    worth = sorted((one for one in found if not one.against), key=lambda one: one.saved_tokens, reverse=True)
    return worth, [one for one in found if one.against]


def kind_of(run: RunRecord) -> str:
    """What kind of input a run was about."""
    files = run.context.get("files") or []
    if len(files) == 1 and (suffix := PurePath(str(files[0][0])).suffix):
        return suffix.lstrip(".").lower()
    return "files" if files else str(run.context.get("kind"))


def _is_of(run: RunRecord, other: RunRecord) -> bool:
    """Whether both ask the same kind of question: the same operation and polarity, and most words."""
    if kind_of(run) != kind_of(other) or operation_of(run.query) != operation_of(other.query):
        return False
    if (run.settings.get("returns") or {}) != (other.settings.get("returns") or {}):
        return False
    one, two = _frame(run.query), _frame(other.query)
    if _POLAR & set(one) != _POLAR & set(two):
        return False
    return difflib.SequenceMatcher(None, one, two, autojunk=False).ratio() >= _ALIKE


def _frame(query: str) -> list[str]:
    """The words of a question, with one sign in the place of each number, quotation or name."""
    text = re.sub(r"[\"“‘][^\"”'’]{1,60}[\"”'’]|\b\d[\w.,:-]*", " VALUE ", query)
    text = re.sub(r"(?<=[a-z,;:] )[A-Z][\w'’-]+", "VALUE", text)
    said = [word.lower() for word in WORD.findall(text)]
    return [word if word in STOP_WORDS | _POLAR else stem(word) for word in said]


def _tally(run: RunRecord, role: str) -> int:
    usage: Any = (run.result or {}).get("usage") or {}
    tally = usage.get(role) or {}
    return int(tally.get("input_tokens", 0)) + int(tally.get("output_tokens", 0))


def _root_tokens(run: RunRecord) -> int:
    return _tally(run, "root")


def _root_seconds(run: RunRecord) -> float:
    usage: Any = (run.result or {}).get("usage") or {}
    root, leaf = (int((usage.get(role) or {}).get("calls", 0)) for role in ("root", "leaf"))
    return float((run.result or {}).get("seconds") or 0.0) * root / max(root + leaf, 1)


def _root_usd(run: RunRecord) -> float | None:
    usage: Any = (run.result or {}).get("usage") or {}
    usd = usage.get("usd")
    together = _tally(run, "root") + _tally(run, "leaf")
    return None if usd is None else float(usd) * _root_tokens(run) / together if together else 0.0
