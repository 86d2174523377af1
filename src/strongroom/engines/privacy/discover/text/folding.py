"""One byte for each character: what patterns look at, whatever script or disguise is used.

Letters with accents, full-width forms, mathematical letters and look-alikes of other scripts
become the ASCII letters that they resemble; other letters become one of two bytes that say
upper or lower case; signs that nobody sees are left out. Places in the bytes can be told in
characters of the text as it was given.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UPPER, LOWER, OTHER = "\x81", "\x82", "\x02"
"""Letters that look like no ASCII letter, and signs of any other kind."""
_UNSEEN = "\x01"

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


_UNREAD = 0xFF
# Filled as characters are met: what each of Unicode's becomes.
_TABLE = np.full(0x11_0000, _UNREAD, np.uint8)
_TABLE[:0x80] = np.arange(0x80, dtype=np.uint8)
_TABLE[ord(_UNSEEN)] = ord(" ")  # a control character, which must not be taken for our sign


@dataclass(frozen=True, slots=True)
class Folded:
    """A text as patterns see it.

    Attributes:
        data: one byte for each seen character.
        places: byte → character of the original text; None: the same.
    """

    data: bytes
    places: npt.NDArray[np.intp] | None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The characters of the original text that bytes `start` to `end` stand for."""
        if self.places is None:
            return start, end
        return int(self.places[start]), int(self.places[end - 1]) + 1

    def without(self, places: Sequence[tuple[int, int]]) -> "Folded":
        """The same, with signs of no kind at some places, which are in order."""
        parts: list[bytes] = []
        behind = 0
        for start, end in places:
            parts += self.data[behind:start], OTHER.encode() * (end - start)
            behind = max(behind, end)
        return Folded(b"".join([*parts, self.data[behind:]]), self.places)


def fold(text: str) -> Folded:
    """`text`, one byte a character."""
    if text.isascii() and _UNSEEN not in text:
        return Folded(text.encode("ascii"), None)
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    signs = _TABLE[codes]
    unread = signs == _UNREAD
    if unread.any():
        for code in np.unique(codes[unread]).tolist():
            _TABLE[code] = ord(_resembled(chr(code)))
        signs = _TABLE[codes]
    seen = np.flatnonzero(signs != ord(_UNSEEN))
    if len(seen) == len(signs):
        return Folded(signs.tobytes(), None)
    return Folded(signs[seen].tobytes(), seen)
