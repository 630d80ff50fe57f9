"""Turns whatever goes wrong between us and a server into one CallFailed with a reason and a sentence that helps."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from habit.calls.provider import TransientFailure
from habit.calls.ratelimits import read_rate_limits
from habit.errors import CallFailed

_MESSAGE_CHARS = 300
_TRANSIENT = {408: "timeout", 409: "server", 425: "server", 429: "rate_limited", 504: "timeout"}
_TOO_LONG = re.compile(
    r"context.{0,3}(length|window|size)|maximum.{0,20}(context|tokens)|too many (input )?tokens|prompt is too long|"
    r"input (is )?too long|exceeds? the .{0,40}(context|token)|request too large",
    re.IGNORECASE,
)
_NO_CREDIT = re.compile(r"insufficient_quota|insufficient (balance|credit|funds)|billing|credit balance", re.IGNORECASE)
_NO_TOOLS = re.compile(r"\btools?\b|tool[_ -]choice|function[_ -]call", re.IGNORECASE)
_NO_SCHEMAS = re.compile(r"schema|response.format|structured", re.IGNORECASE)
_KEY_LIKE = re.compile(
    r"\b(?:sk|pk|gsk|xai|hf|r8|nvapi|AIza|AKIA|Bearer|Basic)[-_ ]?[A-Za-z0-9*][A-Za-z0-9_\-*./+=]{6,}"
    r"|(?<=//)[^/\s@]+:[^/\s@]+(?=@)",
)


def one_line(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` on one line, at most a few hundred characters, without keys: the given ones and what looks like one."""
    known = sorted(filter(None, secrets), key=len, reverse=True)
    for secret in known:
        text = text.replace(secret, "…")
    text = " ".join(text[: 20 * _MESSAGE_CHARS].split())
    for secret in known:  # once more, for one that was broken over lines
        text = text.replace(secret, "…")
    text = _KEY_LIKE.sub("…", text)
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return text if len(text) <= _MESSAGE_CHARS else text[: _MESSAGE_CHARS - 1] + "…"


def secrets_in_environment() -> list[str]:
    """Values of variables that hold keys, to be kept out of messages."""
    return [
        value
        for name, value in os.environ.items()
        if len(value) >= 8 and re.search(r"(KEY|TOKEN|SECRET|PASSWORD)$", name)
    ]


def retry_after(headers: Mapping[str, str] | None) -> float | None:
    """Seconds the server asks to wait, from ``retry-after-ms`` or ``Retry-After`` (seconds or an HTTP date)."""
    lowered = {name.lower(): value for name, value in (headers or {}).items()}
    seconds: float | None = None
    try:
        if "retry-after-ms" in lowered:
            seconds = float(lowered["retry-after-ms"]) / 1000
    except ValueError:
        pass
    value = lowered.get("retry-after")
    if seconds is None and value is not None:
        try:
            seconds = float(value)
        except ValueError:
            try:
                seconds = parsedate_to_datetime(value).timestamp() - time.time()
            except (ValueError, TypeError, OverflowError):
                return None
    if seconds is None or not math.isfinite(seconds):
        return None
    return max(0.0, seconds)


def said_by_server(body: Any) -> str:
    """The message in an error body, whatever its shape."""
    if isinstance(body, Mapping):
        for name in ("error", "message", "detail", "error_message"):
            if body.get(name):
                return said_by_server(body[name])
        return ""
    if isinstance(body, list):
        return said_by_server(body[0]) if body else ""
    return str(body) if body is not None else ""


def failure_for_status(
    status: int,
    body: Any,
    headers: Mapping[str, str] | None,
    *,
    model: str,
    key_name: str,
    wait: float | None = None,
    secrets: Iterable[str] = (),
    near: str = "",
) -> CallFailed:
    """The failure that an HTTP error status stands for.

    ``key_name`` is the variable that holds the key; ``wait`` is used when no header says how long to wait; ``near`` is
    a hint at models with similar names.
    """
    said = one_line(said_by_server(body), secrets)
    quoted = f" ({said})" if said else ""
    if status == 402 or (status in (400, 403, 429) and _NO_CREDIT.search(f"{said} {body}"[:5000])):
        return CallFailed(
            f"the account behind {model} has no credit left{quoted}: check its billing", reason="rejected"
        )
    if status in _TRANSIENT or status >= 500:
        asked = retry_after(headers)
        asked = asked if asked is not None else wait
        reason = _TRANSIENT.get(status, "server")
        if reason == "rate_limited":
            when = f" in {math.ceil(asked)} seconds" if asked else " later"
            text = f"{model} is rate limited{quoted}: try again{when}, or with a lower concurrency"
        else:
            text = f"the server of {model} failed with status {status}{quoted}: try again later"
        limits = read_rate_limits(headers or {})
        return TransientFailure(text, reason=reason, retry_after=asked, status=status, limits=limits)
    if status in (401, 403):
        return CallFailed(
            f"the server of {model} refused the key{quoted}: check the key in {key_name}", reason="rejected"
        )
    if status == 404:
        return CallFailed(
            f"the server has no model {model}{quoted}: check the model's name and the base URL{near}", reason="rejected"
        )
    if status == 413 or (status in (400, 422) and _TOO_LONG.search(said)):
        return CallFailed(f"the prompt is too long for {model}{quoted}: pass a smaller context", reason="too_long")
    if 300 <= status < 400:
        return CallFailed(
            f"the server of {model} redirects to another address: give that one as the base URL", reason="rejected"
        )
    return CallFailed(
        f"the server of {model} rejected the call with status {status}{quoted}: check the model's name and settings",
        reason="rejected",
    )


def blames_tools(failure: CallFailed) -> bool:
    """Whether a server refused a call because it came with a tool."""
    return failure.reason == "rejected" and _NO_TOOLS.search(str(failure)) is not None


def blames_schema(failure: CallFailed) -> bool:
    """Whether a server refused a call because it came with a schema."""
    return failure.reason == "rejected" and _NO_SCHEMAS.search(str(failure)) is not None


def blames_streaming(failure: CallFailed) -> bool:
    """Whether a server rejected a call because it does not stream, or not as it was asked to."""
    return failure.reason == "rejected" and re.search(r"\bstream", str(failure), re.IGNORECASE) is not None


def no_tools(model: str, said: str = "") -> CallFailed:
    """The model, or its server, takes no tools."""
    quoted = f" ({said})" if said else ""
    return CallFailed(f"{model} can't be given tools{quoted}: leave out --execution tool", reason="no_tools")


def nonsense(model: str, detail: str, secrets: Iterable[str] = ()) -> TransientFailure:
    """A whole answer came that is no reply; retried once, because a gateway's hiccup looks like this."""
    return TransientFailure(
        f"the server of {model} sent something that is no reply ({one_line(detail[:120], secrets)}): check that the "
        "base URL speaks the OpenAI protocol",
        reason="invalid",
        at_most=1,
    )


def broken(model: str, detail: str, secrets: Iterable[str] = ()) -> TransientFailure:
    """No connection, or one that broke before the reply was complete."""
    return TransientFailure(
        f"the connection to {model} failed ({one_line(detail, secrets)}): check the network and the base URL",
        reason="connection",
    )


def too_slow(model: str, seconds: float) -> TransientFailure:
    """Nothing came within the time allowed."""
    return TransientFailure(f"{model} did not answer within {seconds:g} seconds: try again later", reason="timeout")
