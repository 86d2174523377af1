"""What the verbs on releases share: the releases, the catalog and the queue of jobs."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.engines.reading.types import ReadLimits
from strongroom.errors import KeyUnavailableError, NotFoundError, TamperedError
from strongroom.gate.access.types import CedarValue, Entity
from strongroom.gate.operation import Call
from strongroom.gate.undecided import Recorder
from strongroom.services.data.catalog import Catalog
from strongroom.services.data.release_making import JOB_KIND, ReleaseMaker
from strongroom.services.data.release_types import (
    ListReleases,
    MakeRelease,
    ReleaseReference,
    ReleaseShown,
    SynthesizeRelease,
)
from strongroom.services.data.release_wording import shown
from strongroom.services.data.releases import Release
from strongroom.services.data.tables import DatasetRow
from strongroom.services.jobs.queue import Jobs
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.keys import Keyring

ROUTE = "/workspaces/{workspace}/data/{name}/releases"
ONE = ROUTE + "/{number}"
MADE_PER_MINUTE = 10


def dataset_entity(
    _room: object, _session: Session, request: MakeRelease | SynthesizeRelease | ListReleases
) -> Entity:
    """The dataset that a request names, whether or not it is there."""
    return Entity("Dataset", f"{request.workspace}/{request.name}", request.workspace)


def release_entity(room: object, session: Session, request: ReleaseReference) -> Entity:
    """The release that a request names, with who may read it; without them where it is not there.

    A record that cannot be opened names nobody: the call is refused, and nothing is told.
    """
    attributes: dict[str, CedarValue] = {}
    if isinstance(room, ReleaseRoom):
        try:
            record = room.find(session, request).record
        except (NotFoundError, TamperedError, KeyUnavailableError):
            pass
        else:
            attributes = {"readers": record.readers, "readerRoles": record.reader_roles}
    name = f"{request.workspace}/{request.name}/{request.number}"
    return Entity("Release", name, request.workspace, attributes)


class ReleaseRoom:
    """The room of releases, over the catalog of datasets."""

    def __init__(
        self,
        blobs: BlobStore,
        keyring: Keyring,
        jobs: Jobs,
        log: Recorder,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take what the room works with; `clock` gives seconds since 1970, UTC."""
        self._blobs = blobs
        self._catalog = Catalog(blobs, keyring)
        self._jobs = jobs
        self._clock = clock
        limits = ReadLimits(
            row_bytes=settings.max_field_bytes,
            columns=settings.max_columns,
            expanded_bytes=settings.max_upload_bytes,
        )
        maker = ReleaseMaker(blobs, self._catalog, log, settings, limits, self._now)
        jobs.register_kind(JOB_KIND, maker.make, maker.give_up)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def find(self, session: Session, request: ReleaseReference) -> Release:
        """The release that a request names. Raises: NotFoundError, TamperedError, …."""
        dataset = self._dataset(session, request)
        return self._catalog.releases.get(session, dataset, request.number)

    def _dataset(self, session: Session, request: ListReleases) -> DatasetRow:
        dataset = session.scalars(
            select(DatasetRow).where(
                DatasetRow.workspace == request.workspace, DatasetRow.name == request.name
            )
        ).first()
        if dataset is None:
            raise NotFoundError(f"there is no dataset `{request.name}` in `{request.workspace}`")
        return dataset

    def _shown(self, call: Call, release: Release) -> ReleaseShown:
        return shown(release, self._now(), may_make=call.allows("releaseDataset"))
