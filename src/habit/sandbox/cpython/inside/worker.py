"""A worker process from fork to end: locks itself down, then runs the cells it is sent."""

from __future__ import annotations

import builtins
import gc
import linecache
import os
import resource
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from habit.contexts.context import decode
from habit.errors import SandboxError
from habit.sandbox.cpython import frames
from habit.sandbox.cpython.inside.cells import Cells
from habit.sandbox.cpython.inside.determinism import Chance, Clock
from habit.sandbox.cpython.inside.interrupts import Interrupts
from habit.sandbox.cpython.inside.link import Link
from habit.sandbox.cpython.inside.noworld import close_world
from habit.sandbox.cpython.inside.threads import CellOfThread
from habit.sandbox.cpython.lockdown import lock

REHEARSALS = 12
"""CPython 3.11 rewrites the code of a function the first eight times that it runs, and then where it is quick: that is
to happen in the zygote, since a page that a worker writes to is a page of its own."""
USUAL_SEED = 0
"""What the zygote leaves chance at: a session that wants no other need not write to all of its state."""
_REHEARSED = """
import json, re
rows = [{"name": word, "size": len(word)} for word in context.split()]
counts = Counter(row["size"] for row in rows)
for size, count in counts.items():
    if count > 1 and re.match("[a-z]", str(context)):
        print(f"{size}: {count}", json.dumps(rows)[:20])
len(context)
"""


class Stage:
    """What the workers of a zygote have in common, made in the zygote before it forks the first of them.

    Nothing of a session is in it, and no model-written code has run on it.
    """

    def __init__(self) -> None:
        self._chance = Chance()
        self._clock = Clock()
        self._interrupts, self._threads = Interrupts(), CellOfThread()
        self._interrupts.install()
        self._threads.install()
        self._link, self._cells = self._furnished()

    def _furnished(self) -> tuple[Link, Cells]:
        """Everything of a session but what it is about."""
        link = Link(self._interrupts)
        return link, Cells(link, self._interrupts, self._threads)

    def rehearse(self) -> None:
        """Run a few cells of ours, so that less is left for each worker to write to; no trace of them is left."""
        for _ in range(REHEARSALS):
            with _restored():
                self._rehearse_once(*self._furnished())
        self._cells.install()
        self._chance.seed(USUAL_SEED)

    def _rehearse_once(self, link: Link, cells: Cells) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            context = decode("text", b"some words\nand a few more words\n")
            spec: dict[str, Any] = {"t": "spec", "seed": 0, "clock": 0.0, "in_flight": 1 << 20}
            ours.sendall(frames.encode_frame(spec, 1) + b"?")
            spec, query = link.connect(theirs)
            self._chance.seed(spec["seed"])
            self._clock.set(spec["clock"])
            cells.install()
            cells.begin(context, query, by_name=False, output_chars=1000, memory=1 << 20)
            link.open_cell(1)
            _, stdout, _, names = cells.run(1, _REHEARSED)
            link.close_cell({"t": "done", "cell": 1, "variables": names}, stdout.encode())

    def run_worker(self, connection: socket.socket, context: Any) -> NoReturn:
        """Serve one session until the host closes the connection. No model-written code has run before."""
        link, cells = self._link, self._cells
        spec, query = link.connect(connection)
        if spec["seed"] != USUAL_SEED:
            self._chance.seed(spec["seed"])
        limit = _address_space() + spec["memory"]
        close_world()
        try:
            lock(limit)
        except SandboxError as error:
            link.send({"t": "failed", "error": str(error)})
            os._exit(1)
        self._clock.set(spec["clock"])
        link.start()
        cells.begin(context, query, by_name=spec["whole"], output_chars=spec["output_chars"], memory=spec["memory"])
        gc.enable()
        link.send({"t": "ready", "limit": limit})
        _serve(link, cells)


def _serve(link: Link, cells: Cells) -> NoReturn:
    while True:
        header, code = link.cells.get()
        number: int = header["cell"]
        if "query" in header:
            cells.set_query(header["query"])
        link.open_cell(number)
        outcome, stdout, dropped, names = cells.run(number, code)
        if outcome.memory_error:
            gc.collect()
        if not link.reserve.refill() and outcome.memory_error:
            outcome.error += "\nThe memory is still nearly used up: `del` large variables before going on."
        blob = stdout.encode("utf-8", "surrogatepass")
        link.close_cell(
            {
                "t": "done",
                "cell": number,
                "status": outcome.status,
                "error": outcome.error,
                "stdout": len(blob),
                "dropped": dropped,
                "variables": names,
            },
            blob,
        )


@contextmanager
def _restored() -> Iterator[None]:
    """Put back what a session takes over in its process."""
    streams = {name: getattr(sys, name) for name in ("stdout", "stderr", "__stdout__", "__stderr__")}
    main, hook = sys.modules["__main__"], threading.excepthook
    try:
        yield
    finally:
        for name, stream in streams.items():
            setattr(sys, name, stream)
        sys.modules["__main__"], threading.excepthook = main, hook
        vars(builtins).pop("_", None)
        linecache.clearcache()


def _address_space() -> int:
    statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(os.read(statm, 200).split()[0]) * resource.getpagesize()
    finally:
        os.close(statm)
