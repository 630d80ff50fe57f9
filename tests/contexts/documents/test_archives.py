"""Compressed files and archives: read like files and folders, and no way to do harm with them."""

import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from habit.contexts.context import Context
from habit.contexts.documents import archives
from habit.contexts.documents.archives import Allowance, decompress, inner_name
from habit.contexts.documents.converted import Unreadable
from habit.contexts.documents.kinds import compression_of
from habit.contexts.documents.opening import MAX_LAYERS
from habit.contexts.load import load, reload
from habit.errors import UsageError
from support import documents as make

Loaded = Callable[..., Context]
FILES = {"b/c.txt": "é\r\n\0", "a.csv": "k,n\nx,1\n", "data.json": '{"a": 1}', "empty.txt": ""}


@pytest.mark.parametrize("ending", make.COMPRESSIONS)
def test_a_compressed_file_is_its_content(loaded: Loaded, here: Path, ending: str) -> None:
    pack = make.COMPRESSIONS[ending]
    assert loaded(f"log.txt{ending}", pack(b"a\r\nb")).value() == "a\r\nb"
    assert loaded("no ending", pack("é".encode("utf-16"))).value() == "é"
    assert loaded(f"a.json{ending}", pack(b'{"a": [1]}')).value() == {"a": [1]}
    assert loaded(f"a.jsonl{ending}", pack(b"1\n2\n")).value() == [1, 2]
    assert loaded(f"a.pdf{ending}", pack(make.pdf([["One"], ["Two"]]))).value() == ["One", "Two"]
    assert loaded("twice", pack(pack(b"inside"))).value() == "inside"
    assert loaded("parts", pack(b"one ") + pack(b"two")).value() == "one two"
    assert load(["-"], stdin=io.BytesIO(pack(b"piped"))).value() == "piped"
    assert load([f"log.txt{ending}", "twice"]).value() == {f"log.txt{ending}": "a\r\nb", "twice": "inside"}


def test_a_text_that_begins_like_bzip2_is_text(loaded: Loaded) -> None:
    assert loaded("a.txt", b"BZh is not always bzip2").value() == "BZh is not always bzip2"


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz", "a.tar.zst", "a.tar.xz", "a.tbz2", "no ending", "a.whl"])
def test_an_archive_is_like_a_folder(loaded: Loaded, name: str) -> None:
    ending = {".tgz": ".gz", ".tbz2": ".bz2"}.get(os.path.splitext(name)[1], os.path.splitext(name)[1])
    pack = make.COMPRESSIONS.get(ending, bytes)
    is_zip = name in ("a.zip", "a.whl", "no ending")
    context = loaded(name, make.zipped(FILES) if is_zip else pack(make.tarred(FILES)))
    assert context.value() == FILES
    assert list(context.value()) == sorted(FILES)
    assert (context.origin, context.notes) == (f"4 files in {name}", ())
    again = reload(context.record())
    assert (again.payload, again.files) == (context.payload, context.files)


def test_documents_and_archives_in_archives_are_opened_too(loaded: Loaded, here: Path) -> None:
    inner = make.zipped({"deep.txt": "deep", "page.html": "<!doctype html><h1>Hi</h1>"})
    outer = make.tarred({"x.zip": inner, "r.pdf": make.pdf([["One"]]), "l.gz": make.COMPRESSIONS[".gz"](b"log")})
    expected = {"l.gz": "log", "r.pdf": "# Page 1\n\nOne", "x.zip/deep.txt": "deep", "x.zip/page.html": "# Hi"}
    assert loaded("a.tar", outer).value() == expected
    (here / "b.txt").write_text("b")
    context = load(["."])
    assert context.value() == {f"a.tar/{key}": text for key, text in expected.items()} | {"b.txt": "b"}
    assert reload(context.record()).payload == context.payload


def test_an_archive_of_nothing_has_a_note(loaded: Loaded) -> None:
    for name, data in {"a.zip": make.zipped({}), "a.tar": make.tarred({})}.items():
        context = loaded(name, data)
        assert (context.value(), context.notes) == ({}, (f"{name} holds no files.",))


def test_members_that_lead_elsewhere_are_left_out(loaded: Loaded, here: Path) -> None:
    secret = here / "secret"
    secret.write_text("secret")
    bad = {"../up.txt": "x", "/abs.txt": "x", "a/../../up.txt": "x", "C:\\win.txt": "x", "..\\up.txt": "x"}
    good = {"ok.txt": "ok", "./here.txt": "here"}
    values = {"ok.txt": "ok", "here.txt": "here"}
    context = loaded("a.zip", make.zipped(bad | good))
    assert context.value() == values
    assert context.notes == ("a.zip: 5 members with a name that leads out of the archive, left out.",)
    links = [
        make.tar_link("link", str(secret)),
        make.tar_link("up", "../secret"),
        make.tar_link("hard", "secret", tarfile.LNKTYPE),
        make.tar_link("device", "", tarfile.CHRTYPE),
        make.tar_link("fifo", "", tarfile.FIFOTYPE),
    ]
    context = loaded("a.tar", make.tarred(bad | good, *links))
    assert context.value() == values
    assert context.notes == (
        "a.tar: 3 links not followed, left out.",
        "a.tar: 5 members with a name that leads out of the archive, left out.",
    )
    assert sorted(path.name for path in here.iterdir()) == ["a.tar", "a.zip", "secret"]


def test_a_hard_link_within_an_archive_is_the_file_it_links_to(loaded: Loaded) -> None:
    data = make.tarred({"one.txt": "text"}, make.tar_link("two.txt", "one.txt", tarfile.LNKTYPE))
    assert loaded("a.tar", data).value() == {"one.txt": "text", "two.txt": "text"}


def test_a_link_in_a_zip_is_not_followed(loaded: Loaded) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("a.txt", "a")
    context = loaded("a.zip", out.getvalue())
    assert (context.value(), context.notes) == ({"a.txt": "a"}, ("a.zip: 1 link not followed, left out.",))


def test_the_last_of_several_members_with_one_name_counts(loaded: Loaded) -> None:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for text in (b"old", b"new"):
            info = tarfile.TarInfo("a.txt")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
    assert loaded("a.tar", tar.getvalue()).value() == {"a.txt": "new"}


def test_what_belongs_to_other_programs_is_left_out(loaded: Loaded) -> None:
    members = {".git/config": "x", "a/.git/HEAD": "x", "__MACOSX/._a": "x", ".DS_Store": "x", "a/b.txt": "b"}
    assert loaded("a.zip", make.zipped(members)).value() == {"a/b.txt": "b"}


def test_what_is_bad_in_an_archive_is_named_or_skipped(loaded: Loaded, here: Path) -> None:
    data = make.zipped({"good.txt": "good", "in/logo.png": b"\x89PNG\r\n\x1a\n", "cut.pdf": b"%PDF-1.4"})
    with pytest.raises(UsageError, match=r"a\.zip/cut\.pdf is a PDF that ends too early"):
        loaded("a.zip", data)
    context = load(["a.zip"], skip_bad=True)
    assert context.value() == {"good.txt": "good"}
    [note] = context.notes
    assert note.startswith("Skipped 2 files: ")
    assert "a.zip/in/logo.png is binary (a PNG image)" in note
    assert reload(context.record()).payload == context.payload
    folder = load(["."], skip_bad=True)
    assert folder.value() == {"a.zip/good.txt": "good"}
    assert reload(folder.record()).payload == folder.payload


def test_an_encrypted_member_is_named(loaded: Loaded) -> None:
    with pytest.raises(UsageError, match=r"a\.zip/secret\.txt is encrypted with a password; unpack the archive"):
        loaded("a.zip", make.encrypted_zip("secret.txt"))


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_an_archive_that_turns_out_bad_leaves_nothing_behind(
    loaded: Loaded, here: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    members = {f"{n}.txt": "x" for n in range(5)}
    (here / "good.txt").write_text("good")
    pack = make.zipped if name == "a.zip" else make.tarred
    monkeypatch.setattr(Allowance, "for_file", classmethod(lambda cls, size: cls(1000, 3)))
    with pytest.raises(UsageError, match=rf"{name} has more than 3 members; unpack it yourself if you trust it"):
        loaded(name, pack(members))
    context = load(["."], skip_bad=True)
    assert context.value() == {"good.txt": "good"}
    assert reload(context.record()).payload == context.payload


@pytest.mark.parametrize("ending", [*make.COMPRESSIONS, ".zip", ".tar.gz", ".zip of zips"])
def test_a_bomb_is_refused_without_being_unpacked(loaded: Loaded, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Allowance, "for_file", classmethod(lambda cls, size: cls(3 << 20)))
    long = b"a" * (8 << 20)
    if ending == ".zip":
        data = make.zipped({"a": long})
    elif ending == ".tar.gz":
        data = make.COMPRESSIONS[".gz"](make.tarred({"a": long}))
    elif ending == ".zip of zips":
        inner = make.zipped({"a": long[: 1 << 20]})
        data = make.zipped({f"{n}.zip": inner for n in range(8)})
    else:
        data = make.COMPRESSIONS[ending](long)
    with pytest.raises(UsageError, match="unpacks to far more than its size; unpack it yourself if you trust it"):
        loaded(f"a{ending}", data)
    with pytest.raises(UsageError, match="Skipped 1 file"):
        load([f"a{ending}"], skip_bad=True)


def test_a_file_may_unpack_to_two_hundred_times_its_size() -> None:
    small, large, huge = (Allowance.for_file(size).bytes for size in (10, 10 << 20, 10 << 30))
    assert (small, large, huge) == (256 << 20, 2000 << 20, 4 << 30)


def test_a_sparse_member_that_claims_terabytes_is_refused(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tarfile.TarInfo("huge")
    info.type, info.size = tarfile.REGTYPE, 0
    info.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": str(1 << 42)}
    info.pax_headers |= {"GNU.sparse.name": "huge", "GNU.sparse.map": "0,0", "GNU.sparse.numblocks": "1"}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)
    with pytest.raises(UsageError, match="unpacks to far more than its size"):
        loaded("a.tar", out.getvalue())


def test_too_many_layers_are_refused(loaded: Loaded) -> None:
    data = b"inside"
    for layer in range(MAX_LAYERS):
        data = make.zipped({"x": data}) if layer % 2 else make.COMPRESSIONS[".gz"](data)
    value = loaded("a", data).value()
    assert value == {"x/x/x": "inside"}
    with pytest.raises(UsageError, match="is packed in too many layers; unpack it yourself"):
        loaded("a", make.zipped({"y": data}))


def test_the_name_of_what_is_inside() -> None:
    names = {"a.json.gz": "a.json", "a.tgz": "a.tar", "A.TXZ": "A.tar", "a.ZST": "a", "a.bin": "a.bin", "gz": "gz"}
    assert {name: inner_name(name) for name in names} == names


def test_what_follows_a_zstd_frame_is_read_or_refused() -> None:
    pack = make.COMPRESSIONS[".zst"]
    skipped = b"\x50\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"???"
    assert compression_of(pack(b"a")) == "zstd"
    assert decompress(pack(b"a" * 9000) + skipped + pack(b"b"), "zstd", Allowance(10_000)) == b"a" * 9000 + b"b"
    with pytest.raises(Unreadable, match="packed with zstd"):
        decompress(pack(b"a") + b"junk", "zstd", Allowance(10_000))


def test_plain_inputs_import_nothing_of_all_this() -> None:
    probe = "import sys, habit.contexts.load; print({'tarfile', 'zipfile', 'csv', 'pypdfium2'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"
