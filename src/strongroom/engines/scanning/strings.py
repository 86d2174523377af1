"""Texts within bytes of any format: as UTF-8, UTF-16 and UTF-32.

What a format keeps as text lies in it as it is: the strings of a pickle, the metadata of an ONNX
graph, the categories of an encoder (NumPy keeps those as UTF-32). They are found without knowing
the format: what cannot be text becomes the end of a line, at the speed of a copy.

NumPy puts nothing between texts of its full width, so that two of them may come out as one.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from strongroom.engines.scanning.reading import Stream

WINDOW = 1 << 16
_CUT_WITHIN = 1 << 13
_PRINTED = bytes([9, 10, 13, *range(32, 127)])
# Bytes by what they can be part of: a text in ASCII, the zeros of a wider form, something else.
_KINDS = bytes(0x61 if byte in _PRINTED else 0x7A if byte == 0 else 0x78 for byte in range(256))
_TO_LINES = bytes(byte if byte in _PRINTED or byte >= 0x80 else 0x0A for byte in range(256))
# First and further bytes of letters in UTF-8 that take two bytes.
_BEYOND = bytes(
    0x6C if 0xC2 <= byte <= 0xDF else 0x63 if 0x80 <= byte < 0xC0 else 0 for byte in range(256)
)
# Where a quarter of all bytes is in runs of four or in such letters, it is texts; numbers have a
# tenth. In a file as small as this the noise is little.
_SMALL = 1 << 12
_FEW, _DENSE, _BLOCK = b"aaaa", 4, 1 << 9
_LONG = b"a" * 12
_RUN = re.compile(b"a+")
_WIDE = {2: b"azazazazazaz", 4: b"azzzazzzazzzazzz"}
_CODECS = {2: "utf-16-le", 4: "utf-32-le"}
# Letters up to Cyrillic, Greek and Hebrew have no higher second byte.
_SECOND = re.compile(rb"[\x00-\x05]*")
_ZEROS = re.compile(rb"\x00*")
# Opcodes of pickle that would look like letters of the text behind them: SHORT_BINUNICODE with
# its length, and the small numbers that stand behind the words of a vocabulary. Each pattern
# begins with the byte it looks for, and only then looks behind it: that is far faster.
_OPCODES = (
    (re.compile(rb"\x8c(?<![\xc2-\xef]\x8c)[ -~]"), b"\n\n"),
    (re.compile(rb"M(?<=[^\xc2-\xef]\x94M)..", re.DOTALL), b"\n\n\n"),
    (re.compile(rb"K(?<=[^\xc2-\xef]\x94K).", re.DOTALL), b"\n\n"),
)
_CONTROLS = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127), "\n")


class Texts(NamedTuple):
    """Texts of a part of a file, each on lines of its own, with noise between them.

    Attributes:
        offset: byte of the file at which `text` begins.
        width: bytes of a character; 1 stands for UTF-8.
    """

    offset: int
    text: str
    width: int

    def byte_of(self, character: int) -> int:
        """The byte of the file at which a character of `text` stands."""
        if self.width > 1:
            return self.offset + self.width * character
        return self.offset + len(self.text[:character].encode("utf-8", "surrogateescape"))


def texts_of(stream: Stream, limit: int, *, is_pickle: bool, base: int = 0) -> Iterator[Texts]:
    """Parts of a file that hold texts; among numbers only those of twelve characters or more.

    Args:
        limit: bytes that are looked at.
        is_pickle: lengths before its strings are no part of them.
        base: where in the file the stream begins.
    """
    window, left = b"", limit
    while True:
        data = stream.read(min(WINDOW, left)) if left > 0 else b""
        left -= len(data)
        window += data
        end = _cut(window) if data else len(window)
        if end:
            yield from _texts(window[:end], base, is_pickle=is_pickle)
            base, window = base + end, window[end:]
        if not data:
            return


def _cut(window: bytes) -> int:
    """Where a window can be cut without cutting a text; 0: more has to be read first."""
    if len(window) < WINDOW:
        return 0
    for between in (bytes(8), b"\n", b"\0", b"\xff"):
        place = window.rfind(between, len(window) - _CUT_WITHIN)
        if place >= 0:
            return place + len(between)
    return len(window)


def _texts(data: bytes, base: int, *, is_pickle: bool) -> Iterator[Texts]:
    kinds = data.translate(_KINDS)
    lines = _narrow_lines(data, kinds, is_pickle=is_pickle)
    if lines.strip(b"\n"):
        yield Texts(base, lines.decode("utf-8", "surrogateescape"), 1)
    for width, needle in _WIDE.items():
        at = kinds.find(needle)
        while at >= 0:
            end = at + width * _wide_characters(data[at:], width)
            text = data[at:end].decode(_CODECS[width], "replace").translate(_CONTROLS)
            yield Texts(base + at, text, width)
            at = kinds.find(needle, max(end, at + len(needle)))


def _narrow_lines(data: bytes, kinds: bytes, *, is_pickle: bool) -> bytes:
    """Blocks of texts as they are; of blocks of numbers the runs that are no accident."""
    kept = bytearray(b"\n" * len(data))
    at = kinds.find(_LONG)
    while at >= 0:
        found = _RUN.match(kinds, at)
        end = found.end() if found else at + len(_LONG)
        kept[at:end] = data[at:end].translate(_TO_LINES)
        at = kinds.find(_LONG, end)
    blocks = _text_blocks(data, kinds)
    if blocks:
        plain = data
        for pattern, blanks in _OPCODES if is_pickle else ():
            plain = pattern.sub(blanks, plain)
        lines = plain.translate(_TO_LINES)
        for block in blocks:
            kept[block] = lines[block]
    return bytes(kept)


def _text_blocks(data: bytes, kinds: bytes) -> list[slice]:
    """Where texts stand, by how many bytes are in runs of letters or in letters beyond ASCII."""
    if len(data) <= _SMALL:
        return [slice(0, len(data))]
    pairs = data.translate(_BEYOND)
    blocks = []
    for start in range(0, len(data), _BLOCK):
        end = min(start + _BLOCK, len(data))
        inside = len(_FEW) * kinds.count(_FEW, start, end) + 2 * pairs.count(b"lc", start, end)
        if _DENSE * inside > end - start:
            blocks.append(slice(start, end))
    return blocks


def _wide_characters(data: bytes, width: int) -> int:
    """How many characters of a wide form follow each other, zeros between them counted."""
    found = _SECOND.match(data[1::width])
    count = found.end() if found else 0
    for place in range(2, width):
        zeros = _ZEROS.match(data[place::width])
        count = min(count, zeros.end() if zeros else 0)
    return min(count, len(data) // width)
