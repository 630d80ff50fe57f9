"""From paths to contexts: exact, named, refused with a way on, and the same again for a resumed run."""

import hashlib
import io
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from habit.contexts.context import Context
from habit.contexts.load import load, reload
from habit.errors import UsageError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(root: Path, files: dict[str, str | bytes]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def again(context: Context) -> Context:
    return reload(json.loads(json.dumps(context.record())))


texts = st.text(max_size=200).filter(lambda text: sum(not char.isprintable() for char in text) <= 8)
lines = st.lists(
    st.sampled_from(["a,b", "é", "\r\n", "\n", "\r", "\ufeff", "😀", "\u2028", "\0", "{", '"']), max_size=30
)


@given(texts | lines.map("".join).filter(lambda text: text.count("\0") <= 8))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_texts_are_exact(tmp_path: Path, text: str) -> None:
    for name in ("a.txt", "b.csv"):
        (tmp_path / name).write_bytes(text.encode())
    single = load([tmp_path / "a.txt"])
    assert (single.kind, single.payload) == ("text", text.encode())
    assert single.digest == hashlib.sha256(text.encode()).hexdigest()
    both = load([tmp_path / "a.txt", tmp_path / "b.csv"])
    assert both.value() == {"a.txt": text, "b.csv": text}
    assert load(["-"], stdin=io.BytesIO(text.encode())).value() == text
    assert again(both) == both
    assert again(single) == single


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(), max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(json_values, st.booleans())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_json_is_exact(tmp_path: Path, value: Any, escaped: bool) -> None:
    written = json.dumps(value, ensure_ascii=escaped or has_surrogates(value), indent=1)
    (tmp_path / "a.json").write_text(written, encoding="utf-8")
    context = load([tmp_path / "a.json"])
    assert context.kind == "json"
    assert json.dumps(context.value()) == json.dumps(value)
    assert again(context) == context


def has_surrogates(value: Any) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in json.dumps(value, ensure_ascii=False))


@given(st.lists(json_values, max_size=6), st.sampled_from(["\n", "\r\n", "\n\n", " \n"]))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_json_lines_are_exact(tmp_path: Path, values: list[Any], end: str) -> None:
    written = "".join(json.dumps(value, ensure_ascii=has_surrogates(value)) + end for value in values)
    (tmp_path / "a.jsonl").write_bytes(written.encode())
    context = load([tmp_path / "a.jsonl"])
    assert json.dumps(context.value()) == json.dumps(values)
    assert again(context) == context


def test_valid_utf8_passes_without_a_copy(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("é" * 10_000)
    context = load([tmp_path / "a.txt"])
    assert context.known_sha256 == context.files[0][1] == context.digest
    assert context.files == ((str(tmp_path / "a.txt"), hashlib.sha256(context.payload).hexdigest()),)
    assert context.base is None
    assert context.origin == "a.txt"
    assert context.notes == ()


def test_json_by_its_ending_only_when_alone(here: Path) -> None:
    write(here, {"a.JSON": '{"a": [1, 2.50]}', "b.ndjson": '{"a": 1}\n\n[2]', "c.txt": "[1]"})
    assert load(["a.JSON"]).value() == {"a": [1, 2.5]}
    assert load(["b.ndjson"]).value() == [{"a": 1}, [2]]
    assert load(["c.txt"]).value() == "[1]"
    assert load(["a.JSON", "b.ndjson"]).value() == {"a.JSON": '{"a": [1, 2.50]}', "b.ndjson": '{"a": 1}\n\n[2]'}
    assert load(["-"], stdin=io.BytesIO(b"[1]")).value() == "[1]"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.json", '{"a": 1', "not valid JSON"),
        ("a.json", "", "not valid JSON"),
        ("a.json", "[" * 100_000 + "]" * 100_000, "nested too deeply"),
        # From 3.12 on, what C code may nest no longer depends on the depth of the Python stack.
        *([("a.json", "[" * 900 + "]" * 900, "nested too deeply")] if sys.version_info < (3, 12) else []),
        ("a.json", "9" * 5000, "digits"),
        ("a.jsonl", '{"a": 1}\n{"a": \n', "not valid JSONL (line 2"),
        ("a.jsonl", "1, 2\n", "line 1"),
        ("a.ndjson", "{}\n{}{}\n", "not valid NDJSON (line 2"),
    ],
)
def test_broken_json_is_text_with_a_note(tmp_path: Path, name: str, text: str, reason: str) -> None:
    (tmp_path / name).write_text(text)
    context = load([tmp_path / name])
    assert context.value() == text
    assert reason in context.notes[0]
    assert "taken as text" in context.notes[0]
    assert again(context).payload == context.payload


def test_a_mark_before_json_is_no_obstacle(tmp_path: Path) -> None:
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        (tmp_path / "a.json").write_text('{"ä": 1}', encoding=encoding)
        context = load([tmp_path / "a.json"])
        assert context.value() == {"ä": 1}
        assert again(context) == context


def test_encodings_are_reported(here: Path) -> None:
    text = "Le garçon a mangé une crêpe à l'école, où le maître était déjà fâché.\n"
    write(here, {"latin1.txt": text.encode("latin-1"), "utf8.txt": text, "bom.txt": "\ufeff" + text})
    (here / "u16.txt").write_text(text, encoding="utf-16")
    assert load(["latin1.txt"]).notes == ("latin1.txt: read as cp1252.",)
    single = load(["latin1.txt"])
    assert single.value() == text
    assert single.digest == hashlib.sha256(single.payload).hexdigest() != single.files[0][1]
    assert again(single) == single
    context = load(["latin1.txt", "u16.txt", "utf8.txt", "bom.txt"])
    assert context.value() == {"latin1.txt": text, "u16.txt": text, "utf8.txt": text, "bom.txt": "\ufeff" + text}
    assert context.notes == ("latin1.txt: read as cp1252.", "u16.txt: read as utf-16.")
    assert again(context).digest == context.digest
    for index in range(9):
        (here / f"{index}.txt").write_bytes(text.encode("latin-1"))
    assert "4 more files" in load(["[0-9].txt"]).notes[-1]


def test_a_folder_is_a_dict(here: Path) -> None:
    write(here, {"src/a.py": "x", "src/sub/b.json": "{}", "src/.gitignore": "*.log\n", "src/x.log": "x"})
    write(here, {"src/.git/config": "x"})
    context = load(["src"])
    assert context.value() == {".gitignore": "*.log\n", "a.py": "x", "sub/b.json": "{}"}
    assert list(context.value()) == sorted(context.value())
    assert context.origin == "3 files in src"
    assert [path for path, _ in context.files] == [str(here / "src" / name) for name in context.value()]
    assert again(context) == context
    write(here, {"src/later.py": "new"})
    assert again(context) == context
    assert load([here / "src" / ".."]).value()["src/a.py"] == "x"


def test_several_paths(here: Path) -> None:
    write(here, {"a.txt": "a", "logs/1.log": "1", "logs/2.log": "2", "logs/.gitignore": "2.log"})
    context = load(["logs", "a.txt", "logs/2.log", "./a.txt"])
    assert list(context.value()) == ["logs/.gitignore", "logs/1.log", "a.txt", "logs/2.log"]
    assert context.origin == "4 files"
    assert again(context) == context
    absolute = load([here / "a.txt", here / "logs"])
    assert set(absolute.value()) == {"a.txt", "logs/.gitignore", "logs/1.log"}
    assert load(["a.txt", "a.txt"]).value() == "a"
    mixed = load(["-", "a.txt"], stdin=io.BytesIO(b"in"))
    assert mixed.value() == {"-": "in", "a.txt": "a"}
    assert mixed.files == ()


def test_globs(here: Path) -> None:
    write(here, {"b.txt": "b", "a.txt": "a", "c.md": "c", "d/e.txt": "e", "x[1].txt": "literal"})
    assert load(["[ab].txt"]).value() == {"a.txt": "a", "b.txt": "b"}
    assert list(load(["**/*.txt"]).value()) == ["a.txt", "b.txt", "d/e.txt", "x[1].txt"]
    assert load(["*.md"]).value() == "c"
    assert load(["x[1].txt"]).value() == "literal"
    with pytest.raises(UsageError, match=r"No file matches \*\.pdf"):
        load(["*.pdf"])


def test_names_of_any_bytes(here: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.txt")
    write(here, {odd: "a", "b.txt": "b"})
    context = load([odd, "b.txt"])
    assert context.value() == {odd: "a", "b.txt": "b"}
    assert again(context) == context
    load([odd]).origin.encode()


def test_missing_files_name_near_ones(here: Path) -> None:
    write(here, {"report.txt": "", "logs/server.log": ""})
    for path, message in [
        ("reprot.txt", r"did you mean report\.txt\?"),
        ("REPORT.TXT", r"did you mean report\.txt\?"),
        ("logs/sevrer.log", r"did you mean logs/server\.log\?"),
        ("nothing-like-it", "check the path"),
        ("log/server.log", "nor a folder log"),
        ("report.txt/x", "There is no file"),
        ("x" * 5000, "cannot be read"),
        ("", "path is empty"),
        ("a\0b", "NUL"),
    ]:
        with pytest.raises(UsageError, match=message) as refused:
            load([path])
        assert len(str(refused.value)) < 600


BAD: dict[str, str] = {"logo.png": "binary", "dangling": "leads nowhere", "pipe": "a named pipe", "data.gz": "gzip"}


def make_bad(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    write(folder, {"logo.png": b"\x89PNG\r\n\x1a\n", "data.gz": b"\x1f\x8b\x08\0"})
    (folder / "dangling").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")


def test_bad_files_are_refused_by_name_with_a_way_on(here: Path) -> None:
    make_bad(here / "in")
    for name, reason in BAD.items():
        with pytest.raises(UsageError, match=rf"{name}.*{reason}.*--skip-bad"):
            load([here / "in" / name])
    with pytest.raises(UsageError, match="--skip-bad"):
        load(["in"])
    with pytest.raises(UsageError, match="Standard input is binary"):
        load(["-"], stdin=io.BytesIO(b"\x89PNG\r\n\x1a\n"))
    with pytest.raises(UsageError, match="no standard input"):
        load(["-"])


def test_bad_files_are_skipped_on_request(here: Path) -> None:
    make_bad(here / "in")
    write(here, {"in/good.txt": "good"})
    context = load(["in"], skip_bad=True)
    assert context.value() == {"good.txt": "good"}
    [note] = context.notes
    assert note.startswith("Skipped 4 files: ")
    assert all(name in note for name in BAD)
    assert again(context).payload == context.payload
    (here / "in" / "good.txt").unlink()
    for paths in (["in"], ["in/logo.png"], ["in/logo.png", "in/pipe"]):
        with pytest.raises(UsageError, match="Nothing is left"):
            load(paths, skip_bad=True)
    write(here, {"text.txt": "t"})
    assert load(["in/logo.png", "text.txt"], skip_bad=True).value() == {"text.txt": "t"}


def test_no_permission(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(here, {"in/closed.txt": "c", "in/open.txt": "o"})
    opened = os.open

    def guarded(path: Any, *rest: Any, **named: Any) -> int:
        if str(path).endswith("closed.txt"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *rest, **named)

    monkeypatch.setattr(os, "open", guarded)
    with pytest.raises(UsageError, match=r"closed\.txt may not be read by you; change its permissions"):
        load(["in"])
    assert load(["in"], skip_bad=True).value() == {"open.txt": "o"}


def test_links_out_of_a_folder_bring_nothing_in(here: Path) -> None:
    write(here, {"secret.txt": "s", "in/a.txt": "a", "other/b.txt": "b"})
    (here / "in" / "out.txt").symlink_to(here / "secret.txt")
    (here / "in" / "out").symlink_to(here / "other")
    (here / "in" / "loop").symlink_to(here / "in")
    context = load(["in"])
    assert context.value() == {"a.txt": "a"}
    assert context.notes == (
        "1 link to files, outside the folder, left out.",
        "2 links to folders, not followed, left out.",
    )
    assert load(["in/out.txt"]).value() == "s"


def test_empty_inputs_are_allowed_with_a_note(here: Path) -> None:
    write(here, {"empty.txt": "", "ignored/.gitignore": "*\n", "ignored/a": "a"})
    (here / "nothing").mkdir()
    for context in (load([]), load(["empty.txt"]), load(["-"], stdin=io.BytesIO())):
        assert (context.kind, context.payload) == ("text", b"")
        assert "empty" in context.notes[-1]
    assert load(["nothing"]).value() == {}
    assert load(["nothing"]).notes == ("There are no files.",)
    assert load(["ignored"]).notes == ("There are no files but 2 ignored by git.",)


def test_a_changed_or_lost_file_stops_a_resume(here: Path) -> None:
    write(here, {"a.txt": "a", "b.txt": "b"})
    single, both = load(["a.txt"]), load(["a.txt", "b.txt"])
    write(here, {"a.txt": "changed"})
    for context in (single, both):
        with pytest.raises(UsageError, match=r"a\.txt has changed since"):
            again(context)
    (here / "a.txt").unlink()
    with pytest.raises(UsageError, match=r"a\.txt is no longer there"):
        again(both)
    with pytest.raises(UsageError, match="standard input"):
        again(load(["-"], stdin=io.BytesIO(b"x")))
    record = {**load(["b.txt"]).record(), "digest": "0"}
    with pytest.raises(UsageError, match="read differently"):
        reload(record)


def test_a_resume_finds_the_files_from_any_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(here, {"x/a.txt": "a", "x/b.txt": "b"})
    context = load(["x/a.txt", "x/b.txt"])
    monkeypatch.chdir("/")
    assert again(context) == context


def test_progress_is_told_and_can_stop_it(here: Path) -> None:
    write(here, {"in/a": "aa", "in/b": "bbb"})
    told: list[tuple[int, int]] = []
    load(["in"], on_progress=lambda files, size: told.append((files, size)))
    assert told == [(1, 2), (2, 5)]

    def stop(files: int, size: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        load(["in"], on_progress=stop)


def test_a_pipe_that_appears_between_the_look_and_the_opening_is_not_waited_for(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(here, {"a.txt": "a"})
    os.mkfifo(here / "pipe")
    looked = os.stat(here / "a.txt")
    monkeypatch.setattr(os, "stat", lambda *_a, **_k: looked)
    assert stat.S_ISREG(os.stat("pipe").st_mode)
    with pytest.raises(UsageError, match="a named pipe"):
        load(["pipe"])
