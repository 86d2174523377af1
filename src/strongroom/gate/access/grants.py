"""Grants and suspensions: changed here only, each together with its seal and the epoch.

Every change works in the caller's write transaction, so that a grant, the seal that makes it count,
the epoch that makes it felt and the record of who made it are committed together. A crash before
leaves none of them.

The seal is an HMAC-SHA256 (RFC 2104) over everything that the rows say of one principal. Its key is
not in the database: who can only write there can make rows, but none that count.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.engines.crypto.wrapping import bind
from strongroom.errors import ConflictError, NotFoundError, StateError, TamperedError
from strongroom.gate.access.roles import OPERATOR, OWNER, Role
from strongroom.gate.access.tables import (
    SERVER_WIDE,
    GrantRow,
    PolicyEpochRow,
    StandingRow,
    SuspensionRow,
)

_KEY_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Standing:
    """What one principal holds: (workspace, role id) pairs, if suspended, and the seal's number."""

    grants: frozenset[tuple[str, str]]
    suspended: bool
    number: int = 0


def advance_epoch(session: Session) -> int:
    """The next epoch: what was decided before must be decided again."""
    row = session.get(PolicyEpochRow, 1)
    if row is None:
        row = PolicyEpochRow(id=1, epoch=0)
        session.add(row)
    row.epoch += 1
    session.flush()
    return row.epoch


class Grants:
    """Changes and reads what principals hold, sealed."""

    def __init__(self, key: bytes) -> None:
        """Take the key of the seals, 32 bytes that are not in the database.

        Raises:
            ValueError: another length.
        """
        if len(key) != _KEY_LENGTH:
            raise ValueError(f"the key of the seals has {_KEY_LENGTH} bytes")
        self._key = key

    def standing(self, session: Session, principal: str) -> Standing:
        """What `principal` holds, after a look at its seal.

        Raises:
            TamperedError: their rows are not as this server left them.
        """
        broken = TamperedError(f"what `{principal}` holds was changed outside the server")
        try:
            seal = session.execute(
                select(StandingRow.number, StandingRow.mac).where(
                    StandingRow.principal == principal
                )
            ).one_or_none()
            number, kept = (0, b"") if seal is None else seal
            standing, mac = self._read(session, principal, number)
            is_sealed = hmac.compare_digest(mac, kept)
        except (TypeError, ValueError):
            # SQLite keeps what is written: text where bytes or a moment should be.
            raise broken from None
        if seal is None and not standing.grants and not standing.suspended:
            return standing
        if not is_sealed:
            raise broken
        return standing

    def workspaces_of(self, session: Session, principal: str) -> list[str]:
        """Names of the workspaces where `principal` holds any role, sorted; none without a seal."""
        try:
            held = self.standing(session, principal).grants
        except TamperedError:
            return []
        return sorted({workspace for workspace, _ in held if workspace != SERVER_WIDE})

    def grant(
        self,
        session: Session,
        principal: str,
        role: Role,
        workspace: str,
        *,
        by: str,
        now: datetime,
    ) -> None:
        """Give `principal` a role; `workspace` is `SERVER_WIDE` for the Operator.

        Raises:
            TamperedError: as `standing`.
            ConflictError: they hold it already.
        """
        if (role == OPERATOR) != (workspace == SERVER_WIDE):
            raise ValueError("the Operator is server-wide, the other roles are not")
        self.standing(session, principal)
        if session.get(GrantRow, (principal, workspace, role.id)) is not None:
            raise ConflictError(f"`{principal}` is {role.name} already")
        session.add(
            GrantRow(
                principal=principal,
                workspace=workspace,
                role=role.id,
                granted_by=by,
                granted_at=now,
            )
        )
        self._changed(session, principal)

    def revoke(self, session: Session, principal: str, role: Role, workspace: str) -> None:
        """Take a role from `principal`.

        Raises:
            TamperedError: as `standing`.
            NotFoundError: they do not hold it.
            StateError: nobody able to act would be left as Owner (or Operator).
        """
        self.standing(session, principal)
        row = session.get(GrantRow, (principal, workspace, role.id))
        if row is None:
            raise NotFoundError(f"`{principal}` is not {role.name} here")
        if role in {OWNER, OPERATOR} and self._is_last(session, principal, role, workspace):
            raise StateError(
                f"`{principal}` is the last {role.name}",
                next_step=f"make another {role.name} first",
            )
        session.delete(row)
        self._changed(session, principal)

    def suspend(self, session: Session, principal: str, *, now: datetime) -> None:
        """Forbid everything to `principal`, whatever their roles.

        Raises:
            TamperedError: as `standing`.
            ConflictError: suspended already.
            StateError: nobody able to act would be left as Owner of a workspace, or Operator.
        """
        self.standing(session, principal)
        if suspended(session, principal):
            raise ConflictError(f"`{principal}` is disabled already")
        for role in (OWNER, OPERATOR):
            held = session.scalars(
                select(GrantRow.workspace).where(
                    GrantRow.principal == principal, GrantRow.role == role.id
                )
            )
            for workspace in held:
                if self._is_last(session, principal, role, workspace):
                    where = f" of `{workspace}`" if workspace else ""
                    raise StateError(
                        f"`{principal}` is the last {role.name}{where}",
                        next_step=f"make another {role.name} first",
                    )
        session.add(SuspensionRow(principal=principal, since=now))
        self._changed(session, principal)

    def restore(self, session: Session, principal: str) -> None:
        """End a suspension.

        Raises:
            TamperedError: as `standing`.
            NotFoundError: not suspended.
        """
        self.standing(session, principal)
        row = session.get(SuspensionRow, principal)
        if row is None:
            raise NotFoundError(f"`{principal}` is not disabled")
        session.delete(row)
        self._changed(session, principal)

    def _read(self, session: Session, principal: str, number: int) -> tuple[Standing, bytes]:
        """What the rows say, and the seal that they must have under `number`."""
        # Columns, not entities: what is in the database, not what the session remembers of it.
        rows = session.execute(
            select(
                GrantRow.workspace, GrantRow.role, GrantRow.granted_by, GrantRow.granted_at
            ).where(GrantRow.principal == principal)
        ).all()
        since = session.scalar(
            select(SuspensionRow.since).where(SuspensionRow.principal == principal)
        )
        # Sorted here: a database sorts by rules of its own.
        lines = sorted(bind(workspace, role, by, _moment(at)) for workspace, role, by, at in rows)
        head = bind(
            "strongroom standing", 1, principal, number,
            "" if since is None else _moment(since), len(lines),
        )  # fmt: skip
        mac = hmac.digest(self._key, head + b"".join(lines), hashlib.sha256)
        held = frozenset((workspace, role) for workspace, role, _, _ in rows)
        return Standing(held, since is not None, number), mac

    def _changed(self, session: Session, principal: str) -> None:
        """Seal what `principal` holds now, and let it be felt.

        Only after `standing` has passed: otherwise a forged row would be sealed with the others.
        """
        number = advance_epoch(session)
        _, mac = self._read(session, principal, number)
        session.merge(StandingRow(principal=principal, number=number, mac=mac))
        session.flush()

    def _is_last(self, session: Session, principal: str, role: Role, workspace: str) -> bool:
        """Whether nobody beside this one holds the role, sealed, and is not suspended."""
        others = session.scalars(
            select(GrantRow.principal)
            .outerjoin(SuspensionRow, SuspensionRow.principal == GrantRow.principal)
            .where(
                GrantRow.workspace == workspace,
                GrantRow.role == role.id,
                GrantRow.principal != principal,
                SuspensionRow.principal.is_(None),
            )
        ).all()
        return not any(self._is_sealed(session, other) for other in others)

    def _is_sealed(self, session: Session, principal: str) -> bool:
        try:
            self.standing(session, principal)
        except TamperedError:
            return False
        return True


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def holders(session: Session, workspace: str) -> list[GrantRow]:
    """The grants in a workspace, by role and principal."""
    return list(
        session.scalars(
            select(GrantRow)
            .where(GrantRow.workspace == workspace)
            .order_by(GrantRow.role, GrantRow.principal)
        )
    )


def suspended(session: Session, principal: str) -> bool:
    """Whether everything is forbidden to `principal`."""
    return session.get(SuspensionRow, principal) is not None
