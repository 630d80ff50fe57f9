"""How versioned scheduler code is run in a session: its source, and one call of ``scheduler`` with its parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_LOADING = "import json as parameters_of\n"


def cell_of(source: str, parameters: Mapping[str, Any]) -> str:
    """The cell that runs ``source`` and answers with what ``scheduler`` returns.

    Parameters are data: they pass through JSON in a string literal, whatever they hold, and are never code.
    """
    given = repr(json.dumps(dict(parameters), ensure_ascii=True))
    return f"{source.rstrip()}\n\n{_LOADING}answer(scheduler(context, recursive_llm, **parameters_of.loads({given})))\n"


def is_invocation(code: str) -> bool:
    """Whether ``code`` is a cell made by ``cell_of``."""
    return f"\n{_LOADING}answer(scheduler(context, recursive_llm, **parameters_of.loads(" in code
