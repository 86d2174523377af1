"""What outlives a power cut, and what may only be done once a transaction is committed."""

import errno
import fcntl
import os
import re
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.event import listen
from sqlalchemy.orm import Session, SessionTransaction

from strongroom.errors import StorageFullError, UnavailableError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

_DRAFT = re.compile(r"\.[\w.-]+\.[0-9a-f]{16}")
"""Names that `replace_file` gives to what it has not put in place yet."""


def sync_file(descriptor: int) -> None:
    """Return once the file's bytes are on the disk itself.

    On macOS `fsync` leaves them in the drive's cache; F_FULLFSYNC does not.
    """
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def sync_folder(path: Path) -> None:
    """Return once the folder's names are on the disk, so that a new file is not lost."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, content: bytes | memoryview) -> None:
    """Write every byte; the kernel may take fewer than it is given."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` (mode 0600) in place of the file at `path`, whole or not at all.

    Raises:
        StorageFullError, UnavailableError: it could not be written; the old file stands.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            write_all(descriptor, content)
            sync_file(descriptor)
        finally:
            os.close(descriptor)
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise write_error(error) from error


def remove_drafts(folder: Path) -> None:
    """Take away what a death within `replace_file` left in `folder`, which nobody may write now.

    Raises:
        OSError: it could not be read or written.
    """
    with os.scandir(folder) as entries:
        drafts = [
            entry.path
            for entry in entries
            if _DRAFT.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
        ]
    for draft in drafts:
        os.unlink(draft)  # noqa: PTH108 - scandir's own form


def write_error(error: OSError) -> StorageFullError | UnavailableError:
    """The error of ours for a failed write."""
    if error.errno in _FULL:
        return StorageFullError("the disk of the blob store is full")
    return UnavailableError("the blob store cannot be written")


def on_commit(session: Session, action: Callable[[], None]) -> None:
    """Do `action` once, right after the session's transaction is durable.

    A rollback, also of a savepoint, calls it off: what is not done then must be something that
    a sweep finds later.
    """
    waiting = [action]

    def committed(session: Session) -> None:
        if waiting and not session.in_nested_transaction():
            waiting.pop()()

    def rolled_back(session: Session, previous: object) -> None:  # noqa: ARG001 - SQLAlchemy's
        waiting.clear()

    listen(session, "after_commit", committed)
    listen(session, "after_soft_rollback", rolled_back)


def on_end(session: Session, action: Callable[[], None]) -> None:
    """Do `action` once, when the session's transaction has ended, in whichever way."""
    waiting = [action]

    def ended(session: Session, transaction: SessionTransaction) -> None:  # noqa: ARG001 - SQLAlchemy's
        if waiting and transaction.parent is None:
            waiting.pop()()

    listen(session, "after_transaction_end", ended)
