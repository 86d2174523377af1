"""Verbs of searching a dataset version for poison: asking, what came of it, the rows to judge."""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.engines.robustness.assessment.page import report_page
from strongroom.engines.robustness.poisoning.quarantine_list import merged, to_csv
from strongroom.errors import ConflictError, RefusedError, StrongroomError, TamperedError
from strongroom.gate.access.types import Entity
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Limits, Route, Stream, operation
from strongroom.gate.operation import Call
from strongroom.gate.undecided import Recorder
from strongroom.services.data import views
from strongroom.services.data.catalog import Held
from strongroom.services.data.tables import DatasetAssessmentRow
from strongroom.services.data.types import DatasetReference, View
from strongroom.services.jobs.queue import Jobs
from strongroom.services.models.assessing_parts import AssessingParts, quarantined, report_from
from strongroom.services.models.assessing_types import AssessmentState
from strongroom.services.models.dataset_assessing import (
    JOB_KIND,
    DatasetAssessor,
    SearchWish,
    pinned,
)
from strongroom.services.models.dataset_assessing_types import (
    AssessDataset,
    DatasetAssessment,
    DatasetAssessments,
    ListDatasetAssessments,
    ShowDatasetAssessment,
    ShowDatasetQuarantine,
)
from strongroom.services.models.dataset_standing import SignedSearches
from strongroom.services.models.sealed_wishes import WISH_KIND
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database
from strongroom.vault.encrypted_tables import read_schema
from strongroom.vault.keys import Keyring


def dataset_entity(
    _room: object, _session: Session, request: DatasetReference | ListDatasetAssessments
) -> Entity:
    """The dataset that a request names, whether or not it is there."""
    return Entity("Dataset", f"{request.workspace}/{request.name}", request.workspace)


class DatasetAssessingOperations(AssessingParts):
    """The room of assessments of datasets."""

    def __init__(
        self, database: Database, blobs: BlobStore, keyring: Keyring, jobs: Jobs, log: Recorder,
        settings: Settings, *, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """Take what the room works with; `clock` gives seconds since 1970, UTC."""
        super().__init__(database, blobs, keyring, jobs, log, clock=clock)
        self._searches = SignedSearches(blobs, keyring)
        assessor = DatasetAssessor(
            blobs, keyring, self._catalog, self._searches, log, settings, self._now
        )
        jobs.register_kind(JOB_KIND, assessor.assess, assessor.give_up)

    @operation(
        "data.assess",
        action="readDatasetRows",
        resource=dataset_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", "/workspaces/{workspace}/data/{name}/assess"),
        command=Command("data assess", positional=("name",)),
        limits=Limits(per_minute=10),
    )
    def assess(self, call: Call, request: AssessDataset) -> DatasetAssessment:
        """Search a version for poison before a model is trained on it, as a job.

        Wrong labels, triggers, sources that do harm, copies and outliers, under the plan that is
        in force. The rows are read in the sandbox; what is found is signed. Needs the right to
        read the rows.
        """
        with call.reading() as session:
            _view(call)
            held = self._catalog.find(session, request.workspace, request.name, request.version)
            schema, _ = read_schema(self._blobs, session, held.row.blob)
            in_force = self._plans.of(session, request.workspace, request.kind).plan
            plan = pinned(in_force, request, held, schema)
        wish = SearchWish(plan.text, in_force.digest)
        with (
            self._blobs.put(request.workspace, WISH_KIND, [wish.to_bytes()]) as staged,
            call.transaction() as session,
        ):
            held = self._catalog.find(session, request.workspace, request.name, held.row.version)
            self._require_idle(session, held, request.kind)
            row = DatasetAssessmentRow(
                id=f"das_{secrets.token_hex(12)}", dataset=held.dataset.id,
                version=held.row.version, kind=request.kind, state=AssessmentState.QUEUED,
                wish=self._blobs.commit(session, staged).id, job="", asked_by=call.principal.id,
                asked_at=self._now(),
            )  # fmt: skip
            row.job = self._jobs.enqueue(
                session, JOB_KIND, {"assessment": row.id}, request.workspace, call.principal.id
            )
            session.add(row)
            session.flush()
            call.note(
                kind=request.kind, plan=plan.digest, job=row.job, assessment=row.id,
                version=row.version, digest=held.commitment,
            )  # fmt: skip
            return self._shown(session, held, row, {})

    @operation(
        "data.assessments",
        action="readDataset",
        resource=dataset_entity,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/data/{name}/assessments"),
        command=Command("data assessments", positional=("name",)),
    )
    def assessments(self, call: Call, request: ListDatasetAssessments) -> DatasetAssessments:
        """List the assessments of a dataset: how they ended, and whether thresholds still hold."""
        with call.reading() as session:
            newest = self._catalog.find(session, request.workspace, request.name, 0)
            versions = {
                one.row.version: one for one in self._catalog.versions(session, newest.dataset)
            }
            rows = session.scalars(
                select(DatasetAssessmentRow)
                .where(DatasetAssessmentRow.dataset == newest.dataset.id)
                .order_by(DatasetAssessmentRow.asked_at.desc(), DatasetAssessmentRow.id)
                .limit(request.limit)
            ).all()
            plans = self._digests(session, request.workspace, {row.kind for row in rows})
            found = [
                self._shown(session, versions[row.version], row, plans)
                for row in rows
                if row.version in versions
            ]
        call.note(assessments=len(found))
        return DatasetAssessments(assessments=found)

    @operation(
        "data.assessment",
        action="readDatasetRows",
        resource=dataset_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/data/{name}/assessment"),
        command=Command("data assessment", positional=("name",)),
    )
    def assessment(self, call: Call, request: ShowDatasetAssessment) -> Stream:
        """Give the report of a version's newest assessment of a kind, as JSON or as a page.

        It is compared with the signed digest before it leaves. Rows are named by number and people
        by pseudonym; names of sources and classes are left out where your view masks them.
        """
        with call.reading() as session:
            held = self._catalog.find(session, request.workspace, request.name, request.version)
            found, row, view = self._report(call, session, held, request.kind)
        headers = {"Strongroom-View": view.value, "Strongroom-Version": str(row.version)}
        if request.form == "json":
            content = json.dumps(found, ensure_ascii=False).encode()
            return Stream("application/json", iter([content]), "assessment.json", headers)
        page = report_page(
            report_from(found), model=f"rows of {request.name} {row.version}",
            made=f"Searched at {row.ended_at:%Y-%m-%d %H:%M} UTC under the plan {row.kind}.",
        )  # fmt: skip
        body = iter([page.encode()])
        return Stream("text/html; charset=utf-8", body, "assessment.html", headers)

    @operation(
        "data.quarantine",
        action="readDatasetRows",
        resource=dataset_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/data/{name}/quarantine"),
        command=Command("data quarantine", positional=("name",)),
    )
    def quarantine(self, call: Call, request: ShowDatasetQuarantine) -> Stream:
        """Give the rows that the newest assessment of a version found suspect, as CSV to edit.

        Rows are named by number and pseudonym; with `no` in the column `leave out` of those that
        are right it goes to `model harden-without`. The label that a row should have stands in it
        where your view shows labels in clear.
        """
        with call.reading() as session:
            held = self._catalog.find(session, request.workspace, request.name, request.version)
            found, row, view = self._report(call, session, held, request.kind)
        listed = quarantined(found)
        content = to_csv(merged(listed, found.get("classes", ())), held.commitment)
        call.note(rows=len(listed))
        headers = {"Strongroom-View": view.value, "Strongroom-Version": str(row.version)}
        return Stream("text/csv", iter([content]), "quarantine.csv", headers)

    # ---- what is shown ----

    def _report(
        self, call: Call, session: Session, held: Held, kind: str
    ) -> tuple[dict[str, Any], DatasetAssessmentRow, View]:
        """The newest report as the caller's view of the rows shows it."""
        view = _view(call)
        row, _, content = self._searches.report(session, held, kind)
        found: dict[str, Any] = json.loads(content)
        if view is View.MASKED:
            schema, _ = read_schema(self._blobs, session, held.row.blob)
            clear = views.choose(held, schema, view, []).clear_columns
            roles = report_from(found).plan.columns
            found = withheld(
                found, label=roles.label in clear, source=roles.source in clear,
                names=not roles.pseudonym or roles.pseudonym in clear,
            )  # fmt: skip
        call.note(
            kind=kind, version=row.version, verdict=found["verdict"], assessment=row.id,
            view=view.value,
        )  # fmt: skip
        return found, row, view

    def _shown(
        self, session: Session, held: Held, row: DatasetAssessmentRow, plans: Mapping[str, str]
    ) -> DatasetAssessment:
        """One of the list, with the verdict that was signed: a changed row changes none."""
        verdict, reason, in_force = "", row.reason, False
        if row.state == AssessmentState.DONE:
            try:
                signed = self._searches.signed(session, row, held)
                newest = self._searches.newest(session, held, row.kind)
                verdict = signed.verdict.value
                is_newest = newest is not None and newest.id == row.id
                in_force = is_newest and plans.get(row.kind) == signed.in_force
            except TamperedError as error:
                reason = error.message
        return DatasetAssessment(
            id=row.id, name=held.dataset.name, version=row.version, kind=row.kind,
            state=AssessmentState(row.state), verdict=verdict, reason=reason, job=row.job,
            asked_by=row.asked_by, asked_at=row.asked_at, ended_at=row.ended_at, in_force=in_force,
        )  # fmt: skip

    def _digests(self, session: Session, workspace: str, kinds: set[str]) -> dict[str, str]:
        """Kind → digest of the plan in force; without those that cannot be read."""
        found = {}
        for kind in kinds:
            try:
                found[kind] = self._plans.of(session, workspace, kind).plan.digest
            except StrongroomError:
                continue
        return found

    def _require_idle(self, session: Session, held: Held, kind: str) -> None:
        """Return unless the same is under way already, or too much is."""
        queued = session.scalars(
            select(DatasetAssessmentRow).where(
                DatasetAssessmentRow.dataset == held.dataset.id,
                DatasetAssessmentRow.version == held.row.version,
                DatasetAssessmentRow.kind == kind,
                DatasetAssessmentRow.state == AssessmentState.QUEUED,
            )
        ).first()
        if queued is not None:
            raise ConflictError(f"an assessment of kind `{kind}` is under way on this version")
        self._require_few(session, "data assessments")


def withheld(found: Mapping[str, Any], *, label: bool, source: bool, names: bool) -> dict[str, Any]:
    """A report as a masked view shows it: without the values of columns that are masked there.

    Args:
        label, source: whether the view shows that column in clear; `names`: the one that rows are
            named by, where the plan has one.
    """
    kept = dict(found)
    tests = [dict(one) for one in found["tests"]]
    for one in tests:
        if one["outcome"] is None:
            continue
        lists = dict(one["outcome"]["listed"])
        if not source and "sources" in lists:
            lists["sources"] = [
                {**told, "name": f"source {place}"}
                for place, told in enumerate(lists["sources"], 1)
            ]
        hidden: dict[str, Any] = {} if label else {"suggested_label": None}
        hidden |= {} if names else {"name": ""}
        if "quarantine" in lists:
            lists["quarantine"] = [{**row, **hidden} for row in lists["quarantine"]]
        one["outcome"] = {**one["outcome"], "listed": lists}
    if not label:
        kept["classes"] = []
    said = "names of classes and sources are left out where your view of the rows masks them"
    return {**kept, "tests": tests, "remarks": [*found["remarks"], said]}


def _view(call: Call) -> View:
    """The view of the rows that the caller may have. Raises: RefusedError: none."""
    if call.allows("readDatasetClear"):
        return View.CLEAR
    if call.allows("readDatasetMasked"):
        return View.MASKED
    raise RefusedError("no view of these rows is permitted to you")
