"""The files of runs, logged models and traces: sealed blobs, found by rows of ours.

A file is there or not: its row and our record of it are committed together, after the bytes are
durable. What was registered as a model version cannot be changed any more, and is given out only
when its checks were passed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from strongroom.errors import (
    ConflictError,
    ModelRefusedError,
    NotFoundError,
    RefusedError,
    TamperedError,
)
from strongroom.faces.mlflow import lookups
from strongroom.faces.mlflow.caller import Caller, OpenCall, opened
from strongroom.faces.mlflow.guard import CALLS_PER_MINUTE, in_mlflow_schema
from strongroom.faces.mlflow.places import Place
from strongroom.faces.mlflow.registration import ModelChecks
from strongroom.faces.mlflow.tables import ArtifactRow, RegistrationRow
from strongroom.gate.access.types import Entity
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.operation import Admission, Gate
from strongroom.services.models.types import CheckState, ModelFile
from strongroom.vault.blob_reading import BlobReader
from strongroom.vault.blobs import BlobStore

KIND = "artifact"
_ELSEWHERE = "the artifact lies in another workspace"
MAX_FILES = 100_000
"""Files in one folder; a listing is held in memory."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of a directory; `size` is None for a directory."""

    name: str
    size: int | None


class ArtifactShelf:
    """Reads and writes artifacts for a caller; every call is decided on and recorded."""

    def __init__(
        self,
        gate: Gate,
        blobs: BlobStore,
        checks: ModelChecks,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._gate = gate
        self._blobs = blobs
        self._checks = checks
        self._now = now

    # ---- calls ----

    def put(
        self,
        caller: Caller,
        place: Place,
        path: str,
        chunks: Iterable[bytes],
        expected_size: int | None,
    ) -> None:
        """Store a file, in place of one of the same name.

        Raises:
            RefusedError, NotFoundError: not permitted; no such run, logged model or trace.
            ConflictError: it belongs to a registered model version, or a directory is there.
            TruncatedError, TooLargeError, StorageFullError, …: see `BlobStore.put`.
        """
        with self._admitted(caller, place, "putArtifact", "writeArtifact") as admission:
            # Before the bytes are taken, and once more when they are entered.
            with admission.reading() as session:
                self._require_changeable(session, place, path)
            with (
                self._blobs.put(
                    place.workspace, KIND, chunks, expected_size=expected_size
                ) as staged,
                admission.transaction() as session,
            ):
                self._require_changeable(session, place, path)
                self._blobs.commit(session, staged)
                row = self._row(session, place, path)
                if row is None:
                    session.add(
                        ArtifactRow(
                            workspace=place.workspace, experiment=place.experiment,
                            folder=place.folder, path=path, blob=staged.id, size=staged.size,
                            created_at=self._now(),
                        )
                    )  # fmt: skip
                else:
                    replaced = row.blob
                    row.blob, row.size, row.created_at = staged.id, staged.size, self._now()
                    session.flush()
                    self._blobs.delete(session, replaced)
                admission.note(folder=place.folder, bytes=staged.size, sha256=staged.sha256)

    def open(self, caller: Caller, place: Place, path: str) -> BlobReader:
        """A reader of the file; the read is on record before a byte leaves.

        Raises:
            RefusedError: not permitted, or the checks of the model are not passed.
            NotFoundError: no such file.
        """
        with (
            self._admitted(caller, place, "readArtifact", "readArtifact") as admission,
            admission.reading() as session,
        ):
            row = self._row(session, place, path)
            if row is None:
                raise NotFoundError("there is no such artifact")
            self._require_released(session, place, path)
            reader = self._blobs.open(session, row.blob)
            admission.note(folder=place.folder, bytes=row.size, blob=row.blob)
            return reader

    def chunks(self, caller: Caller, place: Place, reader: BlobReader) -> Iterator[bytes]:
        """The bytes of an opened file; where they are found to be changed, that is recorded.

        Raises:
            TamperedError: they are not what was stored. What came before it was.
        """
        try:
            yield from reader.chunks()
        except TamperedError:
            with self._admitted(caller, place, "readArtifact", "readArtifact"):
                raise

    def entries(self, caller: Caller, place: Place, directory: str) -> list[Listed]:
        """What is directly in a directory, directories first; empty for a file or nothing."""
        with (
            self._admitted(caller, place, "listArtifacts", "readArtifact") as admission,
            admission.reading() as session,
        ):
            start = len(directory) + 1 if directory else 0
            directories: set[str] = set()
            files: dict[str, int] = {}
            for path, size in self._below(session, place, directory):
                name, slash, _ = path[start:].partition("/")
                if slash:
                    directories.add(name)
                else:
                    files[name] = size
        return [
            *(Listed(name, None) for name in sorted(directories)),
            *(Listed(name, files[name]) for name in sorted(files)),
        ]

    def delete(self, caller: Caller, place: Place, path: str) -> None:
        """Delete a file, or all in a directory.

        Raises:
            ConflictError: it belongs to a registered model version.
        """
        with (
            self._admitted(caller, place, "deleteArtifact", "writeArtifact") as admission,
            admission.transaction() as session,
        ):
            rows = [
                row
                for row in self._rows(session, place)
                if not path or row.path == path or row.path.startswith(f"{path}/")
            ]
            if not rows:
                raise NotFoundError("there is no such artifact")
            for row in rows:
                self._require_unregistered(session, place, row.path)
                session.delete(row)
                session.flush()
                self._blobs.delete(session, row.blob)
            admission.note(folder=place.folder, files=len(rows))

    # ---- for the registry, within a call of its own ----

    def files(self, session: Session, place: Place, prefix: str) -> tuple[ModelFile, ...]:
        """The files below a directory, with paths relative to it."""
        start = len(prefix) + 1 if prefix else 0
        return tuple(
            ModelFile(row.path[start:], row.blob)
            for row in self._rows(session, place)
            if not prefix or row.path.startswith(f"{prefix}/")
        )

    # ---- parts ----

    @contextmanager
    def _admitted(
        self, caller: Caller, place: Place, name: str, action: str
    ) -> Iterator[Admission]:
        # Decided on where the file lies, whatever workspace the request names: so an attempt on
        # another's is on the record there.
        caller.trail.recorded = True
        try:
            with self._gate.admit(
                caller.principal, name=f"mlflow.{name}", action=action,
                entity=Entity("Experiment", f"{place.workspace}/{place.experiment}",
                              place.workspace),
                audit=AuditClass.FILE_HOSTING_ACTIVITY, request_id=caller.request_id,
                per_minute=CALLS_PER_MINUTE,
            ) as admission:  # fmt: skip
                if place.workspace != caller.workspace:
                    raise NotFoundError(_ELSEWHERE)
                self._require_owner(admission, caller, place)
                yield admission
        except RefusedError as error:
            if place.workspace == caller.workspace or type(error) is not RefusedError:
                raise
            raise NotFoundError(_ELSEWHERE) from None

    @staticmethod
    def _require_owner(admission: Admission, caller: Caller, place: Place) -> None:
        """Refuse a folder whose run, logged model or trace is not in that experiment."""
        kind, _, identity = place.folder.rpartition("/")
        ask = {
            "": lookups.experiments_of_runs,
            "models": lookups.experiments_of_logged_models,
            "traces": lookups.experiments_of_traces,
        }[kind]
        with (
            admission.reading() as session,
            in_mlflow_schema(session),
            opened(OpenCall(caller, admission, session, writes=False)),
        ):
            if ask([identity]).get(identity) != place.experiment:
                raise NotFoundError("there is no such run, logged model or trace")

    def _require_changeable(self, session: Session, place: Place, path: str) -> None:
        self._require_unregistered(session, place, path)
        parts = path.split("/")
        above = ["/".join(parts[:length]) for length in range(1, len(parts))]
        is_file = select(ArtifactRow.id).where(*self._in(place), ArtifactRow.path.in_(above))
        if above and session.execute(is_file.limit(1)).first() is not None:
            raise ConflictError("a part of the artifact path is a file")
        if next(iter(self._below(session, place, path)), None) is not None:
            raise ConflictError("there is a directory of that name")

    def _require_unregistered(self, session: Session, place: Place, path: str) -> None:
        if self._registrations(session, place, path):
            raise ConflictError(
                "these files belong to a registered model version and cannot change",
                next_step="log the model again and register that",
            )

    def _require_released(self, session: Session, place: Place, path: str) -> None:
        """Refuse files of a model version whose checks failed or are still running.

        Raises: ModelRefusedError, which says why: who asks may read what lies there.
        """
        entries = [it.entry for it in self._registrations(session, place, path)]
        for checked in self._checks.states(session, entries).values():
            if checked.state is CheckState.FAILED:
                raise ModelRefusedError(f"the model did not pass its checks: {checked.reason}")
            if checked.state is CheckState.PENDING:
                raise ModelRefusedError(
                    "the model is still being checked", next_step="try again in a moment"
                )

    @staticmethod
    def _registrations(session: Session, place: Place, path: str) -> Sequence[RegistrationRow]:
        rows = session.scalars(
            select(RegistrationRow).where(
                RegistrationRow.workspace == place.workspace,
                RegistrationRow.experiment == place.experiment,
                RegistrationRow.folder == place.folder,
            )
        )
        return [row for row in rows if not row.prefix or f"{path}/".startswith(f"{row.prefix}/")]

    @staticmethod
    def _in(place: Place) -> tuple[ColumnElement[bool], ...]:
        return (
            ArtifactRow.workspace == place.workspace,
            ArtifactRow.experiment == place.experiment,
            ArtifactRow.folder == place.folder,
        )

    def _row(self, session: Session, place: Place, path: str) -> ArtifactRow | None:
        query = select(ArtifactRow).where(*self._in(place), ArtifactRow.path == path)
        return session.scalars(query).one_or_none()

    def _rows(self, session: Session, place: Place) -> Sequence[ArtifactRow]:
        query = select(ArtifactRow).where(*self._in(place)).order_by(ArtifactRow.path)
        return session.scalars(query.limit(MAX_FILES)).all()

    def _below(self, session: Session, place: Place, directory: str) -> Iterator[tuple[str, int]]:
        """Path and size of every file anywhere below a directory."""
        query = select(ArtifactRow.path, ArtifactRow.size).where(*self._in(place))
        if directory:
            # Not LIKE: a name may hold its wildcards, and it takes capitals for small letters.
            start = f"{directory}/"
            query = query.where(func.substr(ArtifactRow.path, 1, len(start)) == start)
        return ((path, size) for path, size in session.execute(query.limit(MAX_FILES)))
