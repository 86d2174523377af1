"""CSV and its relatives: typed columns, block by block."""

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from strongroom.engines.reading.blocks import Pace
from strongroom.engines.reading.checking import Rows, check_names, checked, truncated, with_errors
from strongroom.engines.reading.csv_dialect import Dialect
from strongroom.engines.reading.source import Source
from strongroom.engines.reading.types import ReadLimits
from strongroom.errors import EncodingError, TableError, TruncatedError

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute

INFERENCE_BYTES = 4 << 20
_LEADING_ZERO = r"^[+-]?0[0-9]"
_NOT_A_NUMBER = ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "#N/A"]


def read_csv(
    source: Source, dialect: Dialect, limits: ReadLimits, text_columns: Sequence[str]
) -> Rows:
    """A table of UTF-8 text; one row of names, or none.

    Types are those of the first rows. Numbers with leading zeros stay text, for they are codes.
    An empty field is missing; in columns of numbers so are NA and the like.

    Raises:
        TableError, TooLargeError, TruncatedError: now or while its batches are read.
    """
    names = dialect.names
    check_names(names, limits)
    if unknown := [name for name in text_columns if name not in names]:
        raise TableError(f"there is no column `{unknown[0]}` to keep as text")
    parse = pa.csv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True)
    given = None if dialect.header else names
    start = source.peek(min(limits.row_bytes, INFERENCE_BYTES))
    types = _column_types(start, parse, given, names, text_columns)
    pace = Pace()
    blanks = dialect.delimiter.join([""] * len(names)).encode() or b'""'
    file: Any = pa.PythonFile(_Ended(source, pace, sentinel=blanks), mode="r")
    reader = with_errors(
        lambda: pa.csv.open_csv(
            file,
            read_options=_reading(given, limits.row_bytes),
            parse_options=parse,
            convert_options=_conversion(types),
        ),
        source,
    )
    if any(pa.types.is_binary(field.type) for field in reader.schema):
        raise EncodingError("the text is not UTF-8")  # pyarrow would take it for bytes
    return checked(source, reader.schema, _without_sentinel(pace.watched(reader)), limits)


def _reading(names: list[str] | None, block_bytes: int) -> pa.csv.ReadOptions:
    return pa.csv.ReadOptions(use_threads=False, block_size=block_bytes, column_names=names)


def _conversion(types: Mapping[str, pa.DataType]) -> pa.csv.ConvertOptions:
    return pa.csv.ConvertOptions(
        column_types=dict(types),
        null_values=_NOT_A_NUMBER,
        strings_can_be_null=False,
        check_utf8=True,
    )


def _whole_rows(start: bytes) -> bytes:
    """`start` up to the last line end that is outside quotes."""
    characters = np.frombuffer(start, np.uint8)
    quotes = np.flatnonzero(characters == ord('"'))
    ends = np.flatnonzero(characters == ord("\n"))
    outside = ends[np.searchsorted(quotes, ends) % 2 == 0]
    return start[: int(outside[-1]) + 1] if len(outside) else start


def _column_types(
    start: bytes,
    parse: pa.csv.ParseOptions,
    given: list[str] | None,
    names: Sequence[str],
    text_columns: Sequence[str],
) -> dict[str, pa.DataType]:
    """Types by the first rows, text where a number would lose its leading zeros."""
    whole_rows = _whole_rows(start)
    reading = _reading(given, max(1, len(whole_rows)))
    try:
        texts = pa.csv.read_csv(
            io.BytesIO(whole_rows),
            read_options=reading,
            parse_options=parse,
            convert_options=_conversion(dict.fromkeys(names, pa.string())),
        )
        inferred = pa.csv.read_csv(
            io.BytesIO(whole_rows),
            read_options=reading,
            parse_options=parse,
            convert_options=_conversion({}),
        )
    except pa.ArrowInvalid:
        # The parser of the whole meets the same and says what is wrong.
        return dict.fromkeys(text_columns, pa.string())
    types = {}
    for index, field in enumerate(inferred.schema):
        kind = field.type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind):
            zeros = pc.any(pc.match_substring_regex(texts.column(index), _LEADING_ZERO))
            if zeros.as_py() or pa.types.is_null(kind):
                kind = pa.string()
        types[field.name] = kind
    return types | dict.fromkeys(text_columns, pa.string())


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
