"""Contract of every backend: the same spec, context and replies give the same behaviour; another seed gives another."""

# ruff: noqa: E501 - code of cells as text
from __future__ import annotations

from sandbox.conftest import Open
from sandbox.test_contract_cells import printed

CHANCE = """
import os, random, secrets, tempfile, uuid
import numpy as np
values = [
    random.random(), random.Random().random(), random.sample(range(100), 3), random.SystemRandom().random(),
    os.urandom(4), secrets.token_hex(4), str(uuid.uuid4()), str(uuid.uuid1()),
    np.random.rand(), np.random.default_rng().random(),
]
random.seed()
values.append(random.random())
print(values, hash('text'), {'b', 'a', 'c', 'text'}, object.__hash__ is not None)
"""
CLOCK = """
import time, datetime
import pandas as pd
print(time.time(), datetime.datetime.now(), datetime.date.today(), time.localtime().tm_year, pd.Timestamp.now(),
      time.perf_counter(), time.process_time(), time.strftime('%Y-%m-%d'), datetime.datetime.now().astimezone().tzinfo)
"""


async def test_chance_depends_on_the_seed_only(open_session: Open) -> None:
    first, again, other = [await printed(await open_session("", seed=seed), CHANCE) for seed in (7, 7, 8)]
    assert first == again
    numbers, others = first[: first.index("]")], other[: other.index("]")]
    assert not set(numbers.split(", ")) & set(others.split(", ")) - {""}


async def test_the_clock_stands_still(open_session: Open) -> None:
    session = await open_session("", clock=1_700_000_000.5)
    first = await printed(session, CLOCK)
    assert first.startswith("1700000000.5 2023-11-14 22:13:20.500000 2023-11-14 2023 2023-11-14 22:13:20.500000 ")
    assert first.endswith("2023-11-14 UTC\n")
    assert await printed(await open_session("", clock=1_700_000_000.5), CLOCK) == first


async def test_sleeping_and_waiting_still_work(open_session: Open) -> None:
    code = "import time, threading\ntime.sleep(0.01)\nthreading.Event().wait(0.01)\nawait asyncio.sleep(0.01)\nprint('awake')"
    assert await printed(await open_session(""), code) == "awake\n"
