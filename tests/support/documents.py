"""Documents of every kind, made here, so that a test knows just what is in them."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import sqlite3
import struct
import tarfile
import zipfile
from bz2 import compress as bzip2
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from html import escape
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import xlsxwriter
import zstandard
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def pdf(pages: Sequence[Sequence[str]]) -> bytes:
    """A PDF whose pages hold these lines."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    font = "<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >> >> >>"
    kids = []
    for lines in pages:
        shown = "".join(f"({_pdf_string(line)}) Tj T* " for line in lines)
        stream = f"BT /F1 12 Tf 14 TL 72 720 Td {shown}ET"
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {len(objects)} 0 R /Resources {font} >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(out.tell())
        out.write(f"{number} 0 obj\n{content}\nendobj\n".encode("cp1252"))
    start = out.tell()
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}".encode())
    out.write(f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode())
    return out.getvalue()


def _pdf_string(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def docx(blocks: Sequence[tuple[str, Any]]) -> bytes:
    """A Word document of (style, text) paragraphs; the style ``table`` takes rows of texts, ``page`` is a break."""
    body = "".join(_docx_block(style, content) for style, content in blocks)
    styles = {style: style.replace(" ", "") for style, _ in blocks if style not in ("", "table", "page")}
    return zipped(
        {
            "[Content_Types].xml": _content_types({"/word/document.xml": _MAIN}),
            "_rels/.rels": _relations({"rId1": ("officeDocument", "word/document.xml")}),
            "word/_rels/document.xml.rels": _relations({"rId1": ("styles", "styles.xml")}),
            "word/styles.xml": f'<w:styles xmlns:w="{_W}">'
            + "".join(
                f'<w:style w:type="paragraph" w:styleId="{key}"><w:name w:val="{name}"/></w:style>'
                for name, key in styles.items()
            )
            + "</w:styles>",
            "word/document.xml": f'<w:document xmlns:w="{_W}"><w:body>{body}</w:body></w:document>',
        }
    )


def _docx_block(style: str, content: Any) -> str:
    if style == "page":
        return '<w:p><w:r><w:br w:type="page"/></w:r></w:p>'
    if style == "table":
        rows = (
            "".join(f"<w:tc><w:p><w:r><w:t>{escape(cell)}</w:t></w:r></w:p></w:tc>" for cell in row) for row in content
        )
        return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>"
    key = style.replace(" ", "")
    properties = f'<w:pPr><w:pStyle w:val="{key}"/></w:pPr>' if style else ""
    return f'<w:p>{properties}<w:r><w:t xml:space="preserve">{escape(content)}</w:t></w:r></w:p>'


def _relations(targets: Mapping[str, tuple[str, str]]) -> str:
    links = "".join(
        f'<Relationship Id="{key}" Type="{_OFFICE}/{kind}" Target="{name}"/>' for key, (kind, name) in targets.items()
    )
    return f'<Relationships xmlns="{_RELATIONS}">{links}</Relationships>'


def _content_types(parts: Mapping[str, str]) -> str:
    overrides = "".join(f'<Override PartName="{name}" ContentType="{kind}"/>' for name, kind in parts.items())
    rels = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    types = "http://schemas.openxmlformats.org/package/2006/content-types"
    return f'<Types xmlns="{types}">{rels}<Default Extension="xml" ContentType="application/xml"/>{overrides}</Types>'


def xlsx(sheets: Mapping[str, Sequence[Sequence[Any]]]) -> bytes:
    """A workbook with these rows in its sheets."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "default_date_format": "yyyy-mm-dd"}) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for index, row in enumerate(rows):
                sheet.write_row(index, 0, row)
    return out.getvalue()


def ods(rows: Sequence[Sequence[str]]) -> bytes:
    """An OpenDocument workbook with these rows of texts in one sheet."""
    base = "urn:oasis:names:tc:opendocument:xmlns:"
    spaces = " ".join(f'xmlns:{name}="{base}{name}:1.0"' for name in ("office", "table", "text", "manifest"))
    cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    rows_of_cells = "".join(f"<table:table-row>{''.join(map(cell.format, row))}</table:table-row>" for row in rows)
    table = f'<table:table table:name="S">{rows_of_cells}</table:table>'
    body = f"<office:body><office:spreadsheet>{table}</office:spreadsheet></office:body>"
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    entry = f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
    return zipped(
        {
            "mimetype": kind,
            "content.xml": f"<office:document-content {spaces}>{body}</office:document-content>",
            "META-INF/manifest.xml": f"<manifest:manifest {spaces}>{entry}</manifest:manifest>",
        }
    )


def pptx(slides: Sequence[tuple[str, Sequence[str], str]], *, table: bool = False, chart: bool = False) -> bytes:
    """A presentation of (title, lines, notes) slides; the last may also have a table and a chart."""
    deck = Presentation()
    slide = None
    for title, lines, notes in slides:
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = "\n".join(lines)
        if notes:
            slide.notes_slide.notes_text_frame.text = notes
    place = (Inches(1), Inches(1), Inches(4), Inches(2))
    if slide is not None and table:
        grid = slide.shapes.add_table(2, 2, *place).table
        for index, text in enumerate(["item", "count", "apples", "3 | 4"]):
            grid.cell(index // 2, index % 2).text = text
    if slide is not None and chart:
        data = CategoryChartData()
        data.categories = ["north", "south"]
        data.add_series("sales", (1.5, 2))
        slide.shapes.add_chart(XL_CHART_TYPE.BAR_CLUSTERED, *place, data)
    out = io.BytesIO()
    deck.save(out)
    return out.getvalue()


def epub(chapters: Sequence[str]) -> bytes:
    """A book whose chapters have these bodies of XHTML."""
    names = [f"text/chapter {n}.xhtml" for n in range(1, len(chapters) + 1)]
    items = "".join(
        f'<item id="c{n}" href="{name.replace(" ", "%20")}" media-type="application/xhtml+xml"/>'
        for n, name in enumerate(names)
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(names)))
    namespace = "http://www.idpf.org/2007/opf"
    package = f'<package xmlns="{namespace}"><manifest>{items}</manifest><spine>{spine}</spine></package>'
    container = "urn:oasis:names:tc:opendocument:xmlns:container"
    root = '<rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles>'
    xhtml = '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body>{}</body></html>'
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": f'<container xmlns="{container}">{root}</container>',
            "OEBPS/book.opf": package,
            **{f"OEBPS/{name}": xhtml.format(body) for name, body in zip(names, chapters, strict=True)},
        }
    )


def message(subject: str, body: str, *, html: str = "", attachments: Mapping[str, bytes] | None = None) -> EmailMessage:
    """An e-mail."""
    mail = EmailMessage()
    mail["From"] = "Ada Lovelace <ada@example.org>"
    mail["To"] = "Charles Babbage <charles@example.org>"
    mail["Date"] = "Mon, 02 Nov 2026 09:30:00 +0000"
    mail["Subject"] = subject
    if body:
        mail.set_content(body)
    if html and body:
        mail.add_alternative(html, subtype="html")
    elif html:
        mail.set_content(html, subtype="html")
    for name, data in (attachments or {}).items():
        mail.add_attachment(data, maintype="application", subtype="pdf", filename=name)
    return mail


def mbox(messages: Sequence[EmailMessage]) -> bytes:
    """A mailbox, its lines that begin with From quoted as usual."""
    parts = []
    for one in messages:
        text = one.as_bytes().replace(b"\nFrom ", b"\n>From ")
        parts.append(b"From ada@example.org Mon Nov  2 09:30:00 2026\n" + text.rstrip(b"\n") + b"\n\n")
    return b"".join(parts)


def notebook(cells: Sequence[Mapping[str, Any]]) -> bytes:
    """A notebook of these cells."""
    kernel = {"kernelspec": {"name": "python3", "language": "python"}}
    return json.dumps({"cells": list(cells), "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}).encode()


def sqlite(path: Path, *statements: str) -> bytes:
    """A database made by these statements, written at ``path`` too."""
    with sqlite3.connect(path) as database:
        for statement in statements:
            database.execute(statement)
    database.close()
    return path.read_bytes()


def parquet(columns: Mapping[str, Any]) -> bytes:
    """A Parquet file of these columns."""
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(dict(columns)), out)
    return out.getvalue()


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    """A zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(members: Mapping[str, str | bytes], *others: tarfile.TarInfo) -> bytes:
    """A tar archive; ``others`` are members without content, such as links."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            content = data.encode() if isinstance(data, str) else data
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in others:
            archive.addfile(info)
    return out.getvalue()


def tar_link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    """A link to put into a tar archive."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


COMPRESSIONS = {
    ".gz": gzip.compress,
    ".bz2": bzip2,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}
"""By ending."""


def encrypted_zip(name: str) -> bytes:
    """A zip archive that says that its member is encrypted."""
    data = bytearray(zipped({name: "secret"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.index(signature) + offset
        flags = struct.unpack_from("<H", data, place)[0] | 1
        struct.pack_into("<H", data, place, flags)
    return bytes(data)
