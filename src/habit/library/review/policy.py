"""When a candidate may approve itself: its policy is ``pure-and-green``, and nothing speaks against it."""

from __future__ import annotations

from habit.library.checks.report import Report
from habit.library.habit import Habit
from habit.library.repository import Candidate, Repository
from habit.library.review.page import ceiling_text, exceeds


def objections(habit: Habit, current: Habit | None, report: Report | None) -> list[str]:
    """Why ``habit`` does not approve itself in the place of ``current``, a reason each; none when it may.

    The version in use has a say too: a candidate can't give itself a policy that a person did not approve.
    """
    found = []
    if habit.spec.policy != "pure-and-green":
        found.append("its policy is review")
    if current is not None and current.spec.policy != "pure-and-green":
        found.append(f"the policy of {current.label} is review")
    if habit.spec.capabilities:
        found.append(f"it needs {', '.join(habit.spec.capabilities)}")
    if report is None:
        return [*found, "its checks did not run"]
    if not report.pure and not habit.spec.capabilities:
        found.append("its code is not pure, or no bound of its calls could be seen")
    if not report.green:
        found.append("its tests are not green")
    if report.mutation is None or not report.mutation.tried:
        found.append("no mutants were tried")
    elif report.survivors:
        found.append(f"{len(report.survivors)} mutants survive")
    if report.order_matters:
        found.append("its answer depends on the order of the records")
    if report.ceiling is not None and exceeds(report.ceiling, habit.spec.ceiling):
        found.append(
            f"it may make {ceiling_text(report.ceiling)}, and its budget is {ceiling_text(habit.spec.ceiling)}"
        )
    return found


def settle(repository: Repository, candidate: Candidate, report: Report) -> int | None:
    """Approve ``candidate`` if its policy and its checks allow that without a person; gives the version, else None."""
    refs = repository.refs()
    version = refs.vouching(candidate.name, candidate.base) if candidate.base else None
    if candidate.base and version is None:
        return None  # somebody edited the folder by hand: that needs a person
    known = refs.of(candidate.name)
    current = repository.get(candidate.name, (version or known[-1]).number) if known else None
    if objections(candidate.habit, current, report):
        return None
    return repository.approve(candidate, candidate.tree, {"Habit-Policy": candidate.habit.spec.policy})
