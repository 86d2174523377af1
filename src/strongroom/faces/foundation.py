"""What every server stands on: an open home, its keys, database, blobs, log, gate and sign-in.

Only one process at a time holds a home; closing gives everything back in reverse order.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from strongroom.engines.crypto.signing import SigningKey
from strongroom.engines.ledger.checkpoint import LogKey
from strongroom.errors import (
    HomeError,
    KeyUnavailableError,
    NotFoundError,
    RolledBackError,
    TamperedError,
    ValidationError,
)
from strongroom.faces.anchoring import (
    adopt_system_key,
    anchor_keeper,
    begin_anchor,
    read_anchored,
    require_not_rolled_back,
)
from strongroom.faces.witnessing import Witnessing, witnesses_of
from strongroom.gate.access.decider import Access
from strongroom.gate.access.grants import Grants
from strongroom.gate.audit.findings import Findings
from strongroom.gate.audit.log import AuditLog
from strongroom.gate.identity.issuing import Issuer
from strongroom.gate.identity.sign_in import SignIn
from strongroom.gate.operation import Gate
from strongroom.gate.repairing import Repairs
from strongroom.settings import Settings
from strongroom.vault.anchor import Anchor, AnchorKeeper
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database
from strongroom.vault.home import DATABASE_FILE, Home
from strongroom.vault.keys import SYSTEM, Keyring, WorkspaceKeyRow
from strongroom.vault.roots import LocalRoot, read_passphrase

LOG_SEED = "log-signing-seed"
LOG_ORIGIN = "log-origin"
LOG_PAYLOAD_KEY = "log-payload-key"
LOG_CONTEXT = "log-context"

Accept = Callable[[Database, Keyring, AuditLog, Anchor | None, TamperedError], None]
"""Puts a rollback on the record: (database, keyring, log as found, anchor, what was refused)."""


@dataclass(frozen=True, slots=True)
class Foundation:
    """The opened parts; see the module's docstring."""

    settings: Settings
    home: Home
    database: Database
    keyring: Keyring
    blobs: BlobStore
    log: AuditLog
    grants: Grants
    access: Access
    gate: Gate
    issuer: Issuer
    sign_in: SignIn
    anchor: AnchorKeeper

    @property
    def repairs(self) -> Repairs:
        """Makes rows again after tampering."""
        return Repairs(self.log, self.grants, self.keyring)


@contextmanager
def open_foundation(settings: Settings, *, accept: Accept | None = None) -> Iterator[Foundation]:
    """Open the home folder of `settings`, made where there is none, until the block ends.

    Args:
        settings: in force.
        accept: called where the database is an earlier state than it must be, to put that on the
            record and go on; without it such a database is refused.

    Raises:
        HomeError: the folder cannot be used, is of a newer version or in use.
        KeyUnavailableError: the root key cannot be opened.
        TamperedError: the log's end is not as signed.
        RolledBackError: the database is an earlier state than the home's anchor.
    """
    with ExitStack() as stack:
        if not settings.home.exists():
            Home.create(settings.home)
        home = stack.enter_context(Home.open(settings.home))
        home.require_free(settings.min_free_bytes)
        database = open_database(settings, home)
        stack.callback(database.close)
        database.migrate()
        keyring = Keyring(
            root_of(settings, home, database), cache_seconds=settings.key_cache_seconds
        )
        _require_root(database, keyring)
        anchored, refused = None, None
        try:
            anchored = read_anchored(home, database, keyring)
            require_not_rolled_back(database, keyring, anchored)
        except TamperedError as error:
            if accept is None:
                raise
            refused = error
            adopt_system_key(database, keyring)
        _ensure_system_key(database, keyring)
        blobs = BlobStore(
            settings.blob_url or home.blobs, keyring, database,
            max_bytes=settings.max_upload_bytes, reserve_bytes=settings.min_free_bytes,
        )  # fmt: skip
        log = open_log(settings, database, keyring)
        try:
            if refused is None:
                require_not_rolled_back(database, keyring, anchored, log)
        except RolledBackError as error:
            if accept is None:
                raise
            refused = error
        if refused is not None and accept is not None:
            accept(database, keyring, log, anchored, refused)
            log = open_log(settings, database, keyring)
        anchor = anchor_keeper(home, keyring, log, anchored if refused is None else None)
        stack.callback(anchor.settle)
        stack.enter_context(log)
        grants = Grants(keyring.secret("grants"), keyring.seals)
        if refused is not None or not home.is_anchored:
            begin_anchor(database, keyring, log, grants)
        with database.read() as session:
            # All of the journal: the anchor must not tell of less than there is.
            keyring.seals.load(session)
        stack.enter_context(anchor)
        home.mark_anchored()
        # What a crash left behind: files without a row. The home's lock says nobody writes now,
        # and by now keys and log have shown that this is the database of these files.
        swept = blobs.sweep()
        findings = Findings(database, log)
        stack.callback(findings.settle)
        access = Access(
            database, grants, cache_seconds=settings.decision_cache_seconds,
            alarm=findings.report,
        )  # fmt: skip
        issuer = Issuer(keyring.secret("api-key-pepper"), seals=keyring.seals)
        sign_in = SignIn(
            database, log, issuer, grants,
            cache_seconds=settings.decision_cache_seconds, session_hours=settings.session_hours,
        )  # fmt: skip
        gate = Gate(database, access, log, calls_per_minute=settings.calls_per_minute)
        gate.alarm = findings.report
        witnesses = witnesses_of(settings.witnesses)
        stack.enter_context(Witnessing(database, log, witnesses, alarm=findings.report))
        for blob in swept.missing:
            findings.report("blob", blob, "its bytes are missing")
        for blob in swept.changed:
            findings.report("blob", blob, "its bytes have another length than was sealed")
        yield Foundation(
            settings,
            home,
            database,
            keyring,
            blobs,
            log,
            grants,
            access,
            gate,
            issuer,
            sign_in,
            anchor,
        )


def open_database(settings: Settings, home: Home) -> Database:
    """The database of the home. An empty one is taken only by a home that was never served.

    In the place of a lost one it would hide the loss, and the sweep would take all that is stored
    for leftovers.

    Raises:
        HomeError: it is lost, or `database_url` names another.
        ValidationError: `database_url` is not understood.
    """
    # Made before the first request is answered.
    is_used = (home.tls / "ca.pem").exists()
    # A URL may hold a password, so it is not shown.
    place = "setting `database_url`" if settings.database_url else f"`{home.path / DATABASE_FILE}`"
    lost = HomeError(
        f"the database of this home is not there: {place}",
        next_step="restore it from its backup, or correct the setting `database_url`",
    )
    if is_used and not settings.database_url and not (home.path / DATABASE_FILE).exists():
        raise lost
    try:
        database = Database.open(settings.database_url or home.database_url)
    except ValueError as error:
        raise ValidationError(f"setting `database_url`: {error}") from None
    if is_used:
        with database.read() as session:
            tables = inspect(session.connection()).get_table_names()
        if WorkspaceKeyRow.__tablename__ not in tables:
            database.close()
            raise lost
    return database


def root_of(settings: Settings, home: Home, database: Database) -> LocalRoot:
    """The root key of the home. It is made only while nothing is wrapped by one.

    A home that has lost its root key must not get a new one: nothing in it could be opened, and
    the loss would be hidden under new data.
    """
    path = home.path / "root.key"
    passphrase = (
        read_passphrase(Path(settings.root_passphrase_file))
        if settings.root_passphrase_file
        else None
    )
    if path.exists():
        return LocalRoot.open(path, passphrase)
    with database.read() as session:
        wrapped = session.scalar(select(WorkspaceKeyRow.workspace).limit(1))
    if wrapped is not None:
        raise HomeError(
            f"`{path}` is missing, and without it nothing in this home can be opened",
            next_step="restore root.key from its backup",
        )
    return LocalRoot.create(path, passphrase)


def _require_root(database: Database, keyring: Keyring) -> None:
    with database.read() as session:
        if not keyring.is_opened_by_root(session):
            raise KeyUnavailableError(
                "the root key does not open the keys of this home",
                next_step="restore root.key from the home's backup; if it is the right one, the "
                "database was changed",
            )


def _ensure_system_key(database: Database, keyring: Keyring) -> None:
    with database.write() as session:
        if not keyring.versions(session, SYSTEM):
            keyring.create_workspace_key(session, SYSTEM)
        keyring.require_enabled(session, SYSTEM)


def open_log(settings: Settings, database: Database, keyring: Keyring) -> AuditLog:
    """The log under its own keys, made at the first start."""

    def kept(session: Session, name: str, fresh: bytes) -> bytes:
        try:
            return keyring.open_secret(session, name)
        except NotFoundError:
            keyring.seal_secret(session, name, fresh)
            return fresh

    with database.write() as session:
        seed = kept(session, LOG_SEED, secrets.token_bytes(32))
        payload_key = kept(session, LOG_PAYLOAD_KEY, secrets.token_bytes(32))
        origin = settings.log_origin or f"strongroom.local/{secrets.token_hex(8)}"
        origin = kept(session, LOG_ORIGIN, origin.encode()).decode()
        context = kept(session, LOG_CONTEXT, origin.encode()).decode()
    signing_key = SigningKey.from_seed(seed)
    return AuditLog(
        database,
        payload_key=payload_key,
        key=LogKey(origin, signing_key.verifying_key.raw()),
        sign=signing_key.sign,
        context=context,
        clock=time.time,
    )
