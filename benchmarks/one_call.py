"""What the rule of ``auto`` for one call takes: passages of real prose, and inputs of the bench, which are none.

    python benchmarks/one_call.py [--passages 400] [--tokens 1500]

Passages are drawn from speeches, and questions put to them as people put them; the real data is where HABIT_DATA says,
else in ../shared/data. No model is asked.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator

from habit.bench.families import FAMILIES
from habit.bench.large import LARGE
from habit.bench.near import NEAR
from habit.bench.realdata import SETS, data_folder, real_question
from habit.bench.stream import make_stream
from habit.bench.tasks import Question, make_questions
from habit.config import Settings
from habit.contexts.context import Context
from habit.one_call import why_one_call

READING = (
    "What does the speaker ask of Congress?",
    "Who is thanked?",
    "When did the war end?",
    "Why is he against it?",
)
COMPUTING = (
    "How many times is war mentioned?",
    "List all countries.",
    "Which word is the longest?",
    "Count the names.",
)
CHARACTERS_A_TOKEN = 4
WINDOW = 32_768


def passages(count: int, tokens: int) -> Iterator[str]:
    """So many passages of speeches, each of about so many tokens, from the beginning of a line to the end of one."""
    rng = random.Random(0)
    files = sorted(data_folder().glob("state_union/*.txt"))
    for _ in range(count):
        text = rng.choice(files).read_text("utf-8", "replace")
        start = text.find("\n", rng.randrange(max(1, len(text) - tokens * CHARACTERS_A_TOKEN))) + 1
        yield text[start : text.rfind("\n", start, start + tokens * CHARACTERS_A_TOKEN) + 1]


def records() -> Iterator[Question]:
    """Questions of the bench about inputs that would fit one call, made and real."""
    yield from make_questions(LARGE, [1_000, 4_000], range(5))
    yield from make_stream(10 * len(FAMILIES), near=2)
    for real in SETS:
        yield from (real_question(real, texts=20, seed=seed) for seed in range(5))


def taken(query: str, context: object) -> bool:
    """Whether ``auto`` asks in one call."""
    return bool(why_one_call(query, Context.of(context), Settings(), WINDOW))


def told(what: str, answers: list[bool]) -> str:
    """A row of the table."""
    return f"| {what} | {len(answers)} | {sum(answers)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=400)
    parser.add_argument("--tokens", type=int, default=1_500)
    given = parser.parse_args()
    texts = list(passages(given.passages, given.tokens))
    asked = list(records())
    assert {question.family.name for question in asked} >= {family.name for family in (*LARGE, *FAMILIES, *NEAR)}
    rows = [
        told("prose, a question to be read", [taken(READING[n % 4], text) for n, text in enumerate(texts)]),
        told("prose, a question to be computed", [taken(COMPUTING[n % 4], text) for n, text in enumerate(texts)]),
        told("records, questions of the bench", [taken(one.text, one.context) for one in asked]),
        told("records, a question to be read", [taken(READING[n % 4], one.context) for n, one in enumerate(asked)]),
    ]
    print("\n".join(["| input and question | asked | in one call |", "|---|---|---|", *rows]))


if __name__ == "__main__":
    main()
