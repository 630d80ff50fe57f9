"""Contract of every backend: code as language models write it works."""

from __future__ import annotations

import pytest

from sandbox.conftest import Open
from sandbox.hosts import RecordingHost, value_of
from sandbox.modelcode import CASES, Case
from sandbox.test_contract_cells import run


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_cell_as_a_model_writes_it(open_session: Open, case: Case) -> None:
    for needed in ("numpy", "pandas"):
        if f"import {needed}" in case.code:
            pytest.importorskip(needed)
    host = RecordingHost(lambda request: value_of(request).upper() if request.context else "yes")
    result = await run(await open_session(case.context), case.code, host)
    assert result.status == "ok", result.error
    assert result.stdout == case.printed
