"""How a release of some kind is made: rows go into the sandbox, tables and a proof come out.

`release_making` does what all kinds have in common: find, refuse, seal, record.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
from sqlalchemy.orm import Session

from strongroom.errors import TableError, TooLargeError
from strongroom.services.data.release_record import ReleaseRecord
from strongroom.services.data.release_types import CompositionShown
from strongroom.services.jobs import sandbox
from strongroom.services.jobs.trying import JobContext

TABLE_KIND = "release"
TRACE_KIND = "release-trace"
"""Of blobs."""
PIECE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a release cannot be made; the words may name values of the source."""

    words: str
    next_step: str
    composition: CompositionShown | None = None


class Work(Protocol):
    """One try at one release; begun in a session that reads, done without one.

    Attributes:
        function: what runs inside the sandbox, told `argument` at its start.
        tables: what it gives once it has made the release, and the kind of blob for each.
    """

    function: str
    argument: Mapping[str, Any]
    tables: Mapping[str, str]

    def make(self, context: JobContext, worker: sandbox.Worker) -> Refusal | None:
        """Send the rows in and have the release made. Raises: SandboxError, TooLargeError, ...."""
        ...

    def judge(self, context: JobContext, worker: sandbox.Worker) -> None:
        """Ask for what else is to be known, once the tables are out."""
        ...

    def still_holds(self, session: Session) -> bool:
        """Whether what the release was checked against is still all there is."""
        ...

    def recorded(self, record: ReleaseRecord, blobs: Mapping[str, str]) -> ReleaseRecord:
        """The record with all that was found; `blobs` are ids by the names of `tables`."""
        ...


def pour(
    worker: sandbox.Worker, head: dict[str, object], batches: Iterator[pa.RecordBatch], room: int
) -> int:
    """Send batches into the sandbox, at most so many bytes; what is left of them.

    Raises: TooLargeError; TableError, where there is no row.
    """
    sink = io.BytesIO()
    writer: Any = None
    for batch in batches:
        if writer is None:
            writer = pa.ipc.new_stream(sink, batch.schema)
        writer.write_batch(batch)
        room -= batch.nbytes
        if room < 0:
            raise TooLargeError(
                "the source and the traces of former releases do not fit into memory",
                next_step="take a version with fewer rows, or ask the operator for more",
            )
        if sink.tell() >= PIECE_BYTES:
            _send(worker, head, sink)
    if writer is None:
        raise TableError("the source has no rows")
    writer.close()
    _send(worker, head, sink)
    return room


def _send(worker: sandbox.Worker, head: dict[str, object], sink: io.BytesIO) -> None:
    worker.request(head, sink.getvalue())
    sink.seek(0)
    sink.truncate()
