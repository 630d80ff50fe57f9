"""Records to fill a journal with; imported by path, see conftest.py."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from habit.journal.records import CallRecord, CellRecord, RunRecord

RUN = RunRecord(
    id="20261122-165501-00aaaaaa",
    query="How many?",
    started=100.0,
    settings={"model": "mock:m", "seed": 7, "limits": {"cells": 6}},
    context={"kind": "text", "digest": "d" * 64, "origin": "a.txt", "bytes": 3, "files": [], "blob": None},
)
CELL = CellRecord(RUN.id, "0", 1, "print(1)", "ok", "1\n", 0, "", 0.25, 101.0)


def key_of(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


CALL = CallRecord(
    run=RUN.id,
    key=key_of("first"),
    occurrence=0,
    role="leaf",
    session="0",
    cell=1,
    model="mock:m",
    prompt=(("system", "Be brief."), ("user", "Is it red?")),
    reply="yes",
    input_tokens=12,
    output_tokens=1,
    usd=0.5,
    seconds=0.125,
    started=101.5,
)


def a_run(run_id: str, **changes: Any) -> RunRecord:
    return replace(RUN, id=run_id, **changes)


def a_call(name: object = "first", **changes: Any) -> CallRecord:
    return replace(CALL, key=key_of(name), **changes)


def failed(name: object = "first", **changes: Any) -> CallRecord:
    return a_call(name, reply=None, error="the server said 500", error_reason="server", **changes)
