"""What early starts gain with the local model: how long before the end of a root reply its first leaf call begins.

Run by hand (it takes minutes of CPU): ``.venv/bin/python benchmarks/local_streaming.py small|frontier``. The head start
is read off the journal; the ratio of seconds, with early starts to without, says what is left of it where both share
the processors. A question is asked once before it counts, so that both ways find the same in the server's prompt cache.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import anyio

from habit import Engine, Settings
from habit.errors import HabitError
from habit.journal.records import CallRecord
from habit.journal.sqlite import SqliteStore

MESSAGES = [
    "The train to Graz was cancelled and nobody told us why.",
    "Thank you for the friendly crew on the night train.",
    "I paid twice for the same ticket and want my money back.",
    "My umbrella is still in coach 7.",
    "The heating was off all the way to Lille.",
    "What a beautiful new waiting room.",
]
QUESTIONS = [
    "How many of the messages are complaints? Decide by meaning.",
    "Classify each message as praise or complaint and print how many there are of each.",
    "Summarise each message in three words, then answer with all summaries.",
    "Which message is the angriest? Ask the language model about each message.",
]


async def ask(question: str, path: Path, profile: str, *, early: bool) -> tuple[float, list[CallRecord], str]:
    """(seconds, calls, the usage in words) of one run."""
    settings = Settings(
        model="local", journal=str(path), no_cache=True, max_cells=2, stream_starts=early, profile=profile, speculate=8
    )
    said = ""
    async with Engine(settings) as engine:
        began = time.perf_counter()
        with suppress(HabitError):
            run = await engine.ask(question, MESSAGES)
            said = f"{run.usage.speculated_calls} ahead, {run.usage.wasted_calls} wasted"
        seconds = time.perf_counter() - began
    store = await SqliteStore.open(path)
    try:
        [record] = await store.runs(1)
        return seconds, await store.calls(record.id), said
    finally:
        await store.aclose()


def head_starts(calls: list[CallRecord]) -> list[float]:
    """For each root reply with leaf calls begun before its end: by what part of its time."""
    parts = []
    for root in (call for call in calls if call.role == "root" and call.seconds):
        end = root.started + root.seconds
        early = [call.started for call in calls if call.role == "leaf" and root.started < call.started < end]
        if early:
            parts.append((end - min(early)) / root.seconds)
    return parts


async def main(profile: str) -> None:
    """Ask every question in both ways, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        for number, question in enumerate(QUESTIONS):
            journals = [Path(folder) / f"{number}-{way}" / "journal.db" for way in ("first", "plain", "early")]
            await ask(question, journals[0], profile, early=False)
            plain, calls, _ = await ask(question, journals[1], profile, early=False)
            early, with_early, said = await ask(question, journals[2], profile, early=True)
            roots = sum(call.role == "root" for call in with_early)
            print(
                f"{question[:40]}…: {roots} root replies, {len(with_early) - roots} leaf calls; {said}; head starts "
                f"{[f'{part:.0%}' for part in head_starts(with_early)]}; seconds early/plain {early / plain:.2f} "
                f"({len(calls)} calls without)",
                flush=True,
            )


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
