"""Going on after a rollback or after damage to the log: never silent, and nothing thrown away."""

import hashlib
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

from sqlalchemy.orm import Session

from strongroom.errors import RolledBackError, StateError, TamperedError
from strongroom.faces.anchoring import (
    adopt_system_key,
    anchor_keeper,
    read_anchored,
    require_not_rolled_back,
    tell_all,
)
from strongroom.faces.foundation import (
    LOG_ORIGIN,
    LOG_SEED,
    open_database,
    open_log,
    root_of,
)
from strongroom.gate.access.grants import Grants
from strongroom.gate.audit.evidence import Damage, write_evidence
from strongroom.gate.audit.integration import latest_checkpoint
from strongroom.gate.audit.log import AuditLog
from strongroom.gate.audit.renaming import NewName, begin_anew, go_on, new_name
from strongroom.gate.audit.types import AuditClass, Detail, Event
from strongroom.gate.hosting import host_event
from strongroom.settings import Settings
from strongroom.vault.anchor import Anchor
from strongroom.vault.database import Database
from strongroom.vault.durable import sync_folder
from strongroom.vault.home import Home
from strongroom.vault.keys import Keyring

EVIDENCE = "evidence"
"""Folder in the home, made when there is any."""


def accept_rollback(
    database: Database,
    keyring: Keyring,
    log: AuditLog,
    anchor: Anchor | None,
    refused: TamperedError,
) -> None:
    """Let the log go on under a new name from where it is; what was lost is on the record.

    Name, key and record are one transaction: a crash leaves the refused state or the accepted one.
    """
    name = new_name(log.key)
    with database.write() as session:
        newest, _ = latest_checkpoint(session, log.key)
        head = keyring.seals.load(session)
        details: dict[str, str | int] = {
            "old_log_key": str(log.key),
            "log": name.key.name,
            "size": newest.size,
            "root": newest.root.hex(),
            "seals": head.length,
            **_anchored(anchor),
        }
        log.append(session, _finding("server.rollback_accepted", refused.message, details))
        go_on(session, newest, name, time.time())
        seal_name(session, keyring, name)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A file of evidence that was written, and what it says."""

    path: Path
    sha256: str
    damage: Damage


def export_evidence(settings: Settings, to: Path | None) -> Evidence:
    """Put the log of a stopped server into a file as it is, damaged or not; changes nothing.

    Raises:
        HomeInUseError: the server is running.
    """
    with _opened(settings) as (home, _database, _keyring, log):
        return _evidence(home, log, to)


def begin_new_log(settings: Settings, *, older_too: bool = False) -> Evidence:
    """Put a damaged log away as evidence and begin a new one whose first entry says so.

    Args:
        settings: name the home.
        older_too: also where the journal of sealed changes is not the one that was anchored.

    Raises:
        StateError: the log is not damaged. HomeInUseError: the server is running.
        RolledBackError: the journal is an earlier one, and that was not accepted.
    """
    with _opened(settings) as (home, database, keyring, log):
        anchor, lost = _lost(home, database, keyring)
        if lost and not older_too:
            raise RolledBackError(
                f"the log may be damaged, but also: {lost}",
                next_step="look for the newer database; or accept both with `strongroom recover "
                "--new-log --accept-rollback`",
            )
        evidence = _evidence(home, log, None)
        if not evidence.damage.found:
            evidence.path.unlink()
            raise StateError(
                "the log is whole: there is no reason to begin another",
                next_step="start the server with `strongroom serve`",
            )
        name = new_name(log.key)
        damage = evidence.damage
        details: dict[str, str | int] = {
            "old_log_key": str(log.key),
            "log": name.key.name,
            "evidence": evidence.path.name,
            "evidence_sha256": evidence.sha256,
            "old_entries": damage.entries,
            "old_size": damage.size,
            "old_root": damage.root,
            "first_bad_entry": -1 if damage.first_bad is None else damage.first_bad,
            "bad_entries": damage.bad_count,
            **_anchored(anchor),
        }
        if lost:
            details["rolled_back"] = lost
        # A crash before the commit leaves the damaged log, and a file of evidence too many.
        with database.write() as session:
            begin_anew(session)
            seal_name(session, keyring, name)
            log.append(session, _finding("server.log_begun_anew", damage.found[0], details))
        new = open_log(settings, database, keyring)
        # The new log must be able to say what the rows must be, too.
        tell_all(database, new, Grants(keyring.secret("grants"), keyring.seals))
        with database.read() as session:
            keyring.seals.load(session)
        anchor_keeper(home, keyring, new).write()
        home.mark_anchored()
        return evidence


def _anchored(anchor: Anchor | None) -> dict[str, str | int]:
    """What an anchor says, as details of a record."""
    if anchor is None:
        return {}
    return {
        "anchored_at": datetime.fromtimestamp(anchor.time, UTC).isoformat(),
        "anchored_size": anchor.log.size,
        "anchored_root": anchor.log.root.hex(),
        "anchored_seals": anchor.seals.length,
    }


def _lost(home: Home, database: Database, keyring: Keyring) -> tuple[Anchor | None, str]:
    """The anchor, and in what the journal is not the anchored one; empty where it is.

    A new anchor is written over the old one, which must not hide that.
    """
    anchor = None
    try:
        anchor = read_anchored(home, database, keyring)
        require_not_rolled_back(database, keyring, anchor)
    except TamperedError as error:
        return anchor, error.message
    return anchor, ""


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[Home, Database, Keyring, AuditLog]]:
    """A stopped home with a log that is not started, so that nothing of it need be whole."""
    with Home.open(settings.home) as home:
        database = open_database(settings, home)
        try:
            database.migrate()
            keyring = Keyring(root_of(settings, home, database))
            adopt_system_key(database, keyring)
            yield home, database, keyring, open_log(settings, database, keyring)
        finally:
            database.close()


def _evidence(home: Home, log: AuditLog, to: Path | None) -> Evidence:
    if to is None:
        folder = home.path / EVIDENCE
        folder.mkdir(mode=0o700, exist_ok=True)
        to = folder / f"log-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}.zip"
    descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        try:
            with log.snapshot() as session, ZipFile(file, "w", ZIP_STORED) as archive:
                damage = write_evidence(archive, session, log)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            to.unlink(missing_ok=True)
            raise
    sync_folder(to.parent)
    with to.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Evidence(to, digest, damage)


def seal_name(session: Session, keyring: Keyring, name: NewName) -> None:
    """Keep the log's new name and key in place of the old ones."""
    keyring.seal_secret(session, LOG_SEED, name.seed)
    keyring.seal_secret(session, LOG_ORIGIN, name.key.name.encode())


def _finding(operation: str, reason: str, details: Mapping[str, Detail]) -> Event:
    event = host_event(operation, audit_class=AuditClass.DETECTION_FINDING, reason=reason)
    return event.with_details(details)
