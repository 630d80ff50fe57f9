"""Opens a file's bytes, layer by layer: compressions undone, archives taken apart, documents converted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from habit.contexts.documents.convert import Converter
from habit.contexts.documents.converted import Converted, Unreadable
from habit.contexts.documents.kinds import ARCHIVES, NoDocument, compression_of, kind_of

if TYPE_CHECKING:
    from habit.contexts.documents.archives import Allowance, Archive

MAX_LAYERS = 6
"""Compressions and archives within one another."""


@dataclass(frozen=True)
class Plain:
    """What is neither document nor archive: text, or something unknown."""

    data: bytes
    name: str
    """The file's name, without the endings of the compressions that were undone."""


@dataclass(frozen=True)
class Members:
    """The files of an archive, opened one after another as they are asked for.

    Each is (its name in the archive, what it is or what is wrong with it).
    """

    files: Iterator[tuple[str, Plain | Converted | Unreadable]]


@dataclass
class Opener:
    """Opens files. ``notes`` is what people should know of the files opened so far."""

    converter: Converter
    notes: list[str] = field(default_factory=list)

    def open(self, data: bytes, name: str, sha256: str = "") -> Plain | Converted | Members:
        """What a file with the bytes ``data``, called ``name``, holds. Raises Unreadable."""
        return self._open(data, name, name, None, 0, sha256)

    def _open(
        self, data: bytes, name: str, shown: str, allowance: Allowance | None, layers: int, sha256: str = ""
    ) -> Plain | Converted | Members:
        while compression := compression_of(data):
            from habit.contexts.documents.archives import Allowance, decompress, inner_name

            layers, sha256 = _deeper(layers), ""
            allowance = allowance or Allowance.for_file(len(data))
            data, name = decompress(data, compression, allowance), inner_name(name)
        try:
            kind = kind_of(data, name)
        except NoDocument as known:
            raise Unreadable(*known.args) from None
        if kind is None:
            return Plain(data, name)
        if kind in ARCHIVES:
            from habit.contexts.documents.archives import Allowance, Archive

            allowance = allowance or Allowance.for_file(len(data))
            return Members(self._members(Archive(kind, data, allowance), shown, _deeper(layers)))
        converted = self.converter.convert(data, kind, sha256)
        self.notes += [f"{shown}: {note}." for note in converted.notes]
        return converted

    def _members(
        self, archive: Archive, shown: str, layers: int
    ) -> Iterator[tuple[str, Plain | Converted | Unreadable]]:
        for name, data in archive.members():
            if isinstance(data, Unreadable):
                yield name, data
                continue
            try:
                inner = self._open(data, name, f"{shown}/{name}", archive.allowance, layers)
                if not isinstance(inner, Members):
                    yield name, inner
                    continue
                for deeper, item in inner.files:
                    yield f"{name}/{deeper}", item
            except Unreadable as problem:
                if archive.allowance.is_spent():
                    raise
                yield name, problem
        for count, what, why in (
            (archive.links, "link", "not followed"),
            (archive.outside, "member", "with a name that leads out of the archive"),
        ):
            if count:
                self.notes.append(f"{shown}: {count:,} {what}{'s' * (count > 1)} {why}, left out.")


def _deeper(layers: int) -> int:
    if layers >= MAX_LAYERS:
        raise Unreadable("is packed in too many layers", "unpack it yourself if you trust it")
    return layers + 1
