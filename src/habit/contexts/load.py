"""From paths to a context: files, globs, folders, archives, documents and standard input."""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Literal

from habit.contexts.context import Context
from habit.contexts.documents.cache import ConversionCache, default_folder
from habit.contexts.documents.convert import Converter
from habit.contexts.documents.converted import Converted, Unreadable
from habit.contexts.documents.opening import Members, Opener, Plain
from habit.contexts.encodings import BinaryFile, to_utf8
from habit.contexts.files import Folder, Unusable, read_file, shown
from habit.contexts.json_text import Texts, as_json_lines, why_not_json
from habit.contexts.large import park_file
from habit.contexts.parked import Parked, Payload, park, viewed
from habit.contexts.sources import STDIN, Source, base_of, expand, key_of
from habit.errors import UsageError
from habit.memory import require_memory

Progress = Callable[[int, int], None]
"""Called with the files and bytes read so far, and again while something takes long; an exception from it ends the
loading."""

_BOM = "\ufeff".encode()
_CHECKED_AFTER = 64 << 20
"""Bytes after which it is asked how much memory is left."""
_SQLITE = b"SQLite format 3\0"


def load(
    paths: Sequence[str | Path],
    *,
    stdin: BinaryIO | None = None,
    skip_bad: bool = False,
    raw: bool = False,
    keep_conversions: bool = True,
    on_progress: Progress | None = None,
) -> Context:
    """The context that ``paths`` name; blocking. Raises UsageError.

    One file is its text, its data when it is JSON or JSON Lines, and what a document holds; several files, a folder or
    an archive are a dict from path to text. ``-`` is standard input. What is binary or cannot be read is refused by
    name, or skipped with ``skip_bad``. With ``raw`` every file is the text it is: nothing is converted or unpacked.
    Conversions are kept in the user's cache folder, unless ``keep_conversions`` is false.
    """
    sources = list(dict.fromkeys(source for path in paths for source in expand(os.fspath(path))))
    if not sources:
        return Context("text", b"", "no input", notes=("There is no input: the question is asked of an empty text.",))
    with _Loader(skip_bad, on_progress, raw=raw, keep_conversions=keep_conversions) as loader:
        if len(sources) == 1 and sources[0].kind != "folder":
            return loader.single(sources[0], stdin)
        return loader.many(sources, stdin)


def reload(record: Mapping[str, Any], *, keep_conversions: bool = True, on_progress: Progress | None = None) -> Context:
    """The context of a recorded run (``Context.record``), from the files it was made of; blocking.

    Raises UsageError when a file has changed since, is gone, was never on disk, or is converted differently now.
    """
    files = [(str(path), str(sha256)) for path, sha256 in record["files"]]
    if not files:
        raise UsageError(f"The input ({record['origin']}) did not come from files, so it cannot be read again.")
    base, raw = record.get("base"), bool(record.get("raw"))
    with _Loader(False, on_progress, raw=raw, keep_conversions=keep_conversions, expected=dict(files)) as loader:
        if base is None:
            context = loader.single(Source("file", files[0][0]), None)
        else:
            texts = Texts()
            for path, _ in files:
                loader.add(texts, os.path.relpath(path, base), Source("file", path), None)
            context = loader.finish(texts, str(record["origin"]), base)
    if (context.kind, context.digest) != (record["kind"], record["digest"]):
        raise UsageError(f"The input ({record['origin']}) is read differently now than when the run began; ask again.")
    return context


class _Loader:
    """One loading: what was read, what was skipped, and what people should know of it."""

    def __init__(
        self,
        skip_bad: bool,
        on_progress: Progress | None,
        *,
        raw: bool,
        keep_conversions: bool,
        expected: Mapping[str, str] | None = None,
    ) -> None:
        self.skip_bad = skip_bad
        self.on_progress = on_progress
        self.raw = raw
        self.expected = expected
        self.bad: list[Unusable] = []
        self.encodings: list[str] = []
        self.notes: list[str] = []
        self.files: list[tuple[str, str]] = []
        self.bytes = 0
        self.unchecked = 0
        cache = ConversionCache(default_folder()) if keep_conversions else None
        self.opener = Opener(Converter(cache, self.tick))
        self.resources = ExitStack()

    def __enter__(self) -> _Loader:
        self.resources.enter_context(self.opener.converter)
        return self

    def __exit__(self, *_: object) -> None:
        self.resources.close()

    def tick(self) -> None:
        """Say how far the loading is."""
        if self.on_progress:
            self.on_progress(len(self.files), self.bytes)

    def single(self, source: Source, stdin: BinaryIO | None) -> Context:
        """One file or standard input as the whole context."""
        try:
            if source.kind == "file" and (parked := self.park(source)) is not None:
                name = shown(os.path.basename(source.path))
                return self.plain(parked, name, name)
            data, name = self.read(source, stdin)
            opened = self.open(data, source)
            if isinstance(opened, Members):
                return self.archive(opened, source, name)
            if isinstance(opened, Converted):
                found = Context.of(opened.alone())
                return Context(found.kind, park(found.payload), name, tuple(self.files), self.all_notes(), raw=self.raw)
            text = self.decode(opened.data, name, source.path)
        except Unusable as bad:
            self.refuse(bad)
            raise UsageError(f"{self.skipped()} Nothing is left to ask about; name another file.") from None
        return self.plain(text, opened.name, name, known=self.files[0][1] if self.files and text is data else "")

    def plain(self, text: bytes | Parked, called: str, name: str, *, known: str = "") -> Context:
        """The context that is one text, or the JSON in it; ``known`` is its digest where that is known."""
        kind: Literal["text", "json"] = "text"
        payload: Payload = text
        ending = os.path.splitext(called)[1].lower()
        if ending in (".json", ".jsonl", ".ndjson"):
            plain: Payload = text if isinstance(text, Parked) else text.removeprefix(_BOM)
            found, problem = self.json(plain, ending)
            if found is None:
                self.notes.append(f"{name}: not valid {ending[1:].upper()} ({problem}), so it is taken as text.")
            else:
                kind = "json"
            payload = plain if found is None else found
        if not len(text):
            self.notes.append(f"{name} is empty.")
        known = known if payload is text else ""
        return Context(kind, park(payload), name, tuple(self.files), self.all_notes(), known_sha256=known, raw=self.raw)

    def json(self, text: Payload, ending: str) -> tuple[Payload | None, str]:
        """The JSON that ``text`` is, as its ending says: one value, or one in each line; or None and what is wrong."""
        if ending == ".json":
            with viewed(text) as view:
                problem = why_not_json(view)
            return (None, problem) if problem else (text, "")
        with text.open() if isinstance(text, Parked) else io.BytesIO(text) as lines:
            return as_json_lines(lines, self.tick)

    def archive(self, members: Members, source: Source, name: str) -> Context:
        """The context that is the files of one archive."""
        texts = Texts()
        for key, text in list(self.texts_of(members, "", source.path)):
            texts.add(key, text)
        if not texts.keys:
            if self.bad:
                raise UsageError(f"{self.skipped()} Nothing is left to ask about; name another file.")
            self.notes.append(f"{name} holds no files.")
        origin = f"{len(texts.keys):,} file{'s' * (len(texts.keys) != 1)} in {name}"
        return Context("json", texts.payload(), origin, tuple(self.files), self.all_notes(), raw=self.raw)

    def many(self, sources: Sequence[Source], stdin: BinaryIO | None) -> Context:
        """Several files, or folders, as a dict from path to text."""
        alone = len(sources) == 1
        base = sources[0].path if alone else base_of(sources)
        texts, outside, ignored = Texts(), Counter[str](), 0
        for source in sources:
            entries = [(key_of(source, base), source.path)]
            if source.kind == "folder":
                folder = Folder(source.path, tick=self.tick)
                prefix = "" if source.path == base else key_of(source, base) + "/"
                entries = [(prefix + key, path) for key, path in folder.walk()]
                for bad in folder.bad:
                    self.refuse(bad)
                outside += Counter(files=folder.links_out, folders=folder.folder_links)
                ignored += folder.ignored
            for key, path in entries:
                if key not in texts.keys:
                    self.add(texts, key, Source(source.kind if source.kind == "stdin" else "file", path), stdin)
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

    def finish(self, texts: Texts, origin: str, base: str) -> Context:
        """The context that holds ``texts``."""
        return Context("json", texts.payload(), origin, tuple(self.files), self.all_notes(), base=base, raw=self.raw)

    def add(self, texts: Texts, key: str, source: Source, stdin: BinaryIO | None) -> None:
        """Read one of many files into ``texts``."""
        known = len(self.files)
        try:
            data, _ = self.read(source, stdin)
            found = self.texts_of(self.open(data, source), key, source.path)
            # All of an archive or none of it: what is wrong may show at its end.
            for inner, text in list(found):
                texts.add(inner, text)
        except Unusable as bad:
            del self.files[known:]
            self.refuse(bad)

    def open(self, data: bytes, source: Source) -> Plain | Converted | Members:
        """What the bytes of ``source`` hold."""
        name = "" if source.kind == "stdin" else shown(os.path.basename(source.path))
        if self.raw:
            return Plain(data, name)
        if data.startswith(_SQLITE) and _size(source.path + "-wal"):
            self.notes.append(f"{name}: changes in {name}-wal are not seen; close the program that uses it.")
        try:
            return self.opener.open(data, name, self.files[-1][1] if source.kind == "file" else "")
        except Unreadable as problem:
            raise Unusable(source.path, problem.reason, problem.remedy) from None

    def texts_of(self, opened: Plain | Converted | Members, key: str, path: str) -> Iterator[tuple[str, bytes | str]]:
        """(key, text) of all that was opened; what is bad in an archive is refused or skipped."""
        if isinstance(opened, Plain):
            yield key, self.decode(opened.data, shown(key), path)
            return
        if isinstance(opened, Converted):
            yield from opened.among(key)
            return
        try:
            for name, item in opened.files:
                try:
                    if isinstance(item, Unreadable):
                        raise Unusable(f"{path}/{name}", item.reason, item.remedy)
                    yield from self.texts_of(item, f"{key}/{name}" if key else name, f"{path}/{name}")
                except Unusable as bad:
                    self.refuse(bad)
        except Unreadable as problem:
            raise Unusable(path, problem.reason, problem.remedy) from None

    def read(self, source: Source, stdin: BinaryIO | None) -> tuple[bytes, str]:
        """The bytes of ``source`` and its name for people."""
        if source.kind == "stdin":
            if stdin is None:
                raise UsageError("There is no standard input to read; name a file instead of -.")
            data, name = stdin.read(), "standard input"
        else:
            data, name = read_file(source.path), shown(os.path.basename(source.path))
            self.note_file(source.path, hashlib.sha256(data).hexdigest())
        self.bytes += len(data)
        self.check_memory(len(data))
        self.tick()
        return data, name

    def check_memory(self, size: int) -> None:
        """Raise UsageError when memory has run short, after ``size`` more bytes; asked now and then only."""
        self.unchecked += size
        if self.unchecked >= _CHECKED_AFTER:
            require_memory(size)
            self.unchecked = 0

    def park(self, source: Source) -> Parked | None:
        """A large file that is plain text, or None for every other one."""

        def read(count: int) -> None:
            self.bytes += count
            self.tick()

        name = shown(os.path.basename(source.path))
        parked = park_file(source.path, name, raw=self.raw, read=read)
        if parked is not None:
            self.note_file(source.path, parked.sha256)
        return parked

    def note_file(self, path: str, sha256: str) -> None:
        """Keep the digest of a file; when a recorded run is read again, it must be the digest of then."""
        if self.expected is not None and self.expected[path] != sha256:
            raise UsageError(f"{shown(path)} has changed since the run began; put it back, or ask again.")
        self.files.append((path, sha256))

    def decode(self, data: bytes, name: str, path: str) -> bytes:
        """``data`` as UTF-8, the very same object when it is that already."""
        try:
            text, encoding = to_utf8(data)
        except BinaryFile as kind:
            way = "ask without --raw, leave it out" if self.raw else "leave it out"
            raise Unusable(path, f"is binary ({kind})", way) from None
        if encoding:
            self.encodings.append(f"{name}: read as {encoding}")
        return text

    def refuse(self, bad: Unusable) -> None:
        """Skip a bad file where that is wanted, else say what to do.

        When a recorded run is read again, what was bad in an archive is left out again.
        """
        if not self.skip_bad and (self.expected is None or bad.path in self.expected):
            where = "Standard input" if bad.path == STDIN else shown(bad.path)
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
        said = self.opener.notes
        notes += said[:10]
        if len(said) > 10:
            notes.append(f"{len(said) - 10:,} more notes on documents.")
        return (*notes, *self.notes, *([self.skipped()] if self.bad else []))


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
