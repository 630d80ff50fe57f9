"""From the bytes of a file to UTF-8: valid UTF-8 passes untouched, other encodings are detected, binary is refused."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

_BLOCK = 1 << 20
_SAMPLE = 32 * 1024
_TELLING = 8 * 1024
"""Bytes shown to the detector; more cost much time and change little."""
_MAGIC = {
    b"\x7fELF": "an ELF program",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "a zip archive or office document",
    b"PK\x05\x06": "an empty zip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"%PDF-": "PDF",
    b"SQLite format 3\0": "an SQLite database",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old office document",
    b"\xca\xfe\xba\xbe": "Java or Mach-O code",
    b"\xcf\xfa\xed\xfe": "Mach-O code",
    b"\0asm": "WebAssembly",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
    b"\x89HDF\r\n\x1a\n": "HDF5",
}
# Letters only, so that a text may begin with them too: these count only in what is no text by other signs.
_MAGIC_WORDS = {
    b"BZh": "bzip2",
    b"GIF8": "a GIF image",
    b"PAR1": "Parquet",
    b"OggS": "Ogg media",
    b"RIFF": "RIFF media",
    b"ID3": "MP3 audio",
    b"GGUF": "a GGUF model",
    b"MZ": "a Windows program",
}
_CONTROLS = bytes({*range(0x20), 0x7F} - {*b"\t\n\v\f\r\x1b"})
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ANY_MARK = tuple(mark for mark, _ in _MARKS)
_ANY_MAGIC = tuple(_MAGIC)
# In order of preference where two read a text equally well. More candidates would only mean more wrong guesses.
_CANDIDATES = (
    *("cp1252", "cp1250", "iso8859_2", "cp1251", "koi8_r", "cp866", "iso8859_5", "cp1253", "cp1254", "cp1255"),
    *("cp1256", "gb18030", "big5", "cp932", "euc_jp", "cp949", "cp850", "mac_roman"),
)


class BinaryFile(Exception):
    """The bytes are no text; the message says what they look like."""


def to_utf8(data: bytes) -> tuple[bytes, str | None]:
    """``data`` as valid UTF-8 and the encoding it was read as (None: it was UTF-8 and is returned as it is).

    Raises BinaryFile.
    """
    for mark, encoding in _MARKS if data.startswith(_ANY_MARK) else ():
        if data.startswith(mark) and (text := _decoded(data, encoding)) is not None:
            return text.encode(), encoding
    if data.startswith(_ANY_MAGIC):
        raise BinaryFile(next(name for magic, name in _MAGIC.items() if data.startswith(magic)))
    if (unmarked := _unmarked_utf16(data)) and (text := _decoded(data, unmarked)) is not None:
        return text.encode(), unmarked
    valid = is_utf8(data)
    if data[257:262] == b"ustar":
        raise BinaryFile("a tar archive")
    if _control_share(data) > (0.1 if valid else 0.02):
        raise BinaryFile(next((name for word, name in _MAGIC_WORDS.items() if data.startswith(word)), "not text"))
    if valid:
        return data, None
    for encoding in _detected(data):
        if (text := _decoded(data, encoding)) is not None:
            return text.encode(), encoding
    return data.decode("latin-1").encode(), "latin-1, a guess"


def stays_as_it_is(head: bytes, whole: memoryview) -> bool:
    """Whether ``to_utf8`` gives ``whole``, valid UTF-8 that begins with ``head``, back as it is."""
    if head.startswith((*_ANY_MARK, *_ANY_MAGIC)) or head[257:262] == b"ustar" or _unmarked_utf16(head):
        return False
    return _control_share(whole) <= 0.1


def is_utf8(data: bytes) -> bool:
    """Whether ``data`` is valid UTF-8, without a decoded copy of it."""
    if data.isascii():
        return True
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(data)
    try:
        for start in range(0, len(data), _BLOCK):
            decoder.decode(view[start : start + _BLOCK])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _unmarked_utf16(data: bytes) -> str | None:
    """UTF-16 without a byte order mark shows by zeros at every other place, as Latin letters have them."""
    head = data[:4096]
    if len(head) < 32 or b"\0" not in head:
        return None
    half = len(head) // 2
    even, odd = head[::2].count(0) / half, head[1::2].count(0) / half
    if odd > 0.7 and even < 0.02:
        return "utf-16-le"
    return "utf-16-be" if even > 0.7 and odd < 0.02 else None


def _control_share(data: bytes | memoryview) -> float:
    """The share of control characters in a few samples; a handful of them never counts."""
    step = max(len(data) // 4, _SAMPLE)
    sample = b"".join(data[start : start + _SAMPLE] for start in range(0, len(data), step))
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    return controls / len(sample) if controls > 8 else 0.0


def _detected(data: bytes) -> Iterator[str]:
    """Encodings that may be it, the best first, judged by the lines that are not ASCII."""
    from charset_normalizer import from_bytes

    sample = _telling(data)
    matches = from_bytes(sample, steps=1, chunk_size=len(sample), cp_isolation=list(_CANDIDATES), enable_fallback=False)
    found = {name: match for match in matches for name in match.could_be_from_charset if name in _CANDIDATES}

    def rank(name: str) -> tuple[float, float, int]:
        match = found[name]
        return round(match.chaos, 2), -round(match.coherence, 2), _CANDIDATES.index(name)

    names = sorted(found, key=rank)
    for name, sign in (("cp932", _is_japanese), ("iso8859_2", _is_iso_latin2)):
        if name in found and names[0] in ("cp949", "cp1250") and sign(sample):
            names.insert(0, name)
    if names[:1] == ["cp1252"] and "cp1254" in found and _is_turkish(sample):
        names.insert(0, "cp1254")
    yield from names


def _is_japanese(sample: bytes) -> bool:
    """Shift JIS is also valid Korean, but no Korean text is full of hiragana."""
    text = sample.decode("cp932", "ignore")
    return len(re.findall("[ぁ-ん]", text)) > len(text) / 10


def _is_turkish(sample: bytes) -> bool:
    """Turkish has ı (0xFD) and ğ (0xF0) where Icelandic has ý and ð, and uses the first more than the second."""
    return sample.count(0xFD) > max(sample.count(0xF0), 1)


def _is_iso_latin2(sample: bytes) -> bool:
    """What differs from cp1250 (ś, š, ť, ź, ž) is between 0x80 and 0x9f there, and never in ISO 8859-2."""
    differing = re.findall("[ąľśšťźžĄĽŚŠŤŹŽ]", sample.decode("iso8859_2"))
    return bool(differing) and not re.search(rb"[\x80-\x9f]", sample)


def _telling(data: bytes) -> bytes:
    """Whole lines that are not ASCII, up to the size of a sample."""
    lines: list[bytes] = []
    size = position = 0
    while size < _TELLING and (hit := re.compile(rb"[\x80-\xff]").search(data, position)):
        earliest = max(hit.start() - 2048, position)
        start = data.rfind(b"\n", earliest, hit.start()) + 1
        if not start:
            # Far into a long line, the first byte that is not ASCII is the only place sure to begin a character.
            start = earliest if earliest == position else hit.start()
        end = data.find(b"\n", hit.start(), start + 4096)
        end = start + 4096 if end < 0 else end + 1
        lines.append(data[start:end])
        size, position = size + end - start, end
    return b"".join(lines)
