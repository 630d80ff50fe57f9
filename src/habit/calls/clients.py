"""HTTP clients for pydantic-ai's providers: aiohttp underneath, no limit on connections, no retries, no redirects."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio

from habit.calls.ratelimits import RateLimit, read_rate_limits

if TYPE_CHECKING:
    import httpx
    import httpx2

CONNECT_SECONDS = 15.0
KEEP_IDLE_SECONDS = 30.0
UNLIMITED = 0
"""What aiohttp takes for no limit; None would leave it at 100 connections."""


class Clients:
    """Makes HTTP clients and closes them together.

    Proxies come from the environment as usual, but a server on this machine is never asked through one.
    """

    def __init__(self, timeout: float, *, url: str | None) -> None:
        self._timeout = timeout
        self._trust_env = not is_loopback(url)
        self._open: list[httpx.AsyncClient | httpx2.AsyncClient] = []

    def httpx2(self) -> httpx2.AsyncClient:
        """A client as most providers want it."""
        import httpx2
        from httpx_aiohttp.httpx2 import Httpx2AiohttpClient

        client = Httpx2AiohttpClient(
            timeout=httpx2.Timeout(self._timeout, connect=CONNECT_SECONDS, pool=None),
            limits=httpx2.Limits(max_connections=UNLIMITED, keepalive_expiry=KEEP_IDLE_SECONDS),
            follow_redirects=False,
            trust_env=self._trust_env,
            event_hooks={"response": [_hear]},
        )
        self._open.append(client)
        return client

    def httpx(self) -> httpx.AsyncClient:
        """The same for providers whose SDK still wants the older httpx."""
        import httpx
        from httpx_aiohttp import HttpxAiohttpClient

        client = HttpxAiohttpClient(
            timeout=httpx.Timeout(self._timeout, connect=CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=UNLIMITED, keepalive_expiry=KEEP_IDLE_SECONDS),
            follow_redirects=False,
            trust_env=self._trust_env,
            event_hooks={"response": [_hear]},
        )
        self._open.append(client)
        return client

    async def aclose(self) -> None:
        """Close them all, even when cancelled."""
        with anyio.CancelScope(shield=True):
            while self._open:
                await self._open.pop().aclose()


_listener: ContextVar[list[RateLimit] | None] = ContextVar("_listener", default=None)


@contextmanager
def heard_limits() -> Iterator[list[RateLimit]]:
    """Holds what the last answer inside the block said of rate limits: SDKs keep the headers to themselves."""
    heard: list[RateLimit] = []
    token = _listener.set(heard)
    try:
        yield heard
    finally:
        _listener.reset(token)


async def _hear(response: httpx.Response | httpx2.Response) -> None:
    if (heard := _listener.get()) is not None:
        heard[:] = read_rate_limits(response.headers)


def is_loopback(url: str | None) -> bool:
    """Whether ``url`` is on this machine."""
    host = urlsplit(url).hostname if url else None
    if host is None:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
