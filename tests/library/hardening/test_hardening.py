"""Rules stand in for leaf calls only where they are borne out; relaxing takes them away again."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habit.contexts.context import Context
from habit.errors import UsageError
from habit.library.case import Exchange
from habit.library.evidence import Outcome, Use
from habit.library.habit import Habit
from habit.library.hardening import Signals, harden, relax, signals_of
from habit.library.hardening.evidence import believable
from habit.library.hardening.rewriting import with_rules, without_rules
from habit.library.hardening.rules import Lookup, Marks, Rule, Taken, Threshold, agrees, fit
from habit.library.hardening.sites import sites_of
from habit.sandbox.session import Sandbox
from support.made_habits import COUNT_LABEL, LABEL, SCHEMA, case, classify, count_label, spec_of

NAMES = ["ada", "bob", "cy", "dee", "eve", "flo", "gus", "hal", "ida", "jo", "kim", "lee"]
SPAM = [f"{name}, you win a prize" for name in NAMES]
HAM = [f"lunch with {name} today" for name in NAMES]
LINES = [line for pair in zip(SPAM, HAM, strict=True) for line in pair]


def label(line: str) -> str:
    return "spam" if "win" in line else "ham"


def habit(source: str = COUNT_LABEL, lines: list[str] = LINES, expected: Any = 12) -> Habit:
    asked = classify("spam or ham?", lines, label, SCHEMA)
    relations = ("additivity", "label-renaming", "record-order")
    spec = spec_of({"label": LABEL}, relations=relations)
    return Habit(spec, source, {"first": case("\n".join(lines), asked, expected, label="spam")}, 1)


async def test_a_leaf_call_becomes_a_rule_with_the_call_behind_it(sandbox: Sandbox) -> None:
    hardened = await harden(sandbox, habit())
    assert hardened.report.green
    [call] = hardened.calls
    assert (call.query, call.examples, call.known) == ("spam or ham?", 24, 24)
    assert call.rule.startswith("words decide: ")
    assert call.tokens > 24 * 5
    assert list(hardened.habit.cases["first"].exchanges) == []
    assert "ask_1(recursive_llm, 'spam or ham?', line, returns=['spam', 'ham'])" in hardened.habit.source
    assert hardened.habit.spec.ceiling.calls_per_record == 1.0
    assert hardened.habit.spec.relations == ("additivity", "record-order")
    assert hardened.habit.spec.provenance.repairs == "count-label@1"
    assert hardened.habit.spec.parameters == habit().spec.parameters


async def test_what_the_rule_does_not_know_is_still_asked(sandbox: Sandbox) -> None:
    odd = [*LINES, "hello there"]
    hardened = await harden(sandbox, habit(lines=odd))
    assert [one.context.value() for one in hardened.habit.cases["first"].exchanges if one.context] == ["hello there"]


async def test_evidence_beyond_the_cases_counts(sandbox: Sandbox) -> None:
    few = habit(lines=LINES[:8], expected=4)
    with pytest.raises(UsageError, match="8 replies are recorded, fewer than 20"):
        await harden(sandbox, few)
    evidence = classify("spam or ham?", LINES[8:], label, SCHEMA)
    assert (await harden(sandbox, few, evidence)).calls[0].examples == 24
    against = [Exchange("spam or ham?", Context.of("win win lunch"), SCHEMA, "ham")] * 5
    against += classify("spam or ham?", [f"{name} did win fairly" for name in NAMES], lambda _: "ham", SCHEMA)
    try:
        rules = (await harden(sandbox, few, [*evidence, *against])).calls
    except UsageError:
        return
    assert "win means" not in rules[0].rule


async def test_a_habit_that_asks_each_at_once_is_hardened_too(sandbox: Sandbox) -> None:
    from habit.library.checks.mutants import HELPER

    body = (
        "def scheduler(context, recursive_llm, *, label):\n"
        "    labels = ask_each(recursive_llm, 'spam or ham?', context.splitlines(), returns=['spam', 'ham'])\n"
        "    return labels.count(label)\n"
    )
    hardened = await harden(sandbox, habit(f"{HELPER}\n\n{body}"))
    assert hardened.report.green
    assert list(hardened.habit.cases["first"].exchanges) == []


async def test_relaxing_takes_the_rule_away_again(sandbox: Sandbox) -> None:
    before = habit()
    hardened = (await harden(sandbox, before)).habit
    relaxed = await relax(sandbox, hardened, Signals(uses=9, failed_shadows=1), [before])
    assert relaxed.habit is not None
    assert relaxed.report is not None
    assert relaxed.report.green
    assert ast.dump(ast.parse(relaxed.habit.source)) == ast.dump(ast.parse(before.source))
    assert len(relaxed.habit.cases["first"].exchanges) == 24
    assert relaxed.why == "1 of its answers differed when solved afresh"
    with pytest.raises(UsageError, match="not at hand"):
        await relax(sandbox, hardened, Signals(failed_shadows=1))


async def test_a_prompt_with_a_parameter_gets_a_rule_for_the_value_that_was_asked(sandbox: Sandbox) -> None:
    source = (
        "def scheduler(context, recursive_llm, *, label):\n"
        "    return sum(recursive_llm(f'Is this {label}?', line, returns=bool) for line in context.splitlines())\n"
    )
    asked = classify("Is this spam?", LINES, lambda line: label(line) == "spam", {"type": "boolean"})
    others = classify("Is this ham?", LINES[:3], lambda line: label(line) == "ham", {"type": "boolean"})
    cases = {
        "first": case("\n".join(LINES), asked, 12, label="spam"),
        "ham": case("\n".join(LINES[:3]), others, 1, label="ham"),
    }
    before = replace(habit(source), cases=cases)
    hardened = await harden(sandbox, before)
    assert hardened.calls[0].query == "Is this spam?"
    assert "decide_1(text) if query == 'Is this spam?' else None" in hardened.habit.source
    kept = hardened.habit.cases
    assert (len(kept["first"].exchanges), len(kept["ham"].exchanges)) == (0, 3)
    restored, count = without_rules(hardened.habit.source)
    assert count == 1
    assert ast.dump(ast.parse(restored)) == ast.dump(ast.parse(source))


async def test_two_prompts_that_can_become_the_same_are_left(sandbox: Sandbox) -> None:
    tree = ast.parse(
        "def scheduler(context, recursive_llm, *, label):\n"
        "    return recursive_llm(f'Is it {label}?', context) + recursive_llm('Is it ham?', context)\n"
    )
    sites, left = sites_of(tree)
    assert sites == []
    assert left[0][1] == "it is asked in more than one place"


async def test_where_no_replies_are_left_the_version_before_the_rules_comes_back(sandbox: Sandbox) -> None:
    before = habit()
    hardened = replace((await harden(sandbox, before)).habit, version=2)
    # The version before took the same question about other lines, and its code was another.
    older = replace(before, source=COUNT_LABEL.replace("spam or ham?", "ham or spam?"))
    lost = {
        name: replace(one, exchanges=[replace(x, query="ham or spam?") for x in one.exchanges])
        for name, one in before.cases.items()
    }
    older = replace(older, cases=lost)
    relaxed = await relax(sandbox, hardened, Signals(uses=9, failed_shadows=1), [older])
    assert relaxed.habit is not None
    assert relaxed.report is not None
    assert relaxed.report.green
    assert (relaxed.habit.source, relaxed.habit.version) == (older.source, None)
    assert relaxed.habit.spec.provenance.repairs == "count-label@2"
    assert relaxed.why.endswith("as count-label@1 was")


def test_signals_are_failed_shadows_and_what_gave_up_because_of_the_format() -> None:
    def use(outcome: Outcome, reason: str = "", version: int = 1, at: float = 9.0) -> Use:
        return Use("count-label", version, "r", at, outcome, reason)

    uses = [
        use("hit"),
        use("violated"),
        use("fallback", "KeyError: 'text'"),
        use("fallback", "its answer breaks a promise: 3 is more than 2"),
        use("fallback", "it used up its budget (3 calls)"),
        use("fallback", "CallFailed: the model is overloaded"),
        use("disagreed"),
        use("disagreed", version=2),
        use("disagreed", at=2.0),
    ]
    assert signals_of(uses, 1, since=5.0) == Signals(uses=6, fallbacks_by_format=3, failed_shadows=1)
    assert signals_of(uses, 1) == Signals(uses=6, fallbacks_by_format=3, failed_shadows=2)


async def test_a_habit_without_rules_is_retired_when_enough_speaks_against_it(sandbox: Sandbox) -> None:
    plain = count_label()
    with pytest.raises(UsageError, match="Nothing speaks against"):
        await relax(sandbox, plain, Signals(uses=50))
    with pytest.raises(UsageError, match="Too little speaks"):
        await relax(sandbox, plain, Signals(uses=50, fallbacks_by_format=2))
    assert (await relax(sandbox, plain, Signals(uses=50, fallbacks_by_format=25))).habit is None
    assert (await relax(sandbox, plain, Signals(uses=2, failed_shadows=1))).habit is None
    broken = replace(plain, source=plain.source.replace("context.splitlines()", "context.splitlines()[:5]"))
    assert "additivity" not in (await relax(sandbox, broken, Signals(failed_shadows=1))).why


def test_prompts_that_vary_or_are_shared_are_left() -> None:
    tree = ast.parse(
        "Q = 'fixed?'\n"
        "def scheduler(context, recursive_llm, *, label):\n"
        "    a = recursive_llm(Q, context)\n"
        "    b = recursive_llm(f'Is it {label}?', context)\n"
        "    d = recursive_llm(label + '?', context)\n"
        "    c = recursive_llm('twice', 'x') + recursive_llm('twice', 'y')\n"
        "    return a + b + c + recursive_llm('alone')\n"
    )
    sites, left = sites_of(tree)
    assert [site.query for site in sites] == ["fixed?", "f'Is it {label}?'"]
    assert dict(left) == {
        "label + '?'": "its prompt varies with the question",
        "alone": "it asks about nothing but its prompt",
        "twice": "it is asked in more than one place",
    }


def numbers(limit: int) -> list[tuple[str, Any]]:
    return [(f"took {n} ms", n >= limit) for n in range(0, 120, 4)]


@pytest.mark.parametrize(
    ("examples", "kind"),
    [
        ([(line, label(line)) for line in LINES], Marks),
        (numbers(60), Threshold),
        ([(f"order\ntotal: {n * 3} EUR\nid: {n}", n) for n in range(30)], Taken),
        ([(f"write to {name}@example.org today", f"{name}@example.org") for name in NAMES * 2], None),
        ([(f"mail {name}{i}@x.org", f"{name}{i}@x.org") for name in NAMES for i in (1, 2)], Taken),
        ([(city, country) for city, country in (("Paris", "FR"), ("Rome", "IT"), ("Oslo", "NO"))] * 8, Lookup),
        # Without the one line that speaks against it, "zed" would seem as good a sign as "win".
        (
            [(f"{name} zed win", "spam") for name in NAMES]
            + [(f"{name} lunch", "ham") for name in NAMES[1:]]
            + [("ada zed tea", "ham")],
            None,
        ),
        ([(line, "spam") for line in LINES], None),
        ([(line, label(line)) for line in LINES[:18]], None),
        ([(f"{name} says {word}", i % 2 == 0) for i, name in enumerate(NAMES) for word in ("yes", "no")], None),
    ],
)
def test_rules_are_believed_with_enough_examples_of_each_reply(examples: list[Any], kind: type[Rule] | None) -> None:
    rule, why = believable(examples)
    assert (None if rule is None else type(rule)) is kind
    assert bool(why) is (rule is None)


def test_a_threshold_does_not_know_what_lies_between_its_examples() -> None:
    rule, _ = believable(numbers(60))
    assert rule is not None
    assert [rule.reply(f"took {n} ms") for n in (56, 57, 59, 60)] == [False, None, None, True]
    assert rule.reply("took 10 of 90 ms") is None


TEXTS = st.text(st.sampled_from("ab win1.5:\n'\"\\{}\u2028é"), max_size=12)
REPLIES = st.sampled_from(["a", "b"]) | st.booleans() | st.integers(0, 3)


@settings(deadline=None)
@given(st.lists(st.tuples(TEXTS, REPLIES), min_size=1, max_size=12), st.lists(TEXTS, max_size=5))
def test_rules_never_contradict_their_examples_and_their_code_says_the_same(
    examples: list[tuple[str, Any]], others: list[str]
) -> None:
    source = "def scheduler(context, recursive_llm):\n    return recursive_llm('q', context)\n"
    for rule in fit(examples):
        assert agrees(rule, examples)
        tree = ast.parse(source)
        hardened = with_rules(source, [(sites_of(tree)[0][0], rule, "q")])
        space: dict[str, Any] = {}
        exec(compile(hardened, "hardened", "exec"), space)
        for text in [*others, *(text for text, _ in examples)]:
            assert space["scheduler"](text, lambda query, context: None) == rule.reply(text)
        assert ast.dump(ast.parse(without_rules(hardened)[0])) == ast.dump(tree)


def test_rewriting_leaves_everything_else_as_it_was() -> None:
    source = (
        '"""Doc with ümlaut\u2028."""\nimport re\n\nQ = "é?"  # a comment\n\n\n'
        "def scheduler(context, recursive_llm):\n    # another\n"
        '    return "ü" + recursive_llm(\n        Q,\n        context.strip(),\n        returns=str,\n    )'
        ' + re.escape("x")\n'
    )
    rule = Lookup({"a": "b"})
    hardened = with_rules(source, [(sites_of(ast.parse(source))[0][0], rule, "é?")])
    assert hardened.startswith('"""Doc with ümlaut\u2028."""\nimport re\n\n')
    assert '"ü" + ask_1(recursive_llm, Q, context.strip(), returns=str) + re.escape("x")' in hardened
    assert "# another" in hardened
    assert hardened.count("import re\n") == 1
    restored, count = without_rules(hardened)
    assert count == 1
    assert ast.dump(ast.parse(restored)) == ast.dump(ast.parse(source))
