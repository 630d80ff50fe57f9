"""Usage: what a run's whole tree of calls cost, exactly.

How calls count:

- A *live* call is one that was sent. It counts once in ``calls``, however many attempts it took, whether it succeeded,
  failed, or was cancelled on its way; its tokens are those that the provider reported for it.
- On resume, replies that the same run had already paid for count as live calls again, with their tokens and cost: the
  figures of a resumed run are those of the whole run, not of its last process.
- Replies taken from other runs, and every reply of a replay, cost nothing: they count in ``cached_calls`` only.
- ``failed_calls`` counts every call that ended without a usable reply. One that was sent is in ``calls`` as well, with
  the tokens it was billed for, such as those of a refusal; one that was stopped before anything left (its prompt was
  too long) is in ``failed_calls`` alone.

So ``root.calls + leaf.calls == calls`` always holds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from habit.calls.call import Role


@dataclass(frozen=True)
class Tally:
    """Live calls of one role and their tokens."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    """Of the input tokens, those that a provider took from its prompt cache."""


@dataclass(frozen=True)
class Usage:
    """Exact usage of a run; see the module for how calls count."""

    calls: int = 0
    """Live calls."""
    cached_calls: int = 0
    """Calls answered from the journal, for nothing."""
    failed_calls: int = 0
    """Calls that ended without a usable reply."""
    root: Tally = field(default_factory=Tally)
    leaf: Tally = field(default_factory=Tally)
    usd: float | None = 0.0
    """Cost of the live calls in USD; None when any of them went to a model without a known price."""
    peak_prompt_tokens: int = 0
    """The largest prompt of any call, cached ones included."""
    cache_read_tokens: int = 0
    """Of all input tokens, those that a provider took from its prompt cache, where it tells."""
    speculated_calls: int = 0
    """Live calls that were started before the run asked for them."""
    wasted_calls: int = 0
    """Those of them that it never asked for; they were paid for, and are in ``calls`` as well."""

    @classmethod
    def from_json(cls, value: dict[str, Any], peak_prompt_tokens: int) -> Usage:
        """The usage that ``to_json`` wrote down."""
        tallies = {"root": Tally(**value["root"]), "leaf": Tally(**value["leaf"])}
        return cls(**{**value, **tallies}, peak_prompt_tokens=peak_prompt_tokens)

    def to_json(self) -> dict[str, Any]:
        """The ``usage`` object that ``--json`` prints; ``peak_prompt_tokens`` stands beside it there."""
        values = asdict(self)
        del values["peak_prompt_tokens"]
        return values


class UsageMeter:
    """Adds up calls as they end; ``usage`` is the sum so far."""

    def __init__(self) -> None:
        self._tallies: dict[Role, Tally] = {"root": Tally(), "leaf": Tally()}
        self._cached = 0
        self._failed = 0
        self._usd: float | None = 0.0
        self._peak = 0
        self._adopted = 0

    @property
    def usage(self) -> Usage:
        """The sum so far."""
        root, leaf = self._tallies["root"], self._tallies["leaf"]
        return Usage(
            calls=root.calls + leaf.calls,
            cached_calls=self._cached,
            failed_calls=self._failed,
            root=root,
            leaf=leaf,
            cache_read_tokens=root.cache_read_tokens + leaf.cache_read_tokens,
            usd=self._usd,
            peak_prompt_tokens=self._peak,
            speculated_calls=self._adopted,
        )

    def live(
        self, role: Role, input_tokens: int, output_tokens: int, usd: float | None, *, cache_read_tokens: int = 0
    ) -> None:
        """A call was sent and is over; with no reply, tokens are 0 and ``usd`` is the price of nothing."""
        tally = self._tallies[role]
        self._tallies[role] = Tally(
            tally.calls + 1,
            tally.input_tokens + input_tokens,
            tally.output_tokens + output_tokens,
            tally.cache_read_tokens + cache_read_tokens,
        )
        self._usd = None if usd is None or self._usd is None else self._usd + usd
        self._peak = max(self._peak, input_tokens)

    def adopted(self) -> None:
        """A live call was started before the run asked for it; ``live`` is told apart from this."""
        self._adopted += 1

    def cached(self, input_tokens: int) -> None:
        """A call was answered from the journal for nothing."""
        self._cached += 1
        self._peak = max(self._peak, input_tokens)

    def failed(self) -> None:
        """A call ended without a usable reply; ``live`` is told apart from this if it was sent."""
        self._failed += 1
