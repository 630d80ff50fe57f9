"""Dialects: the prompts of other systems, and replies in their manner; real sandbox, scripted models."""

from __future__ import annotations

import string
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from habit.schedulers.prompts import FRONTIER, SMALL, Profile, profile_for
from habit.schedulers.scheduler import Outcome
from schedulers.conftest import Bench
from support.scripted import ScriptedProvider, block

RLM = replace(FRONTIER, dialect="rlm")
DSPY = replace(FRONTIER, dialect="dspy")


@pytest.mark.parametrize("name", ["frontier", "small"])
@pytest.mark.parametrize("dialect", ["habit", "rlm", "dspy"])
@pytest.mark.parametrize("execution", ["fence", "tool"])
def test_every_prompt_of_every_dialect_can_be_filled(name: str, dialect: str, execution: str) -> None:
    profile = profile_for(name, "m", dialect=dialect, execution=execution)
    templates = {
        Path(item.name).stem.removesuffix("_tool")
        for folder in dict.fromkeys((name, "frontier", "rlm", "dspy"))
        for item in files("habit.schedulers.prompts").joinpath(folder).iterdir()
        if item.name.endswith(".md")
    }
    names = """query returns_line context output note variables reason description slice_chars hand_over given
    summary reminder tools notes steps words"""
    known = dict.fromkeys(names.split(), "value")
    for template in templates:
        text = profile.render(template, **known)
        assert text
        assert "$" not in text, template
    assert not string.Template(profile.render("system", **known)).get_identifiers()


def test_auto_execution_is_what_the_profile_says() -> None:
    assert profile_for("auto", "local").execution == SMALL.execution == "fence"
    assert profile_for("auto", "openai:gpt-5").execution == FRONTIER.execution
    assert profile_for("auto", "openai:gpt-5", execution="tool").execution == "tool"
    assert profile_for("auto", "openai:gpt-5", strategy="agent").execution == "tool"
    assert profile_for("auto", "openai:gpt-5", strategy="agent", execution="fence").execution == "fence"
    assert profile_for("auto", "local", strategy="agent").execution == "fence"


def test_only_the_small_profile_in_its_own_words_is_held_to_a_grammar() -> None:
    assert SMALL.grammar
    assert replace(SMALL, dialect="rlm").grammar is None
    assert replace(SMALL, execution="tool").grammar is None
    assert FRONTIER.grammar is None


@pytest.mark.parametrize(
    ("profile", "words"),
    [(RLM, ["llm_query_batched", "FINAL_VAR", "```repl"]), (DSPY, ["SUBMIT", "[[ ## code ## ]]", "llm_query"])],
)
async def test_a_dialect_has_its_own_system_prompt(bench: Bench, profile: Profile, words: list[str]) -> None:
    model = ScriptedProvider([block("answer('x')")])
    await bench.ask(model, profile=profile, returns=int | str)
    system = model.calls[0].messages[0].content
    assert all(word in system for word in words)
    assert "recursive_llm" not in system
    assert "must be of type int | str" in system


@pytest.mark.parametrize(
    ("replies", "returns", "expected"),
    [
        (["```repl\nn = len(context.split())\nprint(n)\n```", "I counted them.\n\nFINAL(3)"], int, 3),
        (["```repl\nn = len(context.split())\n```\nFINAL_VAR(n)"], int, 3),
        (["```repl\nn = len(context.split())\n```", 'FINAL_VAR("n")'], str, "3"),
        (["```repl\nresult = 'found it'\n```", "FINAL(result)"], str, "found it"),
        (["FINAL(It is three (one, two and three).)"], str, "It is three (one, two and three)."),
        (['FINAL("quoted (as code)")'], str, "quoted (as code)"),
        (["**FINAL(bold)**"], str, "bold"),
        (["FINAL(several\nlines\nof text)"], str, "several\nlines\nof text"),
        (["FINAL([1, 2])"], list[int], [1, 2]),
        (["FINAL(an open ( bracket)"], str, "an open ( bracket"),
        (["```repl\nanswer['content'] = 'c'\nanswer['ready'] = True\n```"], str, "c"),
        (
            [
                "[[ ## reasoning ## ]]\nI count.\n\n[[ ## code ## ]]\nn = len(context.split())\nSUBMIT(n)\n\n"
                "[[ ## completed ## ]]"
            ],
            int,
            3,
        ),
        (
            ["[[ ## reasoning ## ]]\nx\n[[ ## code ## ]]\n```python\nSUBMIT(answer='y')\n```\n[[ ## completed ## ]]"],
            str,
            "y",
        ),
    ],
)
async def test_replies_in_the_manner_of_other_systems(
    bench: Bench,
    replies: list[str],
    returns: Any,
    expected: Any,
) -> None:
    outcome = await bench.ask(ScriptedProvider(replies), "one two three", profile=RLM, returns=returns)
    assert outcome == Outcome("answered", expected)


async def test_a_final_line_counts_only_when_the_code_before_it_ran(bench: Bench) -> None:
    model = ScriptedProvider(["```repl\n1/0\n```\nFINAL(done)", "FINAL(after the error)"])
    outcome = await bench.ask(model, profile=RLM)
    assert outcome.answer == "after the error"
    assert "ZeroDivisionError" in model.calls[1].messages[-1].content


async def test_a_final_answer_of_the_wrong_type_comes_back_to_be_mended(bench: Bench) -> None:
    model = ScriptedProvider(["FINAL(many)", "FINAL(7)"])
    outcome = await bench.ask(model, profile=RLM, returns=int)
    assert outcome.answer == 7
    assert "int" in model.calls[1].messages[-1].content


@pytest.mark.parametrize(
    "talk",
    ["I will call FINAL(x) when I am done.", "FINAL(x) is what I shall write later, after (some) work.", "FINALLY(x)"],
)
async def test_mere_talk_of_a_final_answer_is_none(bench: Bench, talk: str) -> None:
    model = ScriptedProvider([talk, "FINAL(now)"])
    assert (await bench.ask(model, profile=RLM)).answer == "now"


async def test_rlm_query_runs_a_child_even_on_a_short_prompt(bench: Bench) -> None:
    model = ScriptedProvider(["```repl\nFINAL(rlm_query('Say hello in French.'))\n```", "FINAL(bonjour)"])
    outcome = await bench.ask(model, profile=RLM)
    assert outcome.answer == "bonjour"
    assert bench.rlm.depth == 1
    child = model.root_calls[1]
    assert child.session == "0.1"
    assert "Say hello in French." in child.messages[1].content


async def test_below_the_deepest_level_rlm_query_is_one_call(bench: Bench) -> None:
    from habit.schedulers.workbench import Limits

    model = ScriptedProvider([block("answer(rlm_query('Say hello.'))")], leaf=lambda prompt: "hello")
    assert (await bench.ask(model, profile=RLM, limits=Limits(max_depth=0))).answer == "hello"
    assert len(model.leaf_calls) == 1
