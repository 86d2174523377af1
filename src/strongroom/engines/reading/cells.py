"""The rows of one sheet, as a stream: each a map from column to value, kinds told apart."""

from collections.abc import Iterable, Iterator
from enum import IntEnum

from strongroom.engines.reading.types import ReadLimits
from strongroom.engines.reading.workbook import Workbook
from strongroom.engines.reading.xml_parts import Attributes, XmlParser
from strongroom.errors import TableError, TooLargeError

_MAX_COLUMN_LETTERS = 3
_MAX_DATE = 2_958_466
"""Days from 1900 to the year 10000: what follows is no date."""


class Kind(IntEnum):
    """What a value is; those of a column are added up bit by bit."""

    WHOLE = 1
    NUMBER = 2
    DATE = 4
    MOMENT = 8
    BOOLEAN = 16
    TEXT = 32


Value = tuple[Kind, str | float | int | bool]
Row = dict[int, Value]
"""Columns from 0. A DATE is a day's serial number, a MOMENT has the time as its fraction."""


class CellReader:
    """Turns the XML of a sheet into rows; empty rows are left out."""

    def __init__(self, workbook: Workbook, limits: ReadLimits) -> None:
        self._workbook = workbook
        self._limits = limits
        self._parser = XmlParser(self._start, self._end, self._text)
        self._rows: list[Row] = []
        self._row: Row = {}
        self._row_bytes = 0
        self._column = -1
        self._kind = ""
        self._style = 0
        self._texts: list[str] = []
        self._in_value = False
        self._in_pronounced = False

    def rows(self, pieces: Iterable[bytes]) -> Iterator[list[Row]]:
        """The rows, as they come; what is yielded is not used again.

        Raises:
            TableError: the XML is damaged.
            TooLargeError: a row or cell is too long, or too many columns.
        """
        for piece in pieces:
            self._parser.feed(piece)
            if self._rows:
                yield self._rows
                self._rows = []
        self._parser.feed(b"", is_last=True)
        if self._rows:
            yield self._rows

    def _start(self, name: str, attributes: Attributes) -> None:
        if name == "c":
            place = attributes.get("r")
            self._column = _column(place) if place else self._column + 1
            if self._column >= self._limits.columns:
                raise TooLargeError(f"the table has more than {self._limits.columns} columns")
            self._kind = attributes.get("t", "n")
            style = attributes.get("s", "0")
            self._style = int(style) if style.isdecimal() and len(style) < 9 else 0
            self._texts = []
        elif name in {"v", "t"}:
            self._in_value = not self._in_pronounced
        elif name == "row":
            self._row, self._row_bytes, self._column = {}, 0, -1
        elif name == "rPh":
            self._in_pronounced = True

    def _text(self, piece: str) -> None:
        if self._in_value:
            self._texts.append(piece)
            self._spend(len(piece))

    def _end(self, name: str) -> None:
        if name == "c":
            if self._texts and (value := self._value("".join(self._texts))) is not None:
                self._row[self._column] = value
                self._spend(32)
        elif name in {"v", "t"}:
            self._in_value = False
        elif name == "row":
            if self._row:
                self._rows.append(self._row)
        elif name == "rPh":
            self._in_pronounced = False

    def _spend(self, count: int) -> None:
        self._row_bytes += count
        if self._row_bytes > self._limits.row_bytes:
            raise TooLargeError("one row of the table is too long")

    def _value(self, text: str) -> Value | None:
        kind = self._kind
        if kind == "s":
            number = int(text) if text.isdecimal() and len(text) < 9 else -1
            found = self._workbook.strings.get(number)
            self._workbook.ratio.count(len(found))
            self._spend(len(found))
            return (Kind.TEXT, found) if found else None
        if kind in {"str", "inlineStr", "d"}:
            return Kind.TEXT, text
        if kind == "b":
            return Kind.BOOLEAN, text.strip() in {"1", "true"}
        if kind == "e":
            return None  # an error such as #N/A is no value
        return self._number(text)

    def _number(self, text: str) -> Value:
        try:
            number = float(text)
        except ValueError:
            raise TableError("a cell of the workbook holds no number where one is stated") from None
        dates = self._workbook.is_date
        if self._style < len(dates) and dates[self._style] and 0 <= number < _MAX_DATE:
            return (Kind.DATE if number.is_integer() else Kind.MOMENT), number
        if number.is_integer() and abs(number) < 2**53:
            return Kind.WHOLE, int(number)
        return Kind.NUMBER, number


def _column(place: str) -> int:
    """The column of a cell such as `AB12`, from 0."""
    number = 0
    letters = place.rstrip("0123456789")
    if not letters or len(letters) > _MAX_COLUMN_LETTERS or not letters.isascii():
        raise TableError("a cell of the workbook has no valid place")
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
        if not "A" <= letter <= "Z":
            raise TableError("a cell of the workbook has no valid place")
    return number - 1
