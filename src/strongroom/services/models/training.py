"""The job that trains a model with privacy: read, learn in the sandbox, register.

Its cost was spent before it was queued, and stays spent whatever becomes of it. What a kill leaves:
before the last transaction staged blobs that a sweep removes, and nothing that anybody has seen;
the next try learns anew, with noise of its own. After it, a quarantined version whose checks are
queued. So at most one model comes out of one spend.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import pyarrow as pa
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from strongroom.engines.privacy.dp.training.running import RECORD_NAME
from strongroom.errors import (
    NotFoundError,
    SandboxError,
    TooLargeError,
    ValidationError,
)
from strongroom.gate.audit.types import AuditClass, Event, Outcome
from strongroom.gate.operation import new_request_id
from strongroom.gate.undecided import Recorder
from strongroom.services.data.catalog import Catalog, Held
from strongroom.services.data.tables import DatasetRow
from strongroom.services.jobs import sandbox
from strongroom.services.jobs.trying import JobContext
from strongroom.services.models.guards import WISH_KIND, GuardWish, ModelGuards
from strongroom.services.models.import_reuse import MODEL_FILE_KIND
from strongroom.services.models.registry import Registry
from strongroom.services.models.tables import ModelEntryRow
from strongroom.services.models.types import ModelFile, Provenance
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.encrypted_tables import read_table

JOB_KIND = "models.train"
SOURCE = "strongroom training"
"""In the provenance of a version that was trained here."""
MAX_MODEL_BYTES = 64 << 20
_FUNCTION = "strongroom.services.models.confined_training:start"
_PIECE_BYTES = 4 << 20
_GUARD_RATES = (0.01, 0.02, 0.05)
"""Of false alarms, of the guard that a trained model gets: the first that its rows allow."""
_LOOKED_AT = 100
"""Newest versions among which a job that is done again looks for its own."""
_SHARE_OF_MEMORY = 8
"""The rows may take this part of the sandbox's memory: they are coded and learned from there."""


class Trainer:
    """Does the jobs of kind `models.train`."""

    def __init__(
        self, blobs: BlobStore, catalog: Catalog, registry: Registry, guards: ModelGuards,
        log: Recorder, settings: Settings, now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._blobs = blobs
        self._catalog = catalog
        self._registry = registry
        self._guards = guards
        self._fits_guards = settings.guards_of_trained == "fitted"
        self._log = log
        self._now = now
        self._most_bytes = settings.sandbox_memory_bytes // _SHARE_OF_MEMORY
        self._required = sandbox.required_layers(settings.sandbox_required_layers)
        self._sandbox = sandbox.Limits(
            memory_bytes=settings.sandbox_memory_bytes,
            wall_seconds=4.0 * settings.sandbox_seconds + 60,
            output_bytes=MAX_MODEL_BYTES + (1 << 20),
        )

    def train(self, context: JobContext, payload: dict[str, Any]) -> Mapping[str, Any]:
        """Train one model and register it; once registered, a job is not done again."""
        return self._tried(context, payload)

    def give_up(self, session: Session, _job: str, payload: dict[str, Any], _why: str) -> None:
        """Let go of what was wished for: the job ended undone, and nobody needs it any more."""
        self._blobs.delete(session, str(payload["wish"]))

    def _tried(self, context: JobContext, payload: dict[str, Any]) -> Mapping[str, Any]:
        with context.database.read() as session:
            if (done := self._registered(session, payload, context.job_id)) is not None:
                return done
            dataset = session.get(DatasetRow, str(payload["dataset"]))
            if dataset is None:
                raise NotFoundError("the dataset of this job is gone")
            version = int(payload["dataset_version"])
            held = self._catalog.find(session, dataset.workspace, dataset.name, version)
            argument = self._argument(session, payload)
            wanted = [*argument["domain"]["columns"], argument["domain"]["target"]["name"]]
            wanted += [argument["subject"]] if argument["subject"] else []
            rows = read_table(self._blobs, session, held.row.blob, wanted)
        worker = sandbox.Worker(_FUNCTION, argument, limits=self._sandbox, required=self._required)
        try:
            context.progress("reading")
            self._pour(worker, rows)
            context.progress("training")
            files = _trained(worker)
        finally:
            worker.stop()
        context.progress("registering")
        return self._register(context, payload, held, files, argument["domain"]["target"])

    # ---- in ----

    def _argument(self, session: Session, payload: Mapping[str, Any]) -> dict[str, Any]:
        with self._blobs.open(session, str(payload["wish"])) as reader:
            found = json.loads(b"".join(reader.chunks()))
        assert isinstance(found, dict)  # noqa: S101 # as `training_operations` sealed it
        return found

    def _pour(self, worker: sandbox.Worker, batches: Iterator[pa.RecordBatch]) -> None:
        sink, writer, room = io.BytesIO(), None, self._most_bytes
        for batch in batches:
            if writer is None:
                writer = pa.ipc.new_stream(sink, batch.schema)
            writer.write_batch(batch)
            room -= batch.nbytes
            if room < 0:
                raise TooLargeError(
                    f"the columns have more than {self._most_bytes:,} bytes in memory",
                    next_step="train on fewer columns, or ask the operator for more memory; "
                    "the epsilon is spent",
                )
            if sink.tell() >= _PIECE_BYTES:
                _send(worker, sink)
        if writer is None:
            raise ValidationError("the dataset has no rows")
        writer.close()
        _send(worker, sink)

    # ---- out ----

    def _register(
        self, context: JobContext, payload: Mapping[str, Any], held: Held,
        files: dict[str, bytes], target: Mapping[str, Any],
    ) -> dict[str, Any]:  # fmt: skip
        workspace, model = held.dataset.workspace, str(payload["model"])
        record = _record_of(files)
        with ExitStack() as stack:
            staged = {
                name: stack.enter_context(self._blobs.put(workspace, MODEL_FILE_KIND, [content]))
                for name, content in files.items()
            }
            wish = GuardWish(
                {"trained": (held.dataset.id, held.row.version)}, str(target["name"]), _GUARD_RATES
            ).to_bytes()
            wished = stack.enter_context(self._blobs.put(workspace, WISH_KIND, [wish]))
            with context.database.write() as session:
                if (done := self._registered(session, payload, context.job_id)) is not None:
                    return done
                number = 1 + (session.scalar(_newest(workspace, model)) or 0)
                parameters = {
                    "dataset": f"{held.dataset.name}/{held.row.version}",
                    "spend": str(payload["spend"]),
                    **{f"privacy.{key}": _text(value) for key, value in record.items()},
                }
                entry = self._registry.register(
                    session, workspace=workspace, model=model, version=number,
                    files=[
                        ModelFile(name, self._blobs.commit(session, one).id)
                        for name, one in staged.items()
                    ],
                    provenance=Provenance(
                        run_id=context.job_id, source=SOURCE,
                        datasets=(f"{held.dataset.name}@{held.record.digest}",),
                        parameters=parameters,
                    ),
                    actor=context.actor,
                )  # fmt: skip
                if self._fits_guards and "values" in target:  # a number has no guard
                    row = session.get_one(ModelEntryRow, entry)
                    self._guards.wish(session, row, wished, context.actor, waits=True)
                self._blobs.delete(session, str(payload["wish"]))
                self._record(session, context, held, f"{workspace}/{model}/{number}", record)
        return {"model": model, "version": number, "entry": entry}

    def _registered(
        self, session: Session, payload: Mapping[str, Any], job: str
    ) -> dict[str, Any] | None:
        """The version that this job has made, if it has."""
        model = str(payload["model"])
        rows = session.scalars(
            select(ModelEntryRow)
            .where(
                ModelEntryRow.workspace == str(payload["workspace"]), ModelEntryRow.model == model
            )
            .order_by(ModelEntryRow.version.desc())
            .limit(_LOOKED_AT)
        )
        for row in rows:
            if self._registry.facts(session, row).get("run_id") == job:
                return {"model": model, "version": row.version, "entry": row.id}
        return None

    def _record(
        self, session: Session, context: JobContext, held: Held, version: str,
        record: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self._log.append(session, Event(
            time=self._now().timestamp(),
            workspace=held.dataset.workspace,
            actor_kind="job",
            actor=context.job_id,
            operation="model.train",
            action="",
            resource_type="ModelVersion",
            resource=version,
            audit_class=AuditClass.AI_OPERATION,
            request_id=new_request_id(),
            outcome=Outcome.ALLOWED,
            reason="",
            details={
                "dataset": held.dataset.name, "dataset_version": held.row.version,
                "method": str(record["method"]), "epsilon": float(record["epsilon"]),
                "delta": float(record["delta"]),
            },
        ))  # fmt: skip


def _newest(workspace: str, model: str) -> Any:  # noqa: ANN401 # a statement
    return select(func.max(ModelEntryRow.version)).where(
        ModelEntryRow.workspace == workspace, ModelEntryRow.model == model
    )


def _send(worker: sandbox.Worker, sink: io.BytesIO) -> None:
    worker.request({"do": "rows"}, sink.getvalue())
    sink.seek(0)
    sink.truncate()


def _trained(worker: sandbox.Worker) -> dict[str, bytes]:
    """The files of the model. Raises: ValidationError with the words of the trainer."""
    answer, _ = worker.request({"do": "train"})
    if "failed" in answer:
        raise ValidationError(
            str(answer["failed"])[:500],
            next_step=f"{str(answer.get('next_step'))[:500]}; the epsilon is spent",
        )
    names = answer.get("files")
    if not isinstance(names, list) or len(names) > 3:
        raise SandboxError("the training answered out of shape")
    files = {str(name)[:100]: worker.request({"do": "file", "name": name})[1] for name in names}
    if sum(map(len, files.values())) > MAX_MODEL_BYTES:
        raise TooLargeError(f"the model has more than {MAX_MODEL_BYTES:,} bytes")
    return files


def _record_of(files: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        record = json.loads(files[RECORD_NAME])
    except (KeyError, ValueError):
        raise SandboxError("the training answered out of shape") from None
    if not isinstance(record, dict) or not {"method", "epsilon", "delta"} <= record.keys():
        raise SandboxError("the training answered out of shape")
    return record


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
