"""How often the bench finds out who was at fault: seeded faults of every kind, over all families.

    .venv/bin/python benchmarks/attribution.py --rounds 2

Prints a table of who was at fault against who was found, as Markdown, and every case that was found wrongly.
"""

from __future__ import annotations

import argparse
from collections import Counter

import anyio

from habit.bench.chances import wilson
from habit.bench.faults import Faults, Seeded
from habit.sandbox.cpython import CPythonSandbox

WHO = ("scheduler", "leaf", "match", "drift")


def table(cases: list[Seeded]) -> str:
    """Who was at fault, in rows, against who was found, in columns."""
    counts = Counter((one.who, one.found.who) for one in cases)
    lines = ["| at fault | " + " | ".join(f"found: {who}" for who in WHO) + " |", "|---" * 5 + "|"]
    lines += [f"| {who} | " + " | ".join(str(counts[who, found]) for found in WHO) + " |" for who in WHO]
    return "\n".join(lines)


async def main(rounds: int, seed: int) -> None:
    """Measure and print."""
    sandbox = CPythonSandbox()
    try:
        cases = [one async for one in Faults(sandbox, seed=seed).each(rounds)]
    finally:
        await sandbox.aclose()
    right = sum(one.right for one in cases)
    low, high = wilson(right, len(cases))
    print(table(cases))
    print(f"\n{right} of {len(cases)} right: {right / len(cases):.1%} (95 % interval {low:.1%} to {high:.1%})")
    print(f"families: {len({one.family for one in cases})}; presumed: {sum(not one.found.certain for one in cases)}")
    print(f"leaf calls made of the model by the inquiries: {sum(one.leaf_calls for one in cases)}\n")
    for (strategy, how), count in sorted(Counter((one.strategy, one.how) for one in cases).items()):
        print(f"- {strategy}: {how}: {count}")
    for one in cases:
        if not one.right:
            print(f"wrong: {one.family}, {one.strategy}, {one.how}: {one.who}, found {one.found}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    anyio.run(main, given.rounds, given.seed)
