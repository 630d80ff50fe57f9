"""The filter program of every architecture, decision by decision, in a small interpreter of classic BPF."""

from __future__ import annotations

import struct
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habit.sandbox.cpython.seccomp import program, template
from habit.sandbox.cpython.syscalls import AARCH64, ARCHITECTURES, CHECKED, PLAIN, SETUP, X86_64, Architecture
from sandbox.cpython.kernel import AUDIT, SYSCALLS

PID = 4321
ALLOW, DENY, MISSING, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
MACHINES = st.sampled_from(list(ARCHITECTURES.values()))
WORDS = st.integers(0, 2**64 - 1)
ABSENT_ON_AARCH64 = {"alarm", "select", "poll", "epoll_wait"}
LARGEST_PROGRAM = 4096
"""BPF_MAXINSNS."""

on_each_machine = pytest.mark.parametrize("machine", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())


@cache
def steps_of(name: str) -> list[tuple[int, int, int, int]]:
    code = program(ARCHITECTURES[name], PID)
    return [struct.unpack_from("<HBBI", code, at) for at in range(0, len(code), 8)]


def decide(machine: Architecture, number: int, *arguments: int, audit: int | None = None) -> int:
    """What the kernel does with this system call."""
    six = [*arguments, *[0] * (6 - len(arguments))]
    words = (value & (2**64 - 1) for value in six)
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, machine.audit if audit is None else audit, 0, *words)
    steps = steps_of(machine.name)
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


def listed(machine: Architecture, names: tuple[str, ...]) -> set[int]:
    return {machine.numbers[name] for name in names if name in machine.numbers}


@on_each_machine
def test_a_table_says_what_the_kernel_says(machine: Architecture) -> None:
    known = SYSCALLS[machine.name]
    assert len(known) > 300
    assert {name: known.get(name) for name in machine.numbers} == machine.numbers
    assert machine.audit == AUDIT[machine.name]


@on_each_machine
def test_a_table_lacks_only_what_the_kernel_lacks(machine: Architecture) -> None:
    wanted = {*PLAIN, *CHECKED, *SETUP}
    assert wanted - set(machine.numbers) == (ABSENT_ON_AARCH64 if machine is AARCH64 else set())
    assert set(machine.numbers) <= wanted
    assert not wanted - set(machine.numbers) & set(SYSCALLS[machine.name])
    assert set(SETUP) <= set(machine.numbers)


def test_tables_are_found_by_the_name_of_the_machine() -> None:
    assert ARCHITECTURES == {"x86_64": X86_64, "aarch64": AARCH64}


@on_each_machine
def test_nothing_is_allowed_that_is_not_listed(machine: Architecture) -> None:
    may = listed(machine, (*PLAIN, *CHECKED))
    assert {number for number in range(2048) if decide(machine, number) == ALLOW} <= may
    assert all(decide(machine, number) == DENY for number in set(range(2048)) - may)


@on_each_machine
def test_no_path_address_or_other_process_is_within_reach(machine: Architecture) -> None:
    """By the kernel's own names, whatever our table says."""
    for name in (
        "open", "openat", "openat2", "creat", "newfstatat", "stat", "statx", "readlinkat", "execve", "execveat",
        "fork", "vfork", "kill", "tkill", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_open",
        "pidfd_getfd", "pidfd_send_signal", "socket", "connect", "bind", "sendmsg", "recvmsg", "sendmmsg", "accept4",
        "io_uring_setup", "bpf", "mount", "unshare", "setns", "chroot", "memfd_create", "seccomp", "shmget", "msgget",
        "mq_open", "keyctl", "userfaultfd", "perf_event_open", "personality", "pkey_mprotect", "arch_prctl", "setuid",
    ):  # fmt: skip
        if name in SYSCALLS[machine.name]:
            assert decide(machine, SYSCALLS[machine.name][name], 1, 1, 1, 1, 1, 1) == DENY, name


@settings(max_examples=300)
@given(MACHINES, st.integers(0, 2**32 - 1), st.lists(WORDS, min_size=6, max_size=6))
def test_any_call_is_decided_and_only_a_listed_one_allowed(
    machine: Architecture, number: int, arguments: list[int]
) -> None:
    decision = decide(machine, number, *arguments)
    if machine.foreign_from is not None and number >= machine.foreign_from:
        assert decision == KILL
    elif number not in listed(machine, (*PLAIN, *CHECKED)):
        assert decision == DENY
    else:
        assert decision in (ALLOW, DENY, MISSING)


@settings(max_examples=300)
@given(MACHINES, st.data())
def test_what_is_listed_as_plain_is_allowed_whatever_its_arguments(machine: Architecture, data: st.DataObject) -> None:
    number = data.draw(st.sampled_from(sorted(listed(machine, PLAIN))))
    assert decide(machine, number, *data.draw(st.lists(WORDS, min_size=6, max_size=6))) == ALLOW


@on_each_machine
def test_every_listed_call_has_its_way_through(machine: Architecture) -> None:
    assert all(decide(machine, number) == ALLOW for number in listed(machine, PLAIN))
    assert set(listed(machine, CHECKED)) - {machine.numbers["clone3"]} <= {
        machine.numbers[name] for name, arguments, decision in DECISIONS if decision == ALLOW
    }


@settings(max_examples=300)
@given(MACHINES, st.data())
def test_no_memory_ever_becomes_executable(machine: Architecture, data: st.DataObject) -> None:
    arguments = data.draw(st.lists(WORDS, min_size=6, max_size=6))
    for name in ("mmap", "mprotect"):
        assert decide(machine, machine.numbers[name], *arguments) == (DENY if arguments[2] & 4 else ALLOW)


@settings(max_examples=300)
@given(MACHINES, WORDS)
def test_clone_makes_threads_only(machine: Architecture, flags: int) -> None:
    low = flags & 0xFFFFFFFF
    assert decide(machine, machine.numbers["clone"], flags) == (ALLOW if low in (0x3D0F00, 0x7D0F00) else DENY)


@settings(max_examples=300)
@given(MACHINES, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_another_architecture_kills_whatever_it_asks(machine: Architecture, audit: int, number: int) -> None:
    if audit != machine.audit:
        assert decide(machine, number, audit=audit) == KILL


DECISIONS = [
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
]


@on_each_machine
@pytest.mark.parametrize(("name", "arguments", "decision"), DECISIONS)
def test_arguments_decide_where_they_matter(
    machine: Architecture, name: str, arguments: tuple[int, ...], decision: int
) -> None:
    assert decide(machine, machine.numbers[name], *arguments) == decision


@on_each_machine
def test_the_other_machine_and_the_machine_at_32_bits_kill(machine: Architecture) -> None:
    i386, arm = 0x40000003, 0x40000028
    others = {known.audit for known in ARCHITECTURES.values()} - {machine.audit}
    for audit in {*others, i386, arm, 0}:
        assert all(decide(machine, number, audit=audit) == KILL for number in range(512))


def test_the_second_abi_of_x86_64_kills_and_aarch64_has_none() -> None:
    for number in (0, 1, 59, 512, 0x3FFFFFFF):
        assert decide(X86_64, 0x40000000 + number) == KILL
        assert decide(AARCH64, 0x40000000 + number) == DENY
    assert decide(X86_64, -1) == KILL
    assert decide(AARCH64, -1) == DENY


@on_each_machine
def test_the_kernel_would_take_the_program(machine: Architecture) -> None:
    """Short enough, jumps forward within it, and no path runs off its end."""
    steps = steps_of(machine.name)
    assert len(steps) <= LARGEST_PROGRAM
    for at, (kind, yes, no, constant) in enumerate(steps):
        if kind == 0x20:
            assert constant % 4 == 0
            assert constant < 64
        if kind in (0x15, 0x35, 0x45):
            assert at + 1 + max(yes, no) < len(steps)
        if kind == 0x06:
            assert constant in (ALLOW, DENY, MISSING, KILL)
    assert steps[-1][0] == 0x06


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_filter_made_once_for_many_is_the_same(name: str) -> None:
    once = template(ARCHITECTURES[name])
    assert [once.program(pid) for pid in (1, PID, 1 << 22)] == [
        program(ARCHITECTURES[name], pid) for pid in (1, PID, 1 << 22)
    ]
