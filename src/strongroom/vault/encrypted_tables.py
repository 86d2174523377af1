"""Tables as encrypted Parquet: a stream of batches in, a stream of chosen columns out.

Source: Parquet Modular Encryption (apache/parquet-format, Encryption.md), AES_GCM_V1, one
256-bit key for the footer and all columns. The footer is encrypted too: names, schema, counts
and statistics are not readable at rest. The AAD prefix binds every page to the blob it belongs
to; it is not stored in the file, so a file put in another's place does not open.

The files lie in the blob store like any blob, with key, digest and sizes wrapped in the row
(ADR 0003), and keep its rules: `write_table` stages, `BlobStore.commit` makes visible.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.parquet import encryption
from sqlalchemy.orm import Session

from strongroom.errors import (
    NotFoundError,
    StrongroomError,
    TableError,
    TamperedError,
    TooLargeError,
    UnavailableError,
)
from strongroom.vault.blob_reading import BlobInfo, OpenedBlob
from strongroom.vault.blob_writing import BlobDraft, StagedBlob
from strongroom.vault.blobs import BlobStore

KIND = "table"

_GROUP_ROWS = 1 << 17
_GROUP_BYTES = 64 << 20
_MAX_ROW_GROUPS = (1 << 15) - 1  # the format's ordinals are signed 16-bit numbers
_MAX_COLUMNS = 10_000
_BATCH_ROWS = 1 << 16
_READ_BUFFER = 1 << 20


def write_table(
    store: BlobStore,
    workspace: str,
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    *,
    kind: str = KIND,
) -> StagedBlob:
    """Write batches as one encrypted table; commit it with `store.commit`.

    At most one row group, 131,072 rows or 64 MiB, and one batch are held in memory.

    Args:
        store: where it goes.
        workspace: whose key seals it.
        batches: each of exactly `schema`; an exception of theirs passes through.
        schema: column names, unique and not empty, with their types.
        kind: word of the caller's room.

    Raises:
        TableError: duplicate or empty column names, no columns, or a batch of another schema.
        TooLargeError, StorageFullError, UnavailableError, KeyUnavailableError: as `put`.
    In every case nothing is left behind.
    """
    check_schema(schema)
    draft = store.create(workspace, kind, sealing="parquet-1")
    sink = _Sink(draft)
    try:
        _write(sink, draft, batches, schema)
        return draft.finish(draft.sealed_size, sink.hasher.digest())
    except BaseException:
        draft.discard()
        raise


def read_table(
    store: BlobStore, session: Session, blob_id: str, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The table's rows in order, in batches of at most 65,536, verified as they are read.

    The session is used only for this call, not while iterating.

    Args:
        store: where it lies.
        session: to find its row.
        blob_id: the table.
        columns: those to read, in the order wanted; others are not decrypted. None: all.

    Raises:
        NotFoundError: no such table or column.
        TamperedError: now or while iterating, on any change.
        KeyUnavailableError: now or while iterating, once the key is disabled or destroyed.
    """
    opened = store.unseal(session, blob_id)
    try:
        file = _open(store, opened)
        names = file.schema_arrow.names
        if unknown := [name for name in columns or () if name not in names]:
            raise NotFoundError(f"the table has no column `{unknown[0][:200]}`")
    except BaseException:
        opened.download.close()
        raise
    return _batches(opened, file, columns)


def read_schema(store: BlobStore, session: Session, blob_id: str) -> tuple[pa.Schema, int]:
    """Schema and number of rows of a table, from its footer. Raises as `read_table`."""
    opened = store.unseal(session, blob_id)
    try:
        with _open(store, opened) as file:
            return file.schema_arrow, file.metadata.num_rows
    finally:
        opened.download.close()


def check_schema(schema: pa.Schema) -> None:
    """Raise TableError unless the column names are there, not empty and all different."""
    names = schema.names
    if not names:
        raise TableError("the table has no columns")
    if len(names) > _MAX_COLUMNS:
        raise TableError(f"the table has more than {_MAX_COLUMNS} columns")
    seen: set[str] = set()
    for name in names:
        if not name.strip():
            raise TableError("a column has an empty name")
        if name in seen:
            raise TableError(f"the column name `{name[:200]}` occurs twice")
        seen.add(name)


def _write(
    sink: "_Sink", draft: BlobDraft, batches: Iterable[pa.RecordBatch], schema: pa.Schema
) -> None:
    """Write the whole file into `sink`; errors of the sink come out as they went in."""
    properties = encryption.create_encryption_properties(  # type: ignore[attr-defined] # newer than its stubs
        draft.key, aad_prefix=draft.associated_data, store_aad_prefix=False
    )
    groups = 0
    try:
        with pq.ParquetWriter(
            pa.PythonFile(sink, mode="w"),
            schema,
            compression="zstd",
            encryption_properties=properties,
        ) as writer:
            for table in _row_groups(batches, schema):
                groups += -(-table.num_rows // _GROUP_ROWS)
                if groups > _MAX_ROW_GROUPS:
                    raise TooLargeError("the table has too many rows for one file")
                writer.write_table(table, row_group_size=_GROUP_ROWS)
    except pa.ArrowException as error:
        raise TableError("the table cannot be written as Parquet") from error
    except OSError as error:
        raise sink.failure or error from None
    if sink.failure is not None:
        raise sink.failure


def _row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Batches gathered into tables worth a row group, so that many small ones cost nothing."""
    gathered: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        if not batch.schema.equals(schema):
            raise TableError("a batch has another schema than the table")
        gathered.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield pa.Table.from_batches(gathered, schema)
            gathered, rows, size = [], 0, 0
    if rows:
        yield pa.Table.from_batches(gathered, schema)


class _Sink(io.RawIOBase):
    """Where Arrow writes: hashes the encrypted bytes and passes them to the draft.

    Arrow turns exceptions of Python files into its own, so the first one is kept here.
    """

    def __init__(self, draft: BlobDraft) -> None:
        super().__init__()
        self.hasher = sha256()
        self.failure: StrongroomError | None = None
        self._draft = draft

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._draft.sealed_size

    def write(self, content: Any) -> int:  # noqa: ANN401 - Arrow passes a buffer of its own
        view = memoryview(content)
        try:
            self._draft.write(view)
        except StrongroomError as error:
            self.failure = self.failure or error
            raise
        self.hasher.update(view)
        return len(view)


class _Source(io.RawIOBase):
    """Where Arrow reads when the table is no local file."""

    def __init__(self, opened: OpenedBlob) -> None:
        super().__init__()
        self._download = opened.download
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._download.size}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = self._download.size - self._at
        content = bytes(self._download.read_range(self._at, size))
        self._at += len(content)
        return content


def _open(store: BlobStore, opened: OpenedBlob) -> pq.ParquetFile:
    """The file with its footer decrypted and verified."""
    if opened.sealing != "parquet-1":
        raise TamperedError("the blob is not an encrypted table")
    path = store.folder.path(opened.info.id)
    properties = encryption.create_decryption_properties(  # type: ignore[attr-defined] # newer than its stubs
        opened.key, aad_prefix=opened.associated_data
    )
    try:
        return pq.ParquetFile(
            pa.PythonFile(_Source(opened), mode="r") if path is None else str(path),
            decryption_properties=properties,
            buffer_size=_READ_BUFFER,
            pre_buffer=False,
        )
    except FileNotFoundError:
        raise store.missing(opened.info.id) from None
    except (pa.ArrowException, OSError) as error:
        raise _read_error(error, opened.info) from None


def _batches(
    opened: OpenedBlob, file: pq.ParquetFile, columns: Sequence[str] | None
) -> Iterator[pa.RecordBatch]:
    try:
        chosen = None if columns is None else list(columns)
        for batch in file.iter_batches(_BATCH_ROWS, columns=chosen):
            opened.lease.check()
            yield batch if chosen is None else batch.select(chosen)
    except (pa.ArrowException, OSError) as error:
        raise _read_error(error, opened.info) from None
    finally:
        file.close()
        opened.download.close()


def _read_error(error: Exception, info: BlobInfo) -> StrongroomError:
    """Arrow's error as ours: with an errno it is the disk's, without one it is the bytes'."""
    if isinstance(error, OSError) and error.errno is not None:
        return UnavailableError("the blob store cannot be read")
    return TamperedError(f"the table `{info.id}` is not what was sealed")
