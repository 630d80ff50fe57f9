"""A model with faults: its root does what a script says, and its leafs misread a share of what they are asked.

About inputs of any size it reads, and works as an agent, as the oracle's script does, but for its faults.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

import anyio.lowlevel

from habit.bench.attribution import part_of_the_truth
from habit.bench.data import LABELS, thing_of
from habit.bench.families import Family
from habit.bench.large import ASK_KINDS, ASK_THREATS
from habit.bench.script import Script as Oracle
from habit.bench.script import tokens_of, tokens_said
from habit.bench.surveys import asked
from habit.bench.tasks import Question
from habit.calls.budget import Budget
from habit.calls.call import Call, Message, Reply
from habit.calls.provider import Provider
from habit.config import Settings

Script = Callable[[Call], str]
NAME = "faulty:scripted"


class FaultyModel:
    """A provider with faults: its root follows a script, its leafs misread a share of what they are asked."""

    model = NAME
    concurrency = 64
    window = 100_000

    def __init__(self) -> None:
        self.about: Question | None = None
        self.script: Script = lambda call: ""
        self.misreads = 0.0
        self.luck = random.Random(0)
        self.calls = 0
        self.leafs = 0

    async def open_pair(self, settings: Settings, budget: Budget) -> tuple[Provider, Provider]:
        """Root and leaf: it serves every run itself."""
        return self, self

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Four characters are a token."""
        return tokens_of(messages)

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """Nothing."""
        return 0.0

    async def request(self, call: Call) -> Reply:
        """As the script says, or what a leaf reads."""
        self.calls += 1
        await anyio.lowlevel.checkpoint()
        text = self.script(call) if call.role == "root" else self._read(call)
        return Reply(text, tokens_of(call.messages), tokens_said(text))

    async def aclose(self) -> None:
        """Nothing is open."""

    def _read(self, call: Call) -> str:
        assert self.about is not None
        self.leafs += 1
        prompt, labels = call.messages[1].content, self.about.dataset.labels
        if ASK_KINDS in prompt or ASK_THREATS in prompt or asked(prompt):
            return self._read_many(call)
        errs = self.luck.random() < self.misreads
        if self.about.text in prompt:
            true = part_of_the_truth(self.about, prompt)
            return spoilt_text(true, self.luck) if errs else true
        text = next((line.strip() for line in prompt.splitlines() if line.strip() in labels), None)
        if call.schema is None:
            return thing_of(text) if text and not errs else "thing"
        if text and not errs:
            return labels[text]
        return self.luck.choice(sorted(set(LABELS) - {labels.get(text or "")}))  # a model asked for a label gives one

    def _read_many(self, call: Call) -> str:
        """Of many texts in one prompt, each is misread by chance."""
        said = Oracle(noise=self.misreads, seed=self.luck.randrange(1 << 30)).reply(call)
        return re.sub('"none"', lambda _: json.dumps(self.luck.choice(sorted(LABELS))), said)  # it gives a label


def reads(family: Family) -> bool:
    """Whether the family needs leafs."""
    return "recursive_llm" in family.code


def agent_step(call: Call, question: Question, bookkeeping: Callable[[Any], Any]) -> str:
    """A look, the question put to leafs page by page, and what their replies come to."""
    turn = sum(message.role == "assistant" for message in call.messages)
    if turn == 0:
        return _use("peek")
    if turn > 1 or not reads(question.family):
        told = re.findall(r"(?m)^page \d+: (.*)$", call.messages[-1].content) if turn > 1 else None
        return _use("answer", value=bookkeeping(question.truth if told is None else _together(told, question)))
    pages = re.search(r"on ([\d,]+) pages", call.messages[-1].content)
    count = int(pages[1].replace(",", "")) if pages else 1
    return _use("recursive_llm", query=question.text, slices=[str(page) for page in range(1, count + 1)])


def sized_agent_step(call: Call, bookkeeping: Callable[[Any], Any]) -> str:
    """What the oracle's agent does about an input of any size; what it answers has gone through ``bookkeeping``."""

    def answer(found: re.Match[str]) -> str:
        return _use("answer", value=bookkeeping(json.loads(found[1])["value"]))

    return _ANSWER.sub(answer, Oracle().reply(call))


_ANSWER = re.compile(r"```json answer\n(.*)\n```")


def _use(tool: str, **arguments: Any) -> str:
    return f"```json {tool}\n{json.dumps(arguments)}\n```"


def _together(told: Sequence[str], question: Question) -> Any:
    """What the replies about each page come to."""
    known = [one for one in told if one and one != "nothing"]
    if question.family.returns is int:
        return sum(int(one) for one in known if one.lstrip("-").isdecimal())
    if question.family.returns == list[str]:
        return [name for one in known for name in one.split(", ")]
    return known[0] if known else "nothing"


def spoilt(value: Any, rng: random.Random) -> Any:
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int():
            return value + rng.choice((-1, 1, 2))
        case list():
            return value[1:] if value else ["m1"]
        case _:
            return f"{value}x"


def spoilt_text(text: str, rng: random.Random) -> str:
    """A reply that is wrong in the way of its kind."""
    if text.isdecimal():
        return str(int(text) + rng.choice((1, 2)))
    return "" if ", " in text else f"{text}x"
