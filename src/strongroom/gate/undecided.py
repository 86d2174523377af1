"""Calls on which nothing was decided, on the record all the same.

Their request could not be read, or asked for what nobody declared; or it was about the caller
alone; or another's code, MLflow's, ended it before it came to anything.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

from sqlalchemy.orm import Session

from strongroom.errors import RateLimitedError, RefusedError, StrongroomError
from strongroom.gate.access.types import Principal
from strongroom.gate.audit.types import AuditClass, EntryRef, Event, Outcome
from strongroom.gate.limits import Tally, TokenBuckets


class Recorder(Protocol):
    """Who records: `gate.audit.log.AuditLog`."""

    def append(self, session: Session, event: Event) -> EntryRef:
        """Write the record in the caller's transaction."""
        ...

    def record(self, event: Event) -> EntryRef:
        """Write the record in a (group) commit of its own; returns when it is durable."""
        ...


@dataclass(frozen=True, slots=True)
class Undecided:
    """What is known of such a call.

    Attributes:
        operation: its name, as far as it is known.
        route: method and template of the path; nothing that the caller has made up.
        action: the Cedar action that would have been decided.
    """

    operation: str
    route: str
    audit: AuditClass
    action: str = ""


class UndecidedCalls:
    """Counts and records them, with the buckets and the log of the gate."""

    def __init__(
        self, log: Recorder, buckets: TokenBuckets, refusals: Tally, clock: Callable[[], float]
    ) -> None:
        """`clock` gives seconds since 1970 UTC."""
        self._log = log
        self._buckets = buckets
        self._refusals = refusals
        self._clock = clock

    def take(self, about: Undecided, principal: Principal, per_minute: int) -> None:
        """Count a call of which is not known yet whether anything will be decided in it.

        Raises: RateLimitedError: too many of one route. Not recorded: that is for `refuse`.
        """
        bucket = (principal.id, about.route)
        self._buckets.take(bucket, per_second=per_minute / 60, burst=per_minute)

    def record(
        self,
        about: Undecided,
        principal: Principal,
        request_id: str,
        outcome: Outcome = Outcome.ALLOWED,
        reason: str = "",
        **details: int,
    ) -> EntryRef:
        """Write the record; returns when it is durable."""
        event = Event(
            time=self._clock(), workspace="", actor_kind=principal.kind.value,
            actor=principal.id, credential=principal.credential_id, operation=about.operation,
            action=about.action, resource_type="Route", resource=about.route[:200],
            audit_class=about.audit, request_id=request_id, outcome=outcome, reason=reason,
            details={**details},
        )  # fmt: skip
        return self._log.record(event)

    def refuse(
        self, about: Undecided, principal: Principal, error: StrongroomError, request_id: str
    ) -> NoReturn:
        """Record why the call ends, and end it. Of too many calls only some are recorded.

        Raises: `error`, always.
        """
        outcome = Outcome.REFUSED if isinstance(error, RefusedError) else Outcome.FAILED
        if not isinstance(error, RateLimitedError):
            error.entry = self.record(about, principal, request_id, outcome, error.code).index
        elif (unrecorded := self._refusals.admit(principal.id)) is not None:
            self.record(about, principal, request_id, outcome, error.code, unrecorded=unrecorded)
        raise error
