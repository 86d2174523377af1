"""The guards of all endpoints of a server: loaded, kept in step with the database, alarms recorded.

What goes wrong with a guard never lets an endpoint that refuses by it answer unguarded: it answers
503. One that only observes goes on answering, and says that it is without its guard.
"""

import hmac
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Protocol

import structlog
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from strongroom.engines.robustness.guards.conformal import fewest_rows
from strongroom.errors import StateError, StrongroomError, TamperedError, ValidationError
from strongroom.gate.audit.types import AuditClass, Event, Outcome
from strongroom.gate.operation import new_request_id
from strongroom.gate.undecided import Recorder
from strongroom.services.endpoints.callers import ALARM_SECONDS, Callers, Place, Raised
from strongroom.services.endpoints.guard_policies import GuardPolicies, GuardPolicy
from strongroom.services.endpoints.guarding import Guarding, Loaded, Tally
from strongroom.services.endpoints.runners import Live
from strongroom.services.endpoints.tables import EndpointRow, GuardAlarmRow
from strongroom.services.endpoints.types import GuardStanding
from strongroom.services.models.fitted_guard import Coder, FittedGuard
from strongroom.services.models.types import Servable
from strongroom.vault.database import Database
from strongroom.vault.keys import Keyring

_MOST_TOLD = 10_000
"""Alarms and faults that wait to be written; more than there are callers to raise one."""

_log = structlog.get_logger(__name__)


class GuardShelf(Protocol):
    """Who hands out guards: `services.models`."""

    def guard_of(self, session: Session, workspace: str, model: str, version: int) -> str | None:
        """What the guard of a version is known by; None: it has none.

        Raises: TamperedError: it is not the one that was fitted last.
        """
        ...

    def open_guard(self, session: Session, guard: str) -> FittedGuard:
        """A guard by that name. Raises: TamperedError, KeyUnavailableError."""
        ...


class EndpointGuards:
    """Guards of endpoints, and who they raised an alarm about."""

    def __init__(
        self, database: Database, models: GuardShelf, keyring: Keyring, log: Recorder, *,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """Take what it works with; `clock` gives seconds since 1970, UTC."""
        self._database = database
        self._models = models
        self._pseudonyms = keyring.secret("pseudonyms of callers")
        self._log = log
        self._clock = clock
        self.policies = GuardPolicies(keyring.seals)
        self.callers = Callers(clock=clock)
        self._tallies: dict[Place, Tally] = {}
        self._lock = threading.Lock()
        self._told: queue.Queue[Raised | Event | None] = queue.Queue(_MOST_TOLD)
        self._faulty: dict[Place, str] = {}
        self._thread = threading.Thread(target=self._write, name="guards", daemon=True)

    def start(self) -> None:
        """Begin to write down alarms."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, and end."""
        if self._thread.is_alive():
            self._told.put(None)
            self._thread.join()

    # ---- guards at work ----

    def guarding(self, place: Place) -> Guarding:
        """What will guard a deployment, without a guard yet."""
        return Guarding(place, callers=self.callers, tally=self.tally(place), tell=self._tell)

    def tally(self, place: Place) -> Tally:
        """What the guards of an endpoint have counted."""
        with self._lock:
            return self._tallies.setdefault(place, Tally())

    def tallies(self) -> dict[Place, Tally]:
        """The same of all endpoints."""
        with self._lock:
            return dict(self._tallies)

    def equip(self, live: Live, policy: GuardPolicy | None = None) -> None:
        """Load the guard of what answers, or will; what goes wrong is noted and recorded.

        Args:
            policy: that will be in force; by default the one that is.
        """
        with self._database.read() as session:
            self._equip(session, live, policy)
            self._alarms(session, (live.workspace, live.endpoint))

    def require_guard(self, live: Live) -> None:
        """Return if an endpoint may answer with this under its policy, for who puts it there.

        Who only observes may, whatever is wrong with the guard: `equip` has put it on the record.

        Raises: TamperedError, StateError: the guard cannot be used, or there is none to refuse by.
        """
        guarding = live.guarding
        if guarding.policy.mode != "refuse":
            return
        if guarding.fault:
            raise TamperedError(
                f"the guard of version {live.servable.version} cannot be used: {guarding.fault}",
                next_step="fit it anew with `strongroom model fit-guard`",
            )
        require_refusable(guarding.loaded, live.servable)

    def standing(self, live: Live) -> GuardStanding:
        """How what answers is guarded, for whoever may see the endpoint."""
        guarding = live.guarding
        watched = self.callers.of((live.workspace, live.endpoint)).values()
        return GuardStanding(
            mode=guarding.policy.mode, is_guarded=guarding.is_looking, fault=guarding.fault,
            alarms=sum(self.callers.in_force(one) for one in watched),
        )  # fmt: skip

    def refresh(self, session: Session, live: Live) -> None:
        """Bring a guard in step with what another server, or a person, has changed."""
        self._equip(session, live, None)
        self._alarms(session, (live.workspace, live.endpoint))

    def drop(self, session: Session, place: Place) -> None:
        """The endpoint is deleted, in this transaction."""
        self.policies.drop(session, *place)
        session.execute(
            delete(GuardAlarmRow).where(
                GuardAlarmRow.workspace == place[0], GuardAlarmRow.endpoint == place[1]
            )
        )

    def forget(self, place: Place) -> None:
        """The endpoint is gone."""
        self.callers.forget_place(place)
        with self._lock:
            self._tallies.pop(place, None)
        self._faulty.pop(place, None)

    def pseudonym(self, workspace: str, caller: str) -> str:
        """How people see a caller: the same within a workspace."""
        message = f"{workspace}\0{caller}".encode()
        return "c-" + hmac.digest(self._pseudonyms, message, sha256).hex()[:12]

    def found(self, session: Session, live: Live, policy: GuardPolicy) -> tuple[Loaded | None, str]:
        """The guard that would be at work under a policy, or why it cannot be."""
        servable = live.servable
        if policy.mode == "off":
            return None, ""
        try:
            name = self._models.guard_of(session, live.workspace, servable.model, servable.version)
            return self._loaded(session, live.guarding, name, policy, servable), ""
        except StrongroomError as error:
            return None, _told(error)

    # ---- parts ----

    def _equip(self, session: Session, live: Live, policy: GuardPolicy | None) -> None:
        guarding = live.guarding
        loaded: Loaded | None = None
        try:
            policy = policy or self.policies.of(session, live.workspace, live.endpoint)
        except TamperedError as error:
            # Whoever changed it may have turned it off: the strictest holds.
            policy, fault = GuardPolicy(mode="refuse"), _told(error)
        else:
            loaded, fault = self.found(session, live, policy)
        if (policy, loaded, fault) != (guarding.policy, guarding.loaded, guarding.fault):
            guarding.equip(policy, loaded, fault)
        self._note_fault(live, fault)

    def _loaded(
        self, session: Session, guarding: Guarding, name: str | None, policy: GuardPolicy,
        servable: Servable,
    ) -> Loaded | None:  # fmt: skip
        if name is None:
            return None
        now = guarding.loaded
        if now is not None and now.name == name:
            rate = policy.rate or now.fitted.guard.settings.rate
            return now if rate == now.rate else replace(now, rate=rate)
        fitted = self._models.open_guard(session, name)
        require_fitting(fitted, servable)
        rate = policy.rate or fitted.guard.settings.rate
        return Loaded(name, fitted, Coder(fitted.space), rate)

    def _alarms(self, session: Session, place: Place) -> None:
        """Alarms that another server raised, or reset."""
        rows = session.scalars(
            select(GuardAlarmRow).where(
                GuardAlarmRow.workspace == place[0], GuardAlarmRow.endpoint == place[1]
            )
        )
        for row in rows:
            raised = row.raised_at.timestamp()
            if row.reset_at is not None and row.reset_at >= row.raised_at:
                self.callers.forget(place, row.caller, before=row.reset_at.timestamp())
            elif self._clock() < raised + ALARM_SECONDS:
                self.callers.restore(place, row.caller, row.because, raised)

    def _note_fault(self, live: Live, fault: str) -> None:
        """Once on the record, not once a pass."""
        place = (live.workspace, live.endpoint)
        before, self._faulty[place] = self._faulty.get(place, ""), fault
        if not fault or fault == before:
            return
        _log.error("guard_unusable", endpoint=live.endpoint, reason=fault)
        self._tell(self._event(
            place, "endpoint.guard_unusable", Outcome.FAILED, fault,
            {"model": live.servable.model, "version": live.servable.version,
             "mode": live.guarding.policy.mode},
        ))  # fmt: skip

    def _event(
        self, place: Place, operation: str, outcome: Outcome, reason: str,
        details: dict[str, str | int | float | bool],
    ) -> Event:  # fmt: skip
        return Event(
            time=self._clock(), workspace=place[0], actor_kind="server", actor="server",
            operation=operation, action="", resource_type="Endpoint",
            resource=f"{place[0]}/{place[1]}", audit_class=AuditClass.DETECTION_FINDING,
            request_id=new_request_id(), outcome=outcome, reason=reason[:1_000], details=details,
        )  # fmt: skip

    # ---- the record ----

    def _tell(self, told: Raised | Event) -> None:
        """Hand over to the thread that writes; whoever serves requests must not wait."""
        try:
            self._told.put_nowait(told)
        except queue.Full:
            _log.error("guard_alarm_not_recorded")

    def _write(self) -> None:
        while (told := self._told.get()) is not None:
            try:
                if isinstance(told, Event):
                    self._log.record(told)
                else:
                    self._write_alarm(told)
            except Exception as error:  # noqa: BLE001 # the next alarm must be written all the same
                _log.error("guard_alarm_not_recorded", kind=type(error).__name__)

    def _write_alarm(self, raised: Raised) -> None:
        """The row, by which the alarm outlives this process, and its record: both or neither."""
        at = datetime.fromtimestamp(raised.at, UTC)
        with self._database.write() as session:
            if session.get(EndpointRow, raised.place) is None:
                return  # deleted meanwhile
            session.merge(
                GuardAlarmRow(
                    workspace=raised.place[0], endpoint=raised.place[1], caller=raised.caller,
                    because=raised.because, rows=raised.rows, raised_at=at, reset_at=None,
                    reset_by="",
                )
            )  # fmt: skip
            details: dict[str, str | int | float | bool] = {
                "caller": raised.caller, "because": raised.because, "rows": raised.rows,
            }  # fmt: skip
            self._log.append(
                session,
                self._event(raised.place, "endpoint.alarm", Outcome.ALLOWED, "", details),
            )


def require_fitting(fitted: FittedGuard, servable: Servable) -> None:
    """Return if a guard was fitted to this model, and takes what its endpoint takes.

    Raises: ValidationError.
    """
    names = tuple(one.name for one in fitted.features)
    texts = ["BYTES" if one.levels else "" for one in fitted.features]
    kinds = [kind if kind == "BYTES" else "" for kind in servable.feature_types]
    if fitted.digest != servable.digest:
        raise ValidationError("the guard was fitted to another model")
    if names != servable.features or texts != kinds:
        raise ValidationError("the guard was fitted to other features")
    if servable.classes and fitted.classes != servable.classes:
        raise ValidationError("the guard was fitted to other classes")


def require_refusable(loaded: Loaded | None, servable: Servable) -> None:
    """Return if an endpoint may refuse by this guard.

    Raises: StateError: there is none, or its refusals would tell of rows whose privacy was paid
        for, and not this way.
    """
    if loaded is None:
        raise StateError(
            f"version {servable.version} of `{servable.model}` has no guard to refuse by",
            next_step="fit one with `strongroom model fit-guard`, or let the endpoint observe",
        )
    if loaded.fitted.tells_of_private:
        raise StateError(
            "the guard knows the very rows that the model was trained on with privacy: what it "
            "refuses would tell of them, and no budget was paid for that",
            next_step="fit it on other rows with `strongroom model fit-guard`, or let it observe",
        )


def require_rate(loaded: Loaded, rate: float | None) -> None:
    """Return if a guard can flag anything at this rate. Raises: ValidationError."""
    rows = len(loaded.fitted.guard.calibration)
    if rate is not None and fewest_rows(rate) > rows:
        raise ValidationError(
            f"a rate of {rate:g} takes {fewest_rows(rate):,} calibration rows; the guard has "
            f"{rows:,}",
            next_step="set a higher rate, or fit the guard on more rows",
        )


def _told(error: StrongroomError) -> str:
    return f"{error.code}: {error.message}"
