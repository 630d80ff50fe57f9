"""A broken document of each kind gets an error that names it, and is left out with --skip-bad."""

import io
import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from habit.contexts.context import Context
from habit.contexts.documents.convert import Converter
from habit.contexts.documents.converted import Unreadable
from habit.contexts.documents.opening import Members, Opener
from habit.contexts.load import load
from habit.errors import UsageError
from support import documents as make

Loaded = Callable[..., Context]

LONG = [[f"line {n}" for n in range(40)] for _ in range(30)]


def without(data: bytes, member: str) -> bytes:
    """A zip archive without one of its members."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return make.zipped({name: archive.read(name) for name in archive.namelist() if name != member})


def with_member(data: bytes, member: str, content: bytes) -> bytes:
    """A zip archive with another content of one of its members."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return make.zipped({name: archive.read(name) for name in archive.namelist()} | {member: content})


PDF = make.pdf(LONG)
DOCX = make.docx([("", f"paragraph {n}") for n in range(300)])
XLSX = make.xlsx({"Sheet": [[n, f"text {n}"] for n in range(300)]})
PPTX = make.pptx([("Title", ["line"], "")])
EPUB = make.epub(["<p>chapter</p>"])
PARQUET = make.parquet({"a": list(range(1000)), "b": [f"{n}" for n in range(1000)]})
ZIP = make.zipped({"a.txt": "a" * 1000, "b.txt": "b"})
TAR = make.tarred({"a.txt": "a" * 1000, "b.txt": "b"})


def sqlite(here: Path) -> bytes:
    rows = ", ".join(f"({n}, '{'x' * 500}')" for n in range(100))
    return make.sqlite(here / "whole.db", "CREATE TABLE t (a, b)", f"INSERT INTO t VALUES {rows}")


BROKEN: dict[str, tuple[str, bytes, str]] = {
    "pdf cut off": ("a.pdf", PDF[: len(PDF) // 2], "ends too early"),
    "pdf of nothing": ("a.pdf", b"%PDF-1.4\n" + b"\0\xff" * 500 + b"%%EOF", "is a PDF that cannot be read"),
    "pdf without text": ("a.pdf", make.pdf([[], []]), "holds no text, only pictures.*ocrmypdf"),
    "docx cut off": ("a.docx", DOCX[: len(DOCX) // 2], "is a Word document that cannot be read"),
    "docx of bad xml": ("a.docx", with_member(DOCX, "word/document.xml", b"<w:document"), "is a Word document that"),
    "docx of noise": ("a.docx", b"\0\xff" * 500, "is a Word document that cannot be read"),
    "xlsx cut off": ("a.xlsx", XLSX[: len(XLSX) // 2], "is a workbook that cannot be read"),
    "xlsx without a sheet": ("a.xlsx", without(XLSX, "xl/worksheets/sheet1.xml"), "is a workbook that cannot be read"),
    "xlsx of noise": ("a.xls", b"\0\xff" * 500, "is a workbook that cannot be read"),
    "xlsx of nothing": ("a.xlsx", make.xlsx({"Sheet": []}), "is a workbook with nothing to read in it"),
    "pptx cut off": ("a.pptx", PPTX[: len(PPTX) // 2], "is a presentation that cannot be read"),
    "pptx without parts": ("a.pptx", without(PPTX, "ppt/slides/slide1.xml"), "is a presentation that cannot be read"),
    "epub cut off": ("a.epub", EPUB[: len(EPUB) // 2], "is an EPUB book that cannot be read"),
    "epub without a chapter": ("a.epub", without(EPUB, "OEBPS/text/chapter 1.xhtml"), "is an EPUB book that"),
    "epub of nothing": ("a.epub", make.epub([" "]), "is an EPUB book with nothing to read"),
    "mail that is none": ("a.eml", b"\n\nHello there\n", "does not begin as an e-mail does.*--raw"),
    "mailbox that is none": ("a.mbox", b"Hello\n", "does not begin as a mailbox does.*--raw"),
    "notebook cut off": ("a.ipynb", b'{"cells": [', "is no valid notebook.*--raw"),
    "notebook without cells": ("a.ipynb", b'{"a": 1}', "is no notebook"),
    "notebook of strange cells": ("a.ipynb", b'{"cells": [], "metadata": []}', "is a notebook that cannot be read"),
    "page of nothing": ("a.html", b"<!doctype html><p> </p>", "is a web page with nothing to read"),
    "parquet cut off": ("a.parquet", PARQUET[: len(PARQUET) // 2], "is a Parquet file that cannot be read"),
    "parquet of noise": ("a.parquet", b"PAR1" + b"\0\xff" * 500 + b"PAR1", "is a Parquet file that cannot be read"),
    "zip cut off": ("a.zip", ZIP[: len(ZIP) // 2], "is a zip archive that cannot be unpacked"),
    "tar cut off": ("a.tar", TAR[:1000], "is a tar archive that cannot be unpacked"),
    "tar of noise": ("a.tar", b"\0\xff" * 5000, "is a tar archive that cannot be unpacked"),
    **{f"{e} cut off": (f"a{e}", pack(PDF)[:-30], "cannot be unpacked") for e, pack in make.COMPRESSIONS.items()},
    "old office": (
        "a.doc",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "WordDocument".encode("utf-16-le"),
        "save it as .docx",
    ),
    "encrypted office": (
        "a.docx",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
        "is encrypted with a password; save it without",
    ),
    "open document": (
        "a.odt",
        make.zipped({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "<a/>"}),
        "is an OpenDocument file; save it as .docx",
    ),
}


@pytest.mark.parametrize(("name", "data", "problem"), BROKEN.values(), ids=BROKEN)
def test_a_broken_document_is_named_or_skipped(
    loaded: Loaded, here: Path, name: str, data: bytes, problem: str, kept: Callable[[], list[Path]]
) -> None:
    with pytest.raises(UsageError, match=f"{re.escape(name)} .*{problem}") as raised:
        loaded(name, data)
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith("or skip such files (--skip-bad).")
    with pytest.raises(UsageError, match=f"Skipped 1 file: .*{re.escape(name)}.*Nothing is left"):
        load([name], skip_bad=True)
    (here / "good.txt").write_text("good")
    context = load(["."], skip_bad=True)
    assert context.value() == {"good.txt": "good"}
    [note] = context.notes
    assert re.search(f"Skipped 1 file: .*{re.escape(name)} ", note)
    assert kept() == []


def test_a_broken_database_is_named(loaded: Loaded, here: Path) -> None:
    data = sqlite(here)
    for broken in (data[: len(data) // 2], data[:4096] + b"\xff" * (len(data) - 4096), data[:100] + b"\0" * 5000):
        with pytest.raises(UsageError, match=r"a\.db is an SQLite database that cannot be read"):
            loaded("a.db", broken)


def test_a_document_with_a_password_is_named(loaded: Loaded) -> None:
    trailer = b"/Root 1 0 R /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <" + b"00" * 32 + b"> /U <" + b"11" * 32
    data = make.pdf([["secret"]]).replace(b"/Root 1 0 R", trailer + b"> >> /ID [<00> <00>]")
    with pytest.raises(UsageError, match=r"a\.pdf is encrypted with a password; decrypt it first"):
        loaded("a.pdf", data)


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.html", "a.ipynb", "a.zip", "a.parquet", "a.db", "a.eml"])
def test_an_empty_file_is_an_empty_text(loaded: Loaded, name: str) -> None:
    context = loaded(name, b"")
    assert (context.kind, context.payload, context.notes) == ("text", b"", (f"{name} is empty.",))


def test_a_cut_off_mail_is_read_with_a_note(loaded: Loaded) -> None:
    data = make.message("Hi", "the body", attachments={"x.pdf": b"%PDF"}).as_bytes()
    context = loaded("a.eml", data[: data.rindex(b"--")])
    assert "the body" in context.value()
    assert context.notes == ("a.eml: its last part is cut off.",)


@pytest.mark.parametrize("package", ["pypdfium2", "mammoth", "html-to-markdown", "python-calamine", "python-pptx"])
def test_a_missing_converter_is_named(loaded: Loaded, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    from habit.contexts.documents import convert

    def version(name: str) -> str:
        if name == package:
            raise importlib.metadata.PackageNotFoundError(name)
        return "1"

    files = {
        "pypdfium2": ("a.pdf", PDF),
        "mammoth": ("a.docx", DOCX),
        "html-to-markdown": ("a.html", b"<!doctype html><p>x</p>"),
        "python-calamine": ("a.xlsx", XLSX),
        "python-pptx": ("a.pptx", PPTX),
    }
    convert._version.cache_clear()
    monkeypatch.setattr(importlib.metadata, "version", version)
    name, data = files[package]
    ways = r"install it \(pip install 'habit\[docs\]'\)" + (r", take it as it is \(--raw\)" if name == "a.html" else "")
    with pytest.raises(UsageError, match=f"{re.escape(name)} needs a converter; {ways}, or skip such files"):
        loaded(name, data)
    convert._version.cache_clear()


def test_noise_of_any_kind_never_gets_past_a_named_error() -> None:
    """Whole documents with some of their bytes changed: read, or refused with a reason."""
    whole = {"a.pdf": PDF, "a.docx": DOCX, "a.xlsx": XLSX, "a.pptx": PPTX, "a.epub": EPUB, "a.parquet": PARQUET}
    dice = random.Random(7)
    reasons: list[str] = []
    with Converter(None) as converter:
        for name, data in (whole | {"a.zip": ZIP, "a.tar": TAR}).items():
            for changes in [1, 8, 64] * 5:
                broken = bytearray(data)
                for _ in range(changes):
                    broken[dice.randrange(len(broken))] = dice.randrange(256)
                try:
                    opened = Opener(converter).open(bytes(broken), name)
                    if isinstance(opened, Members):
                        list(opened.files)
                except Unreadable as problem:
                    reasons.append(problem.reason)
    assert len(reasons) > 20
    assert all(reason.isprintable() for reason in reasons)


def test_a_sheet_that_claims_to_be_huge_does_no_harm(loaded: Loaded) -> None:
    """A cell far away makes a rectangle of sixteen thousand million cells."""
    with zipfile.ZipFile(io.BytesIO(XLSX)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml")
    far = sheet.replace(b"</sheetData>", b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>')
    with pytest.raises(
        UsageError, match=r"a\.xlsx (is a workbook that breaks|takes too|is too|is a workbook that cannot)"
    ):
        loaded("a.xlsx", with_member(XLSX, "xl/worksheets/sheet1.xml", far))
