"""Parked payloads: exact, measured while they are written, handed over once."""

import hashlib
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit.contexts import parked as parked_module
from habit.contexts.context import Context
from habit.contexts.parked import Growing, Parked, park
from habit.errors import UsageError

pytestmark = pytest.mark.skipif(not parked_module.CAN_PARK, reason="payloads are parked on Linux only")

any_text = st.text(st.characters(exclude_categories=()) | st.sampled_from("aé\u20ac😀\ud800\udc00\0"), max_size=60)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parked_module, "BLOCK", 5)
    monkeypatch.setattr(parked_module, "PARKED_FROM", 16)


def bytes_of(payload: bytes | Parked) -> bytes:
    if isinstance(payload, bytes):
        return payload
    with payload.view() as view:
        return bytes(view)


@given(any_text)
def test_what_is_written_is_there_and_measured(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    parked = Parked("surrogatepass")
    for start in range(0, len(data), 7):
        parked.write(data[start : start + 7])
    parked.finish()
    assert bytes_of(parked) == data
    assert (len(parked), parked.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert parked.characters == len(text)
    # A str made for `highest` is exactly as wide as Python makes this one.
    assert sys.getsizeof(text[:1] + chr(parked.highest) + text) == sys.getsizeof(chr(parked.highest) + text[:1] + text)
    assert parked.highest == next(top for top in (0x7F, 0xFF, 0xFFFF, 0x10FFFF) if ord(max(text, default="a")) <= top)
    assert parked.open().read() == data
    assert bytes_of(parked.copy()) == data
    assert parked.copy() == parked


@given(st.lists(any_text, max_size=8))
def test_a_growing_payload_is_all_that_was_written(texts: list[str]) -> None:
    growing = Growing()
    for text in texts:
        growing.write(text.encode("utf-8", "surrogatepass"))
    data = "".join(texts).encode("utf-8", "surrogatepass")
    payload = growing.payload()
    assert bytes_of(payload) == data
    assert isinstance(payload, Parked) == any(
        sum(len(t.encode("utf-8", "surrogatepass")) for t in texts[:n]) >= 16 for n in range(len(texts) + 1)
    )


@pytest.mark.parametrize("data", [b"a\xff", b"ab\xc3", "\ud800".encode("utf-8", "surrogatepass"), b"abcd\xe2\x82"])
def test_what_is_no_utf8_is_refused_by_the_end(data: bytes) -> None:
    def write() -> None:
        parked = Parked()
        parked.write(data)
        parked.finish()

    with pytest.raises(UnicodeDecodeError):
        write()


def test_it_is_handed_over_once() -> None:
    payload = park(b"x" * 20)
    assert isinstance(payload, Parked)
    descriptor = payload.hand_over()
    assert payload.is_spent
    assert os.pread(descriptor, 100, 0) == b"x" * 20
    os.close(descriptor)
    for use in (payload.hand_over, payload.open, payload.copy):
        with pytest.raises(UsageError, match="read it again"):
            use()
    assert (len(payload), payload.sha256) == (20, hashlib.sha256(b"x" * 20).hexdigest())


def test_a_context_given_by_its_user_stays_whole() -> None:
    mine = Context.of("é" * 20)
    assert mine.payload == "é".encode() * 20
    for given_again in (mine.parked(), mine.parked().parked()):
        assert isinstance(given_again.payload, Parked)
        assert (given_again.digest, given_again.record(), given_again.value()) == (mine.digest, mine.record(), "é" * 20)
        given_again.payload.close()
    assert mine.value() == "é" * 20
    assert Context.of("small").parked() == Context.of("small")


def test_nothing_stays_open() -> None:
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        parked = park(b"x" * 20)
        assert isinstance(parked, Parked)
        parked.open().close()
        parked.copy()
        del parked
    assert os.listdir("/proc/self/fd") == before
