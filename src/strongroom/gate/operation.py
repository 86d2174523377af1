"""What every verb passes: identify → decide → do → record.

A declared operation (`gate/declaration.py`) changes things only inside
`with call.transaction() as session:`; the record of the operation is written in that same
transaction. A call that changes nothing is recorded before its answer leaves; a refused or failed
call is recorded too. There is no way to run an operation without a record.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pydantic import BaseModel
from sqlalchemy.orm import Session

from strongroom.errors import (
    InternalError,
    RateLimitedError,
    RefusedError,
    SignInError,
    StrongroomError,
    TamperedError,
    TruncatedError,
    UndeclaredError,
    ValidationError,
)
from strongroom.gate.access.types import (
    INVITED,
    Decision,
    Entity,
    Principal,
    PrincipalKind,
)
from strongroom.gate.audit.types import AuditClass, EntryRef, Event, Outcome, holds_secret
from strongroom.gate.declaration import BoundOperation, Stream
from strongroom.gate.limits import Tally, TokenBuckets
from strongroom.gate.undecided import Recorder, Undecided, UndecidedCalls
from strongroom.vault.database import Database

Alarm = Callable[[str, str, str, str], None]
"""Puts on the record that something was found changed: (kind, subject, reason, workspace)."""


class Decider(Protocol):
    """Who decides: `gate.access` with Cedar."""

    def decide(self, principal: Principal, action: str, resource: Entity) -> Decision:
        """The decision of the policies in force; never raises for a refusal."""
        ...

    def epoch(self, session: Session) -> int:
        """A number that grows whenever a policy or a grant changes."""
        ...


STREAM_LOOK_SECONDS = 1.0
"""How long an answer goes on leaving after its permission was withdrawn."""

RATE_REFUSALS_PER_MINUTE = 60
"""Of one caller, that are recorded; more are counted, and the count is in the next record."""

CLAIM_ACTION = "claimAccount"
"""All that an invitation is good for, and what nothing else is good for."""

SELF_ACTIONS = frozenset({"whoAmI", "listWorkspaces"})
"""What a credential may ask about itself, also one that is limited to workspaces."""


def within_limit(principal: Principal, action: str, entity: Entity) -> bool:
    """Whether the credential is good there; whether its owner may, the policies decide."""
    limit = principal.workspaces
    if limit == INVITED or action == CLAIM_ACTION:
        return limit == INVITED and action == CLAIM_ACTION
    return not limit or entity.workspace in limit or action in SELF_ACTIONS


class Admission:
    """One admitted call: what it may still ask of the gate, and the record it will leave."""

    def __init__(
        self, gate: "Gate", principal: Principal, event: Event, entity: Entity, epoch: int
    ) -> None:
        self.principal = principal
        self.entity = entity
        self.request_id = event.request_id
        self.entry: EntryRef | None = None
        self._ending: EntryRef | None = None
        self._gate = gate
        self._event = event
        self._epoch = epoch
        self._details: dict[str, str | int | float | bool] = dict(event.details)
        self._relied: list[tuple[str, Entity]] = [(event.action, entity)]

    @property
    def workspace(self) -> str:
        """Name of the workspace the call is about; empty for the server itself."""
        return self._event.workspace

    def note(self, **details: str | float | bool) -> None:
        """Add ids, digests and counts to the record. Never personal data, never a secret."""
        self._details.update(details)

    def allows(self, action: str, entity: Entity | None = None) -> bool:
        """Whether the caller may also do `action`; for choosing a view, not for the call itself.

        The answer is noted in the record under the action's name.
        """
        about = entity or self.entity
        allowed = (
            within_limit(self.principal, action, about)
            and self._gate.access.decide(self.principal, action, about).allowed
        )
        self._details[f"may.{action}"] = allowed
        if allowed:
            self._relied.append((action, about))
        return allowed

    def may_too(self, person: str) -> bool:
        """Whether another person, by id, may do what this call does; for approvals given before."""
        other = Principal(PrincipalKind.PERSON, person)
        return self._gate.access.decide(other, self._event.action, self.entity).allowed

    def while_permitted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """`chunks` of an answer, until what it rests on is withdrawn; looked at each second.

        Raises:
            RefusedError: no longer permitted. Recorded, in an entry of its own.
        """
        look_at = time.monotonic() + STREAM_LOOK_SECONDS
        try:
            for chunk in chunks:
                if time.monotonic() >= look_at:
                    look_at = time.monotonic() + STREAM_LOOK_SECONDS
                    self._require_still()
                yield chunk
        finally:
            if (close := getattr(chunks, "close", None)) is not None:
                close()

    def _require_still(self) -> None:
        for action, about in self._relied:
            if not self._gate.access.decide(self.principal, action, about).allowed:
                reason = "your permission was withdrawn while the answer was being sent"
                withdrawn = self._event.concluded(Outcome.REFUSED, f"refused: {reason}")
                self._gate.log.record(withdrawn)
                raise RefusedError(reason)

    def require(self, action: str, entity: Entity | None = None) -> None:
        """Refuse the call unless the caller may also do `action`.

        Raises:
            RefusedError: the policies do not permit it.
        """
        if not self.allows(action, entity):
            raise RefusedError(f"`{action}` is not permitted to you on this resource")

    def record(self, session: Session) -> EntryRef:
        """Write the record into the transaction of `session`; once a call.

        A grant or policy that changed since the decision is taken into account here, so that a
        revocation during a long upload still stops it.

        Raises:
            RefusedError: no longer permitted.
        """
        if self.entry is not None:
            raise InternalError("a call has one record: it was written already")
        if self._gate.access.epoch(session) != self._epoch:
            decision = self._gate.access.decide(self.principal, self._event.action, self.entity)
            if not decision.allowed:
                raise RefusedError("your permission was withdrawn while the call was running")
        entry = self._gate.log.append(session, self._event.with_details(self._details))
        self.entry = entry
        return entry

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """The one transaction of the call: the change and its record are committed together.

        A crash before the commit leaves neither, after it both.
        """
        before = self.entry
        try:
            with self._gate.database.write() as session:
                yield session
                self.record(session)
        except BaseException:
            self.entry = before  # rolled back: the gate will record the failure instead
            raise

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A read-only session."""
        with self._gate.database.read() as session:
            yield session

    def conclude(self, outcome: Outcome, reason: str = "") -> EntryRef:
        """Record how the call ended, once, unless `record` has said it; called by the gate.

        A call that fails after its change was committed has two entries: the change stands (epsilon
        is spent, say), and what came of it is told by the second, which names the first in `after`.
        """
        if self._ending is None:
            if self.entry is not None and outcome is Outcome.ALLOWED:
                return self.entry
            if self.entry is not None:
                self.note(after=self.entry.index)
            event = self._event.concluded(outcome, reason).with_details(self._details)
            self._ending = self._gate.log.record(event)
            self.entry = self.entry or self._ending
        return self._ending


class Call(Admission):
    """An admission of a declared operation, with the body of the request.

    Attributes:
        body: the streamed body, or None. Reading it raises TruncatedError, TooLargeError, …
        content_type: media type the caller stated, or empty.
    """

    body: Iterator[bytes] | None = None
    content_type: str = ""

    def stream(self) -> Iterator[bytes]:
        """The streamed body.

        Raises:
            TruncatedError: there is none.
        """
        if self.body is None:
            raise TruncatedError("the request has no body")
        return self.body


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation gave, and the log entry that records it."""

    result: Any
    entry: EntryRef


class Gate:
    """Decides on and records every call. Faces translate to it and never decide themselves.

    Attributes:
        alarm: told of each call that ended because something was found changed.
    """

    def __init__(
        self,
        database: Database,
        access: Decider,
        log: Recorder,
        *,
        calls_per_minute: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make the gate; all its faces share it.

        Args:
            calls_per_minute: of one caller, where an operation has no limit of its own.
            clock: seconds since 1970, UTC.
        """
        self.database = database
        self.access = access
        self.log = log
        self._calls_per_minute = calls_per_minute
        self._buckets = TokenBuckets(time.monotonic)
        self._rate_refusals = Tally(time.monotonic, per_minute=RATE_REFUSALS_PER_MINUTE)
        self._clock = clock
        self.alarm: Alarm | None = None
        self.undecided = UndecidedCalls(log, self._buckets, self._rate_refusals, clock)

    @contextmanager
    def admit(
        self,
        principal: Principal,
        *,
        name: str,
        action: str,
        entity: Entity,
        audit: AuditClass,
        request_id: str | None = None,
        admission: type[Admission] = Admission,
        per_minute: int | None = None,
    ) -> Iterator[Any]:
        """Decide, let the body of the `with` do, and record.

        The body either calls `record`/`transaction` of the admission, or the record is written
        when it ends. Used by `perform`, and by faces whose verbs are another's (MLflow).

        Raises:
            SignInError: nobody is signed in. Recorded.
            RefusedError: the policies do not permit it. Recorded.
            RateLimitedError: too many calls. Recorded, but not more than some in a minute.
        """
        with self.database.read() as session:
            epoch = self.access.epoch(session)
        event = Event(
            time=self._clock(), workspace=entity.workspace or "", actor_kind=principal.kind.value,
            actor=principal.id, credential=principal.credential_id, operation=name, action=action,
            resource_type=entity.type, resource=entity.id, audit_class=audit,
            request_id=request_id or new_request_id(), outcome=Outcome.ALLOWED,
        )  # fmt: skip
        admitted = admission(self, principal, event, entity, epoch)
        try:
            event = self._decide(principal, event, entity, per_minute)
            admitted._event = event  # noqa: SLF001 # the gate made it a line above
            yield admitted
        except RateLimitedError as error:
            unrecorded = self._rate_refusals.admit(principal.id)
            if unrecorded is not None:
                admitted.note(unrecorded=unrecorded)
                admitted.conclude(Outcome.REFUSED, f"{error.code}: {error.message}")
            raise
        except RefusedError as error:
            entry = admitted.conclude(Outcome.REFUSED, f"{error.code}: {error.message}")
            error.entry = entry.index
            raise
        except SignInError as error:
            error.entry = admitted.conclude(Outcome.REFUSED, error.code).index
            raise
        except TamperedError as error:
            error.entry = admitted.conclude(Outcome.FAILED, error.code).index
            if self.alarm is not None:
                self.alarm(entity.type, entity.id, error.message, entity.workspace or "")
            raise
        except StrongroomError as error:
            error.entry = admitted.conclude(Outcome.FAILED, error.code).index
            raise
        except BaseException as error:
            admitted.conclude(Outcome.FAILED, f"internal: {type(error).__name__}")
            raise
        admitted.conclude(Outcome.ALLOWED)

    def _decide(
        self, principal: Principal, event: Event, entity: Entity, per_minute: int | None
    ) -> Event:
        """`event` with the policies that permitted it; raises if none did."""
        if principal.kind is PrincipalKind.ANONYMOUS:
            raise SignInError("nobody is signed in")
        self._take(principal, event.operation, per_minute)
        if not within_limit(principal, event.action, entity):
            raise _beyond_limit(principal, event.action, entity)
        decision = self.access.decide(principal, event.action, entity)
        if not decision.allowed:
            raise RefusedError(f"`{event.action}` is not permitted to you on this resource")
        return event.with_policies(decision.policies)

    def _take(self, principal: Principal, operation: str, per_minute: int | None) -> None:
        rate = per_minute or self._calls_per_minute
        # A limit of its own has a bucket of its own.
        bucket = (principal.id, operation if per_minute else "")
        self._buckets.take(bucket, per_second=rate / 60, burst=rate)

    def perform(
        self,
        bound: BoundOperation,
        principal: Principal,
        request: BaseModel,
        *,
        body: Iterator[bytes] | None = None,
        content_type: str = "",
        request_id: str | None = None,
    ) -> Answer:
        """Run a declared operation for `principal`.

        Raises:
            StrongroomError: refused, failed or not possible; recorded in each case.
        """
        declared = bound.declared
        with self.database.read() as session:
            entity = declared.resource(bound.room, session, request)
        with self.admit(
            principal, name=declared.name, action=declared.action, entity=entity,
            audit=declared.audit, request_id=request_id, admission=Call,
            per_minute=declared.limits.per_minute,
        ) as call:  # fmt: skip
            _require_no_secret(request)
            call.body = body
            call.content_type = content_type
            result = declared.handler(bound.room, call, request)
        if isinstance(result, Stream):
            result = replace(result, chunks=call.while_permitted(result.chunks))
        return Answer(result, call.entry)

    def refuse_undeclared(self, principal: Principal, what: str, request_id: str) -> None:
        """Record that something undeclared was asked for, and refuse it.

        Raises:
            UndeclaredError: always, but for
            RateLimitedError: too many calls. Recorded as in `admit`.
        """
        error: StrongroomError = UndeclaredError("there is nothing here")
        if principal.kind is not PrincipalKind.ANONYMOUS:  # strangers the faces have counted
            try:
                self._take(principal, "undeclared", None)
            except RateLimitedError as limited:
                error = limited
        about = Undecided("undeclared", what, AuditClass.API_ACTIVITY)
        self.undecided.refuse(about, principal, error, request_id)

    def refuse_unread(
        self, bound: BoundOperation, principal: Principal, error: StrongroomError, request_id: str
    ) -> None:
        """Record a call of somebody known that ended before it could be decided, and refuse it.

        Its request could not be read, or was not: so nothing is known of what it is about.

        Raises:
            RateLimitedError: too many calls; recorded as in `admit`.
            StrongroomError: `error` always else.
        """
        declared, route = bound.declared, bound.declared.route
        try:
            if not isinstance(error, RateLimitedError):
                self._take(principal, declared.name, declared.limits.per_minute)
        except RateLimitedError as limited:
            error = limited
        where = f"{route.method} {route.path}" if route else declared.name
        about = Undecided(declared.name, where, declared.audit, declared.action)
        self.undecided.refuse(about, principal, error, request_id)


def _require_no_secret(request: BaseModel) -> None:
    """Refuse to store a credential of ours as the name or the description of something.

    Raises:
        ValidationError: names the field, never its value.
    """
    for name, value in request:
        given = value if isinstance(value, list | tuple | set | frozenset) else (value,)
        if any(isinstance(one, str) and holds_secret(one) for one in given):
            raise ValidationError(
                f"`{name}` holds a key, a link or an invitation",
                next_step="if it was sent by mistake, revoke it: it may lie in a shell's history",
            )


def _beyond_limit(principal: Principal, action: str, entity: Entity) -> RefusedError:
    """Why a credential is not good there."""
    if principal.workspaces == INVITED:
        return RefusedError(
            "an invitation is good for nothing but to be redeemed",
            next_step="redeem it with `strongroom login`, then use the key that it gives",
        )
    if action == CLAIM_ACTION:
        return RefusedError(
            "only an invitation can be redeemed", next_step="present it in place of a key"
        )
    return RefusedError(
        "this credential is not for that workspace"
        if entity.workspace
        else "this credential is limited to workspaces, and this is about the server",
        next_step="use one that is not limited, or that is for the workspace",
    )


def new_request_id() -> str:
    """A fresh id that ties answer, log entry and server log together."""
    return secrets.token_hex(8)
