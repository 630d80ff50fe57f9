"""How much memory is free, from a made-up /proc and cgroup."""

from __future__ import annotations

from pathlib import Path

import pytest

from habit.memory import LEAST_SESSIONS, MOST_FOR_SESSIONS, SESSION, available_memory, sessions_that_fit


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MACHINE = {"proc/meminfo": "MemTotal: 4000 kB\nMemAvailable:    3000 kB\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"proc/meminfo": "nonsense"}, None),
        (MACHINE, 3000 * 1024),
        ({**MACHINE, "sys/fs/cgroup/memory.max": "max\n"}, 3000 * 1024),
        (
            {
                **MACHINE,
                "sys/fs/cgroup/memory.max": "1000000\n",
                "sys/fs/cgroup/memory.current": "700000\n",
                "sys/fs/cgroup/memory.stat": "anon 500000\nactive_file 40000\ninactive_file 60000\n",
            },
            400_000,
        ),
    ],
)
def test_the_tighter_limit_counts(tmp_path: Path, files: dict[str, str], expected: int | None) -> None:
    assert available_memory(write(tmp_path, files)) == expected


@pytest.mark.parametrize(
    ("available", "expected"),
    [
        (None, MOST_FOR_SESSIONS // SESSION),
        (1 << 40, MOST_FOR_SESSIONS // SESSION),
        (200 * SESSION, 100),
        (0, LEAST_SESSIONS),
    ],
)
def test_sessions_get_half_of_what_is_free_and_no_more_than_enough(available: int | None, expected: int) -> None:
    assert sessions_that_fit(available) == expected
