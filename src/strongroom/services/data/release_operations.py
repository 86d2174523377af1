"""Verbs on releases: make, list, show, approve, withdraw, read."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.engines.privacy.anonymize.recipe import (
    MAX_RECIPE_CHARACTERS,
    ColumnRole,
    parse_recipe,
)
from strongroom.engines.reading.types import ReadLimits
from strongroom.errors import (
    KeyUnavailableError,
    NotFoundError,
    RefusedError,
    StateError,
    TamperedError,
)
from strongroom.gate.access.types import CedarValue, Entity
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Body, Command, Limits, Route, Stream, operation
from strongroom.gate.operation import Call
from strongroom.gate.undecided import Recorder
from strongroom.services.data.bodies import text_of
from strongroom.services.data.catalog import Catalog
from strongroom.services.data.outgoing import MEDIA_TYPES, encode, require_exportable
from strongroom.services.data.release_checks import recipients_of, require_fitting, require_state
from strongroom.services.data.release_making import JOB_KIND, ReleaseMaker
from strongroom.services.data.release_record import ReleaseRecord, known_by
from strongroom.services.data.release_types import (
    ListReleases,
    MakeRelease,
    ReadRelease,
    ReleaseDetail,
    ReleaseKind,
    ReleaseProof,
    ReleaseReference,
    Releases,
    ReleaseShown,
    ReleaseState,
    WithdrawRelease,
)
from strongroom.services.data.release_wording import shown
from strongroom.services.data.releases import Release
from strongroom.services.data.tables import DatasetRow
from strongroom.services.jobs.queue import Jobs
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.encrypted_tables import read_schema, read_table
from strongroom.vault.keys import Keyring

_ROUTE = "/workspaces/{workspace}/data/{name}/releases"
_ONE = _ROUTE + "/{number}"
_LOOK_SECONDS = 1.0
_MADE_PER_MINUTE = 10


def dataset_entity(_room: object, _session: Session, request: MakeRelease | ListReleases) -> Entity:
    """The dataset that a request names, whether or not it is there."""
    return Entity("Dataset", f"{request.workspace}/{request.name}", request.workspace)


def release_entity(room: object, session: Session, request: ReleaseReference) -> Entity:
    """The release that a request names, with who may read it; without them where it is not there.

    A record that cannot be opened names nobody: the call is refused, and nothing is told.
    """
    attributes: dict[str, CedarValue] = {}
    if isinstance(room, ReleaseOperations):
        try:
            record = room.find(session, request).record
        except (NotFoundError, TamperedError, KeyUnavailableError):
            pass
        else:
            attributes = {"readers": record.readers, "readerRoles": record.reader_roles}
    name = f"{request.workspace}/{request.name}/{request.number}"
    return Entity("Release", name, request.workspace, attributes)


class ReleaseOperations:
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
        jobs.register_kind(JOB_KIND, maker.make)

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

    # ---- making ----

    @operation(
        "data.release",
        action="releaseDataset",
        resource=dataset_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("POST", _ROUTE),
        command=Command("data release", positional=("name",), body="recipe"),
        body=Body.STREAM,
        limits=Limits(body_bytes=4 * MAX_RECIPE_CHARACTERS, per_minute=_MADE_PER_MINUTE),
    )
    def release(self, call: Call, request: MakeRelease) -> ReleaseShown:
        """Make an anonymized copy of a dataset that named recipients may read for a while.

        The body is a recipe, as `strongroom anonymize --write-recipe` writes it. A job makes the
        table, counts it again, and holds it against all releases of the dataset that somebody has
        read: where the promises would not hold for who has them all, it is refused, with numbers.
        Nobody reads it before a second person has approved it.
        """
        text = text_of(call, 4 * MAX_RECIPE_CHARACTERS, "recipe")
        recipe = parse_recipe(text)
        now = self._now()
        with call.transaction() as session:
            held = self._catalog.find(session, request.workspace, request.name, request.version)
            require_fitting(recipe, held)
            readers, roles = recipients_of(session, request.recipients)
            number = self._catalog.releases.next_number(session, held.dataset)
            schema, _ = read_schema(self._blobs, session, held.row.blob)
            job = self._jobs.enqueue(
                session, JOB_KIND, {"dataset": held.dataset.id, "number": number},
                request.workspace, call.principal.id,
            )  # fmt: skip
            made = self._catalog.releases.new(session, held.dataset, ReleaseRecord(
                kind=ReleaseKind.ANONYMIZED,
                state=ReleaseState.MAKING,
                source_version=held.row.version,
                source_digest=held.record.digest,
                source_commitment=held.commitment,
                known_by=known_by(held.record.subject_column, schema),
                purpose=request.purpose,
                readers=readers,
                reader_roles=roles,
                made_by=call.principal.id,
                made_at=now,
                expires_at=now + timedelta(days=request.expires_days),
                recipe=text,
                job=job,
            ))  # fmt: skip
            call.note(
                number=made.number, version=held.row.version, source=held.commitment,
                recipe=made.record.recipe_digest, purpose=request.purpose,
                readers=", ".join(readers), reader_roles=", ".join(roles),
                expires=made.record.expires_at.isoformat(), job=job,
            )  # fmt: skip
        # From the commit on the job makes it, also after a crash.
        return self._shown(call, made)

    # ---- looking ----

    @operation(
        "data.releases",
        action="readDataset",
        resource=dataset_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("GET", _ROUTE),
        command=Command("data releases", positional=("name",)),
    )
    def releases(self, call: Call, request: ListReleases) -> Releases:
        """List the releases of a dataset, newest first."""
        with call.reading() as session:
            found = self._catalog.releases.every(session, self._dataset(session, request))
        call.note(releases=len(found))
        return Releases(releases=[self._shown(call, one) for one in reversed(found)])

    @operation(
        "data.show_release",
        action="readDataset",
        resource=dataset_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("GET", _ONE),
        command=Command("data show-release", positional=("name", "number")),
    )
    def show_release(self, call: Call, request: ReleaseReference) -> ReleaseDetail:
        """Show a release: what it promises, what was counted, and the check against former ones."""
        with call.reading() as session:
            found = self.find(session, request)
        return ReleaseDetail(
            shown=self._shown(call, found),
            proof=found.record.proof,
            composition=found.record.composition,
            cost=found.record.cost,
            # A recipe may hold values, in orders and hierarchies.
            recipe=found.record.recipe if call.allows("releaseDataset") else "",
        )

    # ---- deciding ----

    @operation(
        "data.approve_release",
        action="approveRelease",
        resource=dataset_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("POST", _ONE + "/approve"),
        command=Command("data approve-release", positional=("name", "number")),
    )
    def approve_release(self, call: Call, request: ReleaseReference) -> ReleaseShown:
        """Let the recipients read a release that another person has made."""
        now = self._now()
        with call.transaction() as session:
            found = self.find(session, request)
            if found.record.made_by == call.principal.id:
                raise RefusedError(
                    "who makes a release does not approve it",
                    next_step="ask another Owner or Privacy Officer to approve it",
                )
            require_state(found, now, ReleaseState.WAITING)
            found = self._catalog.releases.set(session, found, replace(
                found.record, state=ReleaseState.APPROVED, approved_by=call.principal.id,
                approved_at=now,
            ))  # fmt: skip
            call.note(number=found.number, made_by=found.record.made_by,
                      recipe=found.record.recipe_digest)  # fmt: skip
        return self._shown(call, found)

    @operation(
        "data.withdraw_release",
        action="withdrawRelease",
        resource=dataset_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("POST", _ONE + "/withdraw"),
        command=Command("data withdraw-release", positional=("name", "number"), confirm="number"),
    )
    def withdraw_release(self, call: Call, request: WithdrawRelease) -> ReleaseShown:
        """Let nobody read a release any more, and remove its rows.

        What was read cannot be taken back: a release that somebody has read counts in the checks of
        later ones for ever.
        """
        now = self._now()
        with call.transaction() as session:
            found = self.find(session, request)
            record = found.record
            if record.state in (ReleaseState.REFUSED, ReleaseState.WITHDRAWN):
                raise StateError(f"release {found.number} is {record.state} already")
            found = self._catalog.releases.close(session, found, replace(
                record, state=ReleaseState.WITHDRAWN, withdrawn_by=call.principal.id,
                withdrawn_at=now, withdrawn_reason=request.reason,
            ))  # fmt: skip
            call.note(number=found.number, was=record.state.value, reason=request.reason,
                      was_read=record.first_read_at is not None)  # fmt: skip
        # Answers that are leaving end within a second.
        return self._shown(call, found)

    # ---- reading ----

    @operation(
        "data.read_release",
        action="readRelease",
        resource=release_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("GET", _ONE + "/rows"),
        command=Command("data read-release", positional=("name", "number")),
    )
    def read_release(self, call: Call, request: ReadRelease) -> Stream:
        """Read the rows of a release: its recipients only, approved and until it expires."""
        now = self._now()
        with call.reading() as session:
            found = self.find(session, request)
            require_state(found, now, ReleaseState.APPROVED)
            schema, rows = read_schema(self._blobs, session, found.record.blob)
            require_exportable(schema, request.format)
        call.note(number=found.number, rows=rows, recipe=found.record.recipe_digest,
                  purpose=found.record.purpose, format=request.format.value)  # fmt: skip
        if found.record.first_read_at is None:
            # Durable before the first row leaves: from now on it counts in every check.
            with call.transaction() as session:
                found = self.find(session, request)
                require_state(found, now, ReleaseState.APPROVED)
                self._catalog.releases.set(session, found, replace(found.record, first_read_at=now))
        with call.reading() as session:
            batches = read_table(self._blobs, session, found.record.blob)
        chunks = encode(batches, schema, request.format)
        return Stream(
            media_type=MEDIA_TYPES[request.format],
            chunks=self._while_open(request, chunks),
            filename=f"{request.name}-release{found.number}.{request.format}",
            headers={
                "Strongroom-Release": str(found.number),
                "Strongroom-Expires": found.record.expires_at.isoformat(),
            },
        )

    @operation(
        "data.release_proof",
        action="readRelease",
        resource=release_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("GET", _ONE + "/proof"),
        command=Command("data release-proof", positional=("name", "number")),
    )
    def release_proof(self, call: Call, request: ReleaseReference) -> ReleaseProof:
        """Show recipients what is proven of a release: once it is approved, and after its end too.

        It names the columns that the release has, and none that were left out.
        """
        with call.reading() as session:
            found = self.find(session, request)
        record = found.record
        if record.approved_at is None:
            require_state(found, self._now(), ReleaseState.APPROVED)
        proof = record.proof
        if proof is not None:
            columns = {n: role for n, role in proof.columns.items() if role != ColumnRole.DROP}
            proof = proof.model_copy(update={"columns": columns})
        call.note(number=found.number, recipe=record.recipe_digest)
        return ReleaseProof(
            number=found.number,
            kind=record.kind,
            state=record.state_at(self._now()),
            purpose=record.purpose,
            expires_at=record.expires_at,
            source_commitment=record.source_commitment,
            recipe_digest=record.recipe_digest,
            proof=proof,
            composition=record.composition,
            cost=record.cost,
        )

    def _while_open(self, request: ReleaseReference, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """`chunks` until the release is withdrawn or expires; looked at each second."""
        look_at = time.monotonic() + _LOOK_SECONDS
        for chunk in chunks:
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + _LOOK_SECONDS
                with self._blobs.database.read() as session:
                    found = self.find(session, request)
                require_state(found, self._now(), ReleaseState.APPROVED)
            yield chunk

    def _shown(self, call: Call, release: Release) -> ReleaseShown:
        return shown(release, self._now(), may_make=call.allows("releaseDataset"))
