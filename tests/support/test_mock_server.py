"""The mock server itself: in a thread, and in a process of its own."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from support.mock_server import running_server

TESTS = Path(__file__).parents[1]


def post(url: str, text: str) -> str:
    data = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
    request = urllib.request.Request(url + "/chat/completions", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)["choices"][0]["message"]["content"]


def test_in_a_thread():
    with running_server(lambda request: request.prompt.upper()) as server:
        assert [post(server.url, text) for text in ("a", "b")] == ["A", "B"]
        with urllib.request.urlopen(server.url + "/models") as response:
            assert json.load(response)["data"][0]["id"] == "mock"
    # A reply counts as completed a moment after its client has it: only the end of the server settles that.
    assert [request.prompt for request in server.completed] == ["a", "b"]


def test_in_a_process(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("def reply(request):\n    return request.prompt + '!'\n")
    command = [sys.executable, "-m", "support.mock_server", "--script", str(script)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert post(url, "hello") == "hello!"
            with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as response:
                stats = json.load(response)
            assert (stats["requests"], stats["completed"]) == (1, ["hello"])
        finally:
            process.kill()
