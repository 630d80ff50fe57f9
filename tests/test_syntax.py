"""Python source is parsed safely in many threads at once."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator

import pytest

from habit.syntax import parse

CODE = "\n".join(f"x{n} = [f(a + {n}) for a in (b, (c, d, [e, {{1: g.h.i}}])) if not (a == {n})]" for n in range(60))


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns all the time, in the middle of building a tree as well."""

    def let_others(*_: object) -> None:
        sum(range(50))

    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(50)
    gc.callbacks.append(let_others)
    yield
    gc.callbacks.remove(let_others)
    gc.set_threshold(*threshold)
    sys.setswitchinterval(interval)


def test_threads_that_parse_at_once_do_not_disturb_each_other(restless: None) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(6):
                parse(CODE)
        except SystemError as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
