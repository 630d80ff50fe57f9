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
"""The part of the calls ahead that may be for nothing; above it, nothing uncertain runs ahead any more."""
ENOUGH_TO_JUDGE = 8
"""Calls ahead before that part says anything."""
STREAMS_REMEMBERED = 4
ENOUGH_SIGNS = 2
"""Questions in a row that hold the reply before them from which on that is no chance."""
TELLING = 4
"""Characters of a reply from which on one such question is enough: ``yes`` or ``3`` stand in many a prompt."""
MOST_MISSES = 2
"""How much oftener a copy may have been wrong about a place than right; then nothing of it runs ahead any more."""
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


@dataclass(frozen=True)
class Started:
    """A call that is ahead: where the code asks it, and whether the cell is certain to."""

    site: int
    certain: bool


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
    copy went another way or brought too little, and at 0 the stream is over. Calls that the cell is not certain to ask
    for never waste more than ``limit`` in all, or a quarter of them where there are many.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.window = -(-limit // FIRST_PART)
        self.started = 0
        self.adopted = 0
        self._ahead: dict[Place, Started] = {}
        self._asking: Counter[str] = Counter()
        self._at: Counter[int] = Counter()
        """How many calls of each place of the code are ahead."""
        self._score: Counter[int] = Counter()
        """How much oftener each place was foreseen than not, within bounds."""
        self._certain = 0
        """Those ahead that are certain."""
        self._risked = 0
        """All that were not certain when they were started."""
        self._left_behind: dict[Place, Started] = {}
        """Those that copies which are gone have left; the cell may come to them all the same."""
        self._lost = 0
        """Those of them that were not certain."""
        self._unforeseen = 0
        self._is_followed = False
        """Whether the last question was foreseen."""
        self._adopted_by_copy = 0

    @property
    def wasted(self) -> int:
        """Calls ahead that the cell did not ask for, so far."""
        return self.started - self.adopted

    @property
    def risk(self) -> tuple[int, int]:
        """Calls ahead that were not certain, and how many of them the cell did not ask for, so far."""
        return self._risked, self._lost + len(self._ahead) - self._certain

    @property
    def has_room(self) -> bool:
        """Whether one more call may be started ahead that the cell may not come to."""
        with_one_more = len(self._ahead) - self._certain + 1
        may_be_lost = max(self.limit, MOST_WASTED * (self._risked + 1)) - self._lost
        return with_one_more <= min(self.window, may_be_lost)

    def count(self, what: str) -> int:
        """How many calls that ask ``what`` are ahead."""
        return self._asking[what]

    def is_missed(self, site: int) -> bool:
        """Whether copies were so often wrong about what is asked at this place that nothing of it should be ahead."""
        return self._score[site] <= -MOST_MISSES

    def start(self, place: Place, site: int = 0, *, certain: bool = False) -> None:
        """A call is ahead; one that is ``certain`` to be asked takes no room in the window."""
        if not self._take_up(place):
            self._risked += not certain
            self.started += 1
        self._ahead[place] = Started(site, certain)
        self._asking[place[0]] += 1
        self._at[site] += 1
        self._certain += certain

    def asked(self, place: Place, site: int = 0) -> bool:
        """The cell asks; whether it was foreseen."""
        found = self._ahead.pop(place, None)
        if found is None:
            if self._at[site] and self._is_followed:  # the copy is right so far, and asked something else here
                self._score[site] = max(self._score[site] - 1, -MOST_MISSES)
            self._is_followed = False
            self.adopted += self._take_up(place)
            return False
        self._is_followed = True
        self._certain -= found.certain
        self._asking[place[0]] -= 1
        self._at[found.site] -= 1
        self._score[site] = min(self._score[site] + 1, 2 * MOST_MISSES)
        self.adopted += 1
        self._adopted_by_copy += 1
        self._unforeseen = 0
        self.window = min(self.limit, self.window + 1) if self.window else 0
        return True

    def unforeseen(self, *, astray: bool = False) -> bool:
        """The cell waits for a model with a question that was not foreseen; whether the copy has gone another way.

        ``astray``: it waits for a reply that the cell has not asked for."""
        if self._ahead or astray:
            self._unforeseen += 1
        return self._unforeseen >= PATIENCE

    def copy_is_gone(self) -> None:
        """The copy that ran ahead has ended, or is to be replaced by one that knows more."""
        if self._ahead or self._adopted_by_copy < WORTH_IT:
            self.window //= 2
        self._lost += len(self._ahead) - self._certain
        self._left_behind.update(self._ahead)
        self._ahead.clear()
        self._asking.clear()
        self._at.clear()
        self._is_followed = False
        self._certain = self._unforeseen = self._adopted_by_copy = 0

    def _take_up(self, place: Place) -> bool:
        """Whether a copy that is gone had left this call behind; it is not lost then."""
        left = self._left_behind.pop(place, None)
        if left is not None:
            self._lost -= not left.certain
        return left is not None


class History:
    """What became of the last streams of a run."""

    def __init__(self) -> None:
        self._ended: deque[tuple[int, int]] = deque(maxlen=STREAMS_REMEMBERED)

    def ended(self, stream: Stream) -> None:
        """Take note of a stream that is over; of what was certain in it there is nothing to learn."""
        risked, wasted = stream.risk
        if risked:
            self._ended.append((risked, wasted))

    @property
    def is_good(self) -> bool:
        """Whether so little was wasted lately that calls which are not certain may run ahead again."""
        started = sum(started for started, _ in self._ended)
        wasted = sum(wasted for _, wasted in self._ended)
        return started < ENOUGH_TO_JUDGE or wasted <= MOST_WASTED * started
