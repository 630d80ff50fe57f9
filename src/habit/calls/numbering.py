"""Numbers of calls: how often a run made the very same call before, and which numbers have a reply already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from habit.journal.replay import Recording
from habit.journal.store import Store


class Numbering:
    """Gives the calls of one run their occurrence numbers, by content key."""

    def __init__(self, store: Store, recording: Recording | None, *, use_cache: bool) -> None:
        self._store = store
        self._recording = recording
        self._use_cache = use_cache
        self._made: Counter[str] = Counter()
        self._in_vain = {(call.key, call.occurrence) for call in (recording.unasked if recording else ())}

    def next(self, key: str) -> int:
        """The number of a call that the run makes now."""
        number = self._made[key]
        self._made[key] += 1
        return number

    def upcoming(self, keys: Sequence[str | None]) -> list[tuple[str | None, int]]:
        """Calls with the numbers they will have if they are made now, in this order."""
        ahead: Counter[str | None] = Counter()
        numbered = []
        for key in keys:
            numbered.append((key, ahead[key] + (self._made[key] if key else 0)))
            ahead[key] += 1
        return numbered

    def in_vain(self, key: str, wanted_as: int | None = None) -> int:
        """A number for a call that ran ahead and was never used: -1 stands for 0, -2 for 1, and so on, so that
        whoever asks for the call under that number later finds its reply."""
        number = -1 - (self._made[key] if wanted_as is None else wanted_as)
        while (key, number) in self._in_vain:
            number -= 1
        self._in_vain.add((key, number))
        return number

    async def is_known(self, call: tuple[str | None, int]) -> bool:
        """Whether the leaf call with this key and number has a reply already; asks no model."""
        key, number = call
        if key is None:
            return False
        if self._recording is not None and self._recording.has(key, number):
            return True
        return self._use_cache and await self._store.remember(key, number, role="leaf") is not None
