"""Verbs on releases: make, list, show, approve, withdraw, read."""

from dataclasses import replace

from strongroom.errors import RefusedError, StateError
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Route, operation
from strongroom.gate.operation import Call
from strongroom.services.data.release_asking import ReleaseAsking
from strongroom.services.data.release_checks import require_state
from strongroom.services.data.release_reading import ReleaseReading
from strongroom.services.data.release_room import ONE, ROUTE, dataset_entity
from strongroom.services.data.release_synthetic import ReleaseSynthetic
from strongroom.services.data.release_types import (
    ListReleases,
    ReleaseDetail,
    ReleaseReference,
    Releases,
    ReleaseShown,
    ReleaseState,
    WithdrawRelease,
)


class ReleaseOperations(ReleaseAsking, ReleaseSynthetic, ReleaseReading):
    """The room of releases, over the catalog of datasets."""

    # ---- looking ----

    @operation(
        "data.releases",
        action="readDataset",
        resource=dataset_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("GET", ROUTE),
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
        route=Route("GET", ONE),
        command=Command("data show-release", positional=("name", "number")),
    )
    def show_release(self, call: Call, request: ReleaseReference) -> ReleaseDetail:
        """Show a release: what it promises, what was counted, and the check against former ones."""
        with call.reading() as session:
            found = self.find(session, request)
        may_make = call.allows("releaseDataset")
        return ReleaseDetail(
            shown=self._shown(call, found),
            proof=found.record.proof,
            synthetic=found.record.synthetic,
            answer=found.record.answer,
            composition=found.record.composition,
            cost=found.record.cost,
            # A recipe may hold values, in orders and hierarchies.
            recipe=found.record.recipe if may_make else "",
            # The figures were read off real rows, which who makes releases may see.
            quality=found.record.quality if may_make else None,
        )

    # ---- deciding ----

    @operation(
        "data.approve_release",
        action="approveRelease",
        resource=dataset_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("POST", ONE + "/approve"),
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
        route=Route("POST", ONE + "/withdraw"),
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
