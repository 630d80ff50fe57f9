"""Keeps the memory of forked processes shared: fills the holes of the heap before the first fork.

An allocator serves a small object from the holes between older ones. After a fork each of these is on a page that the
child shares with its siblings until it writes there; then the page is copied. Where no hole is left, what a child
makes lies together on pages of its own, and there are fewer of them.
"""

from __future__ import annotations

import gc
from itertools import pairwise

_STEP, _LARGEST_SMALL = 16, 512
"""Python's own allocator: a size class every so many bytes, up to this one."""
_POOL = 16 << 10
"""Bytes that it cuts up for one size class at a time."""
_LARGEST = 32_000
_MOST_BYTES = 1 << 20
"""For holes of one size: when an allocator works otherwise than thought here, this is where to stop."""


def settle() -> list[list[object]]:
    """Have the objects that are there stay where they are and let new ones begin on fresh pages.

    What is returned fills the holes and has to be kept.
    """
    gc.freeze()  # nothing of what is there will ever be garbage, so it need not be searched
    gc.collect()  # for the free lists, which this empties: their objects lie all over the heap
    filling: list[list[object]] = []
    for size in range(_LARGEST_SMALL, 0, -_STEP):
        filling += _fill(size, 3 * _POOL // size, slack=0)
    size = _LARGEST
    while size > _LARGEST_SMALL:
        filling += _fill(size, 8, slack=256)
        size = size * 7 // 8
    gc.freeze()
    return filling


def _fill(size: int, batch: int, *, slack: int) -> list[list[object]]:
    """Objects of ``size`` bytes, made until a batch of them comes one after the other in memory."""
    made: list[list[object]] = []
    for _ in range(max(1, _MOST_BYTES // (size * batch))):
        objects = _objects(size, batch)
        made.append(objects)
        distances = [after - before for before, after in pairwise(map(id, objects))]
        if sum(size <= distance <= size + slack for distance in distances) >= 0.9 * len(distances):
            break
    return made


def _objects(size: int, count: int) -> list[object]:
    if size > 2 * _STEP:
        return [bytes(size - 40) for _ in range(count)]
    return [float(number) for number in range(count)] if size > _STEP else [object() for _ in range(count)]
