"""The recorded demo still replays; when a prompt has changed on purpose, record it anew: examples/record_demo.py."""

import shutil
from pathlib import Path

from habit import Engine, Settings

RECORDED = Path(__file__).parents[1] / "examples" / "recorded"


async def test_the_recorded_demo_replays_with_the_same_answer(tmp_path: Path) -> None:
    shutil.copytree(RECORDED, tmp_path, dirs_exist_ok=True)
    async with Engine(Settings(journal=str(tmp_path / "journal.db"))) as engine:
        replay = await engine.replay("last")
    assert replay.same
    assert isinstance(replay.run.answer, int)
    assert replay.run.usage.calls == 0
