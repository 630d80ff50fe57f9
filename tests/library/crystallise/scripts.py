"""Runs to learn from: questions, inputs, and cells as models write them, with what a habit of each must do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MESSAGES = "id,sender,day,text\n" + "\n".join(
    f"{i},{sender},2024-0{1 + i % 3}-{10 + i},{text}"
    for i, (sender, text) in enumerate(
        [
            ("ann", "WIN a prize now"), ("bob", "lunch at noon?"), ("cid", "cheap pills online"),
            ("ann", "minutes of the meeting"), ("dan", "you are a WINNER"), ("bob", "re: lunch"),
            ("cid", "WIN money fast"), ("ann", "see you tomorrow"), ("eve", "quarterly report attached"),
            ("dan", "limited offer: WIN big"), ("eve", "draft of the contract"), ("cid", "photos from the trip"),
        ]
    )
)  # fmt: skip
OTHER_MESSAGES = "id,sender,day,text\n" + "\n".join(
    f"{i},{sender},2024-0{2 + i % 2}-{11 + i},{text}"
    for i, (sender, text) in enumerate(
        [("fay", "WIN a car"), ("gus", "hello there"), ("fay", "WIN a house"), ("hal", "agenda"), ("gus", "WIN it all")]
    )
)
SALES = "date,city,product,price,units\n" + "\n".join(
    f"2024-{m:02}-{d:02},{city},{product},{price},{units}"
    for m, d, city, product, price, units in [
        (1, 5, "Oslo", "lamp", 20.5, 3), (1, 9, "Rome", "chair", 45.0, 1), (1, 22, "Oslo", "table", 120.0, 2),
        (2, 2, "Paris", "lamp", 21.0, 4), (2, 14, "Rome", "lamp", 19.5, 6), (2, 27, "Oslo", "chair", 44.0, 5),
        (3, 3, "Paris", "table", 118.0, 1), (3, 18, "Rome", "table", 121.0, 3), (3, 29, "Lima", "lamp", 22.0, 2),
    ]
)  # fmt: skip
OTHER_SALES = "date,city,product,price,units\n" + "\n".join(
    [
        "2025-01-02,Bern,lamp,10.0,1", "2025-02-03,Rome,chair,30.0,2", "2025-02-05,Bern,table,100.0,7",
        "2025-03-06,Oslo,lamp,12.0,3",
    ]
)  # fmt: skip
LOG = "\n".join(
    f"2024-05-0{1 + i // 8} {8 + i % 8:02}:{(7 * i) % 60:02}:11 {level} [{service}] request {1000 + i} {rest}"
    for i, (level, service, rest) in enumerate(
        [
            ("INFO", "auth", "took 12 ms"), ("ERROR", "billing", "took 340 ms"), ("INFO", "search", "took 33 ms"),
            ("WARN", "auth", "took 78 ms"), ("INFO", "auth", "took 15 ms"), ("ERROR", "auth", "took 401 ms"),
            ("INFO", "billing", "took 22 ms"), ("INFO", "search", "took 41 ms"), ("WARN", "billing", "took 95 ms"),
            ("ERROR", "billing", "took 512 ms"), ("INFO", "auth", "took 18 ms"), ("INFO", "search", "took 29 ms"),
        ]
    )
)  # fmt: skip
OTHER_LOG = "\n".join(
    f"2025-01-0{1 + i} 09:0{i}:00 {level} [{service}] request {i} took {ms} ms"
    for i, (level, service, ms) in enumerate(
        [("ERROR", "mail", 5), ("WARN", "mail", 9), ("WARN", "auth", 300), ("INFO", "auth", 7)]
    )
)
TICKETS: list[dict[str, Any]] = [
    {"id": 1, "user": "ann", "plan": "pro", "text": "My parcel never arrived, where is it?"},
    {"id": 2, "user": "bob", "plan": "free", "text": "Please refund my order"},
    {"id": 3, "user": "ann", "plan": "pro", "text": "The app crashes at start"},
    {"id": 4, "user": "cid", "plan": "free", "text": "Delivery is two weeks late"},
    {"id": 5, "user": "dan", "plan": "pro", "text": "I want my money back"},
    {"id": 6, "user": "bob", "plan": "free", "text": "Crash when I open settings"},
    {"id": 7, "user": "eve", "plan": "team", "text": "Courier lost the package"},
]
OTHER_TICKETS: list[dict[str, Any]] = [
    {"id": 11, "user": "zoe", "plan": "free", "text": "refund please, money back"},
    {"id": 12, "user": "yan", "plan": "pro", "text": "late delivery"},
    {"id": 13, "user": "zoe", "plan": "free", "text": "it crashes"},
]
NOTES = "\n\n".join(
    f"## Visit {i}\nPatient: {who}\nDoctor: {doctor}\nPulse: {pulse} bpm\nThe patient {what}."
    for i, (who, doctor, pulse, what) in enumerate(
        [
            ("Ada", "Gray", 71, "reports headaches and sleeps badly"), ("Ben", "House", 88, "feels well"),
            ("Ada", "House", 75, "has fewer headaches"), ("Cleo", "Gray", 93, "complains of a cough"),
            ("Ben", "Gray", 84, "has a cough and a fever"),
        ],
        1,
    )
)  # fmt: skip
OTHER_NOTES = "\n\n".join(
    f"## Visit {i}\nPatient: {who}\nDoctor: {doctor}\nPulse: {pulse} bpm\nThe patient {what}."
    for i, (who, doctor, pulse, what) in enumerate(
        [("Dot", "House", 60, "has a fever"), ("Eli", "Wong", 100, "has headaches"), ("Dot", "Wong", 66, "is fine")], 1
    )
)


def is_spam(question: str, text: str) -> str:
    """A leaf model that knows spam by its words."""
    spam = "WIN" in text or "pills" in text
    if "spam or ham" in question:
        return "spam" if spam else "ham"
    wants_ham = "ham" in question.split()
    if "not spam" in question:
        return "spam" if spam else "not spam"
    return "yes" if spam != wants_ham else "no"


def topic(question: str, text: str) -> str:
    """A leaf model that tells the topic of a ticket."""
    for label, words in {
        "delivery": ("parcel", "deliver", "courier", "late"),
        "refund": ("refund", "money back"),
        "crash": ("crash",),
    }.items():
        if any(word in text.lower() for word in words):
            return label
    return "other"


def each_topic(question: str, text: str) -> str:
    """The topic of each line."""
    return "\n".join(topic(question, line) for line in text.splitlines())


def about(question: str, text: str) -> str:
    """A leaf model that says yes when the text is about what the question names."""
    names = {"delivery": ("deliver", "shipping"), "refund": ("refund",), "crash": ("crash",)}
    return "yes" if any(name in question.lower() for name in names.get(topic(question, text), ())) else "no"


def doctor(question: str, text: str) -> str:
    """A leaf model that reads notes of visits."""
    if "symptom" in question.lower():
        return next((word for word in ("headaches", "cough", "fever") if word in text), "none")
    wanted = re.findall(r"headaches|cough|fever", question)
    return "yes" if any(word in text for word in wanted) else "no"


def asked(prompt: str) -> tuple[str, str]:
    """What a prompt of the frontier profile asks, and about which text; a plain one has it after a colon."""
    found = re.search(r"<text>\n(.*?)\n</text>", prompt, re.DOTALL)
    if found:
        return prompt[: found.start()], found[1]
    question, _, text = prompt.strip().partition(":\n")
    return question, text


def each_is_spam(question: str, text: str) -> str:
    """A leaf model that sorts several messages at once."""
    return json.dumps([is_spam("Is this message spam or ham?", line) for line in text.splitlines()])


@dataclass(frozen=True)
class Script:
    """A run, and the habit that must come of it."""

    name: str
    query: str
    context: Any
    cells: Sequence[str]
    answer: Any
    returns: Any = int
    leaf: Callable[[str, str], str] = is_spam
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """What is lifted, by name."""
    elsewhere: tuple[Any, Mapping[str, Any], Any] | None = None
    """Another input, other parameters, and the right answer there."""
    gone: Sequence[str] = ()
    """Texts that must not be in the scheduler any more."""


SCRIPTS = [
    Script(
        "count by label, one call each",
        "How many messages are spam?",
        MESSAGES,
        [
            "print(context[:300])\nprint(len(context))",
            """
rows = table()
print(rows[0])
first = recursive_llm("Is this message spam or ham?", rows[0]["text"], returns=["spam", "ham"])
print(first)
""",
            """
count = 0
for i, row in enumerate(rows):
    label = recursive_llm("Is this message spam or ham?", row["text"], returns=["spam", "ham"])
    print(i, label)
    if label == "spam":
        count += 1
print(count)
""",
            "answer(count)",
        ],
        5,
        parameters={"wanted_label": "spam"},
        elsewhere=(OTHER_MESSAGES, {"wanted_label": "ham"}, 2),
        gone=("print", "first"),
    ),
    Script(
        "count by label, several in a call, the labels in a schema",
        "How many messages are spam?",
        MESSAGES,
        [
            """
texts = [row["text"] for row in table()]
packs = ["\\n".join(texts[start:start + 5]) for start in range(0, len(texts), 5)]
labels = {"type": "array", "items": {"enum": ["spam", "ham"]}}
replies = recursive_llm_map("Each line is a message. Which label fits it?", packs, returns=labels)
answer([label for reply in replies for label in reply].count("spam"))
""",
        ],
        5,
        leaf=each_is_spam,
        parameters={"wanted_label": "spam"},
        elsewhere=(OTHER_MESSAGES, {"wanted_label": "ham"}, 2),
    ),
    Script(
        "count by a label that every question has a word of",
        "How many tickets are of the kind question?",
        TICKETS,
        [
            "labels = ['question', 'complaint', 'other']\n"
            "kinds = [recursive_llm('What kind of ticket is it?', t['text'], returns=labels) for t in context]\n"
            "answer(sum(kind == 'question' for kind in kinds))",
        ],
        1,
        leaf=lambda question, text: "question" if "?" in text else "complaint" if "late" in text else "other",
        parameters={"label": "question"},
        elsewhere=(TICKETS, {"label": "complaint"}, 1),
    ),
    Script(
        "count by label, a map and a Counter",
        "How many of the messages are ham?",
        MESSAGES,
        [
            """
import csv, io
reader = csv.DictReader(io.StringIO(context))
texts = [row["text"] for row in reader]
labels = recursive_llm_map("Is this spam or ham?", texts, returns=["spam", "ham"])
counts = Counter(labels)
print(counts)
""",
            "answer(counts['ham'])",
        ],
        7,
        parameters={"label": "ham"},
        elsewhere=(OTHER_MESSAGES, {"label": "spam"}, 3),
    ),
    Script(
        "count by label with classify",
        "How many messages are spam?",
        MESSAGES,
        [
            "rows = table()\nlabels = classify([r['text'] for r in rows], ['spam', 'ham'], 'spam or ham?')",
            "answer(sum(1 for l in labels if l == 'spam'))",
        ],
        5,
        parameters={"label": "spam"},
        elsewhere=(OTHER_MESSAGES, {"label": "ham"}, 2),
    ),
    Script(
        "yes or no about one label",
        "How many messages are spam?",
        MESSAGES,
        [
            """
n = 0
for line in context.splitlines()[1:]:
    text = line.split(",", 3)[3]
    if recursive_llm("Is this message spam ?", text, returns=bool):
        n += 1
answer(n)
""",
        ],
        5,
        parameters={"kind": "spam"},
        elsewhere=(OTHER_MESSAGES, {"kind": "ham"}, 2),
    ),
    Script(
        "a label and its negation",
        "How many messages are spam?",
        MESSAGES,
        [
            """
from collections import Counter
verdicts = Counter()
for row in table():
    verdicts[recursive_llm("spam or not spam?", row["text"], returns=["spam", "not spam"])] += 1
answer(verdicts["spam"])
""",
        ],
        5,
        parameters={"key": "spam"},
    ),
    Script(
        "which label is most common",
        "Which is more common among the messages, spam or ham?",
        MESSAGES,
        [
            """
labels = recursive_llm_map("spam or ham?", [r["text"] for r in table()], returns=["spam", "ham"])
ranked = Counter(labels).most_common()
print(ranked)
answer(ranked[0][0])
""",
        ],
        "ham",
        returns=str,
        elsewhere=(OTHER_MESSAGES, {}, "spam"),
    ),
    Script(
        "sum by group",
        "What is the total revenue in Oslo?",
        SALES,
        [
            "lines = context.splitlines()\nprint(lines[:3])",
            """
total = 0.0
for line in lines[1:]:
    parts_ = line.split(",")
    if parts_[1] == "Oslo":
        total += float(parts_[3]) * int(parts_[4])
print(total)
answer(round(total, 2))
""",
        ],
        521.5,
        returns=float,
        parameters={"city": "Oslo"},
        elsewhere=(OTHER_SALES, {"city": "Bern"}, 710.0),
    ),
    Script(
        "sum by group with DictReader",
        "How many units of lamps were sold?",
        SALES,
        [
            """
import csv
from io import StringIO
rows = list(csv.DictReader(StringIO(context)))
units = {}
for row in rows:
    units[row["product"]] = units.get(row["product"], 0) + int(row["units"])
print(units)
""",
            "answer(units['lamp'])",
        ],
        15,
        parameters={"product": "lamp"},
        elsewhere=(OTHER_SALES, {"product": "table"}, 7),
    ),
    Script(
        "all groups",
        "What is the revenue of each city?",
        SALES,
        [
            """
revenue = defaultdict(float)
for row in table():
    revenue[row["city"]] += row["price"] * row["units"]
answer({city: round(value, 2) for city, value in sorted(revenue.items())})
""",
        ],
        {"Lima": 44.0, "Oslo": 521.5, "Paris": 202.0, "Rome": 525.0},
        returns=dict,
        elsewhere=(OTHER_SALES, {}, {"Bern": 710.0, "Oslo": 36.0, "Rome": 60.0}),
    ),
    Script(
        "top k",
        "Which are the top 2 cities by units sold?",
        SALES,
        [
            """
counts = Counter()
for row in table():
    counts[row["city"]] += row["units"]
print(counts.most_common())
answer([city for city, _ in counts.most_common(2)])
""",
        ],
        ["Oslo", "Rome"],
        returns=list[str],
        parameters={"count": 2},
        elsewhere=(OTHER_SALES, {"count": 1}, ["Bern"]),
    ),
    Script(
        "top k by slicing",
        "Name the three senders with the most messages",
        MESSAGES,
        [
            """
by = {}
for line in context.strip().split("\\n")[1:]:
    sender = line.split(",")[1]
    by[sender] = by.get(sender, 0) + 1
ranked = sorted(by.items(), key=lambda kv: (-kv[1], kv[0]))
answer([name for name, n in ranked[:3]])
""",
        ],
        ["ann", "cid", "bob"],
        returns=list[str],
        parameters={"count": 3},
        elsewhere=(OTHER_MESSAGES, {"count": 2}, ["fay", "gus"]),
    ),
    Script(
        "the largest",
        "Which city had the highest single sale by price?",
        SALES,
        ["rows = table()\nbest = max(rows, key=lambda r: r['price'])\nprint(best)", "answer(best['city'])"],
        "Rome",
        returns=str,
        elsewhere=(OTHER_SALES, {}, "Bern"),
    ),
    Script(
        "earliest",
        "When did Rome first sell something?",
        SALES,
        [
            """
dates = []
for row in table():
    if row["city"] == "Rome":
        dates.append(row["date"])
dates.sort()
answer(dates[0])
""",
        ],
        "2024-01-09",
        returns=str,
        parameters={"city": "Rome"},
        elsewhere=(OTHER_SALES, {"city": "Oslo"}, "2025-03-06"),
    ),
    Script(
        "latest with a running best",
        "What is the date of the latest sale of a chair?",
        SALES,
        [
            """
latest = None
for row in table():
    if row["product"] != "chair":
        continue
    if latest is None or row["date"] > latest:
        latest = row["date"]
answer(latest)
""",
        ],
        "2024-02-27",
        returns=str,
        parameters={"product": "chair"},
        elsewhere=(OTHER_SALES, {"product": "lamp"}, "2025-03-06"),
    ),
    Script(
        "a month",
        "How many sales were there in March 2024?",
        SALES,
        ["answer(sum(1 for row in table() if row['date'].startswith('2024-03')))"],
        3,
        parameters={"word": "2024-03"},
        elsewhere=(OTHER_SALES, {"word": "2025-02"}, 2),
    ),
    Script(
        "count log levels",
        "How many errors are there?",
        LOG,
        [
            "for line in context.splitlines()[:5]: print(line)",
            """
levels = {}
for line in context.splitlines():
    m = re.match(r"^\\S+ \\S+ (\\w+) \\[", line)
    if m:
        levels[m.group(1)] = levels.get(m.group(1), 0) + 1
print(levels)
answer(levels.get("ERROR", 0))
""",
        ],
        3,
        parameters={"key": "ERROR"},
        elsewhere=(OTHER_LOG, {"key": "WARN"}, 2),
    ),
    Script(
        "count by a substring",
        "How many warnings did the billing service log?",
        LOG,
        [
            """
count = 0
for line in context.split("\\n"):
    if " WARN " in line and "[billing]" in line:
        count += 1
answer(count)
""",
        ],
        1,
        parameters={"word": "WARN", "other_word": "billing"},
    ),
    Script(
        "extract by a pattern",
        "Which request numbers ended in an error?",
        LOG,
        [
            """
found = []
for line in context.splitlines():
    if "ERROR" in line:
        found.append(int(re.search(r"request (\\d+)", line).group(1)))
answer(found)
""",
        ],
        [1001, 1005, 1009],
        returns=list[int],
        parameters={"word": "ERROR"},
        elsewhere=(OTHER_LOG, {"word": "WARN"}, [1, 2]),
    ),
    Script(
        "slower than",
        "How many requests took more than 90 ms?",
        LOG,
        [
            """
times = [int(x) for x in re.findall(r"took (\\d+) ms", context)]
print(times)
slow = [t for t in times if t > 90]
answer(len(slow))
""",
        ],
        4,
        parameters={"threshold": 90},
        elsewhere=(OTHER_LOG, {"threshold": 8}, 2),
    ),
    Script(
        "a mean",
        "What is the average time of requests to the auth service, in ms?",
        LOG,
        [
            """
values = []
for line in context.splitlines():
    m = re.search(r"\\[(\\w+)\\].*took (\\d+) ms", line)
    if m and m.group(1) == "auth":
        values.append(int(m.group(2)))
avg = sum(values) / len(values)
print(avg)
answer(round(avg, 1))
""",
        ],
        104.8,
        returns=float,
        parameters={"value": "auth"},
        elsewhere=(OTHER_LOG, {"value": "mail"}, 7.0),
    ),
    Script(
        "comparison of two groups",
        "Did Oslo or Rome sell more units?",
        SALES,
        [
            """
totals = {}
for row in table():
    totals[row["city"]] = totals.get(row["city"], 0) + row["units"]
a, b = totals.get("Oslo", 0), totals.get("Rome", 0)
print(a, b)
answer("Oslo" if a > b else "Rome")
""",
        ],
        "Rome",
        returns=str,
        elsewhere=(OTHER_SALES, {"city": "Bern", "other_city": "Rome"}, "Bern"),
        parameters={"city": "Oslo", "other_city": "Rome"},
    ),
    Script(
        "comparison over a list",
        "Compare the units sold of lamp and chair",
        SALES,
        [
            """
result = {}
for product in ["lamp", "chair"]:
    result[product] = sum(r["units"] for r in table() if r["product"] == product)
answer(result)
""",
        ],
        {"lamp": 15, "chair": 6},
        returns=dict,
        parameters={"values": ["lamp", "chair"]},
        elsewhere=(OTHER_SALES, {"values": ["table"]}, {"table": 7}),
    ),
    Script(
        "a difference",
        "How many more messages did ann send than eve?",
        MESSAGES,
        [
            """
senders = Counter(row["sender"] for row in table())
answer(senders["ann"] - senders["eve"])
""",
        ],
        1,
        parameters={"sender": "ann", "other_sender": "eve"},
        elsewhere=(OTHER_MESSAGES, {"sender": "gus", "other_sender": "hal"}, 1),
    ),
    Script(
        "a join of users",
        "Which users wrote about both delivery and crashes?",
        TICKETS,
        [
            "print(type(context), len(context), context[0])",
            """
topics = defaultdict(set)
for ticket in context:
    kind = recursive_llm("What is this ticket about?", ticket["text"], returns=["delivery", "refund", "crash", "other"])
    topics[ticket["user"]].add(kind)
print(topics)
""",
            "answer(sorted(u for u, kinds in topics.items() if 'delivery' in kinds and 'crash' in kinds))",
        ],
        ["ann"],
        returns=list[str],
        leaf=topic,
        parameters={"label": "delivery", "other_label": "crash"},
        elsewhere=(OTHER_TICKETS, {"label": "refund", "other_label": "crash"}, ["zoe"]),
    ),
    Script(
        "a topic in the prompt",
        "How many tickets complain about shipping delays?",
        TICKETS,
        [
            """
hits = 0
for t in context:
    verdict = recursive_llm("Does this ticket complain about shipping delays?", t["text"], returns=["yes", "no"])
    if verdict == "yes":
        hits += 1
answer(hits)
""",
        ],
        3,
        leaf=about,
        parameters={"topic": "shipping delays"},
        elsewhere=(OTHER_TICKETS, {"topic": "refunds"}, 1),
    ),
    Script(
        "tickets of a plan",
        "How many tickets about refunds came from users of the free plan?",
        TICKETS,
        [
            """
free = [t for t in context if t["plan"] == "free"]
kinds = recursive_llm_map("Topic?", [t["text"] for t in free], returns=["delivery", "refund", "crash", "other"])
answer(kinds.count("refund"))
""",
        ],
        1,
        leaf=topic,
        parameters={"plan": "free", "label": "refund"},
        elsewhere=(OTHER_TICKETS, {"plan": "pro", "label": "delivery"}, 1),
    ),
    Script(
        "per user counts",
        "Who wrote the most tickets?",
        TICKETS,
        [
            "users = [t['user'] for t in context]\nprint(users)",
            "counts = {u: users.count(u) for u in set(users)}\nprint(counts)",
            "best = sorted(counts, key=lambda u: (-counts[u], u))[0]\nanswer(best)",
        ],
        "ann",
        returns=str,
        leaf=topic,
        elsewhere=(OTHER_TICKETS, {}, "zoe"),
    ),
    Script(
        "text in sections",
        "What was the highest pulse of Ben?",
        NOTES,
        [
            """
visits = context.split("\\n\\n")
pulses = []
for visit in visits:
    fields = dict(re.findall(r"^(\\w+): (.+)$", visit, re.MULTILINE))
    if fields.get("Patient") == "Ben":
        pulses.append(int(fields["Pulse"].split()[0]))
answer(max(pulses))
""",
        ],
        88,
        leaf=doctor,
        parameters={"patient": "Ben"},
        elsewhere=(OTHER_NOTES, {"patient": "Dot"}, 66),
    ),
    Script(
        "sections with a helper and calls",
        "How many visits mention a cough?",
        NOTES,
        [
            "sections = parts()\nprint(len(sections), sections[0])",
            """
def mentions(section):
    \"\"\"Ask about one visit.\"\"\"
    return recursive_llm("Does the visit mention a cough ? yes or no", section, returns=["yes", "no"]) == "yes"

hits = [s for s in sections if mentions(s)]
for h in hits:
    print(h.splitlines()[0])
answer(len(hits))
""",
        ],
        2,
        leaf=doctor,
        parameters={"kind": "cough"},
        elsewhere=(OTHER_NOTES, {"kind": "fever"}, 1),
    ),
    Script(
        "dead attempts",
        "How many messages did bob send?",
        MESSAGES,
        [
            "data = json.loads(context)",
            "rows = [line.split(';') for line in context.splitlines()]\nprint(rows[0][1])",
            """
rows = [line.split(",") for line in context.splitlines()]
header, body = rows[0], rows[1:]
print(header)
junk = [r for r in body if len(r) != 4]
print(junk)
n = sum(1 for r in body if r[header.index("sender")] == "bob")
print(n, undefined_name)
""",
            "print(n)",
            "answer(n)",
        ],
        2,
        parameters={"sender": "bob"},
        elsewhere=(OTHER_MESSAGES, {"sender": "fay"}, 2),
        gone=("json", "junk", "';'"),
    ),
    Script(
        "a while loop and try",
        "How many units were sold in Paris?",
        SALES,
        [
            """
lines = context.splitlines()
i = 1
total = 0
seen = []
while i < len(lines):
    line = lines[i]
    i += 1
    try:
        date, city, product, price, units = line.split(",")
        number = int(units)
    except ValueError:
        continue
    seen.append(product)
    if city == "Paris":
        total += number
print(seen)
answer(total)
""",
        ],
        5,
        parameters={"wanted_city": "Paris"},
        elsewhere=(OTHER_SALES, {"wanted_city": "Bern"}, 8),
        gone=("seen",),
    ),
    Script(
        "other systems' names",
        "How many messages are spam?",
        MESSAGES,
        [
            "chunk = context[:500]\nprint(chunk)\nprint(SHOW_VARS())",
            """
texts = [line.split(",", 3)[3] for line in context.splitlines()[1:]]
prompts = [f"Is this spam or ham? Say one word:\\n{t}" for t in texts]
replies = llm_query_batched(prompts)
spam_count = sum("spam" in r.lower() for r in replies)
""",
            "FINAL_VAR('spam_count')",
        ],
        5,
        parameters={"word": "spam"},
        elsewhere=(OTHER_MESSAGES, {"word": "ham"}, 2),
    ),
    Script(
        "the answer dict",
        "How many messages are ham?",
        MESSAGES,
        [
            "print(context[:100])",
            """
n = 0
for line in context.splitlines()[1:]:
    reply = llm_query("Is this spam or ham? One word:\\n" + line.split(",", 3)[3])
    if reply.strip().lower() == "ham":
        n += 1
answer["content"] = str(n)
answer["ready"] = True
""",
        ],
        "7",
        returns=str,
        parameters={"wanted_reply": "ham"},
        elsewhere=(OTHER_MESSAGES, {"wanted_reply": "spam"}, "3"),
    ),
    Script(
        "SUBMIT from a function",
        "How many tickets are about a crash?",
        TICKETS,
        [
            """
def main():
    n = 0
    for t in context:
        if recursive_llm("Topic?", t["text"], returns=["delivery", "refund", "crash", "other"]) == "crash":
            n += 1
    SUBMIT(n)

main()
""",
        ],
        2,
        leaf=topic,
        parameters={"label": "crash"},
        elsewhere=(OTHER_TICKETS, {"label": "refund"}, 1),
    ),
    Script(
        "FINAL in words",
        "How many messages did cid send?",
        MESSAGES,
        ["result = sum(1 for r in table() if r['sender'] == 'cid')\nprint(result)", "FINAL(result)"],
        3,
        parameters={"sender": "cid"},
        elsewhere=(OTHER_MESSAGES, {"sender": "gus"}, 2),
    ),
    Script(
        "asyncio",
        "How many messages are spam?",
        MESSAGES,
        [
            """
import asyncio
texts = [r["text"] for r in table()]

async def judge(text):
    return await recursive_llm("spam or ham?", text, returns=["spam", "ham"])

labels = await asyncio.gather(*[judge(t) for t in texts])
print(Counter(labels))
answer(labels.count("spam"))
""",
        ],
        5,
        parameters={"label": "spam"},
        elsewhere=(OTHER_MESSAGES, {"label": "ham"}, 2),
        gone=("async", "await"),
    ),
    Script(
        "a thread pool",
        "How many messages are spam?",
        MESSAGES,
        [
            """
from concurrent.futures import ThreadPoolExecutor
texts = [r["text"] for r in table()]
def judge(text):
    return recursive_llm("spam or ham?", text, returns=["spam", "ham"])
with ThreadPoolExecutor(max_workers=8) as pool:
    labels = list(pool.map(judge, texts))
answer(labels.count("spam"))
""",
        ],
        5,
        parameters={"label": "spam"},
        elsewhere=(OTHER_MESSAGES, {"label": "ham"}, 2),
        gone=("ThreadPool",),
    ),
    Script(
        "an early exit in a loop",
        "Is there any message about a meeting?",
        MESSAGES,
        [
            """
for row in table():
    if "meeting" in row["text"].lower():
        print(row)
        answer("yes")
answer("no")
""",
        ],
        "yes",
        returns=["yes", "no"],
        parameters={"word": "meeting"},
        elsewhere=(OTHER_MESSAGES, {"word": "agenda"}, "yes"),
    ),
    Script(
        "chunks",
        "How many tickets are about delivery?",
        TICKETS,
        [
            """
chunk_size = 50
total = 0
for start in range(0, len(context), chunk_size):
    batch = context[start:start + chunk_size]
    for t in batch:
        label = recursive_llm("Topic?", t["text"], returns=["delivery", "refund", "crash", "other"])
        total += label == "delivery"
answer(total)
""",
        ],
        3,
        leaf=topic,
        parameters={"wanted_label": "delivery"},
        elsewhere=(OTHER_TICKETS, {"wanted_label": "crash"}, 1),
    ),
    Script(
        "find",
        "How many log lines mention the search service?",
        LOG,
        ["hits = find('search')\nprint(hits)\nanswer(len(hits))"],
        3,
        parameters={"word": "search"},
        elsewhere=(OTHER_LOG, {"word": "mail"}, 2),
    ),
    Script(
        "filter, map and lambda",
        "What is the total price of all tables sold?",
        SALES,
        [
            """
rows = [dict(zip(context.splitlines()[0].split(","), l.split(","))) for l in context.splitlines()[1:]]
wanted = list(filter(lambda r: r["product"] == "table", rows))
prices = list(map(lambda r: float(r["price"]) * int(r["units"]), wanted))
answer(sum(prices))
""",
        ],
        721.0,
        returns=float,
        parameters={"product": "table"},
        elsewhere=(OTHER_SALES, {"product": "lamp"}, 46.0),
    ),
    Script(
        "the question as the prompt",
        "How many tickets are about refunds?",
        TICKETS,
        [
            """
n = 0
for t in context:
    if recursive_llm(f"For the question {query!r}: does this ticket count? yes or no", t["text"], returns=bool):
        n += 1
answer(n)
""",
        ],
        2,
        leaf=about,
        parameters={"topic": "refunds"},
        elsewhere=(OTHER_TICKETS, {"topic": "crash"}, 1),
    ),
    Script(
        "classes and globals",
        "How many units were sold in Rome?",
        SALES,
        [
            """
from dataclasses import dataclass

@dataclass
class Sale:
    city: str
    units: int

total = 0
def add(sale):
    global total
    total += sale.units

for row in table():
    sale = Sale(row["city"], row["units"])
    if sale.city == "Rome":
        add(sale)
answer(total)
""",
        ],
        10,
        parameters={"wanted_city": "Rome"},
        elsewhere=(OTHER_SALES, {"wanted_city": "Bern"}, 8),
    ),
    Script(
        "a text of JSON lines",
        "How many tickets did bob open?",
        "\n".join(json.dumps(ticket) for ticket in TICKETS),
        [
            """
tickets = [json.loads(line) for line in context.splitlines() if line.strip()]
print(len(tickets), tickets[0].keys())
mine = [t for t in tickets if t["user"] == "bob"]
answer(len(mine))
""",
        ],
        2,
        parameters={"user": "bob"},
        elsewhere=("\n".join(json.dumps(ticket) for ticket in OTHER_TICKETS), {"user": "zoe"}, 2),
    ),
    Script(
        "all texts in one call",
        "How many tickets are about delivery?",
        TICKETS,
        [
            """
texts = [ticket["text"] for ticket in context]
reply = recursive_llm("Give the topic of each line, one a line.", "\\n".join(texts))
topics = [line.strip() for line in reply.splitlines()]
answer(topics.count("delivery"))
""",
        ],
        3,
        leaf=each_topic,
        parameters={"word": "delivery"},
        elsewhere=(OTHER_TICKETS, {"word": "refund"}, 1),
    ),
    Script(
        "all texts in one call, for a list",
        "How many tickets are about delivery?",
        TICKETS,
        [
            """
kinds = {"type": "array", "items": {"enum": ["delivery", "refund", "crash", "other"]}}
topics = recursive_llm("Give the topic of each line.", "\\n".join(t["text"] for t in context), returns=kinds)
answer(topics.count("delivery"))
""",
        ],
        3,
        leaf=lambda question, text: json.dumps(each_topic(question, text).splitlines()),
        parameters={"label": "delivery"},
        elsewhere=(OTHER_TICKETS, {"label": "refund"}, 1),
    ),
]
