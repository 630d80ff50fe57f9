"""Prices and context windows of models, from the list that ``genai-prices`` ships; never updated over the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from habit.calls.budget import Budget
from habit.calls.clients import is_loopback
from habit.errors import UsageError

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot

    from habit.calls.provider import Provider

_LISTED_AS = {
    "azure-responses": "azure",
    "bedrock": "aws",
    "bedrock-mantle": "aws",
    "google-cloud": "google",
    "openai-chat": "openai",
    "openai-responses": "openai",
    "xai": "x-ai",
}
"""Providers that the list knows under another name."""


class PriceList:
    """What is known of one model: by its provider's name, else by the address it is served at.

    Loading the list takes some tenths of a second: not for an event loop.
    """

    def __init__(self, provider: str | None, model: str, *, url: str | None = None) -> None:
        self._provider = _LISTED_AS.get(provider, provider) if provider else None
        self._model = model
        self._url = url
        self.known = False
        """Whether the list has this model."""
        self.window: int | None = None
        """Context window in tokens, where the list has it."""
        if self._provider is None and (url is None or is_loopback(url)):
            return
        try:
            found = _snapshot().find_provider_model(model, None, self._provider, None if self._provider else url)
        except LookupError:
            found = None
        if found is not None:
            self.known, self.window = True, found[1].context_window

    def cost(
        self, input_tokens: int, output_tokens: int, *, cache_read_tokens: int = 0, cache_write_tokens: int = 0
    ) -> float | None:
        """USD for one call, or None when no price is known; cached tokens are part of ``input_tokens``."""
        if not self.known:
            return None
        from genai_prices import Usage, calc_price

        usage = Usage(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cache_read_tokens=cache_read_tokens,
            cache_write_tokens=cache_write_tokens,
        )
        try:
            if self._provider is not None:
                return float(calc_price(usage, self._model, provider_id=self._provider).total_price)
            return float(calc_price(usage, self._model, provider_api_url=self._url).total_price)
        except (LookupError, ValueError):  # listed without a price, or cached counts that contradict the total
            return None


def listed_models(provider: str) -> list[str]:
    """Names of ``provider``'s models in the list; empty when it is not listed."""
    wanted = _LISTED_AS.get(provider, provider)
    return [model.id for entry in _snapshot().providers if entry.id == wanted for model in entry.models]


def require_price(provider: Provider, budget: Budget, *, flag: str = "--max-usd") -> None:
    """Raises UsageError when ``budget`` is in USD, set by ``flag``, and nobody knows what ``provider`` charges."""
    if budget.max_usd is not None and provider.price(1000, 1000) is None:
        raise UsageError(
            f"{flag} needs a price, and none is known for {provider.model}: limit the run with --max-tokens or "
            "--max-calls instead."
        )


def _snapshot() -> DataSnapshot:
    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot()
