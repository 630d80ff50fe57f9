"""Library: habits as ordinary functions, for code that is not asynchronous."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from habit.config import SETTABLE, Settings
from habit.config import load as load_settings
from habit.engine import Engine
from habit.library.habit import Habit
from habit.library.repository import Repository
from habit.run import Run
from habit.tasks import waited_for


class Library(Mapping[str, "HabitFunction"]):
    """The approved habits of one library, by name."""

    def __init__(self, folder: str | Path | None = None, *, settings: Settings | None = None, **given: Any) -> None:
        """The library in ``folder``, else the one that the settings name; settings are given as in ``habit.ask``.

        Raises UsageError when there is no library.
        """
        unknown = sorted(set(given) - set(SETTABLE))
        if unknown:
            raise TypeError(f"Library() got an unexpected argument {unknown[0]!r}; settings are: {', '.join(SETTABLE)}")
        given = {"strategy": "habit", **given}
        chosen = replace(settings, **given) if settings is not None else load_settings(given)
        self._settings = chosen if folder is None else replace(chosen, library=str(folder))
        self._repository = Repository.open(self._settings.library)

    def __getitem__(self, name: str) -> HabitFunction:
        """The active version of a habit. Raises KeyError."""
        for habit in self._repository.habits():
            if habit.name == name:
                return HabitFunction(habit, self._settings)
        raise KeyError(f"{self._settings.library} has no approved habit {name!r}; see: habit habits")

    def __iter__(self) -> Iterator[str]:
        """Names, sorted."""
        return iter(sorted(habit.name for habit in self._repository.habits()))

    def __len__(self) -> int:
        """How many there are."""
        return len(self._repository.habits())


class HabitFunction:
    """One approved version of a habit, to be called."""

    def __init__(self, habit: Habit, settings: Settings) -> None:
        self.habit = habit
        self._settings = settings

    def __call__(self, context: Any = None, **parameters: Any) -> Any:
        """The answer; see ``run``."""
        return self.run(context, **parameters).answer

    def run(self, context: Any = None, **parameters: Any) -> Run:
        """Answer for ``context``, a str or anything JSON can hold, in the sandbox and with the guards of every use.

        Raises UsageError for parameters that do not fit, and RunFailed when the habit can't answer for this input; with
        ``strategy="auto"`` the model then writes a scheduler.
        """

        async def answer() -> Run:
            async with Engine(self._settings) as engine:
                return await engine.use(self.habit.name, context, parameters=parameters, version=self.habit.version)

        return waited_for(answer, instead="async with habit.Engine() as engine: await engine.use(…)")
