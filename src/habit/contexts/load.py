"""From paths to a context: files, globs, folders and standard input, with encodings detected and binaries refused."""

from __future__ import annotations

import difflib
import glob
import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, ParamSpec, TypeVar

from habit.contexts.context import Context
from habit.contexts.encodings import BinaryFile, to_utf8
from habit.contexts.files import Folder, Unusable, read_file, shown
from habit.errors import UsageError

P = ParamSpec("P")
T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Called with the files and bytes read so far; an exception from it ends the loading."""

_STDIN = "-"
_BOM = "\ufeff".encode()
_SPARE_FRAMES = 300
_encode = json.JSONEncoder(ensure_ascii=False).encode


def load(
    paths: Sequence[str | Path],
    *,
    stdin: BinaryIO | None = None,
    skip_bad: bool = False,
    on_progress: Progress | None = None,
) -> Context:
    """The context that ``paths`` name; blocking. Raises UsageError.

    One file is its text, or its data when it is JSON or JSON Lines; several files or a folder are a dict from path to
    text. ``-`` is standard input. What is binary or cannot be read is refused by name, or skipped with ``skip_bad``.
    """
    loader = _Loader(skip_bad, on_progress)
    sources = list(dict.fromkeys(source for path in paths for source in _expand(os.fspath(path))))
    if not sources:
        return Context("text", b"", "no input", notes=("There is no input: the question is asked of an empty text.",))
    if len(sources) == 1 and sources[0].kind != "folder":
        return loader.single(sources[0], stdin)
    return loader.many(sources, stdin)


def reload(record: Mapping[str, Any]) -> Context:
    """The context of a recorded run (``Context.record``), from the files it was made of; blocking.

    Raises UsageError when a file has changed since, is gone, or was never on disk.
    """
    files = [(str(path), str(sha256)) for path, sha256 in record["files"]]
    if not files:
        raise UsageError(f"The input ({record['origin']}) did not come from files, so it cannot be read again.")
    loader = _Loader(skip_bad=False, on_progress=None, expected=dict(files))
    base = record.get("base")
    if base is None:
        context = loader.single(_Source("file", files[0][0]), None)
    else:
        texts = _Texts()
        for path, _ in files:
            texts.add(os.path.relpath(path, base), loader.text(path))
        context = loader.finish(texts, str(record["origin"]), base)
    if (context.kind, context.digest) != (record["kind"], record["digest"]):
        raise UsageError(f"The input ({record['origin']}) is read differently now than when the run began; ask again.")
    return context


@dataclass(frozen=True)
class _Source:
    """One thing to read: a file or folder by its absolute path, or standard input."""

    kind: Literal["file", "folder", "stdin"]
    path: str
    relative: bool = field(default=False, compare=False)


def _expand(path: str) -> list[_Source]:
    """What ``path`` names: itself, or the matches of a glob that no shell has expanded."""
    if path == _STDIN:
        return [_Source("stdin", _STDIN)]
    if not path or "\0" in path:
        raise UsageError("A path is empty or holds a NUL character; name a file, a folder, or - for standard input.")
    try:
        os.lstat(path)
        return [_source(path)]
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise UsageError(f"{shown(path)[:200]} cannot be read ({error.strerror}); check the path.") from None
    if glob.has_magic(path):
        matches = sorted(glob.glob(path, recursive=True))
        if not matches:
            raise UsageError(f"No file matches {shown(path)}; check the pattern.")
        return [_source(match) for match in matches]
    raise UsageError(_missing(path))


def _source(path: str) -> _Source:
    whole = os.path.abspath(path)
    if ".." in path.split(os.sep):
        # After a link, the folder above is not the one that the text of the path suggests.
        folder, name = os.path.split(path)
        whole = os.path.realpath(path) if name == ".." else os.path.join(os.path.realpath(folder), name)
    return _Source("folder" if os.path.isdir(path) else "file", whole, not os.path.isabs(path))


def _missing(path: str) -> str:
    folder, name = os.path.split(path.rstrip(os.sep))
    if not os.path.isdir(folder or "."):
        return f"There is no file {shown(path)}, nor a folder {shown(folder)}; check the path."
    try:
        with os.scandir(folder or ".") as entries:
            names = [entry.name for entry in islice(entries, 20_000)]
    except OSError:
        names = []
    folded = {known.casefold(): known for known in names}
    near = [folded[key] for key in difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)]
    hint = f"did you mean {' or '.join(shown(os.path.join(folder, known)) for known in near)}?" if near else ""
    return f"There is no file {shown(path)}; {hint or 'check the path.'}"


class _Texts:
    """A JSON object from path to text, written as it grows: no text is held twice."""

    def __init__(self) -> None:
        self.json = io.BytesIO()
        self.files: list[tuple[str, str]] = []
        self.keys: set[str] = set()

    def add(self, key: str, text: bytes) -> None:
        self.json.write(b", " if self.keys else b"{")
        self.keys.add(key)
        self.json.write(f"{_encode(key)}: ".encode("utf-8", "surrogatepass"))
        self.json.write(_encode(str(text, "utf-8")).encode())

    def payload(self) -> bytes:
        self.json.write(b"}" if self.keys else b"{}")
        return self.json.getvalue()


class _Loader:
    """One loading: what was read, what was skipped, and what people should know of it."""

    def __init__(self, skip_bad: bool, on_progress: Progress | None, expected: Mapping[str, str] | None = None) -> None:
        self.skip_bad = skip_bad
        self.on_progress = on_progress
        self.expected = expected
        self.bad: list[Unusable] = []
        self.encodings: list[str] = []
        self.notes: list[str] = []
        self.files: list[tuple[str, str]] = []
        self.bytes = 0

    def single(self, source: _Source, stdin: BinaryIO | None) -> Context:
        """One file or standard input as the whole context."""
        try:
            data, name = self.read(source, stdin)
            text = self.decode(data, name, source.path)
        except Unusable as bad:
            self.refuse(bad)
            raise UsageError(f"{self.skipped()} Nothing is left to ask about; name another file.") from None
        sha256 = self.files[0][1] if self.files and text is data else ""
        kind: Literal["text", "json"] = "text"
        ending = os.path.splitext(source.path)[1].lower()
        if ending in (".json", ".jsonl", ".ndjson"):
            text = text.removeprefix(_BOM)
            payload, problem = _as_json(text) if ending == ".json" else _as_json_lines(text)
            if payload is None:
                self.notes.append(f"{name}: not valid {ending[1:].upper()} ({problem}), so it is taken as text.")
            else:
                kind, sha256 = "json", sha256 if payload is data else ""
                text = payload
        if not data:
            self.notes.append(f"{name} is empty.")
        return Context(kind, text, name, tuple(self.files), self.all_notes(), known_sha256=sha256)

    def many(self, sources: Sequence[_Source], stdin: BinaryIO | None) -> Context:
        """Several files, or folders, as a dict from path to text."""
        alone = len(sources) == 1
        base = sources[0].path if alone else _base(sources)
        texts, outside, ignored = _Texts(), Counter[str](), 0
        for source in sources:
            entries = [(_key(source, base), source.path)]
            if source.kind == "folder":
                folder = Folder(source.path)
                prefix = "" if source.path == base else _key(source, base) + "/"
                entries = [(prefix + key, path) for key, path in folder.walk()]
                for bad in folder.bad:
                    self.refuse(bad)
                outside += Counter(files=folder.links_out, folders=folder.folder_links)
                ignored += folder.ignored
            for key, path in entries:
                if key not in texts.keys:
                    self.add(texts, key, _Source(source.kind if source.kind == "stdin" else "file", path), stdin)
        if self.bad and not texts.keys:
            raise UsageError(f"{self.skipped()} Nothing is left to ask about; name other files.")
        for kind, count in outside.items():
            if count:
                where = "outside the folder" if kind == "files" else "not followed"
                self.notes.append(f"{count:,} link{'s' * (count > 1)} to {kind}, {where}, left out.")
        if not texts.keys:
            self.notes.append(f"There are no files{f' but {ignored:,} ignored by git' if ignored else ''}.")
        origin = f"{len(texts.keys):,} file{'s' * (len(texts.keys) != 1)}"
        if alone:
            origin += f" in {shown(os.path.basename(base) or base)}"
        if any(source.kind == "stdin" for source in sources):
            # What came through a pipe cannot be read again, so the whole is kept in the journal.
            self.files = []
        return self.finish(texts, origin, base)

    def finish(self, texts: _Texts, origin: str, base: str) -> Context:
        """The context that holds ``texts``."""
        return Context("json", texts.payload(), origin, tuple(self.files), self.all_notes(), base=base)

    def add(self, texts: _Texts, key: str, source: _Source, stdin: BinaryIO | None) -> None:
        """Read one of many files into ``texts``."""
        known = len(self.files)
        try:
            data, _ = self.read(source, stdin)
            texts.add(key, self.decode(data, shown(key), source.path))
        except Unusable as bad:
            del self.files[known:]
            self.refuse(bad)

    def text(self, path: str) -> bytes:
        """The text of a file that a recorded run read."""
        try:
            data, name = self.read(_Source("file", path), None)
            return self.decode(data, name, path)
        except Unusable as bad:
            self.refuse(bad)
            raise

    def read(self, source: _Source, stdin: BinaryIO | None) -> tuple[bytes, str]:
        """The bytes of ``source`` and its name for people."""
        if source.kind == "stdin":
            if stdin is None:
                raise UsageError("There is no standard input to read; name a file instead of -.")
            data, name = stdin.read(), "standard input"
        else:
            data, name = read_file(source.path), shown(os.path.basename(source.path))
            sha256 = hashlib.sha256(data).hexdigest()
            if self.expected is not None and self.expected[source.path] != sha256:
                raise UsageError(f"{shown(source.path)} has changed since the run began; put it back, or ask again.")
            self.files.append((source.path, sha256))
        self.bytes += len(data)
        if self.on_progress:
            self.on_progress(len(self.files), self.bytes)
        return data, name

    def decode(self, data: bytes, name: str, path: str) -> bytes:
        """``data`` as UTF-8, the very same object when it is that already."""
        try:
            text, encoding = to_utf8(data)
        except BinaryFile as kind:
            raise Unusable(path, f"is binary ({kind})", _remedy(str(kind), path)) from None
        if encoding:
            self.encodings.append(f"{name}: read as {encoding}")
        return text

    def refuse(self, bad: Unusable) -> None:
        """Skip a bad file where that is wanted, else say what to do."""
        if not self.skip_bad:
            where = "Standard input" if bad.path == _STDIN else shown(bad.path)
            raise UsageError(f"{where} {bad.reason}; {bad.remedy}, or skip such files (--skip-bad).") from None
        self.bad.append(bad)

    def skipped(self) -> str:
        """What was skipped and why, in one sentence."""
        named = "; ".join(f"{shown(bad.path)} {bad.reason}" for bad in self.bad[:5])
        more = f"; and {len(self.bad) - 5:,} more" if len(self.bad) > 5 else ""
        return f"Skipped {len(self.bad):,} file{'s' * (len(self.bad) != 1)}: {named}{more}."

    def all_notes(self) -> tuple[str, ...]:
        """Every note, where many of a kind are cut short."""
        notes = [f"{encoding}." for encoding in self.encodings[:5]]
        if len(self.encodings) > 5:
            notes.append(f"{len(self.encodings) - 5:,} more files were not in UTF-8.")
        return (*notes, *self.notes, *([self.skipped()] if self.bad else []))


def _base(sources: Sequence[_Source]) -> str:
    """What keys are relative to: where we are, or what absolute paths have in common."""
    folders = [os.path.dirname(source.path) for source in sources if source.kind != "stdin"]
    if any(source.relative for source in sources) or not folders:
        return os.getcwd()
    return os.path.commonpath(folders)


def _key(source: _Source, base: str) -> str:
    return _STDIN if source.kind == "stdin" else os.path.relpath(source.path, base)


def _remedy(kind: str, path: str) -> str:
    name = shown(path)
    if kind == "gzip":
        return f'unpack it first (zcat {name} | habit ask "…" -), leave it out'
    if kind == "PDF":
        return f'turn it into text first (pdftotext {name} - | habit ask "…" -), leave it out'
    return "leave it out"


def _as_json(text: bytes) -> tuple[bytes | None, str]:
    """``text`` when it is JSON that a session will be able to decode, else None and the reason."""
    try:
        _deeper_down(_parse, text)
    except (ValueError, RecursionError) as problem:
        return None, _reason(problem)
    return text, ""


def _as_json_lines(text: bytes) -> tuple[bytes | None, str]:
    """The JSON list of the values in the lines of ``text``, each as it is written there, else None and the reason."""
    lines = {number: line.strip(b" \t\r") for number, line in enumerate(text.split(b"\n"), 1)}

    def check() -> str:
        for number, line in lines.items():
            try:
                if line:
                    _parse(line)
            except (ValueError, RecursionError) as problem:
                return f"line {number:,}: {_reason(problem)}"
        return ""

    if problem := _deeper_down(check):
        return None, problem
    return b"[" + b",\n".join(filter(None, lines.values())) + b"]", ""


def _reason(problem: Exception) -> str:
    return "nested too deeply" if isinstance(problem, RecursionError) else str(problem)


def _parse(text: bytes) -> None:
    json.loads(str(text, "utf-8"))


def _deeper_down(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call with less stack than there is: the session that parses the same again may have less left than we have."""

    def descend(frames: int) -> T:
        return descend(frames - 1) if frames else function(*args, **kwargs)

    return descend(_SPARE_FRAMES)
