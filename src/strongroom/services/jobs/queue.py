"""Queued work: asked for in a caller's transaction, done by threads of the server.

A row of `work_jobs` is the job. huey hands the ids of committed rows to its worker threads; what
it holds is in memory and made again from the rows at each start, so nothing acknowledged is lost
and there is no second truth (docs/adr/0010-job-queue.md). Rooms register kinds of work; this room
knows none of its callers.
"""

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import event, or_, select, update
from sqlalchemy.orm import Session

from strongroom.errors import (
    ConflictError,
    NotFoundError,
    StorageFullError,
    StrongroomError,
    UnavailableError,
    ValidationError,
)
from strongroom.services.jobs.tables import JobRow
from strongroom.services.jobs.trying import Ending, GivenUp, Handler, JobContext, tried
from strongroom.services.jobs.types import MAX_ATTEMPTS, JobState, JobStatus
from strongroom.vault.database import Database

if TYPE_CHECKING:
    from strongroom.services.jobs.handing import QuietConsumer

LEASE_SECONDS = 30.0
_SWEEP_SECONDS = 10.0
_AGAIN_SECONDS = 1.0
_MAX_PAYLOAD_BYTES = 256 * 2**10
_TASK = "job"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A job that is ours."""

    context: JobContext
    kind: str
    payload: dict[str, Any]
    created_at: datetime


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
        self._given_up: dict[str, GivenUp] = {}
        self._mine: set[str] = set()
        self._fed: set[str] = set()
        self._changed = threading.Condition()
        self._consumer: QuietConsumer | None = None
        self._stopping = threading.Event()
        self._sweeper: threading.Thread | None = None
        # The command line knows this room too and has no jobs: it need not load huey, which loads
        # every database that it could use.
        from huey import MemoryHuey

        from strongroom.services.jobs.handing import JsonSerializer

        self._huey = MemoryHuey("strongroom", serializer=JsonSerializer(), results=False)
        self._task = self._huey.task(name=_TASK)(self._work)

    # ---- for rooms ----

    def register_kind(self, name: str, handler: Handler, given_up: GivenUp | None = None) -> None:
        """Say how jobs of one kind are done, and who hears of those that end undone.

        Raises: ConflictError when the name is taken.
        """
        if name in self._kinds:
            raise ConflictError(f"job kind `{name}` is registered already")
        self._kinds[name] = handler
        if given_up is not None:
            self._given_up[name] = given_up

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
        """Cancel a job in the caller's transaction: at once, or at its next look if it runs."""
        if JobState(row.state).is_to_do:
            row.state = JobState.CANCELLED
            row.finished_at = self._now()
            self._give_up(session, row, "the job was cancelled")
        row.is_cancel_asked = True
        session.flush()
        event.listen(session, "after_commit", lambda _: self._tell(), once=True)

    # ---- for the server ----

    def start(self) -> None:
        """Feed what earlier servers left, and start the worker threads."""
        if self._consumer is not None:
            raise RuntimeError("the jobs run already")
        from strongroom.services.jobs.handing import QuietConsumer

        self._stopping.clear()
        self._take_over(at_start=True)
        self._consumer = QuietConsumer(
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
            self._feed(job_id, _AGAIN_SECONDS)
            return
        if claimed is None:
            return

        def age() -> float:
            return (self._now() - claimed.created_at).total_seconds()

        ending = tried(self._handler(claimed.kind), claimed.context, claimed.payload, age)
        while True:
            try:
                self._finish(claimed.context, ending)
            except StorageFullError:
                # Not even that it waits can be written: nothing else can be done meanwhile either.
                if not self._stopping.wait(_AGAIN_SECONDS):
                    continue
                self._disown(job_id)
            except StrongroomError as problem:
                # Its end could not be written: its lease runs out, and it is done again.
                _log.error("job_not_finished", job=job_id, code=problem.code)
                self._disown(job_id)
            return

    def _handler(self, kind: str) -> Handler:
        def unknown(_context: JobContext, _payload: dict[str, Any]) -> Mapping[str, Any]:
            raise ValidationError(f"no job kind `{kind}` in this version")

        return self._kinds.get(kind, unknown)

    def _claim(self, job_id: str) -> _Claimed | None:
        """Make the job ours, or None when another has it or it is over.

        A crash from here on leaves a running row, which is fed again when its lease is out.
        """
        with self._database.write() as session:
            row = session.get(JobRow, job_id)
            if row is None or not JobState(row.state).is_to_do:
                return None
            row.state = JobState.RUNNING
            row.attempts += 1
            row.server = self._server
            row.leased_until = self._now() + timedelta(seconds=LEASE_SECONDS)
            context = JobContext(row.id, row.workspace, row.actor, row.attempts, self._database)
            with self._changed:
                self._mine.add(job_id)
            return _Claimed(context, row.kind, dict(row.payload), row.created_at)

    def _finish(self, done: JobContext, ending: Ending) -> None:
        job_id = done.job_id
        with self._database.write() as session:
            row = session.get_one(JobRow, job_id)
            if (row.server, row.attempts) != (self._server, done.attempt):
                # The lease ran out, and the job is another's now: this end is not its end.
                _log.warning("job_lost", job=job_id)
                self._disown(job_id)
                return
            row.error = ending.error[:2000]
            row.leased_until = None
            is_again = ending.state.is_to_do and not row.is_cancel_asked
            if is_again:
                row.state = ending.state
            else:
                row.state = JobState.CANCELLED if ending.state.is_to_do else ending.state
                row.result = dict(ending.result)
                row.finished_at = self._now()
                if row.state != JobState.DONE:
                    self._give_up(session, row, "its job ended undone")
            if ending.state is JobState.WAITING and is_again:
                # It is not the job's fault: the try does not count.
                row.attempts -= 1
                row.leased_until = self._now() + timedelta(seconds=ending.delay_seconds)
        self._disown(job_id)
        if is_again:
            self._feed(job_id, ending.delay_seconds)
        self._tell()

    def _give_up(self, session: Session, row: JobRow, why: str) -> None:
        """Tell its room that a job ends undone; where that fails, the job ends all the same."""
        told = self._given_up.get(row.kind)
        if told is None:
            return
        try:
            with session.begin_nested():
                told(session, row.id, dict(row.payload), why)
        except StrongroomError as problem:
            _log.error("job_given_up_untold", job=row.id, code=problem.code)

    def _disown(self, job_id: str) -> None:
        with self._changed:
            self._mine.discard(job_id)

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
        """Queue again what dead servers left running, and feed all that is to do."""
        orphaned = JobRow.state == JobState.RUNNING
        if not (at_start and self._is_only_server):
            orphaned &= or_(JobRow.leased_until.is_(None), JobRow.leased_until < self._now())
            with self._changed:
                # Not our own: a full disk may keep us from renewing their leases.
                orphaned &= JobRow.id.not_in(sorted(self._mine))
        with self._database.read() as session:
            found = session.scalars(select(JobRow.id).where(orphaned)).all()
        if found:
            with self._database.write() as session:
                for row in session.scalars(select(JobRow).where(orphaned)):
                    if row.attempts >= MAX_ATTEMPTS:
                        row.state = JobState.FAILED
                        row.error = "the server ended during the last attempt"
                        row.finished_at = self._now()
                        self._give_up(session, row, row.error)
                    else:
                        row.state = JobState.QUEUED
                    row.leased_until = None
            self._tell()
        with self._database.read() as session:
            to_do = session.execute(
                select(JobRow.id, JobRow.leased_until)
                .where(JobRow.state.in_([JobState.QUEUED, JobState.WAITING]))
                .order_by(JobRow.created_at)
            ).all()
        for job_id, not_before in to_do:
            left = (not_before - self._now()).total_seconds() if not_before else 0.0
            self._feed(job_id, max(left, 0.0))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def describe(row: JobRow) -> JobStatus:
    """The row as a caller sees it."""
    return JobStatus(
        id=row.id,
        kind=row.kind,
        workspace=row.workspace,
        actor=row.actor,
        state=JobState(row.state),
        attempts=row.attempts,
        # How far it is, or how far it came: no news of one that is done.
        progress="" if row.state == JobState.DONE else row.progress,
        error=row.error,
        result=row.result,
        created_at=row.created_at.timestamp(),
        finished_at=row.finished_at.timestamp() if row.finished_at else None,
    )
