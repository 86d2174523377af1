"""The job that makes a release: work in the sandbox, seal, record; whatever its kind.

What a kill leaves: before the last transaction staged blobs, which a sweep removes, and a release
that is still being made, which the next try makes; after it the release, or its refusal. A job that
is given up takes its release along. Epsilon that was spent for it stays spent.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from strongroom.engines.reading.reading import read_one
from strongroom.engines.reading.types import Form, ReadLimits
from strongroom.errors import (
    CallerError,
    ConflictError,
    NotFoundError,
    SandboxError,
    StrongroomError,
)
from strongroom.gate.audit.types import AuditClass, Event, Outcome
from strongroom.gate.operation import new_request_id
from strongroom.gate.undecided import Recorder
from strongroom.services.data.catalog import Catalog, Held
from strongroom.services.data.release_anonymizing import Anonymizing
from strongroom.services.data.release_synthesizing import Synthesizing
from strongroom.services.data.release_types import ReleaseKind, ReleaseState
from strongroom.services.data.release_wording import SPENT
from strongroom.services.data.release_work import PIECE_BYTES, Refusal, Work
from strongroom.services.data.releases import Release
from strongroom.services.data.tables import DatasetRow
from strongroom.services.jobs import sandbox
from strongroom.services.jobs.trying import JobCancelledError, JobContext
from strongroom.services.jobs.types import MAX_ATTEMPTS
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.encrypted_tables import write_table

JOB_KIND = "data.release"
_SHARE_OF_MEMORY = 8
"""The source may take this part of the sandbox's memory: it is coded, recoded and counted there."""
_WORDS = 2_000


class ReleaseMaker:
    """Does the jobs of kind `data.release`."""

    def __init__(
        self,
        blobs: BlobStore,
        catalog: Catalog,
        log: Recorder,
        settings: Settings,
        limits: ReadLimits,
        now: Callable[[], datetime],
    ) -> None:
        self._blobs = blobs
        self._catalog = catalog
        self._log = log
        self._limits = limits
        self._now = now
        self._seconds = float(settings.sandbox_seconds)
        self._most_bytes = settings.sandbox_memory_bytes // _SHARE_OF_MEMORY
        self._required = sandbox.required_layers(settings.sandbox_required_layers)
        self._sandbox = sandbox.Limits(
            memory_bytes=settings.sandbox_memory_bytes,
            wall_seconds=4 * self._seconds + 60,
            output_bytes=2 * PIECE_BYTES + limits.message_bytes,
        )

    def make(self, context: JobContext, payload: dict[str, Any]) -> Mapping[str, Any]:
        """Make one release; one that is decided already is left as it is."""
        dataset, number = str(payload["dataset"]), int(payload["number"])

        def refuse(words: str, next_step: str) -> None:
            self._refuse(context, dataset, number, Refusal(words, next_step))

        try:
            for last in (False, False, True):
                try:
                    if (result := self._tried(context, dataset, number)) is not None:
                        return result
                except NotFoundError:
                    # A former release may have been withdrawn while its trace was read.
                    if last:
                        raise
            raise ConflictError("other releases of the dataset were made at the same time")
        except JobCancelledError:
            refuse("the job was cancelled", "make it again")
            raise
        except StrongroomError as error:
            # Temporary trouble is tried again; what cannot be made is refused once and for all.
            if isinstance(error, CallerError) or context.attempt >= MAX_ATTEMPTS:
                refuse(error.message, error.next_step)
            raise
        except Exception:
            refuse("a fault of the server", "see the server's log")
            raise

    def give_up(self, session: Session, job: str, payload: dict[str, Any], words: str) -> None:
        """Refuse the release of a job that ended undone, in the transaction that ends it."""
        dataset = session.get(DatasetRow, str(payload["dataset"]))
        if dataset is not None:
            refusal = Refusal(words, "make it again")
            self._refused(session, job, dataset, int(payload["number"]), refusal)

    def _tried(self, context: JobContext, dataset_id: str, number: int) -> dict[str, Any] | None:
        """One try; None where other releases came or went meanwhile."""
        with context.database.read() as session:
            release, held = self._found(session, dataset_id, number)
            if release.record.state is not ReleaseState.MAKING:
                return _result(release)
            work = self._work(session, release, held)
        with ExitStack() as stack:
            worker = sandbox.Worker(
                work.function, work.argument, limits=self._sandbox, required=self._required
            )
            stack.callback(worker.stop)
            if (refusal := self._made(context, work, worker)) is not None:
                return self._refuse(context, dataset_id, number, refusal)
            context.progress("sealing")
            workspace = release.dataset.workspace
            staged = {
                name: stack.enter_context(self._sealed(worker, name, workspace, kind))
                for name, kind in work.tables.items()
            }
            work.judge(context, worker)
            # A crash up to here leaves a release that is being made, and files without a row.
            with context.database.write() as session:
                release, _ = self._found(session, dataset_id, number)
                if release.record.state is not ReleaseState.MAKING:
                    return _result(release)
                if not work.still_holds(session):
                    return None
                self._expire(session, release.dataset)
                blobs = {name: self._blobs.commit(session, one).id for name, one in staged.items()}
                record = replace(work.recorded(release.record, blobs), state=ReleaseState.WAITING)
                release = self._catalog.releases.set(session, release, record)
                self._record(session, context.job_id, release)
        return _result(release)

    def _found(self, session: Session, dataset_id: str, number: int) -> tuple[Release, Held]:
        dataset = session.get(DatasetRow, dataset_id)
        if dataset is None:
            raise NotFoundError("the dataset of this job is gone")
        release = self._catalog.releases.get(session, dataset, number)
        version = release.record.source_version
        return release, self._catalog.find(session, dataset.workspace, dataset.name, version)

    def _work(self, session: Session, release: Release, held: Held) -> Work:
        if release.record.kind is ReleaseKind.SYNTHETIC:
            return Synthesizing(self._blobs, session, release, held, room=self._most_bytes)
        return Anonymizing(
            self._blobs, self._catalog.releases, session, release, held, now=self._now,
            seconds=self._seconds, room=self._most_bytes,
        )  # fmt: skip

    def _made(self, context: JobContext, work: Work, worker: sandbox.Worker) -> Refusal | None:
        try:
            return work.make(context, worker)
        except SandboxError as error:
            if isinstance(error, sandbox.LayerMissingError):
                raise
            return Refusal(
                "it could not be made within the limits of the sandbox",
                "take fewer columns, a version with fewer rows, or ask the operator for more",
            )

    def _expire(self, session: Session, dataset: DatasetRow) -> None:
        """Close for good what expired unread: it was left out of the check, and stays unread."""
        for other in self._catalog.releases.every(session, dataset):
            record = other.record
            is_over = record.state_at(self._now()) is ReleaseState.EXPIRED
            if is_over and record.state is not ReleaseState.EXPIRED and not record.first_read_at:
                self._catalog.releases.close(session, other, replace(
                    record, state=ReleaseState.EXPIRED
                ))  # fmt: skip

    def _sealed(self, worker: sandbox.Worker, what: str, workspace: str, kind: str) -> Any:  # noqa: ANN401 # a staged blob, as a context manager
        """A table out of the sandbox, checked as a stranger's and written as a blob."""

        def pieces() -> Iterator[bytes]:
            while True:
                head, body = worker.request({"do": what})
                if head.get("end"):
                    return
                yield body

        table = read_one(pieces(), name=what, form=Form.ARROW, limits=self._limits)
        return write_table(self._blobs, workspace, table.batches, table.schema, kind=kind)

    # ---- deciding ----

    def _refuse(
        self, context: JobContext, dataset_id: str, number: int, refusal: Refusal
    ) -> dict[str, Any]:
        with context.database.write() as session:
            dataset = session.get(DatasetRow, dataset_id)
            if dataset is None:
                return {}
            return self._refused(session, context.job_id, dataset, number, refusal)

    def _refused(
        self, session: Session, job: str, dataset: DatasetRow, number: int, refusal: Refusal
    ) -> dict[str, Any]:
        release = self._catalog.releases.get(session, dataset, number)
        if release.record.state is ReleaseState.MAKING:
            spent = SPENT if release.record.cost else ""
            record = replace(
                release.record, state=ReleaseState.REFUSED, refusal=refusal.words[:_WORDS],
                next_step=refusal.next_step[:_WORDS] + spent, composition=refusal.composition,
            )  # fmt: skip
            release = self._catalog.releases.set(session, release, record)
            self._record(session, job, release)
        return _result(release)

    def _record(self, session: Session, job: str, release: Release) -> None:
        record = release.record
        is_refused = record.state is ReleaseState.REFUSED
        details: dict[str, str | int | float | bool] = {
            "number": release.number, "state": record.state.value, "rows": record.rows,
            "suppressed": record.suppressed, "recipe": record.recipe_digest,
            "source": record.source_commitment,
        }  # fmt: skip
        if record.composition is not None:
            details["against"] = ", ".join(map(str, record.composition.against))
            details["smallest"] = record.composition.smallest
            details["breaches"] = len(record.composition.breaches)
        if record.synthetic is not None:
            details["epsilon"], details["delta"] = record.synthetic.epsilon, record.synthetic.delta
        self._log.append(session, Event(
            time=self._now().timestamp(),
            workspace=release.dataset.workspace,
            actor_kind="job",
            actor=job,
            operation="data.release.make",
            action="",
            resource_type="Release",
            resource=f"{release.dataset.workspace}/{release.dataset.name}/{release.number}",
            audit_class=AuditClass.DATASTORE_ACTIVITY,
            request_id=new_request_id(),
            outcome=Outcome.REFUSED if is_refused else Outcome.ALLOWED,
            # The words of the refusal may name values: they stay in the sealed record.
            reason="refused" if is_refused else "",
            details=details,
        ))  # fmt: skip


def _result(release: Release) -> dict[str, Any]:
    return {"release": release.number, "state": release.record.state.value}
