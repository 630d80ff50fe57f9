"""How much of the prompts of a batch of calls a prefix cache can serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from habit.calls.call import Call
from habit.calls.tokens import estimate_text


@dataclass(frozen=True)
class PrefixShare:
    """Prompt tokens of a batch, estimated; the first call of it fills the cache and is served nothing."""

    prompt_tokens: int
    """Of all calls."""
    shared_tokens: int
    """Of all calls but the first, those that every call has: at its start, or after what changes at its end."""
    served_tokens: int
    """Of those, the ones at the start, which a prefix cache serves."""

    @property
    def of_shared(self) -> float:
        """The part of the shared tokens that is served, 0 to 1; 1 when nothing is shared."""
        return self.served_tokens / self.shared_tokens if self.shared_tokens else 1.0

    @property
    def of_prompts(self) -> float:
        """The part of all prompt tokens that is served, 0 to 1."""
        return self.served_tokens / self.prompt_tokens if self.prompt_tokens else 0.0


def prefix_share(calls: Sequence[Call]) -> PrefixShare:
    """What a prefix cache can serve of ``calls``, made one after the other with nothing evicted between them."""
    prompts = [_as_text(call) for call in calls]
    start = _common_start(prompts)
    rests = [prompt[len(start) :] for prompt in prompts]
    end = _common_start([rest[::-1] for rest in rests])
    later = max(len(calls) - 1, 0)
    served, behind = later * estimate_text(start), later * estimate_text(end)
    return PrefixShare(sum(map(estimate_text, prompts)), served + behind, served)


def _common_start(texts: Sequence[str]) -> str:
    if not texts:
        return ""
    first, last = min(texts), max(texts)  # whatever these two share, those between them share as well
    for position, (one, other) in enumerate(zip(first, last, strict=False)):
        if one != other:
            return first[:position]
    return first


def _as_text(call: Call) -> str:
    """A prompt as a chat template lays it out, whichever one it is."""
    return "".join(f"<{message.role}>\n{message.content}\n" for message in call.messages)
