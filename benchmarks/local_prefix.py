"""What llama.cpp's prompt cache spares the local model: prompt tokens it had to read, with and without the cache.

Run by hand (it takes minutes of CPU): ``.venv/bin/python benchmarks/local_prefix.py``. Counts tokens by what the
server reports, because seconds depend on what else the machine does.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import anyio

from habit.calls.call import Call, Message, Sampling
from habit.calls.kernel import Kernel
from habit.calls.local_provider import LocalProvider
from habit.calls.prefixes import prefix_share
from habit.calls.returns import Returns
from habit.contexts.context import Context
from habit.journal.memory import MemoryStore
from habit.local.models import find
from habit.local.server import local_server
from habit.schedulers.leaf import LeafCaller
from habit.schedulers.prompts import FRONTIER, SMALL, Profile
from habit.schedulers.scheduler import Task

SHORT = "Does the writer want money back?"
LONG = (
    "You are given one message that a customer sent to the help desk of a railway. Is it for the team that deals "
    "with tickets and refunds: prices, payments, refunds and lost tickets? It is not, when it is about "
    "the timetable: late, early or cancelled trains and missed connections; or about what happened on board: seats, "
    "heating, food, staff and noise; or about lost property: things left on a train or at a station. When a message is "
    "about several of them, go by the one that the writer spends most words on. Never guess from the tone."
)
SALT = secrets.token_hex(3)
"""New in each run of this file, because the server may still hold the prompts of the last one."""
ITEMS = [
    f"Message {SALT}/{n}: the {n % 24}:15 to {town} {what}, and I want an answer before my next journey."
    for n, (town, what) in enumerate(
        (town, what)
        for town in ("Basel", "Graz", "Lille", "Porto")
        for what in ("was cancelled", "had no heating", "cost me twice the price")
    )
]


class Uncached(LocalProvider):
    """The same server, told to read every prompt anew."""

    def _body(self, call: Call) -> dict[str, Any]:
        return {**super()._body(call), "cache_prompt": False}


@dataclass
class Sum:
    """What a batch of calls took."""

    prompt: int = 0
    cached: int = 0
    seconds: float = 0.0

    @property
    def read(self) -> int:
        """Prompt tokens the model had to read."""
        return self.prompt - self.cached


async def send(provider: LocalProvider, calls: Sequence[Call]) -> Sum:
    """Send ``calls`` one after the other."""
    total = Sum()
    for call in calls:
        began = time.perf_counter()
        reply = await provider.request(call)
        total.prompt += reply.input_tokens
        total.cached += reply.cache_read_tokens
        total.seconds += time.perf_counter() - began
    return total


def leaf_calls(profile: Profile, query: str) -> list[Call]:
    """One leaf call for each of ITEMS, as a cell's map makes them."""
    provider = LocalProvider("http://127.0.0.1:1", window=8192, concurrency=1)
    kernel = Kernel(provider, provider, store=MemoryStore(), run_id="none")
    caller = LeafCaller(kernel, profile)
    task = Task(query, Context.of(""), Returns.from_type(str))
    returns = Returns.from_type(bool)
    return [caller.call(query, Context.of(item), returns, task, cell=1) for item in ITEMS]


def root_calls(what: str = "errors") -> list[Call]:
    """A root conversation of six exchanges."""
    system = f"Work on {what} of {SALT}. {SMALL.render('system', returns_line='', hand_over='')}"
    messages = [Message("system", system), Message("user", f"context is a log of 40,000 lines. How many {what}?")]
    calls = []
    for n in range(6):
        calls.append(Call("local", tuple(messages), "root", sampling=Sampling(0.0, max_tokens=8)))
        messages += [
            Message("assistant", f"```python\nprint(find('error {n}')[:20])\n```"),
            Message("user", f"Output:\n{[f'line {k}: error {n} in module {k}' for k in range(12)]}"),
        ]
    return calls


def report(name: str, without: Sum, with_cache: Sum) -> None:
    """One line of the table."""
    print(
        f"| {name} | {without.prompt:,} | {without.read:,} | {with_cache.read:,} | "
        f"{1 - with_cache.read / without.read:.0%} | {without.seconds / with_cache.seconds:.1f} × |",
        flush=True,
    )


async def main() -> None:
    """Measure and print a table."""
    found = find()
    if found is None:
        raise SystemExit("The local model is not here: run `habit models pull`.")
    async with local_server(found.path) as server:
        arguments = cast(dict[str, Any], {"window": server.window, "concurrency": 1, "api_key": server.api_key})
        cached, uncached = LocalProvider(server.base_url, **arguments), Uncached(server.base_url, **arguments)
        print(
            "| calls | prompt tokens | read without cache | with | spared | seconds, ratio |\n|---|---|---|---|---|---|"
        )
        kinds = [(SMALL, SHORT), (SMALL, LONG), (FRONTIER, SHORT), (FRONTIER, f"Round {SALT}. {LONG}")]
        for profile, query in kinds:
            calls = leaf_calls(profile, query)
            name = f"{len(calls)} leaves, {profile.name}, question of {len(query)} characters"
            share = prefix_share(calls)
            # In this order: what is read without the cache stays in the server's memory all the same.
            with_cache = await send(cached, calls)
            report(name, await send(uncached, calls), with_cache)
            print(
                f"    servable: {share.of_prompts:.0%} of prompts, {share.of_shared:.0%} of the shared part", flush=True
            )
        conversation = root_calls()
        with_cache = await send(cached, conversation)
        report("root, 6 calls in a row", await send(uncached, conversation), with_cache)
        leaves = leaf_calls(FRONTIER, f"Another round, {SALT}. {LONG}")
        turns = [(root, *leaves[2 * n : 2 * n + 2]) for n, root in enumerate(root_calls("clients"))]
        mixed = [call for turn in turns for call in turn]
        with_cache = await send(cached, mixed)
        report("root and leaves in turns", await send(uncached, mixed), with_cache)
        await cached.aclose()
        await uncached.aclose()


if __name__ == "__main__":
    anyio.run(main)
