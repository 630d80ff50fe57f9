"""Downloads a model file from the Hugging Face Hub, or a mirror of it (``HF_ENDPOINT``), going on at any byte."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from habit.local.models import KnownModel

if TYPE_CHECKING:
    import httpx2

    from habit.local.pull import Partial, Progress

_CONNECT_SECONDS = 5.0
"""Where the hub is blocked, packets often vanish: that must cost seconds, not minutes."""
_READ_SECONDS = 60.0
_FRUITLESS_TRIES = 3


class HubUnusable(Exception):
    """The hub cannot be reached from here, or what answers is not the hub; another source may do."""


def hub_url(model: KnownModel) -> str:
    """Where the file is, without credentials: the models Habit knows are public."""
    endpoint = os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or "https://huggingface.co"
    return f"{endpoint}/{model.hub_path}"


def download(model: KnownModel, partial: Partial, report: Progress) -> None:
    """Append what is missing to ``partial``. Raises HubUnusable; the bytes that came stay."""
    import httpx2  # 0.1 s to import, of no use to anybody who has the model already

    url, fruitless = hub_url(model), 0
    timeout = httpx2.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
    try:
        with httpx2.Client(timeout=timeout, follow_redirects=True) as client:
            while partial.size < model.size:
                before = partial.size
                try:
                    _download_once(client, url, model, partial, report)
                except httpx2.ConnectError as error:
                    raise HubUnusable(f"{url} cannot be reached ({error})") from error
                except httpx2.ConnectTimeout as error:
                    raise HubUnusable(f"{url} does not answer within {_CONNECT_SECONDS:.0f} s") from error
                except httpx2.TransportError as error:  # a connection that broke on the way: go on from there
                    problem: Exception | None = error
                else:
                    problem = None
                fruitless = 0 if partial.size > before else fruitless + 1
                if fruitless == _FRUITLESS_TRIES:
                    raise HubUnusable(f"{url} sends nothing ({problem or 'empty replies'})")
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.TooManyRedirects) as error:
        raise HubUnusable(f"{url} cannot be used ({error})") from error


def _download_once(client: httpx2.Client, url: str, model: KnownModel, partial: Partial, report: Progress) -> None:
    # Without "identity" a proxy may send the file compressed, and then no offset means anything.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={partial.size}-"} if partial.size else {})
    with client.stream("GET", url, headers=headers) as reply:
        if reply.status_code == 200:
            total = reply.headers.get("Content-Length", "?")
            if total != str(model.size):
                raise HubUnusable(f"{url} has a file of {total} bytes and not of {model.size}")
            if partial.size:  # it ignores ranges: all of it comes again
                partial.cut_back(0)
        elif reply.status_code != 206:
            raise HubUnusable(f"{url} answered {reply.status_code}")
        elif reply.headers.get("Content-Range") != f"bytes {partial.size}-{model.size - 1}/{model.size}":
            raise HubUnusable(f"{url} sent another part of the file than was asked for")
        for block in reply.iter_raw():  # as it comes: a fixed block size would lose what a broken reply held back
            if partial.size + len(block) > model.size:
                raise HubUnusable(f"{url} sends more than {model.size} bytes")
            partial.write(block)
            report(partial.size, model.size)
