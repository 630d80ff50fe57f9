"""EPUB books: the chapters in reading order, as Markdown."""

from __future__ import annotations

import io
import posixpath
import zipfile
from urllib.parse import unquote
from xml.etree import ElementTree

from habit.contexts.documents.converted import Converted, Unreadable
from habit.contexts.documents.readers.web import decoded, markdown

_PAGES = ("application/xhtml+xml", "text/html")


def read(data: bytes) -> Converted:
    """The parts of the book's spine that hold any text, each a text."""
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        if "META-INF/encryption.xml" in book.namelist() and b"http://www.w3.org/2001/04/xmlenc#aes" in book.read(
            "META-INF/encryption.xml"
        ):
            raise Unreadable("is protected against copying (DRM)", "leave it out")
        container = ElementTree.fromstring(book.read("META-INF/container.xml"))
        root_files = [str(file.get("full-path")) for file in container.iterfind(".//{*}rootfile")]
        if not root_files:
            raise Unreadable("is a damaged EPUB book (it names no content)", "fetch it again, leave it out")
        package = ElementTree.fromstring(book.read(root_files[0]))
        items = {item.get("id"): item for item in package.iterfind(".//{*}item")}
        chapters: list[str] = []
        notes: dict[str, None] = {}
        for reference in package.iterfind(".//{*}itemref"):
            item = items.get(reference.get("idref", ""))
            if item is None or item.get("media-type") not in _PAGES:
                continue
            path = posixpath.normpath(posixpath.join(posixpath.dirname(root_files[0]), unquote(item.get("href", ""))))
            text, lost = markdown(decoded(book.read(path)))
            notes.update(dict.fromkeys(lost))
            if text:
                chapters.append(text)
    return Converted("parts", chapters, "Chapter", tuple(notes))
