"""A server process as `habit.local.serve` makes it, with a tiny HTTP server in place of llama.cpp."""

from __future__ import annotations

import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from habit.local.serve import ServeSettings, run


class Handler(BaseHTTPRequestHandler):
    api_key = ""

    def do_GET(self) -> None:
        allowed = self.headers.get("Authorization") == f"Bearer {self.api_key}"
        body = str(os.getpid()).encode()
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def start(settings: ServeSettings) -> str:
    with Path(settings.model).with_suffix(".starts").open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    if "broken" in sys.argv:
        raise RuntimeError("the tensors are out of tune")
    if "crash" in sys.argv:
        os.abort()
    if "wait" in sys.argv:
        while not Path(settings.model).with_suffix(".go").exists():
            time.sleep(0.01)
    Handler.api_key = settings.api_key
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


if __name__ == "__main__":
    run(start)
