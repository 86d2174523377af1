"""What jobs were asked for and what they keep for another try: sealed, until they have ended."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from strongroom.errors import NotFoundError
from strongroom.services.data.tables import AskedColumns
from strongroom.services.models.assessing_types import AssessmentState
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database

WISH_KIND = "assessment-wish"


class SealedWishes:
    """Reads and writes the blobs that rows of assessments name."""

    def __init__(self, blobs: BlobStore, now: Callable[[], datetime]) -> None:
        self._blobs = blobs
        self._now = now

    def wish(self, session: Session, row: AskedColumns) -> bytes:
        """What was asked for. Raises: NotFoundError."""
        if row.wish is None:
            raise gone()
        return self._content(session, row.wish)

    def kept(self, session: Session, row: AskedColumns) -> bytes | None:
        """What an earlier try left, if anything."""
        return self._content(session, row.kept) if row.kept else None

    def keep(self, database: Database, workspace: str, row: AskedColumns, kept: bytes) -> None:
        """Put away what another try would need, in the place of what was there.

        Raises: NotFoundError: nobody asks for it any more.
        """
        with self._blobs.put(workspace, WISH_KIND, [kept]) as staged, database.write() as session:
            found = session.get(type(row), row.id)
            if found is None or found.state != AssessmentState.QUEUED:
                raise gone()
            before, found.kept = found.kept, self._blobs.commit(session, staged).id
            if before:
                self._blobs.delete(session, before)

    def end(self, session: Session, row: AskedColumns, verdict: str, at: datetime) -> None:
        """The job is done: say so, and let go of what it held."""
        row.state, row.verdict, row.ended_at = AssessmentState.DONE, verdict, at
        self._let_go(session, row)

    def give_up(self, session: Session, row: AskedColumns | None, why: str) -> None:
        """The job ended undone: say so, and let go of what it held."""
        if row is not None and row.state == AssessmentState.QUEUED:
            reason = f"{why}: `strongroom job show {row.job}` says more"
            row.state, row.reason, row.ended_at = AssessmentState.BROKEN, reason[:500], self._now()
            self._let_go(session, row)

    def _content(self, session: Session, blob: str) -> bytes:
        with self._blobs.open(session, blob) as reader:
            return b"".join(reader.chunks())

    def _let_go(self, session: Session, row: AskedColumns) -> None:
        for blob in (row.wish, row.kept):
            if blob:
                self._blobs.delete(session, blob)
        row.wish = row.kept = None


def gone() -> NotFoundError:
    """The rows were removed, or the job was ended elsewhere, while it ran."""
    return NotFoundError("what this job was asked for is gone")


def unreported(latest: AskedColumns | None, about: str, command: str) -> NotFoundError:
    """The error that says why no report was signed.

    Args:
        latest: that was asked for last, if any was.
        about: the kind, and what it is of, for a person; `command` asks for one.
    """
    missing = f"there is no report of {about}"
    if latest is not None and latest.state == AssessmentState.QUEUED:
        return NotFoundError(
            f"{missing}: one is under way", next_step=f"see `strongroom job show {latest.job}`"
        )
    if latest is not None and latest.state == AssessmentState.BROKEN:
        return NotFoundError(
            f"{missing}: the last one broke off: {latest.reason}",
            next_step=f"ask for another with `strongroom {command}` when that is mended",
        )
    return NotFoundError(missing, next_step=f"ask for one with `strongroom {command}`")
