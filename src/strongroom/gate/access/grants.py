"""Grants and suspensions: changed here only, each together with its seal and the epoch.

Every change works in the caller's write transaction, so that a grant, the seal that makes it count,
the epoch that makes it felt and the record of who made it are committed together. A crash before
leaves none of them.

The seal is an HMAC-SHA256 (RFC 2104) over everything that the rows say of one principal. Its key is
not in the database: who can only write there can make rows, but none that count.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from strongroom.engines.crypto.wrapping import bind
from strongroom.errors import ConflictError, NotFoundError, StateError, TamperedError
from strongroom.gate.access import told
from strongroom.gate.access.roles import OPERATOR, OWNER, Role
from strongroom.gate.access.tables import (
    SERVER_WIDE,
    GrantRow,
    PolicyEpochRow,
    StandingRow,
    SuspensionRow,
)
from strongroom.vault.seals import Seals

KIND = "standing"
"""Of the changes of what somebody holds, in the journal of sealed changes."""

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

    def __init__(self, key: bytes, seals: Seals | None = None) -> None:
        """Take the key of the seals, 32 bytes that are not in the database.

        Args:
            key: of the seals.
            seals: the journal that tells an old seal from the latest; without one, as for tests
                of single rows, only `number` does.

        Raises:
            ValueError: another length.
        """
        if len(key) != _KEY_LENGTH:
            raise ValueError(f"the key of the seals has {_KEY_LENGTH} bytes")
        self._key = key
        self._seals = seals

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
        except (TypeError, ValueError, TamperedError):
            # SQLite keeps what is written: text where bytes or a moment should be.
            raise broken from None
        if seal is None and not standing.grants and not standing.suspended:
            if self._seals is not None and self._seals.latest(session, KIND, principal):
                # Rows and seal were taken away together: a suspension may have been among them.
                raise broken
            return standing
        if not is_sealed:
            raise broken
        if self._seals is not None:
            self._seals.require(session, KIND, principal, mac.hex())
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
        self._changed(session, principal, told.granted(workspace, role.id, by, now))

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
        self._changed(session, principal, told.revoked(workspace, role.id))

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
        self._changed(session, principal, told.suspended(now))

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
        self._changed(session, principal, told.RESTORED)

    def sealed(self, session: Session) -> list[str]:
        """Everybody who ever held something."""
        return sorted(session.scalars(select(StandingRow.principal)))

    def unadopted(self, session: Session) -> list[str]:
        """Who held something before there was a journal of sealed changes."""
        if self._seals is None:
            return []
        seals = self._seals
        principals = session.scalars(select(StandingRow.principal))
        return sorted(p for p in principals if seals.latest(session, KIND, p) is None)

    def adopt(self, session: Session, principals: Sequence[str]) -> None:
        """Tell journal and log what these principals hold: at the beginning of either.

        Who does not verify is left out, and so holds nothing; nor may an old seal of rows that were
        put back become the latest one.
        """
        if self._seals is None:
            return
        for principal in principals:
            try:
                number, mac = session.execute(
                    select(StandingRow.number, StandingRow.mac).where(
                        StandingRow.principal == principal
                    )
                ).one()
                standing, due = self._read(session, principal, number)
                is_sealed = hmac.compare_digest(due, mac)
            except (TypeError, ValueError, TamperedError):
                continue
            latest = self._seals.latest(session, KIND, principal)
            if not is_sealed or latest not in (None, due.hex()):
                continue
            words = [told.EMPTY]
            words += [
                told.granted(row.workspace, row.role, row.granted_by, row.granted_at)
                for row in held_by(session, principal)
            ]
            since = session.get(SuspensionRow, principal) if standing.suspended else None
            words += [told.suspended(since.since)] if since else []
            # One line a grant: a line of the log's entry is short.
            for word in words:
                self._seals.record(session, KIND, principal, due.hex(), told=word)

    def reseal(self, session: Session, principal: str, due: told.Held) -> None:
        """Make the rows of `principal` say `due`, and seal them; whatever they say now.

        For repairs only: who asks has shown the difference to somebody who may decide.
        """
        session.execute(delete(GrantRow).where(GrantRow.principal == principal))
        session.execute(delete(SuspensionRow).where(SuspensionRow.principal == principal))
        for grant in due.grants:
            session.add(
                GrantRow(
                    principal=principal, workspace=grant.workspace, role=grant.role,
                    granted_by=grant.by, granted_at=grant.at,
                )
            )  # fmt: skip
        if due.suspended_since is not None:
            session.add(SuspensionRow(principal=principal, since=due.suspended_since))
        self._changed(session, principal, told.RESEALED)

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

    def _changed(self, session: Session, principal: str, words: str) -> None:
        """Seal what `principal` holds now, and let it be felt; `words` tell the log what changed.

        Only after `standing` has passed: otherwise a forged row would be sealed with the others.
        """
        number = advance_epoch(session)
        _, mac = self._read(session, principal, number)
        session.merge(StandingRow(principal=principal, number=number, mac=mac))
        session.flush()
        if self._seals is not None:
            self._seals.record(session, KIND, principal, mac.hex(), told=words)

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
        return not any(self.is_sealed(session, other) for other in others)

    def is_sealed(self, session: Session, principal: str) -> bool:
        """Whether `standing` would return: their rows are as this server left them."""
        try:
            self.standing(session, principal)
        except TamperedError:
            return False
        return True


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def held_by(session: Session, principal: str) -> list[GrantRow]:
    """The grants of a principal as the rows say, whether or not they are sealed."""
    return list(session.scalars(select(GrantRow).where(GrantRow.principal == principal)))


def holders(session: Session, workspace: str) -> list[GrantRow]:
    """The grants in a workspace, by role and principal."""
    return list(
        session.scalars(
            select(GrantRow)
            .where(GrantRow.workspace == workspace)
            .order_by(GrantRow.role, GrantRow.principal)
        )
    )


def since_suspended(session: Session, principal: str) -> datetime | None:
    """Since when everything is forbidden to `principal`, as the rows say."""
    row = session.get(SuspensionRow, principal)
    return None if row is None else row.since


def suspended(session: Session, principal: str) -> bool:
    """Whether everything is forbidden to `principal`."""
    return session.get(SuspensionRow, principal) is not None
