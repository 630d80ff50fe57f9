"""The seam to a model: a provider sends one call once; retries, budgets and the journal are the kernel's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from habit.calls.call import Call, Message, Reply
from habit.calls.ratelimits import RateLimit
from habit.errors import CallFailed


class TransientFailure(CallFailed):
    """A failure worth retrying (429, 5xx, time-out, broken connection), with the server's Retry-After in seconds, its
    HTTP ``status`` if it answered, and what it said of its rate ``limits``.

    ``at_most`` caps the retries after this kind of failure, where repeating seldom helps; ``None`` leaves it to the
    retry policy.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        retry_after: float | None = None,
        at_most: int | None = None,
        status: int | None = None,
        limits: tuple[RateLimit, ...] = (),
    ) -> None:
        super().__init__(message, reason=reason)
        self.retry_after = retry_after
        self.at_most = at_most
        self.status = status
        self.limits = limits


class UnusableReply(CallFailed):
    """A whole reply came back and was probably billed, but there is no text in it to use: empty, or a refusal."""

    def __init__(self, message: str, *, reason: str, billed: Reply) -> None:
        super().__init__(message, reason=reason)
        self.billed = billed


class Provider(Protocol):
    """One model behind one endpoint. Hashable by identity, and used from one event loop.

    Implementations: ``pydantic_ai.py``, ``local_provider.py`` and the tests' in-memory twin.
    """

    model: str
    """The full name as the user gave it, such as ``openai:gpt-5-mini`` or ``local``."""
    window: int
    """Context window in tokens: prompt and reply together."""
    concurrency: int
    """How many requests may be under way at once, at most; ``concurrency.py`` finds out how many are good."""

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Prompt size in tokens: exact where the provider can tell, else a cautious estimate. Deterministic."""
        ...

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """Cost in USD, or None when no price is known for this model."""
        ...

    async def request(self, call: Call) -> Reply:
        """Send ``call`` once; ``call.heard`` is told of the reply while it comes, by providers that can stream.

        Raises TransientFailure when a retry may help, any other CallFailed when it will not.
        """
        ...

    async def aclose(self) -> None:
        """Give back connections."""
        ...
