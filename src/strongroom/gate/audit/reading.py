"""Reading the log: entries, receipts, proofs, the public tiles, and the check of it all."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from strongroom.engines.ledger.checkpoint import Checkpoint, LogKey
from strongroom.engines.ledger.hashing import HASH_BYTES
from strongroom.engines.ledger.proofs import consistency, inclusion
from strongroom.engines.ledger.receipt import Receipt
from strongroom.engines.ledger.tiles import (
    TILE_WIDTH,
    TileName,
    bundles_of,
    node_reader,
    pack_entries,
    tiles_of,
    width_in,
)
from strongroom.engines.ledger.verification import CHECKPOINT, OLDER, VerifiedLog, verify_log
from strongroom.errors import NotFoundError, TamperedError, ValidationError
from strongroom.gate.audit.integration import latest_checkpoint, tile_source
from strongroom.gate.audit.payload import Payload, StoredEntry
from strongroom.gate.audit.tables import (
    LogCheckpointRow,
    LogCosignatureRow,
    LogEntryRow,
    LogTileRow,
)
from strongroom.gate.audit.types import Event, Outcome
from strongroom.vault.database import Database

MAX_FOUND = 500

_COLUMNS = [getattr(LogEntryRow, name) for name in StoredEntry._fields]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which entries to find; None leaves a question open. Times are seconds since 1970, UTC.

    Attributes:
        resource: type and id.
        before: only entries at a smaller place in the log: the last one of the page before.
    """

    workspaces: tuple[str, ...] | None = None
    actor: str | None = None
    resource: tuple[str, str] | None = None
    action: str | None = None
    outcome: Outcome | None = None
    since: float | None = None
    until: float | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An entry as found: its place, its event and the very bytes in the log."""

    index: int
    event: Event
    entry: bytes


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """Proof that the log of `checkpoint_note` begins with the log at an older size."""

    old_size: int
    hashes: tuple[bytes, ...]
    checkpoint_note: bytes


class LogReader:
    """The reading half of the log."""

    def __init__(self, database: Database, payload: Payload, key: LogKey) -> None:
        self.key = key
        self._database = database
        self._payload = payload

    def integrate(self) -> Checkpoint:
        """Bring the tree up to all entries; the writing half does it."""
        raise NotImplementedError

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """A read session: one consistent state of the log."""
        with self._database.read() as session:
            yield session

    def entry(self, session: Session, index: int) -> LoggedEvent:
        """The entry at `index`.

        Raises: NotFoundError; TamperedError where it was changed in the database.
        """
        row = session.execute(
            select(*_COLUMNS).where(LogEntryRow.leaf_index == index)
        ).one_or_none()
        if row is None:
            raise NotFoundError(f"the log has no entry `{index}`")
        return self.logged(StoredEntry._make(row))

    def search(self, session: Session, filters: Filters, limit: int = 100) -> list[LoggedEvent]:
        """The newest entries that pass all `filters`, newest first.

        Raises: ValidationError unless 1 <= limit <= 500.
        """
        if not 1 <= limit <= MAX_FOUND:
            raise ValidationError(f"`limit` must be from 1 to {MAX_FOUND}")
        query = self._filtered(filters).order_by(LogEntryRow.leaf_index.desc()).limit(limit)
        rows = session.execute(query).all()
        return [self.logged(StoredEntry._make(row)) for row in rows]

    def _filtered(self, filters: Filters) -> Select[*tuple[Any, ...]]:
        query = select(*_COLUMNS)
        if filters.workspaces is not None:
            query = query.where(LogEntryRow.workspace.in_(filters.workspaces))
        if filters.actor is not None:
            query = query.where(LogEntryRow.actor_tag == self._payload.actor_tag(filters.actor))
        if filters.resource is not None:
            tag = self._payload.resource_tag(*filters.resource)
            query = query.where(LogEntryRow.resource_tag == tag)
        if filters.action is not None:
            query = query.where(LogEntryRow.action == filters.action)
        if filters.outcome is not None:
            query = query.where(LogEntryRow.outcome == filters.outcome.value)
        if filters.since is not None:
            query = query.where(LogEntryRow.time >= filters.since)
        if filters.until is not None:
            query = query.where(LogEntryRow.time < filters.until)
        if filters.before is not None:
            query = query.where(LogEntryRow.leaf_index < filters.before)
        return query

    def logged(self, row: StoredEntry) -> LoggedEvent:
        """The entry of a row. Raises TamperedError where it was changed."""
        event, entry = self._payload.read(row)
        return LoggedEvent(row.leaf_index, event, entry)

    def receipt(self, index: int) -> Receipt:
        """Proof that the entry at `index` is in the log, for anyone with the log's key.

        Raises: NotFoundError; TamperedError where the entry or the tree was changed.
        """
        with self._database.read() as session:
            size = latest_checkpoint(session, self.key)[0].size
        if index >= size:
            self.integrate()
        with self._database.read() as session:
            logged = self.entry(session, index)
            checkpoint, note = self._vouching(session, index)
            nodes = node_reader(checkpoint.size, tile_source(session))
            proof = tuple(inclusion(index, checkpoint.size, nodes))
        receipt = Receipt(index, logged.entry, proof, note)
        # What we hand out must convince others, so it must convince us first.
        receipt.verify([self.key])
        return receipt

    def _vouching(self, session: Session, index: int) -> tuple[Checkpoint, bytes]:
        """The checkpoint for a receipt: one that witnesses cosigned, where it has the entry."""
        rows = session.execute(
            select(LogCosignatureRow.size, LogCosignatureRow.note)
            .where(LogCosignatureRow.size > index)
            .order_by(LogCosignatureRow.size.desc())
        ).all()
        if not rows:
            return latest_checkpoint(session, self.key)
        checkpoint = Checkpoint.open(rows[0].note, [self.key])
        head, _, _ = rows[0].note.rpartition(b"\n\n")
        lines: dict[bytes, None] = {}
        for size, note in rows:
            if size == rows[0].size and note.rpartition(b"\n\n")[0] == head:
                lines |= dict.fromkeys(note.rpartition(b"\n\n")[2].splitlines(keepends=True))
        return checkpoint, head + b"\n\n" + b"".join(lines)

    def consistency(self, old_size: int) -> ConsistencyProof:
        """Proof that the log now begins with what it was at `old_size`.

        Raises: ValidationError where the log was never that large.
        """
        with self._database.read() as session:
            checkpoint, note = latest_checkpoint(session, self.key)
            if not 0 <= old_size <= checkpoint.size:
                raise ValidationError(f"the log has {checkpoint.size} entries, not `{old_size}`")
            nodes = node_reader(checkpoint.size, tile_source(session))
            return ConsistencyProof(
                old_size, tuple(consistency(old_size, checkpoint.size, nodes)), note
            )

    def consistency_to(self, old_size: int, size: int) -> tuple[bytes, ...]:
        """Proof that the log at `size` begins with the log at `old_size`; both may be past.

        Raises: ValidationError where the log was never that large.
        """
        with self._database.read() as session:
            newest, _ = latest_checkpoint(session, self.key)
            if not 0 <= old_size <= size <= newest.size:
                raise ValidationError(f"the log has {newest.size} entries, not `{size}`")
            if old_size == 0:
                return ()
            return tuple(consistency(old_size, size, node_reader(size, tile_source(session))))

    def public_checkpoint(self) -> bytes:
        """The newest signed checkpoint, for `/log/checkpoint`.

        Raises: NotFoundError while the log is empty.
        """
        with self._database.read() as session:
            _, note = latest_checkpoint(session, self.key)
        if not note:
            raise NotFoundError("the log is empty")
        return note

    def public_tile(self, path: str) -> bytes:
        """A tile of hashes, for `/log/tile/…`; entries are not public.

        Args:
            path: from `tile/` on, e.g. `tile/0/x001/234` or `tile/1/000.p/17`.
        Raises: NotFoundError where there is no such tile in the newest checkpoint's tree.
        """
        missing = NotFoundError("the log has no such tile")
        try:
            name = TileName.parse(path)
        except ValueError:
            raise missing from None
        with self._database.read() as session:
            size = latest_checkpoint(session, self.key)[0].size
            if name.level < 0 or width_in(name.level, name.index, size) < name.width:
                raise missing
            return tile_source(session)(name.level, name.index)[: name.width * HASH_BYTES]

    def verify_live(self, known: Sequence[bytes] = ()) -> VerifiedLog:
        """Verify every entry, tile and checkpoint in the database.

        Args:
            known: signed checkpoints seen earlier, against forks and truncation.
        Raises: TamperedError; its message names what differs.
        """
        with self._database.read() as session:
            return self.verify(session, known)

    def verify(self, session: Session, known: Sequence[bytes] = ()) -> VerifiedLog:
        """`verify_live` of what `session` sees."""
        checkpoint, note = latest_checkpoint(session, self.key)
        if not note:
            return VerifiedLog(checkpoint, ())
        return verify_log(self.source(session), [self.key], known=known)

    def newest(self, session: Session) -> Checkpoint:
        """The newest checkpoint in the database. Raises TamperedError where it is not signed."""
        return latest_checkpoint(session, self.key)[0]

    def source(
        self, session: Session, workspaces: frozenset[str] | None = None
    ) -> "DatabaseSource":
        """The log in the session's snapshot; only entries of `workspaces`, where given."""
        return DatabaseSource(session, self._payload, workspaces)

    def check_recent(self, session: Session) -> None:
        """Compare the entries of the last tile with the hashes in the tree.

        Raises: TamperedError where one differs or is missing.
        """
        checkpoint, _ = latest_checkpoint(session, self.key)
        if not checkpoint.size:
            return
        source = self.source(session)
        index = (checkpoint.size - 1) // TILE_WIDTH
        bundle = TileName(-1, index, width_in(0, index, checkpoint.size))
        source.bundle(bundle, must_match=True)


class DatabaseSource:
    """The log in the database, as the verifier reads it; entries are opened on the way.

    With `workspaces`, an empty entry stands in the place of each one of another workspace.
    """

    def __init__(
        self, session: Session, payload: Payload, workspaces: frozenset[str] | None
    ) -> None:
        self._session = session
        self._payload = payload
        self._workspaces = workspaces
        self._read_tile = tile_source(session)

    @property
    def older_sizes(self) -> Sequence[int]:
        """Sizes of the checkpoints before the newest."""
        sizes = self._session.scalars(
            select(LogCheckpointRow.size).order_by(LogCheckpointRow.size)
        ).all()
        return sizes[:-1]

    def require_exactly(self, size: int) -> None:
        """Raise unless the database has the entries and tiles of a log of `size` entries."""
        entries = self._session.scalar(
            select(func.count()).select_from(LogEntryRow).where(LogEntryRow.leaf_index < size)
        )
        if entries != size:
            raise TamperedError(f"{size} entries were signed, the database has {entries}")
        tiles = self._session.scalar(select(func.count()).select_from(LogTileRow))
        if tiles != (expected := sum(1 for _ in tiles_of(size))):
            raise TamperedError(f"the database has {tiles} hash tiles, not {expected}")

    def note(self, name: str) -> bytes:
        """The newest checkpoint, or `checkpoints/<size>`."""
        query = select(LogCheckpointRow.note).order_by(LogCheckpointRow.size.desc()).limit(1)
        if name != CHECKPOINT:
            query = query.where(LogCheckpointRow.size == int(name.removeprefix(OLDER)))
        note = self._session.scalar(query)
        if note is None:
            raise NotFoundError("the log is empty")
        return note

    def tile(self, name: TileName) -> bytes:
        """The hashes of one tile, with whatever else stands in its row."""
        return self._read_tile(name.level, name.index)

    def bundles(self, size: int) -> Iterator[tuple[TileName, bytes, bytes]]:
        """Each bundle, with the level 0 tile over it."""
        for name in bundles_of(size):
            entries = self.bundle(name)
            yield name, pack_entries(entries), self._read_tile(0, name.index)

    def bundle(self, name: TileName, *, must_match: bool = False) -> list[bytes]:
        """The entries of one bundle.

        Raises: TamperedError where one is missing or was changed; with `must_match`, also
            where one is not what the hash tile says.
        """
        first = name.index * TILE_WIDTH
        rows = self._session.execute(
            select(*_COLUMNS)
            .where(LogEntryRow.leaf_index >= first, LogEntryRow.leaf_index < first + name.width)
            .order_by(LogEntryRow.leaf_index)
        ).all()
        if len(rows) != name.width:
            raise TamperedError(
                f"an entry from {first} to {first + name.width - 1} is missing in the database"
            )
        tile = self._read_tile(0, name.index) if must_match else b""
        entries = []
        for offset, row in enumerate(map(StoredEntry._make, rows)):
            if self._workspaces is not None and row.workspace not in self._workspaces:
                entries.append(b"")
                continue
            entries.append(self._payload.read(row)[1])
            at = offset * HASH_BYTES
            if must_match and tile[at : at + HASH_BYTES] != row.leaf_hash:
                raise TamperedError(
                    f"entry {row.leaf_index} of the log was changed in the database"
                )
        return entries
