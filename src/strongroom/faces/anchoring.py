"""The anchor at start: is this the newest database, and, where there was none, a first anchor."""

from collections.abc import Iterator, Sequence

from sqlalchemy.orm import Session

from strongroom.errors import RolledBackError
from strongroom.gate.access.grants import Grants
from strongroom.gate.audit.anchoring import require_anchored, require_journal
from strongroom.gate.audit.log import AuditLog
from strongroom.gate.hosting import host_event
from strongroom.services.models.registry import adopt_states, unadopted_states
from strongroom.vault.anchor import ANCHOR_FILE, Anchor, AnchorKeeper, read_anchor
from strongroom.vault.database import Database
from strongroom.vault.home import Home
from strongroom.vault.keys import SYSTEM, Keyring

_ADOPTED_AT_ONCE = 8
"""Subjects in one transaction, so that no entry of the log is overfull."""


def anchor_key(keyring: Keyring) -> bytes:
    """The key of the anchor's MAC, 32 bytes."""
    return keyring.secret("anchor")


def read_anchored(home: Home, database: Database, keyring: Keyring) -> Anchor | None:
    """The anchor of a home, None before its first; and what its database lacks to be read at all.

    Raises:
        RolledBackError: there must be one, and it is not there.
        TamperedError: it was changed, or the keys were.
    """
    if home.is_anchored:
        anchor = read_anchor(home.path, anchor_key(keyring))
        if anchor is None:
            raise RolledBackError(
                f"the file `{ANCHOR_FILE}` of the home is missing: nothing shows that the "
                "database is the newest",
                next_step="put the file back from where it went, or accept the present state "
                "with `strongroom recover --accept-rollback`",
            )
        return anchor
    adopt_system_key(database, keyring)
    return None


def adopt_system_key(database: Database, keyring: Keyring) -> None:
    """Begin a journal with the server's own key, without which the log could not be opened."""
    with database.write() as session:
        if keyring.seals.is_empty(session):
            keyring.adopt(session, [SYSTEM])


def require_not_rolled_back(
    database: Database, keyring: Keyring, anchor: Anchor | None, log: AuditLog | None = None
) -> None:
    """Return if the database has all that the anchor says. Raises RolledBackError.

    Without a log only the journal is compared: without that no key is believed, and the log
    could not be opened.
    """
    if anchor is None:
        return
    with database.read() as session:
        if log is None:
            require_journal(session, keyring.seals, anchor)
        else:
            require_anchored(session, log.key, keyring.seals, anchor)


def anchor_keeper(
    home: Home, keyring: Keyring, log: AuditLog, found: Anchor | None = None
) -> AnchorKeeper:
    """What keeps the anchor of an open home up to date; `found` is what stands there."""
    return AnchorKeeper(
        home.path, anchor_key(keyring), keyring.seals, lambda: log.checkpoint, found=found
    )


def begin_anchor(database: Database, keyring: Keyring, log: AuditLog, grants: Grants) -> None:
    """Begin the journal with what was sealed before there was one, on the record."""
    with database.read() as session:
        keys = keyring.unadopted(session)
        principals = grants.unadopted(session)
        versions = unadopted_states(session, keyring.seals)
    for some in _batches(sorted(keys)):
        with database.write() as session:
            keyring.adopt(session, some)
            _record(log, session, "keys", len(some))
    for some in _batches(sorted(principals)):
        with database.write() as session:
            grants.adopt(session, some)
            _record(log, session, "standings", len(some))
    for some in _batches(versions):
        with database.write() as session:
            adopt_states(session, keyring.seals, some)
            _record(log, session, "model versions", len(some))
    log.integrate()


def tell_all(database: Database, log: AuditLog, grants: Grants) -> None:
    """Tell a log that begins anew what everybody holds."""
    with database.read() as session:
        principals = grants.sealed(session)
    for some in _batches(principals):
        with database.write() as session:
            grants.adopt(session, some)
            _record(log, session, "standings", len(some))
    log.integrate()


def _batches(names: Sequence[str]) -> Iterator[list[str]]:
    for at in range(0, len(names), _ADOPTED_AT_ONCE):
        yield list(names[at : at + _ADOPTED_AT_ONCE])


def _record(log: AuditLog, session: Session, what: str, count: int) -> None:
    log.append(session, host_event("server.adopt", what=what, count=count))
