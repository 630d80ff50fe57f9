"""The local model as the root of whole runs, and as the leaf under a scripted root."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from habit import RunFailed, Settings
from habit.calls.budget import Budget
from habit.calls.provider import Provider
from habit.engine import Engine
from habit.models import NamedModels
from support.scripted import ScriptedProvider, block

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live")]


@dataclass(frozen=True)
class Question:
    """A file to ask about, one question in several wordings (one an attempt), and how to know a right answer."""

    file: str
    text: str
    wordings: tuple[str, ...]
    returns: Any
    right: Callable[[Any], bool]


def server_log() -> Question:
    chance = random.Random(1)
    hosts = [f"web-{n:02}" for n in range(20)]
    levels = ["INFO"] * 90 + ["WARN"] * 8 + ["ERROR"] * 2
    lines = [
        f"2026-10-{1 + n % 28:02} {n % 24:02}:{n % 60:02}:11 {chance.choice(hosts)} {chance.choice(levels)} "
        f"request {n} served in {chance.randrange(900)} ms"
        for n in range(30_000)
    ]
    count = sum(" ERROR " in line for line in lines)
    return Question(
        "server.log",
        "\n".join(lines),
        (
            "How many lines contain the word ERROR?",
            "Count the lines with ERROR in them.",
            "How many ERROR lines does the log have?",
        ),
        int,
        lambda answer: answer == count,
    )


def notes_with_a_needle() -> Question:
    chance = random.Random(2)
    words = [
        "meeting",
        "budget",
        "plan",
        "review",
        "garden",
        "supplier",
        "delay",
        "paper",
        "window",
        "office",
        "travel",
        "lunch",
        "train",
        "report",
    ]
    lines = [f"- {' '.join(chance.choices(words, k=12))}." for _ in range(20_000)]
    lines[13_371] = "- The password of the archive room is heliotrope-42."
    return Question(
        "notes.md",
        "\n".join(lines),
        (
            "What is the password of the archive room?",
            "Which password opens the archive room?",
            "Find the password of the archive room.",
        ),
        str,
        lambda answer: "heliotrope-42" in answer,
    )


def orders() -> Question:
    chance = random.Random(3)
    rows = [
        (
            n,
            chance.choice(["Rome", "Oslo", "Lima", "Kyoto"]),
            chance.choice(["apple", "pear", "plum"]),
            chance.randrange(99),
        )
        for n in range(60_000)
    ]
    total = sum(row[3] for row in rows)
    text = "order,city,product,amount\n" + "".join(
        f"{n},{city},{product},{amount}\n" for n, city, product, amount in rows
    )
    return Question(
        "orders.csv",
        text,
        (
            "What is the sum of the column amount?",
            "Add up the amount of all orders.",
            "What is the total amount of all rows?",
        ),
        int,
        lambda answer: answer == total,
    )


async def test_as_root_at_least_two_of_three_questions_are_answered_right(engine: Engine, tmp_path: Path) -> None:
    verdicts: dict[str, list[str]] = {}
    for question in (server_log(), notes_with_a_needle(), orders()):
        path = tmp_path / question.file
        path.write_text(question.text)
        assert 1_000_000 < path.stat().st_size < 5_000_000
        attempts = verdicts[question.file] = []
        for wording in question.wordings:
            try:
                run = await engine.ask(wording, paths=[path], returns=question.returns)
            except RunFailed as failure:
                attempts.append(f"failed: {failure}")
                continue
            assert run.cells <= 6
            attempts.append("right" if question.right(run.answer) else f"wrong: {run.answer!r}")
            if attempts[-1] == "right":
                break
    right = [file for file, attempts in verdicts.items() if attempts[-1] == "right"]
    assert len(right) >= 2, verdicts


ITEMS = {
    "food": [
        "a bowl of tomato soup",
        "two slices of rye bread",
        "roast chicken with potatoes",
        "a ripe banana",
        "cheese and olives",
        "rice with beans",
        "a chocolate cake",
        "scrambled eggs",
    ],
    "animal": [
        "a sleeping tabby cat",
        "an elephant with its calf",
        "a flock of geese",
        "the neighbour's dog",
        "a green lizard",
        "two wild horses",
        "a grey wolf",
        "a spider in its web",
    ],
    "vehicle": [
        "a red fire engine",
        "an old bicycle",
        "the night train to Vienna",
        "a yellow taxi",
        "a fishing boat",
        "a delivery van",
        "a passenger aeroplane",
        "a motorcycle with a sidecar",
    ],
}


class LocalLeaf:
    """A scripted root over the local model as the leaf."""

    def __init__(self, root: ScriptedProvider) -> None:
        self.root = root
        self.named = NamedModels()

    async def open_pair(self, settings: Settings, budget: Budget) -> tuple[Provider, Provider]:
        _, leaf = await self.named.open_pair(settings, budget)
        return self.root, leaf

    async def aclose(self) -> None:
        await self.named.aclose()


async def test_as_leaf_at_least_18_of_24_items_are_classified_right(local_model: Path) -> None:
    items = [(text, label) for label, texts in ITEMS.items() for text in texts]
    random.Random(4).shuffle(items)
    code = "answer(recursive_llm_map('What kind of thing is this?', context, returns=['food', 'animal', 'vehicle']))"
    models = LocalLeaf(ScriptedProvider([block(code)], model="scripted"))
    settings = Settings(model="local", profile="small", no_cache=True, no_journal=True)
    async with Engine(settings, models=models) as engine:
        run = await engine.ask("What is each item?", [text for text, _ in items], returns=list[str])
        await models.aclose()
    assert run.usage.leaf.calls == 24
    right = sum(given == label for given, (_, label) in zip(run.answer, items, strict=True))
    assert right >= 18
