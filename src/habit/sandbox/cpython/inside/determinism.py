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


class Chance:
    """Every source of chance that Python code reaches: os.urandom and all that build on it, random, numpy."""

    def __init__(self) -> None:
        """Take them over; what they give is settled by ``seed``."""
        self._stream = stream = _Stream()
        os.urandom = stream.read
        random._urandom = stream.read  # type: ignore[attr-defined]
        uuid._generate_time_safe = None  # type: ignore[attr-defined]
        uuid._node = int.from_bytes(hashlib.sha256(b"node").digest()[:6], "big") | 1 << 40  # type: ignore[attr-defined]
        original_seed = random.Random.seed

        def seed_from_stream(self: random.Random, a: Any = None, version: int = 2) -> None:
            original_seed(self, int.from_bytes(stream.read(32), "big") if a is None else a, version)

        random.Random.seed = seed_from_stream  # type: ignore[method-assign]
        random.seed = random._inst.seed

    def seed(self, seed: int) -> None:
        """Begin anew; the same seed gives the same."""
        self._stream.begin(seed)
        random.seed(seed)
        if numpy := sys.modules.get("numpy"):
            numpy.random.seed(seed % (1 << 32))


class Clock:
    """The wall clock stands still; counters advance a microsecond at each look.

    ``time.monotonic`` stays real: event loops and lock time-outs depend on it.
    """

    def __init__(self) -> None:
        """Stop the clocks; what they say is settled by ``set``."""
        # Imported here and not above: it is no dependency of the modules that a backend without it would share.
        self._traveller = importlib.import_module("time_machine").travel(0.0, tick=False).start()
        self._looks = itertools.count(1)

        def counter() -> float:
            return next(self._looks) / 1_000_000

        def counter_ns() -> int:
            return next(self._looks) * 1_000

        for name in ("perf_counter", "process_time", "thread_time"):
            setattr(time, name, counter)
            setattr(time, f"{name}_ns", counter_ns)
        if "timeit" in sys.modules:
            vars(sys.modules["timeit"])["default_timer"] = counter

    def set(self, clock: float) -> None:
        """From now on it is ``clock`` (Unix seconds)."""
        self._traveller.move_to(clock, tick=False)
        self._looks = itertools.count(1)


class _Stream:
    """Bytes that depend on the seed only: SHA-256 over a counter."""

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, seed: int) -> None:
        """From now on they are those of ``seed``."""
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
