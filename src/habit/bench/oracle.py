"""The oracle in process: a Provider that replies as the script says, and counts.

It isolates what schedulers cost from how good a model is. Whatever is measured with it is labelled as such. ``server``
speaks the same script over HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio
import anyio.lowlevel

from habit.bench.families import Family
from habit.bench.large import EVERY
from habit.bench.script import Script, tokens_of, tokens_said
from habit.bench.tasks import Question
from habit.calls.budget import Budget
from habit.calls.call import Call, Message, Reply
from habit.calls.provider import Provider
from habit.config import Settings

NAME = "oracle:scripted"


class OracleModel:
    """A scripted model; any number of runs may ask it at once."""

    model = NAME
    concurrency = 64

    def __init__(
        self,
        *,
        latency: float = 0.0,
        noise: float = 0.0,
        seed: int = 0,
        window: int = 100_000,
        families: Sequence[Family] = EVERY,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """``latency`` in seconds for each call; ``noise`` is the share of texts and records that leaf calls misread;
        ``labels`` the kinds of texts that are not of the bench's own inputs."""
        self.window = window
        self.calls = 0
        self._latency = latency
        self._script = Script(families, noise=noise, seed=seed, labels=labels)

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Four characters are a token."""
        return tokens_of(messages)

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """A script costs nothing."""
        return 0.0

    async def request(self, call: Call) -> Reply:
        """Reply as the script says."""
        self.calls += 1
        await anyio.lowlevel.checkpoint()
        if self._latency:
            await anyio.sleep(self._latency)
        text = self._script.reply(call)
        return Reply(text, tokens_of(call.measured), tokens_said(text))

    async def aclose(self) -> None:
        """Nothing is open."""


def oracle_about(question: Question, *, latency: float = 0.0, noise: float = 0.0, seed: int = 0) -> OracleModel:
    """The script for ``question``: where its texts are none of the bench's own, it is told what they mean."""
    family = question.family
    if family in EVERY:
        return OracleModel(latency=latency, noise=noise, seed=seed)
    families, labels = (*EVERY, family), question.dataset.labels
    return OracleModel(latency=latency, noise=noise, seed=seed, families=families, labels=labels)


class OracleModels:
    """Gives every run the same model."""

    def __init__(self, model: OracleModel) -> None:
        self.model = model

    async def open_pair(self, settings: Settings, budget: Budget) -> tuple[Provider, Provider]:
        """Root and leaf."""
        return self.model, self.model

    async def aclose(self) -> None:
        """Nothing is open."""
