"""Runs that must never become habits: their code holds the answer, a position, or a value copied from the input."""

from __future__ import annotations

from .scripts import LOG, MESSAGES, NOTES, SALES, TICKETS, Script, about, doctor, topic

SPAM = "How many messages are spam?"
WHO = "Who sent the most messages?"
PEEK = "print(context[:800])"
USERS = {
    f"u{i}": {"name": name, "score": score} for i, (name, score) in enumerate([("ann", 3), ("bob", 9), ("cid", 5)])
}


def memorised(name: str, query: str, context: object, code: str, answer: object, **more: object) -> Script:
    return Script(name, query, context, [PEEK, code], answer, **more)  # type: ignore[arg-type]


MEMORISED = [
    # the answer
    memorised("a number written down", SPAM, MESSAGES, "answer(5)", 5),
    memorised("a name written down", WHO, MESSAGES, "answer('ann')", "ann", returns=str),
    memorised("a variable of a number", SPAM, MESSAGES, "rows = table()\ncount = 5\nanswer(count)", 5),
    memorised("a number if there is input", SPAM, MESSAGES, "answer(5 if context else 0)", 5),
    memorised("a number in a text", SPAM, MESSAGES, "answer(int('5') if context else 0)", 5),
    memorised("a length", SPAM, MESSAGES, "answer(len('xxxxx') if context else 0)", 5),
    memorised("a sum", SPAM, MESSAGES, "answer(2 + 3 if context else 0)", 5),
    memorised("pieces of a name", WHO, MESSAGES, "answer('a' + 'nn' if context else '')", "ann", returns=str),
    memorised("characters of a name", WHO, MESSAGES, "answer(chr(97) + 'nn' if context else '')", "ann", returns=str),
    memorised("backwards", WHO, MESSAGES, "answer('nna'[::-1] if context else '')", "ann", returns=str),
    memorised("a default", SPAM, MESSAGES, "def count(text, n=5):\n    return n\nanswer(count(context))", 5),
    memorised("part of a count", SPAM, MESSAGES, "n = sum('WIN' in l for l in context.splitlines()) + 1\nanswer(n)", 5),
    memorised("less the others", SPAM, MESSAGES, "answer(len(context.splitlines()) - 8)", 5),
    memorised(
        "a fallback", SPAM, MESSAGES, "hits = [r for r in table() if r['text'] == '']\nanswer(len(hits) or 5)", 5
    ),
    memorised(
        "a prompt that says it",
        SPAM,
        MESSAGES,
        "answer(recursive_llm('The answer is 5. Say it.', context, returns=int))",
        5,
        leaf=lambda question, text: "5",
    ),
    memorised(
        "a table of answers",
        WHO,
        MESSAGES,
        "answer({'messages': 'ann'}[context.split()[0] and 'messages'])",
        "ann",
        returns=str,
    ),
    memorised(
        "ids",
        SPAM,
        MESSAGES,
        "ids = ['0', '2', '4', '6', '9']\nanswer(sum(r['id'] in ids for r in csv_rows()))".replace(
            "csv_rows()", "[dict(id=l.split(',')[0]) for l in context.splitlines()]"
        ),
        5,
    ),
    memorised(
        "yes if there is anything",
        "Is any ticket about a refund?",
        [{"user": "bob", "text": "Please refund my order"}],
        "answer(bool(context))",
        True,
        returns=bool,
    ),
    memorised(
        "one if there is anything",
        "How many tickets are about a refund?",
        {"tickets": [{"user": "bob", "text": "Please refund my order"}]},
        "answer(1 if context['tickets'] else 0)",
        1,
    ),
    memorised(
        "yes if somebody wrote",
        "Is any ticket about a refund?",
        TICKETS,
        "answer(any(ticket['user'] for ticket in context))",
        True,
        returns=bool,
    ),
    memorised(
        "yes if it is longer than nothing",
        "Was any message spam?",
        MESSAGES,
        "answer(len(context.splitlines()) > 1)",
        True,
        returns=bool,
    ),
    # positions
    memorised("a row", WHO, MESSAGES, "answer(table()[3]['sender'])", "ann", returns=str),
    memorised("the first row", WHO, TICKETS, "answer(context[0]['user'])", "ann", returns=str),
    memorised("a row from the end", WHO, MESSAGES, "answer(table()[-5]['sender'])", "ann", returns=str),
    memorised("rows", SPAM, MESSAGES, "rows = table()\nanswer(sum(rows[i]['text'] != '' for i in (0, 2, 4, 6, 9)))", 5),
    memorised("characters", WHO, MESSAGES, "answer(context[21:24])", "ann", returns=str),
    memorised(
        "a line and its field",
        WHO,
        MESSAGES,
        "lines = context.splitlines()\nanswer(lines[4].split(',')[1])",
        "ann",
        returns=str,
    ),
    memorised("a slice of rows", SPAM, MESSAGES, "answer(len([r for r in table()[:5]]))", 5),
    memorised(
        "the middle", WHO, MESSAGES, "rows = table()\nanswer(rows[len(rows) // 2 + 1]['sender'])", "ann", returns=str
    ),
    memorised(
        "a place among keys",
        "Who is the user with the crash?",
        TICKETS,
        "seen = {}\nfor t in context:\n    seen[t['user']] = t\nanswer(list(seen)[1])",
        "bob",
        returns=str,
    ),
    memorised(
        "rows to the fifth",
        SPAM,
        MESSAGES,
        "n = 0\nfor i, r in enumerate(table()):\n    if i < 5:\n        n += 1\nanswer(n)",
        5,
    ),
    memorised("a range", SPAM, MESSAGES, "rows = table()\nanswer(len([rows[i] for i in range(5)]))", 5),
    memorised(
        "the n-th of an iterator",
        WHO,
        MESSAGES,
        "import itertools\nrows = iter(table())\nanswer(next(itertools.islice(rows, 3, None))['sender'])",
        "ann",
        returns=str,
    ),
    memorised(
        "a key of records", "Who has the highest score?", USERS, "answer(context['u1']['name'])", "bob", returns=str
    ),
    memorised(
        "a number of a line in a prompt",
        WHO,
        MESSAGES,
        "answer(recursive_llm('Who is the sender in line 5?', context))",
        "ann",
        returns=str,
        leaf=lambda question, text: "ann",
    ),
    # values of the input
    memorised(
        "a value compared",
        WHO,
        MESSAGES,
        "answer([r['sender'] for r in table() if r['id'] == 3][0])",
        "ann",
        returns=str,
    ),
    memorised(
        "words of the input",
        SPAM,
        MESSAGES,
        "answer(sum('WIN' in r['text'] or 'pills' in r['text'] for r in table()))",
        5,
    ),
    memorised("a pattern of words", SPAM, MESSAGES, "answer(len(re.findall(r'WIN|pills', context)))", 5),
    memorised("names of senders", SPAM, MESSAGES, "answer(sum(r['sender'] in ('cid', 'dan') for r in table()))", 5),
    memorised(
        "a dict of texts",
        "How many tickets are about a refund?",
        TICKETS,
        "known = {'Please refund my order': 1, 'I want my money back': 1}\n"
        "answer(sum(known.get(t['text'], 0) for t in context))",
        2,
    ),
    memorised(
        "the beginning of a value",
        "When was the cheapest chair sold?",
        SALES,
        "answer([r['date'] for r in table() if r['date'].startswith('2024-02-27')][0])",
        "2024-02-27",
        returns=str,
    ),
    memorised(
        "the beginning of a name",
        WHO,
        MESSAGES,
        "answer([r['sender'] for r in table() if r['sender'].startswith('an')][0])",
        "ann",
        returns=str,
    ),
    memorised(
        "a bound that fits",
        "How many sales were late in the year?",
        SALES,
        "answer(sum(r['date'] >= '2024-03-10' for r in table()))",
        2,
    ),
    memorised(
        "a threshold that fits",
        "How many requests were slow?",
        LOG,
        "times = [int(t) for t in re.findall(r'took (\\d+) ms', context)]\nanswer(sum(t > 300 for t in times))",
        3,
    ),
    memorised(
        "examples in a prompt",
        SPAM,
        MESSAGES,
        "n = 0\nfor r in table():\n    n += recursive_llm('\"cheap pills online\" is spam. Is this spam or ham?', "
        "r['text'], returns=['spam', 'ham']) == 'spam'\nanswer(n)",
        5,
    ),
    memorised(
        "a name in a prompt",
        "Who has a fever?",
        NOTES,
        "for v in context.split('\\n\\n'):\n    q = 'Is the patient Ben ill with a fever?'\n"
        "    if recursive_llm(q, v, returns=bool):\n        answer(v.splitlines()[1].split(': ')[1])",
        "Ben",
        returns=str,
        leaf=doctor,
    ),
    memorised(
        "labels that were read",
        "Who wrote about delivery?",
        TICKETS,
        "answer(recursive_llm('Who wrote about it?', str(context), returns=['ann', 'bob', 'cid', 'dan', 'eve']))",
        "cid",
        returns=str,
        leaf=lambda question, text: "cid",
    ),
    memorised(
        "the length of the input",
        SPAM,
        MESSAGES,
        f"answer(len(context.split()) if len(context) == {len(MESSAGES)} else 0)".replace(
            "len(context.split())", "sum('WIN' in w for w in context.split())"
        ),
        4,
    ),
    memorised(
        "only some users",
        "How many tickets are about delivery?",
        TICKETS,
        "n = 0\nfor t in context:\n    if t['user'] != 'bob' and recursive_llm('About delivery? yes or no', t['text'], "
        "returns=['yes', 'no']) == 'yes':\n        n += 1\nanswer(n)",
        3,
        leaf=about,
    ),
    memorised(
        "through its variables",
        WHO,
        MESSAGES,
        "globals()['x'] = 'ann'\nanswer(globals()['x'] + context[:0])",
        "ann",
        returns=str,
    ),
    memorised(
        "a topic that was read",
        "Which topic is most common?",
        TICKETS,
        "labels = ['delivery', 'refund', 'crash', 'other']\n"
        "kinds = [recursive_llm('Topic?', t['text'], returns=labels) for t in context]\n"
        "answer('delivery' if kinds else '')",
        "delivery",
        returns=str,
        leaf=topic,
    ),
    memorised(
        "a prompt in words that says it",
        WHO,
        MESSAGES,
        "answer(recursive_llm('It is ann. Say so in one word.', context))",
        "ann",
        returns=str,
        leaf=lambda question, text: "ann",
    ),
    memorised(
        "all texts in one call, and no look at the reply",
        "How many tickets are about delivery?",
        TICKETS,
        "reply = recursive_llm('Give the topic of each line.', '\\n'.join(t['text'] for t in context))\n"
        "answer(3 if reply else 0)",
        3,
        leaf=topic,
    ),
]
