"""A sheet as a table: names from its first row, a type for each column by all of its values."""

import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from strongroom.engines.reading.cells import CellReader, Kind, Row, Value
from strongroom.engines.reading.checking import Rows, check_names, checked
from strongroom.engines.reading.csv_dialect import has_names
from strongroom.engines.reading.source import Source
from strongroom.engines.reading.types import ReadLimits, ReadOptions
from strongroom.engines.reading.workbook import Sheet, Workbook
from strongroom.errors import NoRowsError, TableError

_DATES = (Kind.DATE, Kind.MOMENT)
_LOOKED_AT_ROWS = 200
_BATCH_CELLS = 1 << 20
_BATCH_BYTES = 16 << 20
_HELD_CELLS = 1 << 18
_EPOCH_1904 = dt.datetime(1904, 1, 1)  # noqa: DTZ001 # a spreadsheet's dates have no zone
_EPOCH = dt.datetime(1899, 12, 30)  # noqa: DTZ001 # as above
_EPOCH_BEFORE_MARCH = dt.datetime(1899, 12, 31)  # noqa: DTZ001 # as above
_LEAP_DAY = 60
"""The 29th of February 1900, which Excel believes in; days before it count from one later."""


def read_sheet(
    workbook: Workbook, sheet: Sheet, source: Source, limits: ReadLimits, options: ReadOptions
) -> tuple[Rows, tuple[str, ...]]:
    """Schema and rows of a sheet, and remarks on what was assumed.

    The sheet is gone through twice where it is long: once for the types, which so are those of
    all its values, once for the rows. A column of mixed kinds is text.

    Raises:
        TableError, TooLargeError: now or while its batches are read.
    """
    first, is_whole = _beginning(_rows(workbook, sheet, limits))
    if not first:
        raise NoRowsError
    header = options.header
    if header is None:
        header = has_names([_shown(row) for row in first[:_LOOKED_AT_ROWS]])
    skipped = 1 if header else 0

    def rows() -> Iterator[Row]:
        every = iter(first) if is_whole else _rows(workbook, sheet, limits)
        return islice(every, skipped, None)

    kinds: dict[int, int] = dict.fromkeys(first[0], 0) if header else {}
    count = 0
    for count, row in enumerate(rows(), 1):  # noqa: B007 # used after the loop
        for column, (kind, _) in row.items():
            kinds[column] = kinds.get(column, 0) | kind
    if not count:
        raise NoRowsError
    columns = sorted(kinds)
    names, remarks = _names(first[0] if header else {}, columns)
    check_names(names, limits)
    if unknown := [name for name in options.text_columns if name not in names]:
        raise TableError(f"there is no column `{unknown[0]}` to keep as text")
    types = [
        pa.string() if name in options.text_columns else _type(kinds[column])
        for name, column in zip(names, columns, strict=True)
    ]
    schema = pa.schema(list(zip(names, types, strict=True)))
    batches = _batches(rows(), schema, columns, from_1904=workbook.from_1904)
    return checked(source, schema, batches, limits), remarks


def _rows(workbook: Workbook, sheet: Sheet, limits: ReadLimits) -> Iterator[Row]:
    for rows in CellReader(workbook, limits).rows(workbook.pieces(sheet)):
        yield from rows


def _beginning(rows: Iterator[Row]) -> tuple[list[Row], bool]:
    """The first rows, and whether they are all."""
    first: list[Row] = []
    cells = 0
    for row in rows:
        first.append(row)
        cells += len(row)
        if cells > _HELD_CELLS:
            return first, False
    return first, True


def _shown(row: Row) -> list[str]:
    shown = [""] * (max(row) + 1)
    for column, (kind, value) in row.items():
        # The words that tell a date from a name are those of CSV.
        shown[column] = "2000-01-01" if kind in _DATES else str(value)
    return shown


def _names(header: Row, columns: Sequence[int]) -> tuple[list[str], tuple[str, ...]]:
    names, made = [], 0
    for column in columns:
        value: Value | None = header.get(column)
        name = " ".join(str(value[1]).split()) if value is not None else ""
        if not name:
            made += 1
            name = f"column_{column + 1}"
        names.append(name)
    if not header:
        return names, ("the first row holds values, so the columns are named by number",)
    return names, ("columns without a name are named by number",) if made else ()


def _type(kinds: int) -> pa.DataType:
    if kinds == Kind.DATE:
        return pa.date32()
    if kinds in {Kind.MOMENT, Kind.DATE | Kind.MOMENT}:
        return pa.timestamp("us")
    if kinds == Kind.WHOLE:
        return pa.int64()
    if kinds in {Kind.NUMBER, Kind.NUMBER | Kind.WHOLE}:
        return pa.float64()
    return pa.bool_() if kinds == Kind.BOOLEAN else pa.string()


def _batches(
    rows: Iterator[Row], schema: pa.Schema, columns: Sequence[int], *, from_1904: bool
) -> Iterator[pa.RecordBatch]:
    """The rows in batches of some 16 MiB, and of at most a million cells, empty ones too."""
    batch_rows = max(1, _BATCH_CELLS // max(1, len(columns)))
    held: list[Row] = []
    size = 0
    for row in rows:
        held.append(row)
        size += sum(len(value) if isinstance(value, str) else 8 for _, value in row.values())
        if len(held) >= batch_rows or size >= _BATCH_BYTES:
            yield _batch(held, schema, columns, from_1904=from_1904)
            held, size = [], 0
    if held:
        yield _batch(held, schema, columns, from_1904=from_1904)


def _batch(
    rows: Sequence[Row], schema: pa.Schema, columns: Sequence[int], *, from_1904: bool
) -> pa.RecordBatch:
    values: dict[int, Any] = {}
    for number, row in enumerate(rows):
        for column, value in row.items():
            if column not in values:
                values[column] = np.full(len(rows), None, object)
            values[column][number] = value
    arrays = []
    for column, field in zip(columns, schema, strict=True):
        found = values.get(column)
        if found is None:
            arrays.append(pa.nulls(len(rows), field.type))
            continue
        plain = [None if one is None else _plain(one, field.type, from_1904) for one in found]
        arrays.append(pa.array(plain, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _plain(value: Value, kind: pa.DataType, from_1904: bool) -> object:  # called for each cell
    """The value as Arrow takes it for a column of type `kind`."""
    stated, content = value
    if stated in _DATES:
        moment = _moment(float(content), from_1904)
        if kind == pa.timestamp("us"):
            return moment
        if pa.types.is_date(kind):
            return moment.date()
        return (moment.date() if stated is Kind.DATE else moment).isoformat()
    if not pa.types.is_string(kind) or stated is Kind.TEXT:
        return content
    return str(content).upper() if stated is Kind.BOOLEAN else str(content)


def _moment(serial: float, from_1904: bool) -> dt.datetime:  # called for each cell
    """The date and time of a serial number, to the millisecond, which is what it holds."""
    epoch = _EPOCH if serial >= _LEAP_DAY else _EPOCH_BEFORE_MARCH
    if from_1904:
        epoch = _EPOCH_1904
    days = int(serial)
    milliseconds = round((serial - days) * 86_400_000)
    return epoch + dt.timedelta(days=days, milliseconds=milliseconds)
