"""How much memory is free, as far as the system tells; and what to do when it is too little for an input."""

from __future__ import annotations

from pathlib import Path

from habit.errors import UsageError

SPARE = 100_000_000
"""Bytes that are left to everything else."""


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes that can be had without swapping, limits of a container included; None where nobody tells."""
    known = [size for size in (_machine(root), _container(root)) if size is not None]
    return min(known, default=None)


SESSION = 4_500_000
"""Bytes that a sandbox session takes: pages of the interpreter that it writes to. See docs/benchmarks.md."""
MOST_FOR_SESSIONS = 2_000_000_000
"""Bytes that the sessions of one engine's runs take at most, unless it is told otherwise."""
LEAST_SESSIONS = 8


def sessions_that_fit(available: int | None) -> int:
    """How many sessions of runs may be alive at once: they get half of what is ``available``, and no more than
    MOST_FOR_SESSIONS."""
    room = MOST_FOR_SESSIONS if available is None else min(MOST_FOR_SESSIONS, available // 2)
    return max(LEAST_SESSIONS, room // SESSION)


def require_memory(size: int) -> None:
    """Raise UsageError when an input of ``size`` more bytes would not fit into memory, as far as the system tells."""
    available = available_memory()
    if available is not None and size + SPARE > available:
        raise UsageError(too_little(f"at least {(size + SPARE) / 1e9:.1f} GB", available))


def too_little(needed: str, available: int) -> str:
    """What to do about an input that takes ``needed`` where so many bytes are available."""
    return (
        f"The input takes {needed} of memory and {available / 1e9:.1f} GB are free: ask about fewer or smaller files, "
        "or split them; or close other programs, or raise the limit of the container."
    )


def _machine(root: Path) -> int | None:
    try:
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        return None
    return None


def _container(root: Path) -> int | None:
    """What cgroup v2 leaves; file pages that can be dropped count as free, as they do in MemAvailable."""
    folder = root / "sys/fs/cgroup"
    try:
        limit = int((folder / "memory.max").read_text())  # "max" is no number: no limit
        used = int((folder / "memory.current").read_text())
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return limit - used + int(statistics.get("inactive_file", 0)) + int(statistics.get("active_file", 0))
    except (OSError, ValueError):
        return None
