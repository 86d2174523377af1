"""Parsers of the text formats: CSV and JSON lines."""

import io
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.json
import re2

from strongroom.errors import TableError, TooLargeError, TruncatedError
from strongroom.services.data.incoming import IncomingFile
from strongroom.services.data.parsing import (
    ParsedTable,
    ParseLimits,
    checked,
    truncated,
    with_errors,
)

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute

_DELIMITERS = ",;\t|"
_LEADING_ZERO = r"^[+-]?0[0-9]"
_NOT_A_NUMBER = ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "#N/A"]
_MAX_JSON_DEPTH = 64
_INFERENCE_BYTES = 4 << 20
_BLOCKS_AHEAD = 4
_WAIT_SECONDS = 0.2


def parse_csv(file: IncomingFile, limits: ParseLimits, text_columns: list[str]) -> ParsedTable:
    """A CSV with one header row; delimiter `,`, `;`, tab or `|`, as the header shows.

    Types are those of the first rows. Numbers with leading zeros stay text, for they are codes.
    An empty field is missing; in columns of numbers so are NA and the like.

    Raises:
        TableError, TooLargeError, TruncatedError: now or while its batches are read.
    """
    block_bytes = limits.row_bytes
    start = file.peek(min(block_bytes, _INFERENCE_BYTES))
    delimiter, names = _header(start, limits)
    if unknown := [name for name in text_columns if name not in names]:
        raise TableError(f"there is no column `{unknown[0]}` to keep as text")
    parse = pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    types = _column_types(start, parse, names, text_columns)
    pace = _Pace()
    ended = _Ended(file, pace, sentinel=delimiter.join([""] * len(names)).encode() or b'""')
    source: Any = pa.PythonFile(ended, mode="r")
    reader = with_errors(
        lambda: pa.csv.open_csv(
            source,
            read_options=pa.csv.ReadOptions(use_threads=False, block_size=block_bytes),
            parse_options=parse,
            convert_options=_conversion(types),
        ),
        file,
    )
    if any(pa.types.is_binary(field.type) for field in reader.schema):
        raise TableError("the text is not UTF-8")  # pyarrow would take it for bytes
    return checked(file, reader.schema, _without_sentinel(pace.watched(reader)), limits)


def _conversion(types: Mapping[str, pa.DataType]) -> pa.csv.ConvertOptions:
    return pa.csv.ConvertOptions(
        column_types=dict(types),
        null_values=_NOT_A_NUMBER,
        strings_can_be_null=False,
        check_utf8=True,
    )


def _header(start: bytes, limits: ParseLimits) -> tuple[str, list[str]]:
    """Delimiter and column names.

    Raises:
        TooLargeError: no end of the header within a row's length, or too many columns.
        TableError: not UTF-8.
    """
    line, newline, _ = start.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
    if not newline and len(start) >= min(limits.row_bytes, _INFERENCE_BYTES):
        raise TooLargeError("the first row of the table is too long")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise TableError("the text is not UTF-8") from None
    unquoted = re2.sub(r'"[^"]*"', "", text)
    delimiter = max(_DELIMITERS, key=unquoted.count)
    if unquoted.count(delimiter) >= limits.columns:
        raise TooLargeError(f"the table has more than {limits.columns} columns")
    return delimiter, _first_names(line, delimiter)


def _whole_rows(start: bytes) -> bytes:
    """`start` up to the last line end that is outside quotes."""
    characters = np.frombuffer(start, np.uint8)
    quotes = np.cumsum(characters == ord('"'))
    ends = np.flatnonzero(characters == ord("\n"))
    outside = ends[quotes[ends] % 2 == 0]
    return start[: int(outside[-1]) + 1] if len(outside) else start


def _first_names(line: bytes, delimiter: str) -> list[str]:
    options = pa.csv.ParseOptions(delimiter=delimiter)
    try:
        table = pa.csv.read_csv(io.BytesIO(line + b"\n"), parse_options=options)
    except pa.ArrowInvalid:
        raise TableError("the table has no columns") from None
    return list(table.schema.names)


def _column_types(
    start: bytes, parse: pa.csv.ParseOptions, names: list[str], text_columns: list[str]
) -> dict[str, pa.DataType]:
    """Types by the first rows, text where a number would lose its leading zeros."""
    if len(set(names)) != len(names):
        return {}  # refused as soon as the schema is checked
    whole_rows = _whole_rows(start)
    as_text = {name: pa.string() for name in names}
    try:
        texts = pa.csv.read_csv(
            io.BytesIO(whole_rows), parse_options=parse, convert_options=_conversion(as_text)
        )
        inferred = pa.csv.read_csv(
            io.BytesIO(whole_rows), parse_options=parse, convert_options=_conversion({})
        )
    except pa.ArrowInvalid:
        # The parser of the whole meets the same and says what is wrong.
        return dict.fromkeys(text_columns, pa.string())
    types = {}
    for field in inferred.schema:
        kind = field.type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind):
            zeros = pc.any(pc.match_substring_regex(texts.column(field.name), _LEADING_ZERO))
            if zeros.as_py() or pa.types.is_null(kind):
                kind = pa.string()
        types[field.name] = kind
    return types | dict.fromkeys(text_columns, pa.string())


class _Pace:
    """Keeps pyarrow's reading thread near its parser: it would read 32 blocks ahead."""

    def __init__(self) -> None:
        self._read = self._parsed = 0
        self._change = threading.Condition()

    def reading(self) -> None:
        """Wait until the parser has caught up, or for a moment where it cannot yet."""
        with self._change:
            self._change.wait_for(lambda: self._read - self._parsed < _BLOCKS_AHEAD, _WAIT_SECONDS)
            self._read += 1

    def watched(self, reader: Any) -> Iterator[pa.RecordBatch]:  # noqa: ANN401 # a CSV or JSON reader
        """The batches of `reader`, each of which is one block."""
        for batch in reader:
            with self._change:
                self._parsed += 1
                self._change.notify()
            yield batch


class _Ended(io.RawIOBase):
    """The upload followed by one row of empty fields.

    pyarrow takes a file that ends inside a quoted field for whole; then this row is swallowed by
    the field, which shows that the file was cut off.
    """

    def __init__(self, file: IncomingFile, pace: _Pace, sentinel: bytes) -> None:
        super().__init__()
        self._file = file
        self._pace = pace
        self._sentinel = sentinel
        self._rest: bytes | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        wanted = -1 if size is None else size
        self._pace.reading()
        if self._rest is None:
            content = self._file.read(wanted)
            if len(content) == wanted:
                return content
            newline = b"" if self._file.tail.endswith(b"\n") else b"\n"
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


def parse_jsonl(file: IncomingFile, limits: ParseLimits) -> ParsedTable:
    """One JSON object a line, with the fields that the first rows have.

    Raises:
        TableError, TooLargeError, TruncatedError: now or while its batches are read.
    """
    pace = _Pace()
    shallow = _Shallow(file, pace, limits)
    source: Any = pa.PythonFile(shallow, mode="r")
    reader = with_errors(
        lambda: pa.json.open_json(
            source,
            read_options=pa.json.ReadOptions(use_threads=False, block_size=limits.row_bytes),
        ),
        file,
    )
    return checked(file, reader.schema, pace.watched(reader), limits)


class _Shallow(io.RawIOBase):
    """Passes the upload line by line, and refuses lines that are long or deeply nested.

    pyarrow's JSON parser recurses into nested values without a limit of its own.
    """

    def __init__(self, file: IncomingFile, pace: _Pace, limits: ParseLimits) -> None:
        super().__init__()
        self._file = file
        self._pace = pace
        self._limit = limits.row_bytes
        self._ready = b""
        self._cut = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        wanted = self._limit if size is None or size < 0 else size
        self._pace.reading()
        while len(self._ready) < wanted and not self._ended:
            block = self._file.read(1 << 20)
            self._ended = len(block) < 1 << 20
            lines, newline, rest = (self._cut + block).rpartition(b"\n")
            if self._ended:
                lines, newline, rest = lines + newline + rest, b"", b""
            if len(rest) > self._limit:
                self._fail(TooLargeError("one row of the table is too long"))
            self._check(lines)
            self._ready += lines + newline
            self._cut = rest
        content, self._ready = self._ready[:wanted], self._ready[wanted:]
        return content

    def _fail(self, error: TableError | TooLargeError) -> None:
        self._file.failure = error
        raise error

    def _check(self, lines: bytes) -> None:
        for line in lines.split(b"\n"):
            brackets = line.count(b"{") + line.count(b"[")
            if brackets > _MAX_JSON_DEPTH and _depth(line) > _MAX_JSON_DEPTH:
                self._fail(TableError(f"a row is nested deeper than {_MAX_JSON_DEPTH} levels"))


_JSON_STRING = re2.compile(rb'"(?:[^"\\]|\\.)*"')


def _depth(line: bytes) -> int:
    """Greatest depth of nested brackets outside strings."""
    outside = np.frombuffer(_JSON_STRING.sub(b"", line), np.uint8)
    steps = np.isin(outside, (0x5B, 0x7B)).astype(np.int64) - np.isin(outside, (0x5D, 0x7D))
    return int(np.cumsum(steps).max(initial=0))
