"""The job that fits a guard: the model in one sandbox, the fitting in another, rows between.

What a kill leaves: what was wished for, so the next try fits anew; a guard is put in the place of
the former one and on the record in one transaction.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pyarrow as pa
from sqlalchemy.orm import Session

from strongroom.engines.privacy.discover.sampling import RowSampler
from strongroom.errors import (
    NotFoundError,
    SandboxError,
    StateError,
    StrongroomError,
    TooLargeError,
    UnavailableError,
    ValidationError,
)
from strongroom.gate.audit.types import AuditClass, Event, Outcome
from strongroom.gate.operation import new_request_id
from strongroom.gate.undecided import Recorder
from strongroom.services.data.catalog import Catalog, Held
from strongroom.services.data.tables import DatasetRow
from strongroom.services.jobs import sandbox
from strongroom.services.jobs.trying import JobContext
from strongroom.services.models.between_sandboxes import pour
from strongroom.services.models.claims import claimed_privacy
from strongroom.services.models.confined_guard import PERSON
from strongroom.services.models.files import ModelFiles
from strongroom.services.models.fitted_guard import FittedGuard
from strongroom.services.models.guard_types import GuardState
from strongroom.services.models.guards import GUARD_KIND, GuardWish, ModelGuards
from strongroom.services.models.registry import Registry
from strongroom.services.models.statements import SignedVersion
from strongroom.services.models.tables import ModelEntryRow, ModelGuardRow
from strongroom.services.models.types import ModelState
from strongroom.services.models.verifying import Verifier
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.encrypted_tables import read_table

MAX_ROWS = 20_000
"""Of each table; more are sampled."""
MAX_GUARD_BYTES = 64 << 20
"""Of a fitted guard, packed."""
_FIT = "strongroom.services.models.confined_guard:start"
_MODEL = "strongroom.services.models.confined_subject:start"
_SECONDS = 900.0
"""Of a whole fitting."""
_SHARE_OF_MEMORY = 32
_SHARE_OF_MODEL = 4
_FEWEST_ROWS = 500
_CELL_BYTES = 16


class GuardFitter:
    """Does the jobs of kind `models.fit_guard`."""

    def __init__(
        self, blobs: BlobStore, catalog: Catalog, registry: Registry, verifier: Verifier,
        guards: ModelGuards, log: Recorder, settings: Settings, now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._blobs = blobs
        self._catalog = catalog
        self._registry = registry
        self._verifier = verifier
        self._guards = guards
        self._log = log
        self._now = now
        self._required = sandbox.required_layers(settings.sandbox_required_layers)
        self._limits = sandbox.Limits(
            memory_bytes=settings.sandbox_memory_bytes, wall_seconds=_SECONDS,
            output_bytes=MAX_GUARD_BYTES + (1 << 20),
        )  # fmt: skip
        self._most_model_bytes = settings.sandbox_memory_bytes // _SHARE_OF_MODEL
        self._most_bytes = settings.sandbox_memory_bytes // _SHARE_OF_MEMORY

    def fit(self, context: JobContext, payload: dict[str, Any]) -> Mapping[str, Any]:
        """Fit one guard; a fitting that has ended is left as it is."""
        try:
            return self._tried(context, payload)
        except StrongroomError as error:
            if type(error).status != UnavailableError.status:  # else it is tried again
                with context.database.write() as session:
                    self.give_up(session, context.job_id, payload, error.message)
            raise

    def _tried(self, context: JobContext, payload: dict[str, Any]) -> Mapping[str, Any]:
        with context.database.read() as session:
            row = session.get(ModelGuardRow, str(payload["entry"]))
            if row is None or not _is_asked(row, payload):
                return {"state": "" if row is None else row.state}
            entry = session.get_one(ModelEntryRow, row.entry)
            wish = self._wish(session, row)
            held = {
                name: self._held(session, entry.workspace, *which)
                for name, which in wish.tables.items()
            }
            is_private = bool(claimed_privacy(self._registry.facts(session, entry)))
        context.progress("verifying")
        verified = self._verifier.verify(entry.workspace, entry.model, entry.version)
        contents = self._contents(context, entry)
        argument = _argument(wish, verified.signed)
        argument["private"] = is_private and any(
            self._is_trained_on(context, entry, one) for one in held.values()
        )
        context.progress("loading the model")
        with _in_our_words():
            model = sandbox.Worker(
                _MODEL, {}, files_in=contents, limits=self._limits, required=self._required
            )
        try:
            del contents
            fitting = sandbox.Worker(_FIT, argument, limits=self._limits, required=self._required)
            try:
                for name, which in held.items():
                    context.progress(f"reading the rows: {name}")
                    pour(fitting, self._sampled(context, which, argument["seed"]), name)
                context.progress("fitting")
                head, guard = _fitted(fitting, model)
            finally:
                fitting.stop()
        finally:
            model.stop()
        return self._conclude(context, payload, verified.signed.digest, head, guard)

    def give_up(self, session: Session, _job: str, payload: dict[str, Any], why: str) -> None:
        """The job ended undone: say so; a former guard stays."""
        row = session.get(ModelGuardRow, str(payload["entry"]))
        if row is not None and _is_asked(row, payload):
            self._guards.end(session, row, GuardState.BROKEN, why)

    # ---- what it works with ----

    def _wish(self, session: Session, row: ModelGuardRow) -> GuardWish:
        with self._blobs.open(session, str(row.wish)) as reader:
            return GuardWish.from_bytes(b"".join(reader.chunks()))

    def _held(self, session: Session, workspace: str, dataset: str, version: int) -> Held:
        row = session.get(DatasetRow, dataset)
        if row is None:
            raise NotFoundError("the dataset of this guard is gone")
        return self._catalog.find(session, workspace, row.name, version)

    def _is_trained_on(self, context: JobContext, entry: ModelEntryRow, held: Held) -> bool:
        """Whether the provenance names any version of a dataset: versions share people."""
        with context.database.read() as session:
            return any(
                one.name == held.dataset.name for one in self._registry.sources(session, entry)
            )

    def _contents(self, context: JobContext, entry: ModelEntryRow) -> dict[str, bytes]:
        with context.database.read() as session:
            files = self._registry.files(session, entry.id)
        with ModelFiles(context.database, self._blobs, files) as opened:
            if (size := opened.total_bytes()) > self._most_model_bytes:
                raise TooLargeError(
                    f"the model has {size:,} bytes; a guard can be fitted to one of "
                    f"{self._most_model_bytes:,}",
                    next_step="ask the operator for more memory of the sandbox",
                )
            return opened.contents()

    def _sampled(self, context: JobContext, held: Held, seed: int) -> pa.Table:
        """Rows of a dataset, at most `MAX_ROWS`, with numbers for people."""
        subject = held.record.subject_column
        key = secrets.token_bytes(32)
        sampler: RowSampler | None = None
        with context.database.read() as session:
            for batch in read_table(self._blobs, session, held.row.blob):
                named = _numbered(batch, subject, key)
                if sampler is None:
                    most = self._most_bytes // (_CELL_BYTES * max(named.num_columns, 1))
                    most = max(min(most, MAX_ROWS), _FEWEST_ROWS)
                    sampler = RowSampler(named.schema, seed, most)
                sampler.add(named)
        if sampler is None:
            raise ValidationError(f"the dataset `{held.dataset.name}` has no rows")
        return sampler.table()

    # ---- the end ----

    def _conclude(
        self, context: JobContext, payload: Mapping[str, Any], digest: str,
        head: Mapping[str, object], guard: bytes,
    ) -> dict[str, Any]:  # fmt: skip
        try:
            made = FittedGuard.from_bytes(guard)
        except ValidationError as error:
            raise SandboxError(f"the fitting answered out of shape: {error.message}") from None
        with context.database.read() as session:
            entry = session.get_one(ModelEntryRow, str(payload["entry"]))
        if made.digest != digest:
            raise SandboxError("the fitting answered with the guard of another model")
        found: dict[str, Any] = {
            "rate": made.guard.settings.rate, "reference": int(str(head["reference"])),
            "calibration": int(str(head["calibration"])), "monitors": made.traffic is not None,
        }  # fmt: skip
        with (
            self._blobs.put(entry.workspace, GUARD_KIND, [guard]) as staged,
            context.database.write() as session,
        ):
            row = session.get_one(ModelGuardRow, entry.id)
            entry = session.get_one(ModelEntryRow, entry.id)
            if not _is_asked(row, payload):
                return {"state": row.state}
            if entry.deleted_at is not None or entry.state not in _GUARDED:
                raise StateError(f"version {entry.version} of `{entry.model}` is {entry.state}")
            self._registry.require_current(session, entry)
            self._guards.keep(session, row, staged)
            self._record(session, context, entry, found)
        return {"state": GuardState.DONE.value, **found}

    def _record(
        self, session: Session, context: JobContext, entry: ModelEntryRow,
        found: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self._log.append(session, Event(
            time=self._now().timestamp(),
            workspace=entry.workspace,
            actor_kind="job",
            actor=context.job_id,
            operation="model.fit_guard",
            action="",
            resource_type="ModelVersion",
            resource=f"{entry.workspace}/{entry.model}/{entry.version}",
            audit_class=AuditClass.AI_OPERATION,
            request_id=new_request_id(),
            outcome=Outcome.ALLOWED,
            reason="",
            details={"digest": entry.digest, **found},
        ))  # fmt: skip


_GUARDED = (ModelState.CHECKED, ModelState.APPROVED)


def _is_asked(row: ModelGuardRow, payload: Mapping[str, Any]) -> bool:
    """Whether the row still waits for this very fitting."""
    return row.state == GuardState.QUEUED and row.wish == payload["wish"]


def _argument(wish: GuardWish, signed: SignedVersion) -> dict[str, Any]:
    return {
        "label": wish.label, "values": list(wish.values), "rates": list(wish.rates),
        "group": wish.group,
        "squeezing": wish.is_squeezing, "features": list(signed.features),
        "texts": [kind == "BYTES" for kind in signed.feature_types],
        "classes": list(signed.classes), "digest": signed.digest,
        # Nobody may foresee which rows are kept.
        "seed": secrets.randbits(32),
    }  # fmt: skip


def _numbered(batch: pa.RecordBatch, subject: str, key: bytes) -> pa.RecordBatch:
    """Without the column that says whom a row is about: a number stands for it."""
    if not subject or subject not in batch.schema.names:
        return batch
    at = batch.schema.names.index(subject)
    people = [_number(one, key) for one in batch.column(at).to_pylist()]
    arrays = [column for place, column in enumerate(batch.columns) if place != at]
    names = [name for name in batch.schema.names if name != subject]
    return pa.RecordBatch.from_arrays([*arrays, pa.array(people, pa.int64())], [*names, PERSON])


def _number(person: object, key: bytes) -> int:
    digest = hashlib.blake2b(str(person).encode(), digest_size=8, key=key).digest()
    return int.from_bytes(digest, "little", signed=True)


def _fitted(fitting: sandbox.Worker, model: sandbox.Worker) -> tuple[dict[str, object], bytes]:
    """Carry questions and answers between the two until the last answer."""
    deadline = time.monotonic() + _SECONDS
    head, body = fitting.request({"do": "go"}, seconds=_left(deadline))
    while "ask" in head:
        asked = head["ask"]
        if not isinstance(asked, dict):
            raise SandboxError("the fitting asked out of shape")
        with _in_our_words():
            answer, content = model.request(asked, body, seconds=_left(deadline))
        told: dict[str, object] = {"do": "next", "head": answer}
        head, body = fitting.request(told, content, seconds=_left(deadline))
    if "failed" in head:
        raise ValidationError(
            str(head["failed"])[:500],
            next_step=str(head.get("next_step"))[:500] or "see docs/robustness-guards.md",
        )
    if not {"rate", "reference", "calibration"} <= head.keys():
        raise SandboxError("the fitting answered out of shape")
    return head, body


@contextmanager
def _in_our_words() -> Iterator[None]:
    """What a model says of its own failure stays inside: it may put rows into it."""
    try:
        yield
    except sandbox.ConfinedError:
        raise ValidationError(
            "the model did not answer the rows of the dataset",
            next_step="see whether they are such as the model was trained on",
        ) from None


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise ValidationError(
            "the fitting of the guard took too long", next_step="give fewer rows or features"
        )
    return left
