"""Several layouts: a habit that was repaired takes inputs of more than one, each with a contract of its own."""

from __future__ import annotations

from habit.library.contract.check import violations
from habit.library.contract.facts import Facts
from habit.library.spec import Contract, HabitSpec


def contract_for(spec: HabitSpec, facts: Facts) -> Contract:
    """Of the layouts that the habit takes, the one that ``facts`` fit best."""
    return min(spec.contracts, key=lambda contract: len(violations(contract, facts)))


def violated(spec: HabitSpec, facts: Facts) -> list[str]:
    """The clauses that the input violates, of the layout that it fits best; none when it fits one."""
    return violations(contract_for(spec, facts), facts)
