"""A scripted model: as the root it writes the program of the question's family, as a leaf it knows what texts mean.

It isolates what schedulers cost from how good a model is. Whatever is measured with it is labelled as such.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import anyio.lowlevel

from habit.bench.data import THINGS, Format
from habit.bench.families import READ, READ_TABLES
from habit.bench.tasks import Question
from habit.calls.budget import Budget
from habit.calls.call import Call, Message, Reply
from habit.calls.provider import Provider
from habit.config import Settings

NAME = "oracle:scripted"
_CHARACTERS_A_TOKEN = 4


class OracleModel:
    """A Provider; ``about`` says which question is being asked."""

    model = NAME
    concurrency = 64

    def __init__(
        self, *, latency: float = 0.0, noise: float = 0.0, seed: int = 0, window: int = 100_000, usd: float = 1e-6
    ) -> None:
        """``latency`` in seconds for each call; ``noise`` is the share of labels that leaf calls get wrong; ``usd`` for
        each token."""
        self.window = window
        self.about: Question | None = None
        self.calls = 0
        self._latency = latency
        self._noise = noise
        self._random = random.Random(seed)
        self._usd = usd
        self._labels: dict[str, str] = {}

    def ask_about(self, question: Question) -> None:
        """From now on the root writes the program for ``question``."""
        self.about = question
        self._labels.update(question.dataset.labels)

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Four characters are a token."""
        return sum(len(message.content) for message in messages) // _CHARACTERS_A_TOKEN

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """Each token costs the same."""
        return (input_tokens + output_tokens) * self._usd

    async def request(self, call: Call) -> Reply:
        """Reply as the script says."""
        self.calls += 1
        await anyio.lowlevel.checkpoint()
        if self._latency:
            await anyio.sleep(self._latency)
        text = self._root(call) if call.role == "root" else self._leaf(call)
        return Reply(text, await self.count_tokens(call.messages), max(1, len(text) // _CHARACTERS_A_TOKEN))

    async def aclose(self) -> None:
        """Nothing is open."""

    def _root(self, call: Call) -> str:
        assert self.about is not None
        told = next((one.content for one in call.messages if "Mend a Python program" in one.content), "")
        if told:
            return f"```python\nanswer({mended(self.about, _parameters_told(told))!r})\n```"
        turn = sum(message.role == "assistant" for message in call.messages)
        cells = self.about.family.cells(self.about.form, self.about.parameters)
        return f"```python\n{cells[min(turn, len(cells) - 1)]}\n```"

    def _leaf(self, call: Call) -> str:
        prompt = call.messages[-1].content
        if "Saved programs" in prompt:
            return self._matched(prompt)
        text = next((line.strip() for line in prompt.splitlines() if line.strip() in self._labels), "")
        if "Name the thing" in prompt:
            return next((thing for thing in THINGS if f" {thing}" in text), "nothing")
        label = self._labels.get(text, "none")
        others = sorted(set(self._labels.values()) - {label})
        return self._random.choice(others) if self._noise and self._random.random() < self._noise else label

    def _matched(self, prompt: str) -> str:
        """As a good model would: the habit that was learned from this family, with the values of the question."""
        assert self.about is not None
        family = self.about.family
        for line in prompt.splitlines():
            told: Mapping[str, Any] = json.loads(line) if line.startswith('{"habit"') else {}
            if told.get("habit") == family.name and len(told["parameters"]) == len(self.about.parameters):
                given = dict(zip(told["parameters"], self.about.parameters.values(), strict=True))
                return json.dumps({"habit": family.name, "parameters": given})
        return json.dumps({"habit": "none", "parameters": {}})


class OracleModels:
    """Gives every run the same model."""

    def __init__(self, model: OracleModel) -> None:
        self.model = model

    async def open_pair(self, settings: Settings, budget: Budget) -> tuple[Provider, Provider]:
        """Root and leaf."""
        return self.model, self.model

    async def aclose(self) -> None:
        """Nothing is open."""


def _parameters_told(prompt: str) -> list[str]:
    """The parameters of the program to be mended, in their order."""
    signatures = re.findall(r"def scheduler\(context, recursive_llm, \*, ([^)]*)\)", prompt)
    told = next((one for one in signatures if "..." not in one), "")
    return [name.partition(":")[0].strip() for name in told.split(",") if name.strip()]


def mended(question: Question, names: Sequence[str]) -> str:
    """A program that reads every format of the family: what a good model writes when the format changes.

    ``names`` are what the program to be mended calls the family's parameters.
    """
    family = question.family
    called = {name: name if name in names else repr(value) for name, value in question.parameters.items()}
    if len(names) == len(called):
        called = dict(zip(called, names, strict=True))
    code = family.code.format(**called)
    body = [f"def scheduler(context, recursive_llm, *, {', '.join(names)}):"]
    if family.tables:
        body += [f"    {line}" for line in READ_TABLES[family.tables].splitlines()]
    else:
        for number, form in enumerate(family.formats):
            body.append(f"    {'if' if number == 0 else 'elif'} {_TELLS[form]}:")
            body += [f"        {line}" for line in READ[form].splitlines()]
        body += ["    else:", "        raise ValueError('the input has a layout that this program does not know')"]
    body += [f"    {line}" for line in code.splitlines()]
    body.append("    return found")
    return "\n".join(body) + "\n"


_TELLS: Mapping[Format, str] = {
    "csv": "isinstance(context, str) and context.startswith('id,')",
    "semicolons": "isinstance(context, str) and context.startswith('id;')",
    "json-lines": "isinstance(context, str) and context.startswith('{')",
    "records": "isinstance(context, list)",
    "log": "isinstance(context, str)",
}
