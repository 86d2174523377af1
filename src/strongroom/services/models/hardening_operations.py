"""Verbs of hardening: train a version anew, what came of it, and the rows a person should judge."""

import json
import re
import time
from collections.abc import Callable
from hashlib import sha256

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
    TamperedError,
    ValidationError,
)
from strongroom.gate.access.types import Entity
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Body, Command, Limits, Route, Stream, operation
from strongroom.gate.operation import Call
from strongroom.gate.undecided import Recorder
from strongroom.services.data.bodies import text_of
from strongroom.services.data.catalog import Held
from strongroom.services.jobs.queue import Jobs
from strongroom.services.models.assessing_parts import AssessingParts, quarantined, rows_named
from strongroom.services.models.assessing_types import HARDENING, AssessmentState
from strongroom.services.models.assessment_standing import SignedAssessment
from strongroom.services.models.hardening_job import JOB_KIND, REPORT_DIGEST, Hardener
from strongroom.services.models.hardening_types import (
    Hardening,
    HardenModel,
    ShowHardening,
    ShowQuarantine,
    Wish,
)
from strongroom.services.models.parts import VERSION_ROUTE, version_entity
from strongroom.services.models.sealed_wishes import WISH_KIND
from strongroom.services.models.tables import ModelAssessmentRow, ModelEntryRow
from strongroom.services.models.training import SOURCE
from strongroom.services.models.types import MODEL_NAME
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database
from strongroom.vault.keys import Keyring

_SUFFIX = "-hardened"


class HardeningOperations(AssessingParts):
    """The room of hardening, over the catalog of datasets and the registry of models."""

    def __init__(
        self, database: Database, blobs: BlobStore, keyring: Keyring, jobs: Jobs, log: Recorder,
        settings: Settings, *, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """Take what the room works with; `clock` gives seconds since 1970, UTC."""
        super().__init__(database, blobs, keyring, jobs, log, clock=clock)
        hardener = Hardener(
            blobs, keyring, self._catalog, self._registry, self._verifier, log, settings, self._now
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
            signed, _, report = self._signed_report(session, entry, request.kind)
            held = self._trained_on(call, session, entry, signed)
        listed = quarantined(json.loads(report))
        call.note(kind=request.kind, rows=len(listed))
        content = to_csv(merged(listed), held.commitment)
        return Stream("text/csv", iter([content]), "quarantine.csv")

    # ---- asking ----

    def _ask(self, call: Call, request: HardenModel, quarantine: str) -> Hardening:
        tables = {
            "trained": (request.dataset, request.dataset_version),
            "held_out": (request.held_out, request.held_out_version),
        }
        with call.reading() as session:
            held = self._datasets(call, session, request.workspace, tables)
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
            self._require_attackable(session, entry, "harden")
            row = self._queued(
                session, call, entry, HARDENING, staged, (JOB_KIND, "hardening", "hrd")
            )
            call.note(
                kind=request.kind, plan=plan.digest, job=row.job, hardening=row.id,
                way=request.way, into=into, left_out=removed, rows=rows_named(held),
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

    # ---- the list ----

    def _trained_on(
        self, call: Call, session: Session, entry: ModelEntryRow, signed: SignedAssessment
    ) -> Held:
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
