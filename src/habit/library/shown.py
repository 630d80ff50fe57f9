"""Values in a sentence, cut where they are long."""

from __future__ import annotations


def short(text: str, most: int = 80) -> str:
    """At most ``most`` characters of ``text``; the last says that there were more."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
