"""Syscall numbers by architecture: the only part of the lockdown that differs between machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PLAIN = (
    # memory and threads
    "brk", "munmap", "mremap", "madvise", "futex", "set_robust_list", "rseq", "membarrier", "sched_yield",
    "sched_getaffinity", "gettid", "exit", "exit_group", "restart_syscall",
    # signals to oneself
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "alarm", "setitimer", "getitimer",
    # clocks
    "nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "times", "getrusage",
    # descriptors that are already open, and those that lead nowhere else
    "read", "write", "readv", "writev", "close", "fstat", "lseek", "recvfrom", "shutdown", "getsockname", "getsockopt",
    "poll", "ppoll", "select", "pselect6", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
    "eventfd2", "pipe2",
    # who and where am I
    "getpid", "getuid", "geteuid", "getgid", "getegid", "getcwd", "getrandom",
)  # fmt: skip
"""Allowed whatever their arguments: none of them reaches a file, another process or the network."""

CHECKED = (
    "mmap", "mprotect", "clone", "clone3", "ioctl", "socketpair", "sendto", "fcntl", "tgkill", "prctl", "prlimit64",
)  # fmt: skip
"""Allowed for some arguments only; ``seccomp.py`` holds the rules."""

SETUP = (
    "seccomp", "close_range", "landlock_create_ruleset", "landlock_restrict_self",
)  # fmt: skip
"""Used by the lockdown itself, before the filter is in place."""


@dataclass(frozen=True)
class Architecture:
    """What the lockdown must know of a machine."""

    name: str
    """As ``platform.machine()`` says it."""
    audit: int
    """AUDIT_ARCH_*: a filter that does not check it can be bypassed through another ABI of the same kernel."""
    numbers: Mapping[str, int]
    foreign_from: int | None
    """Numbers from here on belong to a second ABI under the same audit value (x32), and kill."""


X86_64 = Architecture(
    name="x86_64",
    audit=0xC000003E,
    foreign_from=0x40000000,
    numbers={
        "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11,
        "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "ioctl": 16, "readv": 19,
        "writev": 20, "select": 23, "sched_yield": 24, "mremap": 25, "madvise": 28, "nanosleep": 35, "getitimer": 36,
        "alarm": 37, "setitimer": 38, "getpid": 39, "sendto": 44, "recvfrom": 45, "shutdown": 48, "getsockname": 51,
        "socketpair": 53, "getsockopt": 55, "clone": 56, "exit": 60, "fcntl": 72, "getcwd": 79, "gettimeofday": 96,
        "getrusage": 98, "times": 100, "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108,
        "sigaltstack": 131, "prctl": 157, "gettid": 186, "futex": 202, "sched_getaffinity": 204,
        "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231,
        "epoll_wait": 232, "epoll_ctl": 233, "tgkill": 234, "pselect6": 270, "ppoll": 271, "set_robust_list": 273,
        "epoll_pwait": 281, "eventfd2": 290, "epoll_create1": 291, "pipe2": 293, "prlimit64": 302, "seccomp": 317,
        "getrandom": 318, "membarrier": 324, "rseq": 334, "clone3": 435, "close_range": 436, "epoll_pwait2": 441,
        "landlock_create_ruleset": 444, "landlock_restrict_self": 446,
    },
)  # fmt: skip

AARCH64 = Architecture(
    name="aarch64",
    audit=0xC00000B7,
    foreign_from=None,
    # The kernel's generic table (asm-generic/unistd.h), which lacks alarm, select, poll and epoll_wait.
    numbers={
        "getcwd": 17, "eventfd2": 19, "epoll_create1": 20, "epoll_ctl": 21, "epoll_pwait": 22, "fcntl": 25,
        "ioctl": 29, "close": 57, "pipe2": 59, "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66,
        "pselect6": 72, "ppoll": 73, "fstat": 80, "exit": 93, "exit_group": 94, "futex": 98, "set_robust_list": 99,
        "nanosleep": 101, "getitimer": 102, "setitimer": 103, "clock_gettime": 113, "clock_getres": 114,
        "clock_nanosleep": 115, "sched_getaffinity": 123, "sched_yield": 124, "restart_syscall": 128, "tgkill": 131,
        "sigaltstack": 132, "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "times": 153,
        "getrusage": 165, "prctl": 167, "gettimeofday": 169, "getpid": 172, "getuid": 174, "geteuid": 175,
        "getgid": 176, "getegid": 177, "gettid": 178, "socketpair": 199, "getsockname": 204, "sendto": 206,
        "recvfrom": 207, "getsockopt": 209, "shutdown": 210, "brk": 214, "munmap": 215, "mremap": 216, "clone": 220,
        "mmap": 222, "mprotect": 226, "madvise": 233, "prlimit64": 261, "seccomp": 277, "getrandom": 278,
        "membarrier": 283, "rseq": 293, "clone3": 435, "close_range": 436, "epoll_pwait2": 441,
        "landlock_create_ruleset": 444, "landlock_restrict_self": 446,
    },
)  # fmt: skip

ARCHITECTURES: Mapping[str, Architecture] = {machine.name: machine for machine in (X86_64, AARCH64)}
"""By ``platform.machine()``. A new entry needs every name of SETUP, and those of PLAIN and CHECKED that exist there."""
