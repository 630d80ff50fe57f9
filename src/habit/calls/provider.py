"""The seam to a model: a provider sends one call once; retries, budgets and the journal are the kernel's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from habit.calls.call import Call, Message, Reply
from habit.errors import CallFailed


class TransientFailure(CallFailed):
    """A failure worth retrying (429, 5xx, time-out, broken connection), with the server's Retry-After in seconds."""

    def __init__(self, message: str, *, reason: str, retry_after: float | None = None) -> None:
        super().__init__(message, reason=reason)
        self.retry_after = retry_after


class Provider(Protocol):
    """One model behind one endpoint. Implementations: ``pydantic_ai.py`` and the tests' in-memory twin."""

    model: str
    """The full name as the user gave it, such as ``openai:gpt-5-mini`` or ``local``."""
    window: int
    """Context window in tokens: prompt and reply together."""
    concurrency: int
    """How many requests may be under way at once."""

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Prompt size in tokens: exact where the provider can tell, else a cautious estimate. Deterministic."""
        ...

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """Cost in USD, or None when no price is known for this model."""
        ...

    async def request(self, call: Call) -> Reply:
        """Send ``call`` once.

        Raises TransientFailure when a retry may help, any other CallFailed when it will not.
        """
        ...

    async def aclose(self) -> None:
        """Give back connections."""
        ...
