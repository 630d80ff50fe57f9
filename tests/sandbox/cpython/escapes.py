"""Attempts to get out of a session, as data. To add one: append it to ESCAPES and run the tests.

Each is a cell. Words in ⟨⟩ are filled in by ``world.py``, which also judges from outside whether the attempt succeeded:
⟨canary⟩ a readable file with a secret, ⟨folder⟩ a folder anyone may write to, ⟨port⟩ and ⟨udp⟩ on loopback, ⟨unix⟩ and
⟨abstract⟩ listening sockets, ⟨victim⟩ a process of the worker's own user with the secret in its environment and, at
⟨address⟩, in its memory, ⟨sibling⟩ another worker, ⟨host⟩ the process that owns the sandbox. ⟨nr:name⟩ is a system call's
number and ⟨return 42⟩ a function in machine code, both filled in here; what this machine lacks is not attempted.

Whatever an attempt can only see for itself it says by printing ESCAPED. ``control`` is True when the same code is known
to succeed without a sandbox, which a test verifies: an attempt that could never work proves nothing.
"""

# ruff: noqa: E501 - one attempt, one line
from __future__ import annotations

import platform
import re
from typing import NamedTuple

from sandbox.cpython.kernel import HERE


class Escape(NamedTuple):
    name: str
    code: str
    control: bool = True


LIBC = "import ctypes, os, struct\nlibc = ctypes.CDLL(None, use_errno=True)\nlibc.syscall.restype = ctypes.c_long\n"


def syscall(name: str, call: str, arguments: str, *, control: bool = False, before: str = "") -> Escape:
    """An attempt that is one raw system call; success is a result that is no error."""
    return Escape(
        name,
        f"{LIBC}{before}\nif libc.syscall({', '.join(filter(None, [f'⟨nr:{call}⟩', arguments]))}) >= 0: print('ESCAPED')",
        control,
    )


FILES = [
    Escape("read a file", "print(open('⟨canary⟩').read())"),
    Escape("read a file by descriptor", "import os\nprint(os.read(os.open('⟨canary⟩', os.O_RDONLY), 1000))"),
    Escape("read a file by FileIO", "import _io\nprint(_io.FileIO('⟨canary⟩').read())"),
    Escape("read a file by the real open", "import _io\nprint(_io.open('⟨canary⟩').read())"),
    Escape("read a file by open_code", "import _io\nprint(_io.open_code('⟨canary⟩').read())"),
    Escape("read a file by libc", LIBC + "libc.fopen.restype = ctypes.c_void_p\nf = ctypes.c_void_p(libc.fopen(b'⟨canary⟩', b'r'))\nb = ctypes.create_string_buffer(100)\nlibc.fread(b, 1, 99, f)\nprint(b.value)"),
    Escape("read a file by openat", LIBC + "b = ctypes.create_string_buffer(100)\nlibc.read(libc.syscall(⟨nr:openat⟩, -100, b'⟨canary⟩', 0), b, 99)\nprint(b.value)"),
    Escape("read a file by openat2", LIBC + "b = ctypes.create_string_buffer(100)\nlibc.read(libc.syscall(⟨nr:openat2⟩, -100, b'⟨canary⟩', struct.pack('QQQ', 0, 0, 0), 24), b, 99)\nprint(b.value)"),
    Escape("read a file by numpy", "import numpy\nprint(bytes(numpy.fromfile('⟨canary⟩', dtype='u1')))"),
    Escape("read a file by pandas' C parser", "import pandas\nprint(pandas.read_csv('⟨canary⟩', engine='c', memory_map=True, header=None))"),
    Escape("read a file by sqlite", "import sqlite3\ndb = sqlite3.connect('⟨folder⟩/db')\ndb.execute('create table t (x)')\ndb.commit()"),
    Escape("attach a file to sqlite", "import sqlite3\nsqlite3.connect(':memory:').execute(\"attach '⟨folder⟩/attached' as a\").execute('create table a.t (x)')"),
    Escape("run a file as a script", "import runpy\nprint(runpy.run_path('⟨folder⟩/../planted.py')['secret'])"),
    Escape("import a planted module", "import sys, importlib.machinery as m\nprint(m.SourceFileLoader('planted', '⟨folder⟩/../planted.py').load_module().secret)"),
    Escape("load a shared library", "import ctypes\nctypes.CDLL('libBrokenLocale.so.1')\nprint('ESCAPED')"),
    Escape("list a folder", "import os\nif os.listdir('/'): print('ESCAPED')"),
    Escape("look at a file's data", "import os\nif os.stat('/etc/passwd').st_size: print('ESCAPED')"),
    Escape("follow a link", "import os\nif os.readlink('/proc/self/exe'): print('ESCAPED')"),
    Escape("write a file", "import os\nos.write(os.open('⟨folder⟩/written', os.O_CREAT | os.O_WRONLY), b'x')"),
    Escape("make a folder", "import os\nos.mkdir('⟨folder⟩/made')"),
    Escape("make a link", "import os\nos.symlink('/etc', '⟨folder⟩/link')"),
    Escape("make a hard link", "import os\nos.link('⟨folder⟩/../planted.py', '⟨folder⟩/hard')", control=False),
    Escape("make a fifo", "import os\nos.mkfifo('⟨folder⟩/fifo')"),
    Escape("bind a socket in a folder", "import socket\nsocket.socket(socket.AF_UNIX).bind('⟨folder⟩/bound')"),
    Escape("make an unnamed file", "import os\nos.open('⟨folder⟩', os.O_TMPFILE | os.O_RDWR)\nprint('ESCAPED')"),
    Escape("make a file in memory", "import os\nos.memfd_create('x')\nprint('ESCAPED')"),
    Escape("read its own memory map", "import _io\nif _io.open('/proc/self/maps').read(): print('ESCAPED')"),
    Escape("read its parent's environment", "import os, _io\nprint(_io.open('/proc/⟨victim⟩/environ').read())"),
    syscall("io_uring", "io_uring_setup", "8, ctypes.create_string_buffer(256)", control=True),
    syscall("fanotify", "fanotify_init", "0, 0"),
    syscall("inotify", "inotify_init1", "0", control=True),
    syscall("open by handle", "open_by_handle_at", "-100, ctypes.create_string_buffer(64), 0"),
    syscall("chroot", "chroot", "b'⟨folder⟩'"),
    syscall("mount", "mount", "b'none', b'⟨folder⟩', b'tmpfs', 0, None"),
    syscall("new mount API", "fsopen", "b'tmpfs', 0"),
]  # fmt: skip

NETWORK = [
    Escape("connect by TCP", "import socket\nsocket.create_connection(('127.0.0.1', ⟨port⟩), 5)"),
    Escape("connect by TCP below Python", LIBC + "s = libc.socket(2, 1, 0)\nlibc.connect(s, struct.pack('<H', 2) + struct.pack('>H', ⟨port⟩) + bytes([127, 0, 0, 1]) + bytes(8), 16)"),
    Escape("connect by asyncio", "import asyncio\nasync def main():\n    await asyncio.open_connection('127.0.0.1', ⟨port⟩)\nasyncio.run(main())"),
    Escape("send a datagram", "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'out', ('127.0.0.1', ⟨udp⟩))"),
    Escape("connect to a Unix socket", "import socket\nsocket.socket(socket.AF_UNIX).connect('⟨unix⟩')"),
    Escape("connect to an abstract socket", "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0⟨abstract⟩')"),
    Escape("send from a socket pair to an address", "import socket\na, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\na.sendto(b'x', '\\0⟨abstract⟩-datagrams')\nprint('ESCAPED')"),
    Escape("pass a descriptor", "import socket, array\na, b = socket.socketpair()\na.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [b.fileno()]))])\nprint('ESCAPED')"),
    Escape("receive a descriptor", "import socket\na, b = socket.socketpair()\na.send(b'x')\nb.recvmsg(10, 1000)\nprint('ESCAPED')"),
    Escape("listen", "import socket\ns = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.listen()\nprint('ESCAPED')"),
    Escape("netlink", "import socket\nsocket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)\nprint('ESCAPED')"),
    syscall("raw packets", "socket", "17, 3, 768"),
    syscall("vsock", "socket", "40, 1, 0"),
    syscall("the kernel's crypto sockets", "socket", "38, 5, 0"),
]  # fmt: skip

PROCESSES = [
    Escape("fork", "import os, time\nif os.fork() == 0:\n    time.sleep(2)\n    os._exit(0)\nprint('ESCAPED')"),
    Escape("vfork", LIBC + "if libc.syscall(⟨nr:vfork⟩) >= 0: print('ESCAPED')", control=False),
    Escape("clone a process", LIBC + "p = libc.syscall(⟨nr:clone⟩, 17, 0, 0, 0, 0)\nif p == 0: libc._exit(0)\nif p > 0: print('ESCAPED')"),
    Escape("clone into new namespaces", LIBC + "p = libc.syscall(⟨nr:clone⟩, 0x10000000 | 17, 0, 0, 0, 0)\nif p == 0: libc._exit(0)\nif p > 0: print('ESCAPED')", control=False),
    Escape("clone3 a process", LIBC + "p = libc.syscall(⟨nr:clone3⟩, struct.pack('8Q', 0, 0, 0, 0, 17, 0, 0, 0), 64)\nif p == 0: libc._exit(0)\nif p > 0: print('ESCAPED')"),
    Escape("run a program", "import subprocess\nprint(subprocess.run(['cat', '⟨canary⟩'], capture_output=True).stdout)"),
    Escape("run a shell", "import os\nos.system('touch ⟨folder⟩/shell')"),
    Escape("become another program", "import os\nos.execv('/bin/sh', ['sh', '-c', 'touch ⟨folder⟩/executed'])"),
    Escape("spawn", "import os\nos.posix_spawn('/bin/sh', ['sh', '-c', 'touch ⟨folder⟩/spawned'], {})\nimport time\ntime.sleep(0.5)"),
    Escape("kill its victim", "import os, signal\nos.kill(⟨victim⟩, signal.SIGKILL)"),
    Escape("kill its sibling", "import os, signal\nos.kill(⟨sibling⟩, signal.SIGKILL)"),
    Escape("kill its host", "import os, signal\nos.kill(⟨host⟩, signal.SIGKILL)", control=False),
    Escape("kill everybody", "import os, signal\nos.kill(-1, signal.SIGKILL)", control=False),
    Escape("kill its group", "import os, signal\nos.killpg(0, signal.SIGTERM)", control=False),
    syscall("kill a thread of another process", "tgkill", "⟨victim⟩, ⟨victim⟩, 9", control=True),
    syscall("kill a thread of its sibling", "tgkill", "⟨sibling⟩, ⟨sibling⟩, 9"),
    syscall("kill by tkill", "tkill", "⟨victim⟩, 9", control=True),
    syscall("queue a signal", "rt_sigqueueinfo", "⟨victim⟩, 9, struct.pack('iii', 9, 0, -1) + bytes(120)", control=True),
    syscall("kill by pidfd", "pidfd_send_signal", "libc.syscall(⟨nr:pidfd_open⟩, ⟨victim⟩, 0), 9, None, 0", control=True),
    syscall("take a descriptor of another process", "pidfd_getfd", "libc.syscall(⟨nr:pidfd_open⟩, ⟨victim⟩, 0), 0, 0", control=True),
    syscall("trace its sibling", "ptrace", "0x4206, ⟨sibling⟩, 0, 0"),
    syscall("trace another process", "ptrace", "0x4206, ⟨victim⟩, 0, 0", control=True),
    syscall("trace its host", "ptrace", "0x4206, ⟨host⟩, 0, 0"),
    Escape("read another process's memory", LIBC + "b = ctypes.create_string_buffer(40)\nlibc.syscall(⟨nr:process_vm_readv⟩, ⟨victim⟩, struct.pack('QQ', ctypes.addressof(b), 40), 1, struct.pack('QQ', ⟨address⟩, 40), 1, ctypes.c_long(0))\nprint(b.raw)"),
    Escape("write another process's memory", LIBC + "b = ctypes.create_string_buffer(40)\nif libc.syscall(⟨nr:process_vm_writev⟩, ⟨victim⟩, struct.pack('QQ', ctypes.addressof(b), 1), 1, struct.pack('QQ', ⟨address⟩, 1), 1, ctypes.c_long(0)) > 0: print('ESCAPED')"),
    syscall("change another process's limits", "prlimit64", "⟨victim⟩, 7, struct.pack('QQ', 5, 5), None"),
    syscall("renice another process", "setpriority", "0, ⟨victim⟩, 19", control=True),
    syscall("move another process to another processor", "sched_setaffinity", "⟨victim⟩, 8, struct.pack('Q', 1)", control=True),
    syscall("System V shared memory", "shmget", "0, 4096, 0o1600", control=True),
    syscall("System V messages", "msgget", "0, 0o1600", control=True),
    syscall("POSIX messages", "mq_open", "b'habit-escape', 0o102, 0o600, None", control=True),
    Escape("POSIX shared memory", "import _posixshmem, os\n_posixshmem.shm_open('/habit-escape', os.O_CREAT | os.O_RDWR, mode=0o600)\nprint('ESCAPED')"),
]  # fmt: skip

PRIVILEGES = [
    Escape("become root", "import os\nos.setresuid(0, 0, 0)\nprint('ESCAPED')", control=False),
    Escape("have been root", "import os\nif 0 in (os.getuid(), os.geteuid(), os.getgid(), os.getegid()): print('ESCAPED')", control=False),
    Escape("find a secret in the environment", LIBC + "env = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, 'environ')\nn = 0\nwhile env[n]:\n    print(env[n])\n    n += 1\nprint(dict(os.environ))"),
    Escape("find an inherited descriptor", "import os\nseen = 0\nfor n in range(3, 1024):\n    try: os.get_blocking(n)\n    except OSError: continue\n    seen += 1\nif seen > 1: print('ESCAPED')", control=False),
    Escape("read what the standard streams lead to", "import os\nprint(os.read(0, 100), os.read(2, 100))", control=False),
    syscall("a user namespace", "unshare", "0x10000000"),
    syscall("enter a namespace", "setns", "0, 0"),
    syscall("a laxer filter", "seccomp", "1, 0, struct.pack('HxxxxxxQ', 1, ctypes.addressof(f))", before="f = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0x7fff0000))"),
    syscall("outlive its parent", "prctl", "1, 0, 0, 0, 0", control=True),
    syscall("become dumpable", "prctl", "4, 1, 0, 0, 0", control=True),
    syscall("more memory", "prlimit64", "0, 9, struct.pack('QQ', 2**63 - 1, 2**63 - 1), None", control=True),
    syscall("bpf", "bpf", "0, ctypes.create_string_buffer(64), 64"),
    syscall("perf events", "perf_event_open", "ctypes.create_string_buffer(128), 0, -1, -1, 0"),
    syscall("userfaultfd", "userfaultfd", "1"),
    syscall("the kernel's keys", "keyctl", "0, -3, 1"),
    syscall("a kernel module", "init_module", "b'', 0, b''"),
    syscall("another kernel", "kexec_file_load", "-1, -1, 0, b'', 0"),
    syscall("the host name", "sethostname", "b'escaped', 7"),
    syscall("input/output ports", "iopl", "3"),
    syscall("a new session", "setsid", ""),
    syscall("the log of the kernel", "syslog", "10, None, 0"),
    syscall("personality", "personality", "0x0040000", control=True),
    syscall("real time scheduling", "sched_setscheduler", "0, 1, struct.pack('i', 1)"),
    Escape("executable memory", "import mmap\nmmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)\nprint('ESCAPED')"),
    Escape("make memory executable", LIBC + "import mmap\nm = mmap.mmap(-1, 4096)\nif libc.mprotect(ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(m))), 4096, 5) == 0: print('ESCAPED')"),
    Escape("machine code", LIBC + "import mmap\nm = mmap.mmap(-1, 4096, prot=7)\nm.write(⟨return 42⟩)\nif ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))() == 42: print('ESCAPED')"),
    syscall("a protection key", "pkey_mprotect", "0, 4096, 7, -1"),
    Escape("the x32 ABI", LIBC + "if libc.syscall(0x40000000 + ⟨nr:open⟩, b'⟨canary⟩', 0) >= 0: print('ESCAPED')", control=False),
    Escape("type on the terminal", "import fcntl\nfcntl.ioctl(0, 0x5412, b'x')\nprint('ESCAPED')", control=False),
    Escape("run code in its host by a hostile repr", "class Evil(str):\n    def __reduce__(self): return (print, ('ESCAPED',))\nx = Evil('x')\nrecursive_llm(x, x)", control=False),
]  # fmt: skip

RETURN_42 = {"x86_64": b"\xb8\x2a\0\0\0\xc3", "aarch64": b"\x40\x05\x80\x52\xc0\x03\x5f\xd6"}


def _for_this_machine(escape: Escape) -> Escape | None:
    if not all(name in HERE for name in re.findall("⟨nr:(\\w+)⟩", escape.code)):
        return None
    code = re.sub("⟨nr:(\\w+)⟩", lambda match: str(HERE[match[1]]), escape.code)
    return escape._replace(code=code.replace("⟨return 42⟩", repr(RETURN_42.get(platform.machine(), b""))))


ESCAPES = [
    found for escape in (*FILES, *NETWORK, *PROCESSES, *PRIVILEGES) if (found := _for_this_machine(escape)) is not None
]
