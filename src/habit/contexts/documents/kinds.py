"""Which kind of document some bytes are, by what is in them and, for kinds that are text, by the file's ending."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from habit.contexts.encodings import is_utf8

if TYPE_CHECKING:
    from zipfile import ZipFile


@dataclass(frozen=True)
class Kind:
    """A kind of document, and what converts it."""

    name: str
    """For people: "a PDF"."""
    reader: str
    """The module whose ``read`` converts it, imported in the converting process only."""
    version: int = 1
    """Raised when its reader gives something else than before, so that older conversions are not taken."""
    needs: tuple[str, ...] = ()
    """The packages that its reader imports."""
    extra: str = "docs"
    """The extra of Habit that brings them."""
    is_text: bool = False
    """Whether the file is a text itself, so that ``--raw`` is another way."""


_READERS = "habit.contexts.documents.readers."

PDF = Kind("a PDF", _READERS + "pdf", needs=("pypdfium2",))
DOCX = Kind("a Word document", _READERS + "word", needs=("mammoth", "html-to-markdown"))
SHEETS = Kind("a workbook", _READERS + "sheets", needs=("python-calamine",))
SLIDES = Kind("a presentation", _READERS + "slides", needs=("python-pptx",))
EPUB = Kind("an EPUB book", _READERS + "epub", needs=("html-to-markdown",))
WEB = Kind("a web page", _READERS + "web", needs=("html-to-markdown",), is_text=True)
MAIL = Kind("an e-mail", _READERS + "mail", needs=("html-to-markdown",), is_text=True)
MAILBOX = Kind("a mailbox", _READERS + "mailbox", needs=("html-to-markdown",), is_text=True)
NOTEBOOK = Kind("a notebook", _READERS + "notebook", is_text=True)
SQLITE = Kind("an SQLite database", _READERS + "sqlite")
PARQUET = Kind("a Parquet file", _READERS + "parquet", needs=("pyarrow",), extra="parquet")
ZIP = Kind("a zip archive", "")
TAR = Kind("a tar archive", "")
ARCHIVES = (ZIP, TAR)

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_WEB_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>\s*|<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.I | re.S
)
_HEADER = re.compile(rb"(?:\xef\xbb\xbf)?(?:From [^\n]*\n)?[!-9;-~]+:[ \t]?[^\n]*\n")
_BY_MEMBER = (
    ("word/document.xml", DOCX),
    ("xl/workbook.xml", SHEETS),
    ("xl/workbook.bin", SHEETS),
    ("ppt/presentation.xml", SLIDES),
    ("META-INF/container.xml", EPUB),
)


COMPRESSIONS = (
    (b"\x1f\x8b\x08", "gzip", (".gz",)),
    (b"\xfd7zXZ\0", "xz", (".xz",)),
    (b"\x28\xb5\x2f\xfd", "zstd", (".zst", ".zstd")),
    (b"BZh", "bzip2", (".bz2",)),
)
"""(how the content begins, name, endings of files) of each compression."""


class NoDocument(Exception):
    """A kind that is known and not converted; the arguments are what it is, and the way on."""


def compression_of(data: bytes) -> str:
    """The name of the compression that ``data`` is in; empty when it is not compressed."""
    for magic, name, _ in COMPRESSIONS:
        # Text may begin with BZh: only a digit and the start of a block make it bzip2.
        if data.startswith(magic) and (name != "bzip2" or data[4:10] in (b"1AY&SY", b"\x17rE8P\x90")):
            return name
    return ""


def kind_of(data: bytes, name: str) -> Kind | None:
    """The kind of document that ``data`` is, from a file called ``name``; None for plain text and the unknown.

    Raises NoDocument.
    """
    ending = name.lower().rpartition(".")[2] if "." in name else ""
    if b"%PDF-" in data[:1024] and (data.startswith(b"%PDF-") or ending == "pdf"):
        return PDF
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _kind_of_zip(data, ending)
    if data.startswith(b"SQLite format 3\0"):
        return SQLITE
    if data.startswith(b"PAR1") and data.endswith(b"PAR1"):
        return PARQUET
    if data[257:262] == b"ustar":
        return TAR
    if data.startswith(_OLE):
        return _kind_of_ole(data)
    return _kind_by_ending(data, ending)


def _kind_by_ending(data: bytes, ending: str) -> Kind | None:
    if not data:
        return None
    if ending in ("html", "htm", "xhtml"):
        # A template or a fragment is rather source code; what a browser was given is a page.
        start = data[:8192]
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            start = start.decode("utf-16", "ignore").encode()
        return WEB if _WEB_START.match(start) else None
    if ending in ("eml", "mht", "mhtml"):
        return MAIL
    if ending == "mbox":
        return MAILBOX
    if ending == "ipynb":
        return NOTEBOOK
    if ending in _ENDINGS and (b"\0" in data[:8192] or not is_utf8(data)):
        # Neither what the ending says nor text: the reader finds what is wrong with it.
        return _ENDINGS[ending]
    return None


_ENDINGS = {
    "docx": DOCX,
    "epub": EPUB,
    "parquet": PARQUET,
    "pdf": PDF,
    "pptx": SLIDES,
    "sqlite": SQLITE,
    "tar": TAR,
    "zip": ZIP,
    **dict.fromkeys(("xlsx", "xlsm", "xlsb", "xls", "ods"), SHEETS),
}


def looks_like_mail(data: bytes) -> bool:
    """Whether ``data`` begins with a header, as a message does."""
    return _HEADER.match(data[:8192].lstrip(b"\r\n")) is not None


def _kind_of_zip(data: bytes, ending: str) -> Kind:
    # Imported late, like all that most inputs have no need of.
    import lzma
    import struct
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = frozenset(archive.namelist())
            mimetype = archive.read("mimetype")[:100] if _is_small(archive, "mimetype") else b""
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error):
        return _ENDINGS.get(ending, ZIP)
    except (OSError, ValueError, NotImplementedError, RuntimeError, EOFError):
        return _ENDINGS.get(ending, ZIP)
    if mimetype.startswith(b"application/vnd.oasis.opendocument.spreadsheet"):
        return SHEETS
    if mimetype.startswith(b"application/vnd.oasis.opendocument."):
        raise NoDocument("is an OpenDocument file", "save it as .docx, .pptx or .pdf first")
    for member, kind in _BY_MEMBER:
        if member in names and (kind is not EPUB or mimetype.startswith(b"application/epub+zip")):
            return kind
    return ZIP


def _is_small(archive: ZipFile, name: str) -> bool:
    try:
        return archive.getinfo(name).file_size <= 100
    except KeyError:
        return False


def _kind_of_ole(data: bytes) -> Kind:
    """The old container of Microsoft Office also holds what is encrypted; the names of its streams are UTF-16."""

    def has(stream: str) -> bool:
        return stream.encode("utf-16-le") in data

    if has("EncryptedPackage"):
        raise NoDocument("is encrypted with a password", "save it without its password first")
    if has("Workbook") or has("Book"):
        return SHEETS
    if has("WordDocument"):
        raise NoDocument("is a Word document of the old kind", "save it as .docx first")
    if has("PowerPoint Document"):
        raise NoDocument("is a presentation of the old kind", "save it as .pptx first")
    if has("__properties_version1.0"):
        raise NoDocument("is an Outlook message", "save it as .eml first")
    raise NoDocument("is binary (an old office document)", "save it in a newer format first")
