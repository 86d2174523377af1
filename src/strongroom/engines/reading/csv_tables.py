"""CSV and its relatives: typed columns, block by block."""

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from strongroom.engines.reading.blocks import Pace
from strongroom.engines.reading.checking import Rows, check_names, checked, truncated, with_errors
from strongroom.engines.reading.csv_dialect import Dialect
from strongroom.engines.reading.csv_types import (
    INFERENCE_BYTES,
    Again,
    ColumnTypes,
    conversion,
    reading,
)
from strongroom.engines.reading.source import Source
from strongroom.engines.reading.types import ReadLimits
from strongroom.errors import EncodingError, TableError, TruncatedError

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute

_SHOWN_COLUMNS = 20


def read_csv(
    source: Source,
    dialect: Dialect,
    limits: ReadLimits,
    text_columns: Sequence[str],
    again: Again | None = None,
) -> tuple[Rows, tuple[str, ...]]:
    """A table of UTF-8 text, one row of names or none; and what was assumed of it.

    Types are those of all rows where `again` is given, which are gone through for that; else those
    of the first rows, which later ones must fit. Columns of several kinds are text, and so are
    numbers with leading zeros, for they are codes. An empty field is missing; in columns of
    numbers so are NA and the like.

    Raises:
        TableError, TooLargeError, TruncatedError: now or while its batches are read.
    """
    names = dialect.names
    check_names(names, limits)
    if unknown := [name for name in text_columns if name not in names]:
        raise TableError(f"there is no column `{unknown[0]}` to keep as text")
    parse = pa.csv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True)
    looked_at = min(limits.row_bytes, INFERENCE_BYTES)
    start = source.peek(looked_at)
    columns = ColumnTypes(parse, names)
    seen = columns.look_at_start(start, header=dialect.header, text_columns=text_columns)
    if again is not None and seen and len(start) >= looked_at:
        columns.look_at_rest(source, seen, limits)
        source = again()
    rows = _rows(source, dialect, limits, parse, columns.types)
    if not columns.widened:
        return rows, ()
    places = [str(names.index(name) + 1) for name in columns.widened[:_SHOWN_COLUMNS]]
    more = "" if len(columns.widened) <= _SHOWN_COLUMNS else " and others"
    told = f"{len(columns.widened)} (number {', '.join(places)}{more})"
    return rows, (f"columns whose later values are of several kinds, read as text: {told}",)


def _rows(
    source: Source,
    dialect: Dialect,
    limits: ReadLimits,
    parse: pa.csv.ParseOptions,
    types: Mapping[str, pa.DataType],
) -> Rows:
    given = None if dialect.header else dialect.names
    pace = Pace()
    blanks = dialect.delimiter.join([""] * len(dialect.names)).encode() or b'""'
    file: Any = pa.PythonFile(_Ended(source, pace, sentinel=blanks), mode="r")
    reader = with_errors(
        lambda: pa.csv.open_csv(
            file,
            read_options=reading(given, limits.row_bytes),
            parse_options=parse,
            convert_options=conversion(types),
        ),
        source,
    )
    if any(pa.types.is_binary(field.type) for field in reader.schema):
        raise EncodingError("the text is not UTF-8")  # pyarrow would take it for bytes
    return checked(source, reader.schema, _without_sentinel(pace.watched(reader)), limits)


class _Ended(io.RawIOBase):
    """The text followed by one row of empty fields.

    pyarrow takes a file that ends inside a quoted field for whole; then this row is swallowed by
    the field, which shows that the file was cut off.
    """

    def __init__(self, source: Source, pace: Pace, sentinel: bytes) -> None:
        super().__init__()
        self._source = source
        self._pace = pace
        self._sentinel = sentinel
        self._rest: bytes | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        wanted = -1 if size is None else size
        self._pace.reading()
        if self._rest is None:
            content = self._source.read(wanted)
            if len(content) == wanted:
                return content
            newline = b"" if self._source.tail.endswith(b"\n") else b"\n"
            self._rest = content + newline + self._sentinel + b"\n"
        content, self._rest = self._rest[:wanted], self._rest[wanted:]
        return content


def _without_sentinel(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches without the last row, which must be the one that `_Ended` added."""
    held: pa.RecordBatch | None = None
    for batch in batches:
        if not batch.num_rows:
            continue
        if held is not None:
            yield held
        held = _empty_is_missing(batch)
    if held is None:
        raise truncated("table")
    last = held.slice(held.num_rows - 1)
    if any(column.null_count != 1 for column in last.columns):
        raise TruncatedError("the table ends inside a quoted field")
    yield held.slice(0, held.num_rows - 1)


def _empty_is_missing(batch: pa.RecordBatch) -> pa.RecordBatch:
    arrays: list[Any] = []
    for column in batch.columns:
        if pa.types.is_string(column.type):
            empty = pc.equal(column, "")
            arrays.append(pc.if_else(empty, pa.scalar(None, pa.string()), column))
        else:
            arrays.append(column)
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)
