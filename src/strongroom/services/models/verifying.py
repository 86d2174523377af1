"""Verifying a version: signature, approval, and every byte against the signed manifest.

What fails is remembered on the row and recorded as an alarm; the state stays as it was, for the
bytes may be restored. A later success takes the flag away.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import structlog
from sqlalchemy.orm import Session

from strongroom.errors import ConflictError, NotFoundError, StateError, TamperedError
from strongroom.gate.audit.types import AuditClass, Event, Outcome
from strongroom.gate.operation import new_request_id
from strongroom.gate.undecided import Recorder
from strongroom.services.models.files import ModelFiles
from strongroom.services.models.registry import Registry
from strongroom.services.models.statements import (
    ModelKeys,
    SignedVersion,
    check_approval,
    read_version,
)
from strongroom.services.models.tables import ModelEntryRow, ModelFileRow
from strongroom.services.models.types import ModelState, Servable
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database

_MAX_STATEMENT_BYTES = 64 << 20

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class VerifiedVersion:
    """A version that was verified; `bytes` of all its files together."""

    row: ModelEntryRow
    signed: SignedVersion
    files: list[ModelFileRow]
    key_id: str
    bytes: int


class Verifier:
    """Verifies versions and raises the alarm."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        registry: Registry,
        keys: ModelKeys,
        log: Recorder,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._registry = registry
        self._keys = keys
        self._log = log
        self._now = now

    def verify(
        self, workspace: str, model: str, version: int, pace: Callable[[int], None] | None = None
    ) -> VerifiedVersion:
        """Verify signatures and every byte. Not inside a write of the same thread.

        Args:
            pace: called with the size of each piece that was read.

        Raises:
            NotFoundError: no such version.
            StateError: it is not signed yet, or was rejected.
            TamperedError: something is not what was signed; flagged and recorded.
            KeyUnavailableError: the workspace's key is disabled.
        """
        with self._database.read() as session:
            row = self._registry.find(session, workspace, model, version)
        with self.alarm(row):
            signed, files, key_id = self._signed(row)
            total = self._bytes(row, signed, files, pace)
        if row.tampered_at is not None:
            self._calm(row)
        return VerifiedVersion(row, signed, files, key_id, total)

    def signed(self, row: ModelEntryRow) -> tuple[SignedVersion, list[ModelFileRow]]:
        """Signatures only: the bytes are verified by whoever reads them. Raises as `verify`."""
        with self.alarm(row):
            signed, files, _ = self._signed(row)
        return signed, files

    def servable(self, workspace: str, model: str, version: int) -> Servable:
        """An approved version, verified whole, opened for an endpoint. Raises as `verify`.

        Raises:
            StateError: it is not approved.
        """
        with self._database.read() as session:
            row = self._registry.find(session, workspace, model, version)
        if row.state != ModelState.APPROVED:
            raise StateError(
                f"version {version} of `{model}` is {row.state}, not approved",
                next_step="ask an ML Engineer or Owner to approve it",
            )
        found = self.verify(workspace, model, version)
        with self.alarm(row):
            onnx = self._onnx(row, found.signed)
            if any(file.sha256 == found.signed.onnx_sha256 for file in found.signed.files):
                onnx = None  # it came as ONNX and was not converted here: confined, then
            files: dict[str, bytes] = {}
            if onnx is None:
                with ModelFiles(self._database, self._blobs, found.files) as opened:
                    files = opened.contents()
                # Read a second time: what is given out is what was hashed.
                for file in found.signed.files:
                    if sha256(files[file.path]).hexdigest() != file.sha256:
                        raise TamperedError(f"the file `{file.path}` is not what was signed")
        return Servable(
            model=model,
            version=version,
            digest=found.signed.digest,
            onnx=onnx,
            features=found.signed.features,
            feature_types=found.signed.feature_types,
            classes=found.signed.classes,
            files=files,
        )

    def watched(self, row: ModelEntryRow, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Pieces of a version on their way out: one that is not what was sealed raises the alarm.

        Raises:
            TamperedError: while iterating; whoever receives them sees them end too early.
        """
        with self.alarm(row):
            yield from pieces

    # ---- parts ----

    def _signed(self, row: ModelEntryRow) -> tuple[SignedVersion, list[ModelFileRow], str]:
        state = ModelState(row.state)
        if state in (ModelState.QUARANTINED, ModelState.REJECTED):
            raise StateError(f"version {row.version} of `{row.model}` is {state} and not signed")
        if row.deleted_at is not None:
            with self._database.read() as session:
                current = session.get_one(ModelEntryRow, row.id)
                self._registry.require_current(session, current)
            raise StateError(f"version {row.version} of `{row.model}` is deleted")
        if row.statement is None:
            raise TamperedError("the version is called checked, but nobody signed it")
        with self._database.read() as session:
            current = session.get_one(ModelEntryRow, row.id)
            self._registry.require_current(session, current)
            if not self._registry.is_same(current, row):
                raise ConflictError(f"version {row.version} of `{row.model}` has changed meanwhile")
            key = self._keys.verifying_key(session)
            files = self._registry.files(session, row.id)
        signed = read_version(self._small(row.statement), key, row)
        if state in (ModelState.APPROVED, ModelState.RETIRED):
            check_approval(row, key)
        if [file.path for file in files] != sorted(file.path for file in signed.files):
            raise TamperedError("the files of the version are not those that were signed")
        return signed, files, key.key_id

    def _bytes(
        self, row: ModelEntryRow, signed: SignedVersion, files: list[ModelFileRow],
        pace: Callable[[int], None] | None,
    ) -> int:  # fmt: skip
        with ModelFiles(self._database, self._blobs, files) as opened:
            found = {file.path: file for file in opened.manifest(pace)}
        for expected in signed.files:
            if found[expected.path] != expected:
                raise TamperedError(f"the file `{expected.path}` is not what was signed")
        self._onnx(row, signed)
        return sum(file.size for file in signed.files)

    def _onnx(self, row: ModelEntryRow, signed: SignedVersion) -> bytes | None:
        """The converted model, verified; None where there is none."""
        if not signed.onnx_sha256:
            return None
        if row.onnx is None:
            raise TamperedError("the converted model is gone")
        data = self._small(row.onnx)
        if sha256(data).hexdigest() != signed.onnx_sha256:
            raise TamperedError("the converted model is not what was signed")
        return data

    def _small(self, blob: str) -> bytes:
        with self._database.read() as session:
            try:
                reader = self._blobs.open(session, blob)
            except NotFoundError:
                raise TamperedError("a sealed part of the version is gone") from None
        with reader:
            return b"".join(reader.chunks())

    # ---- alarm ----

    @contextmanager
    def alarm(self, row: ModelEntryRow) -> Iterator[None]:
        """Flags and records a TamperedError before it goes on its way. Not inside a write."""
        try:
            yield
        except TamperedError as error:
            self._flag(row, error.message)
            raise

    def _flag(self, row: ModelEntryRow, reason: str) -> None:
        if row.tampered_at is not None and row.tampered_reason == reason[:500]:
            return
        with self._database.write() as session:
            current = session.get_one(ModelEntryRow, row.id)
            if current.tampered_at is not None and current.tampered_reason == reason[:500]:
                return  # once on the record, not once a request
            current.tampered_at = self._now()
            current.tampered_reason = reason[:500]
            self._record(session, row, "model.tampered", Outcome.FAILED, reason)
        _log.error("model_tampered", entry=row.id)

    def _calm(self, row: ModelEntryRow) -> None:
        with self._database.write() as session:
            current = session.get_one(ModelEntryRow, row.id)
            current.tampered_at = None
            current.tampered_reason = ""
            self._record(session, row, "model.restored", Outcome.ALLOWED, "")

    def _record(
        self, session: Session, row: ModelEntryRow, operation: str, outcome: Outcome, reason: str
    ) -> None:
        event = Event(
            time=self._now().timestamp(),
            workspace=row.workspace,
            actor_kind="server",
            actor="server",
            operation=operation,
            action="",
            resource_type="ModelVersion",
            resource=f"{row.workspace}/{row.model}/{row.version}",
            audit_class=AuditClass.DETECTION_FINDING,
            request_id=new_request_id(),
            outcome=outcome,
            reason=reason,
            details={"digest": row.digest},
        )
        self._log.append(session, event)
