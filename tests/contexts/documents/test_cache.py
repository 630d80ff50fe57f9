"""Conversions are kept by what was converted with what, and nothing wrong ever comes out of the cache."""

import importlib.metadata
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from habit.contexts.context import Context
from habit.contexts.documents import convert
from habit.contexts.documents.cache import ConversionCache
from habit.contexts.load import load, reload
from habit.errors import UsageError
from support import documents as make

Loaded = Callable[..., Context]
Kept = Callable[[], list[Path]]
PAGES = make.pdf([["One"], ["Two"]])


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The readers of the conversions that were made afresh."""
    made: list[str] = []
    ask = convert.Converter._ask
    monkeypatch.setattr(
        convert.Converter,
        "_ask",
        lambda self, data, kind: made.append(kind.reader.rpartition(".")[2]) or ask(self, data, kind),
    )
    return made


def test_a_conversion_is_made_once_whatever_the_file_is_called(
    loaded: Loaded, kept: Kept, conversions: list[str]
) -> None:
    first = loaded("a.pdf", PAGES)
    for name in ("a.pdf", "b.pdf", "c.txt"):
        assert loaded(name, PAGES).payload == first.payload
    assert loaded("d.pdf.gz", make.COMPRESSIONS[".gz"](PAGES)).payload == first.payload
    assert loaded("e.zip", make.zipped({"x.pdf": PAGES})).value() == {"x.pdf": "# Page 1\n\nOne\n\n# Page 2\n\nTwo"}
    assert conversions == ["pdf"]
    assert len(kept()) == 1


def test_what_is_kept_is_for_its_owner_only(loaded: Loaded, kept: Kept) -> None:
    loaded("a.pdf", PAGES)
    [path] = kept()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700


def test_another_version_of_the_converter_converts_again(
    loaded: Loaded, conversions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded("a.pdf", PAGES)
    version = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version(name) + ".1")
    convert._version.cache_clear()
    loaded("a.pdf", PAGES)
    convert._version.cache_clear()
    assert conversions == ["pdf", "pdf"]


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "swapped", "folder"])
def test_a_damaged_entry_is_made_anew(loaded: Loaded, kept: Kept, conversions: list[str], damage: str) -> None:
    first = loaded("a.pdf", PAGES)
    [path] = kept()
    data = path.read_bytes()
    if damage == "folder":
        path.unlink()
        path.mkdir()
        (path / "in the way").touch()
    elif damage == "swapped":
        cache = ConversionCache(path.parent.parent)
        cache.put(path.name, b'{"shape": "text", "value": 3, "unit": "", "notes": []}')
    else:
        path.write_bytes({"cut": data[:-3], "empty": b"", "noise": os.urandom(200)}[damage])
    assert loaded("a.pdf", PAGES).payload == first.payload
    assert conversions == ["pdf", "pdf"]


def test_an_entry_that_others_may_write_is_not_trusted(loaded: Loaded, kept: Kept, conversions: list[str]) -> None:
    loaded("a.pdf", PAGES)
    kept()[0].chmod(0o666)
    loaded("a.pdf", PAGES)
    assert conversions == ["pdf", "pdf"]


def test_a_cache_that_cannot_be_used_is_done_without(
    loaded: Loaded, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "file"))
    assert loaded("a.pdf", PAGES).value() == ["One", "Two"]


def test_nothing_is_kept_unless_wanted(loaded: Loaded, kept: Kept) -> None:
    assert loaded("a.pdf", PAGES, keep_conversions=False).value() == ["One", "Two"]
    assert kept() == []


def test_the_cache_drops_what_was_not_used_for_longest(tmp_path: Path) -> None:
    cache = ConversionCache(tmp_path / "kept", max_bytes=25_000)
    contents = {f"{n:02}": os.urandom(10_000) for n in range(3)}
    for age, (key, content) in enumerate(contents.items()):
        cache.put(key, content)
        os.utime(tmp_path / "kept" / key / key, (age + 1, age + 1))
    assert cache.get("00") == contents["00"]  # and so it is the one used last
    cache.trim()
    assert [cache.get(key) for key in contents] == [contents["00"], None, contents["02"]]
    (tmp_path / "kept" / "00" / "00").unlink()
    assert cache.get("00") is None


def test_a_conversion_that_comes_out_different_is_detected(
    loaded: Loaded, kept: Kept, conversions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is the same, but the converter of today reads it otherwise."""
    context = loaded("a.pdf", PAGES)
    assert reload(context.record()).payload == context.payload
    assert conversions == ["pdf"]
    kept()[0].unlink()
    assert reload(context.record()).payload == context.payload
    assert conversions == ["pdf", "pdf"]
    [path] = kept()
    ConversionCache(path.parent.parent).put(
        path.name, b'{"shape": "parts", "value": ["One", "Three"], "unit": "Page", "notes": []}'
    )
    with pytest.raises(UsageError, match=r"a\.pdf\) is read differently now than when the run began; ask again"):
        reload(context.record())


def test_a_changed_document_stops_a_resume(loaded: Loaded, here: Path) -> None:
    context = loaded("a.pdf", PAGES)
    (here / "a.pdf").write_bytes(make.pdf([["One"], ["Two!"]]))
    with pytest.raises(UsageError, match=r"a\.pdf has changed since the run began"):
        reload(context.record())
    assert load(["a.pdf"]).value() == ["One", "Two!"]
