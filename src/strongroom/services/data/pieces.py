"""A table in pieces, to leave the sandbox by."""

import io
from collections.abc import Iterator

import pyarrow as pa

PIECE_BYTES = 4 << 20


def pieces(table: pa.Table) -> Iterator[bytes]:
    """An Arrow IPC stream of some 4 MiB a piece."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=1 << 16):
            writer.write_batch(batch)
            while sink.tell() >= PIECE_BYTES:
                yield _taken(sink)
    if sink.tell():
        yield _taken(sink)


def _taken(sink: io.BytesIO) -> bytes:
    content = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return content
