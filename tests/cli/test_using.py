"""habit run, explain and stats: the habit by name, what is told of a run, and how habits fare."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_bench import InProcess, Result

from habit.library.repository import Repository
from support.library_bench import MENDED, RECORDS, TUESDAY, afresh, count_label, spam
from support.mock_server import MockServer, Request, running_server
from support.scripted import block


def reply(request: Request) -> str:
    if "recursive_llm" in request.prompt:
        return block(afresh("records", "spam"))
    return spam(request.messages[-1][1])


class Office:
    def __init__(self, habit: InProcess, server: MockServer) -> None:
        self.habit, self.server = habit, server
        self.model = ["--model", "mock", "--base-url", server.url]

    def run(self, *arguments: str, stdin: bytes | None = b"") -> Result:
        return self.habit("run", *arguments, *self.model, stdin=stdin)


@pytest.fixture
def office(habit: InProcess, own_place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "ada@example.org")
    repository = Repository.init("habits")
    for source in (None, MENDED):
        candidate = repository.propose(count_label() if source is None else count_label(source))
        repository.approve(candidate, candidate.tree)
    (own_place / "tuesday.csv").write_text(TUESDAY)
    (own_place / "new.json").write_text(json.dumps(RECORDS))
    with running_server(reply) as server:
        yield Office(habit, server)


def test_a_habit_is_run_by_name_on_files_and_standard_input(office: Office) -> None:
    for used in (
        office.run("count-label", "tuesday.csv", "--param", "label=ham"),
        office.run("count-label", "--param", "label=ham", stdin=TUESDAY.encode()),
        office.run("count-label", "tuesday.csv", "--param", "label=ham", "--at", "1"),
    ):
        assert (used.code, used.out) == (0, "3\n"), used.err
    shown = office.run("count-label", "tuesday.csv", "--param", "label=ham", "--at", "1", "--json").json
    assert (shown["habit"], shown["strategy"], shown["why"]) == ("count-label@1", "habit", "it was named")


PURE = """\
def scheduler(context, recursive_llm, *, label: str) -> int:
    return sum(label in line for line in context.splitlines())
"""


def test_a_habit_that_asks_no_model_needs_none(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HABIT_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    use = ("count-label", "tuesday.csv", "--param", "label=ham", "--model", "openai:gpt-5-mini")
    asking = office.habit("run", *use)
    assert (asking.code, asking.out) == (1, "")
    assert "set the environment variable OPENAI_API_KEY" in asking.err.splitlines()[-1]
    repository = Repository.open("habits")
    pure = repository.propose(count_label(PURE))
    repository.approve(pure, pure.tree)
    used = office.habit("run", *use)
    assert (used.code, used.out) == (0, f"{TUESDAY.count('ham')}\n"), used.err
    assert "only a habit that asks none can answer: openai:gpt-5-mini needs a key" in used.err
    assert office.habit("replay", "last").code == 0
    afresh = office.habit("run", *use, "--strategy", "auto")
    assert (afresh.code, afresh.out) == (2, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("count-label", "tuesday.csv"), "needs a value for label: give one with --param label=spam"),
        (("count-label", "tuesday.csv", "--param", "label=eggs"), "must be one of spam, ham, not 'eggs'"),
        (("count-label", "tuesday.csv", "--param", "label"), "--param takes NAME=VALUE, such as --param label=ham"),
        (("count-label", "tuesday.csv", "--param", "=ham"), "--param takes NAME=VALUE"),
        (("count-label", "tuesday.csv", "--param", "labl=ham"), "did you mean label?"),
        (("count-label", "tuesday.csv", "--param", "label=ham", "--at", "7"), "There is no count-label@7"),
        (("count-label", "tuesday.csv", "--param", "label=ham", "--at", "0"), "--at"),
        (("count-label", "nowhere.csv", "--param", "label=ham"), "nowhere.csv"),
        (("count-labels", "tuesday.csv"), "count-label"),
        (("count-label", "tuesday.csv", "--param", "label=ham", "--strategy", "rlm"), "take habit or auto"),
        (("count-label", "tuesday.csv", "--param", "label=ham", "--strategy", "agent"), "take habit or auto"),
        (("count-label", "tuesday.csv", "--param", "label=ham", "--library", "."), "habit init"),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(office: Office, arguments: tuple[str, ...], message: str) -> None:
    used = office.run(*arguments)
    assert (used.code, used.out) == (2, "")
    assert message in used.err
    assert len([line for line in used.err.splitlines() if line.startswith("Error:")]) == 1
    assert office.server.requests == []


def test_a_violated_contract_is_status_1_and_with_auto_an_answer(office: Office) -> None:
    used = office.run("count-label", "new.json", "--param", "label=spam")
    assert (used.code, used.out) == (1, "")
    assert "not about this input" in used.err
    assert "--strategy auto" in used.err
    used = office.run("count-label", "new.json", "--param", "label=spam", "--strategy", "auto", "--no-repair")
    assert (used.code, used.out) == (0, "1\n"), used.err


def test_ask_with_the_strategy_habit(office: Office, own_place: Path) -> None:
    ask = ["ask", "Who wrote most?", "tuesday.csv", "--strategy", "habit", *office.model]
    refused = office.habit(*ask)
    assert (refused.code, refused.out) == (1, "")
    assert "No habit answers this: " in refused.err
    refused = office.habit(*ask, "--library", "elsewhere")
    assert "there is no library of habits in elsewhere; make one with habit init" in refused.err
    assert not [request for request in office.server.requests if "recursive_llm" in request.prompt]


def test_runs_of_a_habit_are_examples_to_harden_it_by(office: Office, own_place: Path) -> None:
    texts = [text for name in "abcdefghijkl" for text in (f"{name} did win a prize", f"lunch with {name} today")]
    (own_place / "many.csv").write_text("from,text\n" + "".join(f"ann,{text}\n" for text in texts))
    used = office.run("count-label", "many.csv", "--param", "label=spam")
    assert (used.code, used.out) == (0, "12\n"), used.err
    alone = office.habit("harden", "count-label")
    assert (alone.code, "fewer than 20" in alone.err) == (2, True)
    hardened = office.habit("harden", "count-label", "last")
    assert hardened.code == 0, hardened.err
    assert "recorded questions, none of them wrong" in hardened.out
    assert "def decide_1(text):" in Repository.open("habits").candidate("count-label").habit.source


class TestExplain:
    def test_a_hit(self, office: Office) -> None:
        office.run("count-label", "tuesday.csv", "--param", "label=ham")
        told = office.habit("explain", "last")
        assert "answered by count-label@2" in told.out
        assert "root calls  0" in told.out
        assert "leaf calls  4" in told.out
        facts = office.habit("explain", "last", "--json").json
        assert (facts["why"], facts["parameters"]) == ("it was named", {"label": "ham"})

    def test_a_violated_contract_and_a_failed_run(self, office: Office) -> None:
        used = ("count-label", "new.json", "--param", "label=spam")
        office.run(*used, "--strategy", "auto", "--no-repair")
        facts = office.habit("explain", "last", "--json").json
        assert (facts["answered by"], facts["drift"]) == ("a program the model wrote for this run", "count-label@2")
        office.run(*used)
        told = office.habit("explain", "last")
        assert "answered by" not in told.out
        assert "not about this input" in told.out

    def test_without_a_library(self, office: Office) -> None:
        office.habit("ask", "How many?", "new.json", "--returns", "int", "--library", "none", *office.model)
        assert "there was no library to look in" in office.habit("explain", "last").out

    @pytest.mark.parametrize("strategy", ["agent", "direct", "rlm"])
    def test_a_strategy_that_was_asked_for(self, office: Office, strategy: str) -> None:
        office.habit("ask", "How many?", "new.json", "--strategy", strategy, "--max-cells", "1", *office.model)
        why = office.habit("explain", "last", "--json").json["why"]
        assert why == ("a scheduler written afresh was asked for" if strategy == "rlm" else f"--strategy {strategy}")

    def test_an_unknown_run(self, office: Office) -> None:
        office.run("count-label", "tuesday.csv", "--param", "label=ham")
        assert office.habit("explain", "nothing").code == 2


class TestStats:
    def test_takes_no_flags_of_asking(self, office: Office) -> None:
        assert office.habit("stats", "--shadow", "1").code == 2
        assert office.habit("stats", "--no-repair").code == 2

    def test_nothing_yet(self, office: Office, own_place: Path) -> None:
        told = office.habit("stats")
        assert (told.code, told.out) == (0, "")
        assert "Nothing is recorded of any habit" in told.err
        assert not (own_place / ".habit").exists()

    def test_versions_and_single_uses(self, office: Office) -> None:
        for version in ("1", "2", "2"):
            office.run("count-label", "tuesday.csv", "--param", "label=ham", "--at", version)
        told = office.habit("stats")
        assert "count-label@1   1 hit, 0 fallbacks" in told.out
        assert "count-label@2   2 hits, 0 fallbacks" in told.out
        assert office.habit("stats", "count-label").out.count(" hit: it was named (run ") == 3
        rows = office.habit("stats", "count-label", "--json").json
        assert [(row["version"], row["hits"]) for row in rows] == [(1, 1), (2, 2)]
        assert "Nothing is recorded of the habit other" in office.habit("stats", "other").err
