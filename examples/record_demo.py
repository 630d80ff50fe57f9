"""Records the run that `make demo` replays where the local model can't be had. Needs the local model."""

from __future__ import annotations

import shutil
import sys

import anyio
from demo import QUESTION, RECORDED, right_answer, source_text

from habit import Context, Engine, Settings


async def main() -> None:
    """Ask the demo's question until it is answered right, into a fresh journal that holds the input's bytes."""
    text = source_text()
    right = right_answer(text)
    for old in RECORDED.glob("journal*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    settings = Settings(model="local", no_cache=True, journal=str(RECORDED / "journal.db"))
    async with Engine(settings) as engine:
        run = await engine.ask(QUESTION, Context.of(text, origin="Python's standard library"), returns=int)
        replay = await engine.replay(run.id)
    (RECORDED / "journal.db.d" / ".gitignore").unlink()  # this journal is meant to be kept
    print(f"{run.answer} (right: {right}), {run.cells} cells, {run.seconds:.0f} s; replay the same: {replay.same}")
    sys.exit(run.answer != right or not replay.same)


if __name__ == "__main__":
    anyio.run(main)
