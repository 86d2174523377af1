"""One byte for each character: what patterns look at, whatever script or disguise is used.

Letters with accents, full-width forms, mathematical letters and look-alikes of other scripts
become the ASCII letters that they resemble; other letters become one of two bytes that say
upper or lower case; signs that nobody sees are left out. Places in the bytes can be told in
characters of the text as it was given.
"""

import codecs
import unicodedata
from dataclasses import dataclass

import numpy as np

UPPER, LOWER, OTHER = "\x81", "\x82", "\x02"
"""Letters that look like no ASCII letter, and signs of any other kind."""
_UNSEEN = "\x01"
_UNSEEN_BYTE = b"\x01"

# Letters that decompose to nothing, and those of Cyrillic and Greek that look like Latin ones
# (a choice from Unicode Technical Standard 39, confusables).
_ALIKE = dict(
    zip(
        "аАВсСеЕНіІјЈкКМоОрРѕЅТхХуУԁһԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧαοργνικυßøØłŁđĐæÆœŒðÐþÞıƒɑɡ",
        "aABcCeEHiIjJkKMoOpPsSTxXyYdhqwABEZHIKMNOPTYXaopyvikusoOlLdDaAoOdDtTifag",
        strict=True,
    )
) | {
    "\u2019": "'", "\u2018": "'", "\u00b4": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"',
    "\u2212": "-", "\u2044": "/", "\u2215": "/", "\u2024": ".", "\u3002": ".", "\uff61": ".",
    "\u00b7": ".", "\u2022": OTHER, "\ufe6b": "@", "\u00b0": OTHER,
    "\u2028": "\n", "\u2029": "\n", "\u0085": "\n",
}  # fmt: skip


def _resembled(character: str) -> str:
    """The one byte that stands for a character beyond ASCII."""
    if character in _ALIKE:
        return _ALIKE[character]
    category = unicodedata.category(character)
    if category in ("Mn", "Me", "Cf") or "\ufe00" <= character <= "\ufe0f":
        return _UNSEEN
    if category[0] == "N":
        digit = unicodedata.digit(character, None)
        return OTHER if digit is None else str(digit)
    if category in ("Zs", "Zl", "Zp"):
        return " "
    if category == "Pd":
        return "-"
    plain = unicodedata.normalize("NFKD", character)[0]
    if plain.isascii() and plain.isprintable():
        return plain
    if plain in _ALIKE:
        return _ALIKE[plain]
    if category in ("Lu", "Lt"):
        return UPPER
    return LOWER if category[0] == "L" else OTHER


class _Table(dict[str, bytes]):
    """Filled as characters are met; at most one entry for each that Unicode has."""

    def __missing__(self, character: str) -> bytes:
        self[character] = folded = _resembled(character).encode("latin-1")
        return folded


_TABLE = _Table()


def _fold_run(error: UnicodeError) -> tuple[bytes, int]:
    """Fold characters beyond Latin-1: the encoder asks for each run of them."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    run = error.object[error.start : error.end]
    return b"".join([_TABLE[character] for character in run]), error.end


_FOLDING = "strongroom.fold"
codecs.register_error(_FOLDING, _fold_run)
# Latin-1 itself, byte by byte; its unused control characters carry our own signs.
_LATIN_1 = bytes(code if code < 0xA0 else ord(_resembled(chr(code))) for code in range(256))


@dataclass(frozen=True, slots=True)
class Folded:
    """A text as patterns see it.

    Attributes:
        data: one byte for each seen character.
        places: byte → character of the original text, one more than bytes; None: the same.
    """

    data: bytes
    places: list[int] | None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The characters of the original text that bytes `start` to `end` stand for."""
        if self.places is None:
            return start, end
        return self.places[start], self.places[end - 1] + 1


def fold(text: str) -> Folded:
    """`text`, one byte a character."""
    if text.isascii() and _UNSEEN not in text:
        return Folded(text.encode("ascii"), None)
    if _UNSEEN in text:  # a control character, which must not be taken for our sign
        text = text.replace(_UNSEEN, " ")
    data = text.encode("latin-1", _FOLDING).translate(_LATIN_1)
    if _UNSEEN_BYTE not in data:
        return Folded(data, None)
    seen = np.flatnonzero(np.frombuffer(data, np.uint8) != _UNSEEN_BYTE[0])
    return Folded(data.replace(_UNSEEN_BYTE, b""), [*seen.tolist(), len(text)])
