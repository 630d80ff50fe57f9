"""What a good model writes when the format of an input changes: a program that reads every format of its family."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from habit.bench.data import Format
from habit.bench.families import Family


def mended(family: Family, given: Mapping[str, Any], parameters: Sequence[str], names: Mapping[str, str]) -> str:
    """The source; ``parameters`` are what the program to be mended takes, ``names`` what it calls those of the family.

    A value that is none of its parameters stays as it is ``given``.
    """
    code = family.code.format(**{name: names.get(name, repr(value)) for name, value in given.items()})
    code = _MAP.sub(r"[recursive_llm(\1, one\3) for one in \2]", code)  # a habit is handed recursive_llm alone
    body = [f"def scheduler(context, recursive_llm, *, {', '.join(parameters)}):"]
    for number, form in enumerate(sorted(family.all_formats, key=list(_TELLS).index)):
        told = (
            _TELLS[form].replace("isinstance(context, str) and context", _MESSAGES) if family.tables else _TELLS[form]
        )
        body.append(f"    {'if' if number == 0 else 'elif'} {told}:")
        body += [f"        {line}" for line in family.read(form).splitlines()]
    body += ["    else:", "        raise ValueError('the input has a layout that this program does not know')"]
    body += [f"    {line}" for line in code.splitlines()]
    body.append("    return found")
    return "\n".join(body) + "\n"


_MAP = re.compile(r"recursive_llm_map\(('[^']*'), (\w+|\[.*\])((?:, returns=[^)]*)?)\)")
_TELLS: Mapping[Format, str] = {
    "csv": "isinstance(context, str) and context.startswith('id,')",
    "semicolons": "isinstance(context, str) and context.startswith('id;')",
    "json-lines": "isinstance(context, str) and context.startswith('{')",
    "records": "isinstance(context, list)",
    "tail": "isinstance(context, str) and ' | ' in context",
    "log": "isinstance(context, str)",
}
"""How a program tells the formats apart, in the order in which it asks."""
_MESSAGES = "context['messages.csv']"
