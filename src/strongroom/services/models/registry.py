"""Model versions in the database: take in, find, describe."""

import json
import secrets
import unicodedata
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from strongroom.engines.crypto.floe import open_stream, seal_stream
from strongroom.engines.crypto.wrapping import bind
from strongroom.errors import (
    ConflictError,
    NotFoundError,
    TamperedError,
    TooLargeError,
    ValidationError,
)
from strongroom.services.data.catalog import Catalog
from strongroom.services.jobs.queue import Jobs
from strongroom.services.jobs.tables import JobRow
from strongroom.services.jobs.types import JobState
from strongroom.services.models import registrants
from strongroom.services.models.commitments import Commitments
from strongroom.services.models.lineage import FACT, DataSource, Lineage
from strongroom.services.models.registered_files import check_files
from strongroom.services.models.tables import ModelEntryRow, ModelFileRow
from strongroom.services.models.types import (
    MAX_FACTS_BYTES,
    Checked,
    CheckState,
    ModelFile,
    ModelReference,
    ModelState,
    ModelVersion,
    Provenance,
    Serving,
)
from strongroom.vault.blobs import BlobStore
from strongroom.vault.keys import Keyring
from strongroom.vault.seals import Seals

KIND = "model"
"""Of the changes of a version's state, in the journal of sealed changes."""
FILES_KIND = "model files"
"""Of the files that were registered, in the same journal: what is checked is what was sent."""
CHECK_KIND = "models.check"
_FACTS_PURPOSE = "model-facts"


class Registry:
    """Rows of model versions."""

    def __init__(
        self, blobs: BlobStore, keyring: Keyring, jobs: Jobs, now: Callable[[], datetime]
    ) -> None:
        self._blobs = blobs
        self._keyring = keyring
        catalog = Catalog(blobs, keyring)
        self._commitments = Commitments(catalog, keyring)
        self._lineage = Lineage(catalog)
        self._jobs = jobs
        self._now = now

    def register(
        self,
        session: Session,
        *,
        workspace: str,
        model: str,
        version: int,
        files: Sequence[ModelFile],
        provenance: Provenance,
        actor: str,
    ) -> str:
        """Take a version in, quarantined, and ask for its checks; all in the caller's transaction.

        A crash before the commit leaves nothing; after it the checks run, now or at the next start.

        Returns: the id of the version.

        Raises:
            ValidationError: no files, two of one path, a path that leaves the folder, or a file
                of another workspace.
            ConflictError: that version is there already.
            NotFoundError: a file's blob is not there.
        """
        reference = checked_name(workspace, model, version)
        check_files(session, workspace, files)
        traced = self._lineage.traced(session, workspace, provenance.datasets)
        behind = sorted(registrants.registrants(session, actor))
        kept = {**provenance.facts(), FACT: traced, registrants.FACT: behind}
        facts = json.dumps(kept, sort_keys=True).encode()
        if len(facts) > MAX_FACTS_BYTES:
            raise TooLargeError(f"the provenance of a model may have {MAX_FACTS_BYTES} bytes")
        entry = f"mdl_{secrets.token_hex(12)}"
        key = self._keyring.new_object_key(session, workspace, entry, purpose=_FACTS_PURPOSE)
        row = ModelEntryRow(
            id=entry,
            workspace=reference.workspace,
            model=reference.name,
            version=reference.version,
            state=ModelState.QUARANTINED,
            serving=Serving.UNDECIDED,
            facts=b"".join(seal_stream(key.key, _facts_context(entry), [facts])),
            facts_key=key.wrapped,
            facts_key_version=key.kek_version,
            registered_by=actor,
            registered_at=self._now(),
        )
        try:
            with session.begin_nested():
                session.add(row)
        except IntegrityError:
            raise ConflictError(f"version {version} of `{model}` is there already") from None
        rows = [{"entry": entry, "path": file.path, "blob": file.blob} for file in files]
        session.execute(insert(ModelFileRow), rows)
        self.seal_state(session, row)
        seal_files(session, self._keyring.seals, entry)
        row.job = self.enqueue_check(session, row, actor)
        return entry

    def enqueue_check(self, session: Session, row: ModelEntryRow, actor: str) -> str:
        """Ask for the checks of a quarantined version; the job's id."""
        return self._jobs.enqueue(session, CHECK_KIND, {"entry": row.id}, row.workspace, actor)

    def seal_state(self, session: Session, row: ModelEntryRow) -> None:
        """Note in the journal of sealed changes what the version is now; after each change."""
        self._keyring.seals.record(session, KIND, row.id, _sealed_state(row))

    def require_current(self, session: Session, row: ModelEntryRow) -> None:
        """Return if `row`, read in `session`, is in the state that it was brought into last.

        Raises:
            TamperedError: it is an older state, or one that the server did not write.
        """
        self._keyring.seals.require(session, KIND, row.id, _sealed_state(row))

    def is_current(self, session: Session, row: ModelEntryRow) -> bool:
        """Whether `require_current` would return."""
        try:
            self.require_current(session, row)
        except TamperedError:
            return False
        return True

    def is_same(self, row: ModelEntryRow, other: ModelEntryRow) -> bool:
        """Whether two readings of a version are of one state."""
        return _sealed_state(row) == _sealed_state(other)

    def require_files(self, session: Session, entry: str) -> None:
        """Return if the files of a version are those that were registered.

        Raises:
            TamperedError: they are others.
        """
        self._keyring.seals.require(session, FILES_KIND, entry, _files_digest(session, entry))

    def files_digest(self, session: Session, entry: str) -> str:
        """What the journal knows the registered files of a version by, in hex."""
        return _files_digest(session, entry)

    # ---- finding ----

    def find(self, session: Session, workspace: str, model: str, version: int) -> ModelEntryRow:
        """The row of a version. Raises NotFoundError."""
        row = session.scalar(
            select(ModelEntryRow).where(
                ModelEntryRow.workspace == workspace,
                ModelEntryRow.model == model,
                ModelEntryRow.version == version,
            )
        )
        if row is None:
            raise NotFoundError(f"no version {version} of model `{model}` in `{workspace}`")
        return row

    def files(self, session: Session, entry: str) -> list[ModelFileRow]:
        """Files of a version, by path."""
        found = session.scalars(
            select(ModelFileRow).where(ModelFileRow.entry == entry).order_by(ModelFileRow.path)
        )
        return list(found)

    def facts(self, session: Session, row: ModelEntryRow) -> dict[str, Any]:
        """The provenance of a version. Raises TamperedError, KeyUnavailableError."""
        key = self._keyring.object_key(
            session,
            row.workspace,
            row.id,
            row.facts_key,
            row.facts_key_version,
            purpose=_FACTS_PURPOSE,
        )
        opened = b"".join(open_stream(key, _facts_context(row.id), [row.facts]))
        facts: dict[str, Any] = json.loads(opened)
        return facts

    def shown_facts(self, session: Session, row: ModelEntryRow) -> dict[str, Any]:
        """The provenance as it may be shown and signed, see `Commitments`; raises as `facts`."""
        facts = self._commitments.facts(session, row.workspace, self.facts(session, row))
        facts.pop(registrants.FACT, None)
        return facts

    def registrants(self, session: Session, row: ModelEntryRow) -> frozenset[str]:
        """Accounts that stand behind the registration of a version; raises as `facts`.

        Raises:
            TamperedError: the row names somebody who did not register it.
        """
        return registrants.registrants_of(session, row, self.facts(session, row))

    def sources(self, session: Session, row: ModelEntryRow) -> list[DataSource]:
        """The data that a version was trained on, as it stands now; raises as `facts`."""
        return self._lineage.of(session, row.workspace, self.facts(session, row))

    def states(self, session: Session, entries: Sequence[str]) -> dict[str, Checked]:
        """How the checks of versions stand, by id; unknown ones are left out."""
        rows = session.scalars(select(ModelEntryRow).where(ModelEntryRow.id.in_(entries)))
        return {row.id: self._checked(session, row) for row in rows}

    def _checked(self, session: Session, row: ModelEntryRow) -> Checked:
        if not self.is_current(session, row):
            return Checked(CheckState.FAILED, "its state was changed outside the server")
        state = ModelState(row.state)
        if row.deleted_at is not None:
            return Checked(CheckState.FAILED, "its files were deleted")
        if state is ModelState.QUARANTINED:
            job = session.get(JobRow, row.job)
            if job is not None and job.state in (JobState.FAILED, JobState.CANCELLED):
                return Checked(CheckState.FAILED, f"the checks did not end: {job.error}")
            if job is not None and job.state == JobState.WAITING:
                return Checked(CheckState.PENDING, "its checks wait for space: the disk is full")
            return Checked(CheckState.PENDING)
        if state is ModelState.REJECTED:
            return Checked(CheckState.FAILED, row.reason)
        if state is ModelState.CHECKED and row.verdict != "clean":
            return Checked(CheckState.FAILED, row.reason)
        return Checked(CheckState.PASSED)

    def is_pending(self, session: Session, workspace: str, model: str, version: int) -> bool:
        """Whether there is such a version whose checks have yet to end."""
        try:
            row = self.find(session, workspace, model, version)
        except NotFoundError:
            return False
        return self._checked(session, row).state is CheckState.PENDING

    def unchecked(self, session: Session) -> list[ModelEntryRow]:
        """Quarantined versions whose job is over or lost, as a crash or a fault leaves them."""
        rows = session.scalars(
            select(ModelEntryRow).where(ModelEntryRow.state == ModelState.QUARANTINED)
        )
        found = []
        for row in rows:
            job = session.get(JobRow, row.job) if row.job else None
            if job is None or JobState(job.state).is_final:
                found.append(row)
        return found

    # ---- keys ----

    def rewrap(self, session: Session, workspace: str) -> int:
        """Bring the sealed facts of a workspace to its newest key version; how many changed."""
        rows = {
            row.id: row
            for row in session.scalars(
                select(ModelEntryRow).where(ModelEntryRow.workspace == workspace)
            )
        }
        rewrapped = self._keyring.rewrap(
            session,
            workspace,
            [(row.id, row.facts_key, row.facts_key_version) for row in rows.values()],
            purpose=_FACTS_PURPOSE,
        )
        for entry, wrapped, key_version in rewrapped:
            rows[entry].facts_key, rows[entry].facts_key_version = wrapped, key_version
        return len(rewrapped)


def seal_files(session: Session, seals: Seals, entry: str) -> None:
    """Note in the journal which files a version consists of."""
    session.flush()
    seals.record(session, FILES_KIND, entry, _files_digest(session, entry))


def unadopted_states(session: Session, seals: Seals) -> list[str]:
    """Ids of versions that were there before the journal of sealed changes was."""
    entries = session.scalars(select(ModelEntryRow.id).order_by(ModelEntryRow.id)).all()
    return [entry for entry in entries if seals.latest(session, KIND, entry) is None]


def adopt_states(session: Session, seals: Seals, entries: Sequence[str]) -> None:
    """Begin the journal with the states that versions had before there was one."""
    for entry in entries:
        row = session.get_one(ModelEntryRow, entry)
        seals.record(session, KIND, entry, _sealed_state(row))
        seal_files(session, seals, entry)


def _sealed_state(row: ModelEntryRow) -> str:
    """The state, and a digest of all that is decided by beside it."""
    parts = bind(
        "strongroom model state", 1, row.state, row.verdict, row.reason, row.digest,
        row.report or "", row.statement or "", row.onnx or "",
        sha256(row.approval or b"").hexdigest(),
        *([] if row.deleted_at is None else ["deleted"]),
    )  # fmt: skip
    return f"{row.state}/{sha256(parts).hexdigest()}"


def _files_digest(session: Session, entry: str) -> str:
    rows = session.execute(
        select(ModelFileRow.path, ModelFileRow.blob).where(ModelFileRow.entry == entry)
    ).all()
    # Sorted here: a database sorts by rules of its own.
    return sha256(b"".join(sorted(bind(path, blob) for path, blob in rows))).hexdigest()


def _facts_context(entry: str) -> bytes:
    return bind("strongroom model facts", 1, entry)


def checked_name(workspace: str, model: str, version: int) -> ModelReference:
    """The name of a version that may be registered.

    Raises:
        ValidationError: it could be taken for another, or holds what no name may.
    """
    # What is not printable, or of two spellings, could pass for another model's name.
    is_plain = model.isprintable() and model == unicodedata.normalize("NFC", model).strip()
    if not is_plain:
        raise ValidationError("a model's name holds nothing invisible, and no space at its ends")
    try:
        return ModelReference(workspace=workspace, name=model, version=version)
    except ValueError:
        raise ValidationError(
            "a model's name has 1 to 256 characters, none of them slash, colon or control"
        ) from None


def describe(row: ModelEntryRow, *, is_current: bool = True) -> ModelVersion:
    """A row as callers see it; `is_current` as `Registry.is_current` says."""
    return ModelVersion(
        workspace=row.workspace,
        name=row.model,
        version=row.version,
        state=ModelState(row.state),
        verdict=row.verdict,
        reason=row.reason,
        serving=Serving(row.serving),
        digest=row.digest,
        is_tampered=row.tampered_at is not None or not is_current,
        is_deleted=row.deleted_at is not None,
        registered_by=row.registered_by,
        registered_at=row.registered_at,
    )
