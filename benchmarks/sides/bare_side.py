"""The bare client: asyncio and aiohttp, no more than what it takes to send the same calls and read the replies."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import aiohttp


async def batch(url: str, count: int, one_by_one: bool) -> float:
    """Seconds for a call in the place of the root's, and then ``count`` leaf calls, at once or one after the other."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def call(number: int) -> str:
            body = {"model": "batch", "messages": [{"role": "user", "content": f"LEAF {number}: is it so?"}]}
            async with session.post(f"{url}/chat/completions", json=body) as response:
                answer = json.loads(await response.read())
            return str(answer["choices"][0]["message"]["content"])

        started = time.perf_counter()
        replies = [await call(count)]
        if one_by_one:
            replies += [await call(number) for number in range(count)]
        else:
            replies += await asyncio.gather(*(call(number) for number in range(count)))
        seconds = time.perf_counter() - started
    assert replies == ["yes"] * (count + 1)
    return seconds


def main() -> None:
    given: dict[str, Any] = json.loads(sys.argv[1])
    one_by_one = given.get("one_by_one", False)
    seconds = [asyncio.run(batch(given["url"], given["count"], one_by_one)) for _ in range(given["times"])]
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
