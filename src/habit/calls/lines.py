"""Who waits for one server, and whose turn it is."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

import anyio

from habit.calls.flow import Ticket
from habit.calls.provider import TransientFailure


@dataclass(eq=False)
class Waiter:
    """One request that waits, until it is ``told`` of its ticket or of its failure."""

    owner: Hashable
    patience: float = math.inf
    again: bool = False
    told: anyio.Event = field(default_factory=anyio.Event)
    ticket: Ticket | None = None
    failure: TransientFailure | None = None


class Early:
    """What marks a request that nobody needs yet: it lets all others go first, until somebody does need it."""

    def __init__(self) -> None:
        self.came = False
        """Whether it has come to the server's line."""
        self.needed = False
        self._hurry: Callable[[], None] | None = None

    def in_line(self, hurry: Callable[[], None]) -> None:
        """It waits, and ``hurry`` moves it to those that are needed."""
        self.came, self._hurry = True, hurry

    def need(self) -> None:
        """Somebody needs it now."""
        if not self.needed:
            self.needed = True
            if self._hurry is not None:
                self._hurry()


class Lines:
    """Those that are needed first, then the early ones.

    Both go in turns over their owners, each owner's in the order they came, so that a large map of one run does not
    keep another run waiting; one sent ``again`` goes before its owner's others.
    """

    def __init__(self) -> None:
        self._needed, self._early = _Turns(), _Turns()

    def __len__(self) -> int:
        return self._needed.count + self._early.count

    def __iter__(self) -> Iterator[Waiter]:
        yield from self._needed
        yield from self._early

    def join(self, waiter: Waiter, early: Early | None = None) -> None:
        """``waiter`` waits from now on."""
        if early is not None:
            early.in_line(lambda: self._hurry(waiter))
        (self._needed if early is None or early.needed else self._early).add(waiter)

    def leave(self, waiter: Waiter) -> None:
        """``waiter`` does not wait any more."""
        if not self._needed.remove(waiter):
            self._early.remove(waiter)

    def take(self) -> Waiter:
        """The one whose turn it is; it waits no more."""
        return (self._needed if self._needed.count else self._early).take()

    def _hurry(self, waiter: Waiter) -> None:
        if waiter.ticket is None and self._early.remove(waiter):
            self._needed.add(waiter)


class _Turns:
    def __init__(self) -> None:
        self.count = 0
        self._lines: OrderedDict[Hashable, deque[Waiter]] = OrderedDict()

    def __iter__(self) -> Iterator[Waiter]:
        return (waiter for line in self._lines.values() for waiter in line)

    def add(self, waiter: Waiter) -> None:
        line = self._lines.setdefault(waiter.owner, deque())
        line.appendleft(waiter) if waiter.again else line.append(waiter)
        self.count += 1

    def remove(self, waiter: Waiter) -> bool:
        line = self._lines.get(waiter.owner)
        if line is None or waiter not in line:
            return False
        line.remove(waiter)
        self._left(waiter)
        return True

    def take(self) -> Waiter:
        line = next(iter(self._lines.values()))
        waiter = line.popleft()
        self._lines.move_to_end(waiter.owner)
        self._left(waiter)
        return waiter

    def _left(self, waiter: Waiter) -> None:
        self.count -= 1
        if not self._lines[waiter.owner]:
            del self._lines[waiter.owner]
