"""Decoding in place: the same value as in one piece, the payload freed on the way, and never more than there is."""

import json
import os
import resource
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit.contexts.parked import Parked
from habit.sandbox.cpython import decoding
from habit.sandbox.cpython.decoding import TooLarge, decode_and_free

texts = st.text(st.characters(exclude_categories=()) | st.sampled_from("aé\u20ac😀\ud800\udc00\0"), max_size=80)


def parked(text: str) -> Parked:
    payload = Parked("surrogatepass")
    payload.write(text.encode("utf-8", "surrogatepass"))
    return payload.finish()


def decoded(kind: str, payload: Parked) -> object:
    descriptor = payload.hand_over()
    try:
        value = decode_and_free(kind, descriptor, payload.characters, payload.highest)
        assert os.fstat(descriptor).st_size == 0
        return value
    finally:
        os.close(descriptor)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_BLOCK", 5)


@pytest.mark.usefixtures("small_blocks")
@given(texts)
def test_a_text_is_the_same(text: str) -> None:
    value = decoded("text", parked(text))
    assert value == text
    assert isinstance(value, str)
    assert hash(value) == hash(text)
    assert value.encode("utf-32", "surrogatepass") == text.encode("utf-32", "surrogatepass")
    assert {value: 1}[text] == 1
    assert value.isascii() == text.isascii()  # it is as narrow as it can be, or it would equal no other str


@pytest.mark.usefixtures("small_blocks")
@given(st.recursive(st.none() | st.integers() | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)))
def test_json_is_the_same(value: object) -> None:
    assert decoded("json", parked(json.dumps(value, ensure_ascii=False))) == value


def test_wrong_counts_harm_nothing() -> None:
    """They come from our own host; were they ever wrong, the interpreter would not write out of bounds."""
    for characters, highest in ((3, 0x7F), (5, 0x7F), (4, 0x7F)):
        payload = parked("abé😀")
        with pytest.raises((ValueError, SystemError, IndexError)):
            decode_and_free("text", payload.hand_over(), characters, highest)


def test_what_does_not_fit_is_refused_and_the_limit_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    payload = parked("x" * 100)
    payload.characters = 1 << 30
    monkeypatch.setattr(decoding, "available_memory", lambda: decoding.SPARE)
    with pytest.raises(TooLarge, match=r"The input takes more, once it is decoded, of memory and 0\.1 GB are free"):
        decoded("text", payload)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    monkeypatch.setattr(decoding, "available_memory", lambda: None)
    assert decoded("text", parked("x" * 100)) == "x" * 100


def test_no_page_is_touched_but_those_of_the_value() -> None:
    """Each piece takes the memory of the one before; were it given back in between, every page would come anew."""
    text = "Größe 😀 " * (4 << 20)
    payload = parked(text)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    value = decoded("text", payload)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert value == text
    assert faults < 1.2 * sys.getsizeof(value) / resource.getpagesize() + 1000
