"""Gathers what a review shows: from the repository, and from the checks."""

from __future__ import annotations

from collections.abc import Sequence

from habit.errors import UsageError
from habit.library.checks.report import Report
from habit.library.habit import SKILL_FILE, Habit
from habit.library.history import difference
from habit.library.objects import empty_tree, folder, read_files
from habit.library.repository import Candidate, Repository
from habit.library.review.page import Facts
from habit.library.review.policy import objections
from habit.library.skill import skill_text
from habit.library.versions import Version


def facts_of(
    repository: Repository,
    candidate: Candidate,
    report: Report | None,
    *,
    unchecked: str = "",
    cost: Sequence[str] = (),
) -> Facts:
    """The facts of a review."""
    refs = repository.refs()
    versions = refs.of(candidate.name)
    replaced = refs.vouching(candidate.name, candidate.base) if candidate.base else None
    compared = replaced or (versions[-1] if versions else None)
    current = _readable(repository, compared)
    before = compared.tree if compared else empty_tree(repository.git)
    return Facts(
        candidate=candidate,
        current=current,
        replaces=_replaces(candidate, replaced, compared),
        number=max((one.number for one in versions), default=0) + 1,
        report=report,
        unchecked=unchecked,
        diff=difference(repository.git, before, candidate.tree),
        skill_is_generated=_skill_is_generated(repository, candidate),
        cost=cost,
        objections=objections(candidate.habit, current, report),
    )


def _replaces(candidate: Candidate, replaced: Version | None, compared: Version | None) -> str:
    if replaced:
        return f"replaces {replaced.label}"
    if candidate.base:
        return "replaces what was put there by hand" + (f", compared with {compared.label}" if compared else "")
    return f"a retired habit again, compared with {compared.label}" if compared else "a new habit"


def _readable(repository: Repository, version: Version | None) -> Habit | None:
    """The habit of a version; None when it can't be read any more, which the difference shows anyway."""
    try:
        return repository.get(version.name, version.number) if version else None
    except UsageError:
        return None


def _skill_is_generated(repository: Repository, candidate: Candidate) -> bool:
    found = read_files(repository.git, [folder(repository.git, candidate.name, candidate.tree)])[candidate.name]
    expected = skill_text(candidate.habit.spec).encode("utf-8")
    return not isinstance(found, UsageError) and found.get(SKILL_FILE) == expected
