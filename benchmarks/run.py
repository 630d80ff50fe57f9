"""``make bench``: what Habit costs beside ``rlms``, ``dspy`` and a bare client, in one run against one mock server.

A figure is a median; the sides take turns within each round. Writes benchmarks/results.json and the table in
docs/benchmarks.md. ``--quick`` runs everything once with small counts and without the peers, and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import anyio
from alone import measure_alone
from compare import Comparison
from environment import HERE, ROOT, Unavailable, mock_server, peer_python
from figures import Report, put_into
from measuring import QUICK, Sizes

DOCUMENT = ROOT / "docs" / "benchmarks.md"


def main() -> None:
    """Measure everything and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small counts, without the peers; writes nothing")
    parser.add_argument("--rounds", type=int, help="repetitions of everything")
    options = parser.parse_args()
    sizes = QUICK if options.quick else Sizes(**({"rounds": options.rounds} if options.rounds else {}))

    before = os.getloadavg()[0]
    pythons = {"habit": Path(sys.executable)}
    versions = {"habit": _revision(), "python": platform.python_version()}
    notes = []
    if options.quick:
        notes.append("Quick: small counts, without the peers; these figures say nothing about speed.")
    else:
        for peer in ("rlms", "dspy"):
            try:
                pythons[peer] = peer_python(peer, ROOT / ".bench" / peer)
                asked = f"from importlib.metadata import version as v; print(v({peer!r}))"
                versions[peer] = _output(pythons[peer], asked)
            except Unavailable as problem:
                notes.append(f"`{peer}` could not be made ready, so it has no figures: {problem}")
                _say(notes[-1])
    with tempfile.TemporaryDirectory(prefix="habit-bench-") as folder, ExitStack() as stack:
        servers = {"now": 0.0, "later": 0.05, "slow": 0.5, "patient": 0.5 if options.quick else 10.0}
        running = {name: stack.enter_context(mock_server(latency)) for name, latency in servers.items()}
        comparison = Comparison(pythons, running, Path(folder), sizes, say=_say)
        rows = comparison.run()
        notes += comparison.notes
        if not options.quick:
            _say("Habit alone, models in memory")
            rows += anyio.run(measure_alone, Path(folder))
    load, processors = max(before, os.getloadavg()[2]), os.cpu_count() or 1
    if load > 1.5 * processors:  # the bench itself keeps a server and one side busy
        notes.append(
            f"The machine had other work meanwhile (load average {load:.0f} on {processors} CPUs): times are longer "
            "and more scattered than on a quiet one, those of short runs most of all."
        )
    report = Report(_heading(versions), versions, rows, notes)
    if options.quick:
        print(json.dumps(report.to_json(), indent=1))
        return
    print(report.text)
    (HERE / "results.json").write_text(json.dumps(report.to_json(), indent=1) + "\n")
    DOCUMENT.write_text(put_into(DOCUMENT.read_text(), report.text))


def _heading(versions: dict[str, str]) -> str:
    machine = f"{os.cpu_count()} shared CPUs ({platform.machine()}), Linux {platform.release().split('-')[0]}"
    beside = "".join(f" · {peer} {versions[peer]}" for peer in ("rlms", "dspy") if peer in versions)
    today = datetime.now(UTC).date().isoformat()
    return f"{today} · {machine} · Python {versions['python']} · Habit {versions['habit']}{beside}"


def _revision() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return f"{version('habit')} ({done.stdout.strip()})" if done.returncode == 0 else version("habit")


def _output(python: Path, code: str) -> str:
    return subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
