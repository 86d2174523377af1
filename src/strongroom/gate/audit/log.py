"""The log: every operation's record, and the proofs that none was changed or left out.

Two ways in. `append` writes the record in the transaction of the change that it records, so
that there is never one without the other. `record` is for what changes nothing itself, a
refusal, a read, a prediction: a single thread collects such records and commits many at once;
it returns when its record is durable and in the tree.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import chain
from types import TracebackType
from typing import Self

from sqlalchemy import Connection
from sqlalchemy import event as orm_event
from sqlalchemy.orm import Session

from strongroom.engines.ledger.checkpoint import Checkpoint, LogKey, Sign
from strongroom.errors import BusyError, StrongroomError
from strongroom.gate.audit.integration import Integrator, Step, run_driver
from strongroom.gate.audit.payload import Payload, Prepared, StoredEntry
from strongroom.gate.audit.reading import LogReader
from strongroom.gate.audit.types import EntryRef, Event
from strongroom.vault.database import Database

BATCH_ENTRIES = 1024
BATCH_SECONDS = 0.005
"""How long the tree may lag behind changes that are committed one by one."""
MAX_WAITING = 65_536

_CHUNKS = (512, 64, 8, 1)
_COLUMNS = ", ".join(StoredEntry._fields)
_MARKS = f"({', '.join('?' * len(StoredEntry._fields))})"
_WRITE_ENTRIES = {
    count: f"INSERT INTO log_entries ({_COLUMNS}) VALUES {', '.join([_MARKS] * count)}"  # noqa: S608 - our own names
    for count in _CHUNKS
}

_Waiting = tuple[Prepared, "Future[EntryRef]"]


def _no_step(_name: str) -> None:
    """No one watches the durable steps."""


class AuditLog(LogReader):
    """The log of one installation; safe to share between threads and between processes.

    Attributes:
        fault: why the last write of the log's own failed, or None: for health checks.
    """

    def __init__(
        self,
        database: Database,
        *,
        payload_key: bytes,
        key: LogKey,
        sign: Sign,
        clock: Callable[[], float] = time.time,
        step: Step = _no_step,
    ) -> None:
        """Make the log known; `start` checks it and begins to collect records.

        Args:
            database: where it is kept.
            payload_key: 32 bytes, seals the entries.
            key: public key of the log; its name is the log's origin.
            sign: signs a message with the private key that belongs to `key`.
            clock: seconds since 1970, UTC.
            step: told before each durable step.
        """
        super().__init__(database, Payload(payload_key, key.name), key)
        self.fault: StrongroomError | None = None
        self._step = step
        self._integrator = Integrator(key, sign, clock, step)
        self._change = threading.Condition()
        # The three below are the condition's.
        self._waiting: list[_Waiting] = []
        self._behind = False
        self._closed = False
        self._writer: threading.Thread | None = None

    def start(self) -> Self:
        """Check the end of the log, bring the tree up to date and begin to collect records.

        Raises: TamperedError where the newest checkpoint, the hash tiles at the tree's edge or
            one of the last entries are not as signed. `verify_live` checks all the others.
        """
        with self._database.read() as session:
            self._integrator.load(session)
            self.check_recent(session)
        self.integrate()
        self._writer = threading.Thread(target=self._write_forever, name="log", daemon=True)
        self._writer.start()
        return self

    def close(self) -> None:
        """Commit what was submitted, then take no more."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        if self._writer is not None:
            self._writer.join()
            self._writer = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def append(self, session: Session, event: Event) -> EntryRef:
        """Write an event in the transaction of `session`, which must be a write session.

        The entry has its place at once and for good; the tree follows after the commit.
        """
        prepared = self._payload.prepare(event)
        connection = session.connection()
        index = self._integrator.next_index(connection)
        # A crash before the caller's commit leaves neither the change nor this entry.
        self._step("entry")
        _insert(connection, [prepared.row(index)])
        orm_event.listen(session, "after_commit", self._fall_behind, once=True)
        return EntryRef(index, prepared.leaf_hash)

    def submit(self, event: Event) -> "Future[EntryRef]":
        """Hand over an event that changes nothing itself; the future ends when it is durable.

        Raises: BusyError when too many wait already, or the log is closed.
        """
        waiting: _Waiting = (self._payload.prepare(event), Future())
        with self._change:
            if self._closed:
                raise BusyError("the log is closed")
            if len(self._waiting) >= MAX_WAITING:
                raise BusyError("too many records wait to be written to the log")
            if self._writer is not None:
                self._waiting.append(waiting)
                self._change.notify()
        if self._writer is None:
            # Not started: no thread collects, each record is a commit of its own.
            self._write([waiting])
        return waiting[1]

    def record(self, event: Event) -> EntryRef:
        """`submit`, and wait until the record is durable and in the tree.

        Not to be called inside a write of the same thread, which it would wait for.
        """
        return self.submit(event).result()

    async def arecord(self, event: Event) -> EntryRef:
        """`record` for asynchronous callers."""
        return await asyncio.wrap_future(self.submit(event))

    def integrate(self) -> Checkpoint:
        """Bring the tree up to all entries, now.

        Returns: the newest checkpoint.
        """
        more = True
        while more:
            with self._database.write() as session:
                more = self._integrator.integrate(session)
                self._step("commit")
        return self._integrator.checkpoint

    def _fall_behind(self, _session: Session) -> None:
        with self._change:
            self._behind = True
            self._change.notify()

    def _write_forever(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._behind or self._closed)
                if self._behind:
                    # Let more changes gather: one checkpoint serves them all.
                    self._change.wait_for(
                        lambda: self._waiting or self._closed, timeout=BATCH_SECONDS
                    )
                batch = self._waiting[:BATCH_ENTRIES]
                del self._waiting[:BATCH_ENTRIES]
                if not batch and not self._behind:
                    return
                self._behind = False
            self._write(batch)

    def _write(self, batch: Sequence[_Waiting]) -> None:
        """One transaction: the entries of `batch`, the tiles and checkpoint over all entries."""
        try:
            with self._database.write() as session:
                connection = session.connection()
                first = self._integrator.next_index(connection)
                if batch:
                    self._step("entries")
                    _insert(
                        connection,
                        [prepared.row(first + n) for n, (prepared, _) in enumerate(batch)],
                    )
                leaves = [prepared.leaf_hash for prepared, _ in batch]
                more = self._integrator.integrate(session, leaves, first)
                # A crash before the commit leaves none of the batch, and no one was told.
                self._step("commit")
            self._step("acknowledge")
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of any failure
            self.fault = (
                error if isinstance(error, StrongroomError) else StrongroomError(str(error))
            )
            for _, future in batch:
                future.set_exception(error)
            return
        self.fault = None
        for offset, (prepared, future) in enumerate(batch):
            future.set_result(EntryRef(first + offset, prepared.leaf_hash))
        if more:
            with self._change:
                self._behind = True


def _insert(connection: Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert rows, many to a statement.

    Python's SQLite lets go of the interpreter lock once for each statement run, also for each
    row of an `executemany`; with busy threads beside it, each time may cost milliseconds.
    """
    at = 0
    for count in _CHUNKS:
        while len(rows) - at >= count:
            values = tuple(chain.from_iterable(rows[at : at + count]))
            run_driver(connection, _WRITE_ENTRIES[count], [values])
            at += count
