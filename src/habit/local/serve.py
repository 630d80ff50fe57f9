"""The local model's server process: ``python -m habit.local.serve``, started by ``server.py``, ends itself when idle.

Settings come as JSON on stdin, because arguments and environments can be read by others. The process inherits the
*alive* lock from whoever started it and holds it to its end; clients hold shared locks on the *lease* file.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from habit.local.locks import open_lock, try_lock, unlock


@dataclass(frozen=True)
class ServeSettings:
    """Everything a server process needs to know."""

    model: str
    slots: int
    slot_context: int
    """Tokens per slot: prompt and reply together."""
    threads: int
    api_key: str
    idle_seconds: float
    state: str
    """Where to write the state file once requests are answered."""
    lease: str
    alive_descriptor: int
    """The inherited descriptor that holds the alive lock."""

    def to_json(self) -> str:
        """What the process reads from stdin."""
        return json.dumps(asdict(self))


def start_llama(settings: ServeSettings) -> str:
    """Load the model and listen on a free loopback port; gives the address, such as ``http://127.0.0.1:40123``."""
    # Threads that spin while they wait starve generation as soon as one core is busy with something else.
    os.environ["OMP_WAIT_POLICY"] = "passive"
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings.model
    params.n_gpu_layers = 0
    params.n_parallel = settings.slots
    params.n_ctx = settings.slots * settings.slot_context
    params.cpuparams.n_threads = settings.threads
    params.cpuparams_batch.n_threads = settings.threads
    params.fit_params = False
    params.cache_ram_mib = 512
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [settings.api_key]
    params.ui = False
    params.endpoint_slots = False
    server = xllamacpp.Server(params)
    _KEPT.append(server)
    return str(server.listening_address)


_KEPT: list[object] = []
"""The llama.cpp server stops when its Python object goes."""


def run(start: Callable[[ServeSettings], str]) -> None:
    """Detach, start the engine, publish the state file, wait until idle or told to stop; never returns."""
    settings = ServeSettings(**json.load(sys.stdin))
    if os.fork():
        os._exit(0)  # the starter reaps this one at once; the server itself becomes nobody's child, never a zombie
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        address = start(settings)
    except BaseException:  # noqa: BLE001 - it is logged, and an interpreter that shuts down llama.cpp can hang
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    # Until here SIGTERM just kills; from here on the state file has to go first.
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    state = Path(settings.state)
    _publish(state, {"address": address, "api_key": settings.api_key, "pid": os.getpid()})
    _wait_until_idle(Path(settings.lease), settings.idle_seconds, stop)
    state.unlink(missing_ok=True)
    os._exit(0)  # llama.cpp's own shutdown can hang; the locks go with the process


def _publish(path: Path, state: dict[str, object]) -> None:
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(state, file)
    temporary.replace(path)


def _wait_until_idle(lease: Path, idle_seconds: float, stop: threading.Event) -> None:
    """Return when told to stop, or when nobody has held a lease for ``idle_seconds``; then no new lease can be had."""
    descriptor = open_lock(lease)
    last_use = time.time()
    while not stop.wait(min(1.0, max(0.02, idle_seconds / 4))):
        if not try_lock(descriptor):
            last_use = time.time()
            continue
        # Clients touch the file, so that one that came and went between two looks counts as well.
        last_use = max(last_use, os.fstat(descriptor).st_mtime)
        if time.time() - last_use >= idle_seconds:
            return
        unlock(descriptor)


if __name__ == "__main__":
    run(start_llama)
