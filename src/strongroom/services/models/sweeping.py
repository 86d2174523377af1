"""The sweep: every approved version is verified again from time to time, piece by piece.

One version at a time, the longest unverified first, spread over the interval and never faster than
so many bytes a second, so that serving does not feel it. A difference flags the version and is
recorded by the verifier; it is loaded at no endpoint any more, while what was loaded before goes
on with the bytes that were verified then.

When a version was verified stands in its row, for the next start; within one process its own
memory counts, so that a row written by hand puts off one look and not all of them.
"""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select

from strongroom.errors import StrongroomError, TamperedError
from strongroom.gate.operation import Alarm
from strongroom.services.models.tables import ModelEntryRow
from strongroom.services.models.types import ModelState
from strongroom.services.models.verifying import Verifier
from strongroom.vault.database import Database

_SHORTEST_PAUSE = 1.0
_LONGEST_PAUSE = 600.0
_TIDIED_EVERY = timedelta(hours=1)

_log = structlog.get_logger(__name__)


class StoppedError(Exception):
    """The server ends while a version is being read; it is verified after the next start."""


class Sweep:
    """Verifies approved versions in a thread of its own."""

    def __init__(
        self,
        database: Database,
        verifier: Verifier,
        now: Callable[[], datetime],
        *,
        hours: float,
        bytes_per_second: int,
        alarm: Alarm | None = None,
        tidy: Callable[[], None] = lambda: None,
    ) -> None:
        """Nothing is read before `start`.

        Args:
            hours: in which every version is verified once; 0: never.
            bytes_per_second: read at most, in the mean.
            alarm: told of each version that is not what was signed.
            tidy: called once an hour: takes away what imports have left.
        """
        self._database = database
        self._verifier = verifier
        self._now = now
        self._interval = timedelta(hours=hours)
        self._bytes_per_second = bytes_per_second
        self._alarm = alarm
        self._tidy = tidy
        self._tidied_at = now()
        self._looked_at: dict[str, datetime] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="model-sweep", daemon=True)

    def start(self) -> None:
        """Begin, unless it is switched off."""
        if self._interval:
            self._thread.start()

    def stop(self) -> None:
        """End, also in the middle of a version."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def look(self) -> int:
        """Verify the version that is due the longest, if one is; how many are approved in all."""
        due, count = self._due()
        if due is not None:
            self._verify(due)
        return count

    def _run(self) -> None:
        pause = _SHORTEST_PAUSE
        while not self._stopping.wait(pause):
            try:
                self._tidy_hourly()
                count = self.look()
            except StoppedError:
                return
            except Exception as error:  # noqa: BLE001 # a sweep that has died would go unnoticed
                # A database that is busy or away, say: the next pass looks again.
                code = error.code if isinstance(error, StrongroomError) else type(error).__name__
                _log.error("models_not_swept", code=code)
                count = 1
            spread = self._interval.total_seconds() / max(1, count)
            pause = min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, spread / 2))

    def _tidy_hourly(self) -> None:
        if self._now() - self._tidied_at >= _TIDIED_EVERY:
            self._tidied_at = self._now()
            self._tidy()

    def _due(self) -> tuple[ModelEntryRow | None, int]:
        now = self._now()
        with self._database.read() as session:
            # Without the rows themselves: there may be ten thousand.
            columns = select(ModelEntryRow.id, ModelEntryRow.verified_at)
            found = session.execute(columns.where(ModelEntryRow.state == ModelState.APPROVED)).all()
            seen = {entry: self._seen(entry, verified_at, now) for entry, verified_at in found}
            self._looked_at = {key: at for key, at in self._looked_at.items() if key in seen}
            longest = min(seen, key=lambda entry: seen[entry], default="")
            if not longest or now - seen[longest] <= self._interval:
                return None, len(seen)
            return session.get(ModelEntryRow, longest), len(seen)

    def _seen(self, entry: str, verified_at: datetime | None, now: datetime) -> datetime:
        """When the version was verified last, or long ago."""
        known = self._looked_at.get(entry)
        if known is not None:
            return known
        if verified_at is None or verified_at > now:
            return now - 2 * self._interval - timedelta(seconds=1)
        return verified_at

    def _verify(self, row: ModelEntryRow) -> None:
        # Whatever becomes of it: what cannot be read must not keep all others waiting.
        self._looked_at[row.id] = now = self._now()
        pace = Pace(self._bytes_per_second, self._stopping)
        try:
            self._verifier.verify(row.workspace, row.model, row.version, pace=pace)
        except TamperedError as error:
            if self._alarm is not None:
                about = f"{row.workspace}/{row.model}/{row.version}"
                self._alarm("ModelVersion", about, error.message, row.workspace)
        except StrongroomError as error:
            # Retired meanwhile, or its key is disabled: it has its turn again later.
            _log.info("model_not_swept", entry=row.id, code=error.code)
            return
        with self._database.write() as session:
            if (current := session.get(ModelEntryRow, row.id)) is not None:
                current.verified_at = now


class Pace:
    """Called with the size of each piece that was read: waits so that the mean is kept."""

    def __init__(
        self, bytes_per_second: int, stopping: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._bytes_per_second = bytes_per_second
        self._stopping = stopping
        self._clock = clock
        self._began = clock()
        self._read = 0

    def __call__(self, size: int) -> None:
        """Wait if it went too fast. Raises: StoppedError, when the server ends."""
        self._read += size
        ahead = self._read / self._bytes_per_second - (self._clock() - self._began)
        if self._stopping.wait(ahead) if ahead > 0 else self._stopping.is_set():
            raise StoppedError
