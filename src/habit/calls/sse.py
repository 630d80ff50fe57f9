"""A streamed reply of a chat server, put together again into the answer that an unstreamed call gets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

Heard = Callable[[str], None]
"""Told all of a reply's text so far, again and again while it comes; from the start when it is asked for once more."""


class StreamError(Exception):
    """The server reports an error in the middle of its stream."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__("an error in the stream")
        self.answer = answer
        said = answer.get("error")
        code = said.get("code") if isinstance(said, dict) else None
        self.status: int = code if type(code) is int and 400 <= code < 600 else 500
        """The HTTP status it would have had at the start."""


class StreamedAnswer:
    """Takes the bytes of a stream as they come. ``answer`` has the shape that the same call has without streaming."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._rest = b""
        self._text = ""
        self._more: dict[str, str] = {}
        self._finish: str | None = None
        self._usage: Any = None
        self.complete = False
        """Whether the server said that it is done."""

    @property
    def answer(self) -> dict[str, Any]:
        """What the server has said."""
        message = {"role": "assistant", "content": self._text, **self._more}
        usage = {"usage": self._usage} if self._usage is not None else {}
        return {"choices": [{"index": 0, "message": message, "finish_reason": self._finish}], **usage}

    def feed(self, data: bytes) -> None:
        """The next bytes. Raises StreamError, or ValueError, LookupError, TypeError or AttributeError on nonsense."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        before = len(self._text)
        for line in lines:
            field, _, value = line.strip().partition(b":")
            if field == b"error":  # as llama.cpp says it
                raise StreamError({"error": json.loads(value)})
            if field == b"data" and (value := value.strip()):
                self._take(value)
        if len(self._text) > before:
            self._heard(self._text)

    def _take(self, data: bytes) -> None:
        if data == b"[DONE]":
            self.complete = True
            return
        event = json.loads(data)
        if event.get("error"):
            raise StreamError(event)
        self._usage = event.get("usage") or self._usage
        for choice in event.get("choices") or ():
            delta = choice.get("delta") or {}
            self._text += delta.get("content") or ""
            for name in ("reasoning_content", "refusal"):
                if delta.get(name):
                    self._more[name] = self._more.get(name, "") + delta[name]
            if choice.get("finish_reason"):
                self._finish, self.complete = choice["finish_reason"], True
