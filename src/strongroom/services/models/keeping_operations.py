"""Verbs that delete model versions: one of them, or all that the rules no longer keep."""

from datetime import datetime

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from strongroom.errors import NotFoundError
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Limits, Route, in_workspace, operation
from strongroom.gate.operation import Call
from strongroom.services.models.assessing_types import AssessmentState
from strongroom.services.models.decision_statements import decision_statement
from strongroom.services.models.keeping_types import (
    DeletedVersion,
    DeleteVersion,
    Pruned,
    PruneModels,
)
from strongroom.services.models.parts import VERSION_ROUTE, ModelParts, version_entity
from strongroom.services.models.registry import seal_files
from strongroom.services.models.retention import Kept, Outdated, outdated
from strongroom.services.models.tables import ModelAssessmentRow, ModelEntryRow, ModelFileRow
from strongroom.services.models.types import Decision, ModelState
from strongroom.vault.blobs import BlobRow
from strongroom.vault.database import Base

_MOST_FILES = 5_000
"""Of the versions that one call prunes; the next call takes the others."""
_MOST_NAMED = 40
"""Versions that the record of one call names."""


class KeepingOperations(ModelParts):
    """The part of the room of models that deletes.

    The row of a version stays, with its provenance and the decisions on it, so that its number
    never comes to be another's. A file that a run holds as well stays with the run.
    """

    @operation(
        "model.rm",
        action="deleteModelVersion",
        resource=version_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("DELETE", VERSION_ROUTE),
        command=Command("model rm", positional=("name", "version"), confirm="name"),
    )
    def rm(self, call: Call, request: DeleteVersion) -> DeletedVersion:
        """Delete the bytes of a version for good; what was decided on it stays.

        Not of one that is approved: retire it first.
        """
        with call.transaction() as session:
            row = self._find(session, request)
            self._require_state(
                session, row, ModelState.CHECKED, ModelState.REJECTED, ModelState.RETIRED
            )
            gone = self._delete(session, call, row, request.comment)
            call.note(digest=row.digest, files=gone.files, bytes=gone.bytes)
        # A crash before the commit deletes nothing; after it leaves bytes without a key.
        return gone

    @operation(
        "model.prune",
        action="deleteModelVersion",
        resource=in_workspace,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", "/workspaces/{workspace}/models-prune"),
        command=Command("model prune"),
        limits=Limits(per_minute=10),
    )
    def prune(self, call: Call, request: PruneModels) -> Pruned:
        """Show the versions that the rules no longer keep, or delete them with `delete`.

        Only what was rejected or retired: approved versions stay whatever the rules say.
        """
        if not request.delete:
            with call.reading() as session:
                shown = [self._sized(session, row, why) for row, why in self._old(session, request)]
            call.note(versions=len(shown), deleted=False)
            return Pruned(deleted=False, versions=shown)
        with call.transaction() as session:
            gone = [
                self._delete(session, call, row, why.reason)
                for row, why in self._old(session, request)
            ]
            named = ", ".join(f"{one.name}/{one.version}" for one in gone[:_MOST_NAMED])
            call.note(
                versions=len(gone), deleted=True, named=named, bytes=sum(one.bytes for one in gone)
            )
        return Pruned(deleted=True, versions=gone)

    # ---- parts ----

    def _old(self, session: Session, request: PruneModels) -> list[tuple[ModelEntryRow, Outdated]]:
        """What is to go, in the state that it was brought into last."""
        rules = self._policies.of(session, request.workspace).rules.retention
        query = select(ModelEntryRow).where(
            ModelEntryRow.workspace == request.workspace, ModelEntryRow.deleted_at.is_(None)
        )
        if request.name:
            query = query.where(ModelEntryRow.model == request.name)
        rows = {(row.model, row.version): row for row in session.scalars(query).all()}
        versions = [
            Kept(row.model, row.version, ModelState(row.state), self._since(session, row))
            for row in rows.values()
        ]
        found = []
        for old in outdated(rules, versions, self._now()):
            row = rows[old.version.model, old.version.version]
            if self._registry.is_current(session, row):
                found.append((row, old))
        return self._few(session, found[: request.limit])

    def _few(
        self, session: Session, found: list[tuple[ModelEntryRow, Outdated]]
    ) -> list[tuple[ModelEntryRow, Outdated]]:
        """So many that one call holds up no other writer for long; at least one."""
        files = 0
        few: list[tuple[ModelEntryRow, Outdated]] = []
        for row, old in found:
            counted = select(func.count()).where(ModelFileRow.entry == row.id)
            files += session.scalar(counted) or 0
            if few and files > _MOST_FILES:
                break
            few.append((row, old))
        return few

    def _since(self, session: Session, row: ModelEntryRow) -> datetime:
        """When a version was decided on; registered, where only its checks decided."""
        if row.state not in (ModelState.REJECTED, ModelState.RETIRED):
            return row.registered_at
        decided = [
            one for one in self._decisions.of(session, row.id) if one.decision != Decision.ASSESSED
        ]
        return decided[-1].at if decided else row.registered_at

    def _drop_assessments(self, session: Session, row: ModelEntryRow) -> None:
        """Their reports name people by pseudonyms: they go with the version."""
        of_version = select(ModelAssessmentRow).where(ModelAssessmentRow.entry == row.id)
        for one in session.scalars(of_version):
            for blob in (one.wish, one.kept, one.report):
                if blob is not None:
                    self._freed(session, blob)
            one.wish = one.kept = one.report = None
            if one.state == AssessmentState.QUEUED:
                one.state, one.reason = AssessmentState.BROKEN, "the version was deleted"

    def _delete(
        self, session: Session, call: Call, row: ModelEntryRow, comment: str
    ) -> DeletedVersion:
        by, at = call.principal.id, self._now()
        about = decision_statement(
            row,
            Decision.DELETED,
            by,
            at,
            comment[:500],
            self._registry.files_digest(session, row.id),
        )
        self._decisions.add(
            session, row, Decision.DELETED, about, by=by, at=at, comment=comment[:500]
        )
        state = row.state
        files = self._registry.files(session, row.id)
        sizes = {file.path: self._size(session, file.blob) for file in files}
        shared = 0
        for file in files:
            session.delete(file)
        session.flush()
        freed = 0
        for file in files:
            if self._freed(session, file.blob):
                freed += sizes[file.path]
            else:
                shared += 1
        for part in (row.report, row.statement, row.onnx):
            if part is not None:
                self._freed(session, part)
        row.report = row.statement = row.onnx = None
        self._drop_assessments(session, row)
        self._guards.drop(session, row.id)
        if state == ModelState.CHECKED:
            row.state, row.reason = ModelState.REJECTED, comment or "deleted"
        row.deleted_at = at
        seal_files(session, self._keyring.seals, row.id)
        self._registry.seal_state(session, row)
        return DeletedVersion(
            name=row.model, version=row.version, state=row.state, reason=comment,
            files=len(files), bytes=freed, shared=shared,
        )  # fmt: skip

    def _freed(self, session: Session, blob: str) -> bool:
        """Delete a blob that nothing else holds; whether it went."""
        if _is_held(session, blob):
            return False
        try:
            self._blobs.delete(session, blob)
        except NotFoundError:
            return False
        return True

    def _size(self, session: Session, blob: str) -> int:
        try:
            return self._blobs.info(session, blob).size
        except NotFoundError:
            return 0

    def _sized(self, session: Session, row: ModelEntryRow, why: Outdated) -> DeletedVersion:
        files = self._registry.files(session, row.id)
        return DeletedVersion(
            name=row.model, version=row.version, state=row.state, reason=why.reason,
            files=len(files), bytes=sum(self._size(session, file.blob) for file in files),
            shared=0,
        )  # fmt: skip


def _is_held(session: Session, blob: str) -> bool:
    """Whether another version has the blob as a file, or whatever else refers to blobs.

    A run's artifact does: its table is another room's, and known by its foreign key.
    """
    holders = [ModelFileRow.__table__.c.blob]
    blobs = BlobRow.__table__
    for table in Base.metadata.tables.values():
        holders += [key.parent for key in table.foreign_keys if key.column.table is blobs]
    return any(
        session.scalar(select(literal(1)).where(column == blob).limit(1)) is not None
        for column in holders
    )
