"""Aligning never fails, and a template filled with allowed values gives these values back."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from habit.contexts.context import Context
from habit.library.contract import observe
from habit.library.match.align import readings, trimmed
from habit.library.match.guards import objection, template_of
from habit.library.match.matcher import Matcher
from habit.library.match.shortlist import shortlist
from habit.library.match.templates import Slot, Word, parse, variants
from habit.library.match.values import Filler, Places, ValuesOf
from habit.library.match.words import SIGNS, number_of, tokens_of
from habit.library.spec import Contract, HabitSpec, Intent, Parameter, Provenance

texts = st.text(max_size=80) | st.text(alphabet="{}abx :or\"'’-,.?!12 \ud800\0\u202e", max_size=60)


def spec_of(template: str, parameters: dict[str, Parameter]) -> HabitSpec:
    return HabitSpec(
        name="one",
        description="one",
        intent=Intent(summary="one", phrasings=(template,)),
        parameters=MappingProxyType(parameters),
        contract=Contract(kind="text", shape="text"),
        provenance=Provenance(runs=("r",), model="m", learned="2026-11-24T12:00:00Z"),
    )


def filler_of(spec: HabitSpec, text: str) -> Filler:
    return Filler(spec.parameters, Places(spec.parameters, []), ValuesOf(observe(Context.of(text))))


@given(texts, texts)
def test_no_question_and_no_phrasing_makes_it_fail(question: str, template: str) -> None:
    tokens = tokens_of(question)
    trimmed(tokens)
    for elements in variants(template, frozenset({"a", "b", "x"})):
        for spans in readings(elements, tokens, frozenset({"x"})):
            assert all(0 <= start < end <= len(tokens) for start, end in spans.values())
    names = {element.name for element in parse(template) if isinstance(element, Slot)}
    parameters = {
        name: Parameter(type="string", example="x")
        for name in names
        if name.isidentifier() and not name.startswith("_") and name not in ("context", "recursive_llm")
    }
    spec = spec_of(template, parameters)
    filler = filler_of(spec, question)
    given_values = dict.fromkeys(parameters, "x")
    objection(question, given_values, spec, filler, [question, template])
    template_of(question, given_values, spec, filler)
    shortlist(question, [(spec, [question])] * 3, 2)


words = st.sampled_from(["messages", "orders", "sent", "open", "total", "which", "how", "many", "most", "city", "is"])
slots = {
    "choice": (
        Parameter(type="choice", choices=("spam", "ham", "not_sure"), example="ham"),
        ["spam", "ham", "not_sure"],
    ),
    "whole": (Parameter(type="integer", example=1), [0, 7, 12, 2500, -3]),
    "real": (Parameter(type="number", example=1.5), [0, 1.25, -7.5, 1000]),
    "flag": (Parameter(type="boolean", example=True), [True, False]),
    "day": (Parameter(type="string", example="2026-01-01"), ["2026-11-24", "1999-12-31"]),
    "name": (Parameter(type="string", example="Ada"), ["Ada", "Bob", "Ada Lovelace", "Łukasz", "O'Hara"]),
    "names": (Parameter(type="list", example=["Ada"]), [["Ada"], ["Ada", "Bob"], ["Łukasz", "Bob", "Ada"]]),
}
_CONTEXT = "Ada wrote. Bob wrote. Ada Lovelace wrote. Łukasz wrote. O'Hara wrote.\n"


def shown(value: Any) -> str:
    if isinstance(value, list):
        return value[0] if len(value) == 1 else f"{', '.join(value[:-1])} and {value[-1]}"
    return str(value).lower() if isinstance(value, bool) else str(value)


@st.composite
def filled(draw: st.DrawFn) -> tuple[str, str, dict[str, Any], dict[str, Parameter]]:
    """A template with literal words around each slot, a question that fills it, and the values."""
    names = draw(st.lists(st.sampled_from(sorted(slots)), min_size=1, max_size=3, unique=True))
    pieces: list[str] = []
    for index, name in enumerate(names):
        pieces += [*draw(st.lists(words, min_size=1, max_size=3)), f"with{index}", f"{{{name}}}"]
    pieces += draw(st.lists(words, max_size=2))
    template = " ".join(pieces)
    values = {name: draw(st.sampled_from(slots[name][1])) for name in names}
    question = " ".join(shown(values[piece[1:-1]]) if piece.startswith("{") else piece for piece in pieces)
    return template, question, values, {name: slots[name][0] for name in names}


@given(filled(), st.sampled_from(["", "?", " ?", "!"]))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_what_is_filled_in_is_read_back(case: Any, ending: str) -> None:
    template, question, values, parameters = case
    spec = spec_of(template, parameters)
    known = type("Known", (), {"spec": spec, "cases": {}, "version": 1})()
    found = Matcher._readings(known, [template], tokens_of(question + ending), filler_of(spec, _CONTEXT))
    assert [given_values for given_values, _ in found] == [values]


@given(filled(), st.sampled_from(sorted(SIGNS - {"and"})), st.integers(0, 20))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_no_sign_word_is_ever_passed_over(case: Any, sign: str, place: int) -> None:
    template, question, values, parameters = case
    spec = spec_of(template, parameters)
    pieces = question.split()
    pieces.insert(place % (len(pieces) + 1), sign)
    known = type("Known", (), {"spec": spec, "cases": {}, "version": 1})()
    filler = filler_of(spec, _CONTEXT)
    found = Matcher._readings(known, [template], tokens_of(" ".join(pieces)), filler)
    assert values not in [given_values for given_values, _ in found]
    assert objection(" ".join(pieces), values, spec, filler, ())


@pytest.mark.parametrize(
    ("template", "others"),
    [
        ("How many messages are {label}?", ["count {label} messages", "how many {label} messages are there"]),
        ("What is the total of {x}?", ["total of {x}", "tell me total of {x}"]),
        ("When was the first ticket of {user} opened?", ["when was {user} 's first ticket opened"]),
        ("Which city has {x}?", ["what city has {x}"]),
    ],
)
def test_a_phrasing_has_a_few_frames(template: str, others: list[str]) -> None:
    known = variants(template, frozenset({"label"}))
    for other in others:
        wanted = tuple(e for e in parse(other))
        assert any(
            tuple(e for e in elements if not (isinstance(e, Word) and e.optional)) == wanted for elements in known
        )


def test_what_is_no_template_has_no_words() -> None:
    for template in ("{x} is {x}", "{x}", "", "a " * 600, " ".join(f"and {{p{n}}}" for n in range(13))):
        assert parse(template) == ()


def test_words_are_told_apart() -> None:
    assert [token.text for token in tokens_of("What's \"a b\", don't O'Hara's (x)?")] == [
        *("What", "is", "a b", "do", "not", "O'Hara", "'s", "x"),
    ]
    assert [number_of(token, whole=False) for token in tokens_of("5 -2 1,000 2.5 three 5% $5 5k 1,00 x 1.250")] == [
        *(5, -2, 1000, 2.5, 3, None, None, None, None, None, None),  # 1.250 is a thousand and more to many people
    ]


def test_a_question_with_too_many_readings_has_none() -> None:
    elements = parse("compare " + " ".join(f"{{p{n}}}" for n in range(12)))
    assert readings(elements, tokens_of("compare " + "a " * 200), frozenset()) == []
