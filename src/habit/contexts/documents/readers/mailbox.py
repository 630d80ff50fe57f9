"""Mailboxes (.mbox): the messages in order, each as an e-mail of its own would be."""

from __future__ import annotations

import re

from habit.contexts.documents.converted import Converted, Unreadable
from habit.contexts.documents.readers.mail import message

_START = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From [^\r\n]*\r?\n")
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


def read(data: bytes) -> Converted:
    """The messages of a mailbox, each a text."""
    starts = list(_START.finditer(data))
    if not starts or starts[0].start():
        raise Unreadable("does not begin as a mailbox does", "take it as it is (--raw), leave it out")
    ends = [start.start() for start in starts[1:]] + [len(data)]
    read_ones = [message(_QUOTED.sub(rb"\1", data[start.end() : end])) for start, end in zip(starts, ends, strict=True)]
    cut = sum(1 for _, cut in read_ones if cut)
    notes = (f"the last part of {cut:,} message{'s' * (cut > 1)} is cut off",) if cut else ()
    return Converted("parts", [text for text, _ in read_ones], "Message", notes)
