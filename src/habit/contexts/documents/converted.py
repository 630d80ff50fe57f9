"""What a document holds once it is converted: one text, parts in order, or tables by name."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeGuard

Row: TypeAlias = dict[str, Any] | list[Any]
"""By column name; a list where the columns have no names."""


class Unreadable(Exception):
    """A document that cannot be converted; the arguments are what is wrong ("is encrypted"), and the way on."""

    @property
    def reason(self) -> str:
        """What is wrong, to follow the document's name."""
        return str(self.args[0])

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return str(self.args[1]) if len(self.args) > 1 else "leave it out"


@dataclass(frozen=True)
class Converted:
    """The content of one document, its boundaries kept.

    ``value`` is a str (shape ``text``), a list of str (``parts``) or a dict from name to rows (``tables``).
    """

    shape: Literal["text", "parts", "tables"]
    value: Any
    unit: str = ""
    """What a part is: Page, Slide, Chapter, Message, Cell."""
    notes: tuple[str, ...] = ()

    def alone(self) -> Any:
        """The value that a session gets when this document is the whole context: a single table is just its rows."""
        if self.shape == "tables" and len(self.value) == 1:
            return next(iter(self.value.values()))
        return self.value

    def among(self, key: str) -> list[tuple[str, str]]:
        """(key, text) for a dict of texts: parts under headings, each table as CSV under a key of its own."""
        if self.shape == "text":
            return [(key, self.value)]
        if self.shape == "parts":
            return [(key, "\n\n".join(f"# {self.unit} {n}\n\n{part}" for n, part in enumerate(self.value, 1)))]
        if len(self.value) == 1:
            return [(key, as_csv(next(iter(self.value.values()))))]
        return [(f"{key}/{name}", as_csv(rows)) for name, rows in self.value.items()]

    def is_empty(self) -> bool:
        """Whether there is nothing to read in it."""
        if self.shape == "text":
            return not self.value.strip()
        if self.shape == "parts":
            return not any(part.strip() for part in self.value)
        return not self.value

    def to_json(self) -> bytes:
        """As it leaves the converting process and lies in the cache."""
        fields = {"shape": self.shape, "value": self.value, "unit": self.unit, "notes": self.notes}
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")

    @classmethod
    def from_json(cls, data: bytes) -> Converted:
        """Read what ``to_json`` wrote, trusting nothing; raises ValueError."""
        try:
            fields = json.loads(str(data, "utf-8", "surrogatepass"))
        except RecursionError:
            raise ValueError("nested too deeply") from None
        if not isinstance(fields, dict) or not isinstance(fields.get("unit"), str):
            raise ValueError("not a converted document")
        shape: Any = fields.get("shape")
        value, notes = fields.get("value"), fields.get("notes", [])
        if not _fits(shape, value) or not _are_texts(notes):
            raise ValueError("not a converted document")
        return cls(shape, value, fields["unit"], tuple(notes))


def _fits(shape: object, value: object) -> bool:
    if shape == "text":
        return isinstance(value, str)
    if shape == "parts":
        return _are_texts(value)
    return (
        shape == "tables"
        and isinstance(value, dict)
        and all(isinstance(rows, list) and all(isinstance(row, dict | list) for row in rows) for rows in value.values())
    )


def _are_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def as_csv(rows: list[Row]) -> str:
    """Rows as CSV with a line of names, if they have names; a cell that holds a list or dict is JSON."""
    import csv

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = list(dict.fromkeys(name for row in rows if isinstance(row, dict) for name in row))
    if names:
        writer.writerow(names)
    for row in rows:
        cells = [row.get(name) for name in names] if isinstance(row, dict) else row
        writer.writerow([_cell(cell) for cell in cells])
    return out.getvalue()


def _cell(cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    return "" if cell is None else json.dumps(cell, ensure_ascii=False)
