"""What runs would cost at the list prices of a model: for scripts and for models of one's own, which cost nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version

from habit.bench.outcome import Outcome
from habit.calls.prices import PriceList
from habit.errors import UsageError

_TOKENS = 1_000
"""Of a short prompt: some models cost more for each token of a very long one, and calls here are bounded."""


class Prices:
    """The list prices of one model, for root and leaf alike; prompts that repeat cost no less."""

    def __init__(self, model: str) -> None:
        """``model`` as ``--model`` names it. Raises UsageError where no price is known for it."""
        provider, _, name = model.partition(":")
        listed = PriceList(provider, name)
        told, said = listed.cost(_TOKENS, 0), listed.cost(0, _TOKENS)
        if told is None or said is None:
            raise UsageError(f"No price is known for {model}: give --prices a model such as openai:gpt-5-mini.")
        self.model = model
        self._input, self._output = told / _TOKENS, said / _TOKENS

    def usd(self, outcome: Outcome) -> float | None:
        """US dollars of all its tokens; None where those of replies are not told apart."""
        output = outcome.output_tokens
        return None if output is None else (outcome.tokens - output) * self._input + output * self._output

    def applied(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """The outcomes as if they had cost that."""
        return [replace(one, usd=self.usd(one)) for one in outcomes]

    @property
    def note(self) -> str:
        """What a page says of them."""
        told, said = (f"${each * 1e6:.4g}" for each in (self._input, self._output))
        return (
            "US$ are not what was paid: all tokens, those of learning too, are counted at the list prices of "
            f"{self.model} ({told} for a million tokens of prompts, {said} of replies; genai-prices "
            f"{version('genai-prices')}), for root and leaf alike, without a discount for prompts that repeat."
        )
