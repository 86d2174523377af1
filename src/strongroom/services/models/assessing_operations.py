"""Verbs of assessments: the plans, an attack on a version, what came of it."""

import json
import time
from collections.abc import Callable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.engines.robustness.assessment.page import report_page
from strongroom.engines.robustness.assessment.plan import MAX_CHARACTERS
from strongroom.errors import TamperedError
from strongroom.gate.access.types import Entity
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import (
    Body,
    Command,
    Limits,
    Route,
    Stream,
    in_workspace,
    operation,
)
from strongroom.gate.operation import Call
from strongroom.gate.undecided import Recorder
from strongroom.services.data.bodies import text_of
from strongroom.services.jobs.queue import Jobs
from strongroom.services.models.assessing import JOB_KIND, Assessor, Wish
from strongroom.services.models.assessing_parts import AssessingParts, report_from, rows_named
from strongroom.services.models.assessing_types import (
    HARDENING,
    Assessment,
    Assessments,
    AssessmentState,
    AssessModel,
    ListAssessments,
    PlanShown,
    SetPlan,
    ShowAssessment,
    ShowPlan,
)
from strongroom.services.models.assessment_plans import WorkspacePlan
from strongroom.services.models.assessment_standing import SignedAssessment, standing
from strongroom.services.models.parts import VERSION_ROUTE, may_read, version_entity
from strongroom.services.models.sealed_wishes import WISH_KIND
from strongroom.services.models.tables import ModelAssessmentRow, ModelEntryRow
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database
from strongroom.vault.keys import Keyring


def _model_entity(_room: object, _session: Session, request: ListAssessments) -> Entity:
    attributes = {"model": request.name}
    return Entity("Model", f"{request.workspace}/{request.name}", request.workspace, attributes)


class AssessingOperations(AssessingParts):
    """The room of assessments, over the catalog of datasets and the registry of models."""

    def __init__(
        self, database: Database, blobs: BlobStore, keyring: Keyring, jobs: Jobs, log: Recorder,
        settings: Settings, *, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """Take what the room works with; `clock` gives seconds since 1970, UTC."""
        super().__init__(database, blobs, keyring, jobs, log, clock=clock)
        assessor = Assessor(
            blobs, keyring, self._catalog, self._registry, self._verifier, self._decisions, log,
            settings, self._now,
        )  # fmt: skip
        jobs.register_kind(JOB_KIND, assessor.assess, assessor.give_up)

    def rewrap(self, session: Session, workspace: str) -> int:
        """After a rotation: bring the plans to the newest key; how many changed."""
        return self._plans.rewrap(session, workspace)

    @operation(
        "model.plan",
        action="readModel",
        resource=in_workspace,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/assessment-plans/{kind}"),
        command=Command("model plan", positional=("kind",)),
    )
    def plan(self, call: Call, request: ShowPlan) -> Stream:
        """Print the plan of a kind of assessment, as TOML: tests, gates, what attackers may change.

        Every workspace has one of kind `robustness` from the start, and one of kind `poisoning`.
        """
        with call.reading() as session:
            held = self._plans.of(session, request.workspace, request.kind)
        call.note(plan=held.plan.digest)
        headers = {"Strongroom-Digest": held.plan.digest, "Strongroom-Set-By": held.set_by or ""}
        text = held.plan.text.encode()
        return Stream("text/plain; charset=utf-8", iter([text]), "plan.toml", headers)

    @operation(
        "model.set_plan",
        action="setModelPolicy",
        resource=in_workspace,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", "/workspaces/{workspace}/assessment-plans/{kind}"),
        command=Command("model set-plan", positional=("kind",), body="file"),
        body=Body.STREAM,
        limits=Limits(body_bytes=MAX_CHARACTERS),
    )
    def set_plan(self, call: Call, request: SetPlan) -> PlanShown:
        """Set the plan of a kind of assessment: which tests, which gates, what may change.

        The body is TOML, as docs/robustness.md describes it and `strongroom attack --draft-plan`
        writes it. It holds for assessments from then on; those under another plan meet no rule
        of promotion any more.
        """
        text = text_of(call, MAX_CHARACTERS, "plan")
        with call.transaction() as session:
            held = self._plans.set(
                session, request.workspace, request.kind, text,
                by=call.principal.id, now=self._now(),
            )  # fmt: skip
            call.note(kind=request.kind, plan=held.plan.digest)
        return _plan_shown(request.kind, held)

    @operation(
        "model.assess",
        action="assessModel",
        resource=version_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", VERSION_ROUTE + "/assess"),
        command=Command("model assess", positional=("name", "version")),
        limits=Limits(per_minute=10),
    )
    def assess(self, call: Call, request: AssessModel) -> Assessment:
        """Attack a version under the plan that is in force, as a job.

        Needs the right to train on the datasets too: their rows are read in the sandbox, and only
        figures and pseudonyms come out. What it finds is signed; rules of promotion look at it.
        """
        tables = {"trained": (request.dataset, request.dataset_version)}
        if request.held_out:
            tables["held_out"] = (request.held_out, request.held_out_version)
        with call.reading() as session:
            held = self._datasets(call, session, request.workspace, tables)
            plan = self._plans.of(session, request.workspace, request.kind).plan
        wish = Wish(
            plan.text, {place: (one.dataset.id, one.row.version) for place, one in held.items()}
        )
        with (
            self._blobs.put(request.workspace, WISH_KIND, [wish.to_bytes()]) as staged,
            call.transaction() as session,
        ):
            entry = self._registry.find(session, request.workspace, request.name, request.version)
            self._require_attackable(session, entry, "assess")
            row = self._queued(
                session, call, entry, request.kind, staged, (JOB_KIND, "assessment", "asm")
            )
            call.note(
                kind=request.kind, plan=plan.digest, job=row.job, assessment=row.id,
                rows=rows_named(held),
            )  # fmt: skip
            return _shown(entry, row, counts=False)

    @operation(
        "model.assessments",
        action="readModel",
        resource=_model_entity,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/models/{name}/assessments"),
        command=Command("model assessments", positional=("name",)),
    )
    def assessments(self, call: Call, request: ListAssessments) -> Assessments:
        """List the assessments of a model: how they ended, and which of them rules look at."""
        with call.reading() as session:
            found = session.execute(
                select(ModelEntryRow, ModelAssessmentRow)
                .join(ModelAssessmentRow, ModelAssessmentRow.entry == ModelEntryRow.id)
                .where(
                    ModelEntryRow.workspace == request.workspace,
                    ModelEntryRow.model == request.name,
                )
                .order_by(ModelAssessmentRow.asked_at.desc())
                .limit(request.limit)
            ).all()
            signed = {entry.id: self._signed(session, entry) for entry, _ in found}
            return Assessments(
                assessments=[
                    _as_signed(
                        _shown(
                            entry, row, counts=self._counts(session, entry, row, signed[entry.id])
                        ),
                        signed[entry.id],
                    )
                    for entry, row in found
                    if may_read(call, entry)
                ]
            )

    @operation(
        "model.assessment",
        action="readAssessment",
        resource=version_entity,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", VERSION_ROUTE + "/assessment"),
        command=Command("model assessment", positional=("name", "version")),
    )
    def assessment(self, call: Call, request: ShowAssessment) -> Stream:
        """Give the report of a version's newest assessment of a kind, as JSON or as a page.

        It is compared with the signed digest before it leaves. It names the people whose rows are
        most exposed by pseudonyms, which stay the same within a workspace.
        """
        with call.reading() as session:
            entry = self._registry.find(session, request.workspace, request.name, request.version)
            _, row, content = self._signed_report(session, entry, request.kind)
        call.note(kind=request.kind, verdict=row.verdict, assessment=row.id)
        if request.form == "json":
            return Stream("application/json", iter([content]), "assessment.json")
        name = f"{entry.model} {entry.version}"
        made = f"Assessed at {row.ended_at:%Y-%m-%d %H:%M} UTC under the plan {request.kind}."
        page = report_page(report_from(json.loads(content)), model=name, made=made).encode()
        return Stream("text/html; charset=utf-8", iter([page]), "assessment.html")

    def _signed(self, session: Session, entry: ModelEntryRow) -> list[SignedAssessment]:
        """What was signed of a version; nothing where that is not as it was left."""
        try:
            return standing(session, self._decisions, self._keys, entry)
        except TamperedError:
            return []

    def _counts(
        self, session: Session, entry: ModelEntryRow, row: ModelAssessmentRow,
        signed: Sequence[SignedAssessment],
    ) -> bool:  # fmt: skip
        if row.state != AssessmentState.DONE or row.kind == HARDENING:
            return False
        try:
            plan = self._plans.of(session, entry.workspace, row.kind).plan.digest
        except TamperedError:
            return False
        of_kind = [one for one in signed if one.kind == row.kind and one.plan == plan]
        return bool(of_kind) and of_kind[-1].id == row.id


def _shown(entry: ModelEntryRow, row: ModelAssessmentRow, *, counts: bool) -> Assessment:
    return Assessment(
        id=row.id, name=entry.model, version=entry.version, kind=row.kind,
        state=AssessmentState(row.state), verdict=row.verdict or "", reason=row.reason or "",
        job=row.job, asked_by=row.asked_by, asked_at=row.asked_at, ended_at=row.ended_at,
        counts=counts,
    )  # fmt: skip


def _as_signed(shown: Assessment, signed: Sequence[SignedAssessment]) -> Assessment:
    """With the verdict that was signed: who writes to the database changes none that is shown."""
    if shown.state is not AssessmentState.DONE or shown.kind == HARDENING:
        return shown
    for one in signed:
        if one.id == shown.id:
            return shown.model_copy(update={"verdict": one.verdict.value})
    reason = "no signed verdict on these files stands behind it"
    return shown.model_copy(update={"verdict": "", "reason": reason})


def _plan_shown(kind: str, held: WorkspacePlan) -> PlanShown:
    return PlanShown(
        kind=kind, digest=held.plan.digest, set_by=held.set_by, set_at=held.set_at,
        text=held.plan.text,
    )  # fmt: skip
