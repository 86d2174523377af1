"""Queued work: asked for in a caller's transaction, done by threads of the server.

A row of `work_jobs` is the job. huey hands the ids of committed rows to its worker threads; what
it holds is in memory and made again from the rows at each start, so nothing acknowledged is lost
and there is no second truth (docs/adr/0010-job-queue.md). Rooms register kinds of work; this room
knows none of its callers.
"""

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from huey import MemoryHuey
from huey.consumer import Consumer
from huey.consumer import Worker as HueyWorker
from huey.registry import Message
from huey.serializer import Serializer
from sqlalchemy import event, or_, select, update
from sqlalchemy.orm import Session

from strongroom.errors import (
    ConflictError,
    NotFoundError,
    StrongroomError,
    UnavailableError,
    ValidationError,
)
from strongroom.services.jobs.tables import JobRow
from strongroom.services.jobs.types import MAX_ATTEMPTS, JobState, JobStatus
from strongroom.vault.database import Database

LEASE_SECONDS = 30.0
_SWEEP_SECONDS = 10.0
_CLAIM_AGAIN_SECONDS = 1.0
_MAX_PAYLOAD_BYTES = 256 * 2**10
_TASK = "job"

_log = structlog.get_logger(__name__)
# huey's own messages go through the standard library; it is talkative at INFO.
logging.getLogger("huey").setLevel(logging.WARNING)


class JobCancelledError(Exception):
    """Raised inside a handler, at its next look, when its job was cancelled."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a handler may know and do beside its work.

    A handler may be called again for the same job after a crash: it must find what it has done.
    """

    job_id: str
    workspace: str
    actor: str
    attempt: int
    database: Database

    def progress(self, text: str) -> None:
        """Tell how far it is; at most 500 characters, no data.

        Raises:
            JobCancelledError: somebody cancelled the job; let it pass.
        """
        with self.database.write() as session:
            row = session.get_one(JobRow, self.job_id)
            if row.is_cancel_asked:
                raise JobCancelledError
            row.progress = text[:500]


Handler = Callable[[JobContext, dict[str, Any]], Mapping[str, Any]]
"""(context, payload) → result; both what JSON can carry. A StrongroomError fails the job with its
words; an UnavailableError is tried again, at most three times in all."""


class _JsonSerializer(Serializer):  # type: ignore[misc] # huey has no types
    """huey pickles by default; here messages are JSON, and nothing is ever unpickled."""

    def _serialize(self, data: Any) -> bytes:  # noqa: ANN401 # huey's tuple
        return json.dumps(list(data)).encode()

    def _deserialize(self, data: bytes) -> Message:
        return Message(*json.loads(data))


class Jobs:
    """The queue of one server."""

    def __init__(
        self,
        database: Database,
        *,
        threads: int = 2,
        is_only_server: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Nothing runs before `start`.

        Args:
            database: where the rows are.
            threads: jobs at once.
            is_only_server: no other server works on this database, so whatever runs at the start
                belongs to a dead one; else a lease must run out first.
            clock: seconds since 1970 UTC.
        """
        self._database = database
        self._threads = threads
        self._is_only_server = is_only_server
        self._clock = clock
        self._server = secrets.token_hex(8)
        self._kinds: dict[str, Handler] = {}
        self._mine: set[str] = set()
        self._fed: set[str] = set()
        self._changed = threading.Condition()
        self._consumer: Consumer | None = None
        self._stopping = threading.Event()
        self._sweeper: threading.Thread | None = None
        self._huey = MemoryHuey("strongroom", serializer=_JsonSerializer(), results=False)
        self._task = self._huey.task(name=_TASK)(self._work)

    # ---- for rooms ----

    def register_kind(self, name: str, handler: Handler) -> None:
        """Say how jobs of one kind are done. Raises: ConflictError when the name is taken."""
        if name in self._kinds:
            raise ConflictError(f"job kind `{name}` is registered already")
        self._kinds[name] = handler

    def enqueue(
        self, session: Session, kind: str, payload: Mapping[str, Any], workspace: str, actor: str
    ) -> str:
        """Ask for work in the caller's transaction; it starts once that is committed.

        A crash before the commit leaves no job; one after it leaves a row that the next start
        feeds again.

        Returns: the job's id.
        Raises: ValidationError for an unknown kind or a payload that is no JSON of moderate size.
        """
        if kind not in self._kinds:
            raise ValidationError(f"no job kind `{kind}`")
        try:
            size = len(json.dumps(payload, allow_nan=False))
        except (TypeError, ValueError):
            raise ValidationError("the payload of a job must be JSON") from None
        if size > _MAX_PAYLOAD_BYTES:
            raise ValidationError("the payload of a job is too large")
        job_id = f"job_{secrets.token_hex(12)}"
        row = JobRow(
            id=job_id,
            kind=kind,
            workspace=workspace,
            actor=actor,
            payload=dict(payload),
            state=JobState.QUEUED,
            created_at=self._now(),
        )
        session.add(row)
        session.flush()
        event.listen(session, "after_commit", lambda _: self._feed(job_id), once=True)
        return job_id

    def wait(self, job_id: str, timeout: float) -> JobStatus:
        """The job once it is finished. Raises: UnavailableError when `timeout` seconds pass."""
        deadline = time.monotonic() + timeout
        while True:
            status = self.status(job_id)
            if status.state.is_final:
                return status
            left = deadline - time.monotonic()
            if left <= 0:
                raise UnavailableError(f"job `{job_id}` is not finished yet")
            with self._changed:
                self._changed.wait(min(left, 0.2))

    def status(self, job_id: str) -> JobStatus:
        """How the job stands. Raises: NotFoundError."""
        with self._database.read() as session:
            row = session.get(JobRow, job_id)
            if row is None:
                raise NotFoundError(f"no job `{job_id}`")
            return describe(row)

    def cancel(self, session: Session, row: JobRow) -> None:
        """Cancel a job in the caller's transaction: at once while queued, at its next look else."""
        if row.state == JobState.QUEUED:
            row.state = JobState.CANCELLED
            row.finished_at = self._now()
        row.is_cancel_asked = True
        session.flush()
        event.listen(session, "after_commit", lambda _: self._tell(), once=True)

    # ---- for the server ----

    def start(self) -> None:
        """Feed what earlier servers left, and start the worker threads."""
        if self._consumer is not None:
            raise RuntimeError("the jobs run already")
        self._stopping.clear()
        self._take_over(at_start=True)
        self._consumer = _QuietConsumer(
            self._huey, workers=self._threads, periodic=False, initial_delay=0.02, max_delay=0.1
        )
        self._consumer.start()
        self._sweeper = threading.Thread(target=self._sweep, name="job-leases", daemon=True)
        self._sweeper.start()

    def stop(self, seconds: float = 10.0) -> None:
        """Take no more jobs and wait for those that run; what does not end starts anew later."""
        if self._consumer is None:
            return
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        self._consumer.shutdown_timeout = seconds
        self._consumer.stop(graceful=True)
        self._consumer = None
        if self._sweeper is not None:
            self._sweeper.join(seconds)

    # ---- the way of a job ----

    def _feed(self, job_id: str, delay: float = 0.0) -> None:
        with self._changed:
            if job_id in self._fed:
                return
            self._fed.add(job_id)
        if delay:
            self._task.schedule((job_id,), delay=delay)
        else:
            self._task(job_id)

    def _work(self, job_id: str) -> None:
        """One try of one job, in a worker thread."""
        with self._changed:
            self._fed.discard(job_id)
        if self._stopping.is_set():
            return  # the row is still queued; the next start feeds it
        try:
            claimed = self._claim(job_id)
        except StrongroomError as problem:
            # The database is busy or away, and the row is as it was: later again.
            _log.warning("job_not_claimed", job=job_id, code=problem.code)
            self._feed(job_id, _CLAIM_AGAIN_SECONDS)
            return
        if claimed is None:
            return
        context, kind, payload = claimed
        state, error, result = JobState.DONE, "", {}
        delay: float | None = None
        try:
            result = dict(self._handler(kind)(context, payload))
            json.dumps(result, allow_nan=False)
        except JobCancelledError:
            state = JobState.CANCELLED
        except StrongroomError as problem:
            state, error = JobState.FAILED, f"{problem.code}: {problem.message}"
            if type(problem).status == 503 and context.attempt < MAX_ATTEMPTS:
                delay = 2.0 ** (context.attempt - 1)
        except Exception as problem:  # noqa: BLE001 - a handler may raise anything; threads live on
            # A fault of ours: its words may hold data, so only its kind is kept.
            state, error = JobState.FAILED, f"internal: {type(problem).__name__}"
            _log.exception("job_fault", job=job_id, kind=kind)
        try:
            self._finish(job_id, state, error, result if not error else {}, delay)
        except StrongroomError as problem:
            # Its end could not be written: without a lease renewed it is taken over and done again.
            _log.error("job_not_finished", job=job_id, code=problem.code)
            with self._changed:
                self._mine.discard(job_id)

    def _handler(self, kind: str) -> Handler:
        try:
            return self._kinds[kind]
        except KeyError:
            raise ValidationError(f"no job kind `{kind}` in this version") from None

    def _claim(self, job_id: str) -> tuple[JobContext, str, dict[str, Any]] | None:
        """Make the job ours, or None when another has it or it is over.

        A crash from here on leaves a running row, which is fed again when its lease is out.
        """
        with self._database.write() as session:
            row = session.get(JobRow, job_id)
            if row is None or row.state != JobState.QUEUED:
                return None
            row.state = JobState.RUNNING
            row.attempts += 1
            row.server = self._server
            row.leased_until = self._now() + timedelta(seconds=LEASE_SECONDS)
            context = JobContext(row.id, row.workspace, row.actor, row.attempts, self._database)
            with self._changed:
                self._mine.add(job_id)
            return context, row.kind, dict(row.payload)

    def _finish(
        self,
        job_id: str,
        state: JobState,
        error: str,
        result: dict[str, Any],
        delay: float | None,
    ) -> None:
        with self._database.write() as session:
            row = session.get_one(JobRow, job_id)
            row.error = error[:2000]
            row.leased_until = None
            if delay is not None and not row.is_cancel_asked:
                row.state = JobState.QUEUED
            else:
                row.state = state
                row.result = result
                row.finished_at = self._now()
        with self._changed:
            self._mine.discard(job_id)
        if delay is not None:
            self._feed(job_id, delay)
        self._tell()

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    # ---- leases ----

    def _sweep(self) -> None:
        while not self._stopping.wait(_SWEEP_SECONDS):
            try:
                self._renew()
                self._take_over(at_start=False)
            except StrongroomError as problem:
                # The database is busy or away: the next round tries again, leases last longer.
                _log.warning("job_sweep_failed", code=problem.code)

    def _renew(self) -> None:
        with self._changed:
            mine = sorted(self._mine)
        if not mine:
            return
        with self._database.write() as session:
            until = self._now() + timedelta(seconds=LEASE_SECONDS)
            session.execute(
                update(JobRow)
                .where(JobRow.id.in_(mine), JobRow.state == JobState.RUNNING)
                .values(leased_until=until)
            )

    def _take_over(self, *, at_start: bool) -> None:
        """Queue again what dead servers left running, and feed all that is queued."""
        orphaned = JobRow.state == JobState.RUNNING
        if not (at_start and self._is_only_server):
            orphaned &= or_(JobRow.leased_until.is_(None), JobRow.leased_until < self._now())
        with self._database.read() as session:
            found = session.scalars(select(JobRow.id).where(orphaned)).all()
        if found:
            with self._database.write() as session:
                for row in session.scalars(select(JobRow).where(orphaned)):
                    if row.attempts >= MAX_ATTEMPTS:
                        row.state = JobState.FAILED
                        row.error = "the server ended during the last attempt"
                        row.finished_at = self._now()
                    else:
                        row.state = JobState.QUEUED
                    row.leased_until = None
            self._tell()
        with self._database.read() as session:
            queued = session.scalars(
                select(JobRow.id).where(JobRow.state == JobState.QUEUED).order_by(JobRow.created_at)
            ).all()
        for job_id in queued:
            self._feed(job_id)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


class _QuietConsumer(Consumer):  # type: ignore[misc] # huey has no types
    """huey's threads inside a server that has its own signal handlers."""

    worker_class = HueyWorker

    def _set_signal_handlers(self) -> None:
        """The server's handlers stay."""


def describe(row: JobRow) -> JobStatus:
    """The row as a caller sees it."""
    return JobStatus(
        id=row.id,
        kind=row.kind,
        workspace=row.workspace,
        actor=row.actor,
        state=JobState(row.state),
        attempts=row.attempts,
        progress=row.progress,
        error=row.error,
        result=row.result,
        created_at=row.created_at.timestamp(),
        finished_at=row.finished_at.timestamp() if row.finished_at else None,
    )
