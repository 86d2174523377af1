"""Verbs of those whom a release names: its rows, its proof."""

import time
from collections.abc import Iterator
from dataclasses import replace

from strongroom.engines.privacy.anonymize.recipe import ColumnRole
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Route, Stream, operation
from strongroom.gate.operation import Call
from strongroom.services.data.outgoing import MEDIA_TYPES, encode, require_exportable
from strongroom.services.data.release_checks import require_state
from strongroom.services.data.release_room import ONE, ReleaseRoom, release_entity
from strongroom.services.data.release_types import (
    ReadRelease,
    ReleaseProof,
    ReleaseReference,
    ReleaseState,
)
from strongroom.vault.encrypted_tables import read_schema, read_table

_LOOK_SECONDS = 1.0


class ReleaseReading(ReleaseRoom):
    """The part of the room that gives rows and proofs."""

    @operation(
        "data.read_release",
        action="readRelease",
        resource=release_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("GET", ONE + "/rows"),
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
        route=Route("GET", ONE + "/proof"),
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
            synthetic=record.synthetic,
            answer=record.answer,
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
