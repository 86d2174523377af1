"""Making API keys, sign-in links and console sessions, in the caller's transaction."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from strongroom.errors import StateError
from strongroom.gate.identity.tables import ApiKeyRow, LinkRow, SessionRow
from strongroom.gate.identity.tokens import MIN_PEPPER_BYTES, TokenKind, new_token

MAX_ACTIVE_KEYS = 2
"""Of one owner and purpose: enough to change keys without a gap, too few to lose count."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Makes secrets and the rows that stand for them.

    Attributes:
        pepper: key of the kept hashes, at least 32 bytes; kept outside the database.
        clock: seconds since 1970, UTC.
        random: gives that many unpredictable bytes.
    """

    pepper: bytes = field(repr=False)
    clock: Callable[[], float] = time.time
    random: Callable[[int], bytes] = secrets.token_bytes

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
        row = ApiKeyRow(
            id=token.id, owner=owner, purpose=purpose, digest=token.digest(self.pepper),
            workspaces=" ".join(sorted(set(workspaces))), created_by=by, created_at=now,
            expires_at=now + timedelta(days=days), last_used_at=None, revoked_at=None,
        )  # fmt: skip
        session.add(row)
        return row, token.text

    def link(self, session: Session, account: str, *, minutes: int, by: str) -> tuple[LinkRow, str]:
        """A new sign-in link for `account`: its row and, this once, its secret."""
        now = self.now()
        token = new_token(TokenKind.LINK, self.random)
        row = LinkRow(
            id=token.id, account=account, digest=token.digest(self.pepper), created_by=by,
            created_at=now, expires_at=now + timedelta(minutes=minutes), used_at=None,
        )  # fmt: skip
        session.add(row)
        return row, token.text

    def console_session(
        self, session: Session, account: str, *, hours: int
    ) -> tuple[SessionRow, str]:
        """A new console session of `account`: its row and, this once, the cookie's secret."""
        now = self.now()
        token = new_token(TokenKind.SESSION, self.random)
        row = SessionRow(
            id=token.id, account=account, digest=token.digest(self.pepper), created_at=now,
            expires_at=now + timedelta(hours=hours), ended_at=None,
        )  # fmt: skip
        session.add(row)
        return row, token.text
