"""PDF: the text of each page, by PDFium."""

from __future__ import annotations

import pypdfium2

from habit.contexts.documents.converted import Converted, Unreadable


def read(data: bytes) -> Converted:
    """The pages of a PDF, each a text."""
    if b"%%EOF" not in data:
        raise Unreadable("is a PDF that ends too early", "fetch or export it again, leave it out")
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise Unreadable("is encrypted with a password", "decrypt it first (qpdf --decrypt)") from None
        raise
    pages: list[str] = []
    lost: list[str] = []
    for number in range(len(document)):
        try:
            page = document[number]
            pages.append(_text(page))
            page.close()
        except pypdfium2.PdfiumError:
            pages.append("")
            lost.append(f"{number + 1:,}")
    if not any(pages):
        raise Unreadable("holds no text, only pictures such as scans", "add the text first (ocrmypdf)")
    notes = [f"damaged pages without text: {', '.join(lost[:10])}{' …' * (len(lost) > 10)}"] if lost else []
    if bare := sum(not page for page in pages) - len(lost):
        notes.append(f"{bare:,} of {len(pages):,} pages hold no text, only pictures or nothing")
    return Converted("parts", pages, "Page", tuple(notes))


def _text(page: pypdfium2.PdfPage) -> str:
    text: str = page.get_textpage().get_text_range()
    # U+FFFE is how PDFium marks a hyphen that ends a line; it joins the lines.
    return text.replace("\0", "").replace("\ufffe", "-").replace("\r\n", "\n").replace("\r", "\n").strip()
