"""Attempts to get out of a session, as data: the escape list in miniature, for the machine that Habit runs on.

Each is a cell. Words in ⟨⟩ are filled in by ``sandbox.py``: ⟨secret⟩ a readable file with a secret in it, ⟨folder⟩ a
folder that anyone may write to, ⟨port⟩ where something listens on loopback, ⟨host⟩ the process that owns the sandbox.
An attempt has succeeded when the secret is in what it printed, when a file is in the folder, or when it printed
ESCAPED. Every one succeeds in a plain Python, which a test verifies: an attempt that could never work would prove
nothing. None does harm when it succeeds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Attempt:
    """One attempt; ``name`` completes the sentence "a cell could …"."""

    name: str
    code: str


VARIABLE = "HABIT_DOCTOR_SECRET"
"""Set in the environment of the host while the attempts run."""

_LIBC = "import ctypes\nlibc = ctypes.CDLL(None)\n"

ATTEMPTS = (
    Attempt("read a file", "import os\nprint(os.read(os.open('⟨secret⟩', os.O_RDONLY), 100))"),
    Attempt("read a file below Python's own checks", "import _io\nprint(_io.open('⟨secret⟩').read())"),
    Attempt("read a file by a call of libc", _LIBC + "b = ctypes.create_string_buffer(100)\n"
            "libc.read(libc.open(b'⟨secret⟩', 0), b, 99)\nprint(b.value)"),
    Attempt("write a file", "import os\nos.write(os.open('⟨folder⟩/written', os.O_CREAT | os.O_WRONLY), b'x')"),
    Attempt("list a folder", "import os\nif os.listdir('/'): print('ESCAPED')"),
    Attempt("find a key in the environment", _LIBC + "names = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, 'environ')\n"
            "n = 0\nwhile names[n]:\n    print(names[n])\n    n += 1"),
    Attempt("connect to the network", "import socket\nsocket.create_connection(('127.0.0.1', ⟨port⟩), 5)\n"
            "print('ESCAPED')"),
    Attempt("run a program", "import os\nos.system('touch ⟨folder⟩/ran')"),
    Attempt("fork", "import os\npid = os.fork()\nif pid == 0: os._exit(0)\nprint('ESCAPED')"),
    # Signal 0 only asks whether a real one would be delivered.
    Attempt("kill its parent", "import os\nos.kill(⟨host⟩, 0)\nprint('ESCAPED')"),
    Attempt("write machine code", "import mmap\n"
            "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)\nprint('ESCAPED')"),
)  # fmt: skip

LOOP = Attempt("go on for ever", "while True: pass")
"""Has to be stopped at the limit of seconds, and the session has to be usable after it."""
GLUTTON = Attempt("take more memory than its limit", "x = bytearray(1 << 30)\nprint('ESCAPED')")
"""Asks for more than the limit of its session allows."""
EXIT = Attempt("take the host down with it", "import os\nos._exit(3)")
"""May end its own worker and nothing else: the next session has to work."""
