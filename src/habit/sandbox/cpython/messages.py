"""What a worker's frames mean to the host. They are hostile input: anything unexpected raises PeerBroken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from habit.contexts.context import Context, decode
from habit.contexts.parked import park_slice
from habit.sandbox.cpython import frames
from habit.sandbox.cpython.wire import PeerBroken
from habit.sandbox.session import LlmRequest

Checked = TypeVar("Checked")

ORIGIN = "a context given to recursive_llm"
MAX_ERROR = 16_000
MAX_VARIABLES = 500
MAX_SCHEMA_DEPTH = 64
STATUSES = ("ok", "error", "answered", "interrupted")


@dataclass(frozen=True)
class Ask:
    """``recursive_llm`` or, with ``many``, ``recursive_llm_map``."""

    id: int
    requests: list[LlmRequest]
    many: bool


@dataclass(frozen=True)
class Offer:
    """``answer(value)``."""

    id: int
    value: Any


@dataclass(frozen=True)
class Done:
    """The end of a cell."""

    status: Literal["ok", "error", "answered", "interrupted"]
    stdout: str
    dropped: int
    error: str
    variables: str


Message = Ask | Offer | Done


def parse(
    header: Mapping[str, Any], blob: memoryview, *, cell: int, output_chars: int, whole: Context | None = None
) -> Message:
    """The message in a frame of the cell that is running; ``whole`` is the session's own context, where it may pass
    that on without sending it. Raises PeerBroken."""
    if _get(header, "cell", int) != cell:
        raise PeerBroken("a frame of another cell")
    match header.get("t"):
        case "call":
            context = header.get("context")
            return _ask(header, blob, [context], whole, many=False)
        case "map":
            contexts = _get(header, "contexts", list)
            if len(contexts) > frames.MAX_SLOTS:
                raise PeerBroken("a map of too many contexts")
            return _ask(header, blob, contexts, whole, many=True)
        case "batch":
            return _batch(header, blob)
        case "answer":
            try:
                return Offer(_get(header, "id", int), frames.decode_json(blob))
            except frames.FrameError as error:
                raise PeerBroken(f"an answer that is {error}") from None
        case "done":
            return _done(header, blob, output_chars)
        case other:
            raise PeerBroken(f"a frame of the unknown type {other!r:.40}")


def _ask(header: Mapping[str, Any], blob: memoryview, contexts: list[Any], whole: Context | None, *, many: bool) -> Ask:
    schema = header.get("schema")
    if schema is not None and not (isinstance(schema, dict) and _is_small(schema)):
        raise PeerBroken("a schema that is none")
    child = header.get("child", False)
    if type(child) is not bool:
        raise PeerBroken("a wish for a child that is none")
    site, line = _size(header.get("site", 0)), _size(header.get("line", 0))
    end = _size(header.get("query"))
    query = _text(blob[:end])
    requests = []
    for item in contexts:
        context = None
        if item == frames.WHOLE and whole is not None:
            context = whole
        elif item is not None:
            if not (isinstance(item, list) and len(item) == 2 and item[0] in ("text", "json")):
                raise PeerBroken("a context that is none")
            start, end = end, end + _size(item[1])
            context = _context(item[0], blob[start:end])
        requests.append(LlmRequest(query, context, schema, child, site, line))
    if end != len(blob):
        raise PeerBroken("sizes that do not add up")
    return Ask(_get(header, "id", int), requests, many)


def _batch(header: Mapping[str, Any], blob: memoryview) -> Ask:
    sizes = _get(header, "queries", list)
    if len(sizes) > frames.MAX_SLOTS:
        raise PeerBroken("a batch of too many queries")
    site = _size(header.get("site", 0))
    requests, end = [], 0
    for size in sizes:
        start, end = end, end + _size(size)
        requests.append(LlmRequest(_text(blob[start:end]), None, None, site=site))
    if end != len(blob):
        raise PeerBroken("sizes that do not add up")
    return Ask(_get(header, "id", int), requests, True)


def _context(kind: Literal["text", "json"], payload: memoryview) -> Context:
    try:
        decode(kind, payload)
    except (ValueError, RecursionError):
        raise PeerBroken("a context that cannot be decoded") from None
    return Context(kind, park_slice(payload), ORIGIN)


def _done(header: Mapping[str, Any], blob: memoryview, output_chars: int) -> Done:
    status = _get(header, "status", str)
    if status not in STATUSES:
        raise PeerBroken(f"a cell that ended {status!r:.40}")
    stdout = _text(blob)
    if _size(header.get("stdout")) != len(blob) or len(stdout) > output_chars:
        raise PeerBroken("more output than was agreed")
    return Done(
        status,  # type: ignore[arg-type]
        stdout,
        _size(header.get("dropped")),
        _get(header, "error", str)[:MAX_ERROR],
        _get(header, "variables", str)[:MAX_VARIABLES],
    )


def _get(header: Mapping[str, Any], name: str, kind: type[Checked]) -> Checked:
    value = header.get(name)
    if type(value) is not kind:
        raise PeerBroken(f"a frame without a proper {name!r}")
    return value


def _size(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 60:
        raise PeerBroken("a size that is none")
    return value


def _text(data: memoryview) -> str:
    try:
        return str(data, "utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise PeerBroken("text that is not UTF-8") from None


def _is_small(schema: dict[str, Any]) -> bool:
    level: list[Any] = [schema]
    for _ in range(MAX_SCHEMA_DEPTH):
        level = [
            item
            for node in level
            for item in (node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())
        ]
        if not level:
            return len(frames.encode_json(schema)) <= frames.MAX_SCHEMA
    return False
