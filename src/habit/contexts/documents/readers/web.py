"""Web pages: HTML as Markdown, with links, lists, tables and headings."""

from __future__ import annotations

import codecs
import html
import re

from html_to_markdown import ConversionOptions, PreprocessingOptions, convert

from habit.contexts.documents.converted import Converted
from habit.contexts.encodings import to_utf8

_OPTIONS = ConversionOptions(
    extract_metadata=False,
    compact_tables=True,
    inline_data_media="alt_text_only",
    # Navigation and forms may be just what is asked about.
    preprocessing=PreprocessingOptions(enabled=False),
)
_CHARSET = re.compile(rb"<(?:meta|\?xml)\b[^>]*?(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]+)", re.I)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.I | re.S)


def read(data: bytes) -> Converted:
    """A page as Markdown; its title first, where no heading says the same."""
    source = decoded(data)
    text, notes = markdown(source)
    found = _TITLE.search(source)
    title = " ".join(html.unescape(found[1]).split()) if found else ""
    if title and f"# {title}\n" not in f"{text}\n":
        text = f"Title: {title}\n\n{text}"
    return Converted("text", text, notes=notes)


def decoded(data: bytes) -> str:
    """The text of an HTML file: UTF-8, or what the page itself declares, or what it looks like."""
    declared = _CHARSET.search(data[:4096])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    if declared and not data.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE)):
        try:
            # What calls itself Latin-1 on the web is cp1252.
            name = declared[1].decode().lower()
            return data.decode("cp1252" if name in ("iso-8859-1", "latin1", "latin-1", "us-ascii") else name)
        except (UnicodeDecodeError, LookupError):
            pass
    return str(to_utf8(data)[0], "utf-8").removeprefix("\ufeff")


def markdown(source: str) -> tuple[str, tuple[str, ...]]:
    """HTML as Markdown, and notes on what was lost. Nothing is fetched."""
    result = convert(source.encode("utf-8", "replace").decode(), _OPTIONS)
    # Two spaces at the end of a line are Markdown's line break: the break alone says the same here.
    text = (result.content or "").replace("  \n", "\n").strip()
    return text, ("parts of it are nested too deeply and were left out",) if result.warnings else ()
