"""Peak memory of a process with all its descendants: proportional set size where the kernel tells it, else resident."""

from __future__ import annotations

import os
import threading
import time
from types import TracebackType
from typing import Self

_EVERY = 0.02
_SHARE = 0.5
"""Of the time that sampling may take: a look at a thousand processes takes as long as a run."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


class PeakMemory:
    """Samples the sum over the tree of ``pid`` until it is left; shared pages count once in all."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        """Bytes."""
        self.most = 0
        """Processes."""
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        pause = _EVERY
        while not self._stop.wait(pause):
            started = time.perf_counter()
            members = tree(self._pid)
            self.peak = max(self.peak, sum(bytes_of(member) for member in members))
            self.most = max(self.most, len(members))
            pause = max(_EVERY, (time.perf_counter() - started) / _SHARE)


def total(pid: int) -> int:
    """Bytes that ``pid`` and its descendants hold now."""
    return sum(bytes_of(member) for member in tree(pid))


def tree(pid: int) -> list[int]:
    """``pid`` and all its descendants."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stat:
                    parent = int(stat.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(name))
    found = [pid]
    for known in found:
        found += children.get(known, [])
    return found


def bytes_of(pid: int) -> int:
    """Bytes that one process holds now, with its part of what it shares."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            for line in rollup:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        with open(f"/proc/{pid}/statm") as statm:
            return int(statm.read().split()[1]) * _PAGE
    except OSError:
        return 0


def in_files(pid: int) -> int:
    """Bytes of the anonymous files that ``pid`` has open; what is mapped of them is in ``bytes_of`` already."""
    size = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            if os.readlink(f"/proc/{pid}/fd/{name}").startswith("/memfd:"):
                size += os.stat(f"/proc/{pid}/fd/{name}").st_blocks * 512
        except OSError:
            continue
    return size


def page_tables(pid: int) -> int:
    """Bytes of the tables that the kernel keeps for it."""
    try:
        with open(f"/proc/{pid}/status") as status:
            return next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmPTE:")), 0)
    except OSError:
        return 0
