"""How often the bench finds out who was at fault: seeded faults of every kind, over all families, small and large.

    .venv/bin/python benchmarks/attribution.py --rounds 3

Prints for both sets of families a table of who was at fault against who was found, as Markdown, and every case that was
found wrongly.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence

import anyio

from habit.bench.chances import wilson
from habit.bench.families import FAMILIES
from habit.bench.faults import Faults, Seeded
from habit.bench.large import LARGE
from habit.bench.report.columns import size_text
from habit.sandbox.cpython import CPythonSandbox

WHO = ("scheduler", "leaf", "match", "drift")


def table(cases: Sequence[Seeded]) -> str:
    """Who was at fault, in rows, against who was found, in columns, and the share that was found."""
    counts = Counter((one.who, one.found.who) for one in cases)
    lines = ["| at fault | " + " | ".join(f"found: {who}" for who in WHO) + " | right | 95 % |", "|---" * 7 + "|"]
    for who in WHO:
        mine = [one for one in cases if one.who == who]
        lines.append(f"| {who} | {' | '.join(str(counts[who, found]) for found in WHO)} | {share(mine)} |")
    return "\n".join([*lines, f"| all | | | | | {share(cases)} |"])


def share(cases: Sequence[Seeded]) -> str:
    """How many of them were found, and Wilson's interval."""
    right = sum(one.right for one in cases)
    low, high = wilson(right, len(cases))
    return f"{right} of {len(cases)} | {100 * low:.1f}–{100 * high:.1f}"


def tell(what: str, cases: Sequence[Seeded]) -> None:
    """Print what came of one set of families."""
    print(f"## {what}\n\n{table(cases)}\n")
    print(f"families: {len({one.family for one in cases})}; presumed: {sum(not one.found.certain for one in cases)}")
    print(f"leaf calls made of the model by the inquiries: {sum(one.leaf_calls for one in cases)}\n")
    for (strategy, how), count in sorted(Counter((one.strategy, one.how) for one in cases).items()):
        print(f"- {strategy}: {how}: {count}")
    for one in cases:
        if not one.right:
            print(f"wrong: {one.family}, {one.strategy}, {one.how}: {one.who}, found {one.found}")
    print()


async def main(rounds: int, seed: int, size: int) -> None:
    """Measure and print."""
    sandbox = CPythonSandbox()
    try:
        small = [one async for one in Faults(sandbox, seed=seed, families=FAMILIES).each(rounds)]
        large = [one async for one in Faults(sandbox, seed=seed, families=LARGE, size=size).each(rounds)]
    finally:
        await sandbox.aclose()
    tell("Families about inputs of a page or two", small)
    tell(f"Families about inputs of any size, {size_text(size)}", large)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=30_000, help="bytes of the inputs of families for any size")
    given = parser.parse_args()
    anyio.run(main, given.rounds, given.seed, given.size)
