"""Verbs on accounts, invitations, API keys and sign-in links.

Credentials of an account are made by its own person only. Others can invite them to claim it, while
it holds no role (`gate/identity/claims.py`, ADR 0017).
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.errors import CallerError, NotFoundError, ValidationError
from strongroom.gate.access.grants import Grants
from strongroom.gate.access.tables import SuspensionRow
from strongroom.gate.access.types import SERVER, Entity, PrincipalKind
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Limits, Route, operation
from strongroom.gate.identity.accounts import Accounts, create_account
from strongroom.gate.identity.claims import redeem, require_without_roles
from strongroom.gate.identity.issuing import Issuer
from strongroom.gate.identity.sign_in import SignIn
from strongroom.gate.identity.tables import AccountRow, ApiKeyRow
from strongroom.gate.identity.types import (
    AccountKind,
    ApiKey,
    ApiKeyReference,
    ApiKeys,
    Claimed,
    CreateApiKey,
    CreateUser,
    Invitation,
    KeyState,
    ListApiKeys,
    ListUsers,
    NewApiKey,
    NewLink,
    Nothing,
    User,
    UserReference,
    Users,
    Whoami,
)
from strongroom.gate.operation import Call
from strongroom.gate.workspaces.directory import KnownPrincipal

NEW_SECRETS_PER_MINUTE = 60
MAX_LISTED_KEYS = 200


def _on_server(_room: object, _session: Session, _request: object) -> Entity:
    return SERVER


def _account_entity(identifier: str) -> Entity:
    return Entity("Account", identifier, None)


def _on_account(_room: object, session: Session, request: UserReference) -> Entity:
    try:
        return _account_entity(Accounts().find(session, request.user).id)
    except NotFoundError:
        # Decided all the same, so that a refusal does not tell whether there is such a name.
        return _account_entity(request.user)


class IdentityOperations:
    """The room of accounts and what they sign in with."""

    def __init__(
        self,
        sign_in: SignIn,
        issuer: Issuer,
        grants: Grants,
        *,
        api_key_days: int,
        link_minutes: int,
        invitation_hours: int,
    ) -> None:
        """Take what the room works with.

        Args:
            sign_in: told when something is revoked.
            issuer: makes secrets.
            grants: suspends, and knows who holds a role where.
            api_key_days: how long a new key lasts, and the most that may be asked for.
            link_minutes: how long a sign-in link lasts.
            invitation_hours: how long an invitation lasts.
        """
        self._accounts = Accounts(issuer.seals)
        self._sign_in = sign_in
        self._issuer = issuer
        self._grants = grants
        self._api_key_days = api_key_days
        self._link_minutes = link_minutes
        self._invitation_hours = invitation_hours

    # ---- accounts ----

    @operation(
        "user.create",
        action="createUser",
        resource=_on_server,
        audit=AuditClass.ACCOUNT_CHANGE,
        route=Route("POST", "/users"),
        command=Command("user create", positional=("name",)),
    )
    def create_user(self, call: Call, request: CreateUser) -> User:
        """Create a person or a service identity; invite them, and roles come after."""
        kind = PrincipalKind(request.kind)
        with call.transaction() as session:
            row = create_account(
                session, request.name, kind, by=call.principal.id, now=self._issuer.now(),
                random=self._issuer.random,
            )  # fmt: skip
            call.note(account=row.id, kind=kind.value)
            return _user(row, disabled=False)

    @operation(
        "user.ls",
        action="readUser",
        resource=_on_server,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/users"),
        command=Command("user ls"),
    )
    def ls_users(self, call: Call, request: ListUsers) -> Users:
        """List accounts, by name."""
        with call.reading() as session:
            rows = session.execute(
                select(AccountRow, SuspensionRow.since)
                .outerjoin(SuspensionRow, SuspensionRow.principal == AccountRow.id)
                .where(AccountRow.name > request.after)
                .order_by(AccountRow.name)
                .limit(request.limit)
            )
            return Users(users=[_user(row, disabled=since is not None) for row, since in rows])

    @operation(
        "user.disable",
        action="disableUser",
        resource=_on_account,
        audit=AuditClass.ACCOUNT_CHANGE,
        route=Route("POST", "/users/{user}/disable"),
        command=Command("user disable", positional=("user",), confirm="user"),
    )
    def disable_user(self, call: Call, request: UserReference) -> User:
        """Forbid everything to an account, running calls included; its roles are kept.

        The last Operator, and the last Owner of a workspace, cannot be disabled.
        """
        with call.transaction() as session:
            known = self._accounts.find(session, request.user)
            call.note(account=known.id)
            self._grants.suspend(session, known.id, now=self._issuer.now())
            row = session.get_one(AccountRow, known.id)
        self._sign_in.forget()
        return _user(row, disabled=True)

    @operation(
        "user.enable",
        action="disableUser",
        resource=_on_account,
        audit=AuditClass.ACCOUNT_CHANGE,
        route=Route("POST", "/users/{user}/enable"),
        command=Command("user enable", positional=("user",)),
    )
    def enable_user(self, call: Call, request: UserReference) -> User:
        """Let a disabled account act again."""
        with call.transaction() as session:
            known = self._accounts.find(session, request.user)
            call.note(account=known.id)
            self._grants.restore(session, known.id)
            return _user(session.get_one(AccountRow, known.id), disabled=False)

    @operation(
        "user.invite",
        action="inviteUser",
        resource=_on_account,
        audit=AuditClass.ACCOUNT_CHANGE,
        route=Route("POST", "/users/{user}/invitation"),
        command=Command("user invite", positional=("user",)),
        limits=Limits(per_minute=NEW_SECRETS_PER_MINUTE),
    )
    def invite_user(self, call: Call, request: UserReference) -> Invitation:
        """Make an invitation by which a person, or who runs a service, claims an account.

        It is good once, and earlier ones are void. Refused while the account holds any role:
        whoever redeemed it would have them.
        """
        with call.transaction() as session:
            known = self._accounts.find(session, request.user)
            call.note(account=known.id)
            require_without_roles(session, self._grants, known.id)
            row, secret = self._issuer.invitation(
                session, known.id, hours=self._invitation_hours, by=call.principal.id
            )
            call.note(invitation=row.id)
            expires_at = row.expires_at
        return Invitation(user=known.id, token=secret, expires_at=expires_at)

    @operation(
        "user.claim",
        action="claimAccount",
        resource=_on_server,
        audit=AuditClass.ACCOUNT_CHANGE,
        route=Route("POST", "/claim"),
    )
    def claim_account(self, call: Call, request: Nothing) -> Claimed:  # noqa: ARG002 # every operation takes a request
        """Redeem the invitation that you present in place of a key, and get your own first key.

        Every credential made for the account before is void. The claim code is what an Owner asks
        you for before they give you a role; if the invitation was redeemed before you came,
        somebody else is in your place.
        """
        with call.transaction() as session:
            account = redeem(
                session, self._grants, call.principal.credential_id, self._issuer.now(),
                self._issuer,
            )  # fmt: skip
            row, secret = self._issuer.api_key(
                session, account, purpose="default", days=self._api_key_days, workspaces=(),
                by=account,
            )  # fmt: skip
            claim = self._accounts.claim(session, account)
            call.note(account=account, key=row.id, claim=claim)
            shown = _api_key(row, self._issuer.now())
        self._sign_in.forget()
        return Claimed(**shown.model_dump(), secret=secret, claim=claim)

    @operation(
        "whoami",
        action="whoAmI",
        resource=_on_server,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/whoami"),
        command=Command("whoami"),
    )
    def whoami(self, call: Call, request: Nothing) -> Whoami:  # noqa: ARG002 # every operation takes a request
        """Show who you are, your claim code and what your credential is limited to."""
        principal = call.principal
        with call.reading() as session:
            claim = self._accounts.claim(session, principal.id)
        return Whoami(
            id=principal.id,
            name=principal.name,
            kind="person" if principal.kind is PrincipalKind.PERSON else "service",
            credential=principal.credential_id,
            workspaces=list(principal.workspaces),
            claim=claim,
        )

    # ---- API keys ----

    @operation(
        "token.create",
        action="manageOwnAccount",
        resource=_on_server,
        audit=AuditClass.ACCOUNT_CHANGE,
        route=Route("POST", "/tokens"),
        command=Command("token create"),
        limits=Limits(per_minute=NEW_SECRETS_PER_MINUTE),
    )
    def create_token(self, call: Call, request: CreateApiKey) -> NewApiKey:
        """Make an API key for yourself, shown once; nobody makes one for another."""
        days = self._api_key_days if request.days is None else request.days
        if days > self._api_key_days:
            raise ValidationError(f"`days`: a key lasts at most {self._api_key_days} days")
        account = call.principal.id
        with call.transaction() as session:
            mine = self._grants.workspaces_of(session, account)
            for name in request.workspaces:
                if name not in mine:
                    raise ValidationError(f"`workspaces`: no role in `{name}`")
            row, secret = self._issuer.api_key(
                session, account, purpose=request.purpose, days=days,
                workspaces=request.workspaces, by=account,
            )  # fmt: skip
            call.note(account=account, key=row.id, purpose=row.purpose, days=days)
            shown = _api_key(row, self._issuer.now())
        return NewApiKey(**shown.model_dump(), secret=secret)

    @operation(
        "token.ls",
        action="manageOwnAccount",
        resource=_on_server,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/tokens"),
        command=Command("token ls"),
    )
    def ls_tokens(self, call: Call, request: ListApiKeys) -> ApiKeys:
        """List API keys, yours or, with the permission, another's; never their secrets."""
        known = self._whose(call, "readApiKey", request.user)
        call.note(account=known.id)
        now = self._issuer.now()
        with call.reading() as session:
            rows = session.scalars(
                select(ApiKeyRow)
                .where(ApiKeyRow.owner == known.id)
                .order_by(ApiKeyRow.created_at.desc(), ApiKeyRow.id)
                .limit(MAX_LISTED_KEYS)
            )
            return ApiKeys(keys=[_api_key(row, now) for row in rows])

    @operation(
        "token.revoke",
        action="manageOwnAccount",
        resource=_on_server,
        audit=AuditClass.ACCOUNT_CHANGE,
        route=Route("DELETE", "/tokens/{key}"),
        command=Command("token revoke", positional=("key",), confirm="key"),
    )
    def revoke_token(self, call: Call, request: ApiKeyReference) -> ApiKey:
        """Revoke an API key, yours or, with the permission, another's; for good."""
        with call.reading() as session:
            found = session.get(ApiKeyRow, request.key)
        if found is None or found.owner != call.principal.id:
            # A key that is not there is decided on like another's: a refusal does not tell.
            call.require("revokeApiKey", _account_entity(found.owner if found else request.key))
        if found is None:
            raise NotFoundError(f"there is no key `{request.key}`")
        call.note(account=found.owner, key=found.id)
        with call.transaction() as session:
            row = session.get_one(ApiKeyRow, request.key)
            row.revoked_at = row.revoked_at or self._issuer.now()
            self._issuer.end(session, [row.id])
            shown = _api_key(row, self._issuer.now())
        self._sign_in.forget()
        return shown

    # ---- links ----

    @operation(
        "link.create",
        action="manageOwnAccount",
        resource=_on_server,
        audit=AuditClass.ACCOUNT_CHANGE,
        route=Route("POST", "/links"),
        command=Command("user link"),
        limits=Limits(per_minute=NEW_SECRETS_PER_MINUTE),
    )
    def create_link(self, call: Call, request: Nothing) -> NewLink:  # noqa: ARG002 # every operation takes a request
        """Make a one-time link that signs you in to the console; nobody makes one for another."""
        principal = call.principal
        if principal.kind is not PrincipalKind.PERSON:
            raise CallerError(f"`{principal.name}` is a service identity: it has no console")
        with call.transaction() as session:
            row, secret = self._issuer.link(
                session, principal.id, minutes=self._link_minutes, by=principal.id
            )
            call.note(account=principal.id, link=row.id)
            expires_at = row.expires_at
        return NewLink(user=principal.id, token=secret, expires_at=expires_at)

    def _whose(self, call: Call, action: str, user: str | None) -> KnownPrincipal:
        """The account meant, oneself or one on which `action` is permitted.

        Raises:
            RefusedError: another's, and not permitted; also where there is no such account.
            NotFoundError: permitted, but there is no such account.
        """
        principal = call.principal
        own = KnownPrincipal(principal.id, principal.name, principal.kind)
        if user is None or user in {own.id, own.name}:
            return own
        with call.reading() as session:
            call.require(action, _on_account(self, session, UserReference(user=user)))
            return self._accounts.find(session, user)


def _user(row: AccountRow, *, disabled: bool) -> User:
    kind: AccountKind = "service" if row.kind == PrincipalKind.SERVICE.value else "person"
    return User(id=row.id, name=row.name, kind=kind, disabled=disabled, created_at=row.created_at)


def _api_key(row: ApiKeyRow, now: datetime) -> ApiKey:
    state: KeyState = (
        "revoked" if row.revoked_at else "expired" if row.expires_at <= now else "active"
    )
    return ApiKey(
        id=row.id, user=row.owner, purpose=row.purpose, workspaces=row.workspaces.split(),
        created_at=row.created_at, expires_at=row.expires_at, last_used_at=row.last_used_at,
        state=state,
    )  # fmt: skip
