"""Imports that are under way: what was announced, and what has come of it.

An import is a row, a sealed manifest and a sealed blob for each file that has come. Nothing of it
is a model version before it is finished. What a crash leaves:
    while a file is sent       -> bytes without a row, removed by the sweep of blobs
    after a file's commit      -> that file need not be sent again
    after the last transaction -> the version
An import into which nothing has come for a day is swept, with its files.
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from threading import Lock

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from strongroom.errors import ConflictError, NotFoundError, TamperedError
from strongroom.services.models.import_manifest import MAX_FILE_BYTES, read_manifest
from strongroom.services.models.statements import ManifestFile
from strongroom.services.models.tables import ModelImportFileRow, ModelImportRow
from strongroom.vault.blob_writing import StagedBlob
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database

MANIFEST_KIND = "model-import"
LIFE = timedelta(days=1)
"""Of an import, counted from the last that came of a file."""
MAX_OPEN = 16
"""Imports that one person has under way in one workspace."""
_TOUCHED_EVERY = timedelta(hours=1)
_MANIFESTS_HELD = 4
_SWEPT_AT_ONCE = 2_000
"""Files, in one transaction."""


class Uploads:
    """Rows of imports; each is its beginner's own, and not there for anybody else."""

    def __init__(self, blobs: BlobStore, now: Callable[[], datetime]) -> None:
        self._blobs = blobs
        self._now = now
        self._manifests: OrderedDict[str, Mapping[str, ManifestFile]] = OrderedDict()
        self._lock = Lock()

    # ---- finding ----

    def find(
        self, session: Session, workspace: str, model: str, by: str, upload: str
    ) -> ModelImportRow:
        """An import of that person into that model. Raises NotFoundError."""
        row = session.get(ModelImportRow, upload)
        if (
            row is None
            or (row.workspace, row.model, row.begun_by) != (workspace, model, by)
            or self.expires_at(row) <= self._now()
        ):
            raise NotFoundError(
                "there is no such import of yours, or nothing came into it for a day",
                next_step="begin it again",
            )
        return row

    def same(
        self, session: Session, workspace: str, model: str, by: str, digest: str
    ) -> ModelImportRow | None:
        """The newest import of that person with that manifest, if there is one."""
        for row in reversed(self.of(session, workspace, by)):
            if row.model == model and self._blobs.info(session, row.manifest).sha256 == digest:
                return row
        return None

    def of(self, session: Session, workspace: str, by: str) -> list[ModelImportRow]:
        """Imports of a person, finished or not, the oldest first."""
        found = session.scalars(
            select(ModelImportRow)
            .where(
                ModelImportRow.begun_by == by,
                ModelImportRow.workspace == workspace,
                ModelImportRow.touched_at > self._now() - LIFE,
            )
            .order_by(ModelImportRow.begun_at, ModelImportRow.id)
        )
        return list(found)

    def expires_at(self, row: ModelImportRow) -> datetime:
        """When an import is swept unless something comes."""
        return row.touched_at + LIFE

    def digest(self, session: Session, row: ModelImportRow) -> str:
        """Of the manifest, in hex. Raises TamperedError, KeyUnavailableError."""
        return self._blobs.info(session, row.manifest).sha256

    def files(self, session: Session, row: ModelImportRow) -> Mapping[str, ManifestFile]:
        """What was announced, by path in order. Raises as `BlobStore.open`."""
        with self._lock:
            if (known := self._manifests.get(row.manifest)) is not None:
                self._manifests.move_to_end(row.manifest)
                return known
        with self._blobs.open(session, row.manifest) as reader:
            text = b"".join(reader.chunks()).decode()
        found = {file.path: file for file in read_manifest(text, MAX_FILE_BYTES)}
        with self._lock:
            self._manifests[row.manifest] = found
            while len(self._manifests) > _MANIFESTS_HELD:
                self._manifests.popitem(last=False)
        return found

    def sent(self, session: Session, row: ModelImportRow) -> dict[str, str]:
        """Blobs that have come, by path."""
        found = session.execute(
            select(ModelImportFileRow.path, ModelImportFileRow.blob).where(
                ModelImportFileRow.upload == row.id
            )
        )
        return {row.path: row.blob for row in found}

    def count(self, session: Session, row: ModelImportRow) -> int:
        """How many files have come."""
        query = select(func.count()).where(ModelImportFileRow.upload == row.id)
        return session.scalar(query) or 0

    # ---- changing ----

    def begin(
        self, session: Session, workspace: str, model: str, by: str, manifest: StagedBlob
    ) -> ModelImportRow:
        """Take down what will come.

        Raises:
            ConflictError: the person has too many imports under way.
        """
        under_way = [row for row in self.of(session, workspace, by) if not row.version]
        if len(under_way) >= MAX_OPEN:
            raise ConflictError(
                f"you have {MAX_OPEN} imports under way",
                next_step="finish one, or give one up: `strongroom model imports`, "
                "`strongroom model drop-import`",
            )
        now = self._now()
        row = ModelImportRow(
            id=f"imp_{secrets.token_hex(12)}", workspace=workspace, model=model, begun_by=by,
            begun_at=now, touched_at=now, manifest=self._blobs.commit(session, manifest).id,
            version=0,
        )  # fmt: skip
        session.add(row)
        session.flush()
        return row

    def add(self, session: Session, row: ModelImportRow, path: str, file: StagedBlob) -> None:
        """Take a file in, unless it came meanwhile by another way."""
        row.touched_at = self._now()
        if session.get(ModelImportFileRow, (row.id, path)) is not None:
            return
        blob = self._blobs.commit(session, file).id
        session.add(ModelImportFileRow(upload=row.id, path=path, blob=blob))
        session.flush()

    def kept_alive(
        self, database: Database, upload: str, pieces: Iterable[bytes]
    ) -> Iterator[bytes]:
        """Pieces of a file as they come; one that takes longer than a day is not swept meanwhile.

        Not inside a write of the same thread.
        """
        touched_at = self._now()
        for piece in pieces:
            if self._now() - touched_at >= _TOUCHED_EVERY:
                touched_at = self._now()
                with database.write() as session:
                    row = session.get(ModelImportRow, upload)
                    # What was given up meanwhile does not come to life again.
                    if row is not None and self.expires_at(row) > touched_at:
                        row.touched_at = touched_at
            yield piece

    def require_as_announced(
        self, session: Session, sent: Mapping[str, str], files: Mapping[str, ManifestFile]
    ) -> None:
        """Return if each blob that has come is the file of its path.

        Raises:
            TamperedError: one is another.
        """
        for path, blob in sent.items():
            expected, info = files.get(path), self._blobs.info(session, blob)
            if expected is None or (info.sha256, info.size) != (expected.sha256, expected.size):
                raise TamperedError(f"the file `{path}` of the import is not what was sent")

    def finish(self, session: Session, row: ModelImportRow, version: int) -> None:
        """It became a version, which holds its files from now on."""
        session.execute(delete(ModelImportFileRow).where(ModelImportFileRow.upload == row.id))
        row.version, row.touched_at = version, self._now()
        session.flush()

    def drop(self, session: Session, row: ModelImportRow) -> None:
        """Give an import up: nobody finds it any more, and `sweep` deletes what came."""
        row.touched_at = self._now() - LIFE
        session.flush()

    def sweep(self, session: Session) -> bool:
        """Delete a part of what is over; whether there was anything.

        Only so much that no other writer waits long for this transaction.
        """
        row = session.scalars(
            select(ModelImportRow)
            .where(ModelImportRow.touched_at <= self._now() - LIFE)
            .order_by(ModelImportRow.touched_at)
            .limit(1)
        ).first()
        if row is None:
            return False
        files = session.scalars(
            select(ModelImportFileRow)
            .where(ModelImportFileRow.upload == row.id)
            .limit(_SWEPT_AT_ONCE)
        ).all()
        blobs = [file.blob for file in files]
        for file in files:
            session.delete(file)
        session.flush()
        if len(files) < _SWEPT_AT_ONCE:
            blobs.append(row.manifest)
            session.delete(row)
            session.flush()
        for blob in blobs:
            with suppress(NotFoundError):
                self._blobs.delete(session, blob)
        return True
