"""The rule by which ``auto`` asks in one call: short prose is read, and everything else is worked on by a program.

Measured in docs/decisions/one-call.md. It decides by the question and the input alone, before anything is asked, and is
kept in the record of the run, so that resume and replay go the same way.
"""

from __future__ import annotations

import re

from habit.config import Settings
from habit.contexts.context import Context
from habit.contexts.estimate import estimate_text
from habit.contexts.prose import MOST_CHARS, is_prose

_COMPUTES = re.compile(
    r"\bhow (?:many|often)\b|\b(?:count|number of|average|mean|median|sum|total|percent\w*|ratio|list|all|every|each|"
    r"most|least|fewest|longest|shortest|sort\w*|rank\w*|compare\w*)\b",
    re.IGNORECASE,
)
"""Signs that a question is for something to be computed, which a program does exactly."""


def why_one_call(query: str, context: Context, settings: Settings, window: int) -> str:
    """Why one call of a leaf model with this ``window`` is to answer; empty where it is not."""
    most = min(settings.direct_up_to, window // 2)
    payload = context.payload
    if settings.strategy != "auto" or context.kind != "text" or not isinstance(payload, bytes):
        return ""
    if not 0 < len(payload) <= 4 * MOST_CHARS or most == 0 or _COMPUTES.search(query):
        return ""
    text = payload.decode("utf-8", "surrogatepass")
    if not is_prose(text) or (tokens := estimate_text(text)) > most:
        return ""
    return f"the input is prose of at most {tokens:,} tokens, which one call can read (direct_up_to is {most:,})"
