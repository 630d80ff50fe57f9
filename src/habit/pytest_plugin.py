"""A pytest plugin: ``pytest --habits[=DIR]`` makes every rule, case and relation of a library's habits a test.

pytest loads this module by its entry point, in every run; so nothing of Habit is imported before it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

    from habit.library.checks import Report
    from habit.library.habit import Habit
    from habit.sandbox.session import Sandbox

_STAGE: pytest.StashKey[_Stage] = pytest.StashKey()
_DEFAULT = "habits"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--habits``."""
    parser.getgroup("habit").addoption(
        "--habits",
        nargs="?",
        const=_DEFAULT,
        default=None,
        metavar="DIR",
        help="Test the habits in DIR (default: habits) with their recorded replies.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Have the library collected beside whatever else is."""
    library = config.getoption("--habits")
    if library is None:
        return
    path = (config.invocation_params.dir / library).resolve()
    if not path.is_dir():
        raise pytest.UsageError(f"--habits: there is no library in {library}; name its folder with --habits=DIR.")
    if str(path) not in config.args:
        config.args.append(str(path))
    config.stash[_STAGE] = _Stage(path)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the sandbox."""
    stage = config.stash.get(_STAGE, None)
    if stage is not None:
        stage.close()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A habit's ``habit.toml`` stands for the habit."""
    stage = parent.config.stash.get(_STAGE, None)
    if stage is None or file_path.name != "habit.toml" or file_path.parent.parent != stage.library:
        return None
    return HabitFile.from_parent(parent, path=file_path)


class HabitFailed(Exception):
    """A test of a habit failed; the message says why."""


class HabitFile(pytest.File):
    """One habit."""

    def collect(self) -> Iterator[pytest.Item]:
        """Its rules, its cases, and its recorded relations."""
        from habit.errors import UsageError
        from habit.library.folder import read_folder

        try:
            habit = read_folder(self.path.parent)
        except UsageError as problem:
            yield HabitTest.from_parent(self, name="format", trouble=str(problem))
            return
        checked = _Checked(self.config.stash[_STAGE], habit)
        yield HabitTest.from_parent(self, name="rules", checked=checked)
        for case in sorted(habit.cases):
            yield HabitTest.from_parent(self, name=f"case[{case}]", checked=checked, case=case)
        for relation in habit.spec.relations:
            yield HabitTest.from_parent(self, name=f"relation[{relation}]", checked=checked, relation=relation)


class HabitTest(pytest.Item):
    """One thing that is tested of a habit."""

    def __init__(
        self,
        *,
        checked: _Checked | None = None,
        case: str = "",
        relation: str = "",
        trouble: str = "",
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self._checked = checked
        self._case = case
        self._relation = relation
        self._trouble = trouble

    def runtest(self) -> None:
        """Fail with everything that is wrong with it."""
        troubles = [self._trouble] if self._checked is None else self._troubles(self._checked.report)
        if troubles:
            raise HabitFailed("\n".join(troubles))

    def _troubles(self, report: Report) -> Sequence[str]:
        rules = [str(finding) for finding in report.findings]
        if self._case:
            if rules:
                pytest.skip("the code breaks a rule and is not run")
            return [case.trouble for case in report.cases if case.name == self._case and case.trouble]
        if self._relation:
            if self._relation in report.unshown:
                return [f"no case can show {self._relation} any more"]
            return [f"on case {one.case}: {one.why}" for one in report.broken if one.relation == self._relation]
        return rules if report.findings or report.cases else report.troubles()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The reason alone: a traceback through Habit would tell nothing of the habit."""
        if isinstance(excinfo.value, HabitFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it is."""
        return self.path, None, f"{self.path.parent.name}: {self.name}"


class _Checked:
    """The report on one habit, made when the first of its tests needs it."""

    def __init__(self, stage: _Stage, habit: Habit) -> None:
        self._stage = stage
        self._habit = habit
        self._report: Report | None = None

    @property
    def report(self) -> Report:
        """The report."""
        if self._report is None:
            self._report = self._stage.check(self._habit)
        return self._report


class _Stage:
    """A sandbox that runs beside pytest's own thread, for all habits of the library."""

    def __init__(self, library: Path) -> None:
        self.library = library
        self._open = ExitStack()
        self._portal: BlockingPortal | None = None
        self._sandbox: Sandbox | None = None

    def check(self, habit: Habit) -> Report:
        """The report on one habit."""
        from anyio.from_thread import start_blocking_portal

        if self._portal is None:
            self._portal = self._open.enter_context(start_blocking_portal())
        return self._portal.call(self._check, habit)

    async def _check(self, habit: Habit) -> Report:
        from habit.library.checks import check
        from habit.sandbox.choose import open_sandbox

        if self._sandbox is None:
            self._sandbox = open_sandbox()
        return await check(self._sandbox, habit)

    def close(self) -> None:
        """End the sandbox and its thread."""
        if self._portal is not None and self._sandbox is not None:
            self._portal.call(self._sandbox.aclose)
        self._open.close()
