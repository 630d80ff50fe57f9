"""Notebooks (.ipynb): the cells in order, code and what it printed in fences."""

from __future__ import annotations

import json
from typing import Any

from habit.contexts.documents.converted import Converted, Unreadable


def read(data: bytes) -> Converted:
    """The cells of a notebook, each a text."""
    remedy = "take it as it is (--raw), leave it out"
    try:
        notebook = json.loads(data)
    except (ValueError, RecursionError) as problem:
        raise Unreadable(f"is no valid notebook ({problem})", remedy) from None
    sheets = notebook.get("worksheets") if isinstance(notebook, dict) else None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if cells is None and isinstance(sheets, list):  # format 3
        cells = [cell for sheet in sheets if isinstance(sheet, dict) for cell in sheet.get("cells", [])]
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise Unreadable("is no notebook: it holds no list of cells", remedy)
    info = notebook.get("metadata", {})
    language = info.get("kernelspec", {}).get("language") or info.get("language_info", {}).get("name") or "python"
    return Converted("parts", [_cell(cell, str(language)) for cell in cells], "Cell")


def _cell(cell: dict[str, Any], language: str) -> str:
    source = _joined(cell.get("source", cell.get("input", "")))
    if cell.get("cell_type") != "code":
        return source
    blocks = [_fenced(source, language)]
    printed = "".join(_output(output) for output in cell.get("outputs", []) if isinstance(output, dict))
    if printed.strip():
        blocks.append(_fenced(printed.strip("\n"), "output"))
    return "\n\n".join(blocks)


def _output(output: dict[str, Any]) -> str:
    """What an output says as text; pictures are left out."""
    if output.get("output_type") in ("error", "pyerr"):
        return f"{output.get('ename')}: {output.get('evalue')}\n"
    data = output.get("data")
    text = _joined(data.get("text/plain", "") if isinstance(data, dict) else output.get("text", ""))
    return text if not text or text.endswith("\n") else text + "\n"


def _joined(text: Any) -> str:
    return "".join(str(line) for line in text) if isinstance(text, list) else str(text)


def _fenced(text: str, info: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{info}\n{text}\n{fence}"
