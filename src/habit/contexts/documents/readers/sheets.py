"""Workbooks (.xlsx, .xlsm, .xlsb, .xls, .ods): the rows of each sheet, values as they were last calculated."""

from __future__ import annotations

import io

from python_calamine import CalamineWorkbook, PasswordError, SheetTypeEnum

from habit.contexts.documents.converted import Converted, Row, Unreadable
from habit.contexts.documents.readers.cells import named, plain


def read(data: bytes) -> Converted:
    """The sheets that hold anything, by name."""
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
    except PasswordError:
        raise Unreadable("is encrypted with a password", "save it without its password first") from None
    tables: dict[str, list[Row]] = {}
    for sheet in workbook.sheets_metadata:
        if sheet.typ == SheetTypeEnum.WorkSheet:
            cells = workbook.get_sheet_by_name(sheet.name).to_python(skip_empty_area=True)
            rows = [[None if cell == "" else plain(cell) for cell in row] for row in cells]
            while rows and not any(cell is not None for cell in rows[-1]):
                rows.pop()
            if rows:
                tables[sheet.name] = named(rows)
    return Converted("tables", tables, "Sheet")
