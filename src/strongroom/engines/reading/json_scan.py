"""Finds the brackets of JSON outside its strings, block by block, and cuts lists into elements.

A record is passed on as it stands, one a line: JSON lines, which pyarrow reads. What is looked at
here is only where records begin and end; whether they are JSON inside, the reader of lines says.

Source: RFC 8259.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from strongroom.engines.reading.source import Source
from strongroom.engines.reading.types import ReadLimits
from strongroom.errors import FormatError, TableError, TooLargeError, TruncatedError

_BLOCK_BYTES = 1 << 20
_BACKSLASH, _QUOTE, _NEWLINE = 0x5C, 0x22, 0x0A
_OPEN, _CLOSE = (0x7B, 0x5B), (0x7D, 0x5D)
BLANKS = b" \t\r\n"

Positions = npt.NDArray[np.int64]


class Scanner:
    """A window over the text, with the brackets in it.

    Attributes:
        text: the window; `at` is how far it has been used.
        places: positions in `text` of the brackets that are not used yet.
        depths: how many brackets are open after each of them.
    """

    def __init__(self, source: Source, limits: ReadLimits) -> None:
        self._source = source
        self._limits = limits
        self.text = b""
        self.at = 0
        self.places: Positions = np.empty(0, np.int64)
        self.depths: Positions = np.empty(0, np.int64)
        self._in_string = False
        self._backslashes = 0
        self._depth = 0

    def more(self) -> bool:
        """Drop what was used, and append the next block. False at the end of the text.

        Raises:
            TooLargeError: what is not used yet is longer than a row may be.
            TableError: nested too deep, or a line end inside a string.
        """
        block = self._source.read(min(_BLOCK_BYTES, self._limits.row_bytes))
        if not block:
            return False
        kept = self.text[self.at :]
        if len(kept) > self._limits.row_bytes:
            raise TooLargeError("one row of the table is too long")
        places, depths = self._brackets(block)
        self.places = np.concatenate([self.places - self.at, places + len(kept)])
        self.depths = np.concatenate([self.depths, depths])
        # Outside of strings a line end is a blank, and lines are to hold one record each.
        self.text = kept + block.replace(b"\n", b" ").replace(b"\r", b" ")
        self.at = 0
        return True

    def use(self, end: int, brackets: int) -> bytes:
        """Take the text up to `end`, in which there are so many of the brackets."""
        used = self.text[self.at : end]
        self.at = end
        self.places, self.depths = self.places[brackets:], self.depths[brackets:]
        return used

    def skip_blanks(self) -> bytes:
        """Use what is blank; the first byte after it, empty at the end of the text."""
        while True:
            rest = self.text[self.at :]
            filled = rest.lstrip(BLANKS)
            self.at += len(rest) - len(filled)
            if filled:
                return filled[:1]
            if not self.more():
                return b""

    def byte_after(self, place: int) -> bytes:
        """The first byte after `place` that is no blank; empty where the window ends before."""
        for start in range(place + 1, len(self.text), 64):
            if filled := self.text[start : start + 64].lstrip(BLANKS):
                return filled[:1]
        return b""

    def _brackets(self, block: bytes) -> tuple[Positions, Positions]:
        """Brackets outside strings, and how many are open after each."""
        characters = np.frombuffer(block, np.uint8)
        quotes = self._quotes(characters)
        is_open = (characters == _OPEN[0]) | (characters == _OPEN[1])
        is_close = (characters == _CLOSE[0]) | (characters == _CLOSE[1])
        brackets = np.flatnonzero(is_open | is_close)
        carried = int(self._in_string)
        outside = (np.searchsorted(quotes, brackets) + carried) % 2 == 0
        lines = np.flatnonzero(characters == _NEWLINE)
        if ((np.searchsorted(quotes, lines) + carried) % 2).any():
            raise TableError("not valid JSON: a line ends inside a string")
        brackets = brackets[outside]
        depths = self._depth + np.cumsum(np.where(is_open[brackets], 1, -1))
        self._in_string = (len(quotes) + carried) % 2 == 1
        if len(depths):
            if int(depths.max()) > self._limits.depth:
                raise TableError(f"a row is nested deeper than {self._limits.depth} levels")
            self._depth = int(depths[-1])
        return brackets, depths

    def _quotes(self, characters: npt.NDArray[np.uint8]) -> Positions:
        """Quotes that begin or end a string: those after an even number of backslashes."""
        quotes = np.flatnonzero(characters == _QUOTE)
        slashes = characters == _BACKSLASH
        if not self._backslashes and not slashes.any():
            return quotes
        index = np.arange(len(characters))
        other = np.maximum.accumulate(np.where(slashes, -1 - self._backslashes, index))
        before = np.concatenate([[-1 - self._backslashes], other[:-1]])
        run = index - 1 - before
        self._backslashes = int(len(characters) - 1 - other[-1])
        begins_or_ends: Positions = quotes[run[quotes] % 2 == 0]
        return begins_or_ends


def elements(scanner: Scanner, base: int) -> Iterator[bytes]:
    """The objects of a list, as JSON lines; stands after the list's end when it ends.

    Args:
        scanner: stands after the list's opening bracket, or at the start of a sequence of
            objects without one.
        base: brackets that are open in the list; 0 for such a sequence.

    Raises:
        FormatError: an element is no object.
        TruncatedError: the text ends inside the list.
        TooLargeError, TableError: as `Scanner.more`.
    """
    separator = b"," if base else b""
    is_first = True
    while True:
        ends = np.flatnonzero(scanner.depths < base)
        upto = int(ends[0]) if len(ends) else len(scanner.places)
        closing = np.flatnonzero(scanner.depths[:upto] == base)
        if len(closing):
            yield b"\n".join([*_cut(scanner, closing, separator, is_first=is_first), b""])
            is_first = False
        if len(ends) and base:
            left = int(ends[0]) - (int(closing[-1]) + 1 if len(closing) else 0)
            gap = scanner.use(int(scanner.places[left]) + 1, left + 1)[:-1]
            if left or gap.strip(BLANKS):
                raise _not_objects()
            return
        if len(ends):
            raise TableError("not valid JSON: a bracket is closed that was not opened")
        if not scanner.more():
            if base or len(scanner.places):
                raise TruncatedError("the JSON ends before its end")
            if scanner.text[scanner.at :].strip(BLANKS):
                raise TableError("not valid JSON: something follows its end")
            return


def _cut(scanner: Scanner, closing: Positions, separator: bytes, *, is_first: bool) -> list[bytes]:
    """The objects that end at the brackets `closing`."""
    firsts = np.concatenate([[0], closing[:-1] + 1])
    starts, ends = scanner.places[firsts].tolist(), (scanner.places[closing] + 1).tolist()
    text, at = scanner.text, scanner.at
    cut = []
    for start, end in zip(starts, ends, strict=True):
        expected = b"" if is_first else separator
        is_first = False
        if text[at:start].strip(BLANKS) != expected or text[start] != _OPEN[0]:
            raise _not_objects()
        cut.append(text[start:end])
        at = end
    scanner.use(at, int(closing[-1]) + 1)
    return cut


def _not_objects() -> FormatError:
    return FormatError(
        "a list in the JSON holds objects, and other values beside them",
        next_step="write each row as an object with named fields, or none of them",
    )
