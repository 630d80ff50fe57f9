"""Presentations (.pptx): the text of each slide, with its tables, the numbers of its charts, and its notes."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

from pptx import Presentation
from pptx.enum.shapes import MSO_SHAPE_TYPE

from habit.contexts.documents.converted import Converted


def read(data: bytes) -> Converted:
    """The slides in order: the title as a heading, then what stands on the slide, then the speaker's notes."""
    presentation = Presentation(io.BytesIO(data))
    return Converted("parts", [_slide(slide) for slide in presentation.slides], "Slide")


def _slide(slide: Any) -> str:
    title = slide.shapes.title
    heading = title.text_frame.text.strip() if title is not None and title.has_text_frame else ""
    blocks = [f"## {' '.join(heading.split())}"] if heading else []
    blocks += [block for block in _blocks(slide.shapes, title.shape_id if heading else None) if block.strip()]
    if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) is not None and frame.text.strip():
        blocks.append(f"Notes: {_lines(frame.text)}")
    return "\n\n".join(blocks)


def _blocks(shapes: Iterable[Any], title_id: int | None) -> Iterator[str]:
    for shape in shapes:
        if shape.shape_id == title_id:
            continue
        if shape.shape_type == MSO_SHAPE_TYPE.GROUP:
            yield from _blocks(shape.shapes, title_id)
        elif shape.has_text_frame:
            paragraphs = shape.text_frame.paragraphs
            yield "\n".join("  " * paragraph.level + _lines(paragraph.text) for paragraph in paragraphs).strip("\n")
        elif getattr(shape, "has_table", False):
            yield _grid([[cell.text for cell in row.cells] for row in shape.table.rows])
        elif getattr(shape, "has_chart", False):
            yield _chart(shape.chart)


def _chart(chart: Any) -> str:
    title = chart.chart_title.text_frame.text if chart.has_title and chart.chart_title.has_text_frame else ""
    blocks = [f"Chart: {title}" if title else "Chart:"]
    for plot in chart.plots:
        series = list(plot.series)
        rows = [["", *(one.name for one in series)]]
        for index, category in enumerate(plot.categories):
            values = (one.values[index] if index < len(one.values) else None for one in series)
            rows.append([str(category), *("" if value is None else f"{value:.15g}" for value in values)])
        blocks.append(_grid(rows))
    return "\n".join(blocks)


def _grid(rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in row) + " |" for row in rows]
    if lines:
        lines.insert(1, "|" + " --- |" * len(rows[0]))
    return "\n".join(lines)


def _lines(text: str) -> str:
    return text.replace("\v", "\n")
