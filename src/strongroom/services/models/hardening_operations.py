"""Verbs of hardening: train a version anew, what came of it, and the rows a person should judge."""

import json
import re
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.engines.robustness.assessment.plan import parse_plan
from strongroom.engines.robustness.hardening.page import hardening_page
from strongroom.engines.robustness.hardening.ways import Options
from strongroom.engines.robustness.hardening.weighing import weighed_from
from strongroom.engines.robustness.poisoning.quarantine_list import (
    MAX_CHARACTERS,
    left_out,
    merged,
    to_csv,
)
from strongroom.errors import (
    ConflictError,
    NotFoundError,
    StateError,
    TamperedError,
    ValidationError,
)
from strongroom.gate.access.types import Entity
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Body, Command, Limits, Route, Stream, operation
from strongroom.gate.operation import Call
from strongroom.gate.undecided import Recorder
from strongroom.services.data.bodies import text_of
from strongroom.services.data.catalog import Catalog, Held
from strongroom.services.jobs.queue import Jobs
from strongroom.services.models.assessing import WISH_KIND, Assessor
from strongroom.services.models.assessing_operations import MAX_UNDER_WAY, require_unseen
from strongroom.services.models.assessing_types import HARDENING, AssessmentState
from strongroom.services.models.assessment_plans import AssessmentPlans
from strongroom.services.models.assessment_standing import standing
from strongroom.services.models.decisions import Decisions
from strongroom.services.models.hardening_job import JOB_KIND, REPORT_DIGEST, Hardener
from strongroom.services.models.hardening_types import (
    Hardening,
    HardenModel,
    ShowHardening,
    ShowQuarantine,
    Wish,
)
from strongroom.services.models.parts import VERSION_ROUTE, version_entity
from strongroom.services.models.registry import Registry
from strongroom.services.models.statements import ModelKeys
from strongroom.services.models.tables import ModelAssessmentRow, ModelEntryRow
from strongroom.services.models.training import SOURCE
from strongroom.services.models.types import MODEL_NAME, ModelState
from strongroom.services.models.verifying import Verifier
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database
from strongroom.vault.keys import Keyring

_SUFFIX = "-hardened"


class HardeningOperations:
    """The room of hardening, over the catalog of datasets and the registry of models."""

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
        hardener = Hardener(
            blobs, assessor, self._catalog, self._registry, verifier, log, settings, now
        )
        jobs.register_kind(JOB_KIND, hardener.harden, hardener.give_up)

    @operation(
        "model.harden",
        action="assessModel",
        resource=version_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", VERSION_ROUTE + "/harden"),
        command=Command("model harden", positional=("name", "version")),
        limits=Limits(per_minute=10),
    )
    def harden(self, call: Call, request: HardenModel) -> Hardening:
        """Train a version anew so that attacks gain less, and compare before and after, as a job.

        Needs the right to train on the datasets too. The new version is registered quarantined like
        any other, with its parent, way, seed, data and plan in its provenance; nothing is promoted.
        Rounding is an endpoint's (`endpoint create --decimals`); training with privacy is `model
        train`, which pays from the dataset's budget.
        """
        return self._ask(call, request, "")

    @operation(
        "model.harden_without",
        action="assessModel",
        resource=version_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", VERSION_ROUTE + "/harden-without"),
        command=Command("model harden-without", positional=("name", "version"), body="list"),
        body=Body.STREAM,
        limits=Limits(body_bytes=MAX_CHARACTERS, per_minute=10),
    )
    def harden_without(self, call: Call, request: HardenModel) -> Hardening:
        """Train a version anew without the rows of a quarantine list, and compare it as a job.

        The body is the list that `model quarantine` gave, after a person has judged each row in it.
        """
        return self._ask(call, request, text_of(call, MAX_CHARACTERS, "quarantine list"))

    @operation(
        "model.hardening",
        action="readAssessment",
        resource=version_entity,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", VERSION_ROUTE + "/hardening"),
        command=Command("model hardening", positional=("name", "version")),
    )
    def hardening(self, call: Call, request: ShowHardening) -> Stream:
        """Give the report before and after of a version that came of a hardening.

        It holds both assessments, and names people by pseudonyms as they do.
        """
        with call.reading() as session:
            entry = self._registry.find(session, request.workspace, request.name, request.version)
            row = session.scalars(
                select(ModelAssessmentRow).where(
                    ModelAssessmentRow.entry == entry.id, ModelAssessmentRow.kind == HARDENING,
                    ModelAssessmentRow.state == AssessmentState.DONE,
                )
            ).first()  # fmt: skip
            if row is None or row.report is None:
                raise NotFoundError(
                    f"version {entry.version} of `{entry.model}` did not come of a hardening"
                )
            with self._blobs.open(session, row.report) as reader:
                content = b"".join(reader.chunks())
            parameters = self._registry.facts(session, entry).get("parameters", {})
        if parameters.get(REPORT_DIGEST) != sha256(content).hexdigest():
            raise TamperedError("the report is not the one that came with this version")
        call.note(hardening=row.id, verdict=row.verdict)
        if request.form == "json":
            return Stream("application/json", iter([content]), "hardening.json")
        found = json.loads(content)
        page = hardening_page(
            weighed_from(found["ways"]), parse_plan(found["before"]["plan"]["text"]),
            model=f"{entry.model} {entry.version}", left_out=int(found["left_out"]),
            made=f"Made at {row.ended_at:%Y-%m-%d %H:%M} UTC.",
            remarks=[str(one) for one in found["before"]["remarks"]],
        )  # fmt: skip
        return Stream("text/html; charset=utf-8", iter([page.encode()]), "hardening.html")

    @operation(
        "model.quarantine",
        action="readAssessment",
        resource=version_entity,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", VERSION_ROUTE + "/quarantine"),
        command=Command("model quarantine", positional=("name", "version")),
    )
    def quarantine(self, call: Call, request: ShowQuarantine) -> Stream:
        """Give the training rows that the newest assessment found suspect, as CSV to edit.

        Needs the right to train on the dataset too. Rows are named by number and pseudonym; with
        `no` in the column `leave out` of those that are right it goes to `model harden-without`.
        """
        with call.reading() as session:
            entry = self._registry.find(session, request.workspace, request.name, request.version)
            report = self._signed_report(session, entry, request.kind)
            held = self._trained_on(call, session, entry, report["assessment"])
        lists = [
            one
            for test in report["tests"]
            if test["test"].startswith("poisoning.") and test["outcome"]
            for one in test["outcome"]["listed"].get("quarantine", ())
        ]
        call.note(kind=request.kind, rows=len(lists))
        return Stream("text/csv", iter([to_csv(merged(lists), held.commitment)]), "quarantine.csv")

    # ---- asking ----

    def _ask(self, call: Call, request: HardenModel, quarantine: str) -> Hardening:
        tables = {
            "trained": (request.dataset, request.dataset_version),
            "held_out": (request.held_out, request.held_out_version),
        }
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
            into = self._into(session, request)
            call.require(
                "registerModel",
                Entity("Model", f"{request.workspace}/{into}", request.workspace, {"model": into}),
            )
        if not plan.columns.label:
            raise ValidationError(
                "the plan does not say which column is the label",
                next_step=f"set it with `strongroom model set-plan {request.kind} FILE`",
            )
        trained = held["trained"]
        removed = 0
        if quarantine:
            removed = int(left_out(quarantine, trained.row.rows, trained.commitment).sum())
        dropped = tuple(one.strip() for one in request.drop.split(",") if one.strip())
        wish = Wish(
            plan.text, request.way, request.recipe, into, request.control,
            {place: (one.dataset.id, one.row.version) for place, one in held.items()},
            Options(request.radius, request.rounds, dropped), quarantine,
        )  # fmt: skip
        with (
            self._blobs.put(request.workspace, WISH_KIND, [wish.to_bytes()]) as staged,
            call.transaction() as session,
        ):
            entry = self._registry.find(session, request.workspace, request.name, request.version)
            self._require_hardenable(session, entry)
            row = ModelAssessmentRow(
                id=f"hrd_{secrets.token_hex(12)}", entry=entry.id, kind=HARDENING,
                state=AssessmentState.QUEUED, wish=self._blobs.commit(session, staged).id, job="",
                asked_by=call.principal.id, asked_at=self._now(),
            )  # fmt: skip
            row.job = self._jobs.enqueue(
                session, JOB_KIND, {"hardening": row.id}, request.workspace, call.principal.id
            )
            session.add(row)
            session.flush()
            call.note(
                kind=request.kind, plan=plan.digest, job=row.job, hardening=row.id,
                way=request.way, into=into, left_out=removed,
                rows=", ".join(f"{one.dataset.name}/{one.row.version}" for one in held.values()),
            )  # fmt: skip
            return Hardening(
                id=row.id, parent=f"{entry.model}/{entry.version}", into=into, way=request.way,
                kind=request.kind, left_out=removed, job=row.job, asked_at=row.asked_at,
            )  # fmt: skip

    def _into(self, session: Session, request: HardenModel) -> str:
        """The model that gets the new version.

        A tracking server counts the versions of its models itself: theirs are left to it.
        """
        name = request.into
        if not name:
            own = self._is_own(session, request.workspace, request.name)
            name = request.name if own else f"{request.name}{_SUFFIX}"
        if not re.fullmatch(MODEL_NAME, name):
            raise ValidationError(
                "a model's name has 1 to 256 characters and no slash, colon or control character",
                next_step="give another name with --into",
            )
        if not self._is_own(session, request.workspace, name):
            raise ConflictError(
                f"`{name}` has versions that were registered by a client",
                next_step="harden into another name, with --into",
            )
        return name

    def _is_own(self, session: Session, workspace: str, model: str) -> bool:
        newest = session.scalars(
            select(ModelEntryRow)
            .where(ModelEntryRow.workspace == workspace, ModelEntryRow.model == model)
            .order_by(ModelEntryRow.version.desc())
            .limit(1)
        ).first()
        return newest is None or self._registry.facts(session, newest).get("source") == SOURCE

    def _require_hardenable(self, session: Session, entry: ModelEntryRow) -> None:
        if entry.deleted_at is not None or entry.state not in {
            ModelState.CHECKED, ModelState.APPROVED,
        }:  # fmt: skip
            raise StateError(
                f"version {entry.version} of `{entry.model}` is {entry.state}",
                next_step="wait until it is checked, or harden another version",
            )
        self._registry.require_current(session, entry)
        waiting = session.execute(
            select(ModelAssessmentRow.entry, ModelAssessmentRow.kind).where(
                ModelAssessmentRow.state == AssessmentState.QUEUED
            )
        ).all()
        if (entry.id, HARDENING) in {(one.entry, one.kind) for one in waiting}:
            raise ConflictError("a hardening of this version is under way")
        if len(waiting) >= MAX_UNDER_WAY:
            raise ConflictError(
                f"{MAX_UNDER_WAY} assessments or hardenings are under way on this server",
                next_step="ask again when one has ended: `strongroom model assessments`",
            )

    # ---- the list ----

    def _signed_report(self, session: Session, entry: ModelEntryRow, kind: str) -> dict[str, Any]:
        """The newest signed report of a kind, and the id of its assessment."""
        signed = [
            one for one in standing(session, self._decisions, self._keys, entry) if one.kind == kind
        ]
        row = session.get(ModelAssessmentRow, signed[-1].id) if signed else None
        if row is None or row.report is None:
            raise NotFoundError(
                f"there is no report of kind `{kind}` on version {entry.version} of "
                f"`{entry.model}`",
                next_step="ask for one with `strongroom model assess`",
            )
        with self._blobs.open(session, row.report) as reader:
            content = b"".join(reader.chunks())
        if not signed[-1].is_report(content):
            raise TamperedError("the report is not the one that was signed")
        found: dict[str, Any] = json.loads(content)
        return {**found, "assessment": signed[-1]}

    def _trained_on(self, call: Call, session: Session, entry: ModelEntryRow, signed: Any) -> Held:  # noqa: ANN401 # a signed assessment
        """The dataset whose rows the report is about; the caller may train on it."""
        rows = signed.rows.get("trained")
        if rows is None:
            raise NotFoundError("the assessment does not say which rows it was made on")
        about = Entity("Dataset", f"{entry.workspace}/{rows[0]}", entry.workspace)
        call.require("trainModel", about)
        held = self._catalog.find(session, entry.workspace, rows[0], rows[1])
        if held.commitment != rows[2]:
            raise TamperedError("the dataset is not the one that was assessed")
        return held
