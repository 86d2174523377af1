"""Masked tables as a workbook (xlsx): every value a value, never a formula.

Source: ECMA-376 part 1, section 18.3.1 (worksheets), 22.9.2.19 (`_xHHHH_`); the limits are those of
Excel's specifications.
"""

import datetime as dt
import decimal
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from strongroom.errors import TooLargeError
from strongroom.services.data.formats import TableFormat
from strongroom.services.data.outgoing import require_exportable

MAX_ROWS = 1 << 20
"""Of a sheet, its row of names among them."""
MAX_COLUMNS = 1 << 14
MAX_CHARACTERS = 32_767
"""Of a cell."""
_MAX_TITLE = 31
_EXACT_DIGITS = 10**15
"""A spreadsheet keeps fifteen digits of a number."""
_FIRST_DATE = dt.date(1900, 3, 1)
"""Before it, spreadsheets disagree by a day or know no dates."""
_PIECE_BYTES = 1 << 20
_BAD_IN_TITLES = re.compile(r"[\[\]:*?/\\\x00-\x1f\x7f-\x9f\ufffe\uffff]")
_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)|[\x00-\x08\x0b-\x1f\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table on its way into a workbook."""

    name: str
    schema: pa.Schema
    batches: Iterable[pa.RecordBatch]


def workbook_bytes(sheets: Iterable[Sheet]) -> Iterator[bytes]:
    """A workbook of the tables, in pieces; their rows are read one table after the other.

    Texts stay texts, also where they begin like a formula. What a cell cannot hold as it is (long
    numbers, days before March 1900) is a text.

    Raises:
        TableError: a sheet cannot hold a column of that type.
        TooLargeError: too many rows or columns, or a text is too long; nothing is cut off.
    """
    # It takes a tenth of a second, and few commands write workbooks.
    from openpyxl import Workbook

    book: Any = Workbook(write_only=True)
    try:
        titles: list[str] = []
        for sheet in sheets:
            titles.append(_title(sheet.name, titles))
            _fill(book, titles[-1], sheet)
        held = io.BytesIO()
        book.save(held)
    except BaseException:
        for made in book.worksheets:
            # Else its rows so far would stay in a temporary file until the process ends.
            made.close()
            made._writer.cleanup()  # noqa: SLF001 # `save` alone does it else
        raise
    view = held.getbuffer()
    for at in range(0, len(view), _PIECE_BYTES):
        yield bytes(view[at : at + _PIECE_BYTES])


def _fill(book: Any, title: str, sheet: Sheet) -> None:  # noqa: ANN401 # of an untyped library
    if len(sheet.schema) > MAX_COLUMNS:
        raise _too_large(f"{MAX_COLUMNS:,} columns")
    require_exportable(sheet.schema, TableFormat.CSV)
    made = book.create_sheet(title)
    made.append([_cell(made, name) for name in sheet.schema.names])
    rows = 1
    for batch in sheet.batches:
        rows += batch.num_rows
        if rows > MAX_ROWS:
            raise _too_large(f"{MAX_ROWS:,} rows")
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            made.append([_cell(made, value) for value in row])


def _cell(sheet: Any, value: Any) -> object:  # noqa: ANN401 # any value of a table
    """What stands for a value."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float | decimal.Decimal):
        # Also infinity, and what is no number.
        is_exact = -_EXACT_DIGITS < value < _EXACT_DIGITS
        return value if is_exact else _text(sheet, str(value))
    if isinstance(value, dt.datetime):
        is_plain = value.tzinfo is None and value.date() >= _FIRST_DATE
        return value if is_plain else _text(sheet, value.isoformat(" "))
    if isinstance(value, dt.date):
        return value if value >= _FIRST_DATE else _text(sheet, value.isoformat())
    return _text(sheet, str(value))


def _text(sheet: Any, text: str) -> object:  # noqa: ANN401 # of an untyped library
    from openpyxl.cell import WriteOnlyCell

    text = _ESCAPED.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
    if len(text) > MAX_CHARACTERS:
        raise _too_large(f"{MAX_CHARACTERS:,} characters in a cell")
    cell: Any = WriteOnlyCell(sheet, text)
    # It takes what begins with `=` for a formula, and `#N/A` for an error.
    cell.data_type = "s"
    return cell


def _title(name: str, taken: Sequence[str]) -> str:
    """A name that a sheet can have, different from those before it, whatever the case."""
    plain = _BAD_IN_TITLES.sub("_", name).strip(" '")[:_MAX_TITLE] or "Sheet"
    title, number = plain, 2
    lowered = {other.casefold() for other in taken} | {"history"}
    while title.casefold() in lowered:
        ending = f"-{number}"
        title = plain[: _MAX_TITLE - len(ending)] + ending
        number += 1
    return title


def _too_large(what: str) -> TooLargeError:
    return TooLargeError(
        f"a workbook holds no more than {what}", next_step="write another form: --to csv or parquet"
    )
