"""What endpoints do with their guards: set by people, and sealed.

Nobody turns a guard off in the database: a policy that is not the one set last is none.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal, cast

from sqlalchemy.orm import Session

from strongroom.engines.crypto.wrapping import bind
from strongroom.errors import TamperedError
from strongroom.services.endpoints.tables import GuardPolicyRow
from strongroom.vault.seals import Seals

Mode = Literal["off", "observe", "refuse"]
Shows = Literal["probabilities", "labels"]

_KIND = "endpoint guard"
"""Of the changes of policies, in the journal of sealed changes."""
_NONE = "none"


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """What an endpoint does with its guard, and what of an answer leaves it.

    Attributes:
        mode: `off`: nothing is looked at; `observe`: flags and alarms are counted and recorded;
            `refuse`: flagged questions, and callers with an alarm, get no answer.
        rate: of false alarms; None: as the guard was fitted.
        top: so many of the largest probabilities are shown; None: all.
        decimals: of probabilities; None: those of the endpoint.
    """

    mode: Mode = "observe"
    rate: float | None = None
    shows: Shows = "probabilities"
    top: int | None = None
    decimals: int | None = None


class GuardPolicies:
    """Rows of policies."""

    def __init__(self, seals: Seals) -> None:
        self._seals = seals

    def of(self, session: Session, workspace: str, endpoint: str) -> GuardPolicy:
        """The policy in force.

        Raises: TamperedError: it is not the one that was set last.
        """
        row = session.get(GuardPolicyRow, (workspace, endpoint))
        name = f"{workspace}/{endpoint}"
        if row is None:
            if self._seals.latest(session, _KIND, name) not in {None, _NONE}:
                raise TamperedError(f"the guard policy of `{name}` was taken away")
            return GuardPolicy()
        self._seals.require(session, _KIND, name, _digest(row))
        return GuardPolicy(
            cast("Mode", row.mode), row.rate or None, cast("Shows", row.shows), row.top or None,
            None if row.decimals < 0 else row.decimals,
        )  # fmt: skip

    def set(
        self, session: Session, workspace: str, endpoint: str, policy: GuardPolicy, *,
        by: str, now: datetime,
    ) -> None:  # fmt: skip
        """Put a policy in force, from the commit on."""
        row = session.merge(
            GuardPolicyRow(
                workspace=workspace, endpoint=endpoint, mode=policy.mode, rate=policy.rate or 0.0,
                shows=policy.shows, top=policy.top or 0,
                decimals=-1 if policy.decimals is None else policy.decimals, set_by=by, set_at=now,
            )
        )  # fmt: skip
        session.flush()
        self._seals.record(session, _KIND, f"{workspace}/{endpoint}", _digest(row))

    def drop(self, session: Session, workspace: str, endpoint: str) -> None:
        """The endpoint is deleted."""
        row = session.get(GuardPolicyRow, (workspace, endpoint))
        if row is not None:
            session.delete(row)
            self._seals.record(session, _KIND, f"{workspace}/{endpoint}", _NONE)


def _digest(row: GuardPolicyRow) -> str:
    parts = bind(
        "strongroom endpoint guard", 1, row.workspace, row.endpoint, row.mode,
        float(row.rate).hex(), row.shows, row.top, str(row.decimals), row.set_by,
    )  # fmt: skip
    return sha256(parts).hexdigest()
