"""What of a question can't be searched for: words that are no column and no value of the records, so that it takes
reading to say which records they hold of.

The words come from the question, here; whether the input has them is found out in the session, by
``meaning_look.py``. A small model looks for such a word all the same, finds nothing and answers 0, unless it is told.
Whoever is told wrongly has leaf calls made for nothing, so in doubt nothing is said: of prose, of questions for a
wording, of names and numbers.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_NAMED = re.compile(r"\b(?:from|by|to|user|named?)\s+([^\W\d_]+)", re.IGNORECASE)
"""Whom or what a record is from: a name, whether or not the input has it."""
_UNIT = re.compile(
    r"\b(?:how many|which|what|number of|count|list|each|per|every|all|any)(?: of)?(?: the| all| these| my| our)*"
    r" ([^\W\d_]+)",
    re.IGNORECASE,
)
"""What is counted or asked for: a word for the records or for a column, however those are called."""
_WORDING = re.compile(
    r"[\"“”'‘`«]\w|\b(?:words?|phrases?|terms?|strings?|letters?|characters?|contain\w*|mention\w*|includ\w*|says?|said"
    r"|spelled|called|named|starts?|begins?|ends?|matching|find|duplicates?|blank|empty|missing)\b",
    re.IGNORECASE,
)
"""Signs that a question is for a wording, which a search decides."""
_SAID = """
    a an the this that these those there here it its they them their he she his her we us our you your i me my
    who whom whose what which when where why how and or but nor if then so as at by for from in into of off on
    onto out over per to under up upon with without within about above below between before after since until
    during through against among across around behind beside toward towards like unlike not no none never only
    just also too again still already yet even ever always often sometimes once twice together altogether
    overall both either neither each every all any some many much more most less least few fewer fewest several
    enough other others another same different distinct unique is are was were be been being am do does did done
    has have had having can could will would shall should may might must get gets got give gives gave take takes
    took make makes made go goes went come comes came want wants wanted need needs needed use uses used show
    shows showed tell tells told say find list count name answer compute calculate add sum sums total totals
    totalled average averages mean median mode maximum minimum max min percent percentage share ratio rate rates
    number numbers amount amounts value values figure figures quantity cost costs price prices spend spent
    spends paid pay pays earn earns earned sell sells sold buy buys bought send sends sent sender senders
    receive receives received write writes wrote written open opens opened orders happen happens happened occur
    occurs occurred appear appears appeared exist exists record records row rows line lines entry entries item
    items column columns field fields table tables file files text texts data dataset message messages mails
    email emails tickets reviews comments posts events requests customers users people products logs documents
    sections pages groups categories kind kinds type types first second third fourth fifth last next previous
    final early earlier earliest late later latest new newer newest old older oldest recent long longer longest
    short shorter shortest high higher highest low lower lowest big bigger biggest large larger largest small
    smaller smallest great greater greatest good better best bad worse worst top bottom equal exactly than
    common frequent frequently rare zero one two three four five six seven eight nine ten eleven twelve twenty
    thirty fifty hundred thousand million half quarter dozen time times date dates day days week weeks month
    months year years hour hours minute minutes seconds today yesterday tomorrow morning evening night weekday
    weekend monday tuesday wednesday thursday friday saturday sunday january february march april june july
    august september october november december euro euros dollar dollars pound pounds cent cents usd eur input
    thing things ask asks asked mail
"""
_PASSED_OVER = frozenset(_SAID.split())
"""Words that say how to count, compare and put a question, in any input; and usual words for what a record is."""
_MOST_WORDS = 3
"""A question with more words that the input lacks is about something else than its records."""
_MOST_COLUMN_CHARS = 60
MOST_RECORDS = 2_000
"""With more records it takes more leaf calls than a small model is worth; they are not looked at."""


@dataclass(frozen=True)
class Unsaid:
    """Words that the records do not have, and where their text is."""

    words: tuple[str, ...]
    texts: str
    """Python for the list of the texts of the records, given ``rows``."""
    rows: str
    """Python for the records."""

    @property
    def said(self) -> str:
        """The words, for a sentence."""
        return " or ".join(map(repr, self.words))

    @property
    def begins(self) -> str:
        """The beginning of a block of code that has each record judged; its author goes on with the labels."""
        return f"rows = {self.rows}\nlabels = classify({self.texts}, ['"


def candidates(query: str) -> tuple[str, ...]:
    """The words of a question that may be no column and no value, but a matter of meaning."""
    if len(query) > 1_000 or _WORDING.search(query):
        return ()
    units = {word.casefold() for word in _UNIT.findall(query) + _NAMED.findall(query)}
    found = []
    for position, match in enumerate(_WORD.finditer(query)):
        word = match[0]
        folded = word.casefold()
        is_name = position > 0 and word[0].isupper()
        if may_be_judged(word) and not is_name and folded not in units:
            found.append(folded)
    return tuple(dict.fromkeys(found))


def may_be_judged(word: str) -> bool:
    """Whether ``word`` may be a matter of meaning: it is none of those that say how to count and compare."""
    return len(word) > 2 and _WORD.fullmatch(word) is not None and word.casefold() not in _PASSED_OVER


def look_for(words: tuple[str, ...]) -> str:
    """The code that looks for ``words`` in the context of a session and prints what it finds."""
    return f"{_look()}\n_look({list(words)!r}, {MOST_RECORDS})"


def is_look(code: str) -> bool:
    """Whether ``code`` was made by ``look_for``, and so by no model."""
    return code.startswith(_look())


@cache
def _look() -> str:
    return files(__package__).joinpath("meaning_look.py").read_text("utf-8")


def read_look(printed: str, words: tuple[str, ...]) -> Unsaid | None:
    """What the look found; None when there is nothing to tell, or a session printed something else."""
    try:
        seen: Any = json.loads(printed)
    except (ValueError, RecursionError):
        return None
    if not isinstance(seen, dict) or not isinstance(seen.get("lacking"), list):
        return None
    lacking = tuple(word for word in words if word in seen["lacking"])
    if not 0 < len(lacking) <= _MOST_WORDS:
        return None
    column = seen.get("column")
    if isinstance(column, str):
        if len(column) > _MOST_COLUMN_CHARS:
            return None
        return Unsaid(lacking, f"[row[{column!r}] for row in rows]", "table()")
    return Unsaid(lacking, "rows", "context" if seen.get("items") else "context.strip().splitlines()")
