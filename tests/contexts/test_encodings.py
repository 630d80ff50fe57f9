"""Bytes to UTF-8: what is UTF-8 passes untouched, common encodings are told apart, binaries are refused."""

import codecs
import gzip
import random
import sqlite3
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habit.contexts.encodings import BinaryFile, is_utf8, to_utf8

TEXTS = {
    "French": "Le garçon a mangé une crêpe à l'école, où le maître était déjà fâché. Ça n'a pas été très agréable.\n",
    "German": "Die Bäckerei öffnet früh; Jürgen kauft süße Brötchen für die ganze Straße. Er übt Geige.\n",
    "Spanish": "El niño comió una manzana en el jardín. ¿Dónde está la estación? Mañana iré a la reunión.\n",
    "quotes": "It’s a “quoted” text — with the café’s price of £3.50 – and résumé…\n",
    "Polish": "Zażółć gęślą jaźń. Wczoraj byłem w sklepie, żeby kupić świeże pieczywo i trochę mąki.\n",
    "Czech": "Příliš žluťoučký kůň úpěl ďábelské ódy. Včera jsem šel do obchodu, abych koupil čerstvé pečivo.\n",
    "Russian": "Вчера я пошёл в магазин, чтобы купить свежий хлеб и немного муки. Продавец был очень вежлив.\n",
    "Greek": "Χθες πήγα στο κατάστημα για να αγοράσω φρέσκο ψωμί και λίγο αλεύρι. Ο πωλητής ήταν πολύ ευγενικός.\n",
    "Turkish": "Dün taze ekmek ve biraz un almak için dükkâna gittim. Satıcı çok nazikti ve bana iyi günler diledi.\n",
    "Hebrew": "אתמול הלכתי לחנות כדי לקנות לחם טרי וקצת קמח. המוכר היה מאוד אדיב ואיחל לי יום טוב.\n",
    "Arabic": "ذهبت أمس إلى المتجر لشراء خبز طازج وبعض الدقيق. كان البائع مهذبا جدا وتمنى لي يوما سعيدا.\n",
    "Japanese": "昨日、私は新鮮なパンと少しの小麦粉を買うために店に行きました。店員はとても親切でした。\n",
    "Chinese": "昨天我去商店买新鲜的面包和一些面粉。店员很有礼貌，祝我有美好的一天。我们谈了很久关于天气。\n",
    "Taiwanese": "昨天我去商店買新鮮的麵包和一些麵粉。店員很有禮貌，祝我有美好的一天。我們談了很久。\n",
    "Korean": "어제 나는 신선한 빵과 약간의 밀가루를 사러 가게에 갔습니다. 점원은 매우 친절했습니다.\n",
}
ENCODINGS = [
    *(("French", name) for name in ("cp1252", "latin-1", "iso8859-15")),
    *(("German", name) for name in ("cp1252", "latin-1")),
    *(("Spanish", name) for name in ("cp1252", "latin-1")),
    ("quotes", "cp1252"),
    *(("Polish", name) for name in ("cp1250", "iso8859-2")),
    *(("Czech", name) for name in ("cp1250", "iso8859-2")),
    *(("Russian", name) for name in ("cp1251", "koi8-r", "cp866", "iso8859-5")),
    *(("Greek", name) for name in ("cp1253", "iso8859-7")),
    *(("Turkish", name) for name in ("cp1254", "iso8859-9")),
    ("Hebrew", "cp1255"),
    ("Arabic", "cp1256"),
    *(("Japanese", name) for name in ("shift_jis", "euc_jp")),
    *(("Chinese", name) for name in ("gb18030", "gbk")),
    ("Taiwanese", "big5"),
    ("Korean", "euc_kr"),
]


@pytest.mark.parametrize("repeats", [1, 300])
@pytest.mark.parametrize("before", ["", "A line that is plain ASCII, number 123.\r\n" * 3000])
@pytest.mark.parametrize(("language", "encoding"), ENCODINGS)
def test_common_encodings_are_recognised(language: str, encoding: str, before: str, repeats: int) -> None:
    text = before + TEXTS[language] * repeats
    utf8, name = to_utf8(text.encode(encoding))
    assert utf8.decode() == text
    assert name


@pytest.mark.parametrize("text", ["naïve — “ok”", "café", "price: £5 only", "Müller"])
def test_a_few_letters_are_taken_as_western(text: str) -> None:
    assert to_utf8(text.encode("cp1252")) == (text.encode(), "cp1252")


@given(st.sampled_from(["utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]), st.text(min_size=1))
@settings(deadline=None)
def test_byte_order_marks_are_honoured(encoding: str, text: str) -> None:
    marks = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    marks |= {"utf-32-le": codecs.BOM_UTF32_LE, "utf-32-be": codecs.BOM_UTF32_BE}
    data = marks.get(encoding, b"") + text.encode(encoding)
    # UTF-16 that begins with a NUL cannot be told from UTF-32.
    if text.startswith("\0") and encoding in ("utf-16", "utf-16-le"):
        return
    utf8, name = to_utf8(data)
    assert utf8.decode() == text
    assert name in ("utf-16", "utf-32")


def test_utf16_without_a_mark() -> None:
    text = "Plain words, exported by a program that forgot to say so.\r\n"
    assert to_utf8(text.encode("utf-16-le")) == (text.encode(), "utf-16-le")
    assert to_utf8(text.encode("utf-16-be")) == (text.encode(), "utf-16-be")


@given(st.text(), st.sampled_from(["", "\ufeff"]))
@settings(max_examples=300, deadline=None)
def test_utf8_passes_untouched(text: str, mark: str) -> None:
    controls = sum(not char.isprintable() for char in text)
    data = (mark + text).encode()
    if controls <= 8:
        utf8, name = to_utf8(data)
        assert utf8 is data
        assert name is None


@given(st.binary(max_size=40), st.integers(0, 5))
def test_validity_is_what_python_says(tail: bytes, shift: int) -> None:
    data = b"x" * ((1 << 20) - shift) + tail
    try:
        data.decode()
        valid = True
    except UnicodeDecodeError:
        valid = False
    assert is_utf8(data) is valid


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_valid_utf8_or_are_called_binary(data: bytes) -> None:
    try:
        utf8, _ = to_utf8(data)
    except BinaryFile as kind:
        assert str(kind)  # noqa: PT017
    else:
        utf8.decode()


def test_unknown_encodings_keep_every_byte() -> None:
    data = bytes(range(0x80, 0x100)) * 3
    utf8, name = to_utf8(data)
    assert name
    assert len(utf8.decode()) == len(data) or name.startswith(("cp", "gb", "big5", "euc", "koi", "mac", "iso"))


def test_nul_and_escape_sequences_are_fine_in_text() -> None:
    for text in ("a\0b", "\x1b[31mred\x1b[0m and \x1b[1mbold\x1b[0m\n" * 50, "form\ffeed\f", "\0" * 5):
        assert to_utf8(text.encode()) == (text.encode(), None)


def binaries(folder: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("a.txt", "hello")
    connection = sqlite3.connect(folder / "a.db")
    connection.execute("create table t (x)")
    connection.close()
    noise = random.Random(0).randbytes(5000)
    return {
        "gzip": gzip.compress(b"hello"),
        "PNG": b"\x89PNG\r\n\x1a\n" + noise,
        "ELF": b"\x7fELF\x02\x01\x01" + noise,
        "PDF": b"%PDF-1.7\nsome text objects\n",
        "zip": (folder / "a.zip").read_bytes(),
        "SQLite": (folder / "a.db").read_bytes(),
        "RIFF": b"RIFF" + noise,
        "bzip2": b"BZh9" + noise,
        "tar": b"a.txt" + b"\0" * 252 + b"ustar\x0000" + b"\0" * 248 + b"hello" + b"\0" * 507,
        "not text": noise,
    }


def test_binaries_are_named(tmp_path: Path) -> None:
    for kind, data in binaries(tmp_path).items():
        with pytest.raises(BinaryFile, match=kind):
            to_utf8(data)


@pytest.mark.parametrize("start", ["RIFF is a format.", "BZh, she said.", "MZ", "ID3 tags", "GIF89a is a format"])
def test_words_that_begin_binaries_may_begin_texts(start: str) -> None:
    assert to_utf8(start.encode()) == (start.encode(), None)
