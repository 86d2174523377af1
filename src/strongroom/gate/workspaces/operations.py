"""Verbs on workspaces, roles and access."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.errors import ConflictError, NotFoundError, StateError, ValidationError
from strongroom.gate.access.grants import Grants, holders
from strongroom.gate.access.roles import OWNER, WORKSPACE_ROLES, workspace_role
from strongroom.gate.access.types import (
    SERVER,
    Entity,
    Principal,
    workspace_entity,
)
from strongroom.gate.audit.log import AuditLog
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Route, in_workspace, operation
from strongroom.gate.operation import Call, Decider
from strongroom.gate.repairing import Repairs
from strongroom.gate.workspaces.directory import Directory, KnownPrincipal
from strongroom.gate.workspaces.resealing import ResealOperations
from strongroom.gate.workspaces.tables import WorkspaceRow
from strongroom.gate.workspaces.types import (
    AccessAnswer,
    AskAccess,
    AskWhoCan,
    CreateWorkspace,
    GrantRole,
    ListWorkspaces,
    Member,
    Members,
    RevokeRole,
    WhoCan,
    Workspace,
    WorkspaceReference,
    Workspaces,
)
from strongroom.vault.keys import SYSTEM

RESERVED_NAMES = frozenset(
    # The last four MLflow takes for parts of its own addresses.
    {"default", "server", SYSTEM, "workspaces", "api", "ajax-api", "static-files"}
)
"""`default` is what a client means that names no workspace; `server` names the server's role, and
`SYSTEM` the key of the server's own secrets."""

CreateKey = Callable[[Session, str], object]
"""(session, workspace): make the workspace's key in that transaction."""


def _on_server(_room: object, _session: Session, _request: object) -> Entity:
    return SERVER


class WorkspaceOperations(ResealOperations):
    """The room of workspaces, their members, and questions about access."""

    def __init__(
        self,
        access: Decider,
        grants: Grants,
        directory: Directory,
        create_key: CreateKey,
        *,
        actions: frozenset[str],
        repairs: Repairs,
        log: AuditLog,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take what the room works with.

        Args:
            access: answers questions about access.
            grants: changes them.
            directory: who there is.
            create_key: makes the key of a new workspace, in the same transaction.
            actions: every declared action.
            repairs: finds out what somebody must hold, after tampering.
            log: where a repair is told whole.
            clock: seconds since 1970, UTC.
        """
        self._access = access
        self._grants = grants
        self._directory = directory
        self._create_key = create_key
        self._actions = actions
        self._repairs = repairs
        self._log = log
        self._clock = clock

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    # ---- workspaces ----

    @operation(
        "workspace.create",
        action="createWorkspace",
        resource=_on_server,
        audit=AuditClass.ENTITY_MANAGEMENT,
        route=Route("POST", "/workspaces"),
        command=Command("workspace create", positional=("name",)),
    )
    def create(self, call: Call, request: CreateWorkspace) -> Workspace:
        """Create a workspace with a key of its own; you become its Owner."""
        if request.name in RESERVED_NAMES:
            raise ValidationError(f"`{request.name}` is a reserved name")
        call.note(workspace=request.name)
        with call.transaction() as session:
            if session.get(WorkspaceRow, request.name) is not None:
                raise ConflictError(f"there is a workspace `{request.name}` already")
            row = WorkspaceRow(
                name=request.name,
                description=request.description,
                created_by=call.principal.id,
                created_at=self._now(),
            )
            session.add(row)
            self._create_key(session, request.name)
            self._grants.grant(
                session,
                call.principal.id,
                OWNER,
                request.name,
                by=call.principal.id,
                now=row.created_at,
            )
            return _workspace(row)

    @operation(
        "workspace.ls",
        action="listWorkspaces",
        resource=_on_server,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces"),
        command=Command("workspace ls"),
    )
    def ls(self, call: Call, request: ListWorkspaces) -> Workspaces:
        """List the workspaces that you may read."""
        with call.reading() as session:
            names = [
                name
                for name in self._grants.workspaces_of(session, call.principal.id)
                if name > request.after and self._may_read(call.principal, name)
            ]
            rows = session.scalars(
                select(WorkspaceRow)
                .where(WorkspaceRow.name.in_(names[: request.limit]))
                .order_by(WorkspaceRow.name)
            )
            found = [_workspace(row) for row in rows]
        call.note(workspaces=len(found))
        return Workspaces(workspaces=found)

    def _may_read(self, principal: Principal, workspace: str) -> bool:
        if principal.workspaces and workspace not in principal.workspaces:
            return False
        entity = workspace_entity(workspace)
        return self._access.decide(principal, "readWorkspace", entity).allowed

    @operation(
        "workspace.show",
        action="readWorkspace",
        resource=in_workspace,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}"),
        command=Command("workspace show", positional=("workspace",)),
    )
    def show(self, call: Call, request: WorkspaceReference) -> Workspace:
        """Show one workspace."""
        with call.reading() as session:
            return _workspace(_existing(session, request.workspace))

    # ---- roles ----

    @operation(
        "role.grant",
        action="manageMembers",
        resource=in_workspace,
        audit=AuditClass.USER_ACCESS_MANAGEMENT,
        route=Route("POST", "/workspaces/{workspace}/roles"),
        command=Command("role grant", positional=("workspace", "principal", "role")),
    )
    def grant(self, call: Call, request: GrantRole) -> Member:
        """Give a person or service identity a role in a workspace.

        The first role in a workspace takes the claim code that the person tells: it shows that it
        is they who redeemed the invitation to the account. It is felt at the next call they make.
        """
        role = workspace_role(request.role)
        with call.transaction() as session:
            _existing(session, request.workspace)
            known = self._directory.find(session, request.principal)
            call.note(principal=known.id, role=role.id)
            if request.workspace not in self._grants.workspaces_of(session, known.id):
                claim = self._directory.claim(session, known.id)
                _require_claim(known, claim, request.claim)
                call.note(claim=claim)
            now = self._now()
            self._grants.grant(
                session, known.id, role, request.workspace, by=call.principal.id, now=now
            )
        return Member(
            principal=known.id,
            name=known.name,
            role=role.name,
            granted_by=call.principal.id,
            granted_at=now,
        )

    @operation(
        "role.revoke",
        action="manageMembers",
        resource=in_workspace,
        audit=AuditClass.USER_ACCESS_MANAGEMENT,
        route=Route("DELETE", "/workspaces/{workspace}/roles/{principal}/{role}"),
        command=Command("role revoke", positional=("workspace", "principal", "role")),
    )
    def revoke(self, call: Call, request: RevokeRole) -> Members:
        """Take a role from someone; the last Owner cannot be removed.

        Felt within a second everywhere, also by calls that are running.
        """
        role = workspace_role(request.role)
        with call.transaction() as session:
            _existing(session, request.workspace)
            known = self._directory.find(session, request.principal)
            call.note(principal=known.id, role=role.id)
            self._grants.revoke(session, known.id, role, request.workspace)
            return self._members(session, request.workspace)

    @operation(
        "role.ls",
        action="readMembers",
        resource=in_workspace,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/roles"),
        command=Command("role ls", positional=("workspace",)),
    )
    def roles(self, call: Call, request: WorkspaceReference) -> Members:
        """List who holds which role in a workspace, and which roles there are."""
        with call.reading() as session:
            _existing(session, request.workspace)
            return self._members(session, request.workspace)

    def _members(self, session: Session, workspace: str) -> Members:
        rows = holders(session, workspace)
        known = self._directory.names(session, [row.principal for row in rows])
        names = {role.id: role.name for role in WORKSPACE_ROLES}
        tampered = {
            who
            for who in {row.principal for row in rows}
            if not self._grants.is_sealed(session, who)
        }
        return Members(
            members=[
                Member(
                    principal=row.principal,
                    name=known[row.principal].name if row.principal in known else "",
                    role=names.get(row.role, row.role),
                    granted_by=row.granted_by,
                    granted_at=row.granted_at,
                    tampered=row.principal in tampered or row.role not in names,
                )
                for row in rows
            ],
            roles={role.name: role.summary for role in WORKSPACE_ROLES},
        )

    # ---- access ----

    @operation(
        "access.can",
        action="readWorkspace",
        resource=in_workspace,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/access/can"),
        command=Command("access can", positional=("workspace", "action")),
    )
    def can(self, call: Call, request: AskAccess) -> AccessAnswer:
        """Say whether you, or another member, may do something, and by which policies.

        About others, only those may ask who may see the members. The answer is by roles: a call
        itself is also subject to limits and to the state of the thing.
        """
        entity = self._asked(request)
        if request.principal is None:
            known = KnownPrincipal(call.principal.id, call.principal.name, call.principal.kind)
        else:
            call.require("readMembers")
            with call.reading() as session:
                known = self._directory.find(session, request.principal)
        call.note(principal=known.id, asked=request.action)
        return self._answer(known, request.action, entity)

    @operation(
        "access.who_can",
        action="readMembers",
        resource=in_workspace,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/access/who-can"),
        command=Command("access who-can", positional=("workspace", "action")),
    )
    def who_can(self, call: Call, request: AskWhoCan) -> WhoCan:
        """List the members who may do something, and by which policies."""
        entity = self._asked(request)
        call.note(asked=request.action)
        with call.reading() as session:
            ids = sorted({row.principal for row in holders(session, request.workspace)})
            known = self._directory.names(session, ids)
        answers = [self._answer(known[i], request.action, entity) for i in ids if i in known]
        return WhoCan(principals=[answer for answer in answers if answer.allowed])

    def _asked(self, request: AskAccess | AskWhoCan) -> Entity:
        """What the question is about.

        Raises:
            ValidationError: no such action, or only one of type and id given.
        """
        if request.action not in self._actions:
            raise ValidationError(f"there is no action `{request.action}`")
        if request.resource_type == "Workspace" and request.resource is None:
            return workspace_entity(request.workspace)
        if request.resource_type == "Workspace" or request.resource is None:
            raise ValidationError("`resource` and `resource_type` go together")
        entity_id = f"{request.workspace}/{request.resource}"
        return Entity(request.resource_type, entity_id, request.workspace)

    def _answer(self, known: KnownPrincipal, action: str, entity: Entity) -> AccessAnswer:
        decision = self._access.decide(Principal(known.kind, known.id), action, entity)
        if decision.errors:
            raise ValidationError(f"`{action}` is not an action on a {entity.type}")
        return AccessAnswer(
            principal=known.id,
            name=known.name,
            allowed=decision.allowed,
            policies=list(decision.policies),
        )


def _require_claim(known: KnownPrincipal, claim: str, told: str | None) -> None:
    """Let nobody in whose account another may have claimed in their place.

    Raises:
        StateError: nobody has claimed the account.
        ValidationError: no code was told, or not that of the claim.
    """
    if not claim:
        raise StateError(
            f"nobody has claimed the account `{known.name}` yet",
            next_step="have an Operator invite the person; once they have redeemed the invitation "
            "they can tell you their claim code",
        )
    if told is None or told.replace("-", "").upper() != claim.replace("-", ""):
        raise ValidationError(
            "`claim`: the claim code is needed for a first role in a workspace"
            if told is None
            else "`claim`: that is not the claim code of the account",
            next_step="ask the person themself for the code that `strongroom whoami` shows them; "
            "where it is not this one, somebody else has claimed their account",
        )


def _existing(session: Session, name: str) -> WorkspaceRow:
    row = session.get(WorkspaceRow, name)
    if row is None:
        raise NotFoundError(f"there is no workspace `{name}`")
    return row


def _workspace(row: WorkspaceRow) -> Workspace:
    return Workspace(name=row.name, description=row.description, created_at=row.created_at)
