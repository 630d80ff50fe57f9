"""habit.Library: habits as functions, against a real server, a real repository and the real sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import habit
from habit import RunFailed, UsageError
from habit.direct import HabitFunction
from habit.library.repository import Repository
from support.libraries import isolate
from support.library_bench import RECORDS, TUESDAY, afresh, count_label, spam
from support.mock_server import MockServer, Request, running_server
from support.scripted import block


def reply(request: Request) -> str:
    if "recursive_llm" in request.prompt:
        return block(afresh("records", "spam"))
    return spam(request.messages[-1][1])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MockServer]:
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    with running_server(reply) as server:
        yield server


@pytest.fixture
def library(server: MockServer) -> habit.Library:
    repository = Repository.init("habits")
    for name in ("count-label", "another-one"):
        made = count_label()
        made = type(made)(made.spec.model_copy(update={"name": name}), made.source, made.cases)
        candidate = repository.propose(made)
        repository.approve(candidate, candidate.tree)
    return habit.Library(model="mock", base_url=server.url)


def test_a_library_is_a_mapping(library: habit.Library) -> None:
    assert list(library) == ["another-one", "count-label"]
    assert len(library) == 2
    assert "count-label" in library
    assert "count-labels" not in library
    assert isinstance(library["count-label"], HabitFunction)
    assert library["count-label"].habit.label == "count-label@1"
    with pytest.raises(KeyError, match="has no approved habit 'nothing'; see: habit habits"):
        library["nothing"]


def test_a_habit_is_called_like_a_function(library: habit.Library, server: MockServer) -> None:
    assert library["count-label"](TUESDAY, label="ham") == 3
    assert len(server.requests) == 4
    run = library["count-label"].run(TUESDAY, label="spam")
    assert (run.answer, run.habit, run.why) == (1, "count-label@1", "it was named")
    assert (run.usage.root.calls, run.usage.cached_calls) == (0, 4)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "needs a value for label"),
        ({"label": "eggs"}, "one of spam, ham"),
        ({"lable": "ham"}, "did you mean label"),
    ],
)
def test_wrong_parameters_ask_nothing(
    library: habit.Library, server: MockServer, parameters: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        library["count-label"](TUESDAY, **parameters)
    assert server.requests == []
    assert not Path(".habit/evidence.db").exists()


def test_what_a_habit_does_not_take_is_an_error_and_not_an_answer(library: habit.Library, server: MockServer) -> None:
    with pytest.raises(RunFailed, match="not about this input: kind") as failure:
        library["count-label"](RECORDS, label="spam")
    assert failure.value.run is not None
    assert failure.value.run.status == "failed"
    assert server.requests == []


def test_with_the_strategy_auto_the_model_answers_instead(library: habit.Library, server: MockServer) -> None:
    library = habit.Library(model="mock", base_url=server.url, strategy="auto", no_repair=True)
    run = library["count-label"].run(RECORDS, label="spam")
    assert (run.answer, run.habit) == (1, None)
    assert "count-label@1 answers this question, but not about this input" in run.why
    assert "Another question" not in server.requests[0].prompt
    assert "A program written for an earlier question of this kind did not work" in server.requests[0].prompt


def test_settings_and_folder(library: habit.Library, server: MockServer, tmp_path: Path) -> None:
    settings = habit.Settings(model="mock", base_url=server.url)
    assert habit.Library(tmp_path / "habits", settings=settings)["count-label"](TUESDAY, label="ham") == 3
    with pytest.raises(TypeError, match="unexpected argument 'modle'"):
        habit.Library(modle="mock")
    with pytest.raises(UsageError, match="habit init"):
        habit.Library("/")
