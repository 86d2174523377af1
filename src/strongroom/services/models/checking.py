"""The job that checks a quarantined version: hash, scan, convert, sign, decide.

Nothing is loaded in this process. What a kill leaves: before the last transaction, staged blobs
that a sweep removes and a version still quarantined, checked again by the next try; after it, the
decision.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version as installed_version
from typing import Any

import structlog
from sqlalchemy.orm import Session

from strongroom.engines.crypto import dsse
from strongroom.engines.scanning.findings import Report, Verdict
from strongroom.engines.scanning.models import scan_files
from strongroom.errors import NotFoundError, SandboxError, TamperedError
from strongroom.gate.audit.types import AuditClass, Event, Outcome
from strongroom.gate.operation import new_request_id
from strongroom.gate.undecided import Recorder
from strongroom.services.jobs import sandbox
from strongroom.services.jobs.trying import JobContext
from strongroom.services.models import conversion
from strongroom.services.models.conversion import ConversionReport
from strongroom.services.models.files import ModelFiles
from strongroom.services.models.registry import Registry
from strongroom.services.models.spotting import knowledge_of_server
from strongroom.services.models.statements import (
    ManifestFile,
    ModelKeys,
    manifest_digest,
    version_statement,
)
from strongroom.services.models.tables import ModelEntryRow
from strongroom.services.models.types import ModelState, Serving
from strongroom.settings import Settings
from strongroom.vault.blob_writing import StagedBlob
from strongroom.vault.blobs import BlobStore

REPORT_KIND = "model-report"
STATEMENT_KIND = "model-statement"
ONNX_KIND = "model-onnx"
# Larger models are served by a confined worker: converting holds several copies in memory.
_MAX_CONVERTED_BYTES = 512 << 20
_MAX_REASON = 1_000
_TOLD_EVERY = 1_000  # files, in the progress of the job
_VERSION = installed_version("strongroom")

Alarm = Callable[[ModelEntryRow], AbstractContextManager[None]]
"""Flags and records a TamperedError of its block; `Verifier.alarm`."""
Checked = Callable[[Session, ModelEntryRow], None]
"""Told of a version whose checks have ended, in the transaction that decides on it."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Found:
    """What the checks found.

    Attributes:
        converted: None where conversion was not tried.
        serving_reason: why it is not served as ONNX; empty if it is.
    """

    report: Report
    files: tuple[ManifestFile, ...]
    facts: Mapping[str, object]
    converted: ConversionReport | None
    serving_reason: str
    tampered: str = ""

    @property
    def onnx(self) -> bytes | None:
        return self.converted.onnx if self.converted is not None else None

    @property
    def is_admissible(self) -> bool:
        """Clean, or such that a person may decide."""
        return not self.tampered and self.report.verdict in (Verdict.CLEAN, Verdict.REVIEW)


class Checker:
    """Does the jobs of kind `models.check`."""

    def __init__(
        self,
        blobs: BlobStore,
        registry: Registry,
        keys: ModelKeys,
        log: Recorder,
        settings: Settings,
        now: Callable[[], datetime],
        alarm: Alarm,
        checked: Checked,
    ) -> None:
        self._blobs = blobs
        self._registry = registry
        self._keys = keys
        self._log = log
        self._settings = settings
        self._now = now
        self._alarm = alarm
        self._checked = checked

    def check(self, context: JobContext, payload: dict[str, Any]) -> Mapping[str, Any]:
        """Check one version; a version that is decided already is left as it is.

        Raises:
            TamperedError: row or files were changed outside the server; flagged and recorded.
        """
        entry = str(payload["entry"])
        with context.database.read() as session:
            row = session.get(ModelEntryRow, entry)
            if row is None:
                raise NotFoundError("the model version of this job is gone")
            if row.state != ModelState.QUARANTINED:
                return {"state": row.state, "reason": row.reason}
            with self._alarm(row):
                self._registry.require_current(session, row)
                self._registry.require_files(session, entry)
                self._registry.registrants(session, row)
                files = self._registry.files(session, entry)
                facts = self._registry.shown_facts(session, row)
        with ModelFiles(context.database, self._blobs, files) as opened:
            found = self._look(context, opened, facts)
        with self._alarm(row):
            return self._decide(context, row, found)

    # ---- looking ----

    def _look(self, context: JobContext, files: ModelFiles, facts: Mapping[str, object]) -> _Found:
        context.progress("hashing")
        try:
            manifest = tuple(files.manifest())
        except TamperedError as error:
            return _Found(Report(()), (), facts, None, "", error.message)
        context.progress("scanning")
        report = self._scan(context, files)
        if report.verdict is not Verdict.CLEAN:
            return _Found(report, manifest, facts, None, "not converted: the scan is not clean")
        context.progress("converting")
        converted, reason = self._convert(files)
        return _Found(report, manifest, facts, converted, reason)

    def _scan(self, context: JobContext, files: ModelFiles) -> Report:
        settings = self._settings
        known = knowledge_of_server(
            advisories=settings.advisories,
            cache=settings.home / "cache",
            today=self._now().date(),
            allowed_licences=settings.licences_allowed,
            denied_licences=settings.licences_denied,
        )

        def tell(done: int, count: int, _name: str) -> None:
            if done % _TOLD_EVERY == 0:
                context.progress(f"scanning file {done + 1} of {count}")

        return scan_files(files.openers(), knowledge=known, progress=tell)

    def _convert(self, files: ModelFiles) -> tuple[ConversionReport | None, str]:
        if files.total_bytes() > _MAX_CONVERTED_BYTES:
            return None, f"not converted: larger than {_MAX_CONVERTED_BYTES >> 20} MiB"
        settings = self._settings
        limits = sandbox.Limits(
            cpu_seconds=settings.sandbox_seconds,
            wall_seconds=2.0 * settings.sandbox_seconds,
            memory_bytes=settings.sandbox_memory_bytes,
        )
        required = sandbox.required_layers(settings.sandbox_required_layers)
        try:
            converted = conversion.convert(files.contents(), limits=limits, required=required)
        except SandboxError as error:
            # Without the sandbox nothing is loaded, here or at an endpoint.
            return None, f"not converted: {error.message}"[:500]
        return converted, converted.reason[:500]

    # ---- deciding ----

    def _decide(self, context: JobContext, row: ModelEntryRow, found: _Found) -> Mapping[str, Any]:
        with ExitStack() as stack:
            report = stack.enter_context(
                self._blobs.put(row.workspace, REPORT_KIND, [found.report.to_bytes()])
            )
            statement = onnx = None
            if found.is_admissible:
                with context.database.read() as session:
                    key = self._keys.signing_key(session)
                about = version_statement(
                    row, found.files, found.facts, found.report, found.converted, _VERSION
                )
                envelope = dsse.sign(about, [key])
                statement = stack.enter_context(
                    self._blobs.put(row.workspace, STATEMENT_KIND, [envelope])
                )
                if found.onnx is not None:
                    onnx = stack.enter_context(
                        self._blobs.put(row.workspace, ONNX_KIND, [found.onnx])
                    )
            # A crash up to here leaves a quarantined version and files without a row.
            with context.database.write() as session:
                current = session.get_one(ModelEntryRow, row.id)
                if current.state != ModelState.QUARANTINED:
                    return {"state": current.state, "reason": current.reason}
                self._registry.require_current(session, current)
                self._write(session, current, found, report, statement, onnx)
                self._registry.seal_state(session, current)
                self._checked(session, current)
                self._record(session, context, current, found)
                outcome = {"state": current.state, "reason": current.reason}
        # A crash from here on leaves the decision.
        _log.info("model_checked", entry=row.id, state=outcome["state"])
        return outcome

    def _write(
        self,
        session: Session,
        row: ModelEntryRow,
        found: _Found,
        report: StagedBlob,
        statement: StagedBlob | None,
        onnx: StagedBlob | None,
    ) -> None:
        row.report = self._blobs.commit(session, report).id
        row.verdict = str(found.report.verdict) if not found.tampered else "malicious"
        row.serving_reason = found.serving_reason
        if statement is None:
            row.state = ModelState.REJECTED
            row.reason = (found.tampered or found.report.reason())[:_MAX_REASON]
            return
        row.statement = self._blobs.commit(session, statement).id
        row.state = ModelState.CHECKED
        row.digest = manifest_digest(found.files)
        row.serving = Serving.CONFINED
        if onnx is not None:
            row.onnx = self._blobs.commit(session, onnx).id
            row.serving = Serving.ONNX
        if found.report.verdict is Verdict.REVIEW:
            reason = f"a person must decide: {found.report.reason()}"
            row.reason = reason[:_MAX_REASON]

    def _record(
        self, session: Session, context: JobContext, row: ModelEntryRow, found: _Found
    ) -> None:
        rejected = row.state == ModelState.REJECTED
        worst = sorted({f.rule_id for f in found.report.findings})[:8]
        details: dict[str, str | int] = {
            "state": row.state,
            "verdict": row.verdict,
            "findings": len(found.report.findings),
            "rules": " ".join(worst),
            "files": len(found.files),
            "digest": row.digest,
            "serving": row.serving,
        }
        event = Event(
            time=self._now().timestamp(),
            workspace=row.workspace,
            actor_kind="job",
            actor=context.job_id,
            operation="model.check",
            action="",
            resource_type="ModelVersion",
            resource=f"{row.workspace}/{row.model}/{row.version}",
            audit_class=AuditClass.DETECTION_FINDING if rejected else AuditClass.AI_OPERATION,
            request_id=new_request_id(),
            outcome=Outcome.REFUSED if rejected else Outcome.ALLOWED,
            reason=row.reason,
            details=details,
        )
        self._log.append(session, event)


def read_report(data: bytes) -> dict[str, Any]:
    """A report as `Report.to_json` gave it. Raises TamperedError where it is none."""
    try:
        found = json.loads(data)
    except ValueError:
        raise TamperedError("the scan report is not of this form") from None
    if not isinstance(found, dict):
        raise TamperedError("the scan report is not of this form")
    return found
