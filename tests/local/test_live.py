"""llama.cpp and the real model: the server answers, holds replies to a grammar, and keeps its settings."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from habit.local import models
from habit.local.server import LocalServer, local_server

pytestmark = pytest.mark.live


@pytest.fixture
def model() -> Path:
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed: pip install 'habit[local]'")
    found = models.find()
    if found is None:
        pytest.skip(f"no local model in {models.models_folder()}: run `habit models pull`")
    return found.path


async def ask(server: LocalServer, path: str, body: dict[str, Any], key: str | None = None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {server.api_key if key is None else key}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(server.base_url + path, json=body, headers=headers) as r,
    ):
        return r.status, await r.json()


async def test_one_server_does_all_that_calls_need(model: Path) -> None:
    async with local_server(model) as server, local_server(model) as again:
        assert again == server
        question = [{"role": "user", "content": "Which city is the capital of France?"}]
        status, reply = await ask(
            server,
            "/v1/chat/completions",
            {"messages": question, "temperature": 0, "grammar": 'root ::= "Oslo" | "Paris" | "Rome"'},
        )
        assert status == 200
        assert reply["choices"][0]["message"]["content"] == "Paris"
        assert reply["usage"]["prompt_tokens"] > 5
        assert reply["usage"]["completion_tokens"] > 0

        status, tokens = await ask(server, "/tokenize", {"content": "hello world"})
        assert (status, len(tokens["tokens"])) == (200, 2)

        too_long = [{"role": "user", "content": "word " * (server.window + 100)}]
        status, error = await ask(server, "/v1/chat/completions", {"messages": too_long})
        assert (status, error["error"]["type"]) == (400, "exceed_context_size_error")

        status, _ = await ask(server, "/v1/chat/completions", {"messages": question}, key="guess")
        assert status == 401
