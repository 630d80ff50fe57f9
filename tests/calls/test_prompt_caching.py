"""Prompt caches of providers: where they are told to cache, what they say they took from it, and what that costs."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from calls.test_tool_providers import answering, opened
from habit.calls.call import Call, Message, Reply, Sampling
from habit.calls.kernel import Kernel
from habit.calls.prefixes import prefix_share
from habit.calls.prices import PriceList
from habit.calls.pydantic_ai import open_provider
from habit.journal.memory import MemoryStore
from habit.journal.records import RunRecord
from habit.journal.replay import Recording
from support.fakes import FakeProvider
from support.mock_server import Answer, MockServer

ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [{"type": "text", "text": "yes"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 100,
        "cache_read_input_tokens": 8_000,
        "cache_creation_input_tokens": 500,
        "output_tokens": 4,
    },
}
LIMITED = Sampling(max_tokens=1_000)
START, SLICE = "Is it \ud800 good?\n<text>\n", "the slice\n</text>"
LEAF = Call("m", (Message("system", "Answer."), Message("user", START + SLICE, len(START))), "leaf", sampling=LIMITED)
ROOT = Call(
    "m",
    (Message("system", "Write code."), Message("user", "q"), Message("assistant", "c"), Message("user", "o")),
    "root",
    sampling=LIMITED,
)

needs_anthropic = pytest.mark.skipif(importlib.util.find_spec("anthropic") is None, reason="needs the extra anthropic")


async def sent_to_anthropic(call: Call) -> tuple[dict[str, Any], Reply]:
    """(what it is told, its reply)."""
    async with answering(ANTHROPIC) as (url, bodies):
        provider = await open_provider("anthropic:claude-haiku-4-5", base_url=url)
        reply = await provider.request(call)
        await provider.aclose()
    return bodies[0], reply


@needs_anthropic
async def test_anthropic_is_told_to_cache_what_leaf_calls_share_and_no_more() -> None:
    body, _ = await sent_to_anthropic(LEAF)
    [message] = body["messages"]
    shared, rest = message["content"]
    assert shared["cache_control"]["type"] == "ephemeral"
    assert (shared["text"], rest["text"]) == (START.replace("\ud800", "\ufffd"), SLICE)
    assert "cache_control" not in rest
    assert "cache_control" not in body


@needs_anthropic
async def test_anthropic_is_told_to_cache_a_root_conversation_to_its_end() -> None:
    body, _ = await sent_to_anthropic(ROOT)
    assert body["system"][-1]["cache_control"]["type"] == "ephemeral"
    last = body["messages"][-1]["content"][-1]
    assert body.get("cache_control", last.get("cache_control"))["type"] == "ephemeral"


@needs_anthropic
async def test_what_anthropic_took_from_its_cache_is_told_and_costs_less() -> None:
    _, reply = await sent_to_anthropic(LEAF)
    assert (reply.input_tokens, reply.cache_read_tokens, reply.output_tokens) == (8_600, 8_000, 4)
    prices = PriceList("anthropic", "claude-haiku-4-5")
    exact = prices.cost(8_600, 4, cache_read_tokens=8_000, cache_write_tokens=500)
    uncached = prices.cost(8_600, 4)
    assert exact is not None
    assert uncached is not None
    assert exact < uncached / 3


@pytest.mark.parametrize("model", ["m", "openai:gpt-5-mini", "openai-responses:gpt-5-mini", "local"])
async def test_other_providers_get_the_prompt_in_one_piece_and_tell_what_was_cached(model: str) -> None:
    async with MockServer([Answer("yes", usage=(9, 1), cached=7)]) as server:
        provider = await opened(model, server.url)
        reply = await provider.request(LEAF)
        await provider.aclose()
    assert (reply.input_tokens, reply.cache_read_tokens) == (9, 7)
    assert "cache_control" not in str(server.requests[0].body)
    assert server.requests[0].messages[-1][1] == (START + SLICE).replace("\ud800", "\ufffd")


@pytest.mark.parametrize(("cached", "believed"), [(-1, 0), (True, 0), ("many", 0), (10**9, 9)])
async def test_a_cache_that_can_not_be_is_not_believed(cached: Any, believed: int) -> None:
    async with MockServer([Answer("yes", usage=(9, 1), cached=cached)]) as server:
        provider = await opened("m", server.url)
        reply = await provider.request(LEAF)
        await provider.aclose()
    assert reply.cache_read_tokens == believed


async def test_cached_tokens_are_counted_and_written_down_and_counted_again_on_resume() -> None:
    store = MemoryStore()
    await store.add_run(RunRecord("r", "q", 0.0, {}, {}))
    model = FakeProvider(lambda call: Reply("yes", 90, 1, usd=0.5, cache_read_tokens=70))
    kernel = Kernel(model, model, store=store, run_id="r")
    await kernel.call(LEAF)
    await kernel.call(ROOT)
    calls = await store.calls("r")
    assert [call.cache_read_tokens for call in calls] == [70, 70]
    assert (kernel.usage.cache_read_tokens, kernel.usage.leaf.cache_read_tokens) == (140, 70)

    resumed = Kernel(model, model, store=store, run_id="r", recording=Recording.for_resume(calls))
    assert (await resumed.call(LEAF)).cache_read_tokens == 70
    await resumed.call(ROOT)
    assert resumed.usage == kernel.usage
    other = Kernel(model, model, store=store, run_id="r2", recording=Recording.for_replay(calls), replay=True)
    await other.call(LEAF)
    assert other.usage.cache_read_tokens == 0


def test_what_is_shared_is_no_part_of_the_content_key() -> None:
    unmarked = Call("m", (LEAF.messages[0], Message("user", START + SLICE)), "leaf", sampling=LIMITED)
    assert unmarked == LEAF
    assert unmarked.key == LEAF.key


def test_a_prefix_cache_serves_what_calls_have_in_common_at_their_start() -> None:
    def calls(*texts: str) -> list[Call]:
        return [Call("m", (Message("user", text),), "leaf") for text in texts]

    share = prefix_share(calls(*(f"{'start ' * 20}{n} end" for n in range(10))))
    assert 0.9 < share.of_shared < 1
    assert share.served_tokens < share.shared_tokens < share.prompt_tokens
    assert prefix_share(calls("1 the same end", "2 the same end")).of_shared <= 0.5
    assert prefix_share(calls("alone")).of_prompts == 0
    assert prefix_share([]).of_shared == 1
