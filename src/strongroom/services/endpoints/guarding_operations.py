"""What people do with the guard of an endpoint: set it, see why it speaks, reset a caller."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.engines.robustness.guards import traffic
from strongroom.engines.robustness.guards.conformal import alarm_rate
from strongroom.engines.robustness.guards.guard import DETECTORS
from strongroom.errors import NotFoundError, StateError, TamperedError, UnavailableError
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Route, operation
from strongroom.gate.operation import Call
from strongroom.services.endpoints.callers import Watched
from strongroom.services.endpoints.guard_policies import GuardPolicy
from strongroom.services.endpoints.guarding import Guarding, Loaded
from strongroom.services.endpoints.guarding_types import (
    CallerReset,
    CallerSeen,
    Detector,
    GuardShown,
    ResetCaller,
    RowGuard,
    SetGuard,
    StreamGuard,
)
from strongroom.services.endpoints.guards import EndpointGuards, require_rate, require_refusable
from strongroom.services.endpoints.operations import endpoint_entity
from strongroom.services.endpoints.runners import Live, Runners
from strongroom.services.endpoints.tables import EndpointRow, GuardAlarmRow
from strongroom.services.endpoints.types import EndpointReference
from strongroom.services.models.types import Servable

MOST_CALLERS = 100
"""That are shown."""
_ROUTE = "/workspaces/{workspace}/endpoints/{endpoint}/guard"


class GuardingOperations:
    """The room of guards at work."""

    def __init__(
        self, runners: Runners, guards: EndpointGuards, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Take what the room works with; `clock` gives seconds since 1970, UTC."""
        self._runners = runners
        self._guards = guards
        self._clock = clock

    @operation(
        "endpoint.set_guard",
        action="setGuard",
        resource=endpoint_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", _ROUTE),
        command=Command("endpoint set-guard", positional=("endpoint",)),
    )
    def set_guard(self, call: Call, request: SetGuard) -> GuardShown:
        """Set what an endpoint does with its guard, and what of its answers leaves.

        `off` looks at nothing; `observe` answers, and counts and records what is odd; `refuse`
        keeps back the answer to odd rows and to callers with an alarm. It holds at once, and for
        whatever is deployed later.
        """
        place = (request.workspace, request.endpoint)
        with call.transaction() as session:
            _require_endpoint(session, request)
            former = self._former(session, request)
            policy = _changed(former, request)
            live = self._runners.get(*place)
            if live is not None:
                loaded, fault = self._guards.found(session, live, policy)
                _require_possible(loaded, fault, live.servable, policy)
            self._guards.policies.set(
                session, *place, policy, by=call.principal.id, now=self._now()
            )
            call.note(
                mode=policy.mode, rate=policy.rate or 0.0, shows=policy.shows,
                top=policy.top or 0, before=former.mode,
            )  # fmt: skip
        if live is not None:
            self._guards.equip(live)
        return self._shown(request, live)

    @operation(
        "endpoint.guard",
        action="readGuard",
        resource=endpoint_entity,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", _ROUTE),
        command=Command("endpoint guard", positional=("endpoint",)),
    )
    def guard(self, call: Call, request: EndpointReference) -> GuardShown:
        """Show how an endpoint is guarded: detectors, rates, and what callers have set off.

        Counts are since this server was started; alarms in force outlive it. Callers are named by
        pseudonyms, which stay the same within a workspace; the log names them to auditors.
        """
        with call.reading() as session:
            _require_endpoint(session, request)
        return self._shown(request, self._runners.get(request.workspace, request.endpoint))

    @operation(
        "endpoint.reset_caller",
        action="setGuard",
        resource=endpoint_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", _ROUTE + "/callers/{caller}/reset"),
        command=Command("endpoint reset-caller", positional=("endpoint", "caller")),
    )
    def reset_caller(self, call: Call, request: ResetCaller) -> CallerReset:
        """Begin anew with a caller: their alarm ends, and what they asked is forgotten."""
        place = (request.workspace, request.endpoint)
        with call.transaction() as session:
            _require_endpoint(session, request)
            caller, row = self._caller(session, request)
            watched = self._guards.callers.of(place).get(caller)
            had_alarm = watched is not None and self._guards.callers.in_force(watched)
            if row is not None:
                row.reset_at, row.reset_by = self._now(), call.principal.id
            call.note(caller=caller, had_alarm=had_alarm)
        self._guards.callers.forget(place, caller)
        return CallerReset(endpoint=request.endpoint, caller=request.caller, had_alarm=had_alarm)

    # ---- parts ----

    def _former(self, session: Session, request: EndpointReference) -> GuardPolicy:
        """The policy in force.

        Where it was changed outside the server, the strictest: it can still be set anew.
        """
        try:
            return self._guards.policies.of(session, request.workspace, request.endpoint)
        except TamperedError:
            return GuardPolicy(mode="refuse")

    def _caller(self, session: Session, request: ResetCaller) -> tuple[str, GuardAlarmRow | None]:
        rows = session.scalars(
            select(GuardAlarmRow).where(
                GuardAlarmRow.workspace == request.workspace,
                GuardAlarmRow.endpoint == request.endpoint,
            )
        ).all()
        by_caller = {row.caller: row for row in rows}
        known = {*by_caller, *self._guards.callers.of((request.workspace, request.endpoint))}
        for caller in known:
            if self._guards.pseudonym(request.workspace, caller) == request.caller:
                return caller, by_caller.get(caller)
        raise NotFoundError(f"this endpoint knows no caller `{request.caller}`")

    def _shown(self, request: EndpointReference, live: Live | None) -> GuardShown:
        if live is None:
            fault = self._runners.fault(request.workspace, request.endpoint)
            raise UnavailableError(fault or "no model is deployed at this endpoint")
        guarding, policy = live.guarding, live.guarding.policy
        standing = self._guards.standing(live)
        return GuardShown(
            endpoint=request.endpoint,
            model=live.servable.model,
            version=live.servable.version,
            standing=standing,
            flagged=sum(guarding.tally.flags.values()),
            refused=guarding.tally.refused,
            mode=policy.mode,
            shows=policy.shows,
            top=policy.top,
            decimals=live.decimals if policy.decimals is None else policy.decimals,
            rows=_row_guard(guarding),
            streams=_stream_guard(guarding, standing.alarms),
            callers=self._callers(request),
        )

    def _callers(self, request: EndpointReference) -> list[CallerSeen]:
        found = self._guards.callers.of((request.workspace, request.endpoint))
        ordered = sorted(
            found.items(), key=lambda one: (-one[1].raised_at, -one[1].flagged, -one[1].rows)
        )
        return [
            self._seen(request.workspace, caller, watched)
            for caller, watched in ordered[:MOST_CALLERS]
        ]

    def _seen(self, workspace: str, caller: str, watched: Watched) -> CallerSeen:
        return CallerSeen(
            caller=self._guards.pseudonym(workspace, caller),
            rows=watched.rows,
            flagged=watched.flagged,
            refused=watched.refused,
            because=watched.because,
            raised_at=(
                datetime.fromtimestamp(watched.raised_at, UTC) if watched.raised_at else None
            ),
            is_alarmed=self._guards.callers.in_force(watched),
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _require_endpoint(session: Session, request: EndpointReference) -> None:
    if session.get(EndpointRow, (request.workspace, request.endpoint)) is None:
        raise NotFoundError(f"no endpoint `{request.endpoint}` in `{request.workspace}`")


def _changed(policy: GuardPolicy, request: SetGuard) -> GuardPolicy:
    """The policy with what the request says."""
    if request.mode:
        policy = replace(policy, mode=request.mode)
    if request.rate is not None:
        policy = replace(policy, rate=request.rate or None)
    if request.shows:
        policy = replace(policy, shows=request.shows)
    if request.top is not None:
        policy = replace(policy, top=request.top or None)
    if request.decimals is not None:
        policy = replace(policy, decimals=None if request.decimals < 0 else request.decimals)
    return policy


def _require_possible(
    loaded: Loaded | None, fault: str, servable: Servable, policy: GuardPolicy
) -> None:
    if policy.mode == "refuse":
        if fault:
            raise StateError(
                f"the guard cannot be used: {fault}",
                next_step="fit one anew with `strongroom model fit-guard`, or let it observe",
            )
        require_refusable(loaded, servable)
    if loaded is not None:
        require_rate(loaded, policy.rate)


def _detectors(loaded: Loaded) -> tuple[str, ...]:
    return DETECTORS if loaded.fitted.guard.settings.is_squeezing else DETECTORS[:2]


def _row_guard(guarding: Guarding) -> RowGuard | None:
    loaded = guarding.loaded
    if loaded is None:
        return None
    calibration = len(loaded.fitted.guard.calibration)
    found = alarm_rate(calibration, loaded.rate)
    flags = guarding.tally.flags
    return RowGuard(
        detectors=[Detector(name=name, flagged=flags[name]) for name in _detectors(loaded)],
        rate=loaded.rate, rate_low=found.low, rate_high=found.high, calibration=calibration,
        rows=guarding.tally.rows,
    )  # fmt: skip


def _stream_guard(guarding: Guarding, alarms: int) -> StreamGuard | None:
    loaded = guarding.loaded
    if loaded is None or loaded.fitted.traffic is None:
        return None
    habits = loaded.fitted.traffic.habits
    return StreamGuard(
        signals=list(traffic.SIGNALS), rate=habits.rate, length=habits.length,
        alarms=alarms, raised=guarding.tally.alarms,
    )  # fmt: skip
