"""Word documents (.docx): as Markdown, with headings, lists, tables, footnotes and comments."""

from __future__ import annotations

import io

import mammoth

from habit.contexts.documents.converted import Converted
from habit.contexts.documents.readers.web import markdown

_STYLES = """
p[style-name='Title'] => h1:fresh
p[style-name='Subtitle'] => h2:fresh
br[type='page'] => hr
comment-reference => sup
"""


def read(data: bytes) -> Converted:
    """The text of a document; a page break that someone set is a line of its own (``---``)."""
    pictures = mammoth.images.img_element(lambda picture: {"src": ""})
    result = mammoth.convert_to_html(io.BytesIO(data), style_map=_STYLES, convert_image=pictures)
    text, notes = markdown(result.value)
    return Converted("text", text, notes=notes)
