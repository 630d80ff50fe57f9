"""Records the run that `make demo` replays where the local model can't be had. Needs the local model."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import anyio
from demo import QUESTION, RECORDED

from habit import Engine, Settings
from habit.contexts.load import load


async def main() -> None:
    """Ask the demo's question until it is answered right, into a fresh journal that holds the input's bytes."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    right = sum("deprecated" in line for file in files for line in file.read_text("utf-8").splitlines())
    # Without the paths the input goes into the journal, so that the recording can be replayed on any machine.
    context = replace(load([str(file) for file in files]), files=(), origin="Python's standard library")
    for old in RECORDED.glob("journal*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    settings = Settings(model="local", no_cache=True, journal=str(RECORDED / "journal.db"))
    async with Engine(settings) as engine:
        run = await engine.ask(QUESTION, context, returns=int)
        replay = await engine.replay(run.id)
    (RECORDED / "journal.db.d" / ".gitignore").unlink()  # this journal is meant to be kept
    print(f"{run.answer} (right: {right}), {run.cells} cells, {run.seconds:.0f} s; replay the same: {replay.same}")
    sys.exit(run.answer != right or not replay.same)


if __name__ == "__main__":
    anyio.run(main)
