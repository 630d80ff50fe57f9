"""A bounded call: one model request whose prompt is checked to fit before it is sent."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

from habit.calls.ratelimits import RateLimit
from habit.calls.tools import ONLY_PYTHON, Tools

Role = Literal["root", "leaf"]
"""*root* calls write code or steer; *leaf* calls do semantic work on a slice."""


_SURROGATES = re.compile("[\ud800-\udfff]")


def sendable(text: str) -> str:
    """``text`` with lone surrogates replaced by U+FFFD: contexts may hold them, JSON in UTF-8 can't."""
    return text if text.isascii() else _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)


@dataclass(frozen=True)
class Message:
    """One message of a prompt."""

    role: Literal["system", "user", "assistant"]
    content: str
    shared: int = field(default=0, compare=False)
    """How many characters at its start other calls are likely to repeat: where a provider may be told to cache the
    prompt. Nothing that is asked, and so not part of the content key."""


@dataclass(frozen=True)
class Sampling:
    """Sampling settings; ``None`` leaves the provider's default. All of them are part of the content key."""

    temperature: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    grammar: str | None = None
    """A GBNF grammar, honoured by the local model; other providers ignore it."""


@dataclass(frozen=True)
class Call:
    """One bounded model request.

    ``schema`` is a JSON schema the reply should satisfy (``None``: free text); providers with structured output use
    it, all others are asked in words by the prompt. The reply is validated by the caller either way.
    """

    model: str
    messages: tuple[Message, ...]
    role: Role
    schema: Mapping[str, Any] | None = None
    sampling: Sampling = field(default_factory=Sampling)
    about: str = ""
    """What the prompt stands for beyond its words: in a child run, the digest of the child's context. Part of the
    content key, so that children whose prompts happen to be the same keep their replies apart in a replay."""
    tools: Tools = ()
    """What the model may call; ``habit.calls.tools`` has the text form of such calls."""
    session: str = "0"
    """Which session asked: ``0`` is the root run, ``0.2`` its second child. Not part of the content key."""
    cell: int = 0
    """Which cell of that session asked, from 1; 0 outside any cell. Not part of the content key."""
    heard: Callable[[str], None] | None = field(default=None, compare=False, repr=False)
    """Told all of the reply's text so far while a model that streams writes it, again from the start after a failed
    attempt; a reply that is known already is not told. Must not fail. Not part of the content key."""

    @property
    def measured(self) -> tuple[Message, ...]:
        """What takes room in the window: the messages, and what is said of the tools."""
        if not self.tools:
            return self.messages
        return (*self.messages, Message("system", json.dumps([tool.to_json() for tool in self.tools])))

    @cached_property
    def key(self) -> str:
        """The content key: SHA-256 (hex) over model, messages, schema, sampling settings and the rest that is asked."""
        content = {
            "model": self.model,
            "messages": [[m.role, m.content] for m in self.messages],
            "schema": self.schema,
            **({"about": self.about} if self.about else {}),
            **_offered(self.tools),
            "sampling": {k: v for k, v in asdict(self.sampling).items() if v is not None},
        }
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _offered(tools: Tools) -> dict[str, Any]:
    """The tools in a content key."""
    if tools == ONLY_PYTHON:
        return {"tool": True}  # its words were never part of a key
    return {"tools": [tool.to_json() for tool in tools]} if tools else {}


@dataclass(frozen=True)
class Reply:
    """What came back, with exact usage in tokens and cost in USD (``None``: no price known)."""

    text: str
    input_tokens: int
    output_tokens: int
    usd: float | None = None
    finish: str = "stop"
    """``stop`` or ``length`` (cut off at the output limit)."""
    seconds: float = 0.0
    cached: bool = False
    """True when the reply came from the journal and nothing was sent or paid."""
    cache_read_tokens: int = 0
    """How many of ``input_tokens`` the provider took from its prompt cache, where it tells."""
    estimated: bool = False
    """True when the provider did not say how many tokens it took, and they were estimated."""
    limits: tuple[RateLimit, ...] = ()
    """What the server said of its rate limits; not kept in the journal."""
