"""The first person: how a server with nobody in it gets somebody, without a back door.

Only code that holds the open home folder can call these; no route leads here. Whoever can open
the folder can read the root key as well, so they gain nothing that they did not have, and every
call is on the record.
"""

from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.errors import NotFoundError
from strongroom.gate.access.grants import Grants
from strongroom.gate.access.roles import OPERATOR
from strongroom.gate.access.tables import SERVER_WIDE
from strongroom.gate.access.types import PrincipalKind
from strongroom.gate.audit.types import AuditClass, Event, Outcome
from strongroom.gate.identity.accounts import Accounts, create_account
from strongroom.gate.identity.claims import void_all
from strongroom.gate.identity.issuing import Issuer
from strongroom.gate.identity.tables import AccountRow, ApiKeyRow, LinkRow
from strongroom.gate.identity.tokens import TokenKind
from strongroom.gate.operation import new_request_id
from strongroom.gate.undecided import Recorder
from strongroom.vault.database import Database

FIRST_NAME = "operator"


@dataclass(frozen=True, slots=True)
class FirstPerson:
    """The first account, an Operator; key and link are shown this once and kept nowhere.

    Attributes:
        id: of the account.
        api_key: the secret of its first API key.
        link: the secret of a one-time sign-in link.
    """

    id: str
    name: str
    api_key: str = field(repr=False)
    link: str = field(repr=False)


def bootstrap(
    database: Database,
    log: Recorder,
    issuer: Issuer,
    grants: Grants,
    *,
    api_key_days: int,
    link_minutes: int,
    name: str = FIRST_NAME,
) -> FirstPerson | None:
    """Make the first person, or nothing where there is somebody.

    Account, grant, key, link and record are one transaction: after a crash there is either
    nobody, and the next start does it again, or all of it. Key and link may then have been lost
    before they were shown, so while nobody has come with either, they are replaced.
    """
    with database.write() as session:
        known = session.scalars(select(AccountRow).limit(2)).all()
        now = issuer.now()
        if not known:
            account = create_account(
                session, name, PrincipalKind.PERSON, by="", now=now, random=issuer.random
            )
            issuer.claim_here(session, account.id)
            grants.grant(session, account.id, OPERATOR, SERVER_WIDE, by=account.id, now=now)
        elif len(known) == 1 and known[0].name == name and not _somebody_came(session):
            account = known[0]
            issuer.end(session, void_all(session, account.id, now))
        else:
            return None
        key, secret = issuer.api_key(
            session,
            account.id,
            purpose="first",
            days=api_key_days,
            workspaces=(),
            by=account.id,
        )
        link, link_secret = issuer.link(session, account.id, minutes=link_minutes, by=account.id)
        log.append(
            session, _event(issuer, "server.bootstrap", account.id, key=key.id, link=link.id)
        )
        return FirstPerson(account.id, account.name, secret, link_secret)


def _somebody_came(session: Session) -> bool:
    """Whether any key or link was ever used."""
    used = (
        select(ApiKeyRow.id).where(ApiKeyRow.last_used_at.is_not(None)),
        select(LinkRow.id).where(
            LinkRow.used_at.is_not(None), LinkRow.id.startswith(f"{TokenKind.LINK}_")
        ),
    )
    return any(session.scalar(query.limit(1)) is not None for query in used)


def local_link(
    database: Database, log: Recorder, issuer: Issuer, *, account: str, link_minutes: int
) -> str:
    """A one-time sign-in link for an account, by id or name, when every key of it is lost.

    Raises:
        NotFoundError: there is no such account, or it is a service identity.
    """
    with database.write() as session:
        known = Accounts().find(session, account)
        if known.kind is not PrincipalKind.PERSON:
            raise NotFoundError(f"`{account}` is not a person")
        issuer.claim_here(session, known.id)
        row, secret = issuer.link(session, known.id, minutes=link_minutes, by=known.id)
        log.append(session, _event(issuer, "server.local_link", known.id, link=row.id))
        return secret


def local_key(
    database: Database, log: Recorder, issuer: Issuer, *, account: str, purpose: str, days: int
) -> str:
    """A new API key for an account, by id or name, in place of those of the same purpose.

    An account that nobody has claimed is claimed by this.

    Raises:
        NotFoundError: there is no such account.
    """
    with database.write() as session:
        known = Accounts().find(session, account)
        issuer.claim_here(session, known.id)
        now = issuer.now()
        revoked = session.scalars(
            select(ApiKeyRow).where(
                ApiKeyRow.owner == known.id,
                ApiKeyRow.purpose == purpose,
                ApiKeyRow.revoked_at.is_(None),
            )
        ).all()
        for row in revoked:
            row.revoked_at = now
        issuer.end(session, [row.id for row in revoked])
        key, secret = issuer.api_key(
            session, known.id, purpose=purpose, days=days, workspaces=(), by=known.id
        )
        log.append(
            session,
            _event(issuer, "server.local_key", known.id, key=key.id, revoked=len(revoked)),
        )
        return secret


def _event(issuer: Issuer, operation: str, account: str, **details: str | int) -> Event:
    return Event(
        time=issuer.clock(), workspace="", actor_kind="host", actor="", operation=operation,
        action="", resource_type="Account", resource=account,
        audit_class=AuditClass.ACCOUNT_CHANGE, request_id=new_request_id(),
        outcome=Outcome.ALLOWED, details=details,
    )  # fmt: skip
