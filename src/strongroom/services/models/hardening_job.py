"""The job that hardens a version: trains it anew, compares before and after, registers what came.

Its model runs in one sandbox, the new one is fitted in a second, the tests run in a third. Plan,
rows and way were fixed when the job was asked for. What a kill leaves: tests that have run
are kept after each one; a model is fitted again from the same rows by the same seed, so it is the
same. The new version, its report and the end of the asking are one transaction, once. It is
quarantined like any other and promoted by nobody but people.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from strongroom.engines.robustness.assessment.plan import parse_plan
from strongroom.errors import NotFoundError, StateError, TooLargeError
from strongroom.gate.audit.types import AuditClass, Event, Outcome
from strongroom.gate.operation import new_request_id
from strongroom.gate.undecided import Recorder
from strongroom.services.data.catalog import Catalog, Held
from strongroom.services.data.tables import DatasetRow
from strongroom.services.jobs import sandbox
from strongroom.services.jobs.trying import JobContext
from strongroom.services.models.assessing import REPORT_KIND, WISH_KIND, Assessor
from strongroom.services.models.assessing_types import AssessmentState
from strongroom.services.models.files import ModelFiles
from strongroom.services.models.hardening import HardenedModel
from strongroom.services.models.hardening_dialogue import (
    LONGEST_SECONDS,
    MAX_REPORT_BYTES,
    Dialogue,
)
from strongroom.services.models.hardening_rows import HardeningRows
from strongroom.services.models.hardening_types import Wish
from strongroom.services.models.import_reuse import MODEL_FILE_KIND
from strongroom.services.models.registry import Registry
from strongroom.services.models.tables import ModelAssessmentRow, ModelEntryRow
from strongroom.services.models.training import SOURCE
from strongroom.services.models.types import ModelFile, ModelState, Provenance
from strongroom.services.models.verifying import Verifier
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore

JOB_KIND = "models.harden"
REPORT_DIGEST = "report.sha256"
"""Among the parameters of the new version: which report is its own."""
_MODEL = "strongroom.services.models.confined_subject:start"
_SHARE_OF_MODEL = 4
"""The model's files may take this part of a sandbox's memory."""
_HARDENABLE = (ModelState.CHECKED, ModelState.APPROVED)


class Hardener:
    """Does the jobs of kind `models.harden`."""

    def __init__(
        self, blobs: BlobStore, assessor: Assessor, catalog: Catalog, registry: Registry,
        verifier: Verifier, log: Recorder, settings: Settings, now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._blobs = blobs
        self._assessor = assessor
        self._catalog = catalog
        self._registry = registry
        self._verifier = verifier
        self._log = log
        self._now = now
        self._memory = settings.sandbox_memory_bytes
        self._required = sandbox.required_layers(settings.sandbox_required_layers)
        self._limits = sandbox.Limits(
            memory_bytes=self._memory, wall_seconds=LONGEST_SECONDS,
            output_bytes=MAX_REPORT_BYTES + (1 << 20),
        )  # fmt: skip

    def harden(self, context: JobContext, payload: dict[str, Any]) -> Mapping[str, Any]:
        """Harden one version; once its successor is registered, a job is not done again."""
        with context.database.read() as session:
            row = session.get(ModelAssessmentRow, str(payload["hardening"]))
            if row is None:
                raise NotFoundError("what this job was asked for is gone")
            if row.state != AssessmentState.QUEUED:
                return self._result(session, row)
            entry = session.get_one(ModelEntryRow, row.entry)
            self._require_hardenable(session, entry)
            wish = self._wish(session, row)
            held = {
                name: self._held(session, entry.workspace, *which)
                for name, which in wish.tables.items()
            }
            kept = self._small(session, row.kept) if row.kept else None
        context.progress("verifying")
        self._verifier.verify(entry.workspace, entry.model, entry.version)
        rows = HardeningRows(context.database, self._blobs, self._assessor, self._memory)
        dialogue = Dialogue(
            rows, self._begun, partial(self._keep, context, row.id), context.progress, wish, held
        )
        with ExitStack() as stack:
            model = self._begun(stack, _MODEL, {}, self._contents(context, entry))
            made, report = dialogue.weighed(stack, model, kept)
        context.progress("registering")
        return self._conclude(context, row.id, wish, held, made, report)

    def give_up(self, session: Session, _job: str, payload: dict[str, Any], why: str) -> None:
        """The job ended undone: say so, and let go of what it held."""
        row = session.get(ModelAssessmentRow, str(payload["hardening"]))
        if row is not None and row.state == AssessmentState.QUEUED:
            row.state, row.reason, row.ended_at = AssessmentState.BROKEN, why[:500], self._now()
            self._let_go(session, row)

    # ---- what it works with ----

    def _begun(
        self, stack: ExitStack, function: str, argument: Mapping[str, object],
        files: Mapping[str, Any] | None = None,
    ) -> sandbox.Worker:  # fmt: skip
        worker = sandbox.Worker(
            function, argument, files_in=files, limits=self._limits, required=self._required
        )
        stack.callback(worker.stop)
        return worker

    def _require_hardenable(self, session: Session, entry: ModelEntryRow) -> None:
        if entry.state not in _HARDENABLE or entry.deleted_at is not None:
            raise StateError(f"version {entry.version} of `{entry.model}` is {entry.state}")
        self._registry.require_current(session, entry)

    def _wish(self, session: Session, row: ModelAssessmentRow) -> Wish:
        if row.wish is None:
            raise NotFoundError("what was asked of the hardening is gone")
        return msgspec.json.decode(self._small(session, row.wish), type=Wish)

    def _small(self, session: Session, blob: str) -> bytes:
        with self._blobs.open(session, blob) as reader:
            return b"".join(reader.chunks())

    def _held(self, session: Session, workspace: str, dataset: str, version: int) -> Held:
        row = session.get(DatasetRow, dataset)
        if row is None:
            raise NotFoundError("the dataset of this hardening is gone")
        return self._catalog.find(session, workspace, row.name, version)

    def _contents(self, context: JobContext, entry: ModelEntryRow) -> Mapping[str, Any]:
        with context.database.read() as session:
            files = self._registry.files(session, entry.id)
        with ModelFiles(context.database, self._blobs, files) as opened:
            if (size := opened.total_bytes()) > self._memory // _SHARE_OF_MODEL:
                raise TooLargeError(
                    f"the model has {size:,} bytes; {self._memory // _SHARE_OF_MODEL:,} can be "
                    "hardened",
                    next_step="use `strongroom harden` where it lies, or ask for more memory",
                )
            return opened.contents()

    def _keep(self, context: JobContext, hardening: str, kept: bytes) -> None:
        """Put away what another try would need."""
        with context.database.read() as session:
            row = session.get_one(ModelAssessmentRow, hardening)
            workspace = session.get_one(ModelEntryRow, row.entry).workspace
        with (
            self._blobs.put(workspace, WISH_KIND, [kept]) as staged,
            context.database.write() as session,
        ):
            row = session.get_one(ModelAssessmentRow, hardening)
            before, row.kept = row.kept, self._blobs.commit(session, staged).id
            if before:
                self._blobs.delete(session, before)

    # ---- the end ----

    def _conclude(
        self, context: JobContext, hardening: str, wish: Wish, held: Mapping[str, Held],
        made: HardenedModel, report: Mapping[str, Any],
    ) -> dict[str, Any]:  # fmt: skip
        trained = held["trained"]
        workspace = trained.dataset.workspace
        content = json.dumps(report, ensure_ascii=False).encode()
        with ExitStack() as stack:
            staged = {
                name: stack.enter_context(self._blobs.put(workspace, MODEL_FILE_KIND, [one]))
                for name, one in made.files.items()
            }
            shown = stack.enter_context(self._blobs.put(workspace, REPORT_KIND, [content]))
            with context.database.write() as session:
                row = session.get_one(ModelAssessmentRow, hardening)
                if row.state != AssessmentState.QUEUED:
                    return self._result(session, row)
                parent = session.get_one(ModelEntryRow, row.entry)
                self._require_hardenable(session, parent)
                number = 1 + (session.scalar(_newest(workspace, wish.into)) or 0)
                entry = self._registry.register(
                    session, workspace=workspace, model=wish.into, version=number,
                    files=[
                        ModelFile(name, self._blobs.commit(session, one).id)
                        for name, one in staged.items()
                    ],
                    provenance=Provenance(
                        run_id=context.job_id, source=SOURCE,
                        datasets=(f"{trained.dataset.name}@{trained.record.digest}",),
                        parameters={
                            **_parameters(parent, wish, held, made, report),
                            REPORT_DIGEST: sha256(content).hexdigest(),
                        },
                    ),
                    actor=context.actor,
                )  # fmt: skip
                row.report = self._blobs.commit(session, shown).id
                row.entry, row.state = entry, AssessmentState.DONE
                row.verdict, row.ended_at = str(report["verdict"]), self._now()
                self._let_go(session, row)
                self._record(session, context, parent, wish, f"{wish.into}/{number}", row)
                return {"model": wish.into, "version": number, "verdict": row.verdict}

    def _result(self, session: Session, row: ModelAssessmentRow) -> dict[str, Any]:
        entry = session.get_one(ModelEntryRow, row.entry)
        return {"model": entry.model, "version": entry.version, "verdict": row.verdict}

    def _let_go(self, session: Session, row: ModelAssessmentRow) -> None:
        for blob in (row.wish, row.kept):
            if blob:
                self._blobs.delete(session, blob)
        row.wish = row.kept = None

    def _record(
        self, session: Session, context: JobContext, parent: ModelEntryRow, wish: Wish,
        made: str, row: ModelAssessmentRow,
    ) -> None:  # fmt: skip
        self._log.append(session, Event(
            time=self._now().timestamp(),
            workspace=parent.workspace,
            actor_kind="job",
            actor=context.job_id,
            operation="model.harden",
            action="",
            resource_type="ModelVersion",
            resource=f"{parent.workspace}/{made}",
            audit_class=AuditClass.AI_OPERATION,
            request_id=new_request_id(),
            outcome=Outcome.ALLOWED,
            reason="",
            details={
                "parent": f"{parent.model}/{parent.version}", "way": wish.way,
                "verdict": row.verdict, "hardening": row.id,
                "plan": parse_plan(wish.plan).digest, "without": bool(wish.quarantine),
            },
        ))  # fmt: skip


def _newest(workspace: str, model: str) -> Any:  # noqa: ANN401 # a statement
    return select(func.max(ModelEntryRow.version)).where(
        ModelEntryRow.workspace == workspace, ModelEntryRow.model == model
    )


def _parameters(
    parent: ModelEntryRow, wish: Wish, held: Mapping[str, Held], made: HardenedModel,
    report: Mapping[str, Any],
) -> dict[str, str]:  # fmt: skip
    """What the provenance of the new version says of how it came to be."""
    plan = parse_plan(wish.plan)
    found: dict[str, object] = {
        "parent": f"{parent.model}/{parent.version}", "parent.digest": parent.digest or "",
        "way": wish.way, "seed": plan.seed, "plan": plan.digest, "rows left out":
        report.get("left_out", 0), "verdict": report.get("verdict", ""),
        **{f"rows.{name}": f"{one.dataset.name}/{one.row.version}" for name, one in held.items()},
        **{f"hardening.{name}": value for name, value in made.record.items()},
    }  # fmt: skip
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in found.items()
    }
