"""Guards of model versions in the database: wished for, fitted, kept sealed, opened for endpoints.

A row says where a guard lies; the journal of sealed changes says which one is the last that was
fitted, so that a guard can neither be swapped for another nor quietly taken away.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from strongroom.errors import ConflictError, NotFoundError, TamperedError, ValidationError
from strongroom.services.jobs.queue import Jobs
from strongroom.services.models.fitted_guard import FittedGuard
from strongroom.services.models.guard_types import GuardState
from strongroom.services.models.tables import ModelEntryRow, ModelGuardRow
from strongroom.services.models.types import ModelState
from strongroom.vault.blob_writing import StagedBlob
from strongroom.vault.blobs import BlobStore
from strongroom.vault.seals import Seals

FIT_KIND = "models.fit_guard"
WISH_KIND = "guard-wish"
GUARD_KIND = "model-guard"
MAX_UNDER_WAY = 4
"""Fittings of the server that are queued or run."""
_SEAL = "model guard"
"""Of the guards of versions, in the journal of sealed changes."""
_NONE = "none"


@dataclass(frozen=True, slots=True)
class GuardWish:
    """What was asked for, as it lies sealed until the job has ended.

    Attributes:
        tables: `trained`, and `held_out` where there is one → id of the dataset, its version.
        rates: of false alarms, tried in order: the first that the rows suffice for.
        values: of the label column, in the order of the model's classes; empty: as it names them.
    """

    tables: Mapping[str, tuple[str, int]]
    label: str
    rates: tuple[float, ...]
    values: tuple[str, ...] = ()
    group: int = 1
    is_squeezing: bool = False

    def to_bytes(self) -> bytes:
        """As JSON."""
        return json.dumps({
            "tables": dict(self.tables), "label": self.label, "rates": self.rates,
            "values": self.values,
            "group": self.group, "squeezing": self.is_squeezing,
        }).encode()  # fmt: skip

    @classmethod
    def from_bytes(cls, data: bytes) -> "GuardWish":
        """As it was written."""
        found: dict[str, Any] = json.loads(data)
        tables = {name: (str(one[0]), int(one[1])) for name, one in found["tables"].items()}
        return cls(
            tables, str(found["label"]), tuple(found["rates"]), tuple(found["values"]),
            int(found["group"]), bool(found["squeezing"]),
        )  # fmt: skip


class ModelGuards:
    """Rows of guards."""

    def __init__(
        self, blobs: BlobStore, jobs: Jobs, seals: Seals, now: Callable[[], datetime]
    ) -> None:
        self._blobs = blobs
        self._jobs = jobs
        self._seals = seals
        self._now = now

    # ---- wishing ----

    def wish(
        self, session: Session, entry: ModelEntryRow, staged: StagedBlob, by: str, *, waits: bool
    ) -> ModelGuardRow:
        """Ask for a guard in the caller's transaction; with `waits`, after the version's checks.

        Raises: ConflictError: one is being fitted, or too many are.
        """
        row = session.get(ModelGuardRow, entry.id)
        under_way = session.scalar(
            select(func.count()).where(ModelGuardRow.state == GuardState.QUEUED)
        )
        if row is not None and row.state in {GuardState.WAITING, GuardState.QUEUED}:
            raise ConflictError(
                f"a guard of version {entry.version} of `{entry.model}` is being fitted"
            )
        if not waits and (under_way or 0) >= MAX_UNDER_WAY:
            raise ConflictError(
                f"{MAX_UNDER_WAY} guards are being fitted on this server",
                next_step="ask again when one has ended",
            )
        row = row or ModelGuardRow(entry=entry.id, guard=None)
        row.state, row.reason, row.job = GuardState.WAITING, "", ""
        row.wish = self._blobs.commit(session, staged).id
        row.asked_by, row.asked_at, row.ended_at = by, self._now(), None
        session.add(row)
        if not waits:
            self._queue(session, entry, row)
        session.flush()
        return row

    def checked(self, session: Session, entry: ModelEntryRow) -> None:
        """The checks of a version have ended, in this transaction: fit what waits for them."""
        row = session.get(ModelGuardRow, entry.id)
        if row is None or row.state != GuardState.WAITING:
            return
        if entry.state == ModelState.CHECKED:
            self._queue(session, entry, row)
        else:
            self.end(session, row, GuardState.BROKEN, f"the version is {entry.state}")

    def _queue(self, session: Session, entry: ModelEntryRow, row: ModelGuardRow) -> None:
        row.state = GuardState.QUEUED
        row.job = self._jobs.enqueue(
            session, FIT_KIND, {"entry": entry.id, "wish": row.wish}, entry.workspace, row.asked_by
        )

    # ---- ending ----

    def end(self, session: Session, row: ModelGuardRow, state: GuardState, reason: str) -> None:
        """A fitting has ended; what was wished for is let go of."""
        if row.wish is not None:
            self._blobs.delete(session, row.wish)
        row.wish, row.state, row.reason, row.ended_at = None, state, reason[:500], self._now()

    def keep(self, session: Session, row: ModelGuardRow, staged: StagedBlob) -> None:
        """Put a guard in the place of the former one."""
        before, row.guard = row.guard, self._blobs.commit(session, staged).id
        if before is not None:
            self._blobs.delete(session, before)
        self._seals.record(session, _SEAL, row.entry, row.guard)
        self.end(session, row, GuardState.DONE, "")

    def drop(self, session: Session, entry: str) -> None:
        """The version is deleted: its guard goes with it."""
        row = session.get(ModelGuardRow, entry)
        if row is None:
            return
        if row.guard is not None:
            self._blobs.delete(session, row.guard)
            self._seals.record(session, _SEAL, entry, _NONE)
        row.guard = None
        self.end(session, row, GuardState.GONE, "the version was deleted")

    # ---- finding ----

    def current(self, session: Session, workspace: str, model: str, version: int) -> str | None:
        """What the guard of a version is known by; None: it has none.

        Raises:
            TamperedError: it is not the one that was fitted last, or was taken away.
        """
        entry = session.scalar(
            select(ModelEntryRow.id).where(
                ModelEntryRow.workspace == workspace,
                ModelEntryRow.model == model,
                ModelEntryRow.version == version,
            )
        )
        if entry is None:
            return None
        row = session.get(ModelGuardRow, entry)
        held = None if row is None else row.guard
        if held is None:
            if self._seals.latest(session, _SEAL, entry) not in {None, _NONE}:
                raise TamperedError("the guard of the model version was taken away")
            return None
        self._seals.require(session, _SEAL, entry, held)
        return held

    def open(self, session: Session, guard: str) -> FittedGuard:
        """A guard that `current` named.

        Raises:
            TamperedError: its bytes are not those that were sealed. KeyUnavailableError.
        """
        try:
            with self._blobs.open(session, guard) as reader:
                return FittedGuard.from_bytes(b"".join(reader.chunks()))
        except (NotFoundError, ValidationError) as error:
            raise TamperedError(f"the guard cannot be read: {error.message}") from None
