"""Sign-in: from a secret to a principal, and from a one-time link to a console session.

What was found is believed for `cache_seconds`, so that a prediction costs no database; that is
also how long another server process may take to feel a revocation. Every sign-in that fails is
recorded, without the secret; failures beyond a rate are counted into the next record instead,
or a stranger could fill the disk with them.
"""

import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from strongroom.errors import ExpiredError, RateLimitedError, SignInError, UnavailableError
from strongroom.gate.access.grants import Grants, suspended
from strongroom.gate.access.types import ANONYMOUS, INVITED, Principal, PrincipalKind
from strongroom.gate.audit.types import AuditClass, Event, Outcome
from strongroom.gate.identity.claims import redeem, require_unspent
from strongroom.gate.identity.issuing import LONGEST, Issuer, covered
from strongroom.gate.identity.tables import AccountRow, ApiKeyRow, LinkRow, SessionRow
from strongroom.gate.identity.tokens import Token, TokenKind, parse_token
from strongroom.gate.limits import TokenBuckets, client_of
from strongroom.gate.operation import new_request_id
from strongroom.gate.undecided import Recorder
from strongroom.vault.database import Database

MAX_CREDENTIAL_CHARACTERS = 128
MAX_CACHED = 10_000
FAILURES_PER_MINUTE = 20
"""Failed sign-ins from one address that are recorded one by one."""
USE_NOTED_EVERY = timedelta(hours=1)

_NO_DIGEST = bytes(32)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """A session just begun.

    Attributes:
        secret: for the cookie; shown this once.
    """

    principal: Principal
    expires_at: datetime
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Found:
    principal: Principal
    expires_at: datetime
    use_is_old: bool = False


class SignIn:
    """Who presents this secret? Safe to share between threads."""

    def __init__(
        self,
        database: Database,
        log: Recorder,
        issuer: Issuer,
        grants: Grants,
        *,
        cache_seconds: float,
        session_hours: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what sign-in works with.

        Args:
            database: accounts and hashes.
            log: takes the records.
            issuer: has the pepper, and makes sessions.
            grants: knows whether an account holds a role.
            cache_seconds: how long a good secret is believed without looking again, >= 0.
            session_hours: how long a console session lasts.
            monotonic: seconds that never go back.
        """
        self._database = database
        self._log = log
        self._issuer = issuer
        self._grants = grants
        self._cache_seconds = cache_seconds
        self._session_hours = session_hours
        self._monotonic = monotonic
        self._cache: dict[bytes, tuple[Principal, float]] = {}
        self._failures = TokenBuckets(monotonic)
        self._unrecorded: dict[str, int] = {}

    def recall(self, credential: str) -> Principal | None:
        """The principal if `identify` found it just now, else None; never touches the database.

        Without the caller's address: this is for the prediction path, where it decides nothing.
        """
        if len(credential) > MAX_CREDENTIAL_CHARACTERS or not credential.isascii():
            return None
        found = self._cache.get(self._cache_key(credential))
        if found is None or self._monotonic() >= found[1]:
            return None
        return found[0]

    def _cache_key(self, credential: str) -> bytes:
        # Of a few bytes, and without releasing the interpreter's lock as hmac.digest does: with
        # busy threads getting it back costs ten times the hash. The key never leaves memory.
        return hashlib.sha256(self._issuer.pepper + credential.encode("ascii")).digest()

    def identify(self, credential: str | None, address: str = "") -> Principal:
        """The principal behind an API key or the secret of a console session.

        Returns: ANONYMOUS where there is no credential.

        Raises:
            ExpiredError: it was good once.
            SignInError: it is not valid. Recorded.
            RateLimitedError: not valid, and too many such from this address.
        """
        if not credential:
            return ANONYMOUS
        key = b""
        if len(credential) <= MAX_CREDENTIAL_CHARACTERS and credential.isascii():
            key = self._cache_key(credential)
            principal, until = self._cache.get(key, (ANONYMOUS, 0.0))
            if self._monotonic() < until:
                return replace(principal, address=address)
        began = self._monotonic()
        token = None
        try:
            token = self._parse(credential)
            with self._database.read() as session:
                found = self._look_up(session, token)
        except SignInError as error:
            raise self._failed(error, address, token) from None
        if found.use_is_old:
            self._note_use(token.id)
        # Never past its end, and counted from before the look: a revocation is felt in time.
        left = (found.expires_at - self._issuer.now()).total_seconds()
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        self._cache[key] = (found.principal, began + min(self._cache_seconds, left))
        return replace(found.principal, address=address)

    def forget(self) -> None:
        """Look everything up again; called after something was revoked here."""
        self._cache.clear()

    def sign_in(self, link: str, address: str = "") -> ConsoleSession:
        """Begin a console session with a one-time link, or with an invitation, which it redeems.

        The link is spent, the session begun and both recorded in one transaction. Writers take
        turns, so of two that come with the same link only one finds it unspent.

        Raises:
            ExpiredError: the link has expired or is spent.
            SignInError: it is not valid. Recorded.
            StateError: an invitation to an account that holds roles.
            RateLimitedError: not valid, and too many such from this address.
        """
        token = None
        try:
            token = self._parse(link)
            with self._database.write() as session:
                account = self._spend(session, token)
                row, secret = self._issuer.console_session(
                    session, account.id, hours=self._session_hours
                )
                principal = _principal(account, row.id)
                self._log.append(
                    session,
                    self._event(principal, "sign_in", Outcome.ALLOWED, address, link=token.id),
                )
                expires_at = row.expires_at
        except SignInError as error:
            raise self._failed(error, address, token) from None
        if token.kind is TokenKind.INVITATION:
            self.forget()  # what was good for the account until now
        return ConsoleSession(replace(principal, address=address), expires_at, secret)

    def sign_out(self, secret: str, address: str = "") -> None:
        """End a console session; its secret is worthless from now on.

        Raises:
            SignInError: there is no such session (any more).
        """
        token = None
        try:
            token = self._parse(secret)
            with self._database.write() as session:
                found = self._look_up(session, token)
                row = session.get(SessionRow, token.id)
                if row is None:
                    raise SignInError("only a console session can be signed out")
                row.ended_at = self._issuer.now()
                self._issuer.end(session, [row.id])
                self._log.append(
                    session, self._event(found.principal, "sign_out", Outcome.ALLOWED, address)
                )
        except SignInError as error:
            raise self._failed(error, address, token) from None
        finally:
            self.forget()

    # ---- looking up ----

    def _parse(self, text: str) -> Token:
        if len(text) > MAX_CREDENTIAL_CHARACTERS:
            raise SignInError("the credential is not in the form of a key")
        return parse_token(text)

    def _look_up(self, session: Session, token: Token) -> _Found:
        """What the token stands for; the same work is done whether or not its id exists."""
        if token.kind is TokenKind.LINK:
            raise SignInError("a sign-in link is no key: open it in a browser")
        now = self._issuer.now()
        if token.kind is TokenKind.INVITATION:
            invitation = self._once(session, token)
            require_unspent(invitation, now)
            self._require_not_ended(session, token)
            account = self._active_account(session, invitation.account)
            return _Found(_principal(account, token.id, INVITED), invitation.expires_at)
        row: ApiKeyRow | SessionRow | None
        if token.kind is TokenKind.API_KEY:
            row = session.get(ApiKeyRow, token.id)
        else:
            row = session.get(SessionRow, token.id)
        self._check_digest(token, row)
        assert row is not None  # noqa: S101 # for mypy: checked above
        use_is_old = False
        if isinstance(row, ApiKeyRow):
            if row.revoked_at is not None:
                raise SignInError("the key is not valid")
            limit, account_id = tuple(row.workspaces.split()), row.owner
            use_is_old = row.last_used_at is None or now - row.last_used_at >= USE_NOTED_EVERY
        else:
            if row.ended_at is not None:
                raise ExpiredError("the session has ended")
            limit, account_id = (), row.account
        if row.expires_at <= now:
            raise ExpiredError("the credential has expired")
        self._require_not_ended(session, token)
        account = self._active_account(session, account_id)
        return _Found(_principal(account, token.id, limit), row.expires_at, use_is_old)

    def _check_digest(self, token: Token, row: ApiKeyRow | SessionRow | LinkRow | None) -> None:
        kept = row.digest if row is not None else _NO_DIGEST
        same = hmac.compare_digest(kept, token.digest(self._issuer.pepper, *covered(row)))
        if row is None or not same:
            raise SignInError("the key is not valid")

    def _require_not_ended(self, session: Session, token: Token) -> None:
        """Refuse what was revoked, spent or signed out, though its row says otherwise."""
        if self._issuer.has_ended(session, token.id):
            _log.error("credential_tampered", credential=token.id)
            raise SignInError("it has ended, and its row was changed outside the server")

    def _active_account(self, session: Session, identifier: str) -> AccountRow:
        account = session.get(AccountRow, identifier)
        if account is None or suspended(session, identifier):
            raise SignInError("the account is disabled")
        return account

    def _spend(self, session: Session, token: Token) -> AccountRow:
        if token.kind is TokenKind.INVITATION:
            invitation = self._once(session, token)
            require_unspent(invitation, self._issuer.now())
            self._require_not_ended(session, token)
            redeem(session, self._grants, invitation.id, self._issuer.now(), self._issuer)
            return self._active_account(session, invitation.account)
        if token.kind is not TokenKind.LINK:
            raise SignInError("this is no sign-in link")
        row = self._once(session, token)
        if row.used_at is not None:
            raise ExpiredError("the link has been used: each is good once")
        if row.expires_at <= self._issuer.now():
            raise ExpiredError("the link has expired")
        self._require_not_ended(session, token)
        row.used_at = self._issuer.now()
        self._issuer.end(session, [row.id])
        return self._active_account(session, row.account)

    def _once(self, session: Session, token: Token) -> LinkRow:
        """The row of a link or an invitation whose secret this is."""
        row = session.get(LinkRow, token.id)
        self._check_digest(token, row)
        assert row is not None  # noqa: S101 # for mypy: checked above
        if row.created_at + LONGEST[token.kind] <= self._issuer.now():
            raise ExpiredError("it has expired", next_step="ask for another one")
        return row

    def _note_use(self, key: str) -> None:
        """Write down that the key is in use; at most once an hour, and never worth a failure."""
        try:
            with self._database.write() as session:
                row = session.get(ApiKeyRow, key)
                if row is not None:
                    row.last_used_at = self._issuer.now()
        except UnavailableError:
            return

    # ---- records ----

    def _failed(self, error: SignInError, address: str, token: Token | None) -> Exception:
        """The error to raise, once the failure is recorded."""
        client = client_of(address)
        try:
            self._failures.take(
                client, per_second=FAILURES_PER_MINUTE / 60, burst=FAILURES_PER_MINUTE
            )
        except RateLimitedError as limited:
            if len(self._unrecorded) >= MAX_CACHED:
                self._unrecorded.clear()
            self._unrecorded[client] = self._unrecorded.get(client, 0) + 1
            return limited
        event = self._event(ANONYMOUS, "sign_in", Outcome.REFUSED, address)
        details: dict[str, str | int] = {"reason": error.message}
        if unrecorded := self._unrecorded.pop(client, 0):
            details["unrecorded"] = unrecorded
        self._log.record(
            replace(
                event.with_details(details),
                # The id is no secret; whether there is such a key, it does not tell.
                credential=token.id if token else "",
                reason=error.code,
            )
        )
        return error

    def _event(
        self, principal: Principal, operation: str, outcome: Outcome, address: str, **details: str
    ) -> Event:
        # An address is personal data: under a key, it can still be compared, and the log kept.
        tag = hmac.digest(self._issuer.pepper, b"address:" + address.encode(), "sha256")[:8].hex()
        return Event(
            time=self._issuer.clock(), workspace="", actor_kind=principal.kind.value,
            actor=principal.id, credential=principal.credential_id, operation=operation,
            action="", resource_type="Server", resource="server",
            audit_class=AuditClass.AUTHENTICATION, request_id=new_request_id(), outcome=outcome,
            details={"address_tag": tag, **details},
        )  # fmt: skip


def _principal(account: AccountRow, credential: str, limit: tuple[str, ...] = ()) -> Principal:
    return Principal(PrincipalKind(account.kind), account.id, account.name, credential, limit)
