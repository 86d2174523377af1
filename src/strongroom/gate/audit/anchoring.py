"""Is this database the one that was anchored, or an earlier copy of it?"""

from datetime import UTC, datetime
from hmac import compare_digest

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from strongroom.engines.ledger.checkpoint import Checkpoint, LogKey
from strongroom.engines.ledger.proofs import consistency, verify_consistency
from strongroom.engines.ledger.tiles import node_reader
from strongroom.errors import RolledBackError, TamperedError
from strongroom.gate.audit.integration import latest_checkpoint, tile_source
from strongroom.gate.audit.tables import LogCheckpointRow
from strongroom.vault.anchor import Anchor
from strongroom.vault.seals import SealChangeRow, Seals


def require_growth(session: Session, key: LogKey, older: Checkpoint) -> Checkpoint:
    """The newest checkpoint, after a proof that its log begins with that of `older`.

    Raises:
        RolledBackError: the log is shorter, or another one.
    """
    newest, _ = latest_checkpoint(session, key)
    if newest.size < older.size:
        raise RolledBackError(
            f"the database has {newest.size} signed log entries, {older.size} were anchored: "
            f"the last {older.size - newest.size} are lost"
        )
    read = node_reader(newest.size, tile_source(session))
    try:
        proof = consistency(older.size, newest.size, read)
        verify_consistency(older.size, newest.size, older.root, newest.root, proof)
    except TamperedError:
        raise RolledBackError(
            f"the first {older.size} entries of the log are not those that were anchored"
        ) from None
    return newest


def require_journal(session: Session, seals: Seals, anchor: Anchor) -> None:
    """Return if the journal of sealed changes has all that `anchor` says.

    Raises:
        RolledBackError: lines are missing, or are others.
    """
    try:
        head = seals.load(session, at=anchor.seals.length)
        is_same = compare_digest(head.mac, anchor.seals.mac)
    except TamperedError:
        is_same = False
    if not is_same:
        lines = session.scalar(select(func.max(SealChangeRow.position))) or 0
        # The log cannot be opened yet, so this size is only what the rows say.
        size = session.scalar(select(func.max(LogCheckpointRow.size))) or 0
        raise RolledBackError(
            f"the database has {size} of {anchor.log.size} log entries and {lines} of "
            f"{anchor.seals.length} sealed changes, or others (anchored {_when(anchor)})"
        )


def require_anchored(session: Session, key: LogKey, seals: Seals, anchor: Anchor) -> None:
    """Return if the database holds all that `anchor` says, and perhaps more.

    Raises:
        RolledBackError: it is an earlier or another state; the message says what is lost.
    """
    require_journal(session, seals, anchor)
    try:
        if anchor.log.origin != key.name:
            raise RolledBackError(f"the database holds the log `{key.name}`, not the anchored one")
        require_growth(session, key, anchor.log)
    except TamperedError as error:
        raise RolledBackError(f"{error.message} (anchored {_when(anchor)})") from None


def _when(anchor: Anchor) -> str:
    return f"{datetime.fromtimestamp(anchor.time, UTC):%Y-%m-%d %H:%M:%S} UTC"
