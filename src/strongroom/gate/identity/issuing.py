"""Making API keys, links, invitations and console sessions, in the caller's transaction."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from strongroom.errors import StateError
from strongroom.gate.identity.claims import claim_code, note_claim, void_links
from strongroom.gate.identity.tables import ApiKeyRow, LinkRow, SessionRow
from strongroom.gate.identity.tokens import MIN_PEPPER_BYTES, TokenKind, new_token
from strongroom.vault.seals import Seals

KIND = "credential"
"""Of what has ended (revoked, spent, signed out), in the journal of sealed changes."""
_ENDED = "ended"

MAX_ACTIVE_KEYS = 2
"""Of one owner and purpose: enough to change keys without a gap, too few to lose count."""

LONGEST = {TokenKind.LINK: timedelta(minutes=1_440), TokenKind.INVITATION: timedelta(hours=720)}
"""What the settings `link_minutes` and `invitation_hours` allow at most."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Makes secrets and the rows that stand for them.

    Attributes:
        pepper: key of the kept hashes, at least 32 bytes; kept outside the database.
        clock: seconds since 1970, UTC.
        random: gives that many unpredictable bytes.
        seals: the journal of sealed changes; None: what has ended is known by its row alone.
    """

    pepper: bytes = field(repr=False)
    clock: Callable[[], float] = time.time
    random: Callable[[int], bytes] = secrets.token_bytes
    seals: Seals | None = None

    def __post_init__(self) -> None:
        """Refuse a pepper that is too short."""
        if len(self.pepper) < MIN_PEPPER_BYTES:
            raise ValueError(f"the pepper must have {MIN_PEPPER_BYTES} bytes or more")

    def now(self) -> datetime:
        """The present moment."""
        return datetime.fromtimestamp(self.clock(), UTC)

    def api_key(
        self,
        session: Session,
        owner: str,
        *,
        purpose: str,
        days: int,
        workspaces: Sequence[str],
        by: str,
    ) -> tuple[ApiKeyRow, str]:
        """A new API key of `owner`: its row and, this once, its secret.

        Raises:
            StateError: two keys of this owner and purpose are active.
        """
        now = self.now()
        active = session.scalar(
            select(func.count())
            .select_from(ApiKeyRow)
            .where(
                ApiKeyRow.owner == owner,
                ApiKeyRow.purpose == purpose,
                ApiKeyRow.revoked_at.is_(None),
                ApiKeyRow.expires_at > now,
            )
        )
        if (active or 0) >= MAX_ACTIVE_KEYS:
            raise StateError(
                f"there are {MAX_ACTIVE_KEYS} active keys for the purpose `{purpose}`",
                next_step="revoke one of them, or give the new key another purpose",
            )
        token = new_token(TokenKind.API_KEY, self.random)
        limit = " ".join(sorted(set(workspaces)))
        row = ApiKeyRow(
            id=token.id, owner=owner, purpose=purpose,
            workspaces=limit, created_by=by, created_at=now,
            expires_at=now + timedelta(days=days), last_used_at=None, revoked_at=None,
        )  # fmt: skip
        row.digest = token.digest(self.pepper, *covered(row))
        session.add(row)
        return row, token.text

    def link(self, session: Session, account: str, *, minutes: int, by: str) -> tuple[LinkRow, str]:
        """A new sign-in link for `account`: its row and, this once, its secret."""
        return self._once(session, TokenKind.LINK, account, timedelta(minutes=minutes), by)

    def invitation(
        self, session: Session, account: str, *, hours: int, by: str
    ) -> tuple[LinkRow, str]:
        """A new invitation to claim `account`, in place of earlier ones: its row and its secret."""
        self.end(session, void_links(session, account, self.now(), TokenKind.INVITATION))
        return self._once(session, TokenKind.INVITATION, account, timedelta(hours=hours), by)

    def claim_here(self, session: Session, account: str) -> None:
        """Let `account` be claimed by whoever holds the home folder, unless it is claimed."""
        if not claim_code(session, account):
            row, _ = self.invitation(session, account, hours=0, by=account)
            row.used_at = self.now()
            session.flush()
            self.end(session, [row.id])
            self.claimed(session, account)

    def claimed(self, session: Session, account: str) -> None:
        """Note for good, in the caller's transaction, that its person has claimed an account."""
        if self.seals is not None:
            note_claim(session, self.seals, account)

    def end(self, session: Session, credentials: Sequence[str]) -> None:
        """Note for good, in the caller's transaction, that these are good no more.

        Their rows say so, too; but a row can be put back to what it was.
        """
        if self.seals is None:
            return
        for credential in credentials:
            if not self.has_ended(session, credential):
                self.seals.record(session, KIND, credential, _ENDED, told=_ENDED)

    def has_ended(self, session: Session, credential: str) -> bool:
        """Whether `end` was called for it, whatever its row says."""
        return self.seals is not None and self.seals.latest(session, KIND, credential) is not None

    def _once(
        self, session: Session, kind: TokenKind, account: str, life: timedelta, by: str
    ) -> tuple[LinkRow, str]:
        now = self.now()
        token = new_token(kind, self.random)
        row = LinkRow(
            id=token.id, account=account,
            created_by=by, created_at=now, expires_at=now + life, used_at=None,
        )  # fmt: skip
        row.digest = token.digest(self.pepper, *covered(row))
        session.add(row)
        session.flush()
        return row, token.text

    def console_session(
        self, session: Session, account: str, *, hours: int
    ) -> tuple[SessionRow, str]:
        """A new console session of `account`: its row and, this once, the cookie's secret."""
        now = self.now()
        token = new_token(TokenKind.SESSION, self.random)
        row = SessionRow(
            id=token.id, account=account,
            created_at=now, expires_at=now + timedelta(hours=hours), ended_at=None,
        )  # fmt: skip
        row.digest = token.digest(self.pepper, *covered(row))
        session.add(row)
        return row, token.text


def covered(row: ApiKeyRow | SessionRow | LinkRow | None) -> tuple[str, ...]:
    """What the kept hash covers beside the secret: whose it is, its limit, and how long it is good.

    A link that is replaced expires early, so what is covered of it is when it was made; it is good
    for `LONGEST` after that at most.
    """
    if row is None:
        return ("",)
    if isinstance(row, ApiKeyRow):
        return (row.owner, row.workspaces, row.expires_at.astimezone(UTC).isoformat())
    if isinstance(row, SessionRow):
        return (row.account, row.expires_at.astimezone(UTC).isoformat())
    return (row.account, row.created_at.astimezone(UTC).isoformat())
