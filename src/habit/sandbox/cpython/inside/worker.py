"""A worker process from fork to end: locks itself down, then runs the cells it is sent."""

from __future__ import annotations

import gc
import os
import resource
import socket
from typing import Any, NoReturn

from habit.errors import SandboxError
from habit.sandbox.cpython.inside.api import Api
from habit.sandbox.cpython.inside.awaiting import AwaitedCalls
from habit.sandbox.cpython.inside.cells import Cells
from habit.sandbox.cpython.inside.determinism import fix_clock, seed_chance
from habit.sandbox.cpython.inside.interrupts import Interrupts
from habit.sandbox.cpython.inside.link import Link
from habit.sandbox.cpython.inside.noworld import close_world
from habit.sandbox.cpython.inside.threads import CellOfThread
from habit.sandbox.cpython.lockdown import lock


def run_worker(connection: socket.socket, context: Any) -> NoReturn:
    """Serve one session until the host closes the connection. No model-written code has run when this is called."""
    interrupts, threads, awaited = Interrupts(), CellOfThread(), AwaitedCalls()
    interrupts.install()
    threads.install()
    link = Link(connection, interrupts)
    spec, query = link.receive_spec()
    memory: int = spec["memory"]
    seed_chance(spec["seed"])
    limit = _address_space() + memory
    close_world()
    cells = Cells(link, interrupts, threads, spec["output_chars"], memory)
    try:
        lock(limit)
    except SandboxError as error:
        link.send({"t": "failed", "error": str(error)})
        os._exit(1)
    fix_clock(spec["clock"])
    link.start()
    cells.install(Api(link, interrupts, threads, awaited, context, query, by_name=spec["whole"]))
    gc.enable()
    link.send({"t": "ready", "limit": limit})
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


def _address_space() -> int:
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
