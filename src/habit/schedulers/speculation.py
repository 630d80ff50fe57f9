"""Speculation as rules: what a reply will probably be, how many calls may run ahead, and when to stop.

Nothing here starts or asks anything; see docs/speculation.md for the idea and ``scouting`` for who acts on the rules.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

from habit.sandbox.session import LlmRequest

Place = tuple[str, int]
"""One question of a session: what was asked (see ``Tape``), and how many times it was asked before."""

FIRST_PART = 4
"""A stream begins with the window divided by this: a loop that can't be foreseen is found out at a small price."""
PATIENCE = 3
"""Questions in a row that nobody foresaw, after which the copy is taken to have gone another way."""
WORTH_IT = 4
"""Foreseen questions that a copy must have brought, else the next one gets half the window."""
MOST_WASTED = 0.25
"""The part of the calls ahead that may have been for nothing lately; above it, nothing runs ahead any more."""
ENOUGH_TO_JUDGE = 8
"""Calls ahead before that part says anything."""
STREAMS_REMEMBERED = 4
ENOUGH_SIGNS = 2
"""Questions in a row that hold the reply before them from which on that is no chance."""
TELLING = 4
"""Characters of a reply from which on one such question is enough: ``yes`` or ``3`` stand in many a prompt."""
_LOOKED_AT, _LOOKED_FOR = 16_000, 200
"""Characters of a question that are looked at for that, and of a reply that are looked for."""
_HEAD = 24
"""Characters at the start of a prompt that tell templates at one place of the code apart."""


@dataclass(frozen=True)
class Predicted:
    """A reply that is likely."""

    value: Any


class Predictions:
    """The last real reply to each query template.

    A template is a place in the session's code and the form of what is asked there: the schema of the reply, and the
    query where there is a context beside it, else how the prompt begins. Prompts that begin with what varies share
    the last reply of their place.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[Any, ...], Any] = {}

    def learn(self, request: LlmRequest, value: Any) -> None:
        """``value`` is the real reply to ``request``."""
        for template in _templates(request):
            self._last[template] = value

    def predict(self, request: LlmRequest) -> Predicted | None:
        """What the reply will probably be; None before there was one to the same template."""
        for template in _templates(request):
            if template in self._last:
                return Predicted(self._last[template])
        return None


def _templates(request: LlmRequest) -> tuple[tuple[Any, ...], ...]:
    """What ``request`` is one of, the narrowest first."""
    schema = None if request.schema is None else json.dumps(request.schema, sort_keys=True)
    place = (request.site, schema, request.context is None)
    return (*place, request.query[:_HEAD] if request.context is None else hash(request.query)), place


class Dependence:
    """Tells places of the code where each question holds the reply before it: nothing can run ahead there."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[str, str | None]] = {}
        """Question and reply of each place, the last ones."""
        self._signs: dict[int, int] = {}

    def asked(self, request: LlmRequest) -> None:
        """The session asks; what it was told before at this place may be in it."""
        text = _text_of(request)
        before, told = self._last.get(request.site, ("", None))
        if told is not None and not _holds(before, told):
            signs = self._signs.get(request.site, 0)
            if not _holds(text, told):
                self._signs[request.site] = max(signs - 1, 0)
            else:  # a short one may be there by chance
                self._signs[request.site] = min(signs + (ENOUGH_SIGNS if len(told) >= TELLING else 1), 2 * ENOUGH_SIGNS)
        self._last[request.site] = (text, None)

    def told(self, request: LlmRequest, value: Any) -> None:
        """It was answered with ``value``."""
        told = str(value).strip() if isinstance(value, (str, int, float)) else ""
        if len(told) > _LOOKED_FOR:
            told = told[:_LOOKED_FOR].rsplit(None, 1)[0]  # up to the end of a word
        self._last[request.site] = (_text_of(request), told or None)

    def at(self, request: LlmRequest) -> bool:
        """Whether the next question at this place most likely needs the reply to ``request``."""
        return self._signs.get(request.site, 0) >= ENOUGH_SIGNS


def _text_of(request: LlmRequest) -> str:
    """All that is asked, as far as it is short: the reply before is in the question, or is the context."""
    payload = request.context.payload if request.context is not None else b""
    beside = str(payload, "utf-8", "replace") if isinstance(payload, bytes) and len(payload) <= _LOOKED_AT else ""
    return f"{request.query[:_LOOKED_AT]}\n{beside}"


def _holds(text: str, told: str) -> bool:
    """Whether ``told`` stands in ``text`` as words of its own."""
    start = text.find(told)
    while start >= 0:
        end = start + len(told)
        if not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()):
            return True
        start = text.find(told, start + 1)
    return False


class Stream:
    """The calls that run ahead of one cell: the window they have, and what became of them.

    The window grows by one with each call ahead that the cell really asks for, up to ``limit``. It is halved when the
    copy went another way or brought too little, and at 0 the stream is over.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.window = -(-limit // FIRST_PART)
        self.started = 0
        self.adopted = 0
        self._ahead: dict[Place, bool] = {}
        self._asking: Counter[str] = Counter()
        self._certain = 0
        self._unforeseen = 0
        self._adopted_by_copy = 0

    @property
    def wasted(self) -> int:
        """Calls ahead that the cell did not ask for, so far."""
        return self.started - self.adopted

    @property
    def has_room(self) -> bool:
        """Whether one more call may be started ahead that the cell may not come to."""
        return len(self._ahead) - self._certain < self.window

    def count(self, what: str) -> int:
        """How many calls that ask ``what`` are ahead."""
        return self._asking[what]

    def start(self, place: Place, *, certain: bool = False) -> None:
        """A call was started ahead; one that is ``certain`` to be asked takes no room in the window."""
        self._ahead[place] = certain
        self._asking[place[0]] += 1
        self._certain += certain
        self.started += 1

    def asked(self, place: Place) -> bool:
        """The cell asks; whether it was foreseen."""
        if place not in self._ahead:
            return False
        self._certain -= self._ahead.pop(place)
        self._asking[place[0]] -= 1
        self.adopted += 1
        self._adopted_by_copy += 1
        self._unforeseen = 0
        self.window = min(self.limit, self.window + 1) if self.window else 0
        return True

    def unforeseen(self) -> bool:
        """The cell waits for a model with a question that was not foreseen; whether the copy has gone another way."""
        if self._ahead:
            self._unforeseen += 1
        return self._unforeseen >= PATIENCE

    def copy_is_gone(self) -> None:
        """The copy that ran ahead has ended, or is to be replaced by one that knows more."""
        if self._ahead or self._adopted_by_copy < WORTH_IT:
            self.window //= 2
        self._ahead.clear()
        self._asking.clear()
        self._certain = self._unforeseen = self._adopted_by_copy = 0


class History:
    """What became of the last streams of a run."""

    def __init__(self) -> None:
        self._ended: deque[tuple[int, int]] = deque(maxlen=STREAMS_REMEMBERED)

    def ended(self, stream: Stream) -> None:
        """Take note of a stream that is over."""
        if stream.started:
            self._ended.append((stream.started, stream.wasted))

    @property
    def is_good(self) -> bool:
        """Whether so little was wasted lately that another stream may begin."""
        started = sum(started for started, _ in self._ended)
        wasted = sum(wasted for _, wasted in self._ended)
        return started < ENOUGH_TO_JUDGE or wasted <= MOST_WASTED * started
