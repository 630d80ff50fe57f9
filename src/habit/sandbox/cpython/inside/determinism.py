"""Makes a session the same every time: chance is seeded and the wall clock stands still."""

from __future__ import annotations

import hashlib
import importlib
import itertools
import os
import random
import sys
import time
import uuid
from typing import Any


def fix_clock(clock: float) -> None:
    """The wall clock says ``clock`` (Unix seconds) from now on; counters advance a microsecond at each look.

    ``time.monotonic`` stays real: event loops and lock time-outs depend on it.
    """
    # Imported here and not above: it is no dependency of the modules that a backend without it would share.
    importlib.import_module("time_machine").travel(clock, tick=False).start()
    ticks = itertools.count(1)

    def counter() -> float:
        return next(ticks) / 1_000_000

    def counter_ns() -> int:
        return next(ticks) * 1_000

    for name in ("perf_counter", "process_time", "thread_time"):
        setattr(time, name, counter)
        setattr(time, f"{name}_ns", counter_ns)
    if "timeit" in sys.modules:
        vars(sys.modules["timeit"])["default_timer"] = counter


def seed_chance(seed: int) -> None:
    """Seed every source of chance that Python code reaches: os.urandom and all that build on it, random, numpy."""
    stream = _Stream(seed)
    os.urandom = stream.read
    random._urandom = stream.read  # type: ignore[attr-defined]
    uuid._generate_time_safe = None  # type: ignore[attr-defined]
    uuid._node = int.from_bytes(hashlib.sha256(b"node").digest()[:6], "big") | 1 << 40  # type: ignore[attr-defined]
    original_seed = random.Random.seed

    def seed_from_stream(self: random.Random, a: Any = None, version: int = 2) -> None:
        original_seed(self, int.from_bytes(stream.read(32), "big") if a is None else a, version)

    random.Random.seed = seed_from_stream  # type: ignore[method-assign]
    random.seed = random._inst.seed
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed % (1 << 32))


class _Stream:
    """Bytes that depend on the seed only: SHA-256 over a counter."""

    def __init__(self, seed: int) -> None:
        self._seed = str(seed).encode()
        self._blocks = itertools.count()

    def read(self, size: int, /) -> bytes:
        if size < 0:
            raise ValueError("negative argument not allowed")
        pieces = []
        while size > 0:
            block = hashlib.sha256(b"%s:%d" % (self._seed, next(self._blocks))).digest()[:size]
            pieces.append(block)
            size -= len(block)
        return b"".join(pieces)
