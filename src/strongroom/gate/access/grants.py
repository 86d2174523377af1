"""Grants and suspensions: changed here only, each together with the epoch.

Every function works in the caller's write transaction, so that a grant, the epoch that makes it
felt and the record of who made it are committed together. A crash before leaves none of them.
"""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from strongroom.errors import ConflictError, NotFoundError, StateError
from strongroom.gate.access.roles import OPERATOR, OWNER, Role
from strongroom.gate.access.tables import (
    SERVER_WIDE,
    GrantRow,
    PolicyEpochRow,
    SuspensionRow,
)


def advance_epoch(session: Session) -> int:
    """The next epoch: what was decided before must be decided again."""
    row = session.get(PolicyEpochRow, 1)
    if row is None:
        row = PolicyEpochRow(id=1, epoch=0)
        session.add(row)
    row.epoch += 1
    session.flush()
    return row.epoch


def grant(
    session: Session, principal: str, role: Role, workspace: str, *, by: str, now: datetime
) -> None:
    """Give `principal` a role; `workspace` is `SERVER_WIDE` for the Operator.

    Raises:
        ConflictError: they hold it already.
    """
    if (role == OPERATOR) != (workspace == SERVER_WIDE):
        raise ValueError("the Operator is server-wide, the other roles are not")
    if session.get(GrantRow, (principal, workspace, role.id)) is not None:
        raise ConflictError(f"`{principal}` is {role.name} already")
    session.add(
        GrantRow(
            principal=principal, workspace=workspace, role=role.id, granted_by=by, granted_at=now
        )
    )
    advance_epoch(session)


def revoke(session: Session, principal: str, role: Role, workspace: str) -> None:
    """Take a role from `principal`.

    Raises:
        NotFoundError: they do not hold it.
        StateError: nobody able to act would be left as Owner (or Operator).
    """
    row = session.get(GrantRow, (principal, workspace, role.id))
    if row is None:
        raise NotFoundError(f"`{principal}` is not {role.name} here")
    if role in {OWNER, OPERATOR} and not _others(session, principal, role, workspace):
        raise StateError(
            f"`{principal}` is the last {role.name}", next_step=f"make another {role.name} first"
        )
    session.delete(row)
    advance_epoch(session)


def holders(session: Session, workspace: str) -> list[GrantRow]:
    """The grants in a workspace, by role and principal."""
    return list(
        session.scalars(
            select(GrantRow)
            .where(GrantRow.workspace == workspace)
            .order_by(GrantRow.role, GrantRow.principal)
        )
    )


def workspaces_of(session: Session, principal: str) -> list[str]:
    """Names of the workspaces where `principal` holds any role, sorted."""
    return list(
        session.scalars(
            select(GrantRow.workspace)
            .where(GrantRow.principal == principal, GrantRow.workspace != SERVER_WIDE)
            .distinct()
            .order_by(GrantRow.workspace)
        )
    )


def suspend(session: Session, principal: str, *, now: datetime) -> None:
    """Forbid everything to `principal`, whatever their roles.

    Raises:
        ConflictError: suspended already.
        StateError: nobody able to act would be left as Owner of a workspace, or Operator.
    """
    if suspended(session, principal):
        raise ConflictError(f"`{principal}` is disabled already")
    for role in (OWNER, OPERATOR):
        held = session.scalars(
            select(GrantRow.workspace).where(
                GrantRow.principal == principal, GrantRow.role == role.id
            )
        )
        for workspace in held:
            if not _others(session, principal, role, workspace):
                where = f" of `{workspace}`" if workspace else ""
                raise StateError(
                    f"`{principal}` is the last {role.name}{where}",
                    next_step=f"make another {role.name} first",
                )
    session.add(SuspensionRow(principal=principal, since=now))
    advance_epoch(session)


def restore(session: Session, principal: str) -> None:
    """End a suspension.

    Raises:
        NotFoundError: not suspended.
    """
    row = session.get(SuspensionRow, principal)
    if row is None:
        raise NotFoundError(f"`{principal}` is not disabled")
    session.delete(row)
    advance_epoch(session)


def suspended(session: Session, principal: str) -> bool:
    """Whether everything is forbidden to `principal`."""
    return session.get(SuspensionRow, principal) is not None


def _others(session: Session, principal: str, role: Role, workspace: str) -> int:
    """How many principals beside this one hold the role and are not suspended."""
    count = session.scalar(
        select(func.count())
        .select_from(GrantRow)
        .outerjoin(SuspensionRow, SuspensionRow.principal == GrantRow.principal)
        .where(
            GrantRow.workspace == workspace,
            GrantRow.role == role.id,
            GrantRow.principal != principal,
            SuspensionRow.principal.is_(None),
        )
    )
    return count or 0
