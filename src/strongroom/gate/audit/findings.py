"""What is found changed while the server runs: once on the record, and in sight until repaired.

A finding is an entry of the log (class `detection_finding`) and a row. The row is why the next
request that meets the same thing leaves no further entry, and what `doctor`, `/readyz` and the
console show.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from strongroom.errors import StrongroomError
from strongroom.gate.audit.log import AuditLog
from strongroom.gate.audit.tables import IntegrityFindingRow
from strongroom.gate.audit.types import AuditClass, Event, Outcome
from strongroom.vault.database import Database

MAX_FINDINGS = 1_000
"""Rows kept: who changes more than that is seen by those."""
AGAIN_SECONDS = 60.0
"""How long what was met once is not looked at again: by then it may have been repaired."""
_MAX_SUBJECT = 128
_MAX_REASON = 256

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as the server left it.

    Attributes:
        kind: what sort of thing: `standing`, `key`, `blob`, `model`, …
        entry: place of its record in the log.
    """

    kind: str
    subject: str
    reason: str
    found_at: datetime
    entry: int | None


class Findings:
    """Records findings; one to a process, safe for its threads."""

    def __init__(
        self,
        database: Database,
        log: AuditLog,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        """Take where they are kept, and the log."""
        self._database = database
        self._log = log
        self._now = now
        self._again_seconds = again_seconds
        self._seen: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="findings")

    def report(self, kind: str, subject: str, reason: str, workspace: str = "") -> None:
        """Put a finding on the record, unless it is already; never raises.

        Not inside a write of the same thread: it is written from another one then.
        """
        key = (kind[:32], subject[:_MAX_SUBJECT])
        with self._lock:
            moment = time.monotonic()
            if moment - self._seen.get(key, float("-inf")) < self._again_seconds:
                return
            if len(self._seen) >= MAX_FINDINGS:
                self._seen.clear()
            self._seen[key] = moment
        _log.error("integrity_finding", kind=kind, subject=subject, reason=reason)
        # In a thread of its own: whoever met it may hold a session, and has others waiting.
        with suppress(RuntimeError):  # the server ends
            self._threads.submit(self._record, *key, reason, workspace)

    def settle(self) -> None:
        """Wait until everything reported is on the record, and take no more."""
        self._threads.shutdown()

    def _record(self, kind: str, subject: str, reason: str, workspace: str) -> None:
        try:
            with self._database.write() as session:
                if session.get(IntegrityFindingRow, (kind, subject)) is not None:
                    return
                count = session.scalar(select(func.count()).select_from(IntegrityFindingRow))
                if (count or 0) >= MAX_FINDINGS:
                    return
                entry = self._log.append(
                    session, finding_event(kind, subject, reason, workspace, self._now())
                )
                session.add(
                    IntegrityFindingRow(
                        kind=kind, subject=subject, reason=reason[:_MAX_REASON],
                        found_at=self._now(), entry=entry.index,
                    )
                )  # fmt: skip
        except StrongroomError as error:
            # It is met again, then it is tried again.
            with self._lock:
                self._seen.pop((kind, subject), None)
            _log.error("integrity_finding_not_recorded", kind=kind, reason=error.code)


def finding_event(kind: str, subject: str, reason: str, workspace: str, now: datetime) -> Event:
    """The record of a finding."""
    return Event(
        time=now.timestamp(), workspace=workspace, actor_kind="server", actor="server",
        operation="integrity.finding", action="", resource_type=kind.capitalize(),
        resource=subject, audit_class=AuditClass.DETECTION_FINDING, request_id="",
        outcome=Outcome.FAILED, reason=reason,
    )  # fmt: skip


def open_findings(session: Session, limit: int = 100) -> list[Finding]:
    """What is not repaired yet, oldest first."""
    rows = session.scalars(
        select(IntegrityFindingRow).order_by(IntegrityFindingRow.found_at).limit(limit)
    )
    return [Finding(r.kind, r.subject, r.reason, r.found_at, r.entry) for r in rows]


def clear_finding(session: Session, kind: str, subject: str) -> bool:
    """Take a finding out of sight, in the transaction that repairs it; its entry stays.

    Returns: whether there was one.
    """
    gone = session.scalars(
        delete(IntegrityFindingRow)
        .where(IntegrityFindingRow.kind == kind, IntegrityFindingRow.subject == subject)
        .returning(IntegrityFindingRow.kind)
    ).all()
    return bool(gone)
