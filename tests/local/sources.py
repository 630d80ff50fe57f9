"""A fake hub and a fake package index on loopback, with faults on demand."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from habit.local.models import KnownModel

CONTENT = b"GGUF" + bytes(range(256)) * 4000
CHUNKS = [CONTENT[:400_000], CONTENT[400_000:800_000], CONTENT[800_000:]]
MODEL = KnownModel(
    name="tiny",
    file="tiny.gguf",
    size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    hub_path="Org/Tiny/resolve/main/tiny.gguf",
    chunks=tuple((f"tiny-part{number}", "1.0") for number in range(1, 4)),
    licence="none",
)


@dataclass
class Sources:
    """What the servers do, and what they saw."""

    url: str = ""
    content: bytes = CONTENT
    chunks: list[bytes] = field(default_factory=lambda: list(CHUNKS))
    hub_status: int = 0
    """Answer the hub's file with this status instead of the file."""
    honour_ranges: bool = True
    lie_about_range: bool = False
    break_after: list[int] = field(default_factory=list)
    """One entry for each reply that breaks off after so many bytes."""
    missing_chunks: set[int] = field(default_factory=set)
    hub_ranges: list[str | None] = field(default_factory=list)
    wheels: list[str] = field(default_factory=list)


def wheel(number: int, data: bytes, *, pieces: int = 1) -> bytes:
    """A wheel like those of the chunk packages; its code would raise if anyone ran it."""
    buffer = io.BytesIO()
    name = f"tiny_part{number}"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('the code of a chunk package was run')")
        for piece in range(pieces):
            archive.writestr(f"{name}/piece{piece}.bin", data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-part{number}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return buffer.getvalue()


@contextmanager
def serve() -> Iterator[Sources]:
    """Both servers at one address: ``/Org/…`` is the hub, ``/simple/…`` the index."""
    sources = Sources()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            if self.path == f"/{MODEL.hub_path}":
                self._hub()
            elif self.path.startswith("/simple/"):
                self._index(self.path.split("/"))
            else:
                self._send(404, b"")

        def _hub(self) -> None:
            asked = self.headers.get("Range")
            sources.hub_ranges.append(asked)
            if sources.hub_status:
                return self._send(sources.hub_status, b"<html>not here</html>")
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and sources.honour_ranges else 0
            body = sources.content[start:]
            headers = {}
            if start:
                first = start + sources.lie_about_range
                headers["Content-Range"] = f"bytes {first}-{len(sources.content) - 1}/{len(sources.content)}"
            cut = sources.break_after.pop(0) if sources.break_after else len(body)
            return self._send(206 if start else 200, body[:cut], length=len(body), headers=headers)

        def _index(self, steps: list[str]) -> None:
            number = int(steps[2].removeprefix("tiny-part"))
            if number in sources.missing_chunks:
                return self._send(404, b"")
            name = f"tiny_part{number}-1.0-py3-none-any.whl"
            if steps[3] == name:
                sources.wheels.append(name)
                return self._send(200, wheel(number, sources.chunks[number - 1]))
            page = f'<!DOCTYPE html><html><body><a href="/simple/tiny-part{number}/{name}">{name}</a></body></html>'
            return self._send(200, page.encode(), headers={"Content-Type": "text/html"})

        def _send(
            self, status: int, body: bytes, *, length: int | None = None, headers: dict[str, str] | None = None
        ) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            for key, value in (headers or {}).items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sources.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield sources
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
