"""The replies of one recorded run as a lookup: what lets the same code run again without asking a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from habit.journal.records import CallRecord


class Recording:
    """Recorded calls by content key and occurrence; each is given once. Made by ``for_replay`` or ``for_resume``."""

    def __init__(self, calls: Iterable[CallRecord], unasked: Sequence[CallRecord] = ()) -> None:
        self._left = {(call.key, call.occurrence): call for call in calls}
        self.unasked = unasked
        """Calls that ran ahead of the run, and it did not ask for them: paid for all the same."""
        self._ahead = {(call.key, -1 - call.occurrence): call for call in unasked if call.reply is not None}

    @classmethod
    def for_replay(cls, calls: Iterable[CallRecord]) -> Recording:
        """All calls, failures included: the run must go as it went."""
        return cls(call for call in calls if not call.unasked)

    @classmethod
    def for_resume(cls, calls: Iterable[CallRecord]) -> Recording:
        """The calls, in the order they were recorded, that a run which goes on must not make again.

        These are the successes, and the failures that the run has already acted on: a root call of the same session,
        or of one above it, succeeded later. All other failures are left out, so that they are tried again.
        """
        known = list(calls)
        asked = [call for call in known if not call.unasked]
        return cls(_settled(asked), [call for call in known if call.unasked])

    def take(self, key: str, occurrence: int) -> CallRecord | None:
        """The recorded call, which counts as used from now on; None when there is none or it was taken before."""
        return self._left.pop((key, occurrence), None)

    def take_ahead(self, key: str, occurrence: int) -> CallRecord | None:
        """The call that ran ahead and stands for this one; None when there is none or it was taken before."""
        return self._ahead.pop((key, occurrence), None)

    def has(self, key: str, occurrence: int) -> bool:
        """Whether ``take`` or ``take_ahead`` would give a call; counts nothing as used."""
        return (key, occurrence) in self._left or (key, occurrence) in self._ahead

    def unused(self) -> list[CallRecord]:
        """The calls nobody took, in the order they were recorded."""
        return list(self._left.values())


def _settled(calls: list[CallRecord]) -> list[CallRecord]:
    moved_on: set[str] = set()  # sessions with a successful root call later than the call at hand
    settled = []
    for call in reversed(calls):
        if call.reply is not None:
            settled.append(call)
            if call.role == "root":
                moved_on.add(call.session)
        elif not moved_on.isdisjoint(_with_ancestors(call.session)):
            settled.append(call)
    return settled[::-1]


def _with_ancestors(session: str) -> list[str]:
    """``0.2.1`` → ``0``, ``0.2``, ``0.2.1``."""
    parts = session.split(".")
    return [".".join(parts[: length + 1]) for length in range(len(parts))]
