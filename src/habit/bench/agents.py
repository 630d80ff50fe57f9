"""The scripted agent: what a competent model does with the tools of the agent loop, step by step.

What it knows stands in its conversation and nowhere else: each reply begins with its notes, and the next is made from
the last notes and the last result. So it works on after older steps were folded.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from habit.bench.data import Dataset, Message
from habit.bench.families import Family, top
from habit.bench.large import favourite, near_pairs, pairs_of_kind
from habit.bench.near import bottom
from habit.bench.reading import Reader
from habit.bench.surveys import KINDS, SURVEYS, added

State = dict[str, Any]
Step = tuple[str, dict[str, Any]]
"""A tool and its arguments."""
AT_ONCE = 40
"""Slices in one step: their replies share a page."""
SLICE_CHARS = 36_000

_NOTES = re.compile(r"Notes: (\{.*\})")
_FOUND = re.compile(r"(?m)^page [\d,]+: (.*)$")
_PART = re.compile(r"(?m)^pages? [\d-]+: (\d+)$")
_PAGES = re.compile(r"on ([\d,]+) pages of at most ([\d,]+) characters")


def noted(texts: Sequence[str]) -> State:
    """The last notes in a conversation; empty before the first step."""
    for text in reversed(texts):
        if found := _NOTES.findall(text):
            state: State = json.loads(found[-1])
            return state
    return {}


def notes(state: State) -> str:
    """How notes stand in a reply."""
    return f"Notes: {json.dumps(state)}"


def next_step(family: Family, given: Mapping[str, Any], state: State, told: str) -> tuple[State, Step]:
    """What the agent does next, and the notes it takes first; ``told`` is what its last step gave."""
    name = family.name
    if name in _BY_SURVEY:
        return _survey(_BY_SURVEY[name], given, state, told)
    if name in ("thread-starter", "thread-thing"):
        return _climb(name, given, state, told)
    if name not in _BY_SEARCH:
        return _parts(family, given, state, told)
    tool, pattern, conclude = _BY_SEARCH[name]
    if not state:
        return {"looked for": True}, (tool, {"pattern": pattern(given)})
    return state, _answer(conclude(given, told))


def _answer(value: Any) -> Step:
    return "answer", {"value": value}


def lines(told: str) -> Dataset:
    """The records in what a search gave."""
    return Reader(random.Random(0)).read("\n".join(_FOUND.findall(told)))


def _survey(
    plan: tuple[Callable[[Mapping[str, Any]], str], Callable[[Mapping[str, Any], State], Any]],
    given: Mapping[str, Any],
    state: State,
    told: str,
) -> tuple[State, Step]:
    """See how many pages there are, have all of them read, some dozens of slices at a time, and add up."""
    which, conclude = plan
    if not state:
        return {"at": 0}, ("peek", {})
    if "pages" not in state:
        state = {**_paged(told), "sums": {}}
        if "city" in given:
            return {**state, "asks who lives there": True}, ("search", {"pattern": f",{given['city']}$"})
    elif state.pop("asks who lives there", False):
        state["users"] = sorted(lines(told).cities)
    else:
        state["sums"] = added(state["sums"], told)
    slices = _next_slices(state)
    if not slices:
        return state, _answer(conclude(given, state))
    return state, ("recursive_llm", {"query": SURVEYS[which(given)].query, "slices": slices})


def _parts(family: Family, given: Mapping[str, Any], state: State, told: str) -> tuple[State, Step]:
    """Put a question about a number to every slice, and add up the replies."""
    if not state:
        return {"at": 0}, ("peek", {})
    if "pages" not in state:
        state = {**_paged(told), "sum": 0}
    else:
        state["sum"] += sum(map(int, _PART.findall(told)))
    slices = _next_slices(state)
    if not slices:
        return state, _answer(state["sum"])
    return state, ("recursive_llm", {"query": family.question(given), "slices": slices})


def _paged(told: str) -> State:
    """Where to begin, from what ``peek`` tells of the pages."""
    found = _PAGES.search(told)
    assert found is not None, told[:200]
    pages, chars = (int(number.replace(",", "")) for number in found.groups())
    return {"at": 1, "pages": pages, "each": max(1, SLICE_CHARS // chars)}


def _next_slices(state: State) -> list[str]:
    """The slices that come next, of which the state takes note; none at the end."""
    starts = list(range(state["at"], state["pages"] + 1, state["each"]))[:AT_ONCE]
    state["at"] = starts[-1] + state["each"] if starts else state["at"]
    return [f"{start}-{min(start + state['each'] - 1, state['pages'])}" for start in starts]


def _climb(name: str, given: Mapping[str, Any], state: State, told: str) -> tuple[State, Step]:
    """From message to message up to the first of a thread, a search for each."""
    at = state.get("at", given["id"])
    if state:
        found = lines(told)
        if at not in found.replies:
            first = next(message for message in found.messages if message.id == at)
            return state, _answer(first.user if name == "thread-starter" else first.thing)
        at = found.replies[at]
    return {"at": at}, ("search", {"pattern": f"^{at},"})


def _kind_of_user(state: State) -> dict[str, str]:
    return {user: favourite(dict(zip(KINDS, counts, strict=True))) for user, counts in state["sums"].items()}


def _counted(given: Mapping[str, Any], state: State) -> int:
    place = KINDS.index(given["label"])
    users = state.get("users", list(state["sums"]))
    return sum(counts[place] for user, counts in state["sums"].items() if user in users)


def _counted_besides(given: Mapping[str, Any], state: State) -> int:
    """The messages that are not what ``given`` names: of another kind, or of users from elsewhere."""
    place, here = KINDS.index(given["label"]), state.get("users")
    if here is None:
        return sum(sum(counts) - counts[place] for counts in state["sums"].values())
    return sum(counts[place] for user, counts in state["sums"].items() if user not in here)


def _spent(state: State) -> dict[str, int]:
    return {user: numbers[0] for user, numbers in state["sums"].items()}


def _ids(given: Mapping[str, Any], state: State) -> list[str]:
    return sorted(state["sums"], key=lambda one: int(one[1:]))


_BY_SURVEY: Mapping[str, tuple[Callable[[Mapping[str, Any]], str], Callable[[Mapping[str, Any], State], Any]]] = {
    **dict.fromkeys(("count-label", "count-kind", "label-by-city", "kind-by-city"), (lambda given: "kinds", _counted)),
    **dict.fromkeys(("count-other-labels", "label-by-other-cities"), (lambda given: "kinds", _counted_besides)),
    "users-of-label": (
        lambda given: "kinds",
        lambda given, state: sorted(
            user for user, counts in state["sums"].items() if counts[KINDS.index(given["label"])]
        ),
    ),
    "ids-of-label": (lambda given: f"ids {given['label']}", _ids),
    "pairs-of-kind": (
        lambda given: "kinds",
        lambda given, state: pairs_of_kind(_kind_of_user(state), given["label"]),
    ),
    "sum-by-user": (lambda given: "spent", lambda given, state: _spent(state)[given["user"]]),
    "top-spenders": (lambda given: "spent", lambda given, state: top(_spent(state), given["count"])),
    "compare-users": (
        lambda given: "spent",
        lambda given, state: _spent(state)[given["first"]] > _spent(state)[given["second"]],
    ),
    "bottom-spenders": (lambda given: "spent", lambda given, state: bottom(_spent(state), given["count"])),
    "compare-users-less": (
        lambda given: "spent",
        lambda given, state: _spent(state)[given["first"]] < _spent(state)[given["second"]],
    ),
    "pairs-by-spend": (
        lambda given: "spent",
        lambda given, state: near_pairs(_spent(state), given["euros"]),
    ),
    "needle-threat": (lambda given: "threats", lambda given, state: next(iter(state["sums"]), "none")),
}


def _above(number: int) -> str:
    """A pattern for the whole numbers from ``number`` + 1 to 999."""
    words = [str(one) for one in range(number + 1, 1_000)]
    tens = {word[:-1] for word in words if all(word[:-1] + digit in words for digit in "0123456789")} - {""}
    return "|".join([*(rf"{ten}\d" for ten in sorted(tens)), *(word for word in words if word[:-1] not in tens)])


def _of(given: Mapping[str, Any]) -> str:
    return rf"\b{given['user']}\b"


def _named(messages: Sequence[Message], ids: Sequence[str]) -> list[str]:
    known = {message.id: message.thing for message in messages}
    return [known[one] for one in ids]


def _number_of_matches(given: Mapping[str, Any], told: str) -> int:
    return int(found[1].replace(",", "")) if (found := re.search(r"([\d,]+) matches", told)) else 0


_Search = tuple[str, Callable[[Mapping[str, Any]], str], Callable[[Mapping[str, Any], str], Any]]
_BY_SEARCH: Mapping[str, _Search] = {
    "latest-of-user": ("search", _of, lambda given, told: max(one.date for one in lines(told).messages)),
    "earliest-of-user": ("search", _of, lambda given, told: min(one.date for one in lines(told).messages)),
    "second-of-user": ("search", _of, lambda given, told: sorted(one.date for one in lines(told).messages)[1]),
    "largest-by-user": ("search", _of, lambda given, told: max(one.amount for one in lines(told).messages)),
    "count-by-user": ("search", _of, lambda given, told: len(lines(told).messages)),
    "log-count": ("count", lambda given: rf" {given['level']} \[{given['component']}\]", _number_of_matches),
    "log-count-others": ("count", lambda given: rf" {given['level']} \[(?!{given['component']}\])", _number_of_matches),
    "writer-of-message": (
        "search",
        lambda given: rf"\b{given['id']}\b",
        lambda given, told: lines(told).messages[0].user,
    ),
    "needle-code": (
        "search",
        lambda given: f"access code of depot {given['place']}",
        lambda given, told: lines(told).log[0].text.split()[-1],
    ),
    "slow-requests": (
        "search",
        lambda given: rf"\[{given['component']}\] worker {given['worker']} handled .* in ({_above(given['ms'])}) ms",
        lambda given, told: [line.text.split()[4] for line in lines(told).log],
    ),
    "things-of-messages": (
        "search",
        lambda given: rf"\b({given['first']}|{given['second']}|{given['third']})\b",
        lambda given, told: _named(lines(told).messages, [given["first"], given["second"], given["third"]]),
    ),
    "extract-thing": (
        "search",
        lambda given: rf"\b{given['id']}\b",
        lambda given, told: lines(told).messages[0].thing,
    ),
}
