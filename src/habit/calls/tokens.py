"""What a prompt takes in tokens, by the cautious estimate of ``habit.contexts.estimate``."""

from __future__ import annotations

from collections.abc import Sequence

import anyio.to_thread

from habit.calls.call import Message
from habit.contexts.estimate import MIN_RATE, estimate_text

__all__ = ["TOKENS_PER_MESSAGE", "TOKENS_PER_PROMPT", "estimate_prompt", "estimate_text", "surely_more_than"]

TOKENS_PER_MESSAGE = 8
"""Role markers and separators that a chat template puts around each message."""
TOKENS_PER_PROMPT = 32
"""What a chat template adds once: a start marker, a standing system prompt, the opening of the reply."""

_BIG = 200_000
"""Characters above which an estimate is made in a thread, to leave the event loop free."""


async def estimate_prompt(messages: Sequence[Message]) -> int:
    """Tokens that a prompt should take at most, chat template included; leaves the event loop free."""
    if sum(len(message.content) for message in messages) < _BIG:
        return prompt_tokens(messages)
    return await anyio.to_thread.run_sync(prompt_tokens, messages)


def surely_more_than(messages: Sequence[Message], tokens: int) -> bool:
    """Whether the estimate is above ``tokens`` by the length of the text alone; costs nothing at any size."""
    return sum(len(message.content) for message in messages) * MIN_RATE > tokens


def prompt_tokens(messages: Sequence[Message]) -> int:
    """The estimate for a whole prompt; blocks for as long as it takes."""
    return TOKENS_PER_PROMPT + sum(TOKENS_PER_MESSAGE + estimate_text(message.content) for message in messages)
