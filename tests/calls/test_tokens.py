"""The estimate is cautious, monotone, and never reads a text that is far too long."""

import base64
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit.calls.call import Message
from habit.calls.tokens import estimate_prompt, estimate_text, surely_more_than

chance = random.Random(1)

# Texts with the tokens that the Qwen2.5 tokenizer, which takes digits one by one, makes of them.
MEASURED = [
    ("Licensed under the Apache License; you may not use this file except in compliance with the License. " * 20, 381),
    ("    for name in sorted(self.members):\n        total += self.price(name)[0]\n" * 20, 340),
    ("\n".join(",".join(str(n) for n in range(k, k + 800_000, 100_000)) for k in range(100_000, 100_050)), 2799),
    ("人工智能是计算机科学的一个分支，它企图了解智能的实质。" * 20, 280),
    ("Съешь же ещё этих мягких французских булок, да выпей чаю. Москва является столицей России." * 20, 640),
    ("Η Αθήνα είναι η πρωτεύουσα της Ελλάδας και η μεγαλύτερη πόλη της χώρας." * 20, 1220),
    ("Die Geschwindigkeitsbegrenzung auf deutschen Autobahnen ist ein häufig diskutiertes Thema. " * 20, 481),
    ("😀🎉🚀👩‍💻❤️🔥✨🇳🇱" * 50, 650),
    (base64.b64encode(chance.randbytes(6000)).decode(), 5922),
    (chance.randbytes(6000).hex(), 10622),
]


@pytest.mark.parametrize(("text", "tokens"), MEASURED, ids=[text[:16].strip() for text, _ in MEASURED])
def test_the_estimate_is_above_the_count_and_not_absurdly_so(text, tokens):
    assert tokens <= estimate_text(text) <= 3 * tokens


@given(st.text(), st.text())
def test_more_text_never_lowers_the_estimate(first, second):
    both = estimate_text(first + second)
    assert both >= max(estimate_text(first), estimate_text(second))
    assert both >= 1 or not first + second


@given(st.text(st.characters(), max_size=200))
def test_any_text_has_an_estimate(text):
    assert 0 <= estimate_text(text) <= 4 * len(text) + 6


@given(st.lists(st.text(max_size=50), max_size=4), st.integers(0, 100))
async def test_what_is_surely_too_long_is_too_long(texts, tokens):
    messages = [Message("user", text) for text in texts]
    if surely_more_than(messages, tokens):
        assert await estimate_prompt(messages) > tokens


async def test_a_big_prompt_is_counted_like_a_small_one():
    small = await estimate_prompt([Message("user", "word " * 10)])
    big = await estimate_prompt([Message("user", "word " * 100_000)])
    assert big > 5000 * small / 3
    assert surely_more_than([Message("user", "word " * 100_000)], 1000)
