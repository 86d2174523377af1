"""How a CSV is written: its delimiter, and whether its first row holds names."""

import csv
import io
import re
from dataclasses import dataclass

import re2

from strongroom.engines.reading.types import ReadLimits
from strongroom.errors import EncodingError, TableError, TooLargeError

DELIMITERS = ",;\t|"
_LOOKED_AT_BYTES = 1 << 16
_LOOKED_AT_ROWS = 200
_BOM = b"\xef\xbb\xbf"
# No pattern of strangers, and linear: the standard library cuts it ten times as fast as re2.
_QUOTED = re.compile(r'"[^"]*"')


@dataclass(frozen=True, slots=True)
class Dialect:
    """A delimiter, and the names of the columns.

    Attributes:
        header: the names are the first row; else they were made here.
    """

    delimiter: str
    names: list[str]
    header: bool


def dialect_of(
    start: bytes, limits: ReadLimits, *, delimiter: str | None, header: bool | None
) -> Dialect:
    """The dialect of a table that begins with `start`, which is UTF-8; what is given holds.

    Raises:
        TooLargeError: no end of the first row within a row's length, or too many columns.
        TableError: no columns; not UTF-8.
    """
    line, newline, _ = start.removeprefix(_BOM).partition(b"\n")
    if not newline and len(start) >= min(limits.row_bytes, 4 << 20):
        raise TooLargeError("the first row of the table is too long")
    try:
        line_text = line.decode()
    except UnicodeDecodeError:
        raise EncodingError("the text is not UTF-8: row 1") from None
    looked_at = max(_LOOKED_AT_BYTES, 4 * len(line))
    text = start[:looked_at].removeprefix(_BOM).decode(errors="replace")
    delimiter = delimiter or find_delimiter(text)
    if without_quoted(line_text).count(delimiter) >= limits.columns:
        raise TooLargeError(f"the table has more than {limits.columns} columns")
    rows = first_rows(text, delimiter)
    if not rows:
        raise TableError("the table has no columns")
    if header is None:
        header = has_names(rows)
    names = rows[0] if header else [f"column_{number}" for number in range(1, len(rows[0]) + 1)]
    return Dialect(delimiter, names, header)


def without_quoted(text: str) -> str:
    """The text with a letter in place of each quoted field."""
    return _QUOTED.sub("Q", text)


def find_delimiter(text: str) -> str:
    """The delimiter that cuts the first lines into the same number of fields, more than one.

    Where several do: the one with most lines alike, then that with most fields.
    """
    lines = without_quoted(text).splitlines()[:_LOOKED_AT_ROWS]
    lines = [line for line in lines if line.strip()] or [""]
    return max(DELIMITERS, key=lambda delimiter: _evenness(lines, delimiter))


def _evenness(lines: list[str], delimiter: str) -> tuple[float, int]:
    """Share of lines with as many delimiters as the first, which has some; and how many."""
    wanted = lines[0].count(delimiter)
    if not wanted:
        return 0.0, 0
    alike = sum(1 for line in lines if line.count(delimiter) == wanted)
    return alike / len(lines), wanted


def first_rows(text: str, delimiter: str) -> list[list[str]]:
    """The first rows as text; the last one is left out where it may be cut."""
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) > _LOOKED_AT_ROWS:
                break
    except csv.Error:
        pass  # the parser of the whole meets the same and says what is wrong
    return rows


_NUMBER = re2.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?%?")
_DATE = re2.compile(
    r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})(?:[T ]\d{1,2}:\d{2}.*)?"
)
_ADDRESS = re2.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}|https?://\S+|[\d .()+/-]{7,}")
_YEAR = re2.compile(r"(?:19|20)\d\d")


def kind_of(value: str) -> str:
    """What a cell holds: `empty`, `number`, `date`, `address` or `text`."""
    value = value.strip()
    if not value:
        return "empty"
    for name, pattern in (("number", _NUMBER), ("date", _DATE), ("address", _ADDRESS)):
        if pattern.fullmatch(value):
            return name
    return "text"


def has_names(rows: list[list[str]]) -> bool:
    """Whether the first row holds names rather than values like those below it.

    A name is text. A first row is values when some of its cells are numbers, dates or addresses
    as those below are, and none is text above such a column. Years may be names: a row of
    different years above other numbers is one.
    """
    first, below = rows[0], rows[1:]
    if not below:
        return not any(kind_of(cell) in {"date", "address"} for cell in first)
    against = 0
    for index, cell in enumerate(first):
        kind = kind_of(cell)
        others = [kind_of(row[index]) for row in below if index < len(row)]
        filled = [other for other in others if other != "empty"]
        if not filled:
            continue
        typed = sum(1 for other in filled if other != "text") / len(filled)
        if kind == "text" and typed > 0.8:
            return True
        if kind not in {"text", "empty"} and filled.count(kind) / len(filled) > 0.5:
            against += 1
    if not against:
        return True
    years = [cell.strip() for cell in first if _YEAR.fullmatch(cell.strip())]
    return len(years) == against and len(set(years)) == len(years) > 1
