"""Code that a model wrote anew for a habit: it may hold nothing that was read in an input, as code that is learned."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from habit.library.crystallise.composing import is_carried
from habit.library.crystallise.evidence import Evidence
from habit.library.crystallise.judging import Judge
from habit.library.crystallise.levels import Levels
from habit.library.crystallise.literals import Literals, Site
from habit.library.crystallise.recording import RecordedRun
from habit.library.crystallise.refusal import CannotLearn
from habit.library.spec import Contract


def must_hold_nothing_read(
    source: str,
    run: RecordedRun,
    values: Mapping[str, Any],
    *,
    contracts: Sequence[Contract] = (),
    before: str = "",
) -> None:
    """Raises CannotLearn when a literal of ``source`` comes from the input of ``run``, or is one of the parameters.

    What the ``contracts`` say of the format may stay, and so may the literals of ``before``, which was approved.
    """
    program = _program_of(source)
    approved = Literals(_program_of(before)).sites
    places, texts = {_place(site) for site in approved}, {site.text for site in approved if site.is_text}
    evidence = Evidence(run.query, run.context, run.answer, _declared(contracts))
    levels = Levels(program, context_is_list=isinstance(run.context.value(), list))
    literals = Literals(program)
    judge = Judge(literals, levels, evidence)
    for site in literals.sites:
        name = _parameter(site, values)
        if _place(site) in places or (site.is_text and site.text in texts and not name):
            continue
        verdict = judge.judge(site)
        if verdict.kind == "reject":
            raise CannotLearn(f"{site.node.value!r:.60} {verdict.reason}", "the code stays as it was")
        if name and verdict.kind == "lift":
            raise CannotLearn(f"{site.node.value!r:.60} is the value of {name} in one question", "use the parameter")


def _program_of(source: str) -> list[ast.stmt]:
    return [node for node in ast.parse(source).body if not is_carried(node)]


def _place(site: Site) -> str:
    """A literal with what it stands in: the same number is a position in another place."""
    return ast.dump(next((one for one in site.parents if not isinstance(one, (ast.Slice, ast.UnaryOp))), site.node))


def _declared(contracts: Iterable[Contract]) -> Iterator[object]:
    """What contracts say of the format: the literals that belong to it, columns and keys."""
    for contract in contracts:
        yield from contract.format_literals
        for field in contract.fields:
            yield from {field.name, *field.name.replace("[]", "").split(".")}


def _parameter(site: Site, values: Mapping[str, Any]) -> str:
    """The parameter that a literal says again; empty when it says none."""
    said = str(site.node.value).casefold()
    return next((name for name, value in values.items() if said == str(value).casefold()), "")
