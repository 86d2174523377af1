"""Rows of releases, sealed, and noted in the journal of sealed changes.

The journal says of each release what it is now, and of each dataset how many releases it has: a row
that is changed, put back from an older day or taken away stops the check of every later release.

Like budgets, releases go by the name of the dataset and outlive it: what somebody has read of the
people is not unread when the dataset is removed and added again.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.engines.crypto.deriving import derive
from strongroom.engines.crypto.wrapping import bind
from strongroom.errors import NotFoundError, TamperedError, TooLargeError
from strongroom.services.data.release_record import ReleaseRecord, open_release, seal_release
from strongroom.services.data.release_tables import DatasetReleaseRow
from strongroom.services.data.release_types import MAX_RELEASES, ReleaseState
from strongroom.services.data.tables import DatasetRow
from strongroom.vault.blobs import BlobStore
from strongroom.vault.keys import Keyring

KIND = "release"
COUNT_KIND = "release count"
"""Of the changes in the journal of sealed changes."""

DATASET_REMOVED = "the dataset was removed"

_PURPOSE = "dataset release"


@dataclass(frozen=True, slots=True)
class Release:
    """A release as it is held."""

    dataset: DatasetRow
    number: int
    record: ReleaseRecord


class Releases:
    """The releases of all datasets.

    Any room that makes releases uses this one: a differentially private release is a record of
    kind `dp` or `synthetic` with its `cost` and without a trace: the budget composes it, not the
    cells.
    """

    def __init__(self, blobs: BlobStore, keyring: Keyring) -> None:
        self._blobs = blobs
        self._keyring = keyring

    def next_number(self, session: Session, dataset: DatasetRow) -> int:
        """The number of the release that is made next.

        Raises:
            TooLargeError: there are too many.
            TamperedError: one was taken away.
        """
        count = self._count(session, dataset)
        if count >= MAX_RELEASES:
            raise TooLargeError(f"a dataset may have {MAX_RELEASES:,} releases")
        return count + 1

    def new(self, session: Session, dataset: DatasetRow, record: ReleaseRecord) -> Release:
        """Add a release, from the commit on. Raises as `next_number`."""
        number = self.next_number(session, dataset)
        series = _series(dataset)
        key = self._keyring.new_object_key(
            session, dataset.workspace, _object(series, number), purpose=_PURPOSE
        )
        sealed = seal_release(record, key.key, series, number)
        session.add(
            DatasetReleaseRow(
                series=series, number=number, workspace=dataset.workspace, record=sealed,
                record_key=key.wrapped, record_key_version=key.kek_version,
            )
        )  # fmt: skip
        session.flush()
        self._note(session, series, number, sealed)
        self._keyring.seals.record(session, COUNT_KIND, series, str(number))
        return Release(dataset, number, record)

    def get(self, session: Session, dataset: DatasetRow, number: int) -> Release:
        """One release.

        Raises:
            NotFoundError: there is none of this number.
            TamperedError: its row is not the one that was written last.
            KeyUnavailableError: the key of the workspace is disabled or destroyed.
        """
        self._count(session, dataset)
        row = session.get(DatasetReleaseRow, (_series(dataset), number))
        if row is None:
            raise NotFoundError(f"the dataset `{dataset.name}` has no release {number}")
        return self._opened(session, dataset, row)

    def every(self, session: Session, dataset: DatasetRow) -> list[Release]:
        """All of them, oldest first. Raises as `get`."""
        self._count(session, dataset)
        rows = session.scalars(
            select(DatasetReleaseRow)
            .where(DatasetReleaseRow.series == _series(dataset))
            .order_by(DatasetReleaseRow.number)
        )
        return [self._opened(session, dataset, row) for row in rows]

    def formers(self, session: Session, release: Release, now: datetime) -> list[Release]:
        """Those whose rows somebody has or may come to have, and that show people one by one."""
        return [
            other
            for other in self.every(session, release.dataset)
            if other.number != release.number
            and other.record.trace_blob
            and other.record.counts_at(now)
        ]

    def set(self, session: Session, release: Release, record: ReleaseRecord) -> Release:
        """Let a release be something else, from the commit on. Raises as `get`."""
        series = _series(release.dataset)
        row = session.get_one(DatasetReleaseRow, (series, release.number))
        key = self._key(session, release.dataset, row)
        row.record = seal_release(record, key, series, release.number)
        session.flush()
        self._note(session, series, release.number, row.record)
        return Release(release.dataset, release.number, record)

    def close(self, session: Session, release: Release, record: ReleaseRecord) -> Release:
        """Let a release be something that nobody reads any more; its rows go. Raises as `get`.

        The trace goes too where nobody has read the rows: it is not needed then.
        """
        if record.blob:
            self._blobs.delete(session, record.blob)
        if record.trace_blob and record.first_read_at is None:
            self._blobs.delete(session, record.trace_blob)
            record = replace(record, trace_blob="")
        return self.set(session, release, replace(record, blob=""))

    def let_go(self, session: Session, dataset: DatasetRow) -> None:
        """Withdraw all releases, for the dataset goes; their rows go with it. Raises as `get`.

        What was read keeps its trace, for the releases of a later dataset of this name.
        """
        for release in self.every(session, dataset):
            record = release.record
            if record.state in (ReleaseState.MAKING, ReleaseState.WAITING, ReleaseState.APPROVED):
                record = replace(
                    record, state=ReleaseState.WITHDRAWN, withdrawn_reason=DATASET_REMOVED
                )
            self.close(session, release, record)

    def trace_key(self, session: Session, dataset: DatasetRow) -> bytes:
        """The key of the digests by which releases know rows and people again.

        It goes with the first release, whose row stays: the key of a dataset goes with the dataset.

        Raises:
            NotFoundError: there is no release yet.
        """
        row = session.get(DatasetReleaseRow, (_series(dataset), 1))
        if row is None:
            raise NotFoundError(f"the dataset `{dataset.name}` has no release")
        return derive(self._key(session, dataset, row), b"strongroom/1/release trace")

    def rewrap(self, session: Session, workspace: str) -> int:
        """Bring the keys of records to the workspace's newest key; how many changed."""
        rows = {
            _object(row.series, row.number): row
            for row in session.scalars(
                select(DatasetReleaseRow).where(DatasetReleaseRow.workspace == workspace)
            )
        }
        held = [(name, row.record_key, row.record_key_version) for name, row in rows.items()]
        changed = self._keyring.rewrap(session, workspace, held, purpose=_PURPOSE)
        for name, wrapped, version in changed:
            rows[name].record_key, rows[name].record_key_version = wrapped, version
        session.flush()
        return len(changed)

    def _note(self, session: Session, series: str, number: int, sealed: bytes) -> None:
        value = sha256(sealed).hexdigest()
        self._keyring.seals.record(session, KIND, _object(series, number), value)

    def _count(self, session: Session, dataset: DatasetRow) -> int:
        """How many releases there are, which the journal must know too."""
        series = _series(dataset)
        numbers = session.scalars(
            select(DatasetReleaseRow.number)
            .where(DatasetReleaseRow.series == series)
            .order_by(DatasetReleaseRow.number)
        ).all()
        seals = self._keyring.seals
        if numbers or seals.latest(session, COUNT_KIND, series) is not None:
            seals.require(session, COUNT_KIND, series, str(len(numbers)))
        if list(numbers) != list(range(1, len(numbers) + 1)):
            raise TamperedError("the releases of a dataset are not those that were made")
        return len(numbers)

    def _key(self, session: Session, dataset: DatasetRow, row: DatasetReleaseRow) -> bytes:
        return self._keyring.object_key(
            session, dataset.workspace, _object(row.series, row.number), row.record_key,
            row.record_key_version, purpose=_PURPOSE,
        )  # fmt: skip

    def _opened(self, session: Session, dataset: DatasetRow, row: DatasetReleaseRow) -> Release:
        if not isinstance(row.record, bytes):
            raise TamperedError("the record of a release is not of this form")
        name = _object(row.series, row.number)
        self._keyring.seals.require(session, KIND, name, sha256(row.record).hexdigest())
        key = self._key(session, dataset, row)
        record = open_release(row.record, key, row.series, row.number)
        return Release(dataset, row.number, record)


def _series(dataset: DatasetRow) -> str:
    """The id of all releases under a name; by it the journal knows them without a dataset."""
    digest = sha256(bind("strongroom release series", 1, dataset.workspace, dataset.name))
    return f"rel_{digest.hexdigest()[:28]}"


def _object(series: str, number: int) -> str:
    return f"{series}/{number}"
