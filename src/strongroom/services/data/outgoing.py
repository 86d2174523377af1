"""From batches to the bytes of an answer, one piece after the other."""

import io
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from strongroom.engines.privacy.mask.export import without_formulas
from strongroom.errors import TableError
from strongroom.services.data.formats import TableFormat

MEDIA_TYPES = {
    TableFormat.CSV: "text/csv; charset=utf-8",
    TableFormat.JSONL: "application/x-ndjson",
    TableFormat.PARQUET: "application/vnd.apache.parquet",
    TableFormat.ARROW: "application/vnd.apache.arrow.stream",
}


class _Pieces(io.RawIOBase):
    """Collects what a writer writes, until `take`."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, content: Any) -> int:  # noqa: ANN401 - Arrow passes a buffer of its own
        piece = bytes(content)
        self._pieces.append(piece)
        self._at += len(piece)
        return len(piece)

    def take(self) -> bytes:
        """What came since the last time."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def require_exportable(schema: pa.Schema, form: TableFormat) -> None:
    """Raise TableError where the format cannot hold a column."""
    if form is TableFormat.CSV:
        for field in schema:
            if pa.types.is_nested(field.type) or pa.types.is_binary(field.type):
                raise TableError(
                    f"the column `{field.name}` does not fit into CSV",
                    next_step="read it as jsonl, arrow or parquet",
                )


def encode(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    form: TableFormat,
    *,
    delimiter: str = ",",
) -> Iterator[bytes]:
    """The bytes of a table of `schema`; CSV, of any delimiter, is safe to open in a spreadsheet."""
    if form is TableFormat.CSV:
        return _csv(batches, schema, delimiter)
    if form is TableFormat.JSONL:
        return _jsonl(batches)
    return _binary(batches, schema, form)


def _csv(batches: Iterable[pa.RecordBatch], schema: pa.Schema, delimiter: str) -> Iterator[bytes]:
    pieces = _Pieces()
    names = without_formulas(_empty(schema))
    sink: Any = pa.PythonFile(pieces, mode="w")
    options = pa.csv.WriteOptions(delimiter=delimiter)
    writer = pa.csv.CSVWriter(sink, names.schema, write_options=options)
    yield pieces.take()
    for batch in batches:
        writer.write_batch(without_formulas(batch))
        yield pieces.take()
    writer.close()
    yield pieces.take()


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    arrays: list[Any] = [pa.array([], field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _jsonl(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    import polars as pl  # slow to import, and only for this form

    for batch in batches:
        piece = io.BytesIO()
        frame = pl.from_arrow(batch)
        assert isinstance(frame, pl.DataFrame)  # noqa: S101 # for mypy: a batch gives a frame
        frame.write_ndjson(piece)
        yield piece.getvalue()


def _binary(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, form: TableFormat
) -> Iterator[bytes]:
    pieces = _Pieces()
    sink = pa.PythonFile(pieces, mode="w")
    writer: Any = (
        pa.ipc.new_stream(sink, schema)
        if form is TableFormat.ARROW
        else pq.ParquetWriter(sink, schema, compression="zstd")
    )
    for batch in batches:
        writer.write_batch(batch)
        yield pieces.take()
    writer.close()
    yield pieces.take()
