"""Accounts: people and service identities, found by id or by name."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from strongroom.errors import ConflictError, NotFoundError
from strongroom.gate.access.types import PrincipalKind
from strongroom.gate.identity.claims import claim_code, require_claim
from strongroom.gate.identity.tables import AccountRow
from strongroom.gate.identity.tokens import random_id
from strongroom.gate.workspaces.directory import KnownPrincipal
from strongroom.vault.seals import Seals

_PREFIX = {PrincipalKind.PERSON: "usr", PrincipalKind.SERVICE: "svc"}


class Accounts:
    """Looks accounts up, in the caller's session."""

    def __init__(self, seals: Seals | None = None) -> None:
        """Take the journal of sealed changes; None: a claim is believed by its row alone."""
        self._seals = seals

    def find(self, session: Session, reference: str) -> KnownPrincipal:
        """The account with this id or name.

        Raises:
            NotFoundError: there is none.
        """
        row = session.scalars(
            select(AccountRow).where((AccountRow.id == reference) | (AccountRow.name == reference))
        ).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no account `{reference}`")
        return _known(row)

    def claim(self, session: Session, identifier: str) -> str:
        """The code of the claim of an account; empty while nobody has claimed it.

        Raises:
            TamperedError: the claim or the account's name was changed in the database.
        """
        code = claim_code(session, identifier)
        if code and self._seals is not None:
            require_claim(session, self._seals, identifier)
        return code

    def names(self, session: Session, ids: Sequence[str]) -> dict[str, KnownPrincipal]:
        """Those of `ids` that exist, by id."""
        rows = session.scalars(select(AccountRow).where(AccountRow.id.in_(ids)))
        return {row.id: _known(row) for row in rows}


def create_account(
    session: Session,
    name: str,
    kind: PrincipalKind,
    *,
    by: str,
    now: datetime,
    random: Callable[[int], bytes],
) -> AccountRow:
    """A new account with an id that means nothing.

    `by` is the id of who makes it; empty for the first person, who makes themselves.

    Raises:
        ConflictError: the name is taken.
    """
    # `Alice` and `alice` would be taken for each other by people.
    same = select(AccountRow.id).where(func.lower(AccountRow.name) == name.lower())
    if session.scalar(same) is not None:
        raise ConflictError(f"there is an account `{name}` already")
    identifier = random_id(_PREFIX[kind], random)
    row = AccountRow(
        id=identifier, kind=kind.value, name=name, created_by=by or identifier, created_at=now
    )
    session.add(row)
    session.flush()
    return row


def _known(row: AccountRow) -> KnownPrincipal:
    return KnownPrincipal(row.id, row.name, PrincipalKind(row.kind))
