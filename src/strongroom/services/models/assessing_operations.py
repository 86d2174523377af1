"""Verbs of assessments: the plans, an attack on a version, what came of it."""

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.engines.robustness.assessment import document
from strongroom.engines.robustness.assessment.page import report_page
from strongroom.engines.robustness.assessment.plan import MAX_CHARACTERS, parse_plan
from strongroom.engines.robustness.assessment.running import Report, Verdict
from strongroom.errors import ConflictError, NotFoundError, StateError, TamperedError
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
from strongroom.services.data.catalog import Catalog, Held
from strongroom.services.jobs.queue import Jobs
from strongroom.services.models.assessed import same_rows
from strongroom.services.models.assessing import JOB_KIND, WISH_KIND, Assessor, Wish
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
from strongroom.services.models.assessment_plans import AssessmentPlans, WorkspacePlan
from strongroom.services.models.assessment_standing import SignedAssessment, standing
from strongroom.services.models.decisions import Decisions
from strongroom.services.models.parts import VERSION_ROUTE, may_read, version_entity
from strongroom.services.models.registry import Registry
from strongroom.services.models.statements import ModelKeys
from strongroom.services.models.tables import ModelAssessmentRow, ModelEntryRow
from strongroom.services.models.types import ModelState
from strongroom.services.models.verifying import Verifier
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database
from strongroom.vault.keys import Keyring

MAX_UNDER_WAY = 2
"""Assessments of the server that are queued or run: they take minutes, and checks must go on beside
them."""


def _model_entity(_room: object, _session: Session, request: ListAssessments) -> Entity:
    attributes = {"model": request.name}
    return Entity("Model", f"{request.workspace}/{request.name}", request.workspace, attributes)


class AssessingOperations:
    """The room of assessments, over the catalog of datasets and the registry of models."""

    def __init__(
        self, database: Database, blobs: BlobStore, keyring: Keyring, jobs: Jobs, log: Recorder,
        settings: Settings, *, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """Take what the room works with; `clock` gives seconds since 1970, UTC."""

        def now() -> datetime:
            return datetime.fromtimestamp(clock(), UTC)

        self._now = now
        self._blobs = blobs
        self._jobs = jobs
        self._catalog = Catalog(blobs, keyring)
        self._registry = Registry(blobs, keyring, jobs, now)
        self._keys = ModelKeys(keyring)
        self._decisions = Decisions(keyring, self._keys)
        self._plans = AssessmentPlans(keyring)
        verifier = Verifier(database, blobs, self._registry, self._keys, log, now)
        assessor = Assessor(
            blobs, keyring, self._catalog, self._registry, verifier, self._decisions, log,
            settings, now,
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

        Every workspace has one of kind `robustness` from the start.
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
            for name, _ in tables.values():
                about = Entity("Dataset", f"{request.workspace}/{name}", request.workspace)
                call.require("trainModel", about)
            held = {
                place: self._catalog.find(session, request.workspace, name, version)
                for place, (name, version) in tables.items()
            }
            require_unseen(held)
            plan = self._plans.of(session, request.workspace, request.kind).plan
        wish = Wish(
            plan.text, {place: (one.dataset.id, one.row.version) for place, one in held.items()}
        )
        with (
            self._blobs.put(request.workspace, WISH_KIND, [wish.to_bytes()]) as staged,
            call.transaction() as session,
        ):
            entry = self._registry.find(session, request.workspace, request.name, request.version)
            self._require_assessable(session, entry)
            self._require_room(session, entry, request.kind)
            row = ModelAssessmentRow(
                id=f"asm_{secrets.token_hex(12)}", entry=entry.id, kind=request.kind,
                state=AssessmentState.QUEUED, wish=self._blobs.commit(session, staged).id, job="",
                asked_by=call.principal.id, asked_at=self._now(),
            )  # fmt: skip
            row.job = self._jobs.enqueue(
                session, JOB_KIND, {"assessment": row.id}, request.workspace, call.principal.id
            )
            session.add(row)
            session.flush()
            call.note(
                kind=request.kind, plan=plan.digest, job=row.job, assessment=row.id,
                rows=", ".join(f"{one.dataset.name}/{one.row.version}" for one in held.values()),
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
            signed = [
                one for one in standing(session, self._decisions, self._keys, entry)
                if one.kind == request.kind
            ]  # fmt: skip
            row = session.get(ModelAssessmentRow, signed[-1].id) if signed else None
            if row is None or row.report is None:
                raise NotFoundError(
                    f"there is no report of kind `{request.kind}` on version {entry.version} of "
                    f"`{entry.model}`",
                    next_step="ask for one with `strongroom model assess`",
                )
            with self._blobs.open(session, row.report) as reader:
                content = b"".join(reader.chunks())
        if not signed[-1].is_report(content):
            raise TamperedError("the report is not the one that was signed")
        call.note(kind=request.kind, verdict=row.verdict, assessment=row.id)
        if request.form == "json":
            return Stream("application/json", iter([content]), "assessment.json")
        name = f"{entry.model} {entry.version}"
        made = f"Assessed at {row.ended_at:%Y-%m-%d %H:%M} UTC under the plan {request.kind}."
        page = report_page(_report(json.loads(content)), model=name, made=made).encode()
        return Stream("text/html; charset=utf-8", iter([page]), "assessment.html")

    def _require_assessable(self, session: Session, entry: ModelEntryRow) -> None:
        if entry.deleted_at is not None or entry.state not in {
            ModelState.CHECKED, ModelState.APPROVED,
        }:  # fmt: skip
            raise StateError(
                f"version {entry.version} of `{entry.model}` is {entry.state}",
                next_step="wait until it is checked, or assess another version",
            )
        self._registry.require_current(session, entry)

    def _require_room(self, session: Session, entry: ModelEntryRow, kind: str) -> None:
        waiting = session.execute(
            select(ModelAssessmentRow.entry, ModelAssessmentRow.kind).where(
                ModelAssessmentRow.state == AssessmentState.QUEUED
            )
        ).all()
        if (entry.id, kind) in {(one.entry, one.kind) for one in waiting}:
            raise ConflictError(f"an assessment of kind `{kind}` is under way on this version")
        if len(waiting) >= MAX_UNDER_WAY:
            raise ConflictError(
                f"{MAX_UNDER_WAY} assessments are under way on this server",
                next_step="ask again when one has ended: `strongroom model assessments`",
            )

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


def require_unseen(held: Mapping[str, Held]) -> None:
    """Return unless the held-out rows are the very rows trained on, under whatever name.

    Args:
        held: `trained`, and perhaps `held_out` → dataset.
    Raises: ValidationError.
    """
    if "held_out" in held and held["held_out"].record.digest == held["trained"].record.digest:
        raise same_rows()


def _report(found: dict[str, Any]) -> Report:
    """A report as it was, from its JSON."""
    plan = parse_plan(found["plan"]["text"])
    kept = json.dumps({"version": document.VERSION, "tests": found["tests"]}).encode()
    ran = tuple(document.resumed(kept).values())
    return Report(plan, ran, Verdict(found["verdict"]), tuple(found["remarks"]))


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
