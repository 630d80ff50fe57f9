"""What a series of values holds, in a few words: type, range, frequent values or examples."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from habit.contexts.display import clean, literal, quoted, share

_WIDTH = 40
_LOOKED_AT = 200
"""Characters of a long text that are compared with others."""
_INT = re.compile(r"\s*[+-]?\d{1,18}\s*", re.ASCII)
_FLOAT = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\s*", re.ASCII)
_DATE = re.compile(
    r"\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([T ]\d{1,2}:\d{2}.{0,20})?\s*", re.ASCII
)
_SORTABLE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_BOOLS = {"true", "false", "yes", "no"}
_MISSING = {"na", "n/a", "nan", "null", "none", "-", "?"}
_NAMES = {str: "str", int: "int", float: "float", bool: "bool", type(None): "None", list: "list", dict: "dict"}


def type_name(value: object) -> str:
    """The type of a JSON value, by its Python name."""
    return _NAMES.get(type(value)) or clean(type(value).__name__, 40)


def cell_kind(cell: str) -> str:
    """What the text of a cell stands for: ``int``, ``float``, ``date``, ``bool``, ``str``; nothing for an empty one."""
    if _INT.fullmatch(cell):
        return "int"
    if not cell or cell.isspace():
        return ""
    if len(cell) > 60:
        return "str"
    if _FLOAT.fullmatch(cell):
        return "float"
    if _DATE.fullmatch(cell):
        return "date"
    return "bool" if cell.strip().casefold() in _BOOLS else "str"


def summarise_cells(cells: Sequence[str]) -> str:
    """A column of a table whose cells came as text."""
    kinds = [cell_kind(cell) for cell in cells]
    filled = [(kind, cell) for kind, cell in zip(kinds, cells, strict=True) if kind]
    if not filled:
        return "empty"
    names = Counter(kind for kind, _ in filled)
    missing = {cell for kind, cell in filled if kind == "str" and cell.strip().casefold() in _MISSING}
    typed = [(kind, cell) for kind, cell in filled if cell not in missing]
    notes = [f"{share(len(cells) - len(filled), len(cells))} empty"] if len(filled) < len(cells) else []
    if missing and typed and all(kind in ("int", "float") for kind, _ in typed):
        part = share(len(filled) - len(typed), len(cells))
        notes.append(f"{part} written {', '.join(quoted(text, 12) for text in sorted(missing)[:3])}")
        filled, names = typed, Counter(kind for kind, _ in typed)
    texts = [cell for _, cell in filled]
    if set(names) <= {"int", "float"}:
        kind = "float" if names["float"] else "int"
        values: list[int | float] = [float(text) if kind == "float" else int(text) for text in texts]
        said = _numbers(kind, values, written=dict(zip(values, texts, strict=True)))
    elif set(names) == {"date"}:
        said = _dates(texts)
    elif len(names) == 1:
        said = _texts(next(iter(names)), texts)
    else:
        said = _texts(_mixture(names), texts)
    return ", ".join([said, *notes])


def summarise_values(values: Sequence[object]) -> str:
    """Scalars of JSON: one type or several, with range, frequent values or examples."""
    kinds = Counter(type_name(value) for value in values)
    nothing = kinds.pop("None", 0)
    known = [value for value in values if value is not None]
    if not known:
        return "None"
    if set(kinds) <= {"int", "float"}:
        said = _numbers("float" if kinds["float"] else "int", [x for x in known if isinstance(x, (int, float))])
    elif set(kinds) == {"str"}:
        texts = [value for value in known if isinstance(value, str)]
        if all(cell_kind(text) == "date" for text in texts[:60]):
            said = f"str, {_dates([text[:40] for text in texts])}"
        else:
            said = _texts("str", texts)
    elif set(kinds) == {"bool"}:
        said = f"bool, {_frequent([repr(value) for value in known])}"
    else:
        examples = list(dict.fromkeys(literal(value, _WIDTH) for value in known[:40]))
        said = f"{_mixture(kinds)}, such as {', '.join(examples[:3])}"
    return f"{said}, {share(nothing, len(values))} None" if nothing else said


def _mixture(kinds: Counter[str]) -> str:
    return " or ".join(f"{kind} ({share(number, kinds.total())})" for kind, number in kinds.most_common(4))


def _numbers(kind: str, values: Sequence[int | float], written: dict[int | float, str] | None = None) -> str:
    def shown(value: int | float) -> str:
        return literal(value, 24) if written is None else clean(written[value].strip(), 24)

    finite = [value for value in values if isinstance(value, int) or math.isfinite(value)]
    if not finite:
        return f"{kind}, such as {shown(values[0])}"
    if _repeats(values, few=6):
        return f"{kind}, {_frequent([shown(value) for value in values])}"
    least, most = min(finite), max(finite)
    return (
        f"{kind}, {shown(least)} to {shown(most)}" if least != most else f"{kind}, {_only(shown(least), len(values))}"
    )


def _dates(texts: Sequence[str]) -> str:
    texts = [text.strip() for text in texts]
    if all(_SORTABLE.match(text) for text in texts):
        least, most = min(texts), max(texts)
        least, most = clean(least, 32), clean(most, 32)
        return f"date, {least} to {most}" if least != most else f"date, {_only(least, len(texts))}"
    return f"date, such as {', '.join(clean(text, 32) for text in list(dict.fromkeys(texts))[:3])}"


def _texts(kind: str, texts: Sequence[str]) -> str:
    lengths = sorted(len(text) for text in texts)
    texts = [text[:_LOOKED_AT] for text in texts]
    if _repeats(texts, few=12) and lengths[-1] <= 2 * _WIDTH:
        return f"{kind}, {_frequent([quoted(text, _WIDTH) for text in texts])}"
    said = kind
    if lengths[-1] > _WIDTH:
        shortest = f"{lengths[0]:,} to " * (lengths[0] < lengths[-1])
        said += f" of {shortest}{lengths[-1]:,} characters"
    different = list(dict.fromkeys(texts))
    if len(different) < len(texts) * 2 // 3:
        said += f", {len(different):,} different among {len(texts):,}"
    examples = different[: 2 if lengths[-1] > _WIDTH else 3]
    return f"{said}, such as {', '.join(quoted(text, _WIDTH) for text in examples)}"


def _only(value: str, number: int) -> str:
    return f"{'always' if number > 2 else 'such as'} {value}"


def _repeats(values: Sequence[object], *, few: int) -> bool:
    """Whether the values are a few that come again and again."""
    return len(values) >= 8 and len(set(values)) <= min(few, len(values) // 3)


def _frequent(shown: Sequence[str]) -> str:
    """The different values, the frequent ones first, each with its share."""
    counts = Counter(shown).most_common()
    if len(counts) == 1:
        return f"always {counts[0][0]}"
    return f"{len(counts)} values: {', '.join(f'{text} {share(number, len(shown))}' for text, number in counts)}"
