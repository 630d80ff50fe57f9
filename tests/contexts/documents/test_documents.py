"""Each kind of document, made by the tests, comes back with what is in it and where it ends."""

import datetime
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pytest

from habit.contexts.context import Context
from habit.contexts.load import load, reload
from habit.errors import UsageError
from habit.sandbox.cpython.inside.helpers import Helpers
from support import documents as make

Loaded = Callable[..., Context]


def helpers(context: Any) -> Helpers:
    return Helpers(context, lambda *_: [])


def test_a_pdf_is_the_list_of_its_pages(loaded: Loaded) -> None:
    context = loaded("a.pdf", make.pdf([["Größe (m)", "1\\2"], ["The end"], []]))
    assert context.value() == ["Größe (m)\n1\\2", "The end", ""]
    assert (context.kind, context.origin) == ("json", "a.pdf")
    assert context.notes == ("a.pdf: 1 of 3 pages hold no text, only pictures or nothing.",)


def test_a_word_document_is_markdown(loaded: Loaded) -> None:
    blocks = [
        ("Title", "Report"),
        ("Heading 1", "First part"),
        ("", "Some <text> & a_b * c, über"),
        ("page", ""),
        ("Heading 2", "Second"),
        ("table", [["name", "n"], ["x", "1"]]),
    ]
    context = loaded("a.docx", make.docx(blocks))
    assert context.kind == "text"
    assert context.value() == (
        "# Report\n\n# First part\n\nSome <text> & a_b * c, über\n\n---\n\n## Second\n\n"
        "| name | n |\n| --- | --- |\n| x | 1 |"
    )
    assert [part.split("\n")[0] for part in helpers(context.value()).parts()] == [
        "# Report",
        "# First part",
        "## Second",
    ]


COSTS = [["item", "cost", "when", "paid"], ["a,b", 2, datetime.date(2026, 1, 31), True], ["ü", 2.5, None, False]]


def test_a_workbook_is_its_sheets_by_name_and_their_rows_by_column(loaded: Loaded) -> None:
    sheets = {"Costs": COSTS, "Empty": [], "Free": [["a title"], ["x", 1]]}
    assert loaded("a.xlsx", make.xlsx(sheets)).value() == {
        "Costs": [
            {"item": "a,b", "cost": 2, "when": "2026-01-31", "paid": True},
            {"item": "ü", "cost": 2.5, "when": None, "paid": False},
        ],
        "Free": [["a title", None], ["x", 1]],
    }


def test_a_workbook_with_one_sheet_is_its_rows(loaded: Loaded) -> None:
    rows = loaded("a.xlsx", make.xlsx({"Only": [["a", "b"], [1, "x"]], "Empty": []})).value()
    assert rows == [{"a": 1, "b": "x"}]
    assert helpers(rows).table() == rows


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([["a", "b"], [1, 2]], [{"a": 1, "b": 2}]),
        ([["a", "a"], [1, 2]], [["a", "a"], [1, 2]]),
        ([["a", 2025], [1, 2]], [["a", 2025], [1, 2]]),
        ([["a", None, "c"], [1, 2, 3]], [["a", None, "c"], [1, 2, 3]]),
        ([["a"], [1, 2]], [["a", None], [1, 2]]),
        ([["a", "b"]], [["a", "b"]]),
        ([[], ["a", "b"], [1], [None, None], [3, 4]], [{"a": 1, "b": None}, {"a": None, "b": None}, {"a": 3, "b": 4}]),
    ],
)
def test_rows_have_names_if_the_first_row_names_every_column(
    loaded: Loaded, rows: list[list[Any]], expected: list[Any]
) -> None:
    assert loaded("a.xlsx", make.xlsx({"S": rows})).value() == expected


def test_an_open_document_workbook_is_read_too(loaded: Loaded) -> None:
    assert loaded("a.ods", make.ods([["name", "n"], ["x", "y"]])).value() == [{"name": "x", "n": "y"}]


def test_sheets_among_other_files_are_csv_that_table_reads(here: Path) -> None:
    (here / "a.xlsx").write_bytes(make.xlsx({"Costs": COSTS, "More": [["k"], ["v"]]}))
    (here / "b.xlsx").write_bytes(make.xlsx({"One": [["k", "n"], ["v", 1]]}))
    value = load(["."]).value()
    assert list(value) == ["a.xlsx/Costs", "a.xlsx/More", "b.xlsx"]
    assert value["a.xlsx/Costs"] == 'item,cost,when,paid\n"a,b",2,2026-01-31,true\nü,2.5,,false\n'
    assert helpers(value).table(value["a.xlsx/Costs"])[1] == {"item": "ü", "cost": 2.5, "when": "", "paid": "false"}
    assert helpers(value).table(value["b.xlsx"]) == [{"k": "v", "n": 1}]


def test_a_presentation_is_the_list_of_its_slides(loaded: Loaded) -> None:
    slides = [("Hello\vworld", ["one", "two"], "say this"), ("Numbers", [], "")]
    assert loaded("a.pptx", make.pptx(slides, table=True, chart=True)).value() == [
        "## Hello world\n\none\ntwo\n\nNotes: say this",
        "## Numbers\n\n| item | count |\n| --- | --- |\n| apples | 3 \\| 4 |\n\n"
        "Chart:\n|  | sales |\n| --- | --- |\n| north | 1.5 |\n| south | 2 |",
    ]


def test_a_book_is_the_list_of_its_chapters(loaded: Loaded) -> None:
    book = make.epub(["<h1>One</h1><p>Once &amp; upon</p>", " ", "<h1>Two</h1><p>The end</p>"])
    assert loaded("a.epub", book).value() == ["# One\n\nOnce & upon", "# Two\n\nThe end"]


HEAD = (
    "From: Ada Lovelace <ada@example.org>\nTo: Charles Babbage <charles@example.org>\n"
    "Date: Mon, 02 Nov 2026 09:30:00 +0000\nSubject: {}\n{}\n"
)


def test_an_e_mail_is_its_headers_its_text_and_the_names_of_what_is_attached(loaded: Loaded) -> None:
    mail = make.message("Größe", "Dear Charles,\n\n1 < 2 é\n", html="<p>other</p>", attachments={"a b.pdf": b"%PDF-1"})
    expected = HEAD.format("Größe", "Attachments: a b.pdf (application/pdf)\n") + "Dear Charles,\n\n1 < 2 é"
    assert loaded("a.eml", mail.as_bytes()).value() == expected
    page = make.message("Hi", "", html="<h1>Title</h1><p>see <a href='https://x.example/'>this</a></p>")
    assert (
        loaded("b.eml", page.as_bytes()).value() == HEAD.format("Hi", "") + "# Title\n\nsee [this](https://x.example/)"
    )


def test_headers_and_charsets_of_e_mails_are_decoded(loaded: Loaded) -> None:
    head = (
        b"Received: x\r\nSUBJECT: =?utf-8?q?Gr=C3=B6=C3=9Fe?= and\r\n more\r\nFrom: =?nonsense?b?w4RkYQ==?= <a@b.c>\r\n"
    )
    text = head + b"Content-Type: text/plain; charset=nonsense\r\n\r\nh\xc3\xa9\r\nFrom x\r\n"
    expected = "From: =?nonsense?b?w4RkYQ==?= <a@b.c>\nSubject: Größe and more\n\nhé\nFrom x"
    assert loaded("a.eml", text).value() == expected
    assert loaded("a.mbox", b"From me\n" + text.replace(b"\r", b"")).value() == [expected]


def test_an_e_mail_that_is_all_attachment_says_so(loaded: Loaded) -> None:
    data = b"Subject: x\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n\nJVBERi0=\n"
    assert loaded("a.eml", data).value() == "Subject: x\nAttachments: without a name (application/pdf)\n\n"


def test_a_message_in_a_message_is_read_too(loaded: Loaded) -> None:
    outer = make.message("Fwd", "Look:")
    outer.add_attachment(make.message("Inner", "the point", attachments={"x.pdf": b"%"}))
    text = loaded("a.eml", outer.as_bytes()).value()
    assert (
        text
        == HEAD.format("Fwd", "Attachments: a message\n")
        + "Look:\n\n--- Attached message ---\n"
        + HEAD.format("Inner", "Attachments: x.pdf (application/pdf)\n")
        + "the point"
    )


def test_a_mailbox_is_the_list_of_its_messages(loaded: Loaded) -> None:
    box = make.mbox([make.message("One", "From me\n\nFrom you\n"), make.message("Two", "y")])
    assert loaded("a.mbox", box).value() == [
        HEAD.format("One", "") + "From me\n\nFrom you",
        HEAD.format("Two", "") + "y",
    ]


def test_a_notebook_is_the_list_of_its_cells(loaded: Loaded) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "words"]},
        {
            "cell_type": "code",
            "source": "print('```')",
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": ["```\n"]},
                {"output_type": "display_data", "data": {"image/png": "iVBO", "text/plain": ["<Figure>"]}},
                {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []},
            ],
        },
    ]
    assert loaded("a.ipynb", make.notebook(cells)).value() == [
        "# Title\nwords",
        "````python\nprint('```')\n````\n\n````output\n```\n<Figure>\nValueError: no\n````",
    ]


PAGE = """<!-- saved --><!DOCTYPE html><html><head><meta charset="windows-1252"><title>A &amp; b</title>
<style>p {color: red}</style><script>let x = "<p>no</p>"</script></head><body><nav><a href="/home">Home</a></nav>
<h2>Größe</h2><p>1 &lt; 2, a_b*c</p><ul><li>one<li>two</ul><img src="data:image/png;base64,AAAA" alt="a dot">
<table><tr><th>k<th>n<tr><td>x<td>1</table></body></html>"""


def test_a_notebook_of_the_old_format_is_read_too(loaded: Loaded) -> None:
    cell = {"cell_type": "code", "input": "1+1", "outputs": [{"output_type": "pyout", "text": ["2"]}]}
    data = json.dumps({"worksheets": [{"cells": [cell]}], "metadata": {}}).encode()
    assert loaded("a.ipynb", data).value() == ["```python\n1+1\n```\n\n```output\n2\n```"]


def test_a_web_page_is_markdown(loaded: Loaded) -> None:
    expected = (
        "Title: A & b\n\n[Home](/home)\n\n## Größe\n\n1 < 2, a_b*c\n\n- one\n- two\n\na dot\n\n"
        "| k | n |\n| --- | --- |\n| x | 1 |"
    )
    assert loaded("a.html", PAGE.encode("cp1252")).value() == expected
    assert loaded("b.htm", PAGE.encode()).value() == expected


def test_a_page_in_another_encoding_is_read(loaded: Loaded) -> None:
    assert loaded("a.html", "<!doctype html><p>Größe".encode("utf-16")).value() == "Größe"
    assert loaded("b.html", "\ufeff <html><p>Größe".encode()).value() == "Größe"
    assert loaded("c.html", "<html><meta charset=nonsense><p>Größe der Bäume".encode("cp1252")).value() == (
        "Größe der Bäume"
    )


def test_what_is_nested_too_deeply_in_a_page_is_missed_with_a_note(loaded: Loaded) -> None:
    context = loaded("a.html", b"<!doctype html>" + b"<div>" * 5000 + b"deep" + b"</div>" * 5000 + b"<p>after")
    assert context.value() == "after"
    assert context.notes == ("a.html: parts of it are nested too deeply and were left out.",)


def test_what_only_looks_like_a_page_is_text(loaded: Loaded) -> None:
    template = b"{% extends 'base.html' %}\n<p>{{ name }}</p>\n"
    assert loaded("template.html", template).value() == template.decode()
    assert loaded("page.txt", PAGE.encode()).value() == PAGE
    assert load(["-"], stdin=io.BytesIO(PAGE.encode())).value() == PAGE


def test_a_database_is_its_tables_and_their_rows(loaded: Loaded, here: Path) -> None:
    data = make.sqlite(
        here / "a.db",
        'CREATE TABLE "we""ird name" (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT, blob BLOB, big)',
        "INSERT INTO \"we\"\"ird name\" VALUES (1, 'ü', x'ff00', 9007199254740993), (2, NULL, x'6869', 1.5)",
        "CREATE TABLE bare (a)",
        "CREATE VIEW seen AS SELECT 1",
        "CREATE VIRTUAL TABLE words USING fts5(word)",
    )
    context = load(["a.db"])
    assert context.value() == {
        'we"ird name': [
            {"id": 1, "text": "ü", "blob": "/wA=", "big": 9007199254740993},
            {"id": 2, "text": None, "blob": "hi", "big": 1.5},
        ],
        "bare": [],
    }
    assert context.notes == ("a.db: tables without rows: bare.",)
    assert (here / "a.db").read_bytes() == data
    assert sorted(path.name for path in here.iterdir()) == ["a.db"]


def test_a_database_that_is_in_use_is_read_as_it_is_on_disk(here: Path) -> None:
    import sqlite3

    make.sqlite(here / "a.db", "PRAGMA journal_mode = WAL", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    writer = sqlite3.connect(here / "a.db", isolation_level=None)
    try:
        writer.execute("INSERT INTO t VALUES (2)")
        context = load(["a.db"])
    finally:
        writer.close()
    assert context.value() == [{"a": 1}]
    assert context.notes == ("a.db: changes in a.db-wal are not seen; close the program that uses it.",)


def test_a_parquet_file_is_its_rows(loaded: Loaded) -> None:
    columns = {
        "n": [1, None],
        "money": pyarrow.array([Decimal("12.50"), Decimal("99999999999999999.01")]),
        "at": [datetime.datetime(2026, 1, 2, 3, 4, 5), None],
        "tags": [["a", "b"], []],
        "inner": [{"x": 1.0}, {"x": float("nan")}],
    }
    rows = loaded("a.parquet", make.parquet(columns)).value()
    assert rows == [
        {"n": 1, "money": 12.5, "at": "2026-01-02T03:04:05", "tags": ["a", "b"], "inner": {"x": 1}},
        {"n": None, "money": "99999999999999999.01", "at": None, "tags": [], "inner": {"x": None}},
    ]


EACH = {
    "a.pdf": make.pdf([["Page one"], ["Page two"]]),
    "a.docx": make.docx([("Heading 1", "Title"), ("", "words")]),
    "a.xlsx": make.xlsx({"Sheet": [["a", "b"], [1, 2]]}),
    "a.pptx": make.pptx([("Title", ["line"], "")]),
    "a.epub": make.epub(["<p>chapter</p>"]),
    "a.eml": make.message("Subject", "body").as_bytes(),
    "a.mbox": make.mbox([make.message("Subject", "body")]),
    "a.ipynb": make.notebook([{"cell_type": "markdown", "source": "words"}]),
    "a.html": b"<!doctype html><p>words</p>",
    "a.parquet": make.parquet({"a": [1]}),
}


def test_documents_in_a_folder_are_texts_with_their_boundaries_as_headings(here: Path) -> None:
    for name, data in EACH.items():
        (here / name).write_bytes(data)
    make.sqlite(here / "a.db", "CREATE TABLE t (a, b)", "INSERT INTO t VALUES (1, 'x,y')")
    (here / "plain.txt").write_text("plain")
    context = load(["."])
    value = context.value()
    assert value["a.pdf"] == "# Page 1\n\nPage one\n\n# Page 2\n\nPage two"
    assert helpers(value).parts(value["a.pdf"]) == ["# Page 1\n\nPage one\n\n", "# Page 2\n\nPage two"]
    assert value["a.docx"] == "# Title\n\nwords"
    assert value["a.xlsx"] == "a,b\n1,2\n"
    assert value["a.pptx"] == "# Slide 1\n\n## Title\n\nline"
    assert value["a.epub"] == "# Chapter 1\n\nchapter"
    assert value["a.eml"] == HEAD.format("Subject", "") + "body"
    assert value["a.mbox"] == "# Message 1\n\n" + HEAD.format("Subject", "") + "body"
    assert value["a.ipynb"] == "# Cell 1\n\nwords"
    assert value["a.html"] == "words"
    assert value["a.parquet"] == "a\n1\n"
    assert value["a.db"] == 'a,b\n1,"x,y"\n'
    assert value["plain.txt"] == "plain"
    assert len(value) == len(EACH) + 2
    again = reload(context.record())
    assert (again.payload, again.files) == (context.payload, context.files)


@pytest.mark.parametrize("name", EACH)
def test_a_document_is_read_the_same_again(loaded: Loaded, name: str) -> None:
    context = loaded(name, EACH[name])
    again = reload(context.record())
    assert (again.kind, again.payload, again.digest, again.files) == (
        context.kind,
        context.payload,
        context.digest,
        context.files,
    )


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.xlsx", "a.pptx", "a.epub", "a.parquet"])
def test_a_wrong_ending_does_not_matter_nor_does_none(loaded: Loaded, name: str, here: Path) -> None:
    expected = loaded(name, EACH[name]).value()
    wrong = "b.docx" if name == "a.pdf" else "b.pdf"
    for other in (wrong, "b.txt", "b"):
        assert loaded(other, EACH[name]).value() == expected
    assert load(["-"], stdin=io.BytesIO(EACH[name])).value() == expected


def test_an_archive_called_like_a_document_is_an_archive(loaded: Loaded) -> None:
    assert loaded("a.docx", make.zipped({"a.txt": "a"})).value() == {"a.txt": "a"}
    assert loaded("a.pdf", make.tarred({"a.txt": "a"})).value() == {"a.txt": "a"}


@pytest.mark.parametrize("name", ["a.pdf", "a.xls", "a.docx", "a.zip", "a.tar", "a.parquet"])
def test_a_text_that_is_called_like_a_document_is_text(loaded: Loaded, name: str) -> None:
    assert loaded(name, b"a\tb\n1\t2\n").value() == "a\tb\n1\t2\n"


def test_raw_takes_files_as_they_are(loaded: Loaded, here: Path) -> None:
    for name in ("a.html", "a.eml", "a.ipynb"):
        context = loaded(name, EACH[name], raw=True)
        assert context.value() == EACH[name].decode()
        assert reload(context.record()).value() == context.value()
    for name in ("a.pdf", "a.docx"):
        with pytest.raises(UsageError, match=r"is binary.*without --raw"):
            loaded(name, EACH[name], raw=True)
