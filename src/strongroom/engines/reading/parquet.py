"""Parquet, from a file that can be read from its end."""

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from strongroom.engines.reading.checking import Rows, checked, with_errors
from strongroom.engines.reading.source import Source
from strongroom.engines.reading.types import ReadLimits
from strongroom.errors import NoRowsError, TooLargeError

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute

_BATCH_ROWS = 1 << 16
_CODE_BYTES = 8
_MAX_FOOTER_STRINGS = 64 << 20
_MAX_FOOTER_CONTAINER = 4 << 20


def read_parquet(file: BinaryIO, source: Source, limits: ReadLimits) -> Rows:
    """Schema and rows.

    Args:
        file: the whole, seekable.
        source: whose failures and time count.
        limits: of the table.

    Raises:
        TableError, TooLargeError: now or while its batches are read.
    """
    opened = _opened(file, source, [])
    metadata = opened.metadata
    if metadata.num_columns > limits.columns:
        raise TooLargeError(f"the table has more than {limits.columns} columns")
    if not metadata.num_rows:
        raise NoRowsError
    coded = with_errors(lambda: _check_groups(metadata, limits), source)
    if coded:
        opened = _opened(file, source, coded)
    batches = _in_pieces(opened.iter_batches(_BATCH_ROWS), limits)
    return checked(source, opened.schema_arrow, batches, limits)


def _opened(file: BinaryIO, source: Source, coded: list[str]) -> pq.ParquetFile:
    opened: pq.ParquetFile = with_errors(
        lambda: pq.ParquetFile(
            pa.PythonFile(cast("io.IOBase", file), mode="r"),
            thrift_string_size_limit=_MAX_FOOTER_STRINGS,
            thrift_container_size_limit=_MAX_FOOTER_CONTAINER,
            page_checksum_verification=True,
            pre_buffer=False,
            read_dictionary=coded or None,
        ),
        source,
    )
    return opened


def _check_groups(metadata: pq.FileMetaData, limits: ReadLimits) -> list[str]:
    """Refuse row groups that are too large; the text columns that are coded by a dictionary.

    A dictionary names a long text as often as it likes, in a bit each time: columns that are
    mostly such codes are read as they are, and unfolded piece by piece. For others that would
    cost ten times the time. What the footer says may be a lie; where that matters, the reader
    runs in the sandbox.
    """
    coded = set()
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        if group.total_byte_size > 4 * limits.message_bytes:
            raise TooLargeError(
                "a row group of the Parquet file is too large",
                next_step="write it with smaller row groups",
            )
        for index in range(group.num_columns):
            column = group.column(index)
            # Of a list in a row; the lists of one row are unfolded at once.
            if column.num_values > max(group.num_rows, limits.message_bytes // 8):
                raise TooLargeError("the lists of the Parquet file are too long")
            is_flat = "." not in column.path_in_schema
            is_coded = column.physical_type == "BYTE_ARRAY" and column.has_dictionary_page
            mostly_codes = column.total_uncompressed_size < _CODE_BYTES * column.num_values
            if is_flat and is_coded and mostly_codes:
                coded.add(column.path_in_schema)
    return sorted(coded)


def _in_pieces(batches: Iterator[pa.RecordBatch], limits: ReadLimits) -> Iterator[pa.RecordBatch]:
    """The batches, cut so that each stays within bounds once its dictionaries are unfolded."""
    for batch in batches:
        waiting = [batch]
        while waiting:
            piece = waiting.pop()
            half = piece.num_rows // 2
            if half and _unfolded(piece) > limits.message_bytes:
                waiting += [piece.slice(half), piece.slice(0, half)]
            else:
                yield piece


def _unfolded(batch: pa.RecordBatch) -> int:
    """Bytes of the coded texts when each is written out."""
    total = 0
    for column in batch.columns:
        if isinstance(column, pa.DictionaryArray):
            column.validate(full=True)  # or an index might lead outside
            lengths = pc.take(pc.binary_length(column.dictionary), column.indices)
            total += pc.sum(lengths.cast(pa.int64())).as_py() or 0
    return total
