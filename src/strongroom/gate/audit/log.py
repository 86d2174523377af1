"""The log: every operation's record, and the proofs that none was changed or left out.

Two ways in. `append` writes the record in the transaction of the change that it records, so
that there is never one without the other. `record` is for what changes nothing itself, a
refusal, a read, a prediction: a single thread collects such records and commits many at once;
it returns when its record is durable and in the tree.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import chain, count
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
from strongroom.vault.seals import Change, tell, untold

SEALED = "sealed."
"""How the names of details begin that tell of sealed changes; the line's position follows."""
TOLD_AT_ONCE = 32
"""Sealed changes in one entry, beside its own details; with more, entries go before it."""
BATCH_ENTRIES = 1024
BATCH_SECONDS = 0.005
"""How long the tree may lag behind changes that are committed one by one."""
MAX_WAITING = 65_536

_CHUNKS = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)
_COLUMNS = ", ".join(StoredEntry._fields)
_MARKS = f"({', '.join('?' * len(StoredEntry._fields))})"
_WRITE_ENTRIES = {
    size: f"INSERT INTO log_entries ({_COLUMNS}) VALUES {', '.join([_MARKS] * size)}"  # noqa: S608 - our own names
    for size in _CHUNKS
}


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Records that were handed over together, and are written together."""

    records: Sequence[Prepared]
    done: "Future[list[EntryRef]]"


def _no_step(_name: str) -> None:
    """No one watches the durable steps."""


class AuditLog(LogReader):
    """The log of one installation; safe to share between threads and between processes.

    Attributes:
        fault: why the last write of the log's own failed, or None: for health checks.
        sign: signs with the log's key, for other statements about the log.
    """

    def __init__(
        self,
        database: Database,
        *,
        payload_key: bytes,
        key: LogKey,
        sign: Sign,
        context: str = "",
        clock: Callable[[], float] = time.time,
        step: Step = _no_step,
    ) -> None:
        """Make the log known; `start` checks it and begins to collect records.

        Args:
            database: where it is kept.
            payload_key: 32 bytes, seals the entries.
            key: public key of the log; its name is the log's origin.
            sign: signs a message with the private key that belongs to `key`.
            context: name that entries are sealed for; the log's first name, where it got another.
            clock: seconds since 1970, UTC.
            step: told before each durable step.
        """
        super().__init__(database, Payload(payload_key, context or key.name), key)
        self.fault: StrongroomError | None = None
        self.sign = sign
        self._step = step
        self._integrator = Integrator(key, sign, clock, step)
        self._change = threading.Condition()
        # The four below are the condition's.
        self._waiting: deque[_Waiting] = deque()
        self._waiting_records = 0
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

    @property
    def checkpoint(self) -> Checkpoint:
        """The newest checkpoint that this process knows to be committed."""
        return self._integrator.checkpoint

    def append(self, session: Session, event: Event) -> EntryRef:
        """Write an event in the transaction of `session`, which must be a write session.

        The entry has its place at once and for good; the tree follows after the commit.
        """
        # Sealed changes of this transaction are told, too: the log can say what the rows must be.
        changes = untold(session)
        while len(changes) > TOLD_AT_ONCE:
            self._append(session, event, changes[:TOLD_AT_ONCE])
            del changes[:TOLD_AT_ONCE]
        return self._append(session, event, changes)

    def _append(
        self, session: Session, event: Event, changes: Sequence[tuple[Change, str]]
    ) -> EntryRef:
        if changes:
            event = event.with_details(
                {f"{SEALED}{change.position}": _told(change, words) for change, words in changes}
            )
        prepared = self._payload.prepare(event)
        connection = session.connection()
        index = self._integrator.next_index(connection)
        # A crash before the caller's commit leaves neither the change nor this entry.
        self._step("entry")
        _insert(connection, [prepared.row(index)])
        tell(session, [change for change, _ in changes], index)
        orm_event.listen(session, "after_commit", self._fall_behind, once=True)
        return EntryRef(index, prepared.leaf_hash)

    def submit(self, event: Event) -> "Future[EntryRef]":
        """Hand over an event that changes nothing itself; the future ends when it is durable.

        Raises: BusyError when too many wait already, or the log is closed.
        """
        alone: Future[EntryRef] = Future()

        def settle(written: "Future[list[EntryRef]]") -> None:
            if not alone.set_running_or_notify_cancel():
                return  # whoever waited has gone; the record stays
            if (error := written.exception()) is not None:
                alone.set_exception(error)
            else:
                alone.set_result(written.result()[0])

        self.submit_all([event]).add_done_callback(settle)
        return alone

    def submit_all(self, events: Sequence[Event]) -> "Future[list[EntryRef]]":
        """`submit` for several at once, in one transaction: a future costs more than an entry."""
        waiting = _Waiting([self._payload.prepare(event) for event in events], Future())
        # Nobody can take it back from here on.
        waiting.done.set_running_or_notify_cancel()
        with self._change:
            if self._closed:
                raise BusyError("the log is closed")
            if self._waiting_records + len(events) > MAX_WAITING:
                raise BusyError("too many records wait to be written to the log")
            if self._writer is not None:
                self._waiting.append(waiting)
                self._waiting_records += len(events)
                self._change.notify()
        if self._writer is None:
            # Not started: no thread collects, each record is a commit of its own.
            self._write([waiting])
        return waiting.done

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
                self._commit(session)
        return self._integrator.checkpoint

    def _commit(self, session: Session) -> None:
        """Commit within the writer's turn: no other thread of ours comes between the two lines."""
        session.commit()
        self._integrator.committed()

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
                batch = self._next_batch()
                if not batch and not self._behind:
                    return
                self._behind = False
            self._write(batch)

    def _next_batch(self) -> list[_Waiting]:
        """What is written next; what was handed over together stays together."""
        batch: list[_Waiting] = []
        records = 0
        while self._waiting and records < BATCH_ENTRIES:
            batch.append(self._waiting.popleft())
            records += len(batch[-1].records)
        self._waiting_records -= records
        return batch

    def _write(self, batch: Sequence[_Waiting]) -> None:
        """One transaction: the entries of `batch`, the tiles and checkpoint over all entries."""
        records = [prepared for waiting in batch for prepared in waiting.records]
        try:
            with self._database.write() as session:
                connection = session.connection()
                first = self._integrator.next_index(connection)
                if records:
                    self._step("entries")
                    rows = [prepared.row(first + n) for n, prepared in enumerate(records)]
                    _insert(connection, rows)
                leaves = [prepared.leaf_hash for prepared in records]
                more = self._integrator.integrate(session, leaves, first)
                # A crash before the commit leaves none of the batch, and no one was told.
                self._step("commit")
                self._commit(session)
            self._step("acknowledge")
        except Exception as error:  # noqa: BLE001 # whoever waits must hear of any failure
            self.fault = (
                error if isinstance(error, StrongroomError) else StrongroomError(str(error))
            )
            for waiting in batch:
                waiting.done.set_exception(error)
            return
        self.fault = None
        index = count(first)
        for waiting in batch:
            waiting.done.set_result(
                [EntryRef(next(index), prepared.leaf_hash) for prepared in waiting.records]
            )
        if more:
            with self._change:
                self._behind = True


def _told(change: Change, words: str) -> str:
    """A sealed change as the details of an entry have it."""
    return f"{change.kind} {change.subject} {change.value} {words}".rstrip()


def _insert(connection: Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert rows, many to a statement.

    Python's SQLite lets go of the interpreter lock once for each statement run, also for each
    row of an `executemany`; with busy threads beside it, each time may cost milliseconds.
    """
    at = 0
    for size in _CHUNKS:
        while len(rows) - at >= size:
            values = tuple(chain.from_iterable(rows[at : at + size]))
            run_driver(connection, _WRITE_ENTRIES[size], values)
            at += size
