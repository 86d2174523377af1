"""The key hierarchy: root -> workspace key, in versions -> object key.

A workspace key (KEK) is random, wrapped by the root and stored as a row. An object key (DEK) is
random, wrapped by the newest workspace key and stored beside what it seals. Each wrap is bound
to what it is for, so that a wrapped key moved to another row does not open.

Rotation makes a new version; old versions still open what they wrapped until it is rewrapped,
and the data itself is never touched. Disabling refuses reads and writes of a workspace at once
in every process that asks the database, and within `cache_seconds` for whoever holds a lease.
Destroying deletes the wrapped keys for good: without them the data is noise.

The state, and how many versions there are, are sealed: each row bears an HMAC-SHA256 (RFC 2104)
under a key of the root. Who can only write in the database can take a key away, but not give it
back. A row put back together with the seal it once had is told by the journal of sealed changes
(`vault/seals.py`).

The state of a key is read from the database in every call. What is cached, for at most
`cache_seconds`, is only the result of unwrapping, which may cost a round trip to a key service.
Python cannot promise to erase a key from memory: a dropped key lives until its page is reused.
"""

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from strongroom.engines.crypto.wrapping import bind, unwrap, wrap
from strongroom.errors import (
    ConflictError,
    KeyUnavailableError,
    NotFoundError,
    StateError,
    TamperedError,
)
from strongroom.vault.database import Base
from strongroom.vault.durable import on_commit
from strongroom.vault.roots import Root
from strongroom.vault.seals import Seals

SYSTEM = "system"
"""The workspace of the server itself: its log, its signing keys."""

CACHE_SECONDS = 60.0

KIND = "key"
"""Of the changes of a key's state, in the journal of sealed changes."""

_SECRET = "secret"  # noqa: S105 - the purpose of a wrap, no secret

KeyState = Literal["enabled", "disabled", "destroyed"]


class WorkspaceKeyRow(Base):
    """One version of a workspace's key. All versions of a workspace share one state."""

    __tablename__ = "workspace_keys"

    workspace: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]
    wrapped: Mapped[bytes | None]
    created_at: Mapped[datetime]
    mac: Mapped[bytes]
    """Over workspace, state and number of versions; the same in all rows of a workspace."""


class SealedSecretRow(Base):
    """A named secret of the server, wrapped by the system workspace's key."""

    __tablename__ = "sealed_secrets"

    name: Mapped[str] = mapped_column(primary_key=True)
    key_version: Mapped[int]
    wrapped: Mapped[bytes]


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """One version of a workspace key, as people may see it."""

    workspace: str
    version: int
    state: KeyState
    created_at: datetime


@dataclass(frozen=True, slots=True, repr=False)
class ObjectKey:
    """A new object key: itself, and what to store of it. Its text form shows nothing."""

    key: bytes
    wrapped: bytes
    kek_version: int

    def __repr__(self) -> str:
        return f"ObjectKey(kek_version={self.kek_version})"


class Keyring:
    """Wraps and unwraps keys for workspaces; one to a process, safe for its threads.

    Attributes:
        seals: the journal of sealed changes, which other rooms use too.

    Args:
        root: what wraps the workspace keys.
        cache_seconds: how long an unwrapped workspace key or a lease lasts, 0 to 60.
        clock: seconds that only grow.
        now: the time, aware of its zone.
    """

    def __init__(
        self,
        root: Root,
        *,
        cache_seconds: float = CACHE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if not 0 <= cache_seconds <= CACHE_SECONDS:
            raise ValueError(f"keys may be cached for 0 to {CACHE_SECONDS:.0f} seconds")
        self._root = root
        self._state_key = self.secret("key-states")
        self.seals = Seals(self.secret("seal-changes"))
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        self._cache: dict[tuple[str, int], tuple[bytes, bytes, float]] = {}
        self._flushes = 0

    # ---- workspace keys ----

    def create_workspace_key(self, session: Session, workspace: str) -> int:
        """Make the first key of a workspace; its version, 1.

        Raises:
            ConflictError: the workspace has, or had, a key.
        """
        if self._rows(session, workspace):
            raise ConflictError(f"the workspace `{workspace}` already has a key")
        return self._add_version(session, workspace, 1)

    def rotate(self, session: Session, workspace: str) -> int:
        """Make a new version of the key and use it from now on; its version.

        Raises:
            KeyUnavailableError: the key is disabled or destroyed.
        """
        return self._add_version(session, workspace, self._usable(session, workspace).version + 1)

    def disable(self, session: Session, workspace: str) -> None:
        """Refuse every read and write of the workspace from the commit on."""
        self._change_state(session, workspace, "disabled")

    def enable(self, session: Session, workspace: str) -> None:
        """Allow them again.

        Raises:
            KeyUnavailableError: the key was destroyed.
            TamperedError: its rows were changed outside the server.
        """
        self._change_state(session, workspace, "enabled")

    def destroy(self, session: Session, workspace: str) -> None:
        """Delete the workspace's keys for good; its data can never be read again.

        Copies of the database made before, such as backups, still hold the wrapped keys.
        """
        self._change_state(session, workspace, "destroyed")

    def versions(self, session: Session, workspace: str) -> list[KeyInfo]:
        """Every version of the workspace's key, oldest first."""
        rows = session.scalars(
            select(WorkspaceKeyRow)
            .where(WorkspaceKeyRow.workspace == workspace)
            .order_by(WorkspaceKeyRow.version)
        )
        return [
            KeyInfo(row.workspace, row.version, _state(row.state), row.created_at) for row in rows
        ]

    def require_enabled(self, session: Session, workspace: str) -> None:
        """Return if the workspace's key may be used.

        Raises:
            KeyUnavailableError: it is disabled or destroyed.
            NotFoundError: the workspace has no key.
            TamperedError: its rows were changed outside the server.
        """
        self._usable(session, workspace)

    def unadopted(self, session: Session) -> list[str]:
        """Workspaces whose keys were there before the journal of sealed changes was."""
        workspaces = session.scalars(select(WorkspaceKeyRow.workspace).distinct())
        return sorted(w for w in workspaces if self.seals.latest(session, KIND, w) is None)

    def adopt(self, session: Session, workspaces: Sequence[str]) -> None:
        """Begin the journal with the states that keys had before there was one.

        Raises:
            TamperedError: the rows were changed outside the server.
        """
        for workspace in workspaces:
            rows = self._rows(session, workspace)
            if rows and self.seals.latest(session, KIND, workspace) is None:
                self._verify_rows(workspace, rows)
                self.seals.record(session, KIND, workspace, _value(rows[-1].state, len(rows)))

    def is_opened_by_root(self, session: Session) -> bool:
        """Whether the root key is the one of this database, as far as the server's key tells."""
        rows = self._rows(session, SYSTEM)
        try:
            for row in rows:
                self._root.unwrap(row.wrapped or b"", _workspace_context(SYSTEM, row.version))
        except TamperedError:
            return False
        return True

    def verify_state(self, session: Session, workspace: str) -> None:
        """Return if the key's rows are as this server left them, whatever its state.

        Raises:
            NotFoundError: the workspace has no key. TamperedError: they were changed.
        """
        rows = self._rows(session, workspace)
        if not rows:
            raise NotFoundError(f"the workspace `{workspace}` has no key")
        self._verify(session, workspace, rows)

    def reseal(self, session: Session, workspace: str, due: str) -> None:
        """Bring the rows back into the state that the journal of sealed changes has; for repairs.

        Args:
            session: a write session.
            workspace: whose key.
            due: the journal's latest value.

        Raises:
            TamperedError: keys are missing, or are not those that were wrapped.
        """
        name, _, count = due.partition("/")
        state, versions = _state(name), int(count)
        rows = self._rows(session, workspace)
        lost = TamperedError(
            f"keys of the workspace `{workspace}` were overwritten",
            next_step="restore a backup: only it has them",
        )
        if [row.version for row in rows[:versions]] != list(range(1, versions + 1)):
            raise lost
        for row in rows[versions:]:
            session.delete(row)
        for row in rows[:versions]:
            if state == "destroyed":
                row.wrapped = None
            elif row.wrapped is None:
                raise lost
            else:
                self._root.unwrap(row.wrapped, _workspace_context(workspace, row.version))
        session.flush()
        self._seal(session, workspace, state, versions)
        on_commit(session, self.flush)

    # ---- object keys ----

    def new_object_key(
        self, session: Session, workspace: str, object_id: str, *, purpose: str = "object"
    ) -> ObjectKey:
        """A random key for one object. Raises as `require_enabled`."""
        key = secrets.token_bytes(32)
        wrapped, version = self.wrap(session, workspace, object_id, key, purpose=purpose)
        return ObjectKey(key, wrapped, version)

    def object_key(
        self,
        session: Session,
        workspace: str,
        object_id: str,
        wrapped: bytes,
        kek_version: int,
        *,
        purpose: str = "object",
    ) -> bytes:
        """The key of one object out of its row.

        Raises:
            TamperedError: the row was changed, or belongs to another object.
            KeyUnavailableError, NotFoundError: as `require_enabled`.
        """
        return self.unwrap(session, workspace, object_id, wrapped, kek_version, purpose=purpose)

    def wrap(
        self, session: Session, workspace: str, object_id: str, secret: bytes, *, purpose: str
    ) -> tuple[bytes, int]:
        """`secret` under the newest workspace key, and that key's version."""
        row = self._usable(session, workspace)
        context = _object_context(workspace, object_id, purpose)
        return wrap(self._open(row), secret, context), row.version

    def unwrap(
        self,
        session: Session,
        workspace: str,
        object_id: str,
        wrapped: bytes,
        kek_version: int,
        *,
        purpose: str,
    ) -> bytes:
        """What `wrap` took. Raises as `object_key`."""
        row = self._usable(session, workspace, kek_version)
        return unwrap(self._open(row), wrapped, _object_context(workspace, object_id, purpose))

    def rewrap(
        self,
        session: Session,
        workspace: str,
        rows: list[tuple[str, bytes, int]],
        *,
        purpose: str = "object",
    ) -> list[tuple[str, bytes, int]]:
        """Bring wrapped keys to the newest version; the objects themselves stay as they are.

        Args:
            session: the transaction in which the caller stores the result.
            workspace: whose keys they are.
            rows: object id, wrapped key and version of each.
            purpose: as when they were wrapped.

        Returns: the same for the rows that were not at the newest version already.
        """
        newest = self._usable(session, workspace)
        newest_key = self._open(newest)
        keys: dict[int, bytes] = {}
        rewrapped = []
        for object_id, wrapped, version in rows:
            if version == newest.version:
                continue
            if version not in keys:
                keys[version] = self._open(self._usable(session, workspace, version))
            context = _object_context(workspace, object_id, purpose)
            secret = unwrap(keys[version], wrapped, context)
            rewrapped.append((object_id, wrap(newest_key, secret, context), newest.version))
        return rewrapped

    # ---- secrets of the server ----

    def secret(self, purpose: str) -> bytes:
        """32 bytes fixed by the root and the purpose (pepper, session signing, ...)."""
        return self._root.derive(b"strongroom/1/secret/" + purpose.encode())

    def seal_secret(self, session: Session, name: str, secret: bytes) -> None:
        """Keep a named secret of the server; an older one of that name is replaced."""
        wrapped, version = self.wrap(session, SYSTEM, name, secret, purpose=_SECRET)
        session.merge(SealedSecretRow(name=name, key_version=version, wrapped=wrapped))
        session.flush()

    def open_secret(self, session: Session, name: str) -> bytes:
        """The secret of that name.

        Raises:
            NotFoundError: there is none.
            TamperedError, KeyUnavailableError: as `object_key`.
        """
        row = session.get(SealedSecretRow, name)
        if row is None:
            raise NotFoundError(f"no sealed secret `{name}`")
        return self.unwrap(session, SYSTEM, name, row.wrapped, row.key_version, purpose=_SECRET)

    def rewrap_secrets(self, session: Session) -> int:
        """Bring the server's sealed secrets to the newest system key; how many changed."""
        rows = session.scalars(select(SealedSecretRow)).all()
        held = [(row.name, row.wrapped, row.key_version) for row in rows]
        rewrapped = self.rewrap(session, SYSTEM, held, purpose=_SECRET)
        for name, wrapped, version in rewrapped:
            row = session.get_one(SealedSecretRow, name)
            row.wrapped, row.key_version = wrapped, version
        session.flush()
        return len(rewrapped)

    # ---- cache ----

    def flush(self) -> None:
        """Forget every unwrapped key and end every lease of this process now."""
        with self._lock:
            self._flushes += 1
            self._cache.clear()

    def lease(
        self, workspace: str, sessions: Callable[[], AbstractContextManager[Session]]
    ) -> "Lease":
        """A lease for a reader that holds an object key for longer than one call."""
        return Lease(self, workspace, sessions)

    def _open(self, row: WorkspaceKeyRow) -> bytes:
        """The workspace key of a row that `_usable` gave."""
        slot = (row.workspace, row.version)
        wrapped = row.wrapped or b""
        with self._lock:
            cached = self._cache.get(slot)
        if cached and cached[0] == wrapped and self._clock() < cached[2]:
            return cached[1]
        key = self._root.unwrap(wrapped, _workspace_context(row.workspace, row.version))
        with self._lock:
            self._cache[slot] = (wrapped, key, self._clock() + self._cache_seconds)
        return key

    # ---- rows ----

    def _rows(self, session: Session, workspace: str) -> Sequence[WorkspaceKeyRow]:
        """Every version, oldest first, as the database has them."""
        return session.scalars(
            select(WorkspaceKeyRow)
            .where(WorkspaceKeyRow.workspace == workspace)
            .order_by(WorkspaceKeyRow.version)
            .execution_options(populate_existing=True)
        ).all()

    def _mac(self, workspace: str, state: str, versions: int) -> bytes:
        message = bind("strongroom key state", 1, workspace, state, versions)
        return hmac.digest(self._state_key, message, hashlib.sha256)

    def _verify(self, session: Session, workspace: str, rows: Sequence[WorkspaceKeyRow]) -> None:
        """Return if the rows are as this server left them last.

        Raises:
            TamperedError: a state was changed, a version was added or removed, or it was so once.
        """
        self._verify_rows(workspace, rows)
        self.seals.require(session, KIND, workspace, _value(rows[-1].state, len(rows)))

    def _verify_rows(self, workspace: str, rows: Sequence[WorkspaceKeyRow]) -> None:
        mac = self._mac(workspace, rows[-1].state, len(rows))
        try:
            sealed = [hmac.compare_digest(mac, row.mac) for row in rows]
        except TypeError:
            # SQLite keeps what is written: text where bytes should be.
            sealed = [False]
        is_whole = [row.version for row in rows] == list(range(1, len(rows) + 1))
        is_one = len({row.state for row in rows}) == 1
        if not (all(sealed) and is_whole and is_one):
            raise TamperedError(
                f"the keys of the workspace `{workspace}` were changed outside the server"
            )

    def _seal(self, session: Session, workspace: str, state: KeyState, versions: int) -> None:
        session.execute(
            update(WorkspaceKeyRow)
            .where(WorkspaceKeyRow.workspace == workspace)
            .values(state=state, mac=self._mac(workspace, state, versions))
        )
        self.seals.record(session, KIND, workspace, _value(state, versions))

    def _usable(
        self, session: Session, workspace: str, version: int | None = None
    ) -> WorkspaceKeyRow:
        rows = self._rows(session, workspace)
        if rows:
            self._verify(session, workspace, rows)
        if not rows or not (version is None or 1 <= version <= len(rows)):
            raise NotFoundError(f"the workspace `{workspace}` has no such key")
        row = rows[-1 if version is None else version - 1]
        if row.state != "enabled" or row.wrapped is None:
            raise KeyUnavailableError(f"the key of the workspace `{workspace}` is {row.state}")
        return row

    def _add_version(self, session: Session, workspace: str, version: int) -> int:
        context = _workspace_context(workspace, version)
        session.add(
            WorkspaceKeyRow(
                workspace=workspace,
                version=version,
                state="enabled",
                wrapped=self._root.wrap(secrets.token_bytes(32), context),
                created_at=self._now(),
                mac=self._mac(workspace, "enabled", version),
            )
        )
        try:
            session.flush()
        except IntegrityError:
            raise ConflictError(f"the key of `{workspace}` was changed by another") from None
        self._seal(session, workspace, "enabled", version)
        return version

    def _change_state(self, session: Session, workspace: str, state: KeyState) -> None:
        if workspace == SYSTEM:
            # Without it the server could not even record that it was disabled.
            raise StateError("the key of the server itself cannot be disabled or destroyed")
        rows = self._rows(session, workspace)
        if not rows:
            raise NotFoundError(f"the workspace `{workspace}` has no key")
        if rows[-1].state == "destroyed":
            raise KeyUnavailableError(f"the key of the workspace `{workspace}` is destroyed")
        if state == "destroyed":
            # Allowed also where the rows were changed: it gives nobody anything.
            session.execute(
                update(WorkspaceKeyRow)
                .where(WorkspaceKeyRow.workspace == workspace)
                .values(wrapped=None)
            )
        else:
            self._verify(session, workspace, rows)
        self._seal(session, workspace, state, len(rows))
        # Until the commit others may still use the key; from then on nothing cached may serve.
        on_commit(session, self.flush)


class Lease:
    """Leave to go on using an object key, renewed from the database when it runs out."""

    def __init__(
        self,
        keyring: Keyring,
        workspace: str,
        sessions: Callable[[], AbstractContextManager[Session]],
    ) -> None:
        self._keyring = keyring
        self._workspace = workspace
        self._sessions = sessions
        self._flushes = -1
        self._until = 0.0
        self.check()

    def check(self) -> None:
        """Return if the key may still be used.

        Raises:
            KeyUnavailableError: it was disabled or destroyed.
        """
        keyring = self._keyring
        flushes, moment = keyring._flushes, keyring._clock()  # noqa: SLF001 - one module's pair
        if flushes == self._flushes and moment < self._until:
            return
        with self._sessions() as session:
            keyring.require_enabled(session, self._workspace)
        self._flushes = flushes
        self._until = moment + keyring._cache_seconds  # noqa: SLF001 - one module's pair


def _workspace_context(workspace: str, version: int) -> bytes:
    return bind("strongroom workspace key", 1, workspace, version)


def _object_context(workspace: str, object_id: str, purpose: str) -> bytes:
    return bind("strongroom object key", 1, workspace, object_id, purpose)


def _value(state: str, versions: int) -> str:
    return f"{state}/{versions}"


def _state(text: str) -> KeyState:
    return "enabled" if text == "enabled" else "disabled" if text == "disabled" else "destroyed"
