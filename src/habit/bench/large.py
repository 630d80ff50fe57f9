"""Families about inputs of any size: their programs keep every prompt bounded and put many texts into one leaf call.

After the public kinds of long-input questions: linear aggregation, pairwise, a single needle, several hops, extraction.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from habit.bench.data import LABELS, Dataset
from habit.bench.families import FAMILIES, Family, totals
from habit.bench.near import NEAR
from habit.bench.sized import PLACES, THREATENING

PACK = 200
"""Texts in one leaf call: about 12,000 characters."""
ASK_KINDS = "Each line is a message. For each, in order, say which of the labels fits it best."
_ASKED_KINDS = sorted({*LABELS} - {"question"})
"""Without a word that any question may hold, so that it can be told what is a value in it."""
ASK_THREATS = "Each line is a message. List, word for word, those whose writer means to go to court."
ASK_THING = "Name the thing that this message is about, in one word."
_FEW = 5
"""Items in an answer that is a list, whatever the size of the input."""

_PACKED = (
    "texts = [row['text'] for row in {rows}]\n"
    f"packs = ['\\n'.join(texts[start:start + {PACK}]) for start in range(0, len(texts), {PACK})]\n"
    "replies = recursive_llm_map({query!r}, packs, returns={returns})\n"
)

KINDS_OF_REPLIES = "kinds = [kind for reply in replies for kind in reply]\n"


def packed(labels: Sequence[str], rows: str = "rows") -> str:
    """Code that asks for one of ``labels`` for each text of ``rows``; ``KINDS_OF_REPLIES`` takes the replies apart."""
    return _packed(ASK_KINDS, repr({"type": "array", "items": {"enum": sorted(labels)}}), rows)


def _packed(query: str, returns: str, rows: str = "rows") -> str:
    return _PACKED.format(query=query, rows=rows, returns=returns.replace("{", "{{").replace("}", "}}"))


def favourite(counts: Mapping[str, int]) -> str:
    """The kind of which there are most; of equals the first in the alphabet."""
    return min(counts, key=lambda kind: (-counts[kind], kind))


def favourites(data: Dataset) -> dict[str, str]:
    """The kind of which each user wrote most messages."""
    counts: dict[str, Counter[str]] = {}
    for message in data.messages:
        counts.setdefault(message.user, Counter())[message.label] += 1
    return {user: favourite(kinds) for user, kinds in counts.items()}


def pairs_of_kind(of_users: Mapping[str, str], kind: str) -> list[str]:
    """The pairs of users whose favourite is ``kind``."""
    mine = sorted(user for user, favoured in of_users.items() if favoured == kind)
    return [f"{first} & {second}" for first, second in combinations(mine, 2)]


def near_pairs(spent: Mapping[str, int], euros: int) -> list[str]:
    """The pairs of users whose totals differ by no more than ``euros``."""
    pairs = combinations(sorted(spent), 2)
    return [f"{first} & {second}" for first, second in pairs if abs(spent[first] - spent[second]) <= euros]


def _start_of(data: Dataset, at: str) -> str:
    while at in data.replies:
        at = data.replies[at]
    return at


def _starter(data: Dataset, given: Mapping[str, Any]) -> Any:
    start = _start_of(data, given["id"])
    return next(message for message in data.messages if message.id == start)


def _draw_kind(rng: random.Random, data: Dataset) -> dict[str, Any]:
    return {"label": rng.choice(_ASKED_KINDS)}


def _draw_favourite(rng: random.Random, data: Dataset) -> dict[str, Any]:
    shared = Counter(favourites(data).values())
    return {"label": max(_ASKED_KINDS, key=lambda kind: (shared[kind], rng.random()))}


def _draw_euros(rng: random.Random, data: Dataset) -> dict[str, Any]:
    spent = totals(data)
    apart = sorted(abs(spent[first] - spent[second]) for first, second in combinations(spent, 2))
    return {"euros": apart[rng.randrange(2, _FEW)]}


def _draw_reply(rng: random.Random, data: Dataset) -> dict[str, Any]:
    """A message that is a few hops from the start of its thread."""

    def hops(at: str) -> int:
        count = 0
        while at in data.replies:
            at, count = data.replies[at], count + 1
        return count

    candidates = sorted(data.replies)
    rng.shuffle(candidates)
    return {"id": max(candidates[:_FEW], key=hops)}


def _draw_three(rng: random.Random, data: Dataset) -> dict[str, Any]:
    first, second, third = (message.id for message in rng.sample(data.messages, 3))
    return {"first": first, "second": second, "third": third}


def _words(data: Dataset) -> list[tuple[str, int, int, int]]:
    """(component, worker, request, milliseconds) of each line about a request."""
    found = []
    for line in data.log:
        words = line.text.split()
        if words[0] == "worker":
            found.append((line.component, int(words[1]), int(words[4]), int(words[6])))
    return found


def _slow(data: Dataset, given: Mapping[str, Any]) -> list[str]:
    return [
        str(request)
        for component, worker, request, taken in _words(data)
        if (component, worker) == (given["component"], given["worker"]) and taken > given["ms"]
    ]


def _draw_slow(rng: random.Random, data: Dataset) -> dict[str, Any]:
    # 0 and 1 are numbers that programs hold anyway, so that no learner can tell that they come from the question.
    component, worker = rng.choice(sorted({(one, worker) for one, worker, _, _ in _words(data) if worker > 1}))
    times = sorted(taken for one, other, _, taken in _words(data) if (one, other) == (component, worker))
    return {"worker": worker, "component": component, "ms": max(9, times[-_FEW:][0])}


_THREAD_SQL = (
    "WITH RECURSIVE thread(at) AS (SELECT :id UNION SELECT answers FROM replies JOIN thread ON id = at) "
    "SELECT {what} FROM messages WHERE id = (SELECT at FROM thread WHERE at NOT IN (SELECT id FROM replies))"
)
_COUNTED_SQL = "counted AS (SELECT user, label, count(*) AS n FROM messages GROUP BY user, label)"
_FAVOURITE_SQL = (
    f"WITH {_COUNTED_SQL}, favourite AS (SELECT user FROM counted AS one WHERE label = :label AND NOT EXISTS (SELECT 1 "
    "FROM counted AS other WHERE other.user = one.user AND (other.n > one.n OR (other.n = one.n AND other.label < "
    "one.label)))) SELECT a.user || ' & ' || b.user FROM favourite AS a JOIN favourite AS b ON a.user < b.user "
    "ORDER BY a.user, b.user"
)
_NEAR_SQL = (
    "WITH spent AS (SELECT user, sum(amount) AS total FROM messages GROUP BY user) SELECT a.user || ' & ' || b.user "
    "FROM spent AS a JOIN spent AS b ON a.user < b.user WHERE abs(a.total - b.total) <= :euros ORDER BY a.user, b.user"
)
_SLOW_SQL = (
    "WITH parted AS (SELECT component, text, substr(text, instr(text, 'request ') + 8) AS rest FROM log "
    "WHERE text LIKE 'worker %' ORDER BY rowid) SELECT substr(rest, 1, instr(rest, ' ') - 1) FROM parted WHERE "
    "component = :component AND text LIKE 'worker ' || :worker || ' %' "
    "AND CAST(substr(rest, instr(rest, ' in ') + 4) AS INTEGER) > :ms"
)
_TO_START = "at = {id}\nfor _ in range(len(rows)):\n    at = answers.get(at, at)\n"

_NEW: tuple[Family, ...] = (
    Family(
        "count-kind",
        (
            "Of all messages of the input, how many are of the kind {label}?",
            "Count, over the whole input, the messages of the kind {label}.",
        ),
        int,
        _draw_kind,
        lambda data, given: sum(message.label == given["label"] for message in data.messages),
        "SELECT count(*) FROM messages WHERE label = :label",
        f"{packed(sorted(LABELS))}{KINDS_OF_REPLIES}found = kinds.count({{label}})",
    ),
    Family(
        "kind-by-city",
        (
            "Of the messages written in {city}, how many are of the kind {label}?",
            "Count, among the messages written in {city}, those of the kind {label}.",
        ),
        int,
        lambda rng, data: {"city": rng.choice(sorted(set(data.cities.values()))), **_draw_kind(rng, data)},
        lambda data, given: sum(
            message.label == given["label"] and data.cities[message.user] == given["city"] for message in data.messages
        ),
        "SELECT count(*) FROM messages JOIN users USING (user) WHERE city = :city AND label = :label",
        "mine = [row for row in rows if city_of[row['user']] == {city}]\n"
        f"{packed(sorted(LABELS), 'mine')}{KINDS_OF_REPLIES}found = kinds.count({{label}})",
        formats=("csv",),
        changed="semicolons",
        tables="users",
    ),
    Family(
        "needle-code",
        ("What is the access code of depot {place}?", "Which access code was set for depot {place}?"),
        str,
        lambda rng, data: {"place": rng.choice(PLACES)},
        lambda data, given: next(
            line.text.split()[-1]
            for line in data.log
            if line.text.startswith("access code") and f" {given['place']} " in line.text
        ),
        "SELECT substr(text, -5) FROM log WHERE text LIKE 'access code of depot ' || :place || ' %'",
        "line = next(row['text'] for row in rows if {place} in row['text'])\nfound = line.split()[-1]",
        formats=("log",),
        changed="tail",
        kind="needle",
    ),
    Family(
        "needle-threat",
        (
            "One message of the input says that its writer means to go to court. What is its id?",
            "Give the id of the one message whose writer means to go to court.",
        ),
        str,
        lambda rng, data: {},
        lambda data, given: next(message.id for message in data.messages if message.text in THREATENING),
        "SELECT id FROM messages WHERE text LIKE '%judge%' OR text LIKE '%solicitor%' OR text LIKE '%the bench%'",
        f"{_packed(ASK_THREATS, 'list[str]')}hits = [text for reply in replies for text in reply]\n"
        "found = next(row['id'] for row in rows if row['text'] in hits)",
        kind="needle",
    ),
    Family(
        "pairs-of-kind",
        (
            "Which pairs of writers both send messages of the kind {label} more often than of any other kind (of "
            "equals the first in the alphabet)? Write each pair as 'first & second', in the order of the alphabet.",
        ),
        list[str],
        _draw_favourite,
        lambda data, given: pairs_of_kind(favourites(data), given["label"]),
        _FAVOURITE_SQL,
        f"{packed(sorted(LABELS))}{KINDS_OF_REPLIES}"
        "counts = {{}}\nfor row, kind in zip(rows, kinds):\n"
        "    of_user = counts.setdefault(row['user'], {{}})\n    of_user[kind] = of_user.get(kind, 0) + 1\n"
        "mine = []\nfor user in sorted(counts):\n    of_user = counts[user]\n"
        "    ranked = sorted(of_user, key=lambda kind: (-of_user[kind], kind))\n"
        "    if ranked[0] == {label}:\n        mine.append(user)\n"
        "found = [one + ' & ' + other for one in mine for other in mine if one < other]",
        kind="pairwise",
    ),
    Family(
        "pairs-by-spend",
        (
            "Which pairs of users have total amounts that differ by at most {euros} euros? Write each pair as 'first & "
            "second', in the order of the alphabet.",
        ),
        list[str],
        _draw_euros,
        lambda data, given: near_pairs(totals(data), given["euros"]),
        _NEAR_SQL,
        "totals = {{}}\nfor row in rows:\n    totals[row['user']] = totals.get(row['user'], 0) + int(row['amount'])\n"
        "users = sorted(totals)\nfound = [one + ' & ' + other for one in users for other in users\n"
        "         if one < other and abs(totals[one] - totals[other]) <= {euros}]",
        kind="pairwise",
    ),
    Family(
        "thread-starter",
        ("Which user started the thread that message {id} belongs to?", "Who wrote the first message above {id}?"),
        str,
        _draw_reply,
        lambda data, given: _starter(data, given).user,
        _THREAD_SQL.format(what="user"),
        "writer = {{row['id']: row['user'] for row in rows}}\n" + _TO_START + "found = writer[at]",
        formats=("csv",),
        changed="semicolons",
        tables="replies",
        kind="multi-hop",
    ),
    Family(
        "thread-thing",
        (
            "What is the message about that started the thread of message {id}? Name the thing, in one word.",
            "Name, in one word, the thing that the first message above {id} is about.",
        ),
        str,
        _draw_reply,
        lambda data, given: _starter(data, given).thing,
        _THREAD_SQL.format(what="thing"),
        "text_of = {{row['id']: row['text'] for row in rows}}\n"
        + _TO_START
        + f"found = recursive_llm({ASK_THING!r}, text_of[at])",
        formats=("csv",),
        changed="semicolons",
        tables="replies",
        kind="multi-hop",
    ),
    Family(
        "slow-requests",
        (
            "Which requests did worker {worker} of {component} handle in more than {ms} ms? List their numbers.",
            "List the numbers of the requests that took worker {worker} of {component} more than {ms} ms.",
        ),
        list[str],
        _draw_slow,
        _slow,
        _SLOW_SQL,
        "found = []\nfor row in rows:\n    words = row['text'].split()\n"
        "    if row['component'] == {component} and words[0] == 'worker' and int(words[1]) == {worker}:\n"
        "        if int(words[6]) > {ms}:\n            found.append(words[4])",
        formats=("log",),
        changed="tail",
        kind="extraction",
    ),
    Family(
        "things-of-messages",
        (
            "What are the messages {first}, {second} and {third} about? Name one thing for each, in this order.",
            "Name the things that the messages {first}, {second} and {third} are about, in this order.",
        ),
        list[str],
        _draw_three,
        lambda data, given: [
            next(message.thing for message in data.messages if message.id == given[place])
            for place in ("first", "second", "third")
        ],
        "SELECT thing FROM messages WHERE id IN (:first, :second, :third) ORDER BY CASE id WHEN :first THEN 1 WHEN "
        ":second THEN 2 ELSE 3 END",
        "text_of = {{row['id']: row['text'] for row in rows}}\n"
        f"found = recursive_llm_map({ASK_THING!r}, [text_of[one] for one in [{{first}}, {{second}}, {{third}}]])",
        kind="extraction",
        ordered=True,
    ),
)

_SCALING = ("sum-by-user", "top-spenders", "log-count")
LARGE: tuple[Family, ...] = (*(one for one in FAMILIES if one.name in _SCALING), *_NEW)
"""Families whose programs are fair on inputs of any size, and whose answers stay short."""
EVERY: tuple[Family, ...] = (*FAMILIES, *NEAR, *_NEW)
"""All families; no two are asked in the same words."""
