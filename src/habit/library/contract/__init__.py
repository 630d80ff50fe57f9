"""Contracts: what a habit requires of a context and promises of its answer; inferred from runs, checked before use.

A contract is checked in the host, on hostile bytes, in bounded time: on samples of a large input for every habit, and
throughout for the one that is to be used.
"""

from habit.library.contract.check import violations
from habit.library.contract.compared import Compared, comparisons
from habit.library.contract.facts import Facts, observe
from habit.library.contract.infer import infer_contract
from habit.library.contract.layouts import contract_for, violated
from habit.library.contract.postconditions import broken_postconditions
from habit.library.contract.throughout import violations_throughout

__all__ = [
    "Compared",
    "Facts",
    "broken_postconditions",
    "comparisons",
    "contract_for",
    "infer_contract",
    "observe",
    "violated",
    "violations",
    "violations_throughout",
]
