"""Parsers of the binary formats: Arrow IPC and Parquet."""

import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from strongroom.errors import TableError, TooLargeError
from strongroom.services.data.incoming import IncomingFile
from strongroom.services.data.ipc_messages import CheckedMessages
from strongroom.services.data.parsing import (
    ParsedTable,
    ParseLimits,
    checked,
    truncated,
    with_errors,
)

_MAGIC = b"ARROW1"
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_BATCH_ROWS = 1 << 16
_MAX_FOOTER_STRINGS = 64 << 20
_MAX_FOOTER_CONTAINER = 4 << 20


def parse_arrow(file: IncomingFile, limits: ParseLimits) -> ParsedTable:
    """Arrow IPC, as a stream or as a file (Feather 2), which holds a stream between its marks.

    Raises:
        TableError, TooLargeError, TruncatedError: now or while its batches are read.
    """
    is_file = file.peek(len(_MAGIC)).startswith(_MAGIC)
    if is_file:
        file.read(8)  # the magic and two bytes of padding
    messages = CheckedMessages(file, limits.message_bytes)
    reader = with_errors(lambda: pa.ipc.open_stream(pa.PythonFile(messages, mode="r")), file)

    def batches() -> Iterator[pa.RecordBatch]:
        yield from reader
        file.drain()
        # Arrow takes a stream that stops between two messages for whole.
        if not file.tail.endswith(_MAGIC if is_file else _END_OF_STREAM):
            raise truncated("Arrow stream")

    return checked(file, reader.schema, batches(), limits)


def parse_parquet(
    source: io.BufferedIOBase, file: IncomingFile, limits: ParseLimits
) -> ParsedTable:
    """Parquet from a seekable file, for its directory stands at the end.

    Args:
        source: the whole upload.
        file: the stream it came by.
        limits: of the table.

    Raises:
        TableError, TooLargeError: now or while its batches are read.
    """
    opened = with_errors(
        lambda: pq.ParquetFile(
            pa.PythonFile(source, mode="r"),
            thrift_string_size_limit=_MAX_FOOTER_STRINGS,
            thrift_container_size_limit=_MAX_FOOTER_CONTAINER,
            page_checksum_verification=True,
            pre_buffer=False,
        ),
        file,
    )
    if opened.metadata.num_columns > limits.columns:
        raise TooLargeError(f"the table has more than {limits.columns} columns")
    for group in range(opened.metadata.num_row_groups):
        if opened.metadata.row_group(group).total_byte_size > 4 * limits.message_bytes:
            raise TooLargeError(
                "a row group of the Parquet file is too large",
                next_step="write it with smaller row groups",
            )
    if not opened.metadata.num_rows:
        raise TableError("the table has no rows")
    return checked(file, opened.schema_arrow, opened.iter_batches(_BATCH_ROWS), limits)
