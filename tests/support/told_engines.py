"""Engines whose events are kept, for tests of what a run may use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from habit import Settings
from habit.engine import Engine
from habit.events import Event
from habit.sandbox.cpython import CPythonSandbox
from support.scripted import ScriptedModels, ScriptedProvider


class ToldEngines:
    """Engines that tell what happens to them, over one journal."""

    def __init__(self, folder: Path, sandbox: CPythonSandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.events: list[Event] = []

    def engine(self, model: ScriptedProvider, *, settings: dict[str, Any] | None = None, **more: Any) -> Engine:
        usual: dict[str, Any] = {"model": "scripted", "no_cache": True}
        chosen = Settings(journal=str(self.folder / "journal.db"), **usual, **(settings or {}))
        models = ScriptedModels(model)
        return Engine(chosen, sandbox=self.sandbox, models=models, on_event=self.events.append, **more)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]
