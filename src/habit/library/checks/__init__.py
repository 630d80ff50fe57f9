"""The checks of a habit: static rules, replayed cases, metamorphic relations, mutants; nothing asks a model."""

from habit.library.checks.examine import Subject, check, examine, read_code
from habit.library.checks.report import CaseResult, Finding, Mutation, RelationResult, Report, Survivor

__all__ = [
    "CaseResult",
    "Finding",
    "Mutation",
    "RelationResult",
    "Report",
    "Subject",
    "Survivor",
    "check",
    "examine",
    "read_code",
]
