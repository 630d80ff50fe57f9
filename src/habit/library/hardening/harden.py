"""Harden: a leaf call whose recorded replies a deterministic rule reproduces becomes code, as a candidate."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, replace

from habit.contexts.estimate import estimate_text
from habit.errors import UsageError
from habit.library.case import Case, Exchange, Replies
from habit.library.checks import Report, examine
from habit.library.habit import Habit
from habit.library.hardening.evidence import believable
from habit.library.hardening.rewriting import with_rules
from habit.library.hardening.rules import Example, Rule, known
from habit.library.hardening.sites import Site, all_exchanges, sites_of
from habit.library.rehearsal import Rehearsed, stage
from habit.library.same import same
from habit.sandbox.session import Sandbox

_MOST_PROMPTS = 20
"""Values of the parameters in a prompt for which a rule is sought, the most frequent first."""


@dataclass(frozen=True)
class HardenedCall:
    """One leaf call that a rule stands in for."""

    query: str
    rule: str
    """The rule in a sentence."""
    examples: int
    """Recorded replies, all of which it reproduces or does not know."""
    known: int
    """Of these, how many it replies to."""
    tokens: int
    """What the calls it saves took in the cases, by a cautious estimate."""


@dataclass(frozen=True)
class Hardened:
    """A candidate in which rules stand in for leaf calls."""

    habit: Habit
    report: Report
    calls: Sequence[HardenedCall]
    left: Sequence[tuple[str, str]]
    """Prompts that stay leaf calls, each with the reason."""


async def harden(sandbox: Sandbox, habit: Habit, evidence: Sequence[Exchange] = ()) -> Hardened:
    """Put rules before the leaf calls of ``habit`` where all that was recorded, in its cases and ``evidence``, agrees.

    Raises UsageError, with the reason for each prompt, when there is no rule that can be believed.
    """
    sites, left = sites_of(ast.parse(habit.source))
    exchanges = all_exchanges([*(case.exchanges for case in habit.cases.values()), evidence])
    rules: list[tuple[Site, Rule, str]] = []
    calls: list[HardenedCall] = []
    for site in sites:
        whys = []
        for prompt in site.prompts(exchanges)[:_MOST_PROMPTS]:
            examples = site.examples(exchanges, prompt)
            rule, why = believable(examples)
            if rule is None:
                whys.append(why)
                continue
            rules.append((site, rule, prompt))
            saved = sum(_tokens(prompt, rule, site.examples(case.exchanges, prompt)) for case in habit.cases.values())
            calls.append(HardenedCall(prompt, rule.says, len(examples), known(rule, examples), saved))
            break
        else:
            left.append((site.query, whys[0] if whys else "it was never asked"))
    if not rules:
        reasons = "; ".join(f"{query[:60]!r}: {why}" for query, why in left) or "it asks nothing"
        raise UsageError(f"{habit.label} can't be hardened ({reasons}): use it more, then try again.")
    hardened = await rebuilt(
        sandbox, habit, with_rules(habit.source, rules), [f"hardened: {one.rule}" for one in calls]
    )
    report = await examine(sandbox, hardened)
    if report.troubles():
        raise UsageError(f"{habit.label} can't be hardened: with its rules {report.troubles()[0]}.")
    ceiling = report.ceiling or hardened.spec.ceiling
    hardened = replace(hardened, spec=hardened.spec.model_copy(update={"ceiling": ceiling}))
    return Hardened(hardened, report, calls, left)


async def rebuilt(sandbox: Sandbox, habit: Habit, source: str, notes: Sequence[str]) -> Habit:
    """The habit with other code that answers its cases the same, whose cases hold just what that code asks.

    Raises UsageError when it answers a case otherwise.
    """
    cases: dict[str, Case] = {}
    for name, case in habit.cases.items():
        rehearsed = await _rehearse(sandbox, habit, source, case)
        if rehearsed.trouble or not same(rehearsed.answer, case.expected):
            why = rehearsed.trouble or f"it answers {str(rehearsed.answer)[:60]} instead of {str(case.expected)[:60]}"
            raise UsageError(f"{habit.label} can't be changed: on case {name} {why}.")
        cases[name] = replace(case, exchanges=list(rehearsed.asked))
    origin = f"{habit.name}@{habit.version}" if habit.version is not None else habit.spec.provenance.repairs
    told = (*habit.spec.provenance.notes, *notes)
    provenance = habit.spec.provenance.model_copy(update={"repairs": origin, "notes": told})
    # Replies in which labels change places say nothing of code that no longer asks for them.
    relations = tuple(name for name in habit.spec.relations if name != "label-renaming")
    spec = habit.spec.model_copy(update={"provenance": provenance, "relations": relations})
    return Habit(spec, source, cases)


async def _rehearse(sandbox: Sandbox, habit: Habit, source: str, case: Case) -> Rehearsed:
    async with stage(sandbox, case.context, habit.spec.answer_type.check) as here:
        return await here.play(source, case.parameters, Replies(case.exchanges))


def _tokens(prompt: str, rule: Rule, examples: Sequence[Example]) -> int:
    """Tokens of the calls that the rule makes unnecessary: prompt, slice and reply."""
    saved = 0
    for text, reply in examples:
        if rule.reply(text) is not None:
            saved += estimate_text(prompt) + estimate_text(text) + estimate_text(str(reply))
    return saved
