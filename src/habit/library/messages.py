"""What commits and tags of a library say: a subject, a text, and trailers that programs read back.

Values may be written by a model or by whoever made the repository: each stays on its own line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from habit.library.spec import Provenance

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_TRAILER = re.compile(r"([A-Za-z][A-Za-z0-9-]*): (.*)")
_MOST_CHARS = 500

APPROVED = "Habit-Approved"
CANDIDATE = "Habit-Candidate"
REJECTED = "Habit-Rejected"
ROLLED_BACK = "Habit-Rolled-Back"
RETIRED = "Habit-Retired"
EVENTS = (APPROVED, ROLLED_BACK, RETIRED)
"""Trailers of commits that changed which version is active."""
TREE = "Habit-Tree"
REASON = "Habit-Reason"

Trailer = tuple[str, str]


def plain(text: str) -> str:
    """``text`` on one line of bounded length."""
    line = " ".join(_CONTROL.sub(" ", text).split())
    return line if len(line) <= _MOST_CHARS else line[: _MOST_CHARS - 1] + "…"


def message(subject: str, trailers: Iterable[Trailer]) -> bytes:
    """A message for git."""
    lines = [f"{key}: {plain(value)}" for key, value in trailers if plain(value)]
    return "\n\n".join([plain(subject), "\n".join(lines)]).encode() + b"\n"


def trailers_of(text: str) -> dict[str, str]:
    """The trailers of a message: of all paragraphs that hold nothing else, since a hook may have added some.

    Of a key that comes twice, the first counts.
    """
    found: dict[str, str] = {}
    for paragraph in text.strip().split("\n\n")[1:]:
        matches = [_TRAILER.fullmatch(line) for line in paragraph.split("\n")]
        for match in matches if all(matches) else ():
            assert match is not None
            found.setdefault(match[1], match[2])
    return found


def provenance_trailers(provenance: Provenance) -> list[Trailer]:
    """Where a habit comes from."""
    return [
        *[("Habit-Run", run) for run in provenance.runs],
        ("Habit-Model", provenance.model),
        ("Habit-Learned", provenance.learned),
        *[("Habit-Context", digest) for digest in provenance.contexts],
        ("Habit-Repairs", provenance.repairs),
    ]


def extra_trailers(given: Mapping[str, str]) -> list[Trailer]:
    """Trailers that a caller adds; a key that could be read as another is a programmer's mistake."""
    for key in given:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", key) or key in (*EVENTS, CANDIDATE, REJECTED, TREE):
            raise ValueError(f"{key!r} can't be added as a trailer")
    return list(given.items())
