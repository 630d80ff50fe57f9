import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support.mock_server import Answer, Request


@pytest.fixture
def replies() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "replies.py"
    spec = importlib.util.spec_from_file_location("bench_replies", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_replies"] = module
    spec.loader.exec_module(module)
    return module


def asked(model: str, text: str) -> Request:
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}]}
    return Request(0, "/v1/chat/completions", {}, body)


def test_the_same_code_comes_in_the_form_that_each_system_reads(replies: ModuleType) -> None:
    plain = replies.reply(asked("loop-x3", replies.QUERY))
    assert "```repl\nfound = 0\nfor number in range(3):" in plain
    assert plain.endswith('answer["content"] = str(found)\nanswer["ready"] = True\n```')
    steps = f"[[ ## query ## ]]\n{replies.QUERY}\n\n[[ ## iteration ## ]]\n{{}}/20"
    fields = replies.reply(asked("loop-x3", steps.format(1)))
    assert "[[ ## code ## ]]\n```python\nfound = 0\nfor number in range(3):" in fields
    assert "SUBMIT(str(found))\n```" in fields
    assert "SUBMIT" not in replies.reply(asked("cells", steps.format(1)))
    assert "SUBMIT(str(size))" in replies.reply(asked("cells", steps.format(2)))


def test_the_limited_server_takes_its_rate_in_any_second(replies: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 10.0
    monkeypatch.setattr(replies.time, "monotonic", lambda: now)

    def taken(count: int) -> int:
        said = [replies.reply(asked("limited-x9", "LEAF: is it so?")) for _ in range(count)]
        assert all(isinstance(answer, Answer) and answer.status in (200, 429) for answer in said)
        return sum(answer.status == 200 for answer in said)

    assert taken(replies.RATE + 20) == replies.RATE
    now = 10.99
    assert taken(5) == 0
    now = 11.0
    assert taken(5) == 5
    noted = replies.reply(asked(replies.LOG, ""))
    assert noted.count('"refused": true') == 25
