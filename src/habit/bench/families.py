"""Families of questions: how they are put, what is true, and the program that a good model writes for them.

The truth is computed twice, from the dataset in Python and from a SQL database of it, and both must agree. Those here
are about inputs of a page or two, and ask a leaf call about each record; ``large`` has those for inputs of any size.
"""

from __future__ import annotations

import random
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from habit.bench.data import LABELS, LEVELS, Dataset, Format

Parameters = Mapping[str, Any]
Kind = Literal["aggregation", "needle", "pairwise", "multi-hop", "extraction"]
Draw = Callable[[random.Random, Dataset], dict[str, Any]]

READ: Mapping[Format, str] = {
    "csv": "import csv, io\nrows = list(csv.DictReader(io.StringIO(context)))",
    "semicolons": "import csv, io\nrows = list(csv.DictReader(io.StringIO(context), delimiter=';'))",
    "json-lines": "import json\nrows = [json.loads(line) for line in context.splitlines() if line.strip()]",
    "records": "rows = list(context)",
    "log": (
        "import re\nline_form = re.compile(r'(\\S+) (\\w+) \\[(\\w+)\\] (.*)')\n"
        "found_lines = [line_form.match(line) for line in context.splitlines()]\n"
        "names = ['date', 'level', 'component', 'text']\n"
        "rows = [dict(zip(names, found.groups())) for found in found_lines if found]"
    ),
    "tail": (
        "import re\nline_form = re.compile(r'(.*) \\| (\\S+) (\\w+) \\[(\\w+)\\]')\n"
        "found_lines = [line_form.match(line) for line in context.splitlines()]\n"
        "names = ['text', 'date', 'level', 'component']\n"
        "rows = [dict(zip(names, found.groups())) for found in found_lines if found]"
    ),
}
"""Code that reads each format into ``rows``."""


@dataclass(frozen=True)
class Family:
    """Questions that one program answers."""

    name: str
    phrasings: Sequence[str]
    """The first is the usual one."""
    returns: Any
    draw: Draw
    """Parameters for a question about a dataset."""
    truth: Callable[[Dataset, Parameters], Any]
    sql: str
    """The same truth over the tables messages, users and log, one row or one column; parameters by name."""
    code: str
    """What the model computes from ``rows`` before it answers with ``found``; ``{parameters}`` as Python literals."""
    formats: Sequence[Format] = ("csv", "json-lines", "records")
    changed: Format | None = None
    """What its inputs change to in mid-stream, where that is none of ``formats``."""
    tables: Literal["", "users", "replies"] = ""
    """Which table the input has beside that of the messages; it is then two tables by file name."""
    kind: Kind = "aggregation"
    ordered: bool = False
    """Whether the order of a list is part of the answer."""
    near: str = ""
    """The family in whose words, almost, it is asked; a habit for that one does not answer it."""
    look: str = "print(type(context), len(context))\nprint(str(context)[:300])"

    def question(self, parameters: Parameters, wording: int = 0) -> str:
        """One way to put the question."""
        return self.phrasings[wording % len(self.phrasings)].format(**parameters)

    def context(self, dataset: Dataset, form: Format) -> Any:
        """The input that the question is about."""
        match self.tables:
            case "users":
                return dataset.with_users(form)
            case "replies":
                return dataset.with_replies(form)
            case "":
                return dataset.rendered(form)

    def cells(self, form: Format, parameters: Parameters) -> list[str]:
        """The cells a model writes: a look, some reading, and the program."""
        code = self.code.format(**{name: repr(value) for name, value in parameters.items()})
        return [self.look, f"{self.read(form)}\nprint(len(rows), rows[0])", f"{code}\nprint(found)\nanswer(found)"]

    def read(self, form: Format) -> str:
        """The code that reads an input into ``rows`` and what else there is."""
        if not self.tables:
            return READ[form]
        code = READ_TABLES[self.tables]
        return code.replace("']))", "']), delimiter=';')", 1) if form == "semicolons" else code

    @property
    def later(self) -> Format:
        """The format that its inputs have from the middle of a stream on."""
        return self.changed or self.formats[-1]

    @property
    def all_formats(self) -> Sequence[Format]:
        """Every format that its inputs may have."""
        return tuple(dict.fromkeys((*self.formats, self.later)))

    def recognised(self, question: str) -> dict[str, Any] | None:
        """The parameters of a question that is put in one of the family's ways."""
        for form in self._forms:
            if found := form.fullmatch(question.strip()):
                return {name: int(value) if value.isdecimal() else value for name, value in found.groupdict().items()}
        return None

    @cached_property
    def _forms(self) -> list[re.Pattern[str]]:
        """The phrasings, with a group for each parameter."""
        parted = (re.split(r"\{(\w+)\}", phrasing) for phrasing in self.phrasings)
        return [
            re.compile("".join(f"(?P<{p}>.+?)" if n % 2 else re.escape(p) for n, p in enumerate(parts)))
            for parts in parted
        ]

    def is_right(self, answer: Any, truth: Any) -> bool:
        """Whether an answer is the truth; upper and lower case are the same, and so is any order that was not asked
        for."""
        given, true = _plain(answer), _plain(truth)
        if isinstance(given, list) and isinstance(true, list) and not self.ordered:
            return Counter(map(repr, given)) == Counter(map(repr, true))
        return type(given) is type(true) and given == true

    def score(self, answer: Any, truth: Any) -> float:
        """From 0 to 1: of a list F1, the harmonic mean of precision and recall over its items; else right or not.

        Where order counts, an item is right in its place only.
        """
        given, true = _plain(answer), _plain(truth)
        if self.is_right(answer, truth) or not isinstance(given, list) or not isinstance(true, list):
            return float(self.is_right(answer, truth))
        if self.ordered:
            given, true = list(enumerate(given)), list(enumerate(true))
        common = (Counter(map(repr, given)) & Counter(map(repr, true))).total()
        return 2 * common / (len(given) + len(true))

    def true_answer(self, dataset: Dataset, parameters: Parameters) -> Any:
        """The truth, found out twice. Raises AssertionError should the two differ."""
        known, again = self.truth(dataset, parameters), _by_sql(self, dataset, parameters)
        assert known == again, (self.name, parameters, known, again)
        return known


_MESSAGES = "import csv, io\nrows = list(csv.DictReader(io.StringIO(context['messages.csv'])))\n"
READ_TABLES: Mapping[str, str] = {
    "users": _MESSAGES
    + "city_of = {row['user']: row['city'] for row in csv.DictReader(io.StringIO(context['users.csv']))}",
    "replies": _MESSAGES
    + "answers = {row['id']: row['answers'] for row in csv.DictReader(io.StringIO(context['replies.csv']))}",
}
"""Code that reads two tables."""
LABELLED = "recursive_llm('What kind of message is this?', row['text'], returns=" + repr(sorted(LABELS)) + ")"


def draw_user(rng: random.Random, data: Dataset) -> dict[str, Any]:
    """A user who wrote something."""
    return {"user": rng.choice(sorted({message.user for message in data.messages}))}


def draw_label(rng: random.Random, data: Dataset) -> dict[str, Any]:
    """A kind of messages."""
    return {"label": rng.choice(sorted(LABELS))}


def draw_two_users(rng: random.Random, data: Dataset) -> dict[str, Any]:
    """Two of the users."""
    first, second = rng.sample(sorted({message.user for message in data.messages}), 2)
    return {"first": first, "second": second}


def totals(data: Dataset) -> Counter[str]:
    """What each user spent."""
    spent = Counter[str]()
    for message in data.messages:
        spent[message.user] += message.amount
    return spent


def top(spent: Mapping[str, int], count: int) -> list[str]:
    """The users who spent most; of equals the first in the alphabet."""
    return sorted(spent, key=lambda user: (-spent[user], user))[:count]


def spent(data: Dataset, user: str) -> int:
    """What one user spent."""
    return sum(message.amount for message in data.messages if message.user == user)


FAMILIES: tuple[Family, ...] = (
    Family(
        "count-label",
        ("How many messages are of the kind {label}?", "Count the messages of the kind {label}."),
        int,
        draw_label,
        lambda data, given: sum(message.label == given["label"] for message in data.messages),
        "SELECT count(*) FROM messages WHERE label = :label",
        f"kinds = [{LABELLED} for row in rows]\nfound = sum(kind == {{label}} for kind in kinds)",
    ),
    Family(
        "sum-by-user",
        ("What is the total amount of {user}?", "How much did {user} spend in total?"),
        int,
        draw_user,
        lambda data, given: spent(data, given["user"]),
        "SELECT sum(amount) FROM messages WHERE user = :user",
        "found = 0\nfor row in rows:\n    if row['user'] == {user}:\n        found += int(row['amount'])",
    ),
    Family(
        "top-spenders",
        ("Who are the top {count} users by total amount?", "Which {count} users have the highest total amount?"),
        list[str],
        lambda rng, data: {"count": rng.choice((2, 3, 4))},
        lambda data, given: top(totals(data), given["count"]),
        "SELECT user FROM messages GROUP BY user ORDER BY sum(amount) DESC, user LIMIT :count",
        "totals = {{}}\nfor row in rows:\n    totals[row['user']] = totals.get(row['user'], 0) + int(row['amount'])\n"
        "ranked = sorted(totals, key=lambda user: (-totals[user], user))\nfound = ranked[:{count}]",
        ordered=True,
    ),
    Family(
        "latest-of-user",
        ("When was the latest message of {user}?", "What is the date of the last message of {user}?"),
        str,
        draw_user,
        lambda data, given: max(message.date for message in data.messages if message.user == given["user"]),
        "SELECT max(date) FROM messages WHERE user = :user",
        "found = max(row['date'] for row in rows if row['user'] == {user})",
    ),
    Family(
        "earliest-of-user",
        ("When was the earliest message of {user}?", "What is the date of the first message of {user}?"),
        str,
        draw_user,
        lambda data, given: min(message.date for message in data.messages if message.user == given["user"]),
        "SELECT min(date) FROM messages WHERE user = :user",
        "found = min(row['date'] for row in rows if row['user'] == {user})",
    ),
    Family(
        "compare-users",
        ("Did {first} spend more than {second}?", "Is the total amount of {first} greater than that of {second}?"),
        bool,
        draw_two_users,
        lambda data, given: spent(data, given["first"]) > spent(data, given["second"]),
        "SELECT (SELECT sum(amount) FROM messages WHERE user = :first) > "
        "(SELECT sum(amount) FROM messages WHERE user = :second)",
        "def spent(user):\n    return sum(int(row['amount']) for row in rows if row['user'] == user)\n"
        "found = spent({first}) > spent({second})",
    ),
    Family(
        "ids-of-label",
        (
            "List the ids of the messages of the kind {label}.",
            "Which messages are of the kind {label}? Give their ids.",
        ),
        list[str],
        draw_label,
        lambda data, given: [message.id for message in data.messages if message.label == given["label"]],
        "SELECT id FROM messages WHERE label = :label ORDER BY rowid",
        f"found = []\nfor row in rows:\n    kind = {LABELLED}\n"
        "    if kind == {label}:\n        found.append(row['id'])",
    ),
    Family(
        "label-by-city",
        ("How many messages from {city} are of the kind {label}?", "Count the {label} messages from {city}."),
        int,
        lambda rng, data: {"city": rng.choice(sorted(set(data.cities.values()))), **draw_label(rng, data)},
        lambda data, given: sum(
            message.label == given["label"] and data.cities[message.user] == given["city"] for message in data.messages
        ),
        "SELECT count(*) FROM messages JOIN users USING (user) WHERE city = :city AND label = :label",
        "mine = [row for row in rows if city_of[row['user']] == {city}]\n"
        f"found = sum({LABELLED} == {{label}} for row in mine)",
        formats=("csv",),
        changed="semicolons",
        tables="users",
    ),
    Family(
        "log-count",
        ("How many {level} lines are there from {component}?", "Count the {level} lines of {component}."),
        int,
        lambda rng, data: {
            "level": rng.choice(LEVELS),
            "component": rng.choice(sorted({line.component for line in data.log})),
        },
        lambda data, given: sum(
            line.level == given["level"] and line.component == given["component"] for line in data.log
        ),
        "SELECT count(*) FROM log WHERE level = :level AND component = :component",
        "found = len([row for row in rows if row['level'] == {level} and row['component'] == {component}])",
        formats=("log",),
        changed="tail",
    ),
    Family(
        "extract-thing",
        ("What does the message {id} of the input ask about? Name the thing.", "Which thing is message {id} about?"),
        str,
        lambda rng, data: {"id": rng.choice(data.messages).id},
        lambda data, given: next(m.thing for m in data.messages if m.id == given["id"]),
        "SELECT thing FROM messages WHERE id = :id",
        "texts = [row['text'] for row in rows if row['id'] == {id}]\n"
        "found = recursive_llm('Name the thing that this message is about, in one word.', texts[0])",
        kind="extraction",
    ),
)
"""All families, each with a program of its own."""


def _plain(value: Any) -> Any:
    """``value`` without what does not matter in an answer."""
    if isinstance(value, str):
        return " ".join(value.casefold().split())
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _by_sql(family: Family, data: Dataset, parameters: Parameters) -> Any:
    """The truth from a database."""
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE TABLE messages (id, user, date, amount, text, label, thing)")
        db.executemany(
            "INSERT INTO messages VALUES (?,?,?,?,?,?,?)",
            [(m.id, m.user, m.date, m.amount, m.text, m.label, m.thing) for m in data.messages],
        )
        db.execute("CREATE TABLE users (user, city)")
        db.executemany("INSERT INTO users VALUES (?,?)", data.cities.items())
        db.execute("CREATE TABLE log (date, level, component, text)")
        db.executemany("INSERT INTO log VALUES (?,?,?,?)", [(x.date, x.level, x.component, x.text) for x in data.log])
        db.execute("CREATE TABLE replies (id PRIMARY KEY, answers)")
        db.executemany("INSERT INTO replies VALUES (?,?)", data.replies.items())
        rows = [row[0] for row in db.execute(family.sql, parameters)]
    db.close()
    if family.returns == list[str]:
        return rows
    return bool(rows[0]) if family.returns is bool else rows[0]


def family(name: str) -> Family:
    """The family called ``name``."""
    return next(one for one in FAMILIES if one.name == name)
