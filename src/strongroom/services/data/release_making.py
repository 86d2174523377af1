"""The job that makes a release: anonymize in the sandbox, compare with former ones, seal.

What a kill leaves: before the last transaction staged blobs, which a sweep removes, and a release
that is still being made, which the next try makes; after it the release, or its refusal.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

import pyarrow as pa
from pydantic import BaseModel
from pydantic import ValidationError as Misfit
from sqlalchemy.orm import Session

from strongroom.engines.reading.reading import read_one
from strongroom.engines.reading.types import Form, ReadLimits
from strongroom.errors import (
    CallerError,
    ConflictError,
    NotFoundError,
    SandboxError,
    StrongroomError,
    TableError,
    TooLargeError,
    ValidationError,
)
from strongroom.gate.audit.types import AuditClass, Event, Outcome
from strongroom.gate.operation import new_request_id
from strongroom.gate.undecided import Recorder
from strongroom.services.data.catalog import Catalog, Held
from strongroom.services.data.release_types import (
    BreachShown,
    CompositionShown,
    ProofShown,
    ReleaseState,
)
from strongroom.services.data.release_wording import NEXT_STEP, OWN_NEXT_STEP, refusal_of
from strongroom.services.data.releases import Release
from strongroom.services.data.tables import DatasetRow
from strongroom.services.jobs import sandbox
from strongroom.services.jobs.trying import JobCancelledError, JobContext
from strongroom.services.jobs.types import MAX_ATTEMPTS
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.encrypted_tables import read_table, write_table

JOB_KIND = "data.release"
TABLE_KIND = "release"
TRACE_KIND = "release-trace"
_FUNCTION = "strongroom.services.data.release_confined:start"
_PIECE_BYTES = 4 << 20
_SHARE_OF_MEMORY = 8
"""The source may take this part of the sandbox's memory: it is coded, recoded and counted there."""
_WORDS = 2_000

_Shape = TypeVar("_Shape", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class _Made:
    """What came out of the sandbox.

    Attributes:
        failure, next_step: in place of everything else where it could not be made.
        against: numbers of the former releases.
    """

    against: tuple[int, ...]
    failure: str = ""
    next_step: str = ""
    proof: ProofShown | None = None
    composition: CompositionShown | None = None
    suppressed: int = 0


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
            output_bytes=2 * _PIECE_BYTES + limits.message_bytes,
        )

    def make(self, context: JobContext, payload: dict[str, Any]) -> Mapping[str, Any]:
        """Make one release; one that is decided already is left as it is."""
        dataset, number = str(payload["dataset"]), int(payload["number"])
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
            self._refuse(context, dataset, number, "the job was cancelled", "make it again")
            raise
        except StrongroomError as error:
            # Temporary trouble is tried again; what cannot be made is refused once and for all.
            if isinstance(error, CallerError) or context.attempt >= MAX_ATTEMPTS:
                self._refuse(context, dataset, number, error.message, error.next_step)
            raise
        except Exception:
            self._refuse(context, dataset, number, "a fault of the server", "see the server's log")
            raise

    def _tried(self, context: JobContext, dataset_id: str, number: int) -> dict[str, Any] | None:
        """One try; None where other releases came or went meanwhile."""
        with context.database.read() as session:
            release, held = self._found(session, dataset_id, number)
            if release.record.state is not ReleaseState.MAKING:
                return _result(release)
            formers = self._formers(session, release)
            _require_comparable(release, formers)
            sources = [read_table(self._blobs, session, one.record.trace_blob) for one in formers]
            rows = read_table(self._blobs, session, held.row.blob)
            key = self._catalog.releases.trace_key(session, release.dataset)
        with ExitStack() as stack:
            worker = self._worker(release, held, formers, key)
            stack.callback(worker.stop)
            made = self._worked(context, worker, rows, sources, formers)
            if made.failure:
                return self._refuse(context, dataset_id, number, made.failure, made.next_step,
                                    made.composition)  # fmt: skip
            context.progress("sealing")
            table = stack.enter_context(
                self._sealed(worker, "rows", release.dataset.workspace, TABLE_KIND)
            )
            trace = stack.enter_context(
                self._sealed(worker, "trace", release.dataset.workspace, TRACE_KIND)
            )
            # A crash up to here leaves a release that is being made, and files without a row.
            with context.database.write() as session:
                release, _ = self._found(session, dataset_id, number)
                if release.record.state is not ReleaseState.MAKING:
                    return _result(release)
                if tuple(one.number for one in self._formers(session, release)) != made.against:
                    return None
                self._expire(session, release.dataset)
                assert made.proof is not None  # noqa: S101 # made without a failure
                record = replace(
                    release.record,
                    state=ReleaseState.WAITING,
                    blob=self._blobs.commit(session, table).id,
                    trace_blob=self._blobs.commit(session, trace).id,
                    proof=made.proof,
                    composition=made.composition,
                    rows=made.proof.rows,
                    suppressed=made.suppressed,
                )
                release = self._catalog.releases.set(session, release, record)
                self._record(session, context, release)
        return _result(release)

    # ---- former releases ----

    def _found(self, session: Session, dataset_id: str, number: int) -> tuple[Release, Held]:
        dataset = session.get(DatasetRow, dataset_id)
        if dataset is None:
            raise NotFoundError("the dataset of this job is gone")
        release = self._catalog.releases.get(session, dataset, number)
        version = release.record.source_version
        return release, self._catalog.find(session, dataset.workspace, dataset.name, version)

    def _formers(self, session: Session, release: Release) -> list[Release]:
        """Those whose rows somebody has or may come to have, and that show people one by one."""
        now = self._now()
        return [
            other
            for other in self._catalog.releases.every(session, release.dataset)
            if other.number != release.number
            and other.record.trace_blob
            and other.record.counts_at(now)
        ]

    def _expire(self, session: Session, dataset: DatasetRow) -> None:
        """Close for good what expired unread: it was left out of the check, and stays unread."""
        for other in self._catalog.releases.every(session, dataset):
            record = other.record
            is_over = record.state_at(self._now()) is ReleaseState.EXPIRED
            if is_over and record.state is not ReleaseState.EXPIRED and not record.first_read_at:
                self._catalog.releases.close(session, other, replace(
                    record, state=ReleaseState.EXPIRED
                ))  # fmt: skip

    # ---- the sandbox ----

    def _worker(
        self, release: Release, held: Held, formers: list[Release], key: bytes
    ) -> sandbox.Worker:
        argument = {
            "recipe": release.record.recipe,
            "seconds": self._seconds,
            "subject": held.record.subject_column,
            "key": key.hex(),
            "formers": [one.record.recipe for one in formers],
        }
        return sandbox.Worker(_FUNCTION, argument, limits=self._sandbox, required=self._required)

    def _worked(
        self,
        context: JobContext,
        worker: sandbox.Worker,
        rows: Iterator[pa.RecordBatch],
        traces: list[Iterator[pa.RecordBatch]],
        formers: list[Release],
    ) -> _Made:
        against = tuple(one.number for one in formers)
        try:
            context.progress("reading")
            room = self._pour(worker, {"do": "source"}, rows, self._most_bytes)
            for at, trace in enumerate(traces):
                room = self._pour(worker, {"do": "former", "at": at}, trace, room)
            context.progress("anonymizing")
            answer, _ = worker.request({"do": "make"})
        except SandboxError as error:
            if isinstance(error, sandbox.LayerMissingError):
                raise
            return _Made(
                against, "it could not be made within the limits of the sandbox",
                "take fewer columns, a version with fewer rows, or ask the operator for more",
            )  # fmt: skip
        return _read_answer(answer, against)

    def _pour(
        self, worker: sandbox.Worker, head: dict[str, object],
        batches: Iterator[pa.RecordBatch], most_bytes: int,
    ) -> int:  # fmt: skip
        """Send batches into the sandbox, at most so many bytes; what is left of them."""
        sink = io.BytesIO()
        writer: Any = None
        for batch in batches:
            if writer is None:
                writer = pa.ipc.new_stream(sink, batch.schema)
            writer.write_batch(batch)
            most_bytes -= batch.nbytes
            if most_bytes < 0:
                raise TooLargeError(
                    "the source and the traces of former releases do not fit into memory",
                    next_step="take a version with fewer rows, or ask the operator for more",
                )
            if sink.tell() >= _PIECE_BYTES:
                _send(worker, head, sink)
        if writer is None:
            raise TableError("the source has no rows")
        writer.close()
        _send(worker, head, sink)
        return most_bytes

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
        self, context: JobContext, dataset_id: str, number: int, words: str, next_step: str,
        composition: CompositionShown | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        with context.database.write() as session:
            dataset = session.get(DatasetRow, dataset_id)
            if dataset is None:
                return {}
            release = self._catalog.releases.get(session, dataset, number)
            if release.record.state is ReleaseState.MAKING:
                record = replace(
                    release.record, state=ReleaseState.REFUSED, refusal=words[:_WORDS],
                    next_step=next_step[:_WORDS], composition=composition,
                )  # fmt: skip
                release = self._catalog.releases.set(session, release, record)
                self._record(session, context, release)
            return _result(release)

    def _record(self, session: Session, context: JobContext, release: Release) -> None:
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
        self._log.append(session, Event(
            time=self._now().timestamp(),
            workspace=release.dataset.workspace,
            actor_kind="job",
            actor=context.job_id,
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


def _require_comparable(release: Release, formers: list[Release]) -> None:
    """Refuse what could not be checked: people would seem to be others, and nothing to cross."""
    for former in formers:
        if former.record.known_by != release.record.known_by:
            raise ValidationError(
                f"release {former.number} was made of a version whose people are known by other "
                "columns: it cannot be told who is in both",
                next_step="add the data with the subject column of that version, or, where it has "
                "none, with its columns",
            )


def _send(worker: sandbox.Worker, head: dict[str, object], sink: io.BytesIO) -> None:
    worker.request(head, sink.getvalue())
    sink.seek(0)
    sink.truncate()


def _result(release: Release) -> dict[str, Any]:
    return {"release": release.number, "state": release.record.state.value}


def _read_answer(answer: Mapping[str, object], against: tuple[int, ...]) -> _Made:
    """What the sandbox says, whose shape is not to be relied on."""
    if "failed" in answer:
        return _Made(against, str(answer["failed"]), str(answer.get("next_step", "")))
    try:
        found = dict(answer["composition"])  # type: ignore[call-overload] # checked by what follows
        numbers = [*against, 0]  # the new one stands last, and has no number among them
        breaches = [
            BreachShown(**{**dict(one), "release": numbers[one["release"]]})
            for one in found.pop("breaches")
        ]
        composition = CompositionShown(against=list(against), breaches=breaches, **found)
        culprits = [against[int(one)] for one in answer["culprits"]]  # type: ignore[attr-defined]
        proof = _shape(ProofShown, answer["proof"])
        is_safe_alone = bool(answer["alone"])
        suppressed = int(str(answer["suppressed"]))
    except (KeyError, TypeError, ValueError, IndexError, Misfit):
        raise ValidationError("the sandbox answered out of shape") from None
    if breaches:
        words = refusal_of(composition, culprits, is_safe_alone=is_safe_alone)
        step = NEXT_STEP if is_safe_alone else OWN_NEXT_STEP
        return _Made(against, words, step, composition=composition)
    return _Made(against, proof=proof, composition=composition, suppressed=suppressed)


def _shape(kind: type[_Shape], content: object) -> _Shape:
    return kind.model_validate(content)
