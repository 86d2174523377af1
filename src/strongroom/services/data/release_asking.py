"""The verb that asks for an anonymized release."""

from datetime import timedelta

from strongroom.engines.privacy.anonymize.recipe import MAX_RECIPE_CHARACTERS, parse_recipe
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Body, Command, Limits, Route, operation
from strongroom.gate.operation import Call
from strongroom.services.data.bodies import text_of
from strongroom.services.data.release_checks import recipients_of, require_fitting
from strongroom.services.data.release_making import JOB_KIND
from strongroom.services.data.release_record import ReleaseRecord, known_by
from strongroom.services.data.release_room import (
    MADE_PER_MINUTE,
    ROUTE,
    ReleaseRoom,
    dataset_entity,
)
from strongroom.services.data.release_types import (
    MakeRelease,
    ReleaseKind,
    ReleaseShown,
    ReleaseState,
)
from strongroom.vault.encrypted_tables import read_schema


class ReleaseAsking(ReleaseRoom):
    """The part of the room that has tables anonymized."""

    @operation(
        "data.release",
        action="releaseDataset",
        resource=dataset_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("POST", ROUTE),
        command=Command("data release", positional=("name",), body="recipe"),
        body=Body.STREAM,
        limits=Limits(body_bytes=4 * MAX_RECIPE_CHARACTERS, per_minute=MADE_PER_MINUTE),
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
