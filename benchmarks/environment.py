"""What surrounds a measurement: the mock servers, the environments of the peers, and the processes measured."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory import PeakMemory

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "benchmarks"
SECONDS = 300
"""No measured process takes longer, unless it hangs."""


class Unavailable(Exception):
    """A peer can't be had on this machine; the message says why."""


class SideFailed(Exception):
    """A measured process did not do what it was to do."""


def peer_python(peer: str, folder: Path) -> Path:
    """The Python of an environment of its own with the pinned ``peer`` in it, made when first asked for."""
    requirements = HERE / f"{peer}-requirements.txt"
    python = folder / "bin" / "python"
    stamp = folder / ".ready"
    if stamp.exists() and stamp.read_text() == requirements.read_text():
        return python
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    steps = [
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        # The pins are complete; asked to resolve them too, older pips take `google-auth[requests]` for unpinned.
        [*install, "--no-deps", "-r", str(requirements)],
    ]
    if peer == "dspy":
        steps.append([str(python), str(HERE / "sides" / "dspy_side.py"), json.dumps({"prepare": True})])
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable((done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2])
    stamp.write_text(requirements.read_text())
    return python


@dataclass(frozen=True)
class Server:
    """A mock server in a process of its own."""

    url: str

    def arrivals(self) -> list[dict[str, Any]]:
        """The requests since this was last asked: when each came (monotonic seconds), its model and its kind."""
        body = json.dumps({"model": "log", "messages": []}).encode()
        request = urllib.request.Request(f"{self.url}/chat/completions", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as response:
            noted: list[dict[str, Any]] = json.loads(json.load(response)["choices"][0]["message"]["content"])
        return noted


@contextlib.contextmanager
def mock_server(latency: float) -> Iterator[Server]:
    """Serve replies.py, each reply after ``latency`` seconds."""
    command = [sys.executable, "-m", "support.mock_server", "--script", str(HERE / "replies.py")]
    process = subprocess.Popen(
        [*command, "--latency", str(latency)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError("the mock server did not start")
        yield Server(url)
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True)
class Finished:
    """What one measured process said, and how long it took from start to exit."""

    said: dict[str, Any]
    seconds: float
    peak_bytes: int | None
    most_processes: int | None


def run_side(python: Path, side: str, given: Mapping[str, Any], folder: Path, *, weigh: bool = False) -> Finished:
    """Run one side in a fresh process; ``weigh`` samples the memory of it and all its descendants."""
    command = [str(python), str(HERE / "sides" / f"{side}_side.py"), json.dumps(given)]
    started = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment()
    )
    with PeakMemory(process.pid) if weigh else contextlib.nullcontext() as memory:
        try:
            output, errors = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise SideFailed(f"{side} took more than {SECONDS} s for {given['model']}") from None
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SideFailed(f"{side} failed on {dict(given)}:\n{errors[-3000:]}")
    said = json.loads(output.strip().rpartition("\n")[2])
    return Finished(said, seconds, memory.peak if memory else None, memory.most if memory else None)


def seconds_of(command: list[str], folder: Path) -> float:
    """Wall-clock seconds of a whole process."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, env=_environment())
    return time.perf_counter() - started


def _environment() -> dict[str, str]:
    """The bench's own, without settings and keys that would change what is measured."""
    dropped = ("HABIT_", "OPENAI_", "PYTHONPATH", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
