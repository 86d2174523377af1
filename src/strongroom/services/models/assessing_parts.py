"""What the verbs of assessing and hardening share: how one is asked for, and its signed report."""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from strongroom.engines.robustness.assessment import document
from strongroom.engines.robustness.assessment.plan import parse_plan
from strongroom.engines.robustness.assessment.running import Report, Verdict
from strongroom.errors import ConflictError, StateError, TamperedError
from strongroom.gate.access.types import Entity
from strongroom.gate.operation import Call
from strongroom.gate.undecided import Recorder
from strongroom.services.data.catalog import Catalog, Held
from strongroom.services.data.tables import DatasetAssessmentRow
from strongroom.services.jobs.queue import Jobs
from strongroom.services.models.assessed import same_rows
from strongroom.services.models.assessing_types import HARDENING, AssessmentState
from strongroom.services.models.assessment_plans import AssessmentPlans
from strongroom.services.models.assessment_standing import SignedAssessment, standing
from strongroom.services.models.decisions import Decisions
from strongroom.services.models.registry import Registry
from strongroom.services.models.sealed_wishes import unreported
from strongroom.services.models.statements import ModelKeys
from strongroom.services.models.tables import ModelAssessmentRow, ModelEntryRow
from strongroom.services.models.verifying import Verifier
from strongroom.services.models.version_jobs import ATTACKABLE
from strongroom.vault.blob_writing import StagedBlob
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database
from strongroom.vault.keys import Keyring

MAX_UNDER_WAY = 2
"""Assessments and hardenings of the server that are queued or run: they take minutes, and checks
must go on beside them."""


class AssessingParts:
    """What such a room is built of; the verbs stand in classes that come from this one."""

    def __init__(
        self, database: Database, blobs: BlobStore, keyring: Keyring, jobs: Jobs, log: Recorder, *,
        clock: Callable[[], float] = time.time,
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
        self._verifier = Verifier(database, blobs, self._registry, self._keys, log, now)

    # ---- asking ----

    def _datasets(
        self, call: Call, session: Session, workspace: str,
        tables: Mapping[str, tuple[str, int]],
    ) -> dict[str, Held]:  # fmt: skip
        """The datasets that a request names, which the caller may train on.

        Args:
            tables: `trained`, and perhaps `held_out` → name and number of the version.
        Raises: RefusedError, NotFoundError; ValidationError: both are the same rows.
        """
        for name, _ in tables.values():
            call.require("trainModel", Entity("Dataset", f"{workspace}/{name}", workspace))
        held = {
            place: self._catalog.find(session, workspace, name, version)
            for place, (name, version) in tables.items()
        }
        require_unseen(held)
        return held

    def _require_attackable(self, session: Session, entry: ModelEntryRow, what: str) -> None:
        """Return if a version may be assessed or hardened; `what` says which, for a person."""
        if entry.deleted_at is not None or entry.state not in ATTACKABLE:
            raise StateError(
                f"version {entry.version} of `{entry.model}` is {entry.state}",
                next_step=f"wait until it is checked, or {what} another version",
            )
        self._registry.require_current(session, entry)

    def _require_room(self, session: Session, entry: ModelEntryRow, kind: str) -> None:
        """Return unless the same is under way already, or too much is."""
        queued = session.scalars(
            select(ModelAssessmentRow).where(
                ModelAssessmentRow.entry == entry.id, ModelAssessmentRow.kind == kind,
                ModelAssessmentRow.state == AssessmentState.QUEUED,
            )
        ).first()  # fmt: skip
        if queued is not None:
            raise ConflictError(
                "a hardening of this version is under way"
                if kind == HARDENING
                else f"an assessment of kind `{kind}` is under way on this version"
            )
        self._require_few(session, "model assessments")

    def _require_few(self, session: Session, command: str) -> None:
        """Return unless `MAX_UNDER_WAY` are; `command` lists them."""
        waiting = sum(
            session.scalar(
                select(func.count()).select_from(table).where(
                    table.state == AssessmentState.QUEUED
                )
            ) or 0
            for table in (ModelAssessmentRow, DatasetAssessmentRow)
        )  # fmt: skip
        if waiting >= MAX_UNDER_WAY:
            raise ConflictError(
                f"{MAX_UNDER_WAY} assessments or hardenings are under way on this server",
                next_step=f"ask again when one has ended: `strongroom {command}`",
            )

    def _queued(
        self, session: Session, call: Call, entry: ModelEntryRow, kind: str, wish: StagedBlob,
        job: tuple[str, str, str],
    ) -> ModelAssessmentRow:  # fmt: skip
        """Queue a job in the caller's transaction; its row.

        Args:
            kind: of the assessment, or `HARDENING`.
            job: its kind, under which name it finds the row, how ids of such rows begin.
        """
        job_kind, name, prefix = job
        self._require_room(session, entry, kind)
        row = ModelAssessmentRow(
            id=f"{prefix}_{secrets.token_hex(12)}", entry=entry.id, kind=kind,
            state=AssessmentState.QUEUED, wish=self._blobs.commit(session, wish).id, job="",
            asked_by=call.principal.id, asked_at=self._now(),
        )  # fmt: skip
        row.job = self._jobs.enqueue(
            session, job_kind, {name: row.id}, entry.workspace, call.principal.id
        )
        session.add(row)
        session.flush()
        return row

    # ---- looking ----

    def _signed_report(
        self, session: Session, entry: ModelEntryRow, kind: str
    ) -> tuple[SignedAssessment, ModelAssessmentRow, bytes]:
        """The newest signed report of a kind on a version: what was signed, its row, its bytes.

        Raises:
            NotFoundError. TamperedError: it is not the one that was signed.
        """
        signed = [
            one for one in standing(session, self._decisions, self._keys, entry) if one.kind == kind
        ]
        row = session.get(ModelAssessmentRow, signed[-1].id) if signed else None
        if row is None or row.report is None:
            latest = session.scalars(
                select(ModelAssessmentRow)
                .where(ModelAssessmentRow.entry == entry.id, ModelAssessmentRow.kind == kind)
                .order_by(ModelAssessmentRow.asked_at.desc())
            ).first()
            about = f"kind `{kind}` on version {entry.version} of `{entry.model}`"
            raise unreported(latest, about, "model assess")
        with self._blobs.open(session, row.report) as reader:
            content = b"".join(reader.chunks())
        if not signed[-1].is_report(content):
            raise TamperedError("the report is not the one that was signed")
        return signed[-1], row, content


def require_unseen(held: Mapping[str, Held]) -> None:
    """Return unless the held-out rows are the very rows trained on, under whatever name.

    Args:
        held: `trained`, and perhaps `held_out` → dataset.
    Raises: ValidationError.
    """
    if "held_out" in held and held["held_out"].record.digest == held["trained"].record.digest:
        raise same_rows()


def rows_named(held: Mapping[str, Held]) -> str:
    """The dataset versions of a request, for its record."""
    return ", ".join(f"{one.dataset.name}/{one.row.version}" for one in held.values())


def quarantined(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What the tests of a report, as JSON, put on their quarantine lists, one after the other."""
    return [
        one
        for test in report["tests"]
        if test["test"].startswith("poisoning.") and test["outcome"]
        for one in test["outcome"]["listed"].get("quarantine", ())
    ]


def report_from(found: Mapping[str, Any]) -> Report:
    """A report as it was, from its JSON."""
    plan = parse_plan(found["plan"]["text"])
    kept = json.dumps({"version": document.VERSION, "tests": found["tests"]}).encode()
    ran = tuple(document.resumed(kept).values())
    return Report(plan, ran, Verdict(found["verdict"]), tuple(found["remarks"]))
