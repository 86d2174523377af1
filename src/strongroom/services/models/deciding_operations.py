"""Verbs that decide on model versions: approve, reject, retire."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from strongroom.errors import PromotionError, StateError
from strongroom.gate.access.types import PrincipalKind
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Route, operation
from strongroom.gate.operation import Call
from strongroom.services.models.decision_statements import approval_statement, decision_statement
from strongroom.services.models.parts import (
    VERSION_ROUTE,
    ModelParts,
    named,
    rule_shown,
    version_entity,
)
from strongroom.services.models.promotion import Approver, Judged, judge
from strongroom.services.models.promotion_types import ApprovedVersion
from strongroom.services.models.registry import describe
from strongroom.services.models.tables import ModelEntryRow
from strongroom.services.models.types import (
    ApproveModel,
    DecideModel,
    Decision,
    ModelState,
    ModelVersion,
)

_APPROVALS = "approvals"
"""The one rule that time and other people can still meet."""


class DecidingOperations(ModelParts):
    """The part of the room of models in which people decide."""

    @operation(
        "model.approve",
        action="approveModel",
        resource=version_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", VERSION_ROUTE + "/approve"),
        command=Command("model approve", positional=("name", "version")),
    )
    def approve(self, call: Call, request: ApproveModel) -> ApprovedVersion:
        """Approve a checked version; once the rules of the workspace are met, it may be deployed.

        Every rule is judged, and one that is not met refuses the approval: `model policy` shows
        them. Where several people must approve, the version waits for the others. The approval
        is signed, names the rules and how each is met, and holds for exactly these bytes. A
        version whose scan asks for a person is admitted only with `accept_findings` and a comment
        that says why.
        """
        found = self._verifier.verify(request.workspace, request.name, request.version)
        at = self._now()
        with call.transaction() as session:
            row = self._find(session, request)
            self._require_state(session, row, ModelState.CHECKED)
            if row.digest != found.signed.digest:
                raise StateError("the version changed while it was being approved")
            opened = self._cases.open(session, row)
            before = {one.id for one in opened.case.approved}
            # Enough have where one of them could not for a while: then any of them ends it.
            if call.principal.id in before and len(before) < opened.rules.approvals:
                raise StateError(
                    "you have approved it already", next_step="ask somebody else to approve it"
                )
            approver = Approver(
                id=call.principal.id,
                is_person=call.principal.kind is PrincipalKind.PERSON,
                roles=self._cases.roles(session, call.principal.id, row.workspace),
                accepts_findings=request.accept_findings and bool(request.comment.strip()),
                purpose=request.purpose.strip(),
            )
            judged = judge(opened.rules, opened.case, at, approver)
            _require_met(row, judged)
            is_last = all(one.is_met for one in judged)
            about = approval_statement(
                row, approver, at, request.comment, rules=opened.rules.digest,
                judged=judged, is_last=is_last,
                earlier=[one for one in opened.earlier if one["approved_by"] != approver.id],
            )  # fmt: skip
            decision = Decision.APPROVED if is_last else Decision.APPROVAL
            envelope = self._decisions.add(
                session, row, decision, about,
                by=approver.id, at=at, comment=request.comment,
            )  # fmt: skip
            if is_last:
                row.approval = envelope
                row.state = ModelState.APPROVED
                self._registry.seal_state(session, row)
            approvals = [*sorted(before - {approver.id}), approver.id]
            call.note(
                digest=row.digest, verdict=row.verdict, own=approver.id in opened.case.own,
                rules=opened.rules.digest, approvals=len(approvals), state=row.state,
                purpose=approver.purpose,
            )  # fmt: skip
            names = self._names(session, approvals)
            return ApprovedVersion(
                **describe(row).model_dump(),
                approvals=approvals,
                rules=[named(rule_shown(one), names) for one in judged],
            )

    @operation(
        "model.reject",
        action="rejectModel",
        resource=version_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", VERSION_ROUTE + "/reject"),
        command=Command("model reject", positional=("name", "version")),
    )
    def reject(self, call: Call, request: DecideModel) -> ModelVersion:
        """Refuse a version for good; it can never be approved."""
        with call.transaction() as session:
            row = self._find(session, request)
            self._require_state(session, row, ModelState.QUARANTINED, ModelState.CHECKED)
            self._decide(session, call, row, Decision.REJECTED, self._now(), request.comment)
            row.reason = request.comment or "rejected by a person"
            row.state = ModelState.REJECTED
            self._registry.seal_state(session, row)
            return describe(row)

    @operation(
        "model.retire",
        action="retireModel",
        resource=version_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", VERSION_ROUTE + "/retire"),
        command=Command("model retire", positional=("name", "version"), confirm="name"),
    )
    def retire(self, call: Call, request: DecideModel) -> ModelVersion:
        """Take an approved version out of use: no endpoint loads it any more."""
        with call.transaction() as session:
            row = self._find(session, request)
            self._require_state(session, row, ModelState.APPROVED)
            self._decide(session, call, row, Decision.RETIRED, self._now(), request.comment)
            row.state = ModelState.RETIRED
            self._registry.seal_state(session, row)
            return describe(row)

    def _decide(
        self, session: Session, call: Call, row: ModelEntryRow, decision: Decision, at: datetime,
        comment: str,
    ) -> None:  # fmt: skip
        by = call.principal.id
        files = self._registry.files_digest(session, row.id)
        about = decision_statement(row, decision, by, at, comment, files)
        self._decisions.add(session, row, decision, about, by=by, at=at, comment=comment)


def _require_met(row: ModelEntryRow, judged: Sequence[Judged]) -> None:
    """Return if all rules are met but how many approve.

    Raises:
        PromotionError: names every rule that is not.
    """
    unmet = [one for one in judged if not one.is_met and one.code != _APPROVALS]
    if not unmet:
        return
    says = "; ".join(f"{one.code}: {one.says}" for one in unmet)
    raise PromotionError(
        f"version {row.version} of `{row.model}` may not be approved: {says}"[:2_000],
        next_step="; ".join(dict.fromkeys(one.next_step for one in unmet))[:1_000],
    )
