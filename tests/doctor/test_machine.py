"""Versions, extras, configuration and terminal."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from habit import __version__
from habit.doctor import machine
from habit.doctor.conversions import conversions

PACKAGES = {
    "habit": ["anyio>=4", "time-machine>=3; python_version < '3.15'", "lib[fast]>=1; extra == 'quick'",
              "habit[quick]; extra == \"all\"", "absent; extra == 'gone'",
              "windows-only; sys_platform == 'win32' and extra == 'quick'"],
    "lib": ["speedups; extra == 'fast'"],
    "anyio": [],
}  # fmt: skip


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is installed, by name; the packages above are what there is to know."""
    here = {"habit": "1", "anyio": "4.9", "lib": "1"}

    class Meta(dict[str, str]):
        def get_all(self, name: str) -> list[str]:
            return ["quick", "all", "gone"]

    def known(name: str) -> str:
        if name not in here:
            raise metadata.PackageNotFoundError(name)
        return here[name]

    monkeypatch.setattr(metadata, "requires", lambda name: known(name) and PACKAGES[name])
    monkeypatch.setattr(metadata, "version", known)
    monkeypatch.setattr(metadata, "metadata", lambda name: known(name) and Meta())
    return here


def test_versions_of_this_very_installation() -> None:
    finding = machine.versions()
    assert finding.grade == "ok"
    assert finding.message.startswith(f"Habit {__version__}, ")
    assert {"anyio", "click", "pydantic"} <= set(finding.details["packages"])


def test_a_missing_package_is_a_problem(installed: dict[str, str]) -> None:
    assert machine.versions().grade == "ok"
    del installed["anyio"]
    finding = machine.versions()
    assert (finding.grade, "anyio is missing" in finding.message) == ("problem", True)


def test_a_source_tree_that_was_never_installed(installed: dict[str, str]) -> None:
    del installed["habit"]
    assert machine.versions().grade == "warning"
    assert machine.extras().details == {"installed": [], "not_installed": []}


def test_an_extra_counts_with_all_that_it_asks_for(installed: dict[str, str]) -> None:
    finding = machine.extras()
    assert finding.details == {"installed": [], "not_installed": ["all", "gone", "quick"]}
    assert finding.remedy == "Add one with: pip install 'habit[all]'"
    installed["speedups"] = "2"
    assert machine.extras().details == {"installed": ["all", "quick"], "not_installed": ["gone"]}


def test_where_the_settings_come_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HABIT_MODEL", "HABIT_MAX_USD"):
        monkeypatch.delenv(name, raising=False)
    assert machine.configuration().message == "Settings from defaults alone."
    (tmp_path / "habit.toml").write_text("")
    monkeypatch.setenv("HABIT_MODEL", "secret-name")
    finding = machine.configuration()
    assert finding.message == "Settings from habit.toml, HABIT_MODEL."
    assert "secret-name" not in repr(finding)
    assert machine.configuration("It is wrong.").grade == "problem"


@pytest.mark.parametrize(
    ("encodings", "term", "grade", "said"),
    [
        ({"stdout": "utf-8", "the locale": "UTF-8"}, "xterm", "ok", "UTF-8, TERM=xterm."),
        ({"stdout": "UTF8"}, "", "ok", "UTF-8, no TERM, so progress comes in plain lines."),
        ({"stdout": "ascii", "the locale": "UTF-8"}, "xterm", "warning", "The encoding of stdout is ascii"),
    ],
)
def test_the_terminal(encodings: dict[str, str], term: str, grade: str, said: str) -> None:
    finding = machine.terminal(encodings, term)
    assert (finding.grade, finding.message.startswith(said)) == (grade, True)
    assert machine.terminal().details["encodings"]


def test_kept_conversions(tmp_path: Path) -> None:
    folder = tmp_path / "conversions"
    assert conversions(folder).message == "No document has been converted yet."
    (folder / "ab").mkdir(parents=True)
    (folder / "ab" / "abc").write_bytes(bytes(2_500_000))
    folder.chmod(0o700)
    finding = conversions(folder)
    assert (finding.grade, finding.message.partition(",")[0]) == ("ok", "1 kept")
    assert (finding.details["files"], finding.details["bytes"]) == (1, 2_500_000)
    folder.chmod(0o777)
    finding = conversions(folder)
    assert (finding.grade, finding.remedy) == ("warning", f"Delete it with: rm -r {folder}")
