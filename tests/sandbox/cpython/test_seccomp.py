"""The filter program, decision by decision, in a small interpreter of classic BPF."""

from __future__ import annotations

import struct

import pytest

from habit.sandbox.cpython.seccomp import program
from habit.sandbox.cpython.syscalls import ARCHITECTURES, CHECKED, PLAIN, SETUP, X86_64

PID = 4321
ALLOW, DENY, MISSING, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
NUMBERS = X86_64.numbers


def decide(number: int, *arguments: int, audit: int = X86_64.audit) -> int:
    """What the kernel does with this system call."""
    six = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, audit, 0, *(value & (2**64 - 1) for value in six))
    code = program(X86_64, PID)
    steps = [struct.unpack_from("<HBBI", code, at) for at in range(0, len(code), 8)]
    accumulator, at = 0, 0
    while True:
        kind, yes, no, constant = steps[at]
        at += 1
        if kind == 0x20:
            accumulator = struct.unpack_from("<I", data, constant)[0]
        elif kind == 0x54:
            accumulator &= constant
        elif kind == 0x06:
            return int(constant)
        else:
            true = {
                0x15: accumulator == constant,
                0x35: accumulator >= constant,
                0x45: bool(accumulator & constant),
            }[kind]
            at += yes if true else no


def test_nothing_is_allowed_that_is_not_listed() -> None:
    listed = {NUMBERS[name] for name in (*PLAIN, *CHECKED) if name in NUMBERS}
    assert {number for number in range(1024) if decide(number) == ALLOW} <= listed
    assert all(decide(number) == DENY for number in set(range(1024)) - listed)


@pytest.mark.parametrize("name", [name for name in PLAIN if name in NUMBERS])
def test_what_is_listed_as_plain_is_allowed_whatever_its_arguments(name: str) -> None:
    assert decide(NUMBERS[name], *[2**64 - 1] * 6) == ALLOW


@pytest.mark.parametrize(
    ("name", "arguments", "decision"),
    [
        ("mmap", (0, 4096, 3, 0x22), ALLOW),
        ("mmap", (0, 4096, 7, 0x22), DENY),
        ("mmap", (0, 4096, 4, 0x22), DENY),
        ("mprotect", (0, 4096, 1), ALLOW),
        ("mprotect", (0, 4096, 5), DENY),
        ("clone", (0x3D0F00,), ALLOW),
        ("clone", (0x7D0F00,), ALLOW),
        ("clone", (17,), DENY),
        ("clone", (0x3D0F00 | 0x10000000,), DENY),
        ("clone", (0x3D0F00 & ~0x10000,), DENY),
        ("clone", (0x4100,), DENY),
        ("clone3", (), MISSING),
        ("ioctl", (3, 0x5421), ALLOW),
        ("ioctl", (3, 0x5451), ALLOW),
        ("ioctl", (0, 0x5412), DENY),
        ("ioctl", (0, 0x5401), DENY),
        ("socketpair", (1, 1), ALLOW),
        ("socketpair", (1, 1 | 0o2000000 | 0o4000), ALLOW),
        ("socketpair", (1, 2), DENY),
        ("socketpair", (1, 5), DENY),
        ("socketpair", (2, 1), DENY),
        ("sendto", (3, 0, 5, 0, 0), ALLOW),
        ("sendto", (3, 0, 5, 0, 1), DENY),
        ("sendto", (3, 0, 5, 0, 1 << 32), DENY),
        ("fcntl", (3, 1), ALLOW),
        ("fcntl", (3, 1030), ALLOW),
        ("fcntl", (3, 0), DENY),
        ("fcntl", (3, 8), DENY),
        ("fcntl", (3, 1033), DENY),
        ("tgkill", (PID, PID + 1, 2), ALLOW),
        ("tgkill", (PID + 1, PID, 2), DENY),
        ("prctl", (15,), ALLOW),
        ("prctl", (1, 0), DENY),
        ("prctl", (4, 1), DENY),
        ("prctl", (22, 0), DENY),
        ("prlimit64", (0, 7, 0, 0x1000), ALLOW),
        ("prlimit64", (0, 7, 0x1000, 0), DENY),
        ("prlimit64", (0, 7, 1 << 32, 0), DENY),
        ("prlimit64", (PID, 7, 0, 0x1000), DENY),
    ],
)
def test_arguments_decide_where_they_matter(name: str, arguments: tuple[int, ...], decision: int) -> None:
    assert decide(NUMBERS[name], *arguments) == decision


def test_another_architecture_and_the_second_abi_kill() -> None:
    for number in (0, 1, 59):
        assert decide(number, audit=0x40000003) == KILL
        assert decide(0x40000000 + number) == KILL
    assert decide(-1) == KILL


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
def test_a_table_knows_what_the_lockdown_needs(architecture: object) -> None:
    assert architecture is X86_64
    assert set(SETUP) <= set(NUMBERS)
    assert {*PLAIN, *CHECKED, *SETUP} == set(NUMBERS)
    assert len(set(NUMBERS.values())) == len(NUMBERS)
