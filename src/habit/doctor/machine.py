"""What Habit runs on: versions, extras, the configuration in force, and the terminal."""

from __future__ import annotations

import locale
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata

from habit.config import SETTABLE
from habit.doctor.findings import Finding

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")


def versions(distribution: str = "habit") -> Finding:
    """Habit, Python, the system, and whether every package that Habit needs is there."""
    needed = [name for name, _, extra, conditional in _requirements(distribution) if extra is None and not conditional]
    found = {name: _version(name) for name in needed}
    own = _version(distribution) or "of no known version"
    what = f"Habit {own}, {platform.python_implementation()} {platform.python_version()}, {platform.platform()}"
    details = {
        "habit": own,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "packages": found,
    }
    missing = sorted(name for name, version in found.items() if version is None)
    if missing:
        remedy = "Install Habit again with: pip install --force-reinstall habit"
        return Finding("versions", "problem", f"{what}; {', '.join(missing)} is missing.", remedy, details)
    if not needed:
        remedy = "Install Habit with: pip install habit"
        return Finding("versions", "warning", f"{what}; it runs without having been installed.", remedy, details)
    return Finding("versions", "ok", f"{what}.", details=details)


def extras(distribution: str = "habit") -> Finding:
    """Which extras are installed, and how to install the others."""
    here = {extra: _has_extra(distribution, extra) for extra in _extras_of(distribution)}
    installed = [extra for extra, complete in here.items() if complete]
    others = [extra for extra, complete in here.items() if not complete]
    said = f"Installed: {', '.join(installed) or 'none'}; not installed: {', '.join(others) or 'none'}."
    remedy = f"Add one with: pip install 'habit[{others[0]}]'" if others else ""
    return Finding("extras", "ok", said, remedy, {"installed": installed, "not_installed": others})


def configuration(problem: str = "") -> Finding:
    """Where the settings come from, or why they cannot be read."""
    variables = sorted(f"HABIT_{name.upper()}" for name in SETTABLE if os.environ.get(f"HABIT_{name.upper()}"))
    files = [name for name in ("habit.toml", "pyproject.toml") if os.path.exists(name)]
    details = {"files": files[:1], "variables": variables}
    if problem:
        remedy = "Correct it; the checks below went on with what could be read, or with the defaults."
        return Finding("configuration", "problem", problem, remedy, details)
    sources = [*files[:1], *variables]
    return Finding("configuration", "ok", f"Settings from {', '.join(sources) or 'defaults alone'}.", details=details)


def terminal(encodings: Mapping[str, str] | None = None, term: str | None = None) -> Finding:
    """Whether any text can be shown: UTF-8, and a terminal that can redraw a line."""
    found = _encodings() if encodings is None else encodings
    term = os.environ.get("TERM", "") if term is None else term
    odd = sorted(name for name, encoding in found.items() if encoding.lower().replace("-", "") != "utf8")
    details = {"encodings": dict(found), "term": term}
    if odd:
        said = f"The encoding of {', '.join(odd)} is {found[odd[0]]}, so some characters will be shown as ?."
        return Finding("terminal", "warning", said, "Use UTF-8 with: export LC_ALL=C.UTF-8", details)
    shown = f"TERM={term}" if term else "no TERM, so progress comes in plain lines"
    return Finding("terminal", "ok", f"UTF-8, {shown}.", details=details)


def _encodings() -> dict[str, str]:
    streams = {"stdout": sys.stdout, "stderr": sys.stderr}
    found = {name: stream.encoding for name, stream in streams.items() if stream is not None and stream.encoding}
    return {**found, "the locale": locale.getpreferredencoding(False)}


def _requirements(distribution: str) -> Iterator[tuple[str, list[str], str | None, bool]]:
    """(package, its extras, the extra that asks for it, whether for some platforms or Pythons only)."""
    try:
        lines = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        lines = []
    for line in lines:
        requirement, _, marker = line.partition(";")
        found = _REQUIREMENT.match(requirement.strip())
        if found is None:
            continue
        extra = _EXTRA.search(marker)
        rest = _EXTRA.sub("", marker).replace("and", "").strip(" ()")
        names = [name.strip() for name in (found[2] or "").split(",") if name.strip()]
        yield found[1], names, extra[1] if extra else None, bool(rest)


def _extras_of(distribution: str) -> list[str]:
    try:
        return sorted(metadata.metadata(distribution).get_all("Provides-Extra") or [])
    except metadata.PackageNotFoundError:
        return []


def _has_extra(distribution: str, extra: str, seen: frozenset[tuple[str, str]] = frozenset()) -> bool:
    """Whether everything is installed that ``distribution[extra]`` asks for, other extras included.

    Packages that only some platforms or Pythons need are taken for not needed.
    """
    if (distribution, extra) in seen:
        return True
    for package, extras_of_it, asked_by, conditional in _requirements(distribution):
        if asked_by != extra or conditional:
            continue
        if _version(package) is None:
            return False
        if not all(_has_extra(package, name, seen | {(distribution, extra)}) for name in extras_of_it):
            return False
    return True


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
