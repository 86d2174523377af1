"""Arrow IPC, as a stream or as a file (Feather 2), which holds a stream between its marks."""

from collections.abc import Iterator

import pyarrow as pa

from strongroom.engines.reading.checking import Rows, checked, truncated, with_errors
from strongroom.engines.reading.ipc_messages import CheckedMessages
from strongroom.engines.reading.source import Source
from strongroom.engines.reading.types import ReadLimits

_MAGIC = b"ARROW1"
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


def read_arrow(source: Source, limits: ReadLimits) -> Rows:
    """Schema and rows.

    Raises:
        TableError, TooLargeError, TruncatedError: now or while its batches are read.
    """
    is_file = source.peek(len(_MAGIC)).startswith(_MAGIC)
    if is_file:
        source.read(8)  # the magic and two bytes of padding
    messages = CheckedMessages(source, limits.message_bytes)
    reader = with_errors(lambda: pa.ipc.open_stream(pa.PythonFile(messages, mode="r")), source)

    def batches() -> Iterator[pa.RecordBatch]:
        yield from reader
        source.drain()
        # Arrow takes a stream that stops between two messages for whole.
        if not source.tail.endswith(_MAGIC if is_file else _END_OF_STREAM):
            raise truncated("Arrow stream")

    return checked(source, reader.schema, batches(), limits)
