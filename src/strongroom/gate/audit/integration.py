"""Brings the tree up to the entries: tiles and a signed checkpoint over all of them.

An entry has its place in the log from the transaction that wrote it; here the tree catches up,
usually milliseconds later (ADR 0004). Whatever a crash leaves is entries that are not in the
tree yet, which is also what every run begins with, so there is no separate recovery.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from strongroom.engines.ledger.checkpoint import Checkpoint, LogKey, Sign
from strongroom.engines.ledger.hashing import EMPTY_ROOT
from strongroom.engines.ledger.proofs import consistency, verify_consistency
from strongroom.engines.ledger.tiles import ReadTile, RightEdge, TileName, node_reader
from strongroom.errors import TamperedError
from strongroom.gate.audit.tables import LogCheckpointRow, LogEntryRow, LogTileRow

MAX_STEP = 65_536
"""At most so many entries enter the tree in one transaction."""

_SECONDS_KEPT = 3600

# Each of these runs for every record, so they go to the driver as they stand: building them
# from expressions costs more than running them. Both dialects understand all of them.
_LAST_ENTRY = "SELECT max(leaf_index) FROM log_entries"
_LAST_CHECKPOINT = "SELECT max(size) FROM log_checkpoints"
_WRITE_TILE = (
    'INSERT INTO log_tiles (level, "index", hashes) VALUES (?, ?, ?) '
    'ON CONFLICT (level, "index") DO UPDATE SET hashes = excluded.hashes'
)
_FORGET_CHECKPOINT = "DELETE FROM log_checkpoints WHERE size = ? AND time >= ?"
_WRITE_CHECKPOINT = "INSERT INTO log_checkpoints (size, time, note) VALUES (?, ?, ?)"

Step = Callable[[str], None]
"""Called with the name of each durable step just before it; tests let the process die there."""


def run_driver(connection: Connection, statement: str, parameters: tuple[object, ...] = ()) -> Any:  # noqa: ANN401 # whatever the column holds
    """Run a statement of ours with `?` for parameters; what its first row begins with, if any.

    SQLite's driver is asked itself: all that SQLAlchemy does around a statement takes five times
    as long as such a statement.
    """
    if connection.dialect.paramstyle != "qmark":
        found = connection.exec_driver_sql(statement.replace("?", "%s"), parameters or None)
        return found.scalar() if found.returns_rows else None
    driver: Any = connection.connection.dbapi_connection
    try:
        cursor = driver.execute(statement, parameters)
        row = cursor.fetchone()
        cursor.close()
    except sqlite3.Error as error:
        # As SQLAlchemy has it, and without what the parameters hold.
        raise DBAPIError.instance(
            statement, None, error, sqlite3.Error, hide_parameters=True
        ) from error
    return None if row is None else row[0]


def tile_source(session: Session) -> ReadTile:
    """Reads tiles in the session's transaction."""

    def read(level: int, index: int) -> bytes:
        hashes = session.scalar(
            select(LogTileRow.hashes).where(LogTileRow.level == level, LogTileRow.index == index)
        )
        if hashes is None:
            raise TamperedError(
                f"the hash tile `{TileName(level, index).path}` is missing in the database"
            )
        return hashes

    return read


def latest_checkpoint(session: Session, key: LogKey) -> tuple[Checkpoint, bytes]:
    """The newest checkpoint, verified, and its signed note; an empty log has an empty note.

    Raises: TamperedError where it is not signed by the log's key.
    """
    row = session.execute(
        select(LogCheckpointRow.size, LogCheckpointRow.note)
        .order_by(LogCheckpointRow.size.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return Checkpoint(key.name, 0, EMPTY_ROOT), b""
    if not isinstance(row.note, bytes):
        # SQLite keeps what is written: text where bytes should be.
        raise TamperedError("the newest checkpoint was changed in the database")
    checkpoint = Checkpoint.open(row.note, [key])
    if checkpoint.size != row.size:
        raise TamperedError("the newest checkpoint was changed in the database")
    return checkpoint, row.note


class Integrator:
    """Lets the tree grow. Only the holder of a write session calls it, so it needs no lock."""

    def __init__(self, key: LogKey, sign: Sign, clock: Callable[[], float], step: Step) -> None:
        self._key = key
        self._sign = sign
        self._clock = clock
        self._step = step
        self._edge = RightEdge()
        self._checkpoint = Checkpoint(key.name, 0, EMPTY_ROOT)
        self._grown: tuple[RightEdge, Checkpoint] | None = None

    @property
    def checkpoint(self) -> Checkpoint:
        """The newest checkpoint that this process knows to be committed."""
        return self._checkpoint

    def next_index(self, connection: Connection) -> int:
        """The place of the next entry.

        Raises: TamperedError where entries are missing at the end.
        """
        last = run_driver(connection, _LAST_ENTRY)
        following: int = 0 if last is None else last + 1
        if following < self._checkpoint.size:
            raise TamperedError(
                f"the log has {following} entries in the database, {self._checkpoint.size} signed"
            )
        return following

    def load(self, session: Session) -> None:
        """Take over the tree as the database has it, after checking that it is ours.

        Raises: TamperedError where tiles and signed checkpoint differ, or where the tree does
            not begin with the one that this process knew before.
        """
        checkpoint, _ = latest_checkpoint(session, self._key)
        read = tile_source(session)
        edge = RightEdge.load(checkpoint.size, read)
        if edge.root() != checkpoint.root:
            raise TamperedError("the hash tiles in the database are not those that were signed")
        known = self._checkpoint
        if checkpoint.size < known.size:
            raise TamperedError(
                f"the log was cut off: {known.size} entries were signed, {checkpoint.size} are left"
            )
        proof = consistency(known.size, checkpoint.size, node_reader(checkpoint.size, read))
        verify_consistency(known.size, checkpoint.size, known.root, checkpoint.root, proof)
        self._edge, self._checkpoint = edge, checkpoint

    def integrate(self, session: Session, fresh: Sequence[bytes] = (), first: int = 0) -> bool:
        """Write tiles and a checkpoint over entries that are not in the tree yet.

        After the commit, and while no other may write yet, `committed` is to be called.

        Args:
            session: a write session; what is written becomes durable with its commit.
            fresh: leaf hashes of entries that this session has just inserted.
            first: place of the first of them.
        Returns: whether more entries wait for another transaction.
        """
        connection = session.connection()
        self._grown = None
        size = run_driver(connection, _LAST_CHECKPOINT) or 0
        if size != self._edge.size:
            # Another process let the tree grow, or this one has just begun.
            self.load(session)
        leaves = self._waiting(session, first if fresh else None)
        more = len(leaves) == MAX_STEP
        if not more:
            leaves.extend(fresh)
        if not leaves:
            return False
        edge, tiles = self._edge.extended(leaves)
        checkpoint = Checkpoint(self._key.name, edge.size, edge.root())
        self._step("tiles")
        for name, hashes in tiles.items():
            run_driver(connection, _WRITE_TILE, (*name, hashes))
        self._step("checkpoint")
        self._write_checkpoint(connection, checkpoint)
        self._grown = edge, checkpoint
        return more

    def committed(self) -> None:
        """What `integrate` wrote is durable."""
        if self._grown is not None:
            self._edge, self._checkpoint = self._grown
            self._grown = None

    def _waiting(self, session: Session, end: int | None) -> list[bytes]:
        """Leaf hashes of the entries past the tree, up to but without place `end`."""
        size = self._edge.size
        if end == size:
            return []
        query = select(LogEntryRow.leaf_index, LogEntryRow.leaf_hash).where(
            LogEntryRow.leaf_index >= size
        )
        if end is not None:
            query = query.where(LogEntryRow.leaf_index < end)
        rows = session.execute(query.order_by(LogEntryRow.leaf_index).limit(MAX_STEP)).all()
        whole = end is None or len(rows) in {end - size, MAX_STEP}
        if not whole or any(row.leaf_index != size + offset for offset, row in enumerate(rows)):
            raise TamperedError(f"an entry is missing in the database, at {size} or after")
        return [row.leaf_hash for row in rows]

    def _write_checkpoint(self, connection: Connection, checkpoint: Checkpoint) -> None:
        now = self._clock()
        # A crash between here and the commit leaves a signature over a tree that never came to
        # be; it has not left this process, since checkpoints are read from the database only.
        note = checkpoint.signed(self._key, self._sign)
        # Of each hour only the last checkpoint is kept.
        run_driver(
            connection, _FORGET_CHECKPOINT, (self._checkpoint.size, now - now % _SECONDS_KEPT)
        )
        run_driver(connection, _WRITE_CHECKPOINT, (checkpoint.size, now, note))
