"""The job that assesses a version: its model in one sandbox, the tests in another, rows between.

The plan was fixed when the job was asked for. What a kill leaves: tests that have run are kept
after each one, and the shadow models of one after each fit, so the next try goes on with what was
under way; the verdict is signed and
put on the record in one transaction, once.
"""

import hmac
import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any

import pyarrow as pa
from sqlalchemy.orm import Session

from strongroom.engines.crypto.dsse import Statement, Subject
from strongroom.engines.privacy.discover.sampling import RowSampler
from strongroom.engines.robustness.assessment import document
from strongroom.engines.robustness.assessment.keeping import MAX_BYTES, kept_from
from strongroom.engines.robustness.assessment.plan import Plan, parse_plan
from strongroom.engines.robustness.assessment.running import Report, Verdict
from strongroom.errors import (
    NotFoundError,
    SandboxError,
    StateError,
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
from strongroom.services.models.assessing_types import AssessmentState
from strongroom.services.models.between_sandboxes import answered, pour, show_files
from strongroom.services.models.claims import claimed_privacy
from strongroom.services.models.confined_assessment import PSEUDONYM
from strongroom.services.models.decisions import Decisions
from strongroom.services.models.files import ModelFiles
from strongroom.services.models.leak_scanning import scanned
from strongroom.services.models.registry import Registry
from strongroom.services.models.tables import ModelAssessmentRow, ModelEntryRow
from strongroom.services.models.types import Decision, ModelState
from strongroom.services.models.verifying import Verifier
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.encrypted_tables import read_schema, read_table
from strongroom.vault.keys import Keyring

JOB_KIND = "models.assess"
ASSESSMENT_TYPE = "urn:strongroom:model-assessment:v1"
"""Of the signed statement of what an assessment found."""
WISH_KIND = "assessment-wish"
REPORT_KIND = "assessment-report"
MAX_ROWS = 20_000
"""Of each table; more are sampled, by the seed of the plan."""
_TESTS = "strongroom.services.models.confined_assessment:start"
_MODEL = "strongroom.services.models.confined_subject:start"
_LONGEST_SECONDS = 1_800.0
"""Of one question to the model, or one step of the tests."""
_WALL_FOR_CPU = 4.0
_WALL_SECONDS = 600.0
"""What all may take on the clock: so many times the plan's minutes of processor time, and this. A
model that sleeps takes no processor time."""
_SHARE_OF_MEMORY = 32
"""The rows of one table may take this part of the sandbox's memory; wider ones have fewer rows."""
_SHARE_OF_MODEL = 4
"""The model's files, which are held in memory, may take this part of the sandbox's."""
_FEWEST_ROWS = 500
_CELL_BYTES = 16
_ASSESSABLE = (ModelState.CHECKED, ModelState.APPROVED)


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for, as it lies sealed until the job has ended.

    Attributes:
        plan: its text.
        tables: `trained` and `held_out` → id of the dataset and number of its version.
    """

    plan: str
    tables: Mapping[str, tuple[str, int]]

    def to_bytes(self) -> bytes:
        """As JSON."""
        return json.dumps({"plan": self.plan, "tables": dict(self.tables)}).encode()


class Assessor:
    """Does the jobs of kind `models.assess`."""

    def __init__(
        self, blobs: BlobStore, keyring: Keyring, catalog: Catalog, registry: Registry,
        verifier: Verifier, decisions: Decisions, log: Recorder, settings: Settings,
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._blobs = blobs
        self._pseudonyms = keyring.secret("pseudonyms of assessments")
        self._catalog = catalog
        self._registry = registry
        self._verifier = verifier
        self._decisions = decisions
        self._log = log
        self._now = now
        self._required = sandbox.required_layers(settings.sandbox_required_layers)
        self._limits = sandbox.Limits(
            memory_bytes=settings.sandbox_memory_bytes, wall_seconds=_LONGEST_SECONDS,
            output_bytes=MAX_BYTES + (1 << 20),
        )  # fmt: skip
        self._most_model_bytes = settings.sandbox_memory_bytes // _SHARE_OF_MODEL
        self._most_bytes = settings.sandbox_memory_bytes // _SHARE_OF_MEMORY

    def assess(self, context: JobContext, payload: dict[str, Any]) -> Mapping[str, Any]:
        """Assess one version; an assessment that has ended is left as it is."""
        with context.database.read() as session:
            row = session.get(ModelAssessmentRow, str(payload["assessment"]))
            if row is None:
                raise NotFoundError("the assessment of this job is gone")
            if row.state != AssessmentState.QUEUED:
                return {"verdict": row.verdict}
            entry = session.get_one(ModelEntryRow, row.entry)
            self._require_assessable(session, entry)
            wish = self._wish(session, row)
            held = {
                name: self._held(session, entry.workspace, *which)
                for name, which in wish.tables.items()
            }
            kept = self._small(session, row.kept) if row.kept else None
            facts = self._registry.facts(session, entry)
        context.progress("verifying")
        self._verifier.verify(entry.workspace, entry.model, entry.version)
        plan = parse_plan(wish.plan)
        with context.database.read() as session:
            files = self._registry.files(session, entry.id)
        with ModelFiles(context.database, self._blobs, files) as opened:
            if (size := opened.total_bytes()) > self._most_model_bytes:
                raise TooLargeError(
                    f"the model has {size:,} bytes; {self._most_model_bytes:,} can be assessed",
                    next_step="attack it where it lies, with `strongroom attack`, or ask for more "
                    "memory",
                )
            contents = opened.contents()
        context.progress("loading the model")
        model = sandbox.Worker(
            _MODEL, {}, files_in=contents, limits=self._limits, required=self._required
        )
        try:
            openers = [(name, partial(io.BytesIO, data)) for name, data in contents.items()]
            argument = {
                "plan": wish.plan, "scanned": asdict(scanned(openers)),
                **claimed_privacy(facts, contents),
            }  # fmt: skip
            tests = sandbox.Worker(_TESTS, argument, limits=self._limits, required=self._required)
            try:
                show_files(tests, contents)
                del contents, openers
                for name, which in held.items():
                    context.progress(f"reading the rows: {name}")
                    pour(tests, name, self._sampled(context, which, plan))
                if kept is not None:
                    tests.request({"do": "kept"}, kept)
                report = self._run(context, row.id, plan, tests, model)
            finally:
                tests.stop()
        finally:
            model.stop()
        context.progress("signing")
        return self._conclude(context, row.id, report, held)

    def give_up(self, session: Session, _job: str, payload: dict[str, Any], why: str) -> None:
        """The job ended undone: say so, and let go of what it held."""
        row = session.get(ModelAssessmentRow, str(payload["assessment"]))
        if row is not None and row.state == AssessmentState.QUEUED:
            row.state, row.reason, row.ended_at = AssessmentState.BROKEN, why[:500], self._now()
            self._let_go(session, row)

    # ---- what it works with ----

    def _require_assessable(self, session: Session, entry: ModelEntryRow) -> None:
        if entry.state not in _ASSESSABLE or entry.deleted_at is not None:
            raise StateError(f"version {entry.version} of `{entry.model}` is {entry.state}")
        self._registry.require_current(session, entry)

    def _wish(self, session: Session, row: ModelAssessmentRow) -> Wish:
        if row.wish is None:
            raise NotFoundError("what was asked of the assessment is gone")
        found = json.loads(self._small(session, row.wish))
        tables = {name: (str(one[0]), int(one[1])) for name, one in found["tables"].items()}
        return Wish(str(found["plan"]), tables)

    def _small(self, session: Session, blob: str) -> bytes:
        with self._blobs.open(session, blob) as reader:
            return b"".join(reader.chunks())

    def _held(self, session: Session, workspace: str, dataset: str, version: int) -> Held:
        row = session.get(DatasetRow, dataset)
        if row is None:
            raise NotFoundError("the dataset of this assessment is gone")
        return self._catalog.find(session, workspace, row.name, version)

    def _sampled(self, context: JobContext, held: Held, plan: Plan) -> pa.Table:
        """Rows of a dataset, at most `MAX_ROWS`, with pseudonyms for people."""
        subject = held.record.subject_column
        with context.database.read() as session:
            schema, _ = read_schema(self._blobs, session, held.row.blob)
            left_out = {one for one in plan.columns.left_out if one != subject}
            wanted = [name for name in schema.names if name not in left_out]
            most = self._most_bytes // (_CELL_BYTES * max(len(wanted), 1))
            most = max(min(most, MAX_ROWS), _FEWEST_ROWS)
            sampler: RowSampler | None = None
            for batch in read_table(self._blobs, session, held.row.blob, wanted):
                named = self.named(batch, subject, held.dataset.workspace)
                sampler = sampler or RowSampler(named.schema, plan.seed, most)
                sampler.add(named)
        if sampler is None:
            raise ValidationError(f"the dataset `{held.dataset.name}` has no rows")
        return sampler.table()

    def named(self, batch: pa.RecordBatch, subject: str, workspace: str) -> pa.RecordBatch:
        """Without the column that says whom a row is about: a keyed hash stands for it."""
        if not subject or subject not in batch.schema.names:
            return batch
        at = batch.schema.names.index(subject)
        people = [self._pseudonym(workspace, one) for one in batch.column(at).to_pylist()]
        arrays = [column for place, column in enumerate(batch.columns) if place != at]
        names = [name for name in batch.schema.names if name != subject]
        return pa.RecordBatch.from_arrays([*arrays, pa.array(people)], [*names, PSEUDONYM])

    def _pseudonym(self, workspace: str, person: object) -> str:
        message = f"{workspace}\0{person}".encode()
        return "p-" + hmac.digest(self._pseudonyms, message, sha256).hex()[:12]

    # ---- the tests ----

    def _run(
        self, context: JobContext, assessment: str, plan: Plan, tests: sandbox.Worker,
        model: sandbox.Worker,
    ) -> Report:  # fmt: skip
        """Carry questions and answers between the two until the last answer."""
        deadline = time.monotonic() + 60 * plan.minutes * _WALL_FOR_CPU + _WALL_SECONDS
        head, body = tests.request({"do": "go"}, seconds=_left(deadline))
        while True:
            if "ask" in head:
                asked = head["ask"]
                if not isinstance(asked, dict):
                    raise SandboxError("the tests asked out of shape")
                told, content = answered(model, asked, body, _left(deadline))
                head, body = tests.request(told, content, seconds=_left(deadline))
            elif "verdict" in head or "failed" in head:
                return _report(plan, head, body)
            else:
                if "kept" in head:
                    self._keep(context, assessment, body)
                context.progress(_told(head))
                head, body = tests.request({"do": "next"}, seconds=_left(deadline))

    def _keep(self, context: JobContext, assessment: str, kept: bytes) -> None:
        kept_from(kept)  # what cannot be read again is not kept
        with context.database.read() as session:
            workspace = session.get_one(
                ModelEntryRow, session.get_one(ModelAssessmentRow, assessment).entry
            ).workspace
        with (
            self._blobs.put(workspace, WISH_KIND, [kept]) as staged,
            context.database.write() as session,
        ):
            row = session.get_one(ModelAssessmentRow, assessment)
            before, row.kept = row.kept, self._blobs.commit(session, staged).id
            if before:
                self._blobs.delete(session, before)

    # ---- the end ----

    def _conclude(
        self, context: JobContext, assessment: str, report: Report, held: Mapping[str, Held]
    ) -> dict[str, Any]:
        content = json.dumps(document.report_json(report), ensure_ascii=False).encode()
        at = self._now()
        with context.database.read() as session:
            entry = session.get_one(
                ModelEntryRow, session.get_one(ModelAssessmentRow, assessment).entry
            )
        with (
            self._blobs.put(entry.workspace, REPORT_KIND, [content]) as staged,
            context.database.write() as session,
        ):
            row = session.get_one(ModelAssessmentRow, assessment)
            entry = session.get_one(ModelEntryRow, row.entry)
            if row.state != AssessmentState.QUEUED:
                return {"verdict": row.verdict}
            self._require_assessable(session, entry)
            row.report = self._blobs.commit(session, staged).id
            row.state, row.verdict, row.ended_at = AssessmentState.DONE, report.verdict.value, at
            about = assessment_statement(entry, row, report, content, at, held)
            self._decisions.add(
                session, entry, Decision.ASSESSED, about, by=row.asked_by, at=at,
                comment=f"{row.kind}: {report.verdict.value}",
            )  # fmt: skip
            self._let_go(session, row)
            self._record(session, context, entry, row, report)
        return {"verdict": report.verdict.value}

    def _let_go(self, session: Session, row: ModelAssessmentRow) -> None:
        for blob in (row.wish, row.kept):
            if blob:
                self._blobs.delete(session, blob)
        row.wish = row.kept = None

    def _record(
        self, session: Session, context: JobContext, entry: ModelEntryRow,
        row: ModelAssessmentRow, report: Report,
    ) -> None:  # fmt: skip
        self._log.append(session, Event(
            time=self._now().timestamp(),
            workspace=entry.workspace,
            actor_kind="job",
            actor=context.job_id,
            operation="model.assess",
            action="",
            resource_type="ModelVersion",
            resource=f"{entry.workspace}/{entry.model}/{entry.version}",
            audit_class=AuditClass.AI_OPERATION,
            request_id=new_request_id(),
            outcome=Outcome.ALLOWED,
            reason="",
            details={
                "kind": row.kind, "verdict": report.verdict.value, "plan": report.plan.digest,
                "digest": entry.digest, "assessment": row.id,
            },
        ))  # fmt: skip


def assessment_statement(
    entry: ModelEntryRow, row: ModelAssessmentRow, report: Report, content: bytes, at: datetime,
    held: Mapping[str, Held],
) -> Statement:  # fmt: skip
    """What an assessment claims of these bytes.

    The rows are named by the commitment of their dataset: who may not see its digest cannot test a
    guess of its content.
    """
    predicate: dict[str, object] = {
        "assessment": row.id,
        "kind": row.kind,
        "plan": report.plan.digest,
        "verdict": report.verdict.value,
        "report_sha256": sha256(content).hexdigest(),
        "assessed_at": at.isoformat(),
        "asked_by": row.asked_by,
        "seed": report.plan.seed,
        "tests": {
            one.test: "broke off" if one.status is None else one.status.value for one in report.ran
        },
        "rows": {
            name: {
                "dataset": one.dataset.name, "version": one.row.version,
                "commitment": one.commitment,
            } for name, one in held.items()
        },
    }  # fmt: skip
    name = f"{entry.workspace}/{entry.model}/{entry.version}"
    return Statement((Subject(name, entry.digest),), ASSESSMENT_TYPE, predicate)


def _left(deadline: float) -> float:
    """Seconds for the next request. Raises: ValidationError: none are left."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise ValidationError(
            "the assessment took far longer than the processor time of its plan",
            next_step="give the plan more minutes or fewer rows; one that sleeps gets no verdict",
        )
    return min(left, _LONGEST_SECONDS)


def _report(plan: Plan, head: Mapping[str, object], body: bytes) -> Report:
    """The last answer of the tests, checked."""
    if "failed" in head:
        raise ValidationError(
            str(head["failed"])[:500],
            next_step=str(head.get("next_step"))[:500] or "see docs/robustness.md",
        )
    remarks = head.get("remarks")
    try:
        verdict = Verdict(str(head["verdict"]))
        said = tuple(str(one)[:500] for one in remarks[:100]) if isinstance(remarks, list) else ()
    except ValueError:
        raise SandboxError("the tests answered out of shape") from None
    return Report(plan, tuple(document.resumed(body).values()), verdict, said)


def _told(head: Mapping[str, object]) -> str:
    if "share" in head:
        return f"{head.get('test')}: {float(str(head['share'])):.0%}"
    return f"tests done so far: {head.get('kept')}"
