"""Models: what is known before one is asked, and a real call over HTTP that says what it cost."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from habit.calls.budget import Budget
from habit.calls.call import Call, Reply
from habit.calls.provider import Provider, UnusableReply
from habit.config import Settings
from habit.doctor.findings import Finding
from habit.doctor.models import look_at_models
from habit.local import models as local
from habit.local.models import DEFAULT, KNOWN
from habit.models import NamedModels
from support.fakes import FakeProvider, Outcome
from support.mock_server import RESET, MockServer, failing


class Given:
    """Models that are there already."""

    def __init__(self, root: FakeProvider, leaf: FakeProvider | None = None) -> None:
        self.pair = (root, leaf or root)

    async def open_pair(self, settings: Settings, budget: Budget) -> tuple[Provider, Provider]:
        return self.pair

    async def aclose(self) -> None: ...


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENAI_API_KEY", "HABIT_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HABIT_MODELS", str(tmp_path))


def said(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.check, finding.grade) for finding in findings]


async def look(settings: Settings, models: Any = None, *, ask: bool = True) -> list[Finding]:
    named = models or NamedModels()
    try:
        return await look_at_models(settings, named, ask=ask)
    finally:
        await named.aclose()


async def test_a_server_of_ones_own_is_asked_for_one_word() -> None:
    async with MockServer(["ready"]) as server:
        found = await look(Settings(model="m", base_url=server.url, window=4096))
    assert said(found) == [("key", "ok"), ("price", "warning"), ("model", "ok")]
    assert "a window of 4,096 tokens" in found[1].message
    assert found[2].message.startswith("m answers, in ")
    assert found[2].message.endswith("for 15 tokens (price unknown).")
    (request,) = server.requests
    assert request.body["max_tokens"] <= 64
    assert len(request.prompt) < 100


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [(failing(500), "Try again later"), (failing(401), "Check the key"), (RESET, "Check the network")],
)
async def test_a_server_that_does_not_answer_is_asked_once(answer: Any, remedy: str) -> None:
    async with MockServer([answer, answer]) as server:
        found = await look(Settings(model="m", base_url=server.url))
    assert said(found)[-1] == ("model", "problem")
    assert found[-1].remedy.startswith(remedy)
    assert len(server.requests) == 1


async def test_nobody_is_asked_when_that_is_not_wanted() -> None:
    async with MockServer(["ready"]) as server:
        found = await look(Settings(model="m", base_url=server.url), ask=False)
    assert server.requests == []
    assert found[-1].message == "m was not asked."
    assert "--online" in found[-1].remedy


async def test_a_key_that_is_missing_is_a_problem_and_nothing_is_sent() -> None:
    root = FakeProvider()
    found = await look(Settings(model="openai:gpt-5-mini"), Given(root))
    assert said(found) == [("key", "problem")]
    assert "OPENAI_API_KEY is not set" in found[0].message
    assert found[0].remedy == "Set it with: export OPENAI_API_KEY=…"
    assert root.sent == []


async def test_a_key_is_named_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "correct-horse-battery")
    found = await look(Settings(model="openai:gpt-5-mini"), Given(FakeProvider()))
    assert found[0].message == "openai:gpt-5-mini: the key is in OPENAI_API_KEY."
    assert "correct-horse" not in repr(found)


async def test_an_address_from_a_projects_file_gets_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "correct-horse-battery")
    settings = replace(Settings(model="m", base_url="http://127.0.0.1:1/v1"), base_url_from_file=True)
    found = await look(settings, Given(FakeProvider()))
    assert "no key is sent to it" in found[0].message


async def test_price_and_cost_are_told() -> None:
    found = await look(Settings(model="m", base_url="http://127.0.0.1:1/v1"), Given(FakeProvider(model="m")))
    assert found[1].message == "m: $1.00 in and $1.00 out for a million tokens, a window of 10,000 tokens."
    assert found[2].message.endswith("tokens ($0.000056).")


async def test_both_models_are_asked() -> None:
    root, leaf = FakeProvider(model="root"), FakeProvider(model="leaf")
    found = await look(Settings(model="a", leaf_model="b", base_url="http://127.0.0.1:1/v1"), Given(root, leaf))
    assert said(found) == [("key", "ok"), ("key", "ok"), *[("price", "ok"), ("model", "ok")] * 2]
    assert (len(root.sent), len(leaf.sent)) == (1, 1)


async def test_a_model_that_spends_its_few_tokens_on_thinking_is_there() -> None:
    def thinks(call: Call) -> Outcome:
        return UnusableReply("it gave an empty reply", reason="empty", billed=Reply("", 10, 64))

    found = await look(Settings(model="m", base_url="http://127.0.0.1:1/v1"), Given(FakeProvider(thinks)))
    assert said(found)[-1] == ("model", "ok")
    assert "74 tokens" in found[-1].message


async def test_an_unknown_model_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await look(Settings(model="opnai:gpt-5-mini"))
    assert (said(found), "openai" in found[0].message) == ([("key", "problem")], True)


async def test_no_model_is_a_warning_with_the_ways_on() -> None:
    found = await look(Settings())
    assert said(found) == [("model", "warning")]
    assert found[0].message == "No model is configured."
    assert "habit models pull" in found[0].remedy


def _known(monkeypatch: pytest.MonkeyPatch, folder: Path, content: bytes, published: bytes) -> None:
    entry = replace(KNOWN[DEFAULT], size=len(content), sha256=hashlib.sha256(published).hexdigest())
    monkeypatch.setattr(local, "KNOWN", {DEFAULT: entry})
    monkeypatch.setattr("habit.doctor.models.KNOWN", {DEFAULT: entry})
    (folder / entry.file).write_bytes(content)


@pytest.mark.parametrize(
    ("published", "grade", "message", "remedy"),
    [
        (b"GGUF good", "ok", "checksum as published", ""),
        (b"GGUF bad!", "problem", "its checksum is wrong", f"habit models rm {DEFAULT}"),
    ],
)
async def test_the_local_models_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, published: bytes, grade: str, message: str, remedy: str
) -> None:
    _known(monkeypatch, tmp_path, b"GGUF good", published)
    found = await look(Settings(model="local"), Given(FakeProvider()), ask=False)
    assert (found[0].grade, message in found[0].message, remedy in found[0].remedy) == (grade, True, True)
    assert (len(found) == 2) == (grade == "ok")


async def test_a_local_model_that_is_not_here() -> None:
    (found,) = await look(Settings(model="local"), Given(FakeProvider()))
    assert (found.grade, found.remedy) == ("problem", "Fetch it with: habit models pull.")


async def test_a_local_file_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_bytes(b"GGUF")
    found = await look(Settings(model=str(tmp_path / "mine.gguf")), Given(FakeProvider(model="mine")))
    assert "no checksum of it is known" in found[0].message
    assert found[-1].message.startswith("mine answers")
