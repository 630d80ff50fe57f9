"""The converting process: what a hostile document does there harms nobody but itself."""

import io
import os
import signal
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from habit.contexts.documents import convert
from habit.contexts.documents.cache import ConversionCache
from habit.contexts.documents.convert import Converter
from habit.contexts.documents.converted import Unreadable
from habit.contexts.documents.kinds import DOCX, EPUB, PDF, SHEETS, SLIDES, Kind
from support import documents as make

HOSTILE = Kind("a hostile document", "support.hostile_reader")


@pytest.fixture
def converter() -> Iterator[Converter]:
    with Converter(None, seconds=2, memory=512 << 20, output=1 << 20) as converter:
        yield converter


def says(converter: Converter, command: str) -> str:
    value: str = converter.convert(command.encode(), HOSTILE).value
    return value


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("endless", "takes too long"),
        ("asleep", "takes too long"),
        (f"eat {2 << 30}", "takes too much memory"),
        (f"long {2 << 20}", "is too large when converted"),
        (f"die {signal.SIGSEGV.value}", "is a hostile document that cannot be read"),
        (f"die {signal.SIGKILL.value}", "takes too long or too much memory"),
        ("kill-parent", "is a hostile document that breaks its converter"),
        ("leave 0", "is a hostile document that breaks its converter"),
        ("leave 2", "is a hostile document that cannot be read"),
        ("refuse like that", "is like that"),
        ("fail so \x07 and\nso", r"is a hostile document that cannot be read \(so \? and so\)"),
        ("say  ", "with nothing to read"),
    ],
)
def test_a_document_harms_only_itself(converter: Converter, command: str, problem: str) -> None:
    assert says(converter, "say before") == "before"
    with pytest.raises(Unreadable) as raised:
        says(converter, command)
    assert raised.match(problem)
    assert says(converter, "say after") == "after"


@pytest.mark.parametrize(
    "command",
    [
        "connect {port}",
        "resolve example.com",
        "fetch http://127.0.0.1:{port}/",
        "fetch file://{secret}",
        "run cat {secret}",
        "system cat {secret}",
        "open {secret}",
        "open /etc/passwd",
        "open /proc/self/environ",
        "write {new}",
    ],
)
def test_a_document_reaches_neither_the_network_nor_files_nor_programs(
    converter: Converter, command: str, here: Path
) -> None:
    secret, new = here / "secret", here / "new"
    secret.write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(Unreadable, match=r"cannot be read .*must not"):
            says(converter, command.format(port=port, secret=secret, new=new))
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert not new.exists()


def test_the_process_knows_nothing_of_our_environment(converter: Converter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert "secret" not in says(converter, "environment")


def test_each_document_has_a_process_of_its_own_and_all_are_gone_in_the_end() -> None:
    with Converter(None) as converter:
        pids = {int(says(converter, "pid " + str(n))) for n in range(5)}
        process = converter._process
        assert process is not None
        pids.add(process.pid)
        assert len(pids) == 6
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_waiting_can_be_ended_from_outside() -> None:
    """By an exception from the tick: as when the run is cancelled."""
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 3:
            raise InterruptedError

    with Converter(None, tick) as converter:
        with pytest.raises(InterruptedError):
            says(converter, "asleep")
        assert converter._process is None
        assert says(converter, "say again") == "again"


def test_a_large_document_and_a_large_result_go_through(converter: Converter) -> None:
    with Converter(None) as roomy:
        assert len(says(roomy, f"long {40 << 20}")) == 40 << 20
        assert len(says(roomy, "say " + "y" * (40 << 20))) == 40 << 20


def test_what_the_process_says_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has been taken over may send anything."""
    for frame in (
        b"\xff" * 16,
        (1 << 40).to_bytes(8, "big") + bytes(8),
        (2).to_bytes(8, "big") + (1 << 50).to_bytes(8, "big") + b"{}",
        (2).to_bytes(8, "big") + bytes(8) + b"[]",
        (2).to_bytes(8, "big") + bytes(8) + b"{}",
        (13).to_bytes(8, "big") + (2).to_bytes(8, "big") + b'{"status": 0}' + b"{}",
        (13).to_bytes(8, "big") + (9).to_bytes(8, "big") + b'{"status": 0}' + b"[[[[[[[[[",
        b"short",
    ):
        program = f"import sys; sys.stdout.buffer.write({frame!r}); sys.stdout.flush(); sys.stdin.read(50)"
        monkeypatch.setattr(convert, "_START", program.replace("{", "{{").replace("}", "}}"))
        with Converter(None) as converter, pytest.raises(Unreadable, match="is a hostile document that"):
            says(converter, "say x")


def test_no_xml_bomb_goes_off(converter: Converter) -> None:
    entities = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(12))
    bomb = f'<!DOCTYPE x [<!ENTITY e0 "ha">{entities}]>'
    outside = '<!DOCTYPE x [<!ENTITY e12 SYSTEM "file:///etc/passwd">]>'
    for kind, name, members in (
        (DOCX, "word/document.xml", make.docx([("", "x")])),
        (EPUB, "OEBPS/book.opf", make.epub(["<p>x</p>"])),
        (SLIDES, "ppt/slides/slide1.xml", make.pptx([("Title", ["x"], "")])),
        (SHEETS, "xl/sharedStrings.xml", make.xlsx({"S": [["x"]]})),
    ):
        for doctype in (bomb, outside):
            with zipfile.ZipFile(io.BytesIO(members)) as archive:
                changed = {member: archive.read(member) for member in archive.namelist()}
            xml = changed[name].decode()
            head, _, body = xml.rpartition("?>")
            xml = (head + "?>" if head else "") + doctype + body.replace(">x<", ">&e12;<").replace("OEBPS", "&e12;")
            with Converter(None, seconds=5, memory=512 << 20, output=1 << 20) as strict:
                try:
                    text = str(strict.convert(make.zipped({**changed, name: xml}), kind).value)
                except Unreadable as problem:
                    text = problem.reason
            assert "haha" not in text
            assert "root:" not in text


def test_a_bomb_within_a_document_is_stopped_by_the_limits() -> None:
    blank = b" " * (40 << 20)
    body = b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
    with zipfile.ZipFile(io.BytesIO(make.docx([("", "x")]))) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    data = make.zipped({**members, "word/document.xml": body + blank + b"</w:body></w:document>"})
    refused = pytest.raises(Unreadable, match=r"takes too (long|much memory|long or too much memory) to convert")
    with Converter(None, seconds=2, memory=300 << 20) as converter, refused:
        converter.convert(data, DOCX)


def test_many_threads_and_processes_share_a_cache(here: Path, kept: Callable[[], list[Path]]) -> None:
    pages = make.pdf([["One"], ["Two"]])
    seen: list[list[str]] = []

    def work() -> None:
        with Converter(ConversionCache(here.parent / "cache/habit/conversions")) as converter:
            seen.append(converter.convert(pages, PDF).value)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [["One", "Two"]] * 6
    assert len(kept()) == 1
