"""The job that assesses a version: its model in one sandbox, the tests in another, rows between.

The plan was fixed when the job was asked for. What a kill leaves: tests that have run are kept
after each one, and the shadow models of one after each fit, so the next try goes on with what was
under way; the verdict is signed and put on the record in one transaction, once.
"""

import io
import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any

from sqlalchemy.orm import Session

from strongroom.engines.crypto.dsse import Statement, Subject
from strongroom.engines.robustness.assessment import document
from strongroom.engines.robustness.assessment.keeping import MAX_BYTES, kept_from
from strongroom.engines.robustness.assessment.plan import Plan, parse_plan
from strongroom.engines.robustness.assessment.running import Report, Verdict
from strongroom.errors import SandboxError
from strongroom.gate.undecided import Recorder
from strongroom.services.data.catalog import Catalog, Held
from strongroom.services.jobs import sandbox
from strongroom.services.jobs.trying import JobContext
from strongroom.services.models.assessing_types import AssessmentState
from strongroom.services.models.between_sandboxes import (
    Deadline,
    answered,
    pour,
    require_done,
    show_files,
)
from strongroom.services.models.claims import claimed_privacy
from strongroom.services.models.decisions import Decisions
from strongroom.services.models.job_parts import REPORT_KIND
from strongroom.services.models.leak_scanning import scanned
from strongroom.services.models.registry import Registry
from strongroom.services.models.subjects import MAX_CLASSES, MAX_NAME
from strongroom.services.models.tables import ModelAssessmentRow, ModelEntryRow
from strongroom.services.models.types import Decision
from strongroom.services.models.verifying import Verifier
from strongroom.services.models.version_jobs import MODEL_START, VersionJob
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.keys import Keyring

JOB_KIND = "models.assess"
ASSESSMENT_TYPE = "urn:strongroom:model-assessment:v1"
"""Of the signed statement of what an assessment found."""
TESTS_START = "strongroom.services.models.confined_assessment:start"
LONGEST_SECONDS = 1_800.0
"""Of one question to the model, or one step of the tests."""
_WALL_FOR_CPU = 4.0
_WALL_SECONDS = 600.0
"""What all may take on the clock: so many times the plan's minutes of processor time, and this. A
model that sleeps takes no processor time."""


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

    @classmethod
    def from_bytes(cls, data: bytes) -> "Wish":
        """As it was written."""
        found = json.loads(data)
        tables = {name: (str(one[0]), int(one[1])) for name, one in found["tables"].items()}
        return cls(str(found["plan"]), tables)


class Assessor(VersionJob):
    """Does the jobs of kind `models.assess`."""

    def __init__(
        self, blobs: BlobStore, keyring: Keyring, catalog: Catalog, registry: Registry,
        verifier: Verifier, decisions: Decisions, log: Recorder, settings: Settings,
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        super().__init__(
            blobs, keyring, catalog, registry, verifier, log, settings, now,
            longest_seconds=LONGEST_SECONDS, output_bytes=MAX_BYTES + (1 << 20),
        )  # fmt: skip
        self._decisions = decisions

    def assess(self, context: JobContext, payload: dict[str, Any]) -> Mapping[str, Any]:
        """Assess one version; an assessment that has ended is left as it is."""
        with context.database.read() as session:
            row = self._asked(session, payload["assessment"])
            if row.state != AssessmentState.QUEUED:
                return {"verdict": row.verdict}
            entry = session.get_one(ModelEntryRow, row.entry)
            self._require_attackable(session, entry)
            wish = Wish.from_bytes(self._wishes.wish(session, row))
            held = self._held(session, entry.workspace, wish.tables)
            kept = self._wishes.kept(session, row)
            facts = self._registry.facts(session, entry)
        context.progress("verifying")
        self._verifier.verify(entry.workspace, entry.model, entry.version)
        plan = parse_plan(wish.plan)
        contents = self._contents(
            context.database, entry, what="assessed", offline="strongroom attack"
        )
        openers = [(name, partial(io.BytesIO, data)) for name, data in contents.items()]
        argument = {
            "plan": wish.plan, "scanned": asdict(scanned(openers)),
            **claimed_privacy(facts, contents),
        }  # fmt: skip
        rows = self._rows(context.database)
        with ExitStack() as stack:
            context.progress("loading the model")
            model = self._begun(stack, MODEL_START, {}, contents)
            tests = self._begun(stack, TESTS_START, argument)
            show_files(tests, contents)
            del contents, openers
            for name, which in held.items():
                context.progress(f"reading the rows: {name}")
                pour(tests, rows.sampled(which, plan), name)
            if kept is not None:
                tests.request({"do": "kept"}, kept)
            keep = partial(self._keep_readable, context, row.id)
            report, _ = carry(plan, tests, model, context.progress, keep)
        context.progress("signing")
        return self._conclude(context, row.id, report, held)

    def give_up(self, session: Session, _job: str, payload: dict[str, Any], why: str) -> None:
        """The job ended undone: say so, and let go of what it held."""
        row = session.get(ModelAssessmentRow, str(payload["assessment"]))
        self._wishes.give_up(session, row, why)

    def _keep_readable(self, context: JobContext, assessment: str, kept: bytes) -> None:
        kept_from(kept)  # what cannot be read again is not kept
        self._keep(context, assessment, kept)

    # ---- the end ----

    def _conclude(
        self, context: JobContext, assessment: str, report: Report, held: Mapping[str, Held]
    ) -> dict[str, Any]:
        content = json.dumps(document.report_json(report), ensure_ascii=False).encode()
        at = self._now()
        with context.database.read() as session:
            entry = session.get_one(ModelEntryRow, self._asked(session, assessment).entry)
        with (
            self._blobs.put(entry.workspace, REPORT_KIND, [content]) as staged,
            context.database.write() as session,
        ):
            row = self._asked(session, assessment)
            entry = session.get_one(ModelEntryRow, row.entry)
            if row.state != AssessmentState.QUEUED:
                return {"verdict": row.verdict}
            self._require_attackable(session, entry)
            row.report = self._blobs.commit(session, staged).id
            statement = assessment_statement(entry, row, report, content, at, held)
            self._decisions.add(
                session, entry, Decision.ASSESSED, statement, by=row.asked_by, at=at,
                comment=f"{row.kind}: {report.verdict.value}",
            )  # fmt: skip
            self._wishes.end(session, row, report.verdict.value, at)
            about = ("ModelVersion", f"{entry.workspace}/{entry.model}/{entry.version}")
            self._record(session, context, "model.assess", about, {
                "kind": row.kind, "verdict": report.verdict.value, "plan": report.plan.digest,
                "digest": entry.digest, "assessment": row.id,
            })  # fmt: skip
        return {"verdict": report.verdict.value}


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


def carry(
    plan: Plan, tests: sandbox.Worker, model: sandbox.Worker | None,
    progress: Callable[[str], None], keep: Callable[[bytes], None],
) -> tuple[Report, tuple[str, ...]]:  # fmt: skip
    """Carry questions and answers between tests and model until the last answer.

    Args:
        model: None: there is none yet, and the tests ask none.
        progress: told how far they are.
        keep: is given what another try would need.
    Returns: the report, and the names of the classes: none of a regression.
    """
    deadline = Deadline(
        60 * plan.minutes * _WALL_FOR_CPU + _WALL_SECONDS, LONGEST_SECONDS,
        what="the assessment",
        next_step="give the plan more minutes or fewer rows; one that sleeps gets no verdict",
    )  # fmt: skip
    head, body = tests.request({"do": "go"}, seconds=deadline.left())
    while "verdict" not in head:
        require_done(head, "docs/robustness.md")
        told: dict[str, object] = {"do": "next"}
        content = b""
        if "ask" in head:
            told, content = answered(model, head["ask"], body, deadline.left())
        else:
            if "kept" in head:
                keep(body)
            progress(_told(head))
        head, body = tests.request(told, content, seconds=deadline.left())
    return _report(plan, head, body), _classes(head)


def _report(plan: Plan, head: Mapping[str, object], body: bytes) -> Report:
    """The last answer of the tests, checked."""
    remarks = head.get("remarks")
    try:
        verdict = Verdict(str(head["verdict"]))
        said = tuple(str(one)[:500] for one in remarks[:100]) if isinstance(remarks, list) else ()
    except ValueError:
        raise SandboxError("the tests answered out of shape") from None
    return Report(plan, tuple(document.resumed(body).values()), verdict, said)


def _classes(head: Mapping[str, object]) -> tuple[str, ...]:
    found = head.get("classes")
    if not isinstance(found, list) or len(found) > MAX_CLASSES:
        raise SandboxError("the tests answered out of shape")
    return tuple(str(one)[:MAX_NAME] for one in found)


def _told(head: Mapping[str, object]) -> str:
    if "share" in head:
        return f"{head.get('test')}: {float(str(head['share'])):.0%}"
    return f"tests done so far: {head.get('kept')}"
