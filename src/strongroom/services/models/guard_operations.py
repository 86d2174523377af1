"""Verbs of guards of model versions: fit one, and see how it stands."""

from sqlalchemy.orm import Session

from strongroom.errors import NotFoundError, TamperedError, ValidationError
from strongroom.gate.access.types import Entity
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Limits, Route, operation
from strongroom.gate.operation import Call
from strongroom.services.data.catalog import Catalog, Held
from strongroom.services.models.guard_types import FitGuard, GuardState, ModelGuard
from strongroom.services.models.guards import WISH_KIND, GuardWish
from strongroom.services.models.parts import VERSION_ROUTE, ModelParts, version_entity
from strongroom.services.models.tables import ModelEntryRow, ModelGuardRow
from strongroom.services.models.types import ModelReference, ModelState


class GuardOperations(ModelParts):
    """The part of the room of models that is about their guards."""

    @operation(
        "model.fit_guard",
        action="assessModel",
        resource=version_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", VERSION_ROUTE + "/guard"),
        command=Command("model fit-guard", positional=("name", "version")),
        limits=Limits(per_minute=10),
    )
    def fit_guard(self, call: Call, request: FitGuard) -> ModelGuard:
        """Fit a guard for a version, as a job: what tells odd questions from honest ones.

        Needs the right to train on the datasets too: rows are read in the sandbox, and some are
        kept in the guard, sealed like the data; nothing gives them out. The guard takes the place
        of a former one. Endpoints with the version use it as their guard policy says.
        """
        tables = {"trained": (request.dataset, request.dataset_version)}
        if request.held_out:
            tables["held_out"] = (request.held_out, request.held_out_version)
        catalog = Catalog(self._blobs, self._keyring)
        with call.reading() as session:
            for name, _ in tables.values():
                about = Entity("Dataset", f"{request.workspace}/{name}", request.workspace)
                call.require("trainModel", about)
            held = {
                place: catalog.find(session, request.workspace, name, version)
                for place, (name, version) in tables.items()
            }
        for one in held.values():
            _require_label(one, request.label)
        wish = GuardWish(
            {place: (one.dataset.id, one.row.version) for place, one in held.items()},
            request.label, (request.rate,), tuple(request.label_values), request.group,
            request.squeezing,
        )  # fmt: skip
        with (
            self._blobs.put(request.workspace, WISH_KIND, [wish.to_bytes()]) as staged,
            call.transaction() as session,
        ):
            entry = self._find(session, request)
            self._require_state(session, entry, ModelState.CHECKED, ModelState.APPROVED)
            row = self._guards.wish(session, entry, staged, call.principal.id, waits=False)
            call.note(
                job=row.job, rate=request.rate, group=request.group,
                rows=", ".join(f"{one.dataset.name}/{one.row.version}" for one in held.values()),
            )  # fmt: skip
            return _shown(entry, row)

    @operation(
        "model.guard",
        action="readAssessment",
        resource=version_entity,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", VERSION_ROUTE + "/guard"),
        command=Command("model guard", positional=("name", "version")),
    )
    def guard(self, call: Call, request: ModelReference) -> ModelGuard:
        """Show how the guard of a version stands: fitted, being fitted, or why there is none.

        A guard that is there is read: one whose bytes were changed or lost is shown as damaged.
        """
        with call.reading() as session:
            entry = self._find(session, request)
            held = self._guards.current(session, request.workspace, request.name, request.version)
            shown = _shown(entry, self._row(session, entry))
            if held is None or shown.state is not GuardState.DONE:
                return shown
            try:
                self._guards.open(session, held)
            except TamperedError as error:
                return shown.model_copy(
                    update={"state": GuardState.DAMAGED, "reason": error.message}
                )
            return shown

    @staticmethod
    def _row(session: Session, entry: ModelEntryRow) -> ModelGuardRow:
        row = session.get(ModelGuardRow, entry.id)
        if row is None:
            raise NotFoundError(
                f"version {entry.version} of `{entry.model}` has no guard",
                next_step="fit one with `strongroom model fit-guard`",
            )
        return row


def _require_label(held: Held, label: str) -> None:
    """Return if the rows have a column that can be the label, before a job is begun for it."""
    if label not in {one.column for one in held.findings.columns}:
        raise ValidationError(
            f"the dataset `{held.dataset.name}` has no column `{label}`",
            next_step="see `strongroom data show` for its columns",
        )
    if label == held.record.subject_column:
        raise ValidationError(f"`{label}` says whom a row is about: it is no label")


def _shown(entry: ModelEntryRow, row: ModelGuardRow) -> ModelGuard:
    return ModelGuard(
        name=entry.model, version=entry.version, state=GuardState(row.state),
        has_guard=row.guard is not None, reason=row.reason, job=row.job, asked_by=row.asked_by,
        asked_at=row.asked_at, ended_at=row.ended_at,
    )  # fmt: skip
