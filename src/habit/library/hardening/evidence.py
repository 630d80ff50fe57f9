"""Whether a rule may be believed: it must reply rightly to examples that it was not made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from habit.library.hardening.rules import Example, Lookup, Rule, agrees, fit, known

LEAST_EXAMPLES = 20
"""Recorded replies before anything is believed."""
LEAST_OF_EACH = 4
"""Of each reply, where it is one of a few."""
_FOLDS = 5
_LEAST_KNOWN = 0.8
"""The share of examples that a rule must reply to: less would save little and complicate the code."""


def believable(examples: Sequence[Example]) -> tuple[Rule | None, str]:
    """A rule that reproduces the examples and holds on those held out; or None, and why there is none."""
    if len(examples) < LEAST_EXAMPLES:
        return None, f"{len(examples)} replies are recorded, fewer than {LEAST_EXAMPLES}"
    counts = Counter(f"{type(reply).__name__} {reply!r}" for _, reply in examples)
    if len(counts) < 2:
        return None, "every reply was the same, which shows nothing of the others"
    different = list({(text, repr(reply)): (text, reply) for text, reply in examples}.values())
    for rule in fit(examples):
        # Only a lookup learns from a text that comes again; to any other rule it is the same example.
        shown = examples if isinstance(rule, Lookup) else different
        if len(shown) < LEAST_EXAMPLES or known(rule, shown) < _LEAST_KNOWN * len(shown):
            continue
        of_each = Counter(f"{type(reply).__name__} {reply!r}" for _, reply in shown)
        if len(of_each) <= len(shown) // LEAST_OF_EACH and min(of_each.values()) < LEAST_OF_EACH:
            continue
        if _holds_on_others(type(rule), shown):
            return rule, ""
    return None, "no rule reproduces all replies and holds on replies it was not made from"


def _holds_on_others(kind: type[Rule], examples: Sequence[Example]) -> bool:
    """Make a rule of the same kind from four fifths of the examples, and ask it the rest; five times."""
    ordered = sorted(examples, key=lambda one: (repr(one[1]), one[0]))
    total = right = 0
    for fold in range(_FOLDS):
        held_out = ordered[fold::_FOLDS]
        others = [example for index, example in enumerate(ordered) if index % _FOLDS != fold]
        rules = [rule for rule in fit(others) if type(rule) is kind]
        if not rules or not agrees(rules[0], held_out):
            return False
        total += len(held_out)
        right += known(rules[0], held_out)
    return right >= _LEAST_KNOWN * total
