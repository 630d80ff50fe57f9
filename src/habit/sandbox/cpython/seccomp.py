"""The seccomp allow-list as a BPF program: what a locked-down worker may ask of the kernel."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from habit.sandbox.cpython.syscalls import CHECKED, PLAIN, Architecture

Instruction = tuple[int, int, int, int]
"""(code, jump if true, jump if false, constant) of classic BPF."""

LOAD, EQUAL, AT_LEAST, ANY_BIT, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
EPERM, ENOSYS = 1, 38
ALLOW: Instruction = (RETURN, 0, 0, 0x7FFF0000)
DENY: Instruction = (RETURN, 0, 0, 0x00050000 | EPERM)
MISSING: Instruction = (RETURN, 0, 0, 0x00050000 | ENOSYS)
KILL: Instruction = (RETURN, 0, 0, 0x80000000)

PROT_EXEC = 0x4
PTHREAD_FLAGS = (0x3D0F00, 0x7D0F00)
"""What pthread_create passes to clone in glibc and musl: a thread of this very process, never a new one."""
FIONBIO, FIOCLEX = 0x5421, 0x5451
AF_UNIX, SOCK_STREAM, SOCKET_TYPE_BITS = 1, 1, 0xF
FCNTL_COMMANDS = (1, 2, 3, 4, 1030)
"""F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC."""
PR_SET_NAME, PR_SET_VMA = 15, 0x53564D41


def _load_argument(index: int, *, high: bool = False) -> Instruction:
    return (LOAD, 0, 0, 16 + 8 * index + (4 if high else 0))


def _one_of(values: tuple[int, ...]) -> list[Instruction]:
    return [step for value in values for step in ((EQUAL, 0, 1, value), ALLOW)] + [DENY]


def _all_zero(*words: tuple[int, bool]) -> list[Instruction]:
    """Allow when each of these words (argument, high half) is 0: pointers and pids that must not be given."""
    body: list[Instruction] = []
    for index, high in words:
        body += [_load_argument(index, high=high), (EQUAL, 1, 0, 0), DENY]
    return [*body, ALLOW]


def _rules(pid: int) -> dict[str, list[Instruction]]:
    """Bodies that end in a return on every path, for syscalls whose arguments matter."""
    no_code = [_load_argument(2), (ANY_BIT, 0, 1, PROT_EXEC), DENY, ALLOW]
    return {
        "mmap": no_code,
        "mprotect": no_code,
        "clone": [_load_argument(0), *_one_of(PTHREAD_FLAGS)],
        # Its arguments lie in memory, out of a filter's sight; ENOSYS makes libc fall back to clone.
        "clone3": [MISSING],
        "ioctl": [_load_argument(1), *_one_of((FIONBIO, FIOCLEX))],
        "socketpair": [
            _load_argument(0),
            (EQUAL, 1, 0, AF_UNIX),
            DENY,
            _load_argument(1),
            (AND, 0, 0, SOCKET_TYPE_BITS),
            *_one_of((SOCK_STREAM,)),
        ],
        "sendto": _all_zero((4, False), (4, True)),
        "fcntl": [_load_argument(1), *_one_of(FCNTL_COMMANDS)],
        "tgkill": [_load_argument(0), *_one_of((pid,))],
        "prctl": [_load_argument(0), *_one_of((PR_SET_NAME, PR_SET_VMA))],
        # Reading one's own limits, as thread start-up in libc does; never setting them.
        "prlimit64": _all_zero((0, False), (2, False), (2, True)),
    }


def program(architecture: Architecture, pid: int) -> bytes:
    """The filter for the process ``pid``, as an array of struct sock_filter."""
    numbers = architecture.numbers
    steps: list[Instruction] = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture.audit), KILL, (LOAD, 0, 0, 0)]
    if architecture.foreign_from is not None:
        steps += [(AT_LEAST, 0, 1, architecture.foreign_from), KILL]
    for number in sorted(numbers[name] for name in PLAIN if name in numbers):
        steps += [(EQUAL, 0, 1, number), ALLOW]
    rules = _rules(pid)
    for name in CHECKED:
        if name in numbers:
            steps += [(EQUAL, 0, len(rules[name]), numbers[name]), *rules[name]]
    steps.append(DENY)
    return b"".join(struct.pack("<HBBI", *step) for step in steps)


@dataclass(frozen=True)
class Template:
    """The filter for any process of an architecture: the program around the constant that is the process's id."""

    before: bytes
    after: bytes

    def program(self, pid: int) -> bytes:
        """The filter for the process ``pid``; the same as from the function ``program``."""
        return b"".join((self.before, struct.pack("<I", pid), self.after))


_SOME_PID = 0x7AB1E5ED
"""Higher than any process id of Linux, and no other constant of a filter."""


def template(architecture: Architecture) -> Template:
    """The filter without its process id, to be made once for many."""
    pieces = program(architecture, _SOME_PID).split(struct.pack("<I", _SOME_PID))
    if len(pieces) != 2:
        raise ValueError("the process id must be in the filter exactly once")
    return Template(*pieces)
