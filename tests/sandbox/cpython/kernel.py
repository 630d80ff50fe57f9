"""What the kernel's own headers say, independently of the tables in the source."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path

_COLUMNS = ("x86_64", "aarch64")


def _read() -> dict[str, dict[str, int]]:
    lines = Path(__file__).with_name("kernel_syscalls.txt").read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    return {
        machine: {name: int(numbers[column]) for name, *numbers in rows if numbers[column] != "-"}
        for column, machine in enumerate(_COLUMNS)
    }


SYSCALLS: Mapping[str, Mapping[str, int]] = _read()
"""Every system call by architecture and name."""
HERE: Mapping[str, int] = SYSCALLS.get(platform.machine(), {})
"""Those of this machine."""
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""AUDIT_ARCH_*: EM_X86_64 (62) and EM_AARCH64 (183), each with the bits for 64 bit and little endian."""
