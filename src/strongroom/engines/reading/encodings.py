"""Text as UTF-8: which encoding it has, and the same text transcoded, piece by piece.

Marks and NUL bytes tell UTF-16 and UTF-32 for certain, and valid UTF-8 is hardly ever anything
else. What remains is a guess between the many 8-bit encodings: it is made from the bytes beyond
ASCII only, by charset-normalizer, save that Western text (few such bytes, letters within words)
is windows-1252, which on short text charset-normalizer takes for its neighbours.
"""

import codecs
import unicodedata
from collections.abc import Iterator

import charset_normalizer

from strongroom.engines.reading.source import Source
from strongroom.errors import EncodingError, FormatError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GUESSED = [
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258",
    "koi8_r", "koi8_u", "cp932", "euc_jp", "gb18030", "big5", "cp949", "tis_620",
]  # fmt: skip  # the 8-bit and multi-byte encodings in use
_SAMPLE_BYTES = 1 << 16
_WINDOW_BYTES = 200
_MAX_WESTERN_SHARE = 0.3
_TYPOGRAPHIC = "\u2018\u2019\u2013\u2014\u00b7"
"""Quotes, dashes and the middle dot of Catalan: they stand within words."""
_UTF8_NAMES = frozenset({"utf-8", "ascii"})


def as_utf8(source: Source, stated: str | None, looked_at: int) -> tuple[Source, str]:
    """The text of `source` as UTF-8, and the encoding that it has, as Python names it.

    Args:
        source: the text.
        stated: the encoding where it is known.
        looked_at: bytes of the beginning to look at.

    Raises:
        EncodingError: an unknown encoding, or none can be found; while reading, with the place,
            where bytes do not belong to it.
        FormatError: these bytes are no text.
    """
    start = source.peek(looked_at)
    encoding = _stated(stated) if stated else find_encoding(start)
    if encoding in _UTF8_NAMES:
        if not stated and b"\0" in start:
            raise _unknown()
        return source, "utf-8"
    transcoded = _transcoded(source, encoding, certain=bool(stated))
    return source.over(transcoded), encoding


def _unknown() -> FormatError:
    return FormatError("the format of the file is not known", is_other_kind=True)


def _stated(name: str) -> str:
    try:
        if codecs.lookup(name)._is_text_encoding:  # noqa: SLF001 # no public way to tell rot13 from an encoding
            return codecs.lookup(name).name
    except (LookupError, ValueError):
        pass
    raise EncodingError(
        f"there is no encoding `{name[:40]}`",
        next_step="name one such as utf-8, utf-16, windows-1252 or cp932",
    )


def find_encoding(start: bytes) -> str:
    """The encoding of a text that begins with `start`. Raises: EncodingError, FormatError."""
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    if by_nul := _utf16_without_mark(start):
        return by_nul
    if b"\0" in start[:_SAMPLE_BYTES]:
        raise _unknown()
    try:
        # The end may be in the middle of a character.
        codecs.getincrementaldecoder("utf-8")().decode(start)
        return "utf-8"
    except UnicodeDecodeError as error:
        sample = _sample(start, error.start)
    if _is_western(sample):
        return "cp1252"
    best = charset_normalizer.from_bytes(sample, cp_isolation=_GUESSED).best()
    if best is None:
        raise EncodingError("the text is not UTF-8, and its encoding is not known")
    return best.encoding


def _sample(start: bytes, first: int) -> bytes:
    """The lines around bytes that are not ASCII, from the first of them on."""
    kept, length = [], 0
    for line in start[start.rfind(b"\n", 0, first) + 1 :].split(b"\n"):
        if not line.isascii():
            kept.append(line[: 4 * _WINDOW_BYTES])
            length += len(kept[-1]) + 1
        if length > _SAMPLE_BYTES:
            break
    return b"\n".join(kept)


def _utf16_without_mark(start: bytes) -> str | None:
    """UTF-16 whose characters are mostly ASCII has NUL in nearly every other byte."""
    sample = start[:_SAMPLE_BYTES]
    half = len(sample) // 2
    if half < 2 or b"\0" not in sample:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > 0.7 * half and even < 0.05 * half:
        return "utf-16-le"
    if even > 0.7 * half and odd < 0.05 * half:
        return "utf-16-be"
    return None


def _is_western(sample: bytes) -> bool:
    """Whether the sample makes sense as windows-1252: some letters beyond ASCII, within words."""
    try:
        text = sample.decode("cp1252")
    except UnicodeDecodeError:
        return False
    letters = sum(1 for character in text if character.isalpha())
    beyond = sum(1 for character in text if character.isalpha() and not character.isascii())
    if beyond > _MAX_WESTERN_SHARE * letters + 1:
        return False
    around = zip(" " + text, text, text[1:] + " ", strict=False)
    return not any(_is_odd(*three) for three in around if not three[1].isascii())


def _is_odd(before: str, character: str, after: str) -> bool:
    """Whether this would not stand here in Western text: a sign, or a capital, within a word."""
    if character.isalpha():
        return before.islower() and character.isupper() and after.islower()
    if unicodedata.category(character) == "Cc":
        return True
    return before.isalpha() and after.isalpha() and character not in _TYPOGRAPHIC


def _transcoded(source: Source, encoding: str, *, certain: bool) -> Iterator[bytes]:
    """The text as UTF-8; what does not decode is an error with its place, never replaced."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    try:
        for piece in source.pieces():
            text = decoder.decode(piece)
            line += text.count("\n")
            yield text.encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        if isinstance(error, UnicodeDecodeError):
            piece_before = bytes(error.object)[: error.start]
            with_place = f"line {line + piece_before.decode(encoding, 'ignore').count(chr(10))}"
        else:
            with_place = f"after line {line}"
        words = "was stated" if certain else "it seems to have"
        raise EncodingError(
            f"the text is not {encoding}, the encoding that {words}: {with_place}"
        ) from None
