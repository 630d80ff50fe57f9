"""Documents on the command line: converted, refused with a way on, or taken as they are."""

from pathlib import Path

from command_bench import InProcess

from support import documents as make
from support.mock_server import running_server
from support.scripted import block

PAGES = make.pdf([["Invoice 7", "Total: 12"], ["Invoice 8", "Total: 30"]])
SUM = block("answer(sum(int(re.search(r'Total: (\\d+)', page)[1]) for page in context))")


def test_a_question_about_a_document(habit: InProcess, own_place: Path) -> None:
    (own_place / "invoices.pdf").write_bytes(PAGES)
    with running_server([SUM]) as server:
        model = ["--model", "mock", "--base-url", server.url]
        result = habit("ask", "What is the total?", "invoices.pdf", "--returns", "int", *model)
    assert (result.code, result.out) == (0, "42\n")


def test_raw_and_broken_documents(habit: InProcess, own_place: Path) -> None:
    (own_place / "page.html").write_text("<!doctype html><p>x</p>")
    (own_place / "broken.pdf").write_bytes(PAGES[:50])
    with running_server([block("answer(context)")] * 3) as server:
        model = ["--model", "mock", "--base-url", server.url]
        assert habit("ask", "?", "page.html", *model).out == "x\n"
        assert habit("ask", "?", "page.html", "--raw", *model).out == "<!doctype html><p>x</p>\n"
        refused = habit("ask", "?", "broken.pdf", *model)
        assert refused.code == 2
        assert "broken.pdf is a PDF that ends too early" in refused.err
        skipped = habit("ask", "?", ".", "--skip-bad", *model)
        assert "Skipped 1 file: " in skipped.err
