"""Looks for words in the records of ``context``: run inside the session, in the Python that every sandbox knows.

Never imported: its text is fed to a session before the root is asked. It prints nothing, or which words the records
lack and where their text is. Whatever it can't make out is passed over: nothing is said then.
"""

# ruff: noqa: F821 - the names of the session are there
# mypy: ignore-errors
# Nothing is imported, and every name begins with an underscore, so that no variable is left for the root to see.

_LOOKED_AT = 4_000_000
"""Characters of a context above which nothing is looked at."""
_WORDY = 3
"""Words in a cell, on the average, from which on a column holds text rather than values."""


def _records(most):
    """(records, the column of their text, its name): a list of str with None, or a list of dicts; None for all else."""
    if isinstance(context, str):
        if len(context) > _LOOKED_AT:
            return None
        lines = [line for line in context.split("\n") if line.strip()]
        if _are_marked(lines):
            return (lines, None) if len(lines) <= most else None
    elif not isinstance(context, (list, tuple)) or not context:
        return None
    elif not [1 for item in context[:most] if not isinstance(item, str)]:
        return (list(context), None) if len(context) <= most else None
    try:
        rows = table()
    except ValueError:
        return None
    if not rows or len(rows) > most:
        return None
    best, name = 0, None
    for key in rows[0]:
        words = sum([len(row[key].split()) for row in rows if isinstance(row[key], str)])
        if words > best:
            best, name = words, key
    return (rows, name) if name is not None and best >= _WORDY * len(rows) else None


def _are_marked(lines):
    """Whether the lines are a list: all begin with one mark, such as ``-`` or ``ITEM:``."""
    if len(lines) < 3:
        return False
    mark = lines[0].split()[0]
    if mark[-1:] not in ("-", "*", "•", ":", ">") or mark[:1] in ("{", "["):
        return False
    return not [1 for line in lines if line.split()[0] != mark]


def _words(text):
    return "".join([char if char.isalnum() else " " for char in text.lower()]).split()


def _look(words, most):
    found = _records(most)
    if found is None:
        return
    rows, name = found
    there = set()
    for row in rows:
        if name is None:
            there.update(_words(row))
            continue
        for key, cell in row.items():
            there.update(_words(key))
            there.update(_words(str(cell)))
    lacking = []
    for word in words:
        stem = word[:-3] if word.endswith("ies") else word[:-1] if word.endswith("s") else word
        if not [1 for one in there if one.startswith(stem)]:
            lacking.append(word)
    print(json.dumps({"lacking": lacking, "column": name, "items": not isinstance(context, str)}))
