"""The page of a review says what matters, and nothing in it can act on whoever reads it."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habit.library.checks.report import CaseResult, Finding, Mutation, RelationResult, Report, Survivor
from habit.library.repository import Candidate, Repository
from habit.library.review.differences import MOST_CHARS, MOST_LINES, split
from habit.library.review.gather import facts_of
from habit.library.review.html import html_of
from habit.library.review.page import Facts, Page, page_of
from habit.library.review.policy import objections, settle
from habit.library.review.text import text_of
from habit.library.spec import Ceiling
from support.libraries import CASE, a_habit, a_project, again, git, isolate

GREEN = Report(
    "count-label",
    ceiling=Ceiling(base_calls=0, calls_per_record=1.0),
    cases=[CaseResult("first", "", 3)],
    relations=[RelationResult("record order", "first", "holds")],
    recorded=["record order"],
    mutation=Mutation(4, 4),
)
ANOTHER_ORDER = RelationResult("record-order", "first", "broken", "with its records in another order it answers 2")
HABIT = a_habit()
FACTS = Facts(
    Candidate("count-label", "c" * 40, "t" * 40, "", HABIT, 0), None, "a new habit", 1, GREEN, "", "", True, ["Much."]
)


def text(page: Page) -> str:
    return text_of(page, 100, lambda line, mark: line)


def test_a_good_one_says_so() -> None:
    page = page_of(FACTS)
    assert [(row.cells[0], row.mark) for row in page.verdicts] == [
        ("Its tests are green.", "good"),
        ("All 4 mutants were caught.", "good"),
        ("It needs nothing beyond pure computation and bounded calls.", "good"),
    ]
    assert "record order  first  holds" in text(page)
    assert "COST\n    Much." in text(page)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"findings": [Finding("imports", 7, "it imports os", "leave that")]}, "scheduler.py:7: it imports os"),
        ({"cases": [CaseResult("first", "it answers 3 instead of 2")]}, "case first: it answers 3 instead of 2"),
        (
            {"relations": [RelationResult("record order", "first", "broken", "3 became 4")]},
            "record order on case first",
        ),
        ({"mutation": Mutation(9, 9, [Survivor(4, "== became !=", "a == b", "a != b")])}, "1 of 9 mutants survive."),
        ({"mutation": None}, "No mutants were tried."),
        ({"mutation": Mutation(9, 0)}, "No mutants were tried."),
    ],
)
def test_what_is_bad_comes_first(change: dict[str, object], says: str) -> None:
    page = page_of(replace(FACTS, report=replace(GREEN, **change)))
    assert any(row.mark == "bad" and says in row.cells[0] for row in page.verdicts)
    assert "✗" in text(page)


def test_a_single_mutant_is_one() -> None:
    page = page_of(replace(FACTS, report=replace(GREEN, mutation=Mutation(1, 1))))
    assert "The only mutant was caught." in text(page)


def test_an_answer_that_depends_on_the_order_of_the_records_is_said() -> None:
    page = page_of(replace(FACTS, report=replace(GREEN, relations=[ANOTHER_ORDER])))
    said = "Its answer depends on the order of the records (with its records in another order it answers 2)"
    assert [row.mark for row in page.verdicts if row.cells[0].startswith(said)] == ["bad"]
    of_list = RelationResult("record-order-of-list", "first", "holds")
    assert not replace(GREEN, relations=[ANOTHER_ORDER, of_list]).order_matters


def test_survivors_are_shown_with_their_line() -> None:
    survivor = Survivor(4, "== became !=", "a == b", "a != b")
    shown = text(page_of(replace(FACTS, report=replace(GREEN, mutation=Mutation(9, 9, [survivor])))))
    assert "✗ 4     == became !=  a == b  a != b" in shown


def test_checks_that_could_not_run_are_no_good_news() -> None:
    page = page_of(replace(FACTS, report=None, unchecked="no sandbox here"))
    assert page.verdicts[0].cells == ("Its checks could not run: no sandbox here",)
    assert "not run" in text(page)


def test_a_change_is_told_clause_by_clause() -> None:
    contract = {**HABIT.spec.contract.model_dump(), "shape": "tsv", "line_pattern": "x", "postconditions": ()}
    after = a_habit(
        description="Other.",
        contract=contract,
        capabilities=("network",),
        parameters={"since": {"type": "string", "example": "x"}},
        ceiling={"base_calls": 9, "max_usd": 2.0},
    )
    candidate = replace(FACTS.candidate, habit=after)
    facts = replace(FACTS, candidate=candidate, current=HABIT.at(1), replaces="replaces count-label@1")
    shown = text(page_of(facts))
    for line in (
        "✗ It asks for NEW capabilities: network.",
        "+ Other.",
        "- Counts the messages of one label.",
        "+ since",
        "- label",
        "~ shape       tsv     csv",
        "+ lines fit   x",
        "- promise 1",
        "✗ network",
        "Budget in habit.toml: 9 calls + 0 for each record, $2",
        "- Before: 1 calls + 1 for each record",
        "✗ Computed from the code: 0 calls + 1 for each record",
    ):
        assert line in shown, line
    assert "NEW" not in text(page_of(replace(facts, current=after.at(1))))


def test_what_is_easily_overlooked_is_pointed_at() -> None:
    source = "x = 1" + " " * 300 + "; import os\ny = '\u202e'\n"
    habit = replace(HABIT, source=source)
    facts = replace(FACTS, candidate=replace(FACTS.candidate, habit=habit), skill_is_generated=False)
    facts = replace(
        facts, diff="diff --git a/notes.sh b/notes.sh\nnew file\n--- /dev/null\n+++ b/notes.sh\n@@ -0,0 +1 @@\n+x\n"
    )
    said = [row.cells[0] for row in page_of(facts).verdicts if row.mark == "bad"]
    assert said == [
        "SKILL.md is not what habit.toml gives: read it.",
        "notes.sh is no part of a habit; it is kept, and never read or run.",
        "scheduler.py:1 is 316 characters long: read it to its end.",
        "scheduler.py:2 holds characters that can't be seen; they are shown as \\u….",
    ]


class Elements(HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def elements(page: str) -> tuple[set[str], set[str]]:
    parser = Elements()
    parser.feed(page)
    return parser.tags, parser.attributes


HOSTILE = st.sampled_from(
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</td></table></style><b>",
        "</pre>&lt;",
        "\x1b[2J\x9b31m",
        "\u202egnp.exe\u2066",
        "\ud800",
        "a\r\nb\n\nSet-Cookie: x",
        "<!--",
        "]]>",
        "diff --git a/x b/x",
    ]
) | st.text(max_size=40)
KNOWN_TAGS = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "ul", "li", "code", "div"} | {
    *("table", "thead", "tbody", "tr", "th", "td", "pre", "span")
}


@settings(max_examples=100, deadline=None)
@given(words=st.lists(HOSTILE, min_size=8, max_size=8))
def test_nothing_in_a_page_can_act(words: list[str]) -> None:
    one, two, three, four, five = (word.encode("utf-8", "replace").decode() for word in words[:5])  # TOML has no others
    habit = a_habit(
        description=one,
        intent={"summary": two, "phrasings": (three,)},
        parameters={"label": {"type": "choice", "choices": (four,), "example": four, "description": five}},
        policy="pure-and-green",
    )
    habit = replace(habit, source=words[5], cases={"first": replace(CASE, query=words[6], expected=[words[7]])})
    report = replace(
        GREEN,
        findings=[Finding(words[0], 1, words[1], words[2])],
        cases=[CaseResult("first", words[3])],
        relations=[RelationResult(words[4], words[5], "broken", words[6])],
        recorded=[words[4]],
        mutation=Mutation(1, 1, [Survivor(1, words[7], words[0], words[1])]),
    )
    diff = "diff --git a/scheduler.py b/scheduler.py\n@@ -1 +1 @@\n" + "".join(f"+{word}\n" for word in words)
    candidate = replace(FACTS.candidate, habit=habit)
    page = page_of(replace(FACTS, candidate=candidate, report=report, diff=diff, cost=words, objections=words))
    tags, attributes = elements(html_of(page))
    assert tags <= KNOWN_TAGS
    assert attributes <= {"lang", "charset", "http-equiv", "content", "name", "class"}
    for shown in (html_of(page), text(page)):
        shown.encode()
        assert all(char.isprintable() or char in "\n\t" for char in shown)


def test_a_page_fetches_nothing_and_runs_nothing() -> None:
    page = html_of(page_of(FACTS))
    assert "default-src 'none'; style-src 'sha256-" in page
    assert "http://" not in page.replace("http-equiv", "")
    assert "https://" not in page


def test_a_long_difference_says_what_it_leaves_out() -> None:
    diff = "diff --git a/scheduler.py b/scheduler.py\n@@ -0,0 +1,9999 @@\n" + "+x\n" * (MOST_LINES + 10)
    page = page_of(replace(FACTS, diff=diff))
    assert "11 more lines are not shown." in text(page)
    assert "11 more lines are not shown." in html_of(page)


def test_lines_that_look_like_headers_stay_lines() -> None:
    diff = (
        "diff --git a/habit.toml b/habit.toml\nindex 1..2\n--- a/habit.toml\n+++ b/habit.toml\n@@ -1,2 +1,2 @@\n"
        "-diff --git a/x b/x\n+++ b/evil\n diff --git a/y b/y\n\\ No newline at end of file\n"
        "diff --git a/scheduler.py b/scheduler.py\n@@ -1 +1 @@\n-a\n+b\n"
    )
    files = split(diff, generated=True)
    assert [(file.path, len(file.lines)) for file in files] == [("scheduler.py", 3), ("habit.toml", 5)]
    assert files[1].summary == "1 lines added, 1 removed"


# --- policy ------------------------------------------------------------------------------------------------------

PURE = a_habit(policy="pure-and-green")


def test_a_pure_and_green_candidate_may_approve_itself() -> None:
    assert objections(PURE, None, GREEN) == []
    assert objections(PURE, PURE.at(1), GREEN) == []


@pytest.mark.parametrize(
    ("candidate", "current", "report", "why"),
    [
        (HABIT, None, GREEN, "its policy is review"),
        (PURE, HABIT.at(1), GREEN, "the policy of count-label@1 is review"),
        (PURE, None, None, "its checks did not run"),
        (PURE, None, replace(GREEN, cases=[CaseResult("first", "wrong")]), "its tests are not green"),
        (PURE, None, replace(GREEN, cases=[]), "its tests are not green"),
        (PURE, None, replace(GREEN, ceiling=None), "no bound of its calls"),
        (PURE, None, replace(GREEN, mutation=None), "no mutants were tried"),
        (PURE, None, replace(GREEN, mutation=Mutation(3, 0)), "no mutants were tried"),
        (PURE, None, replace(GREEN, mutation=Mutation(3, 3, [Survivor(1, "x", "a", "b")])), "1 mutants survive"),
        (PURE, None, replace(GREEN, relations=[ANOTHER_ORDER]), "depends on the order of the records"),
        (PURE, None, replace(GREEN, ceiling=Ceiling(base_calls=2, calls_per_record=1.0)), "its budget is 1 calls"),
        (PURE, None, replace(GREEN, ceiling=Ceiling(calls_per_record=1.5)), "its budget is 1 calls"),
        (PURE, None, replace(GREEN, ceiling=Ceiling(calls_per_byte=0.1)), "its budget is 1 calls"),
        (a_habit(policy="pure-and-green", capabilities=("net",)), None, GREEN, "it needs net"),
    ],
)
def test_what_speaks_against_it(candidate, current, report, why) -> None:  # type: ignore[no-untyped-def]
    assert [reason for reason in objections(candidate, current, report) if why in reason]


def test_settling_in_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolate(monkeypatch, tmp_path)
    library = Repository.init(a_project(tmp_path / "project") / "habits")
    assert settle(library, library.propose(HABIT), GREEN) is None
    candidate = library.propose(PURE)
    assert settle(library, candidate, GREEN) == 1
    assert "Habit-Policy: pure-and-green" in git(tmp_path / "project", "log", "-1", "--format=%B")
    candidate = library.propose(again(HABIT, "# the policy is review again"))
    assert library.approve(candidate, candidate.tree) == 2
    assert settle(library, library.propose(again(PURE, "# three")), GREEN) is None
    path = tmp_path / "project/habits/count-label/scheduler.py"
    library.rollback("count-label", 1)
    path.write_text(path.read_text() + "# by hand\n")
    git(tmp_path / "project", "commit", "-qam", "By hand")
    assert settle(library, library.propose(again(PURE, "# four")), GREEN) is None
    assert [one.name for one in library.candidates()] == ["count-label"]


def test_facts_of_a_candidate_in_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolate(monkeypatch, tmp_path)
    library = Repository.init(a_project(tmp_path / "project") / "habits")
    first = library.propose(HABIT)
    facts = facts_of(library, first, GREEN)
    assert (facts.current, facts.replaces, facts.number, facts.skill_is_generated) == (None, "a new habit", 1, True)
    assert facts.objections == ["its policy is review"]
    library.approve(first, first.tree)
    facts = facts_of(library, library.propose(again(HABIT, "# two")), GREEN)
    assert facts.current is not None
    assert (facts.current.label, facts.replaces, facts.number) == ("count-label@1", "replaces count-label@1", 2)
    shown = text(page_of(facts))
    assert "+# two" in shown
    assert "SKILL.md" not in shown
    library.retire("count-label")
    facts = facts_of(library, library.candidate("count-label"), GREEN)
    assert facts.replaces == "a retired habit again, compared with count-label@1"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["x = 1"] * (MOST_LINES - 1), ""),
        (["x = 1"] * MOST_LINES, f"all but its first {MOST_LINES:,} lines of scheduler.py"),
        (["x = " + "1" * MOST_CHARS], f"all but the first {MOST_CHARS:,} characters of 1 of its lines of "),
    ],
)
def test_what_a_page_leaves_out_is_said_at_its_top(lines: list[str], says: str) -> None:
    body = "\n".join(f"+{line}" for line in lines)
    diff = f"diff --git a/scheduler.py b/scheduler.py\n@@ -0,0 +1 @@\n{body}"
    page = page_of(replace(FACTS, diff=diff))
    told = [row.cells[0] for row in page.verdicts if "leaves out" in row.cells[0]]
    assert len(told) == bool(says)
    assert not says or says in told[0]
