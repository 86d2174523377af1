"""Sealed objects: written as a stream, visible by a row, read in any range.

`put` seals, hashes and syncs the bytes and gives a `StagedBlob` that nobody else can see.
`commit` adds its row in the caller's transaction: with that commit the blob exists.

    with store.put(workspace, "artifact", chunks) as staged, database.write() as session:
        info = store.commit(session, staged)

What a crash leaves:
    during `put`, or before the commit  -> a file without a row, removed by the next sweep
    after the commit                    -> the whole blob
    after a committed `delete`          -> at worst the file, removed by the next sweep

The row keeps key, digest and sizes wrapped together under the workspace key. So the digest of
the plaintext, by which a guess could be confirmed, is not readable at rest, and a size or a
digest changed in the database is noticed.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from strongroom.engines.crypto.floe import BytesLike, Sealer, sealed_views
from strongroom.errors import (
    NotFoundError,
    StrongroomError,
    TamperedError,
    TooLargeError,
    TruncatedError,
    UnavailableError,
)
from strongroom.vault.blob_reading import BlobInfo, BlobReader, OpenedBlob, Sealing, associated_data
from strongroom.vault.blob_writing import BlobDraft, HashedChunks, StagedBlob
from strongroom.vault.database import Base, Database
from strongroom.vault.durable import on_commit, on_end
from strongroom.vault.folders import Download, is_id, open_folder
from strongroom.vault.keys import Keyring

_DEFAULT_MAX_BYTES = 64 << 30
_PURPOSE = "blob"
_RECORD_LENGTH = 32 + 32 + 8 + 8
_REWRAP_BATCH = 5_000


class BlobRow(Base):
    """A blob that exists. `wrapped` holds its key, digest and sizes."""

    __tablename__ = "blobs"

    id: Mapped[str] = mapped_column(primary_key=True)
    workspace: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]
    sealing: Mapped[str]
    wrapped: Mapped[bytes]
    kek_version: Mapped[int]
    size: Mapped[int]
    sealed_size: Mapped[int]
    created_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep did and found.

    Attributes:
        removed: ids of leftovers that were removed.
        missing: ids of rows whose bytes are gone.
        changed: ids of rows whose bytes have another length than they were sealed with.
    """

    removed: tuple[str, ...]
    missing: tuple[str, ...]
    changed: tuple[str, ...]


class BlobStore:
    """All blobs of one server; safe to share between threads.

    Args:
        location: a local folder, or the URL of an object store.
        keyring: gives the workspace keys.
        database: for leases and sweeps; rows are written in the callers' own sessions.
        max_bytes: plaintext bytes of one blob.
        reserve_bytes: of a local disk, never filled with blobs.
        now: the time, aware of its zone.
    """

    def __init__(
        self,
        location: Path | str,
        keyring: Keyring,
        database: Database,
        *,
        max_bytes: int = _DEFAULT_MAX_BYTES,
        reserve_bytes: int = 0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.folder = open_folder(location, reserve_bytes)
        self.max_bytes = max_bytes
        self._keyring = keyring
        self._database = database
        self._now = now

    @property
    def database(self) -> Database:
        """Where the rows of the blobs are."""
        return self._database

    # ---- writing ----

    def create(self, workspace: str, kind: str, *, sealing: Sealing = "floe-1") -> BlobDraft:
        """Begin a blob whose bytes the caller seals with the draft's key.

        Raises:
            KeyUnavailableError, NotFoundError: the workspace's key may not be used.
        """
        with self._database.read() as session:
            self._keyring.require_enabled(session, workspace)
        return BlobDraft(
            self.folder,
            workspace,
            kind,
            sealing,
            max_bytes=self.max_bytes,
            settle=self.settle,
        )

    def put(
        self,
        workspace: str,
        kind: str,
        chunks: Iterable[BytesLike],
        *,
        expected_size: int | None = None,
    ) -> StagedBlob:
        """Seal a stream; on return its bytes are on the disk, and nobody sees them yet.

        Args:
            workspace: whose key seals it.
            kind: what it holds, a word of the caller's room.
            chunks: the plaintext in pieces of any size; an exception of theirs passes through.
            expected_size: total bytes, where the sender announced it.

        Raises:
            TruncatedError, TooLargeError: fewer or more bytes than announced or allowed.
            StorageFullError, UnavailableError: they cannot be stored.
            KeyUnavailableError, NotFoundError: the workspace's key may not be used.
        In every case nothing is left behind.
        """
        limit = self.max_bytes if expected_size is None else min(expected_size, self.max_bytes)
        if expected_size is not None and expected_size > self.max_bytes:
            raise TooLargeError(f"a blob may have {self.max_bytes} bytes")
        draft = self.create(workspace, kind)
        try:
            hashed = HashedChunks(chunks, limit)
            sealer = Sealer(draft.key, draft.associated_data)
            # Closing ends the hashing thread also when a write fails.
            with closing(sealed_views(sealer, hashed)) as views:
                for view in views:
                    draft.write(view)
            if expected_size is not None and hashed.size < expected_size:
                raise TruncatedError(
                    f"the upload ended after {hashed.size} of {expected_size} bytes"
                )
            return draft.finish(hashed.size, hashed.digest())
        except BaseException:
            draft.discard()
            raise

    def commit(self, session: Session, staged: StagedBlob) -> BlobInfo:
        """Add the row; when the caller's transaction commits, the blob exists.

        Raises:
            KeyUnavailableError, NotFoundError: the key was disabled or destroyed meanwhile.
        """
        record = (
            staged.key
            + bytes.fromhex(staged.sha256)
            + staged.size.to_bytes(8, "big")
            + staged.sealed_size.to_bytes(8, "big")
        )
        wrapped, version = self._keyring.wrap(
            session, staged.workspace, staged.id, record, purpose=_PURPOSE
        )
        row = BlobRow(
            id=staged.id,
            workspace=staged.workspace,
            kind=staged.kind,
            sealing=staged.sealing,
            wrapped=wrapped,
            kek_version=version,
            size=staged.size,
            sealed_size=staged.sealed_size,
            created_at=self._now(),
        )
        session.add(row)
        session.flush()
        staged.is_pending = True
        # Only then: a sweep takes an unlocked file without a row for a leftover.
        on_commit(session, staged.upload.release)
        on_end(session, lambda: self._ended(staged))
        return _info(row, staged.sha256)

    def discard(self, staged: StagedBlob) -> None:
        """Remove a staged blob that will not be committed."""
        staged.upload.discard()

    def settle(self, staged: StagedBlob) -> None:
        """Keep a staged blob if its row is committed, else remove it."""
        if staged.id in self._known([staged.id]):
            staged.upload.release()
        else:
            staged.upload.discard()

    def _ended(self, staged: StagedBlob) -> None:
        staged.is_pending = False
        if staged.is_left:
            self.settle(staged)

    # ---- reading ----

    def info(self, session: Session, blob_id: str) -> BlobInfo:
        """What a blob is. Raises as `open`, but does not look at the bytes."""
        row = self._row(session, blob_id)
        return _info(row, self._record(session, row)[1])

    def open(self, session: Session, blob_id: str) -> BlobReader:
        """Open a blob for reading; the session is not needed afterwards.

        Raises:
            NotFoundError: no such blob.
            TamperedError: row or bytes are not what was stored.
            KeyUnavailableError: the workspace's key is disabled or destroyed.
        """
        opened = self.unseal(session, blob_id)
        if opened.sealing != "floe-1":
            raise TamperedError("the blob is sealed in another way")
        return BlobReader(opened)

    def unseal(self, session: Session, blob_id: str) -> OpenedBlob:
        """The key of a blob and its sealed bytes, for whoever opens them. Raises as `open`."""
        row = self._row(session, blob_id)
        key, digest = self._record(session, row)
        try:
            download = self.folder.open(row.id)
        except TamperedError:
            raise self.missing(row.id) from None
        if download.size != row.sealed_size:
            download.close()
            raise TamperedError(f"the blob `{row.id}` has another length than was sealed")
        return OpenedBlob(
            info=_info(row, digest),
            key=key,
            sealing="floe-1" if row.sealing == "floe-1" else "parquet-1",
            associated_data=associated_data(row.workspace, row.id, row.kind),
            download=download,
            lease=self._keyring.lease(row.workspace, self._database.read),
        )

    def missing(self, blob_id: str) -> StrongroomError:
        """Why the bytes of a blob are not there, whose row the caller's snapshot still shows.

        Deleting takes the row first: where it is there now, the bytes were taken by someone else.
        """
        if blob_id in self._known([blob_id]):
            return TamperedError("the bytes of the object are missing")
        return NotFoundError("the object was deleted meanwhile")

    def open_staged(self, staged: StagedBlob) -> BlobReader:
        """Read a blob that its writer has not committed, and perhaps never will."""
        if staged.sealing != "floe-1":
            raise ValueError("the staged blob is sealed in another way")
        opened = OpenedBlob(
            info=BlobInfo(
                staged.id,
                staged.workspace,
                staged.kind,
                staged.size,
                staged.sealed_size,
                staged.sha256,
                self._now(),
            ),
            key=staged.key,
            sealing="floe-1",
            associated_data=associated_data(staged.workspace, staged.id, staged.kind),
            download=self.folder.open(staged.id),
            lease=self._keyring.lease(staged.workspace, self._database.read),
        )
        return BlobReader(opened)

    def verify(self, session: Session, blob_id: str) -> BlobInfo:
        """Read every byte and compare with what was stored. Raises as `open`."""
        opened = self.unseal(session, blob_id)
        try:
            if opened.sealing == "floe-1":
                chunks: Iterator[BytesLike] = BlobReader(opened).chunks()
            else:
                chunks = _sealed_chunks(opened.download)
            hasher, size = sha256(), 0
            for chunk in chunks:
                hasher.update(chunk)
                size += len(chunk)
        finally:
            opened.download.close()
        if size != opened.info.size or hasher.hexdigest() != opened.info.sha256:
            raise TamperedError(f"the blob `{blob_id}` is not what was stored")
        return opened.info

    # ---- keeping house ----

    def delete(self, session: Session, blob_id: str) -> None:
        """Delete the row now and the bytes once the transaction is committed."""
        row = self._row(session, blob_id)
        session.delete(row)
        session.flush()
        # A crash or an error between commit and this leaves bytes whose key is gone.
        on_commit(session, lambda: self._remove(blob_id))

    def _remove(self, blob_id: str) -> None:
        # The row is gone for good, so the caller has succeeded whatever happens to the bytes.
        with suppress(UnavailableError):
            self.folder.delete(blob_id)

    def sweep(self) -> SweepReport:
        """Take leftovers of crashes away, and tell which rows have lost or changed bytes.

        They go to the trash (`vault/trash.py`), and come back where a row names them after all.
        Not inside a write of the same thread: it must see what others have committed.
        """
        removed = self.folder.sweep(self._known)
        with self._database.read() as session:
            expected = {
                row.id: row.sealed_size
                for row in session.execute(select(BlobRow.id, BlobRow.sealed_size))
            }
        sizes = dict(self.folder.sizes())
        # A row whose id is none of ours was written by another hand: nothing can be under it.
        absent = [name for name in expected.keys() - sizes.keys() if is_id(name)]
        if self.folder.take_back(sorted(absent)):
            sizes = dict(self.folder.sizes())
        missing = sorted(self._known(sorted(expected.keys() - sizes.keys())))
        changed = sorted(
            name for name, size in expected.items() if name in sizes and sizes[name] != size
        )
        return SweepReport(tuple(removed), tuple(missing), tuple(changed))

    def rewrap(self, session: Session, workspace: str) -> int:
        """Bring every blob key of a workspace to its newest key version; how many changed."""
        changed = 0
        after = ""
        while True:
            rows = session.execute(
                select(BlobRow.id, BlobRow.wrapped, BlobRow.kek_version)
                .where(BlobRow.workspace == workspace, BlobRow.id > after)
                .order_by(BlobRow.id)
                .limit(_REWRAP_BATCH)
            ).all()
            if not rows:
                return changed
            after = rows[-1].id
            rewrapped = self._keyring.rewrap(
                session,
                workspace,
                [(r.id, r.wrapped, r.kek_version) for r in rows],
                purpose=_PURPOSE,
            )
            if rewrapped:
                session.execute(
                    update(BlobRow),
                    [
                        {"id": blob_id, "wrapped": wrapped, "kek_version": version}
                        for blob_id, wrapped, version in rewrapped
                    ],
                )
            changed += len(rewrapped)

    # ---- rows ----

    def _known(self, ids: list[str]) -> set[str]:
        """Those of the ids that have a committed row now."""
        known: set[str] = set()
        with self._database.read() as session:
            for start in range(0, len(ids), 500):
                some = ids[start : start + 500]
                known.update(session.scalars(select(BlobRow.id).where(BlobRow.id.in_(some))))
        return known

    def _row(self, session: Session, blob_id: str) -> BlobRow:
        row = session.get(BlobRow, blob_id)
        if row is None:
            raise NotFoundError(f"no blob `{blob_id[:64]}`")
        return row

    def _record(self, session: Session, row: BlobRow) -> tuple[bytes, str]:
        """Key and SHA-256 of a row; its sizes are compared with those that were wrapped."""
        record = self._keyring.unwrap(
            session, row.workspace, row.id, row.wrapped, row.kek_version, purpose=_PURPOSE
        )
        sizes = row.size.to_bytes(8, "big") + row.sealed_size.to_bytes(8, "big")
        if len(record) != _RECORD_LENGTH or record[64:] != sizes:
            raise TamperedError(f"the row of the blob `{row.id}` was changed")
        return record[:32], record[32:64].hex()


def _sealed_chunks(download: Download) -> Iterator[bytes | memoryview]:
    for offset in range(0, download.size, 1 << 20):
        yield download.read_range(offset, 1 << 20)


def _info(row: BlobRow, digest: str) -> BlobInfo:
    return BlobInfo(
        id=row.id,
        workspace=row.workspace,
        kind=row.kind,
        size=row.size,
        sealed_size=row.sealed_size,
        sha256=digest,
        created_at=row.created_at,
    )
