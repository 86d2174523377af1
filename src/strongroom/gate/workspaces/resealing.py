"""The verb that makes what a member holds again as the log says, after tampering.

One person is enough. What is put back is what the log tells, so there is nothing to choose and
nothing to gain, and a second person could only confirm the log. What counts is that somebody has
looked: the difference is shown first, and what is confirmed is that difference and no other.
"""

from dataclasses import replace
from hmac import compare_digest

from sqlalchemy.orm import Session

from strongroom.errors import ConflictError, NotFoundError, ValidationError
from strongroom.gate.audit.log import AuditLog
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Limits, Route, in_workspace, operation
from strongroom.gate.hosting import host_event
from strongroom.gate.operation import Call
from strongroom.gate.repairing import Repair, Repairs, as_details
from strongroom.gate.workspaces.directory import Directory
from strongroom.gate.workspaces.types import Resealed, ResealRole


class ResealOperations:
    """The part of the room of workspaces that repairs."""

    _directory: Directory
    _repairs: Repairs
    _log: AuditLog

    @operation(
        "role.reseal",
        action="manageMembers",
        resource=in_workspace,
        audit=AuditClass.USER_ACCESS_MANAGEMENT,
        route=Route("POST", "/workspaces/{workspace}/roles/{principal}/reseal"),
        command=Command("role reseal", positional=("workspace", "principal")),
        limits=Limits(per_minute=30),
    )
    def reseal(self, call: Call, request: ResealRole) -> Resealed:
        """Make what a member holds again as the log says, after it was changed in the database.

        Without `confirm` only the difference is shown, with a code. With that code and a reason it
        is done, in every workspace at once, and recorded. Until then they hold nothing.
        """
        if request.confirm is None:
            with call.reading() as session:
                repair = self._repair(session, request)
            shown = repair.difference(request.workspace)
            call.note(principal=repair.subject, done=False, **as_details(shown))
            return Resealed(
                principal=repair.subject, difference=shown, confirm=repair.code, done=False
            )
        if not request.reason:
            raise ValidationError(
                "a repair needs a reason", next_step="say why with --reason: it is recorded"
            )
        with call.transaction() as session:
            repair = self._repair(session, request)
            if not compare_digest(repair.code, request.confirm):
                raise ConflictError(
                    "the difference is not the one that the code stands for",
                    next_step="look at it again, without --confirm",
                )
            self._repairs.make(session, repair)
            # Of other workspaces only the server's own log tells.
            whole = host_event(
                "server.resealed", resource_type=repair.type, resource=repair.subject
            ).with_details(as_details(repair.difference()))
            by = call.principal
            self._log.append(session, replace(whole, actor_kind=by.kind.value, actor=by.id))
            shown = repair.difference(request.workspace)
            call.note(
                principal=repair.subject, done=True, reason=request.reason, **as_details(shown)
            )
        return Resealed(principal=repair.subject, difference=shown, confirm=repair.code, done=True)

    def _repair(self, session: Session, request: ResealRole) -> Repair:
        known = self._directory.find(session, request.principal)
        repair = self._repairs.of_account(session, known.id)
        if not repair.concerns(request.workspace):
            raise NotFoundError(f"`{request.principal}` has nothing to do with this workspace")
        return repair
