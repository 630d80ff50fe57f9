"""Near-misses: questions in almost the words of another family's, about the same inputs, with other answers.

A library that knows the other family has to see that its habit does not answer them.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from habit.bench.data import LEVELS, Dataset
from habit.bench.families import LABELLED, Family, draw_label, draw_two_users, draw_user, spent, totals


def _user_of_several(rng: random.Random, data: Dataset) -> dict[str, Any]:
    counts = Counter(message.user for message in data.messages)
    return {"user": rng.choice(sorted(user for user, count in counts.items() if count > 1))}


def bottom(amounts: dict[str, int], count: int) -> list[str]:
    """The users who spent least; of equals the first in the alphabet."""
    return sorted(amounts, key=lambda user: (amounts[user], user))[:count]


NEAR: tuple[Family, ...] = (
    Family(
        "count-other-labels",
        ("How many messages are not of the kind {label}?",),
        int,
        draw_label,
        lambda data, given: sum(message.label != given["label"] for message in data.messages),
        "SELECT count(*) FROM messages WHERE label <> :label",
        f"kinds = [{LABELLED} for row in rows]\nfound = sum(kind != {{label}} for kind in kinds)",
        near="count-label",
    ),
    Family(
        "largest-by-user",
        ("What is the largest amount of {user}?",),
        int,
        draw_user,
        lambda data, given: max(message.amount for message in data.messages if message.user == given["user"]),
        "SELECT max(amount) FROM messages WHERE user = :user",
        "found = max(int(row['amount']) for row in rows if row['user'] == {user})",
        near="sum-by-user",
    ),
    Family(
        "bottom-spenders",
        ("Who are the bottom {count} users by total amount?",),
        list[str],
        lambda rng, data: {"count": rng.choice((2, 3, 4))},
        lambda data, given: bottom(totals(data), given["count"]),
        "SELECT user FROM messages GROUP BY user ORDER BY sum(amount), user LIMIT :count",
        "totals = {{}}\nfor row in rows:\n    totals[row['user']] = totals.get(row['user'], 0) + int(row['amount'])\n"
        "ranked = sorted(totals, key=lambda user: (totals[user], user))\nfound = ranked[:{count}]",
        ordered=True,
        near="top-spenders",
    ),
    Family(
        "count-by-user",
        ("How many messages of {user} are there?",),
        int,
        draw_user,
        lambda data, given: sum(message.user == given["user"] for message in data.messages),
        "SELECT count(*) FROM messages WHERE user = :user",
        "found = sum(row['user'] == {user} for row in rows)",
        near="latest-of-user",
    ),
    Family(
        "second-of-user",
        ("When was the second message of {user}?",),
        str,
        _user_of_several,
        lambda data, given: sorted(message.date for message in data.messages if message.user == given["user"])[1],
        "SELECT date FROM messages WHERE user = :user ORDER BY date LIMIT 1 OFFSET 1",
        "found = sorted(row['date'] for row in rows if row['user'] == {user})[1]",
        near="earliest-of-user",
    ),
    Family(
        "compare-users-less",
        ("Did {first} spend less than {second}?",),
        bool,
        draw_two_users,
        lambda data, given: spent(data, given["first"]) < spent(data, given["second"]),
        "SELECT (SELECT sum(amount) FROM messages WHERE user = :first) < "
        "(SELECT sum(amount) FROM messages WHERE user = :second)",
        "def spent(user):\n    return sum(int(row['amount']) for row in rows if row['user'] == user)\n"
        "found = spent({first}) < spent({second})",
        near="compare-users",
    ),
    Family(
        "users-of-label",
        ("List the users of the messages of the kind {label}.",),
        list[str],
        draw_label,
        lambda data, given: sorted({message.user for message in data.messages if message.label == given["label"]}),
        "SELECT DISTINCT user FROM messages WHERE label = :label ORDER BY user",
        f"kinds = [{LABELLED} for row in rows]\n"
        "found = sorted({{row['user'] for row, kind in zip(rows, kinds) if kind == {label}}})",
        near="ids-of-label",
    ),
    Family(
        "label-by-other-cities",
        ("How many messages that are not from {city} are of the kind {label}?",),
        int,
        lambda rng, data: {"city": rng.choice(sorted(set(data.cities.values()))), **draw_label(rng, data)},
        lambda data, given: sum(
            message.label == given["label"] and data.cities[message.user] != given["city"] for message in data.messages
        ),
        "SELECT count(*) FROM messages JOIN users USING (user) WHERE city <> :city AND label = :label",
        "theirs = [row for row in rows if city_of[row['user']] != {city}]\n"
        f"found = sum({LABELLED} == {{label}} for row in theirs)",
        formats=("csv",),
        tables="users",
        near="label-by-city",
    ),
    Family(
        "log-count-others",
        ("How many {level} lines are there that are not from {component}?",),
        int,
        lambda rng, data: {
            "level": rng.choice(LEVELS),
            "component": rng.choice(sorted({line.component for line in data.log})),
        },
        lambda data, given: sum(
            line.level == given["level"] and line.component != given["component"] for line in data.log
        ),
        "SELECT count(*) FROM log WHERE level = :level AND component <> :component",
        "found = len([row for row in rows if row['level'] == {level} and row['component'] != {component}])",
        formats=("log",),
        near="log-count",
    ),
    Family(
        "writer-of-message",
        ("Who wrote the message {id} of the input?",),
        str,
        lambda rng, data: {"id": rng.choice(data.messages).id},
        lambda data, given: next(message.user for message in data.messages if message.id == given["id"]),
        "SELECT user FROM messages WHERE id = :id",
        "users = [row['user'] for row in rows if row['id'] == {id}]\nfound = users[0]",
        kind="extraction",
        near="extract-thing",
    ),
)
"""One for each family of a stream."""
