"""What the functions of a session ask of their host, and what monty gets for it."""

from __future__ import annotations

import binascii
import difflib
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from habit.contexts.context import Context
from habit.contexts.tables import find_table
from habit.errors import CallFailed
from habit.sandbox.cpython.frames import MAX_SLOTS
from habit.sandbox.cpython.inside.arguments import check_map, prompt_of, prompts_of, query_of
from habit.sandbox.cpython.inside.dialects import DO_AS_IT_SAYS
from habit.sandbox.cpython.inside.returns import Rebuild
from habit.sandbox.monty.values import answer_of, context_of, refuse_stand_in, returns_of, scrub
from habit.sandbox.session import LlmRequest

Result = dict[str, Any]
"""What a snapshot is resumed with: ``{"return_value": …}`` or ``{"exception": …}``."""
_SAMPLE = 1 << 20
_LINES = 400


@dataclass(frozen=True)
class Ask:
    """Requests for the host: one, or the slots of a map."""

    requests: tuple[LlmRequest, ...]
    many: bool
    finish: Callable[[Sequence[Any]], Any]
    """From the replies, or CallFailed in their places, to the value of the call; raises CallFailed."""

    @property
    def size(self) -> int:
        """Bytes of queries and contexts."""
        return sum(len(r.query) + (len(r.context.payload) if r.context else 0) for r in self.requests)


@dataclass(frozen=True)
class Offer:
    """An answer; the later values are tried where the earlier are not of the requested type."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Aside:
    """Something the host works out by itself, in a thread."""

    work: Callable[[], Any]


class Functions:
    """The host functions of one session. Each checks its arguments, which hostile code chose, and asks nothing."""

    def __init__(self, known_names: Callable[[], list[str]]) -> None:
        self._known_names = known_names

    def plan(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Ask | Offer | Aside:
        """What a call asks for. Raises NameError, TypeError or ValueError, for the cell to see."""
        if name not in NAMES:
            raise NameError(f"name {name[:100]!r} is not defined")
        planned: Ask | Offer | Aside = getattr(self, name)(*args, **kwargs)
        return planned

    def recursive_llm(self, query: Any, context: Any = None, *, returns: Any = str) -> Ask:
        """One bounded call or child run."""
        question = query_of("recursive_llm", query)
        schema, rebuild = returns_of(returns)
        return _one(LlmRequest(question, None if context is None else _context(context), schema), rebuild)

    def recursive_llm_map(self, query: Any, contexts: Any, *, returns: Any = str, on_error: str = "raise") -> Ask:
        """The same query about each context."""
        question = query_of("recursive_llm_map", query)
        refuse_stand_in(contexts)
        check_map(contexts, on_error)
        schema, rebuild = returns_of(returns)
        found = [None if item is None else _context(item) for item in contexts]
        _check_slots(found, "contexts", "map")
        return _each([LlmRequest(question, context, schema) for context in found], rebuild, on_error)

    def llm_query(self, prompt: Any, model: Any = None) -> Ask:
        """A prompt by itself."""
        return _one(LlmRequest(query_of("llm_query", prompt), None, None), _same)

    def llm_query_batched(self, prompts: Any, model: Any = None) -> Ask:
        """Each prompt by itself."""
        queries = _prompts("llm_query_batched", prompts)
        _check_slots(queries, "prompts", "batch")
        return _each([LlmRequest(query, None, None) for query in queries], _same, "return")

    def rlm_query(self, prompt: Any, model: Any = None) -> Ask:
        """A child run with the prompt as its context."""
        context = _context(prompt_of("rlm_query", prompt))
        return _one(LlmRequest(DO_AS_IT_SAYS, context, None, child=True), _same)

    def rlm_query_batched(self, prompts: Any, model: Any = None) -> Ask:
        """A child run for each prompt."""
        contexts = [_context(prompt) for prompt in _prompts("rlm_query_batched", prompts)]
        _check_slots(contexts, "prompts", "batch")
        return _each([LlmRequest(DO_AS_IT_SAYS, context, None, child=True) for context in contexts], _same, "return")

    def FINAL(self, value: Any) -> Offer:  # noqa: N802 - named as in other systems
        """The final answer."""
        return Offer((answer_of(value),))

    _habit_give = FINAL

    def SUBMIT(self, *values: Any, **fields: Any) -> Offer:  # noqa: N802
        """The final answer: a value, or the output fields by name."""
        if bool(values) == bool(fields):
            raise TypeError("SUBMIT(...) takes either the answer or output fields by name")
        if len(fields) == 1:
            (value,) = fields.values()
            return Offer((answer_of(value), answer_of(fields)))
        if fields:
            return Offer((answer_of(fields),))
        return Offer((answer_of(values[0] if len(values) == 1 else list(values)),))

    def _habit_names(self) -> Aside:
        return Aside(self._known_names)

    def _habit_shape(self, lines: Any) -> Aside:
        """(delimiter, width, whether there is a header) of the table that ``lines`` begin, or None."""
        if not isinstance(lines, list):
            raise TypeError("the lines of a table must be a list")
        sample = [str(line)[:_SAMPLE] for line in lines[:_LINES]]

        def work() -> Any:
            shape = find_table(sample)
            return None if shape is None else (shape.delimiter, shape.width, shape.header is not None)

        return Aside(work)

    def _habit_like(self, sample: Any, word: Any) -> Aside:
        """Words of ``sample`` that look like ``word``, as the end of an error message."""
        text, wanted = str(sample)[:_SAMPLE], str(word)[:200]

        def work() -> str:
            words = dict.fromkeys(re.findall(r"\w{3,40}", text))
            alike = difflib.get_close_matches(wanted, itertools.islice(words, 20_000), n=5, cutoff=0.7)
            if alike:
                return f" Words in it that look like it: {', '.join(alike)}."
            return f" It begins: {text[:150]!r}"

        return Aside(work)


NAMES = (
    "recursive_llm", "recursive_llm_map", "llm_query", "llm_query_batched", "rlm_query", "rlm_query_batched", "FINAL",
    "SUBMIT", "_habit_give", "_habit_names", "_habit_shape", "_habit_like",
)  # fmt: skip


def returned(value: Any) -> Result:
    """A call that returns ``value``."""
    return {"return_value": scrub(value)}


def raised(error: Exception) -> Result:
    """A call that raises; CallFailed becomes the exception that stands for it."""
    if isinstance(error, CallFailed):
        return {"exception": _stand_in(error)}
    for kind in (NameError, TypeError):
        if isinstance(error, kind):
            return {"exception": kind(scrub(str(error)))}
    return {"exception": ValueError(scrub(str(error)))}


def _stand_in(failure: CallFailed) -> Exception:
    return binascii.Incomplete(scrub(str(failure)))


def _one(request: LlmRequest, rebuild: Rebuild) -> Ask:
    return Ask((request,), False, lambda replies: _value(replies[0], rebuild))


def _each(requests: list[LlmRequest], rebuild: Rebuild, on_error: str) -> Ask:
    def finish(replies: Sequence[Any]) -> list[Any]:
        slots: list[Any] = []
        failures: list[CallFailed] = []
        for reply in replies:
            try:
                slots.append(_value(reply, rebuild))
            except CallFailed as failure:
                failures.append(failure)
                slots.append(_stand_in(failure))
        if failures and on_error == "raise":
            raise CallFailed(
                f'{len(failures)} of {len(slots)} calls failed (on_error="return" keeps the others); '
                f"the first: {failures[0]}",
                reason=failures[0].reason,
            )
        return slots

    return Ask(tuple(requests), True, finish)


def _value(reply: Any, rebuild: Rebuild) -> Any:
    if isinstance(reply, CallFailed):
        raise reply
    try:
        return rebuild(reply)
    except (TypeError, ValueError) as error:
        raise CallFailed(f"the reply does not fit returns=: {error}", reason="mismatch") from None


def _same(value: Any) -> Any:
    return value


def _context(value: Any) -> Context:
    kind, payload = context_of(value)
    return Context("text" if kind == "text" else "json", payload, "a call")


def _prompts(function: str, prompts: Any) -> list[str]:
    refuse_stand_in(prompts)
    return prompts_of(function, prompts)


def _check_slots(slots: Sequence[Any], what: str, of: str) -> None:
    if len(slots) > MAX_SLOTS:
        raise ValueError(f"{len(slots):,} {what} are too many for one {of}: {MAX_SLOTS:,} is the most")
