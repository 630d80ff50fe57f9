"""The matcher: hard filters, then learned phrasings, then at most one question to the leaf model; else it abstains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar

import anyio.to_thread

from habit.calls.kernel import Kernel
from habit.calls.returns import Returns
from habit.contexts.context import Context
from habit.contexts.display import clean
from habit.library.case import Case
from habit.library.contract import Facts, observe, violated
from habit.library.match.align import Effort, readings, trimmed
from habit.library.match.asking import ask_model
from habit.library.match.guards import objection, template_of
from habit.library.match.phrasings import Phrasings, RememberedPhrasings
from habit.library.match.shortlist import shortlist
from habit.library.match.templates import Slot, variants
from habit.library.match.values import Filler, Places, ValuesOf
from habit.library.match.words import ARTICLES, MOST_CHARS, Token, tokens_of
from habit.library.spec import HabitSpec

_MOST_ALIGNED = 50
"""Habits whose phrasings are tried on a question."""
_MOST_SHOWN = 8
"""Habits that a model is asked to choose from: what fits a small model's attention."""
_MOST_PHRASINGS = 200
_MOST_EFFORT = 300_000
"""Steps that all habits together may take to be aligned with a question: half a second."""
_STEPS_TO_PARSE = 40
_STEPS_TO_FILL = 20
_MOST_CASES = 8
_MOST_HELD = 256
_ANY: dict[str, Any] = {}


class Matchable(Protocol):
    """What matching needs of a habit; ``library.habit.Habit`` is one."""

    @property
    def spec(self) -> HabitSpec:
        """What it says of itself."""
        ...

    @property
    def cases(self) -> Mapping[str, Case]:
        """What it was seen to do."""
        ...

    @property
    def version(self) -> int | None:
        """Its number, once approved."""
        ...


H = TypeVar("H", bound=Matchable)


@dataclass(frozen=True)
class Match(Generic[H]):
    """A habit that answers the question about this input, and the values to run it with."""

    habit: H
    parameters: Mapping[str, Any]
    how: Literal["phrasing", "remembered phrasing", "model"]
    phrasing: str | None = None
    """The template that the question is an instance of; to be remembered once the answer is confirmed."""


@dataclass(frozen=True)
class Unfit(Generic[H]):
    """A habit that answers the question, but of inputs of another format: a repair may be due."""

    habit: H
    parameters: Mapping[str, Any]
    violations: Sequence[str]


@dataclass(frozen=True)
class Abstained(Generic[H]):
    """No habit surely answers the question; the reason is one sentence."""

    reason: str
    unfit: Unfit[H] | None = None
    likely: Match[H] | None = None
    """What a model took the question for, where the rules could not confirm it: to be offered, never to be run."""


@dataclass(frozen=True)
class Open(Generic[H]):
    """No phrasing matched; what a model may still be asked."""

    result: Abstained[H]
    candidates: Sequence[H] = field(default=())
    values: ValuesOf | None = None


class Matcher:
    """Matches questions with habits. Holds what was found out about habits, so that it is found out once."""

    def __init__(self, phrasings: Phrasings | None = None) -> None:
        self.phrasings: Phrasings = phrasings if phrasings is not None else RememberedPhrasings()
        self._places: dict[int, tuple[Any, Places]] = {}

    async def match(
        self,
        query: str,
        context: Context | Facts,
        habits: Sequence[H],
        *,
        returns: Returns | None = None,
        kernel: Kernel | None = None,
        session: str = "0",
    ) -> Match[H] | Abstained[H]:
        """The habit that answers ``query`` about ``context`` with an answer of type ``returns``, or why there is none.

        Without ``kernel`` no model is asked. What takes a while works in a thread.
        ``session`` is the one that a call is journalled under.
        """

        def known() -> Match[H] | Open[H]:
            return self.match_known(query, context, habits, returns=returns)

        found = await anyio.to_thread.run_sync(known, abandon_on_cancel=True)
        if isinstance(found, Match):
            return found
        if kernel is None or not found.candidates:
            return found.result
        said = await ask_model(kernel, query, [habit.spec for habit in found.candidates], session)
        if isinstance(said, str):
            return Abstained(said)
        return await anyio.to_thread.run_sync(self.confirm, query, found, *said, abandon_on_cancel=True)

    def confirm(self, query: str, known: Open[H], name: str, parameters: Mapping[str, Any]) -> Match[H] | Abstained[H]:
        """What is left of a model's word that ``query`` is for the habit ``name``, once the rules have judged it."""
        habit = next((one for one in known.candidates if one.spec.name == name), None)
        if habit is None or known.values is None:
            return Abstained(f"The model named {clean(name, 40)!r}, which is none of the habits it was shown.")
        filler = self._filler(habit, known.values)
        problem = objection(query, parameters, habit.spec, filler, self._remembered(habit))
        match = Match(habit, parameters, "model", self._learned(query, parameters, habit, filler))
        if problem:
            return Abstained(
                f"{habit.spec.name} may be meant, but {problem}.", likely=match if match.phrasing else None
            )
        return match

    def match_known(
        self, query: str, context: Context | Facts, habits: Sequence[H], *, returns: Returns | None = None
    ) -> Match[H] | Open[H]:
        """The same with learned phrasings alone."""
        tokens = tokens_of(query)
        if not habits:
            return Open(Abstained("The library has no habit that is approved."))
        if not tokens:
            return Open(Abstained(f"The question is empty or longer than {MOST_CHARS:,} characters."))
        typed = [habit for habit in habits if answers_as(habit.spec.answer_type, returns)]
        if not typed:
            wanted = returns.name if returns is not None else "str"
            return Open(Abstained(f"No habit gives an answer of type {wanted}."))
        known = [(habit.spec, self._remembered(habit)) for habit in typed]
        near = [typed[index] for index in shortlist(query, known, _MOST_ALIGNED)]
        values = ValuesOf(context if isinstance(context, Facts) else observe(context))
        aligned, passed_over = self._all_aligned(near, tokens, values)
        fit, unfit, found = [], [], []
        refused = ""
        for habit, matches in zip(near, aligned, strict=True):
            problems = violated(habit.spec, values.facts)
            if problems:
                refused = refused or f" ({habit.spec.name}: {problems[0].removesuffix('.')})"
                unfit += [Unfit(one.habit, one.parameters, problems) for one in matches]
            else:
                fit.append(habit)
                found += matches
        if len(found) == 1:
            return found[0]
        if found:
            names = sorted({match.habit.spec.name for match in found})
            if len(names) > 1:
                return Open(Abstained(f"Several habits answer this question: {' and '.join(names)}; name one."))
            return Open(Abstained(f"The question can be read in several ways by {names[0]}."))
        if unfit:
            first = unfit[0]
            return Open(Abstained(f"{first.habit.spec.name} answers this question, but {first.violations[0]}", first))
        if not fit:
            return Open(Abstained(f"No habit with words of this question takes an input of this format{refused}."))
        shown = shortlist(query, [(habit.spec, self._remembered(habit)) for habit in fit], _MOST_SHOWN)
        said = Abstained[H](
            "The question has no phrasing that a habit was learned for"
            + (f"; {' and '.join(passed_over[:3])} had too many to try them all." if passed_over else ".")
        )
        return Open(said, [fit[index] for index in shown], values)

    def _learned(self, query: str, parameters: Mapping[str, Any], habit: H, filler: Filler) -> str | None:
        """The template to remember once this match is confirmed; None when it would not give the same values back."""
        if set(parameters) != set(habit.spec.parameters):
            return None
        template = template_of(query, parameters, habit.spec, filler)
        if template is None:
            return None
        again = self._readings(habit, [template], tokens_of(query), filler)
        return template if [values for values, _ in again] == [parameters] else None

    def _remembered(self, habit: Matchable) -> Sequence[str]:
        return self.phrasings.lookup(habit.spec.name)[:_MOST_PHRASINGS]

    def _filler(self, habit: Matchable, values: ValuesOf) -> Filler:
        held = self._places.get(id(habit))
        if held is None:
            if len(self._places) >= _MOST_HELD:
                self._places.clear()
            held = self._places[id(habit)] = (
                habit,
                Places(habit.spec.parameters, list(habit.cases.values())[:_MOST_CASES]),
            )
        return Filler(habit.spec.parameters, held[1], values)

    def _all_aligned(
        self, habits: Sequence[H], tokens: Sequence[Token], values: ValuesOf
    ) -> tuple[list[list[Match[H]]], list[str]]:
        """For each habit how the question is an instance of its phrasings; and those that had too many to try.

        All share one effort, so that no library makes a question slow. Who needs least comes first and what it leaves
        goes to the others, so that a habit with endless phrasings takes nothing from those with a few.
        """
        templates = [[*one.spec.intent.phrasings[:_MOST_PHRASINGS], *self._remembered(one)] for one in habits]
        order = sorted(range(len(habits)), key=lambda index: sum(map(len, templates[index])))
        found: list[list[Match[H]]] = [[] for _ in habits]
        passed_over, left = [], _MOST_EFFORT
        for done, index in enumerate(order):
            effort = Effort(left // (len(order) - done))
            left -= effort.left
            matches = self._aligned(habits[index], templates[index], tokens, values, effort)
            if effort.left < 0:
                passed_over.append(habits[index].spec.name)
            else:
                found[index] = matches
            left += max(effort.left, 0)
        return found, passed_over

    def _aligned(
        self, habit: H, templates: Sequence[str], tokens: Sequence[Token], values: ValuesOf, effort: Effort
    ) -> list[Match[H]]:
        """The ways in which the question is an instance of one of the habit's phrasings: different values each."""
        learned = habit.spec.intent.phrasings[:_MOST_PHRASINGS]
        found = self._readings(habit, templates, tokens, self._filler(habit, values), effort)
        return [
            Match(habit, given, "phrasing" if template in learned else "remembered phrasing", template)
            for given, template in found
        ]

    @staticmethod
    def _readings(
        habit: H, templates: Sequence[str], tokens: Sequence[Token], filler: Filler, effort: Effort | None = None
    ) -> list[tuple[dict[str, Any], str]]:
        """Different values that the question states when it is read as one of ``templates``, and as which; incomplete
        once ``effort`` is used up."""
        parameters = habit.spec.parameters
        choices = frozenset(name for name, one in parameters.items() if one.type == "choice")
        lists = frozenset(name for name, one in parameters.items() if one.type == "list")
        found: list[tuple[dict[str, Any], str]] = []
        # A phrasing may itself begin with what is otherwise passed over as politeness.
        bare = trimmed(tokens)
        sayings = [tokens] if len(bare) == len(tokens) else [tokens, bare]
        for template in templates:
            if effort is not None and not effort.take(_STEPS_TO_PARSE + len(template)):
                break
            for elements in variants(template, choices):
                slots = {element.name: element for element in elements if isinstance(element, Slot)}
                if set(slots) != set(parameters):
                    continue
                for said in sayings:
                    for spans in readings(elements, said, lists, effort):
                        if effort is not None:
                            effort.take(_STEPS_TO_FILL * len(spans))
                        given = {name: filler.fill(slots[name], said[a:b]) for name, (a, b) in spans.items()}
                        fits = all(value is not None and parameters[n].accepts(value) for n, value in given.items())
                        if any(_takes_article(template, name, said[a]) for name, (a, _) in spans.items()):
                            continue
                        if fits and all(given != known for known, _ in found):
                            found.append((given, template))
        return found


def _takes_article(template: str, slot: str, first: Token) -> bool:
    """Whether a value would begin with the article that ``template`` itself has before the slot."""
    before, found, _ = template.partition(f"{{{slot}}}")
    return bool(found) and first.norm in ARTICLES and before.casefold().split()[-1:] == [first.norm]


def answers_as(given: Returns, wanted: Returns | None) -> bool:
    """Whether an answer of type ``given`` is one of type ``wanted`` (None: text) in every case."""
    if wanted is None or wanted.is_text:
        return given.is_text or given.choices is not None or given.schema in ({"type": "integer"}, {"type": "number"})
    if wanted.schema == _ANY or wanted.schema == given.schema:
        return True
    return wanted.schema == {"type": "number"} and given.schema == {"type": "integer"}
