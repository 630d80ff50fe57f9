"""Families of questions for the matching bench: a habit each, an input, true repeats, paraphrases and near-misses.

Half of the families are ``held_out``: they were written before the matcher and never looked at while it was tuned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from habit.calls.returns import Returns
from habit.contexts.context import Context
from habit.library.case import Case
from habit.library.contract import infer_contract
from habit.library.spec import HabitSpec, Intent, Parameter, Provenance

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """One habit, and questions of which it is known whether the habit answers them."""

    spec: HabitSpec
    context: Context
    cases: Mapping[str, Case]
    version: int | None
    held_out: bool
    uses: Sequence[Values]
    """Other values of the parameters, all of which the input has."""
    paraphrases: Sequence[tuple[str, Values]]
    """The same question in other words, with the values it asks about."""
    misses: Sequence[tuple[str, str]]
    """Kind and text of questions that look alike and are others."""
    nouns: Sequence[str] = ()
    """What is counted or looked at in the phrasings: replacing it makes another question."""
    unknown: Mapping[str, Any] = field(default_factory=dict)
    """For some parameters, a value that it may not have."""


def _family(
    name: str,
    summary: str,
    operation: str,
    phrasings: Sequence[str],
    parameters: Mapping[str, Parameter],
    value: Any,
    answer: Any,
    answer_type: Any,
    uses: Sequence[Values],
    paraphrases: Sequence[tuple[str, Values]],
    misses: Sequence[tuple[str, str]],
    nouns: Sequence[str],
    *,
    held_out: bool,
    unknown: Mapping[str, Any] | None = None,
) -> Family:
    context = Context.of(value)
    returns = Returns.from_type(answer_type)
    spec = HabitSpec(
        name=name,
        description=summary,
        intent=Intent(summary=summary, operation=operation, phrasings=tuple(phrasings)),
        parameters=dict(parameters),
        returns=json.dumps(returns.schema) if returns.schema is not None else "",
        contract=infer_contract([context], answer_type=returns, answers=[answer], operation=operation),
        provenance=Provenance(runs=("run",), model="bench", learned="2026-11-24T12:00:00Z"),
    )
    example = {name: one.example for name, one in parameters.items()}
    case = Case(example, context, (), answer)
    return Family(spec, context, {"first": case}, 1, held_out, uses, paraphrases, misses, nouns, unknown or {})


def _csv(header: str, rows: Sequence[str]) -> str:
    return "\n".join([header, *rows]) + "\n"


_PEOPLE = ["Ada", "Bob", "Cleo", "Dan"]
_MESSAGES = _csv(
    "id,sender,sent,label,text",
    [
        f"{n},{_PEOPLE[n % 4]},2026-11-{n % 28 + 1:02},{['spam', 'ham', 'ham'][n % 3]},note {n} refund"
        for n in range(40)
    ],
)
_CITIES = ["Oslo", "Lima", "New York", "Kyoto"]
_ORDERS = _csv(
    "order,customer,city,amount,placed",
    [f"{n},{_PEOPLE[n % 4]},{_CITIES[n % 4]},{n * 7.25},2026-0{n % 9 + 1}-11" for n in range(40)],
)
_TICKETS = [
    {
        "id": n,
        "opened": f"2026-10-{n % 28 + 1:02}",
        "user": _PEOPLE[n % 4],
        "priority": ["low", "medium", "high"][n % 3],
        "text": "the app crashed",
        "minutes": n * 3,
    }
    for n in range(40)
]
_LOG = "".join(
    f"2026-11-24 10:{n % 60:02}:05 {['INFO', 'ERROR', 'WARN'][n % 3]} {['billing', 'search', 'login'][n % 3]}: "
    f"request {n} took {n * 4} ms\n"
    for n in range(60)
)
_REVIEWS = [
    {"product": ["lamp", "desk", "chair"][n % 3], "stars": n % 5 + 1, "review": "fine", "date": f"2026-05-{n + 1:02}"}
    for n in range(30)
]
_STAFF = _csv(
    "name,team,salary,hired,office",
    [
        f"P{n},{['sales', 'legal', 'support'][n % 3]},{40_000 + n},20{10 + n % 9}-04-01,{_CITIES[n % 4]}"
        for n in range(30)
    ],
)
_READINGS = _csv(
    "time\tsensor\tcelsius",
    [f"2026-11-01 {n % 24:02}:00\t{['attic', 'cellar', 'porch'][n % 3]}\t{n / 2}" for n in range(48)],
)
_GAMES = [{"home": _CITIES[n % 4], "away": _CITIES[(n + 1) % 4], "goals": n % 5, "day": n} for n in range(24)]
_TALK = "".join(f"{_PEOPLE[n % 4]}: sentence number {n} about budgets\n" for n in range(40))
_BOOKS = [
    {
        "title": f"Book {n}",
        "author": ["Borges", "Lem", "Woolf"][n % 3],
        "year": 1930 + n,
        "pages": 100 + n,
        "genre": "novel",
    }
    for n in range(30)
]
_PARCELS = _csv(
    "parcel,origin,destination,kilos,status",
    [
        f"{n},{_CITIES[n % 4]},{_CITIES[(n + 1) % 4]},{n % 9 + 0.5},{['late', 'lost', 'delivered'][n % 3]}"
        for n in range(36)
    ],
)
_SURVEY = "\n".join(
    json.dumps({"person": f"p{n}", "answer": "it was good", "age": 20 + n, "region": ["north", "south", "east"][n % 3]})
    for n in range(30)
)


def _choice(*choices: str) -> Parameter:
    return Parameter(type="choice", choices=choices, example=choices[0])


def _text(example: str) -> Parameter:
    return Parameter(type="string", example=example)


def _whole(example: int) -> Parameter:
    return Parameter(type="integer", example=example)


FAMILIES: list[Family] = [
    _family(
        "count-label",
        "Counts the messages that have a given label.",
        "count",
        ["How many messages are {label}?"],
        {"label": _choice("spam", "ham")},
        _MESSAGES,
        14,
        int,
        [{"label": "spam"}, {"label": "ham"}],
        [
            ("how many of the messages are ham", {"label": "ham"}),
            ("What is the number of messages that are spam?", {"label": "spam"}),
            ("Count the spam messages", {"label": "spam"}),
            ("How many ham messages are there?", {"label": "ham"}),
            ("please tell me how many messages are spam", {"label": "spam"}),
            ("Of the messages, how many are spam?", {"label": "spam"}),
            ("how many messages were labelled ham?", {"label": "ham"}),
            ("number of spam messages?", {"label": "spam"}),
            ("What's the tally of spam in this inbox?", {"label": "spam"}),
        ],
        [
            ("other question", "Which sender has the most spam?"),
            ("other question", "Which messages are spam?"),
            ("negation", "How many messages aren't spam?"),
            ("negation", "How many messages are anything but spam?"),
            ("negation", "How many messages are free of spam?"),
            ("other field", "How many messages mention spam?"),
            ("other field", "How many senders are ham?"),
            ("same words", "Are many messages spam?"),
            ("same words", "How spam are messages?"),
            ("comparison", "How many more messages are spam than ham?"),
            ("comparison", "How many messages are spam compared to ham?"),
            ("scope", "How many messages are spam on Mondays?"),
            ("scope", "How many messages are spam from Ada?"),
            ("two", "How many messages are spam and how many are ham?"),
            ("other label", "How many messages are phishing?"),
        ],
        ["messages"],
        held_out=False,
        unknown={"label": "phishing"},
    ),
    _family(
        "total-by-customer",
        "Adds up the amounts of the orders of one customer.",
        "sum",
        ["What is the total amount of the orders by {customer}?"],
        {"customer": _text("Ada")},
        _ORDERS,
        1.5,
        float,
        [{"customer": name} for name in _PEOPLE],
        [
            ("Total amount of orders by Bob?", {"customer": "Bob"}),
            ("Tell me the total amount of the orders by Cleo", {"customer": "Cleo"}),
            ("what's the total amount of orders by Dan?", {"customer": "Dan"}),
            ("How much did Ada spend in total?", {"customer": "Ada"}),
            ("For customer Bob, what is the total amount of the orders?", {"customer": "Bob"}),
            ("Sum the amounts of all orders placed by Cleo", {"customer": "Cleo"}),
        ],
        [
            ("other operation", "What is the average amount of the orders by Ada?"),
            ("other operation", "What is the total number of the orders by Ada?"),
            ("other field", "What is the total amount of the orders by city?"),
            ("other field", "What is the total amount of the orders by Oslo and Lima?"),
            ("direction", "What is the total amount of the orders for everyone except Ada?"),
            ("scope", "What is the total amount of the orders by Ada in March?"),
            ("scope", "What is the total amount of the first orders by Ada?"),
            ("scope", "What is the total amount of the orders by Ada or Bob?"),
            ("comparison", "Is the total amount of the orders by Ada above 100?"),
            ("same words", "What orders by Ada total the amount?"),
            ("unit", "What is the total amount of the orders by Ada in euros?"),
        ],
        ["orders"],
        held_out=False,
    ),
    _family(
        "top-customers",
        "Lists the customers with the highest total amount, the highest first.",
        "top",
        ["Which {k} customers have the highest total amount?"],
        {"k": _whole(3)},
        _ORDERS,
        ["Ada", "Bob", "Cleo"],
        list[str],
        [{"k": 2}, {"k": 4}, {"k": 1}, {"k": 3}],
        [
            ("What 2 customers have the highest total amount?", {"k": 2}),
            ("Which three customers have the highest total amount?", {"k": 3}),
            ("tell me which 4 customers have the highest total amount", {"k": 4}),
            ("Who are the top 3 customers by total amount?", {"k": 3}),
            ("List the 2 customers with the highest total amount", {"k": 2}),
        ],
        [
            ("superlative", "Which 3 customers have the lowest total amount?"),
            ("superlative", "Which 3 customers have the second highest total amount?"),
            ("superlative", "Which 3 customers have a higher total amount?"),
            ("other field", "Which 3 cities have the highest total amount?"),
            ("other operation", "Which 3 customers have the highest average amount?"),
            ("other operation", "Which customers have 3 orders?"),
            ("negation", "Which 3 customers do not have the highest total amount?"),
            ("swap", "Which customers have the 3 highest total amounts?"),
            ("count", "How many customers have the highest total amount?"),
            ("type", "Which 3.5 customers have the highest total amount?"),
        ],
        ["customers"],
        held_out=False,
    ),
    _family(
        "earliest-ticket",
        "Finds the date of the earliest ticket of a user.",
        "earliest",
        ["When was the earliest ticket of {user} opened?"],
        {"user": _text("Ada")},
        _TICKETS,
        "2026-10-01",
        str,
        [{"user": name} for name in _PEOPLE],
        [
            ("when was the earliest ticket of Bob opened", {"user": "Bob"}),
            ("Please tell me when the earliest ticket of Cleo was opened", {"user": "Cleo"}),
            ("When was Dan's earliest ticket opened?", {"user": "Dan"}),
            ("On what date did Ada first open a ticket?", {"user": "Ada"}),
        ],
        [
            ("superlative", "When was the latest ticket of Ada opened?"),
            ("superlative", "When was the last ticket of Ada opened?"),
            ("negation", "When was the earliest ticket not of Ada opened?"),
            ("other field", "When was the earliest ticket of Ada closed?"),
            ("other field", "When was the earliest ticket of priority high opened?"),
            ("scope", "When was the earliest urgent ticket of Ada opened?"),
            ("scope", "When was the earliest ticket of Ada since May opened?"),
            ("question", "Why was the earliest ticket of Ada opened?"),
            ("question", "Was the earliest ticket of Ada opened?"),
            ("question", "How long was the earliest ticket of Ada opened?"),
            ("two", "When was the earliest ticket of Ada and Bob opened?"),
        ],
        ["ticket"],
        held_out=False,
    ),
    _family(
        "compare-users",
        "Says which of two users opened more tickets.",
        "compare",
        ["Did {first} open more tickets than {second}?"],
        {"first": _text("Ada"), "second": _text("Bob")},
        _TICKETS,
        True,
        bool,
        [{"first": a, "second": b} for a in _PEOPLE for b in _PEOPLE if a != b][:8],
        [
            ("did Cleo open more tickets than Dan", {"first": "Cleo", "second": "Dan"}),
            ("Please tell me: did Bob open more tickets than Ada?", {"first": "Bob", "second": "Ada"}),
            ("Has Ada opened more tickets than Bob has?", {"first": "Ada", "second": "Bob"}),
        ],
        [
            ("comparison", "Did Ada open fewer tickets than Bob?"),
            ("comparison", "Did Ada open as many tickets as Bob?"),
            ("comparison", "Did Ada open more than Bob tickets?"),
            ("comparison", "Did Ada open twice as many tickets as Bob?"),
            ("comparison", "Did Ada open at least 3 more tickets than Bob?"),
            ("negation", "Did Ada not open more tickets than Bob?"),
            ("question", "How many more tickets did Ada open than Bob?"),
            ("question", "Why did Ada open more tickets than Bob?"),
            ("other field", "Did Ada open more tickets than three?"),
            ("other field", "Did Ada close more tickets than Bob?"),
            ("scope", "Did Ada open more high tickets than Bob?"),
            ("scope", "Did Ada open more tickets than Bob in May?"),
            ("order", "Did Ada open more tickets before Bob?"),
            ("missing", "Did Ada open more tickets than usual?"),
        ],
        ["tickets"],
        held_out=False,
    ),
    _family(
        "errors-of-service",
        "Counts the log lines of a level that come from a service.",
        "count",
        ["How many {level} lines come from {service}?"],
        {"level": _choice("INFO", "WARN", "ERROR"), "service": _text("billing")},
        _LOG,
        20,
        int,
        [
            {"level": level, "service": service}
            for level in ("INFO", "WARN", "ERROR")
            for service in ("billing", "search", "login")
        ],
        [
            ("how many error lines come from login", {"level": "ERROR", "service": "login"}),
            ("Count the WARN lines that come from search", {"level": "WARN", "service": "search"}),
            ("number of INFO lines that come from billing", {"level": "INFO", "service": "billing"}),
            ("How many lines from billing are ERROR?", {"level": "ERROR", "service": "billing"}),
        ],
        [
            ("swap", "How many billing lines come from ERROR?"),
            ("negation", "How many ERROR lines do not come from billing?"),
            ("direction", "How many ERROR lines come after billing?"),
            ("direction", "How many ERROR lines go to billing?"),
            ("other field", "How many ERROR requests come from billing?"),
            ("other label", "How many DEBUG lines come from billing?"),
            ("two", "How many ERROR or WARN lines come from billing?"),
            ("two", "How many ERROR lines come from billing and search?"),
            ("scope", "How many ERROR lines come from billing per hour?"),
            ("superlative", "Which service do most ERROR lines come from?"),
            ("threshold", "How many ERROR lines slower than 100 ms come from billing?"),
        ],
        ["lines"],
        held_out=False,
        unknown={"level": "DEBUG"},
    ),
    # -- held out ----------------------------------------------------------------------------------------------------
    _family(
        "mean-stars",
        "Computes the average number of stars that a product got.",
        "mean",
        ["What is the average number of stars of the {product}?"],
        {"product": _choice("lamp", "desk", "chair")},
        _REVIEWS,
        2.5,
        float,
        [{"product": name} for name in ("lamp", "desk", "chair")],
        [
            ("what's the average number of stars of the desk?", {"product": "desk"}),
            ("average number of stars of the chair", {"product": "chair"}),
            ("Could you give me the average number of stars of the lamp?", {"product": "lamp"}),
            ("How many stars does the lamp get on average?", {"product": "lamp"}),
            ("What is the mean star rating of the desk?", {"product": "desk"}),
        ],
        [
            ("other operation", "What is the total number of stars of the lamp?"),
            ("other operation", "What is the median number of stars of the lamp?"),
            ("other operation", "What is the number of stars of the lamp?"),
            ("superlative", "What is the highest number of stars of the lamp?"),
            ("other field", "What is the average number of reviews of the lamp?"),
            ("other field", "What is the average number of stars of the reviewer?"),
            ("negation", "What is the average number of stars of products other than the lamp?"),
            ("negation", "What is the average number of stars without the lamp?"),
            ("comparison", "What is the average number of stars of the lamp minus the desk?"),
            ("scope", "What is the average number of stars of the lamp after June?"),
            ("scope", "What is the average number of stars of the oldest lamp?"),
            ("question", "What is an average number?"),
        ],
        ["stars"],
        held_out=True,
        unknown={"product": "sofa"},
    ),
    _family(
        "hired-before",
        "Lists the people of a team who were hired before a date.",
        "list",
        ["Which people of the {team} team were hired before {date}?"],
        {"team": _choice("sales", "legal", "support"), "date": _text("2015-04-01")},
        _STAFF,
        ["P1"],
        list[str],
        [
            {"team": team, "date": date}
            for team in ("sales", "legal", "support")
            for date in ("2012-04-01", "2016-01-31")
        ],
        [
            ("which people of the sales team were hired before 2013-05-05", {"team": "sales", "date": "2013-05-05"}),
            ("What people of the legal team were hired before 2017-01-01?", {"team": "legal", "date": "2017-01-01"}),
            ("Who in the support team was hired before 2014-04-01?", {"team": "support", "date": "2014-04-01"}),
        ],
        [
            ("order", "Which people of the sales team were hired after 2015-04-01?"),
            ("order", "Which people of the sales team were hired on 2015-04-01?"),
            ("order", "Which people of the sales team were hired since 2015-04-01?"),
            ("order", "Which people of the sales team were hired before Ada?"),
            ("negation", "Which people of the sales team were not hired before 2015-04-01?"),
            ("negation", "Which people outside the sales team were hired before 2015-04-01?"),
            ("other field", "Which people of the sales team were fired before 2015-04-01?"),
            ("other field", "Which people of the Oslo office were hired before 2015-04-01?"),
            ("count", "How many people of the sales team were hired before 2015-04-01?"),
            ("other label", "Which people of the ops team were hired before 2015-04-01?"),
            ("two", "Which people of the sales or legal team were hired before 2015-04-01?"),
            ("scope", "Which people of the sales team were hired before 2015-04-01 and after 2012-04-01?"),
            ("format", "Which people of the sales team were hired before April?"),
        ],
        ["people"],
        held_out=True,
        unknown={"team": "ops"},
    ),
    _family(
        "hours-above",
        "Counts the readings of a sensor that are above a limit.",
        "count",
        ["How many readings of the {sensor} are above {limit} degrees?"],
        {"sensor": _choice("attic", "cellar", "porch"), "limit": Parameter(type="number", example=20.5)},
        _READINGS,
        3,
        int,
        [{"sensor": sensor, "limit": limit} for sensor in ("attic", "cellar", "porch") for limit in (10, 15.5, 20)],
        [
            ("how many attic readings are above 12 degrees", {"sensor": "attic", "limit": 12}),
            ("What is the number of readings of the porch above 7.5 degrees?", {"sensor": "porch", "limit": 7.5}),
            ("How many times was the cellar warmer than 12 degrees?", {"sensor": "cellar", "limit": 12}),
        ],
        [
            ("order", "How many readings of the attic are below 20 degrees?"),
            ("order", "How many readings of the attic are at 20 degrees?"),
            ("order", "How many readings of the attic are above or at 20 degrees?"),
            ("negation", "How many readings of the attic are not above 20 degrees?"),
            ("other field", "How many readings of the attic are above 20 percent?"),
            ("other field", "How many hours of the attic are above 20 degrees?"),
            ("superlative", "What is the highest reading of the attic in degrees?"),
            ("two", "How many readings of the attic are above 20 degrees and below 30 degrees?"),
            ("scope", "How many readings of the attic are above 20 degrees at night?"),
            ("swap", "How many degrees are above the 20 readings of the attic?"),
            ("comparison", "How many readings of the attic are above the cellar?"),
            ("sign", "How many readings of the attic are above -20 degrees below zero?"),
        ],
        ["readings"],
        held_out=True,
        unknown={"sensor": "garage"},
    ),
    _family(
        "games-between",
        "Counts the goals in games where one city played at home against another.",
        "sum",
        ["How many goals fell when {home} hosted {guest}?"],
        {"home": _text("Oslo"), "guest": _text("Lima")},
        _GAMES,
        9,
        int,
        [{"home": a, "guest": b} for a in _CITIES for b in _CITIES if a != b][:9],
        [
            ("how many goals fell when New York hosted Kyoto", {"home": "New York", "guest": "Kyoto"}),
            ("Please count the goals that fell when Oslo hosted Lima", {"home": "Oslo", "guest": "Lima"}),
            ("How many goals were there in games of Oslo at home against Lima?", {"home": "Oslo", "guest": "Lima"}),
        ],
        [
            ("negation", "How many goals fell when Oslo never hosted Lima?"),
            ("order", "How many goals fell before Oslo hosted Lima?"),
            ("order", "How many goals fell after Oslo hosted Lima?"),
            ("direction", "How many goals fell when Oslo visited Lima?"),
            ("direction", "How many goals fell when Oslo was hosted by Lima?"),
            ("other field", "How many goals fell when Oslo hosted guests?"),
            ("other field", "How many tears fell when Oslo hosted Lima?"),
            ("two", "How many goals fell when Oslo and Lima hosted Kyoto?"),
            ("two", "How many goals fell when Oslo hosted Lima or Kyoto?"),
            ("question", "Which goals fell when Oslo hosted Lima?"),
            ("scope", "How many goals fell when Oslo first hosted Lima?"),
            ("scope", "How many goals fell at most when Oslo hosted Lima?"),
        ],
        ["goals"],
        held_out=True,
    ),
    _family(
        "longest-book",
        "Finds the title of the longest book of an author.",
        "top",
        ["What is the longest book by {author}?"],
        {"author": _text("Lem")},
        _BOOKS,
        "Book 28",
        str,
        [{"author": name} for name in ("Borges", "Lem", "Woolf")],
        [
            ("what's the longest book by Woolf", {"author": "Woolf"}),
            ("Tell me the longest book by Borges.", {"author": "Borges"}),
            ("Which book by Lem has the most pages?", {"author": "Lem"}),
        ],
        [
            ("superlative", "What is the shortest book by Lem?"),
            ("superlative", "What is the second longest book by Lem?"),
            ("superlative", "What is a long book by Lem?"),
            ("superlative", "What is the oldest book by Lem?"),
            ("negation", "What is the longest book not by Lem?"),
            ("direction", "What is the longest book about Lem?"),
            ("direction", "What is the longest book before Lem?"),
            ("other field", "What is the longest title by Lem?"),
            ("two", "What is the longest book by Lem or Woolf?"),
            ("scope", "What is the longest book by Lem since 1950?"),
            ("question", "How long is the longest book by Lem?"),
            ("question", "Who wrote the longest book?"),
        ],
        ["book"],
        held_out=True,
    ),
    _family(
        "parcels-between",
        "Counts the parcels of a status that were sent from one city to another.",
        "count",
        ["How many {status} parcels went from {origin} to {destination}?"],
        {"status": _choice("late", "lost", "delivered"), "origin": _text("Oslo"), "destination": _text("Lima")},
        _PARCELS,
        3,
        int,
        [
            {"status": status, "origin": a, "destination": b}
            for status in ("late", "lost", "delivered")
            for a, b in (("Oslo", "Lima"), ("Lima", "New York"), ("Kyoto", "Oslo"))
        ],
        [
            (
                "how many lost parcels went from Kyoto to Oslo",
                {"status": "lost", "origin": "Kyoto", "destination": "Oslo"},
            ),
            (
                "Count the late parcels that went from Oslo to Lima",
                {"status": "late", "origin": "Oslo", "destination": "Lima"},
            ),
            (
                "How many parcels from Lima to Oslo were lost?",
                {"status": "lost", "origin": "Lima", "destination": "Oslo"},
            ),
        ],
        [
            ("swap", "How many Oslo parcels went from late to Lima?"),
            ("negation", "How many undelivered parcels went from Oslo to Lima?"),
            ("negation", "How many late parcels went anywhere but from Oslo to Lima?"),
            ("negation", "How many late parcels never went from Oslo to Lima?"),
            ("direction", "How many late parcels went from Oslo through Lima?"),
            ("direction", "How many late parcels went between Oslo and Lima?"),
            ("other field", "How many late kilos went from Oslo to Lima?"),
            ("two", "How many late and lost parcels went from Oslo to Lima?"),
            ("scope", "How many late parcels over 5 kilos went from Oslo to Lima?"),
            ("scope", "How many late parcels went from Oslo to Lima last week?"),
            ("question", "Which late parcels went from Oslo to Lima?"),
            ("missing", "How many late parcels went from Oslo?"),
            ("missing", "How many parcels went from Oslo to Lima?"),
        ],
        ["parcels"],
        held_out=True,
        unknown={"status": "stolen"},
    ),
]
