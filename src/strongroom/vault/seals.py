"""The journal of sealed changes: it tells an old row with its old seal from the latest one.

A seal shows that a row was written by this server, not that it is the newest that was. So every
change of something sealed (what a principal holds, the state of a key, the state of a model
version) adds a line to this journal, in the same transaction: what changed, and what it is now.
Whoever reads the row compares it with the latest line about it.

The lines are a chain: each bears an HMAC-SHA256 (RFC 2104) over itself and the line before, under
a key that is not in the database. So none can be changed, left out, or added by who can only
write there. Cut off at the end they can be: this process remembers how long the chain was, and
the anchor (`vault/anchor.py`) remembers it from one start to the next.

A reader may look at a snapshot that is older than a change of just now. It is given the benefit
of that for changes committed after its session was opened, and of no others.
"""

import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Index, LargeBinary, String, event, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from strongroom.engines.crypto.wrapping import bind
from strongroom.errors import TamperedError
from strongroom.vault.database import OPENED, WRITES, Base

EMPTY = bytes(32)
"""The head of a chain without lines."""

_WRITTEN = "seal_changes_written"
_UNTOLD = "seal_changes_untold"
_BATCH = 10_000


class SealChangeRow(Base):
    """One line: what a subject is from then on."""

    __tablename__ = "seal_changes"
    __table_args__ = (Index(None, "kind", "subject"),)

    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """From 1 on, without gaps."""
    kind: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(128))
    value: Mapped[str] = mapped_column(String(128))
    entry: Mapped[int | None]
    """Place in the log of the record of the change; not under the MAC, the record tells itself."""
    mac: Mapped[bytes] = mapped_column(LargeBinary(32))


@dataclass(frozen=True, slots=True)
class Head:
    """How long the chain is, and the MAC of its last line: it stands for all of them."""

    length: int = 0
    mac: bytes = EMPTY


@dataclass(frozen=True, slots=True)
class Change:
    """A line as read, and the same change as the log's record tells it.

    Attributes:
        entry: place of the record in the log, if there is one.
    """

    position: int
    kind: str
    subject: str
    value: str
    entry: int | None = None


class Seals:
    """Keeps the journal; one to a process and database, safe for its threads.

    Attributes:
        watch: called with the new head after each commit that made the chain longer.
        guard: called before such a commit; what it raises stops it.
    """

    def __init__(self, key: bytes, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the key of the chain, 32 bytes; `clock` is that of `Database`'s sessions."""
        self.watch: Callable[[Head], None] | None = None
        self.guard: Callable[[], None] | None = None
        self._key = key
        self._clock = clock
        self._lock = threading.RLock()
        self._head = Head()
        self._latest: dict[tuple[str, str], tuple[str, float]] = {}
        self._grown_at = float("-inf")

    @property
    def head(self) -> Head:
        """The chain as far as this process knows it to be committed."""
        return self._head

    def load(self, session: Session, *, at: int | None = None) -> Head:
        """Read all lines that this process does not know yet; a read session's.

        Args:
            session: what to read from.
            at: the length to give the head of, if it is not the whole.

        Returns: the head at `at`, or of the whole chain.

        Raises:
            TamperedError: a line was changed, or the chain is shorter than it was.
        """
        if at is not None:
            heads = [head for _, head in self._chained(session, Head(), until=at)]
            head = heads[-1] if heads else Head()
            if head.length != at:
                raise TamperedError(
                    f"the journal of sealed changes has {head.length} lines, it had {at}"
                )
            return head
        with self._lock:
            self._require_known(session)
            now = self._clock()
            for change, head in self._chained(session, self._head):
                self._adopt(change, head, now)
            return self._head

    def record(
        self, session: Session, kind: str, subject: str, value: str, *, told: str = ""
    ) -> None:
        """Note in the caller's write transaction what `subject` is from its commit on.

        Args:
            session: a write session.
            kind: what sort of thing it is.
            subject: which.
            value: its state, or a digest of it; at most 128 characters.
            told: what changed, in words for the log: its next entry in the same transaction
                carries them, so that the state can be rebuilt from the log.

        Raises:
            TamperedError: the journal was changed outside the server.
        """
        head = self._tail(session)[1]
        position = head.length + 1
        change = Change(position, kind, subject, value)
        session.add(
            SealChangeRow(
                position=position,
                kind=kind,
                subject=subject,
                value=value,
                mac=self._mac(head, change),
            )
        )
        session.flush()
        if not session.info.get(_WRITTEN):
            session.info[_WRITTEN] = True
            event.listen(session, "before_commit", self._before_commit)
        session.info.setdefault(_UNTOLD, {})[position] = told

    def is_empty(self, session: Session) -> bool:
        """Whether nothing was ever recorded, as in a database from before there was a journal."""
        return self._tail(session)[1].length == 0

    def require(self, session: Session, kind: str, subject: str, value: str) -> None:
        """Return if `value` is the latest that was recorded of `subject`.

        Raises:
            TamperedError: it is not, or nothing was recorded of it.
        """
        if not self._is_latest(session, kind, subject, value):
            raise TamperedError(f"the {kind} of `{subject}` is an older one, or another's")

    def latest(self, session: Session, kind: str, subject: str) -> str | None:
        """The latest value recorded of `subject`, as `session` sees it; None: there is none."""
        changes, _ = self._tail(session)
        for change in reversed(changes):
            if (change.kind, change.subject) == (kind, subject):
                return change.value
        known = self._latest.get((kind, subject))
        return known[0] if known else None

    def history(self, session: Session, kind: str, subject: str) -> list[Change]:
        """Every line about `subject`, oldest first.

        The whole chain is read: a line that was taken away or changed since the start is missed.

        Raises:
            TamperedError: the journal was changed outside the server.
        """
        self._tail(session)
        return [
            change
            for change, _ in self._chained(session, Head())
            if (change.kind, change.subject) == (kind, subject)
        ]

    def _is_latest(self, session: Session, kind: str, subject: str, value: str) -> bool:
        known = self._latest.get((kind, subject))
        if known is not None and known[0] == value and not session.info.get(_WRITTEN):
            return True
        changes, _ = self._tail(session)
        for change in reversed(changes):
            if (change.kind, change.subject) == (kind, subject):
                return hmac.compare_digest(change.value, value)
        known = self._latest.get((kind, subject))
        if known is None:
            return False
        latest, committed_at = known
        if hmac.compare_digest(latest, value):
            return True
        if committed_at < session.info.get(OPENED, self._clock()):
            return False
        # The snapshot may be older than that change: it must then not have its line either.
        last = session.scalar(
            select(SealChangeRow.value)
            .where(SealChangeRow.kind == kind, SealChangeRow.subject == subject)
            .order_by(SealChangeRow.position.desc())
            .limit(1)
        )
        return last is not None and last != latest and hmac.compare_digest(last, value)

    def _tail(self, session: Session) -> tuple[list[Change], Head]:
        """The lines in `session` past what this process knows, and the head with them.

        Those of a read session are committed, so they are known from then on.
        """
        with self._lock:
            if not session.info.get(WRITES, True):
                if not self._is_behind(session):
                    self.load(session)
                return [], self._head
            self._require_known(session)
            changes, head = [], self._head
            for change, head in self._chained(session, self._head):  # noqa: B007 # the last one
                changes.append(change)
            return changes, head

    def _is_behind(self, session: Session) -> bool:
        """Whether a snapshot rightly lacks lines that were committed after it was opened."""
        opened = session.info.get(OPENED)
        return opened is not None and self._grown_at >= opened

    def _require_known(self, session: Session) -> None:
        """Return if the chain in `session` still has the last line that this process knows."""
        if not self._head.length:
            return
        kept = session.scalar(
            select(SealChangeRow.mac).where(SealChangeRow.position == self._head.length)
        )
        if not isinstance(kept, bytes) or not hmac.compare_digest(kept, self._head.mac):
            raise TamperedError("the journal of sealed changes was cut off or changed")

    def _chained(
        self, session: Session, head: Head, until: int | None = None
    ) -> Iterator[tuple[Change, Head]]:
        """The lines after `head`, each with the head that it makes.

        Raises:
            TamperedError: one does not follow the line before.
        """
        broken = TamperedError("the journal of sealed changes was changed outside the server")
        while until is None or head.length < until:
            rows = session.execute(
                select(
                    SealChangeRow.position, SealChangeRow.kind, SealChangeRow.subject,
                    SealChangeRow.value, SealChangeRow.entry, SealChangeRow.mac,
                )
                .where(SealChangeRow.position > head.length)
                .order_by(SealChangeRow.position)
                .limit(_BATCH if until is None else min(_BATCH, until - head.length))
            ).all()  # fmt: skip
            for position, kind, subject, value, entry, kept in rows:
                change = Change(position, kind, subject, value, entry)
                try:
                    mac = self._mac(head, change)
                    follows = hmac.compare_digest(mac, kept)
                except (TypeError, ValueError):
                    # SQLite keeps what is written: text where bytes or a number should be.
                    raise broken from None
                if change.position != head.length + 1 or not follows:
                    raise broken
                head = Head(change.position, mac)
                yield change, head
            if not rows:
                return

    def _mac(self, before: Head, change: Change) -> bytes:
        message = bind(
            "strongroom seal change", 1, before.mac.hex(), change.position,
            change.kind, change.subject, change.value,
        )  # fmt: skip
        return hmac.digest(self._key, message, hashlib.sha256)

    def _adopt(self, change: Change, head: Head, now: float) -> None:
        self._latest[change.kind, change.subject] = (change.value, now)
        self._head = head
        self._grown_at = now

    def _before_commit(self, session: Session) -> None:
        # Savepoints pass here, too; what they made is read at the end with everything else.
        if session.in_nested_transaction():
            return
        if self.guard is not None:
            self.guard()
        session.flush()
        with self._lock:
            tail = list(self._chained(session, self._head))

        def committed(_session: Session) -> None:
            with self._lock:
                now = self._clock()
                for change, head in tail:
                    if head.length == self._head.length + 1:
                        self._adopt(change, head, now)
                known = self._head
            if self.watch is not None:
                self.watch(known)

        event.listen(session, "after_commit", committed, once=True)


def untold(session: Session) -> list[tuple[Change, str]]:
    """What was recorded in the session's transaction and is in no entry of the log yet."""
    positions: dict[int, str] = session.info.get(_UNTOLD, {})
    if not positions:
        return []
    # From the rows: a savepoint that was rolled back may have taken some away again.
    rows = session.scalars(
        select(SealChangeRow)
        .where(SealChangeRow.position.in_(positions))
        .order_by(SealChangeRow.position)
    )
    return [(Change(r.position, r.kind, r.subject, r.value), positions[r.position]) for r in rows]


def tell(session: Session, changes: Sequence[Change], entry: int) -> None:
    """Note that `changes` of this transaction are told in the log's entry at `entry`."""
    positions = [change.position for change in changes]
    if positions:
        session.execute(
            update(SealChangeRow).where(SealChangeRow.position.in_(positions)).values(entry=entry)
        )
    for position in positions:
        session.info[_UNTOLD].pop(position)
