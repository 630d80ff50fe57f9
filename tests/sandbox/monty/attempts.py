"""Makes every attempt of ``cpython/escapes.py`` in monty sessions, as whoever runs it; prints the breaches as JSON."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import anyio

from habit.contexts.context import Context
from habit.sandbox.monty import MontySandbox
from habit.sandbox.session import SessionLimits, SessionSpec
from sandbox.cpython.escapes import ESCAPES
from sandbox.cpython.world import World, children_of
from sandbox.hosts import RecordingHost


async def attempt_all(world: World) -> dict[str, Any]:
    sandbox = MontySandbox()
    spec = SessionSpec("", limits=SessionLimits(cell_seconds=2.0))
    results: dict[str, list[str]] = {}
    try:
        shared = await sandbox.share(Context.of(""))
        sibling = await shared.session(spec)
        for escape in ESCAPES:
            session = await shared.session(spec)
            assert session.pid is not None
            assert sibling.pid is not None
            host = RecordingHost(lambda request: "reply")
            code = world.fill(escape, sibling=sibling.pid, host=os.getpid())
            result = await session.run_cell(code, host)
            found = world.breaches(result.stdout, f"{result}{host.requests}")
            if children_of(session.pid):
                found.append("it had a child")
            if (await sibling.run_cell("1 + 1", RecordingHost())).stdout != "2\n":
                found.append("its sibling is dead")
            results[escape.name] = found
            await session.aclose()
    finally:
        await sandbox.aclose()
    return {"uid": os.getuid(), "results": results}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        world = World(folder)
        try:
            found = anyio.run(attempt_all, world)
        finally:
            world.close()
    print(json.dumps(found))
