"""E-mail (.eml, .mht): the headers that people read, the text, and the names of the attachments."""

from __future__ import annotations

import email.policy
from collections.abc import Iterator
from email.errors import CloseBoundaryNotFoundDefect, HeaderParseError, StartBoundaryNotFoundDefect
from email.header import decode_header, make_header
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser

from habit.contexts.documents.converted import Converted, Unreadable
from habit.contexts.documents.kinds import looks_like_mail
from habit.contexts.documents.readers.web import markdown
from habit.contexts.encodings import BinaryFile, to_utf8

_HEADERS = ("From", "To", "Cc", "Bcc", "Reply-To", "Date", "Subject", "Message-ID", "In-Reply-To")


def read(data: bytes) -> Converted:
    """One message as a text."""
    if not looks_like_mail(data):
        raise Unreadable("does not begin as an e-mail does", "take it as it is (--raw), leave it out")
    text, cut = message(data.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n"))
    return Converted("text", text, notes=("its last part is cut off",) if cut else ())


def message(data: bytes) -> tuple[str, bool]:
    """The text of one message, and whether its end is missing."""
    parsed = BytesParser(EmailMessage, policy=email.policy.default).parsebytes(data)
    ends = (CloseBoundaryNotFoundDefect, StartBoundaryNotFoundDefect)
    return _whole(parsed), any(isinstance(defect, ends) for part in parsed.walk() for defect in part.defects)


def _whole(parsed: MIMEPart) -> str:
    """Headers, attachments, the text to read, and below it the messages that were forwarded with it."""
    found = {name.lower(): _decoded(value) for name, value in reversed(list(parsed.raw_items()))}
    lines = [f"{name}: {found[name.lower()]}" for name in _HEADERS if name.lower() in found]
    best = parsed.get_body(preferencelist=("plain", "html"))
    if best is None and not parsed.is_multipart() and parsed.get_content_maintype() == "text":
        best = parsed
    attached: list[str] = []
    texts = [] if best is None else [_text(best).strip()]
    for part in _parts(parsed):
        if part.get_content_type() == "message/rfc822":
            attached.append("a message")
            texts += [f"--- Attached message ---\n{_whole(inner)}" for inner in part.iter_parts()]
        elif part is not best and (part.get_filename() or not part.get_content_type().startswith("text/")):
            attached.append(_named(part))
    if attached:
        lines.append(f"Attachments: {', '.join(attached)}")
    return "\n".join(lines) + "\n\n" + "\n\n".join(texts)


def _parts(message: MIMEPart) -> Iterator[MIMEPart]:
    """The parts of a message, not those of the messages in it."""
    if not message.is_multipart() or message.get_content_type() == "message/rfc822":
        yield message
        return
    for part in message.iter_parts():
        yield from _parts(part)


def _decoded(value: object) -> str:
    """A header in one line. Not by the policy, which takes addresses apart: ten times slower."""
    raw = str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    try:
        text = str(make_header(decode_header(raw)))
    except (LookupError, ValueError, HeaderParseError):
        text = raw
    return " ".join(text.split())


def _named(part: MIMEPart) -> str:
    name = " ".join(str(part.get_filename() or "without a name").split())
    return f"{name} ({part.get_content_type()})"


def _text(part: MIMEPart) -> str:
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return str(part.get_payload())
    charset = part.get_content_charset()
    try:
        text = data.decode(charset or "utf-8")
    except (LookupError, UnicodeDecodeError):
        try:
            text = str(to_utf8(data)[0], "utf-8")
        except BinaryFile:
            text = data.decode("latin-1")
    text = text.replace("\r\n", "\n")
    return markdown(text)[0] if part.get_content_type() == "text/html" else text
