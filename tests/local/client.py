"""A process that uses the shared server: prints what it got, then holds it until stdin ends."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anyio

from habit.local.server import local_server


async def main() -> None:
    async with local_server(Path(sys.argv[1]), command=sys.argv[2:]) as server:
        print(json.dumps({"url": server.base_url, "pid": server.pid}), flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)


anyio.run(main)
