"""Lifting: literals that come from the question become typed parameters, in the code and inside of prompts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from habit.library.crystallise.antiunify import differing_segment
from habit.library.crystallise.evidence import STOP_WORDS, WORD, Evidence, Found, Span, stem
from habit.library.crystallise.judging import Judge, Verdict
from habit.library.crystallise.levels import Levels
from habit.library.crystallise.literals import Literals, Site
from habit.library.crystallise.naming import name_for
from habit.library.crystallise.refusal import CannotLearn
from habit.library.crystallise.scopes import bound, used, words
from habit.library.crystallise.templates import Substitution, substitute
from habit.library.spec import Parameter

_UNIT = re.compile(
    r"\b(?:how many|which|what|number of|count(?: of)?|list|each|per|every|all)(?: of)?(?: the| all)* ([^\W\d_]+)", re.I
)
_LINKS = words("about of with for from in on to mention mentions concerning regarding by as")


@dataclass
class Lift:
    """A parameter in the making."""

    values: list[Any]
    """For each run, what it had."""
    spans: list[Span]
    """For each run, where its question says it."""
    sites: list[Site] = field(default_factory=list)
    choices: tuple[str, ...] = ()
    in_choices: bool = False
    """Whether it is lifted inside of label sets too, because another label is made of it."""
    name: str = ""

    @property
    def parameter(self) -> Parameter:
        """As the spec has it, with the first run's value as the example."""
        value = self.values[0]
        if self.choices:
            return Parameter(type="choice", choices=self.choices, example=value)
        if isinstance(value, list):
            return Parameter(type="list", example=value)
        kinds = {type(one) for one in self.values}
        if float in kinds:
            return Parameter(type="number", example=float(value))
        return Parameter(type="integer" if int in kinds else "string", example=value)


@dataclass(frozen=True)
class Lifted:
    """A program with parameters."""

    program: Sequence[ast.stmt]
    parameters: Mapping[str, Parameter]
    values: Sequence[Mapping[str, Any]]
    """For each run, what its parameters were."""
    phrasings: Sequence[str]
    """For each run, its question as a template."""
    format_literals: Sequence[Any]
    notes: Sequence[str]


def lift(programs: Sequence[Sequence[ast.stmt]], evidences: Sequence[Evidence]) -> Lifted:
    """The first of ``programs``, which are alike, with parameters. Raises CannotLearn for a literal that can't stay."""
    lifter = _Lifter(programs, evidences)
    lifter.refuse()
    lifter.lift_values()
    lifter.lift_prose()
    return lifter.result()


class _Lifter:
    def __init__(self, programs: Sequence[Sequence[ast.stmt]], evidences: Sequence[Evidence]) -> None:
        self._program = programs[0]
        self._evidences = evidences
        self._literals = [Literals(program) for program in programs]
        first = self._literals[0]
        judges = []
        for program, literals, evidence in zip(programs, self._literals, evidences, strict=True):
            levels = Levels(program, context_is_list=isinstance(evidence.context.value(), list))
            judges.append(Judge(literals, levels, evidence))
        self._rows = list(zip(*(literals.sites for literals in self._literals), strict=True))
        self._verdicts: list[list[Verdict]] = [
            [judge.judge(site) for judge, site in zip(judges, row, strict=True)] for row in self._rows
        ]
        self._choices = first.choices
        self._in_choices = first.in_choices
        self._lifts: list[Lift] = []

    # -- refusal -----------------------------------------------------------------------------------------------------

    def refuse(self) -> None:
        """Raises CannotLearn when a literal was copied from an input, or varies without the question saying so."""
        problems: dict[str, None] = {}
        for row, verdicts in zip(self._rows, self._verdicts, strict=True):
            for site, verdict in zip(row, verdicts, strict=True):
                if verdict.kind == "reject":
                    problems[f"{_shown(site.node.value)} {verdict.reason}"] = None
            varies = len({repr(site.node.value) for site in row}) > 1
            if varies and not all(v.kind == "lift" for v in verdicts) and not row[0].is_prose:
                shown = " and ".join(_shown(site.node.value) for site in row[:2])
                problems[f"{shown} stand for each other, and the questions do not say them"] = None
        if problems:
            first, *rest = problems
            more = f" (and {len(rest)} more such literals)" if rest else ""
            raise CannotLearn(
                f"in its code {first}{more}",
                "ask again with what may vary in the question, or learn from a run whose code finds it in the input",
            )

    # -- values ------------------------------------------------------------------------------------------------------

    def lift_values(self) -> None:
        """Literals that are values: what the code compares with, counts up to, looks up."""
        for row, verdicts in zip(self._rows, self._verdicts, strict=True):
            if not all(verdict.kind == "lift" for verdict in verdicts) or (row[0].is_text and row[0].is_prose):
                continue
            if row[0].is_text and row[0].text == self._evidences[0].query:
                continue
            found = [verdict.found for verdict in verdicts]
            values = [self._value_of(site, one, i) for i, (site, one) in enumerate(zip(row, found, strict=True))]
            spans = [one.span for one in found if one is not None]
            if len(spans) == len(row) and None not in values:
                self._add(values, spans, row[0])
        self._join_lists()
        for lift_ in self._lifts:
            self._find_choices(lift_)

    def _value_of(self, site: Site, found: Found | None, run: int) -> Any:
        """The part of a literal that is the value: all of it, or the words of it that the question says."""
        if not site.is_text:
            return site.node.value
        evidence = self._evidences[run]
        said = list(WORD.finditer(site.text))
        if found and evidence.in_query(site.text, is_label=True) == found:
            return site.text[said[0].start() : said[-1].end()]
        return next(
            (
                word
                for word in WORD.findall(site.text)
                if not evidence.is_format(word)
                and (one := evidence.in_query(word))
                and found
                and one.span == found.span
            ),
            None,
        )

    def _add(self, values: list[Any], spans: list[Span], site: Site) -> None:
        for known in self._lifts:
            if known.spans == spans and all(
                _form_of(a, b) is not None for a, b in zip(known.values, values, strict=True)
            ):
                known.sites.append(site)
                return
        self._lifts.append(Lift(values, spans, [site]))

    def _join_lists(self) -> None:
        """A list that holds nothing but values of the question is one parameter."""
        by_list: dict[int, list[Lift]] = {}
        lists: dict[int, ast.List | ast.Tuple | ast.Set] = {}
        for lift_ in self._lifts:
            parent = lift_.sites[0].parent
            if len(lift_.sites) == 1 and isinstance(parent, (ast.List, ast.Tuple, ast.Set)):
                by_list.setdefault(id(parent), []).append(lift_)
                lists[id(parent)] = parent
        for key, members in by_list.items():
            node = lists[key]
            texts = all(isinstance(value, str) for member in members for value in member.values)
            if len(members) < 2 or len(members) != len(node.elts) or not texts:
                continue
            runs = range(len(self._evidences))
            spans = [(min(m.spans[i][0] for m in members), max(m.spans[i][1] for m in members)) for i in runs]
            site = Site(members[0].sites[0].node, members[0].sites[0].parents)
            joined = Lift([[member.values[i] for member in members] for i in runs], spans, [site])
            self._lifts = [one for one in self._lifts if one not in members] + [joined]

    def _find_choices(self, lift_: Lift) -> None:
        value = lift_.values[0]
        if not isinstance(value, str):
            return
        for labels in self._choices:
            if value not in labels:
                continue
            if any(value.lower() in label.lower() for label in labels if label != value):
                lift_.in_choices = True  # "spam" and "not spam"
            elif all(one in labels for one in lift_.values):
                lift_.choices = labels

    # -- prose -------------------------------------------------------------------------------------------------------

    def lift_prose(self) -> None:
        """Prompts: what varies between runs in them; else what is particular in the question, and its topic."""
        for row in self._rows:
            if not row[0].is_text or not row[0].is_prose:
                continue
            texts = [self._templated(site.text, run) for run, site in enumerate(row)]
            if len(set(texts)) > 1:
                self._lift_difference(row, texts)
        if len(self._evidences) == 1:
            self._lift_particulars()
            if not self._lifts:
                self._lift_topic()

    def _templated(self, text: str, run: int) -> str:
        """A prompt of one run, with the values that are parameters already taken out."""
        for number, lift_ in enumerate(self._lifts):
            value = lift_.values[run]
            if not isinstance(value, list):
                for form in _forms(value):
                    text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", f"\0{number}\0", text)
        return text

    def _lift_difference(self, row: tuple[Site, ...], texts: Sequence[str]) -> None:
        segments = differing_segment(texts)
        found = [
            evidence.in_query(segment) for evidence, segment in zip(self._evidences, segments or texts, strict=True)
        ]
        spans = [one.span for one in found if one is not None]
        if segments is None or len(spans) != len(row):
            raise CannotLearn(
                "the prompts of the runs differ in more than what their questions say",
                "learn from one of them, or ask the questions in the same words",
            )
        self._add(list(segments), spans, row[0])

    def _lift_particulars(self) -> None:
        """Names, quotations and numbers of the question that a prompt repeats."""
        evidence = self._evidences[0]
        quoted = list(re.finditer(r"[\"'“‘`]([^\"'”’`\n]{2,60})[\"'”’`]", evidence.query))
        names = list(re.finditer(r"(?<=[a-z,;:] )([A-Z][\w'’-]+(?: [A-Z][\w'’-]+)*)", evidence.query))
        numbers = list(re.finditer(r"(?<![\w.])(\d+(?:\.\d+)?)(?![\w.]\d?)", evidence.query))
        for match in (*quoted, *names, *numbers):
            span, text = match.span(1), match[1]
            if any(_overlap(span, lift_.spans[0]) for lift_ in self._lifts):
                continue
            sites = [row[0] for row in self._rows if row[0].is_text and row[0].is_prose and _has(row[0].text, text)]
            if sites:
                self._lifts.append(Lift([text], [span], sites))

    def _lift_topic(self) -> None:
        """The one run of words that the question and a prompt have in common, but for what is counted."""
        evidence = self._evidences[0]
        prompts = [row[0] for row in self._rows if row[0].is_text and row[0].is_prose]
        units = {stem(unit) for unit in _UNIT.findall(evidence.query)}
        runs = {run.lower(): run for site in prompts for run in _common_runs(evidence.query, site.text, units)}
        if len(runs) == 1:
            (text,) = runs.values()
            found = evidence.in_query(text)
            sites = [site for site in prompts if _has(site.text, text)]
            named = any(_mentions(labels, text) for labels in self._choices)
            if found and sites and not named:
                self._lifts.append(Lift([text], [found.span], sites))

    # -- the result --------------------------------------------------------------------------------------------------

    def result(self) -> Lifted:
        """The program with names in the place of what was lifted."""
        taken = _all_names(self._program) | {"context", "recursive_llm", "re"}
        for lift_ in self._lifts:
            value = lift_.values[0]
            column = self._evidences[0].field_of(value) if isinstance(value, str) else ""
            guess = "label" if lift_.choices else column
            others = {one.name for one in self._lifts}
            lift_.name = name_for(lift_.sites[0], value, taken, self._evidences[0].query, lift_.spans[0], guess, others)
        substitutions: list[Substitution] = []
        for lift_ in self._lifts:
            value = lift_.values[0]
            if isinstance(value, list):
                substitutions.append(Substitution({id(lift_.sites[0].parent)}, {}, lift_.name))
                continue
            forms = {form: _expression(lift_.name, value, form) for form in _forms(value)}
            substitutions.append(Substitution(self._places(lift_, forms), forms, lift_.name))
        program = substitute(
            self._program, substitutions, patterns={id(row[0].node) for row in self._rows if row[0].is_pattern}
        )
        kept = dict.fromkeys(
            row[0].node.value
            for row, verdicts in zip(self._rows, self._verdicts, strict=True)
            if verdicts[0].kind == "format"
        )
        runs = range(len(self._evidences))
        return Lifted(
            program,
            {lift_.name: lift_.parameter for lift_ in self._lifts},
            [{lift_.name: _plain(lift_.values[run], lift_) for lift_ in self._lifts} for run in runs],
            [self._phrasing(run) for run in runs],
            list(kept),
            [f"lifted {_shown(lift_.values[0])} as {lift_.name}" for lift_ in self._lifts],
        )

    def _places(self, lift_: Lift, forms: Mapping[str, str]) -> set[int]:
        """The constants in which the value of ``lift_`` is replaced."""
        places = {id(site.node) for site in lift_.sites}
        for row in self._rows:
            site = row[0]
            if not site.is_text:
                continue
            if id(site.node) in self._in_choices:
                if lift_.in_choices:
                    places.add(id(site.node))
            elif site.is_prose and isinstance(lift_.values[0], str):
                others = [label for label in lift_.choices if label != lift_.values[0]]
                lists_labels = any(_has(site.text, label) for label in others) or (
                    not lift_.in_choices and _is_listed(site.text, lift_.values[0])
                )
                if not lists_labels and any(_has(site.text, form) for form in forms):
                    places.add(id(site.node))
        return places

    def _phrasing(self, run: int) -> str:
        text = self._evidences[run].query
        for lift_ in sorted(self._lifts, key=lambda one: one.spans[run], reverse=True):
            start, end = lift_.spans[run]
            text = f"{text[:start]}{{{lift_.name}}}{text[end:]}"
        return text


def _plain(value: Any, lift_: Lift) -> Any:
    return float(value) if lift_.parameter.type == "number" else value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…{text[-1]}"


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _has(text: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None


def _is_listed(text: str, value: str) -> bool:
    """Whether a prompt lists ``value`` among what there is to choose from: ``spam or ham``, ``spam/ham``."""
    word = rf"[\"'`]?{re.escape(value)}[\"'`]?"
    return re.search(rf"{word}\s*(?:/|,?\s*\bor\b)|(?:/|\bor\b)\s*{word}(?!\w)", text, re.IGNORECASE) is not None


def _all_names(program: Sequence[ast.stmt]) -> set[str]:
    """Every name that is used for anything, anywhere."""
    nodes = [node for statement in program for node in ast.walk(statement)]
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    names |= {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    return names | bound(program) | used(program)


def _mentions(labels: Sequence[str], text: str) -> bool:
    return any(_has(text.lower(), label.lower()) or stem(text) == stem(label) for label in labels)


def _forms(value: Any) -> list[str]:
    """How a text may stand in the code: as it is, or in another case."""
    if not isinstance(value, str):
        return []
    return list(dict.fromkeys([value, value.lower(), value.upper(), value.title(), value.capitalize()]))


def _form_of(value: Any, other: Any) -> str | None:
    """The name of the method that makes ``other`` of ``value``; empty when they are the same."""
    if type(value) is type(other) and value == other:
        return ""
    if not isinstance(value, str) or not isinstance(other, str):
        return None
    methods = ("lower", "upper", "title", "capitalize")
    return next((method for method in methods if getattr(value, method)() == other), None)


def _expression(name: str, value: str, form: str) -> str:
    method = _form_of(value, form)
    return f"{name}.{method}()" if method else name


def _common_runs(query: str, prompt: str, units: set[str]) -> Iterator[str]:
    """Runs of words that both have, without what is counted, and without the words that lead to them."""
    said = {stem(word) for word in WORD.findall(query)}
    run: list[re.Match[str]] = []
    for match in [*WORD.finditer(prompt), None]:
        word = match[0] if match else ""
        if match and stem(word) in said and stem(word) not in units and (run or word.lower() not in STOP_WORDS):
            run.append(match)
            continue
        while run and run[-1][0].lower() in STOP_WORDS:
            run.pop()
        links = [index for index, one in enumerate(run) if one[0].lower() in _LINKS]
        run = run[links[-1] + 1 :] if links else run
        while run and run[0][0].lower() in STOP_WORDS:
            run.pop(0)
        if run:
            yield prompt[run[0].start() : run[-1].end()]
        run = []
