"""Claims: how an account becomes its person's, and nobody else's.

An account begins with nobody in it. An *invitation* is a secret that is good once; whoever redeems
it *claims* the account: all that was issued for it before is void, and the first key is shown to
them alone. From then on only they can make credentials for it, and roles can be given to it.

A claim is the spent invitation, and no row of its own; the journal of sealed changes says which
account it is of, and by what name. So neither can be moved in the database to another. The claim's
code follows from the invitation's keyed hash: it is no secret, it cannot be chosen, and it is
another after each claim. Who gives a role has it from the person, and so knows that no other
redeemed the invitation first.
"""

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from strongroom.engines.crypto.wrapping import bind
from strongroom.errors import ExpiredError, SignInError, StateError, TamperedError
from strongroom.gate.access.grants import Grants
from strongroom.gate.identity.tables import AccountRow, ApiKeyRow, LinkRow, SessionRow
from strongroom.gate.identity.tokens import TokenKind
from strongroom.vault.seals import Seals

KIND = "claim"
"""Of who claimed which account, in the journal of sealed changes."""

_MOMENT = timedelta(microseconds=1)
_CODE_CHARACTERS = 8
"""40 bits: nobody can redeem invitations until a claim has the code of another."""


class Journal(Protocol):
    """What is noted for good of credentials and claims: `gate.identity.issuing.Issuer`."""

    def end(self, session: Session, credentials: Sequence[str]) -> None:
        """These are good no more."""
        ...

    def has_ended(self, session: Session, credential: str) -> bool:
        """Whether `end` was called for it."""
        ...

    def claimed(self, session: Session, account: str) -> None:
        """The account's person has claimed it."""
        ...


def claim_code(session: Session, account: str) -> str:
    """The code of the account's claim, `K7QX-3M2P`; empty while nobody has claimed it."""
    row = _last_claim(session, account)
    if row is None:
        return ""
    digest = hashlib.sha256(b"strongroom claim\0" + row.id.encode() + row.digest).digest()
    code = base64.b32encode(digest).decode("ascii")[:_CODE_CHARACTERS]
    return f"{code[:4]}-{code[4:]}"


def note_claim(session: Session, seals: Seals, account: str) -> None:
    """Note for good, in the caller's transaction, that the account was claimed as it is now."""
    seals.record(session, KIND, account, _claimed(session, account), told="claimed")


def require_claim(session: Session, seals: Seals, account: str) -> None:
    """Return if the account's claim and name are those that were noted.

    Raises:
        TamperedError: they were changed in the database, or are of another account.
    """
    seals.require(session, KIND, account, _claimed(session, account))


def _claimed(session: Session, account: str) -> str:
    row = session.get(AccountRow, account)
    name = "" if row is None else row.name
    return hashlib.sha256(bind("claim", claim_code(session, account), name)).hexdigest()


def _last_claim(session: Session, account: str) -> LinkRow | None:
    return session.scalars(
        select(LinkRow)
        .where(
            LinkRow.account == account,
            LinkRow.id.startswith(f"{TokenKind.INVITATION}_"),
            LinkRow.used_at.is_not(None),
        )
        .order_by(LinkRow.used_at.desc())
        .limit(1)
    ).one_or_none()


def require_unspent(invitation: LinkRow, now: datetime) -> None:
    """Refuse an invitation that was redeemed, or that has expired.

    Raises:
        ExpiredError: and when it was redeemed, for then somebody else may be in one's place.
    """
    if invitation.used_at is not None:
        at = invitation.used_at.astimezone(UTC)
        raise ExpiredError(
            f"the invitation was redeemed on {at:%Y-%m-%d at %H:%M} UTC",
            next_step="if that was not you, somebody has taken your place: tell the Owners of your "
            "workspaces, and let them give it no role",
        )
    if invitation.expires_at <= now:
        raise ExpiredError("the invitation has expired", next_step="ask for another one")


def require_without_roles(session: Session, grants: Grants, account: str) -> None:
    """Refuse to let an account be claimed that holds any role, on the server or in a workspace.

    Whoever claims it would get them.

    Raises:
        StateError: it holds one.
        TamperedError: what it holds was changed outside the server.
    """
    if grants.standing(session, account).grants:
        raise StateError(
            "the account holds roles, so only its own person can make credentials for it",
            next_step="have the Owners of its workspaces take them away, then invite the person "
            "anew; or use `strongroom recover` at the server's machine",
        )


def redeem(
    session: Session,
    grants: Grants,
    invitation: str,
    now: datetime,
    journal: Journal,
) -> str:
    """Spend an invitation, by id, in the caller's transaction; the id of the account.

    Every key, link, session and other invitation of the account is void from now on.

    Raises:
        SignInError: there is no such invitation.
        TamperedError: it was spent or void, and its row says otherwise.
        ExpiredError, StateError, TamperedError: as the two checks above.
    """
    row = session.get(LinkRow, invitation, with_for_update=True, populate_existing=True)
    if row is None:
        raise SignInError("the invitation is not valid")
    require_unspent(row, now)
    require_without_roles(session, grants, row.account)
    if journal.has_ended(session, row.id):
        raise TamperedError("the invitation was good no more, and was changed in the database")
    journal.end(session, [*void_all(session, row.account, now), row.id])
    before = _last_claim(session, row.account)
    # The last claim is the one that counts, also where the clock was set back in between.
    after = now if before is None or before.used_at is None else before.used_at + _MOMENT
    row.used_at = max(now, after)
    session.flush()
    journal.claimed(session, row.account)
    return row.account


def void_all(session: Session, account: str, now: datetime) -> list[str]:
    """Revoke every key of an account, end its sessions, let its links and invitations expire.

    Returns: the ids of those that were good until then.
    """
    keys = session.scalars(
        update(ApiKeyRow)
        .where(ApiKeyRow.owner == account, ApiKeyRow.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(ApiKeyRow.id)
    ).all()
    sessions = session.scalars(
        update(SessionRow)
        .where(SessionRow.account == account, SessionRow.ended_at.is_(None))
        .values(ended_at=now)
        .returning(SessionRow.id)
    ).all()
    return [*keys, *sessions, *void_links(session, account, now)]


def void_links(
    session: Session, account: str, now: datetime, kind: TokenKind | None = None
) -> list[str]:
    """Let the unspent links and invitations of an account expire; those of one kind if named.

    Returns: their ids.
    """
    unspent = update(LinkRow).where(
        LinkRow.account == account, LinkRow.used_at.is_(None), LinkRow.expires_at > now
    )
    if kind is not None:
        unspent = unspent.where(LinkRow.id.startswith(f"{kind}_"))
    return list(session.scalars(unspent.values(expires_at=now).returning(LinkRow.id)))
