"""The documents: every link leads somewhere, every page is linked, every command, flag and module is told of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from habit.cli.app import cli
from habit.config import SETTABLE

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])


def text_of(page: Path) -> str:
    """Without fenced blocks, in which nothing is a link or a heading."""
    return re.sub(r"(?ms)^ *```.*?^ *```$", "", page.read_text("utf-8"))


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """(file, anchor) of each link that stays in this project."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if "://" not in target:
            name, _, anchor = target.partition("#")
            yield (page.parent / name if name else page).resolve(), anchor


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings of a page."""
    headings = re.findall(r"(?m)^#+ (.+)$", text_of(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    dead = [f"{file}#{anchor}" for file, anchor in links(page) if not file.exists()]
    lost = [f"{file}#{anchor}" for file, anchor in links(page) if anchor and anchor not in anchors(file)]
    assert dead + lost == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in reached:
            continue
        reached.add(page)
        for file, _ in links(page):
            ahead += sorted(file.glob("*.md")) if file.is_dir() else [file] if file.suffix == ".md" else []
    assert set((ROOT / "docs").rglob("*.md")) - reached == set()


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, f"{path} {name}")


def test_every_command_and_every_flag_is_documented() -> None:
    told = "\n".join(page.read_text("utf-8") for page in (ROOT / "docs").glob("*.md"))
    missing = []
    for path, command in commands(cli, "habit"):
        if not isinstance(command, click.Group) and path.split()[1] != "models" and path not in told:
            missing.append(path)
        flags = [name for option in command.params for name in (*option.opts, *option.secondary_opts)]
        missing += [f"{path} {name}" for name in flags if re.match("--", name) and not re.search(rf"{name}\b", told)]
    assert missing == []


def test_every_setting_is_a_flag_in_the_table_of_flags() -> None:
    table = re.findall(r"(?m)^\| `(.*)$", (ROOT / "docs" / "cli.md").read_text("utf-8"))
    flags = " ".join(table)
    assert [name for name in SETTABLE if "--" + name.replace("_", "-") not in flags] == []


def test_the_architecture_names_every_module_at_the_top() -> None:
    told = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    names = {path.stem for path in (ROOT / "src" / "habit").iterdir() if not path.name.startswith("_")} - {"py"}
    assert {name for name in names if f"{name}.py" not in told and f"{name}/" not in told} == set()
