"""Contract of every backend: no attempt to get out by means of the language succeeds, and the session goes on."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from sandbox.conftest import Open
from sandbox.hosts import RecordingHost
from sandbox.language_escapes import LANGUAGE_ESCAPES
from sandbox.test_contract_cells import printed, run


@pytest.mark.parametrize("name", LANGUAGE_ESCAPES)
async def test_no_attempt_in_the_language_succeeds(
    open_session: Open, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = secrets.token_hex(16)
    monkeypatch.setenv("HABIT_TEST_SECRET", secret)
    folder, canary = tmp_path / "folder", tmp_path / "canary"
    folder.mkdir()
    for path in (*reversed(folder.parents), folder):
        if path.is_relative_to(tmp_path):
            path.chmod(0o777)
    canary.write_text(secret)
    canary.chmod(0o644)
    code = LANGUAGE_ESCAPES[name].replace("⟨canary⟩", str(canary)).replace("⟨folder⟩", str(folder))
    session, host = await open_session("", cell_seconds=5.0), RecordingHost()
    result = await run(session, code, host)
    assert secret not in f"{result}{host.requests}{host.answers}"
    assert list(folder.iterdir()) == []
    assert canary.read_text() == secret
    assert result.status != "died"
    assert (await printed(session, "1 + 1")).endswith("2\n")


def test_the_list_is_long() -> None:
    assert len(LANGUAGE_ESCAPES) >= 60
