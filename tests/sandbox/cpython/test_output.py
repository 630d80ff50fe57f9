"""The capture of output, against a model that keeps everything."""

from __future__ import annotations

import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit.sandbox.cpython.inside.interrupts import Interrupts
from habit.sandbox.cpython.inside.output import CellOutput, Stream

LIMIT = 300
MARK = re.compile(r"\n\[… ([\d,]+) characters left out …\]\n")


@given(st.lists(st.text(st.sampled_from("ab\n"), max_size=400), max_size=30))
def test_head_and_tail_are_those_of_everything(pieces: list[str]) -> None:
    output, everything = CellOutput(LIMIT, Interrupts()), "".join(pieces)
    for piece in pieces:
        output.write(piece)
    text, dropped = output.finish()
    assert len(text) <= LIMIT
    if len(everything) <= LIMIT:
        assert (text, dropped) == (everything, 0)
        return
    (said,) = MARK.findall(text)
    head, _, tail = MARK.split(text)
    assert dropped == int(said.replace(",", ""))
    assert everything.startswith(head)
    assert everything.endswith(tail)
    assert len(head) + len(tail) + dropped == len(everything)
    assert len(head) >= LIMIT / 2


def test_one_long_text_keeps_its_own_head_and_tail() -> None:
    output = CellOutput(LIMIT, Interrupts())
    output.write("".join(f"{number:06}," for number in range(10_000)))
    text, _ = output.finish()
    assert text.startswith("000000,000001,")
    assert text.endswith("009998,009999,")


def test_threads_lose_nothing_between_them() -> None:
    output = CellOutput(10_000_000, Interrupts())

    def write() -> None:
        for _ in range(20_000):
            output.write("xy")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert output.finish() == ("xy" * 80_000, 0)


def test_memory_stays_near_the_limit() -> None:
    output = CellOutput(LIMIT, Interrupts())
    for _ in range(10_000):
        output.write("x" * 250)
    assert sum(map(len, output._tail)) + sum(map(len, output._head)) + sum(map(len, output._new)) < 10 * LIMIT


def test_only_text_is_written() -> None:
    stream = Stream(lambda: None)
    assert stream.write("gone") == 4
    with pytest.raises(TypeError, match="a str"):
        stream.write(b"x")  # type: ignore[arg-type]
