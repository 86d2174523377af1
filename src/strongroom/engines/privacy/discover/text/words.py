"""Words of a text as numbers, as the name model reads them.

A word becomes up to four pieces of a WordPiece vocabulary, hashed beginnings and endings, its
shape, and whether lists of names know it. Training and use share this module.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt

from strongroom.engines.privacy.discover import dictionaries

PIECES = 4
AFFIX_BUCKETS = 4096
SHAPES = 16
LISTS = 16
GAPS = 4
COLUMNS = PIECES + 2 + 3
"""Numbers a word: pieces, hashed beginning and ending, shape, lists, gap before it."""
_REMEMBERED = 100_000
_UNKNOWN, _PADDING = 0, 1
_LONGEST_WORD = 40

# Linear: each alternative starts with other characters than the one before it ends with.
_WORD = re.compile(r"[@#]?\w+(?:['\u2019]\w+)*|[^\w\s]")

Words = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class SplitText:
    """Words of a text: where they stand, and the numbers of each, shape (words, COLUMNS)."""

    spans: list[tuple[int, int]]
    numbers: Words


def _shape(word: str) -> int:
    first = word[0]
    if first in "@#" and len(word) > 1:
        return 8 if first == "@" else (9 if word[1].isupper() else 10)
    if not any(map(str.isalnum, word)):
        return {".": 11, ",": 12, ":": 13, "(": 14}.get(first, 0)
    if word.isdigit():
        return 1
    if any(map(str.isdigit, word)):
        return 2
    if word.islower() or not first.isalpha():
        return 3
    if len(word) == 1:
        return 4
    if word.isupper():
        return 5
    return 6 if word[1:].islower() else 7


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # half a pair is no letter, and no reason to fail


class WordReader:
    """Turns texts into numbers.

    Words that the vocabulary has whole are remembered, up to a limit; others, such as rare names,
    leave no trace behind a call.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        """`vocabulary`: pieces in the order of the table; 0 is the unknown, 1 is padding."""
        self._pieces = {piece: index for index, piece in enumerate(vocabulary)}
        self._known: dict[str, tuple[int, ...]] = {}
        self._given, self._family = dictionaries.people()
        self._towns = dictionaries.places()

    def read(self, text: str, seen: dict[str, tuple[int, ...]] | None = None) -> SplitText:
        """All words of `text`; `seen` remembers the others for as long as the caller keeps it."""
        seen = {} if seen is None else seen
        spans: list[tuple[int, int]] = []
        rows: list[tuple[int, ...]] = []
        gaps: list[int] = []
        known, behind = self._known, 0
        for found in _WORD.finditer(text):
            start, end = found.span()
            word = found.group()
            numbers = known.get(word) or seen.get(word)
            if numbers is None:
                numbers = self._numbers(word)
                is_whole = numbers[0] != _UNKNOWN and numbers[1] == _PADDING
                (known if is_whole and len(known) < _REMEMBERED else seen)[word] = numbers
            spans.append((start, end))
            rows.append(numbers)
            if start == behind:
                gaps.append(0 if start else 2)
            else:
                gaps.append(2 if "\n" in text[behind:start] else 1)
            behind = end
        table = np.empty((len(rows), COLUMNS), dtype=np.int32)
        if rows:
            table[:, : COLUMNS - 1] = rows
            table[:, COLUMNS - 1] = gaps
        return SplitText(spans, table)

    def _numbers(self, word: str) -> tuple[int, ...]:
        bare = word[1:] if word[0] in "@#" and len(word) > 1 else word
        lowered = bare[:_LONGEST_WORD].lower()
        plain = "".join(
            character
            for character in unicodedata.normalize("NFKD", lowered)
            if not unicodedata.combining(character)
        )
        pieces = self._split(plain)[:PIECES]
        pieces += [_PADDING] * (PIECES - len(pieces))
        name = lowered.partition("'")[0].partition("\u2019")[0]
        lists = (
            (name in self._given) + 2 * (name in self._family) + 4 * (name in self._towns)
            + 8 * (len(name) > 1)
        )  # fmt: skip
        return (
            *pieces,
            crc32(b"^" + _bytes(plain[:3])) % AFFIX_BUCKETS,
            crc32(_bytes(plain[-3:]) + b"$") % AFFIX_BUCKETS,
            _shape(word),
            lists,
        )

    def _split(self, word: str) -> list[int]:
        """Greedy longest-first pieces (Wu et al. 2016, WordPiece); unknown where none fits."""
        pieces: list[int] = []
        start = 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = word[start:end] if start == 0 else "##" + word[start:end]
                index = self._pieces.get(piece)
                if index is not None:
                    pieces.append(index)
                    start = end
                    break
            else:
                return [*pieces, _UNKNOWN]
        return pieces or [_UNKNOWN]
