"""The log goes on under a new name after its past was lost or damaged.

A log that signs two histories under one name and key lies to somebody. So after a rollback the
tree that is left goes on under a new name and a new key, and after damage a new, empty tree
begins. Whoever holds a receipt or checkpoint of the old name can still verify it with the old
key. The first entry that is written says what happened, with the old name, key and digests.
"""

import re
import secrets
from dataclasses import dataclass

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from strongroom.engines.crypto.signing import SigningKey
from strongroom.engines.ledger.checkpoint import Checkpoint, LogKey
from strongroom.gate.audit.tables import (
    LogCheckpointRow,
    LogCosignatureRow,
    LogEntryRow,
    LogTileRow,
)
from strongroom.vault.seals import SealChangeRow

_NUMBERED = re.compile(r"(?P<base>.+)/again-(?P<number>[1-9][0-9]{0,5})")


@dataclass(frozen=True, slots=True, repr=False)
class NewName:
    """A name and signing key for a log; the text form shows no key."""

    key: LogKey
    signing: SigningKey
    seed: bytes

    def __repr__(self) -> str:
        return f"NewName({self.key.name})"


def new_name(old: LogKey) -> NewName:
    """The name after `old`, `…/again-1` and so on, with a fresh key."""
    numbered = _NUMBERED.fullmatch(old.name)
    base, number = (numbered["base"], int(numbered["number"])) if numbered else (old.name, 0)
    seed = secrets.token_bytes(32)
    signing = SigningKey.from_seed(seed)
    key = LogKey(f"{base}/again-{number + 1}", signing.verifying_key.raw())
    return NewName(key, signing, seed)


def go_on(session: Session, newest: Checkpoint, name: NewName, now: float) -> None:
    """Let the tree of `newest` go on under `name`, in the caller's transaction."""
    session.execute(delete(LogCheckpointRow))
    session.execute(delete(LogCosignatureRow))
    if newest.size:
        checkpoint = Checkpoint(name.key.name, newest.size, newest.root)
        note = checkpoint.signed(name.key, name.signing.sign)
        session.add(LogCheckpointRow(size=newest.size, time=now, note=note))
    session.flush()


def begin_anew(session: Session) -> None:
    """Empty the log, in the caller's transaction; it was put away as evidence before."""
    for table in (LogCheckpointRow, LogCosignatureRow, LogTileRow, LogEntryRow):
        session.execute(delete(table))
    # Places in the old log mean nothing in the new one.
    session.execute(update(SealChangeRow).values(entry=None))
    session.flush()
