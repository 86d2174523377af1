"""Guards of endpoints: who is let through, who is not, and what happens when one is broken."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import delete, select, update
from tests.gate.gatehouse import gatehouse
from tests.services.endpoints.shelf import FEATURES, X, guards_of, tumour_guard
from tests.services.endpoints.test_endpoints import PLACE, Room

from strongroom.errors import (
    GuardRefusedError,
    NotFoundError,
    RefusedError,
    StateError,
    TamperedError,
    UnavailableError,
    ValidationError,
)
from strongroom.gate.access.types import Principal
from strongroom.gate.audit.types import AuditClass, Event
from strongroom.gate.declaration import operations_of
from strongroom.services.endpoints import callers
from strongroom.services.endpoints.callers import ALARM_SECONDS, Callers
from strongroom.services.endpoints.guarding_operations import GuardingOperations
from strongroom.services.endpoints.guarding_types import ResetCaller, SetGuard
from strongroom.services.endpoints.operations import EndpointOperations
from strongroom.services.endpoints.runners import Runners
from strongroom.services.endpoints.tables import GuardAlarmRow, GuardPolicyRow
from strongroom.services.endpoints.types import DeployModel, EndpointReference
from strongroom.services.endpoints.watching import Watch
from strongroom.vault.database import Database

Json = Any  # what an operation gives
HERE = ("clinic", "triage")
ODD = (X.max(axis=0) * 40).tolist()
"""A row far from all others."""
RNG = np.random.default_rng(5)
LOW, HIGH = X.min(axis=0), X.max(axis=0)


class GuardedRoom(Room):
    """The room of endpoints, and that of guards, with a guard on the shelf."""

    def __init__(self, house: Any) -> None:  # noqa: ANN401 # as in the base
        super().__init__(house)
        self.guards = guards_of(house, self.shelf)
        self.operations = EndpointOperations(self.shelf, self.runners, self.guards)
        self.guarding = GuardingOperations(self.runners, self.guards, clock=house.clock)
        self.put_guard()
        self.guards.start()

    def put_guard(self, bundle: Any = None, name: str = "g1") -> None:  # noqa: ANN401 # or an error
        self.shelf.guards["tumour", 1] = name
        self.shelf.bundles[name] = bundle or tumour_guard()

    def set(self, principal: Principal | None = None, **fields: Json) -> Json:
        request = SetGuard.model_validate({**PLACE, **fields})
        return self.of_guard("set_guard", request, principal)

    def of_guard(self, name: str, request: Json = None, principal: Principal | None = None) -> Json:
        bound = next(
            b for b in operations_of(self.guarding) if b.declared.name == f"endpoint.{name}"
        )
        request = request or EndpointReference(**PLACE)
        return self.house.gate.perform(bound, principal or self.engineer, request).result

    def standing(self) -> Json:
        return self("show", EndpointReference(**PLACE)).guard

    def look(self) -> None:
        """A pass of the watch."""
        database = self.house.database
        Watch(self.operations, self.shelf, self.runners, database).look()

    def attack(self, principal: Principal | None = None, rows: int = 96) -> bool:
        """Ask rows drawn at random from all over; whether any was refused."""
        refused = False
        for row in RNG.uniform(LOW, HIGH, size=(rows, len(FEATURES))):
            try:
                self.invoke([row.tolist()], principal)
            except GuardRefusedError:
                refused = True
        return refused

    def written(self) -> list[Event]:
        """Findings on the record, once all alarms are written."""
        self.guards.stop()
        return [
            one for one in self.house.events() if one.audit_class == AuditClass.DETECTION_FINDING
        ]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[GuardedRoom]:
    """One endpoint, not deployed to."""
    database = Database.create_for_tests(tmp_path / "test.db")
    with gatehouse(database) as house:
        house.workspace("clinic")
        room = GuardedRoom(house)
        room.create()
        yield room
        room.runners.close()
        room.guards.stop()
    database.close()


# ---- what is let through ----


def test_by_default_odd_rows_are_answered_and_on_the_record(room: GuardedRoom) -> None:
    room.deploy()
    assert room.standing().mode == "observe"
    assert room.standing().is_guarded
    assert len(room.invoke([ODD]).predictions) == 1
    event = room.house.events()[-1]
    assert (event.details["rows"], event.details["flagged"]) == (1, 1)
    assert not {str(value) for value in ODD} & {str(one) for one in event.details.values()}
    room.invoke(X[:1].tolist())
    assert "flagged" not in room.house.events()[-1].details
    assert room.of_guard("guard").flagged == 1


def test_what_whoever_sees_the_endpoint_is_shown_is_the_same_after_an_odd_row(
    room: GuardedRoom,
) -> None:
    room.deploy()  # observes
    before = room.standing()
    room.invoke([ODD])
    assert room.of_guard("guard").flagged == 1
    room.guards.tally(HERE).refused += 1
    assert room.standing() == before  # else who asks and looks learns of each row


@pytest.mark.parametrize("part", ["guard", "callers"])
def test_a_part_that_fails_takes_no_answer_along_unless_the_endpoint_refuses(
    room: GuardedRoom, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.deploy()  # observes

    def broken(*_: object) -> None:
        raise ZeroDivisionError("17.99, malignant")

    if part == "callers":
        monkeypatch.setattr(room.guards.callers, "look", broken)
    else:
        monkeypatch.setattr("strongroom.services.endpoints.guarding._judged", broken)
    assert len(room.invoke(X[:1].tolist()).predictions) == 1
    assert "ZeroDivisionError" in room.standing().fault
    assert "17.99" not in room.standing().fault
    room.set(mode="refuse")
    with pytest.raises(UnavailableError):
        room.invoke(X[:1].tolist())


def test_who_refuses_keeps_back_odd_rows_and_says_nothing_of_why(room: GuardedRoom) -> None:
    room.deploy(guard="refuse")
    answered = 0
    for row in X[:100]:
        try:
            answered += len(room.invoke([row.tolist()]).predictions)
        except GuardRefusedError:
            continue
    assert answered >= 90  # honest rows, of which two in a hundred may be flagged
    odd_ones = [[ODD], [*X[:3].tolist(), ODD]]
    texts = set()
    for rows in odd_ones:
        with pytest.raises(GuardRefusedError) as caught:
            room.invoke(rows)
        texts.add((caught.value.message, caught.value.next_step))
    assert len(texts) == 1
    [(message, step)] = texts
    assert not any(one.isdigit() for one in message + step)
    event = room.house.events()[-1]
    assert event.outcome.value == "refused"
    assert event.reason.startswith("refused.guard")
    assert room.of_guard("guard").refused >= 2


def test_an_endpoint_that_is_off_looks_at_nothing(room: GuardedRoom) -> None:
    room.deploy(guard="off")
    assert not room.standing().is_guarded
    assert not room.attack()
    assert room.of_guard("guard").flagged == 0
    assert room.guards.callers.of(HERE) == {}


def test_a_guard_that_squeezes_asks_again(room: GuardedRoom) -> None:
    room.put_guard(tumour_guard(is_squeezing=True))
    room.deploy(guard="refuse")
    assert [one.name for one in room.of_guard("guard").rows.detectors][-1] == "squeezing"
    assert len(room.invoke(X[20:22].tolist()).predictions) == 2
    with pytest.raises(GuardRefusedError):
        room.invoke([ODD])


# ---- callers ----


def test_a_caller_who_asks_from_all_over_is_stopped_and_no_other(room: GuardedRoom) -> None:
    other = room.house.person("ora", "ML Engineer")
    room.deploy(guard="refuse")
    assert room.attack()
    with pytest.raises(GuardRefusedError):
        room.invoke(X[:1].tolist())  # whatever they ask now
    assert len(room.invoke(X[1:2].tolist(), other).predictions) == 1
    assert room.standing().alarms == 1
    shown = room.of_guard("guard")
    first = shown.callers[0]
    assert first.is_alarmed
    assert first.because in {"oddness", "streak", "edge", "coverage", "gaps"}
    assert re.search(r'"raised_at":"20\d\d-\d\d-\d\dT[\d:.]+Z"', shown.model_dump_json())
    assert room.engineer.id not in shown.model_dump_json()
    assert room.engineer.name not in shown.model_dump_json()
    alarms = [one for one in room.written() if one.operation == "endpoint.alarm"]
    assert [one.details["caller"] for one in alarms] == [room.engineer.id]
    assert set(alarms[0].details) == {"caller", "because", "rows"}


def counted(room: GuardedRoom) -> tuple[int, int, int]:
    """Alarms in force, as the endpoint and as its streams have them, and those raised here."""
    shown = room.of_guard("guard")
    return shown.standing.alarms, shown.streams.alarms, shown.streams.raised


def test_an_alarm_outlives_the_server_and_ends_by_itself_or_by_a_person(room: GuardedRoom) -> None:
    room.deploy(guard="observe")
    assert not room.attack()  # observed: answered all the same
    assert room.standing().alarms == 1
    room.guards.stop()
    room.set(mode="refuse")
    with pytest.raises(GuardRefusedError):
        room.invoke(X[:1].tolist())

    again = guards_of(room.house, room.shelf)  # as another server, or this one after a restart
    runners = Runners()
    operations = EndpointOperations(room.shelf, runners, again)
    assert operations.restore(room.house.database) == 1
    assert again.callers.is_alarmed(HERE, room.engineer.id)
    assert counted(room) == (1, 1, 1)
    here = room.guarding
    room.guarding = GuardingOperations(runners, again, clock=room.house.clock)
    assert counted(room) == (1, 1, 0)
    room.guarding = here
    room.house.clock.now += ALARM_SECONDS + 1
    assert counted(room) == (0, 0, 1)
    assert not again.callers.is_alarmed(HERE, room.engineer.id)
    room.house.clock.now -= ALARM_SECONDS + 1

    [seen] = room.of_guard("guard").callers
    reset = ResetCaller(**PLACE, caller=seen.caller)
    for role in ("Reader", "Data Scientist", "Auditor", "Privacy Officer"):
        with pytest.raises(RefusedError):
            room.of_guard("reset_caller", reset, room.house.person(f"no {role}", role))
    assert room.of_guard("reset_caller", reset).had_alarm
    event = room.house.events()[-1]
    assert (event.operation, event.details["caller"]) == ("endpoint.reset_caller", room.engineer.id)
    assert len(room.invoke(X[:1].tolist()).predictions) == 1
    Watch(operations, room.shelf, runners, room.house.database).look()  # felt on the other server
    assert not again.callers.is_alarmed(HERE, room.engineer.id)
    runners.close()


def test_nobody_is_reset_who_is_not_known(room: GuardedRoom) -> None:
    room.deploy()
    with pytest.raises(NotFoundError):
        room.of_guard("reset_caller", ResetCaller(**PLACE, caller="c-0123456789ab"))


def test_of_many_callers_those_without_an_alarm_are_forgotten_first() -> None:
    now = [1_000.0]
    known = Callers(clock=lambda: now[0], most=3)
    for name in ("a", "b", "c"):
        known.note(HERE, name, rows=1, flagged=0, refused=False)
    known.restore(HERE, "a", "oddness", now[0])
    for name in ("d", "e", "f", "g"):
        known.note(HERE, name, rows=1, flagged=0, refused=False)
    assert set(known.of(HERE)) == {"a", "f", "g"}
    assert known.is_alarmed(HERE, "a")


def test_of_a_large_request_some_rows_are_remembered() -> None:
    known = Callers()
    seen = tumour_guard().traffic
    assert seen is not None
    rows = RNG.uniform(size=(5_000, len(FEATURES)))
    scores = np.tile([0.2, 0.8], (5_000, 1))
    raised = known.look(HERE, "eve", seen, rows, scores)
    assert raised is not None
    [watched] = known.of(HERE).values()
    assert watched.caller.rows == callers.MOST_ROWS


def test_wide_rows_do_not_wait_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "PENDING_BYTES", 600)  # two rows of 30 numbers
    known = Callers()
    seen = tumour_guard().traffic
    assert seen is not None
    for row in RNG.uniform(size=(9, 1, len(FEATURES))):
        known.look(HERE, "eve", seen, row, np.array([[0.2, 0.8]]))
        assert sum(one.nbytes for one, _ in known.of(HERE)["eve"].pending) < 600
    watched = known.of(HERE)["eve"]
    assert watched.caller.rows == 9 - watched.pending_rows >= 8


def test_what_loses_its_guard_between_question_and_answer_answers_nothing(
    room: GuardedRoom,
) -> None:
    room.deploy(guard="refuse")
    live = room.runners.get(*HERE)
    assert live is not None
    predict = live.runner.predict

    def losing(batch: Any) -> Any:  # noqa: ANN401 # as it is
        live.guarding.equip(live.guarding.policy, None, "lost")
        return predict(batch)

    live.runner.predict = losing  # type: ignore[method-assign] # in the middle of a question
    with pytest.raises(UnavailableError, match="guard"):
        room.invoke(X[:1].tolist())


# ---- what is set ----


def test_who_may_set_and_see(room: GuardedRoom) -> None:
    room.deploy()
    scientist = room.house.person("dana", "Data Scientist")
    auditor = room.house.person("aude", "Auditor")
    for fields in ({"mode": "off"}, {"shows": "labels"}):
        for person in (scientist, auditor):
            with pytest.raises(RefusedError):
                room.set(person, **fields)
    assert room.of_guard("guard", principal=auditor).mode == "observe"
    with pytest.raises(RefusedError):
        room.of_guard("guard", principal=scientist)
    request = {**PLACE, "model": "tumour", "version": 1, "guard": "off"}
    with pytest.raises(RefusedError):
        room("deploy", DeployModel.model_validate(request), scientist)
    assert room.standing().mode == "observe"


def test_a_policy_stays_until_it_is_set_anew(room: GuardedRoom) -> None:
    room.deploy(guard="refuse")
    room.set(rate=0.05, top=1, decimals=2)
    room.deploy()
    shown = room.of_guard("guard")
    assert (shown.mode, shown.top, shown.decimals, shown.rows.rate) == ("refuse", 1, 2, 0.05)
    assert shown.rows.rate_low < 0.05 < shown.rows.rate_high
    assert shown.streams.rate == 0.05
    room.set(rate=0.0, top=0, decimals=-1)
    shown = room.of_guard("guard")
    assert (shown.top, shown.decimals, shown.rows.rate) == (None, 4, 0.02)


def test_a_rate_that_flags_nothing_is_not_set(room: GuardedRoom) -> None:
    room.deploy()
    with pytest.raises(ValidationError, match="calibration rows"):
        room.set(rate=0.0001)
    assert room.of_guard("guard").rows.rate == 0.02


def test_without_a_guard_nothing_can_be_refused_by_it(room: GuardedRoom) -> None:
    room.shelf.guards.clear()
    room.deploy()
    assert not room.standing().is_guarded
    with pytest.raises(StateError, match="no guard to refuse by"):
        room.set(mode="refuse")
    with pytest.raises(StateError, match="no guard to refuse by"):
        room.deploy(guard="refuse")
    room.put_guard()
    room.deploy(guard="refuse")
    with pytest.raises(StateError, match="no guard to refuse by"):
        room.deploy(version=2)
    assert room("show", EndpointReference(**PLACE)).live.version == 1


def test_a_guard_of_rows_whose_privacy_was_paid_for_only_observes(room: GuardedRoom) -> None:
    room.put_guard(replace(tumour_guard(), tells_of_private=True))
    with pytest.raises(StateError, match="trained on with privacy"):
        room.deploy(guard="refuse")
    room.deploy()
    assert len(room.invoke([ODD]).predictions) == 1
    with pytest.raises(StateError, match="trained on with privacy"):
        room.set(mode="refuse")


def test_answers_leave_in_the_form_that_is_set(room: GuardedRoom) -> None:
    room.deploy()
    whole = room.invoke(X[:40].tolist())
    room.set(decimals=0)
    rough = room.invoke(X[:40].tolist())
    assert {value for row in rough.probabilities for value in row} <= {0.0, 1.0, 2.0}
    assert np.argmax(rough.probabilities, axis=1).tolist() == whole.predictions
    room.set(top=1, decimals=3)
    top = room.invoke(X[:40].tolist())
    assert all(sum(value > 0 for value in row) == 1 for row in top.probabilities)
    room.set(shows="labels")
    bare = room.invoke(X[:40].tolist())
    assert (bare.probabilities, bare.predictions) == (None, whole.predictions)


# ---- what is broken ----


@pytest.mark.parametrize("mode", ["observe", "refuse"])
def test_a_model_that_answers_otherwise_than_its_guard_knows(room: GuardedRoom, mode: str) -> None:
    room.deploy(guard=mode)
    live = room.runners.get(*HERE)
    assert live is not None
    assert live.guarding.loaded is not None
    wrong = replace(live.guarding.loaded.fitted, classes=("0", "1", "2"))
    live.guarding.loaded = replace(live.guarding.loaded, fitted=wrong)
    if mode == "refuse":
        with pytest.raises(UnavailableError, match="guard"):
            room.invoke(X[:1].tolist())
    else:
        assert len(room.invoke(X[:1].tolist()).predictions) == 1
    assert "other classes" in room.standing().fault


def broken_after_a_restart(room: GuardedRoom) -> tuple[EndpointOperations, Runners]:
    runners = Runners()
    operations = EndpointOperations(room.shelf, runners, room.guards)
    assert operations.restore(room.house.database) == 1
    room.operations, room.runners = operations, runners
    room.guarding = GuardingOperations(runners, room.guards, clock=room.house.clock)
    return operations, runners


@pytest.mark.parametrize("mode", ["observe", "refuse"])
@pytest.mark.parametrize(
    "bundle",
    [
        TamperedError("the guard cannot be read"),
        replace(tumour_guard(), digest="f" * 64),
        replace(tumour_guard(), classes=("1", "0")),
    ],
    ids=["changed", "of another model", "of other classes"],
)
def test_with_a_broken_guard_who_refuses_answers_nothing_and_who_observes_says_so(
    room: GuardedRoom, mode: str, bundle: object
) -> None:
    room.deploy(guard=mode)
    room.deploy()  # so that there is one to go back to
    room.runners.close()
    room.shelf.bundles["g1"] = bundle  # type: ignore[assignment] # either kind
    broken_after_a_restart(room)
    if mode == "refuse":
        with pytest.raises(UnavailableError, match="guard"):
            room.invoke(X[:1].tolist())
    else:
        assert len(room.invoke(X[:1].tolist()).predictions) == 1
    standing = room.standing()
    assert standing.fault
    assert not standing.is_guarded
    if mode == "refuse":
        with pytest.raises(TamperedError, match="cannot be used"):
            room.deploy()
        with pytest.raises(TamperedError, match="cannot be used"):
            room("rollback", EndpointReference(**PLACE))
    else:
        room.deploy()
        room("rollback", EndpointReference(**PLACE))
        assert len(room.invoke(X[:1].tolist()).predictions) == 1
        assert room.standing().fault
    with pytest.raises(TamperedError, match="cannot be used"):
        room.deploy(guard="refuse")
    with pytest.raises(StateError, match="cannot be used") as refused:
        room.set(mode="refuse")
    assert "fit-guard" in refused.value.next_step
    room.look()
    found = [one for one in room.written() if one.operation == "endpoint.guard_unusable"]
    assert [one.details["mode"] for one in found] == [mode]  # once, however often it is seen


def test_a_guard_that_is_taken_away_leaves_who_refuses_without_answers(room: GuardedRoom) -> None:
    room.deploy(guard="refuse")
    assert room("show", EndpointReference(**PLACE)).is_ready
    room.shelf.guards.clear()
    room.look()
    with pytest.raises(UnavailableError, match="guard"):
        room.invoke(X[:1].tolist())
    assert not room("show", EndpointReference(**PLACE)).is_ready
    room.put_guard()
    room.look()
    assert len(room.invoke(X[:1].tolist()).predictions) == 1
    assert room("show", EndpointReference(**PLACE)).is_ready


def test_another_guard_takes_its_place_while_the_endpoint_answers(room: GuardedRoom) -> None:
    room.deploy()
    room.attack(rows=20)
    assert room.guards.callers.of(HERE)[room.engineer.id].caller.rows
    room.put_guard(name="g2")
    room.look()
    live = room.runners.get(*HERE)
    assert live is not None
    assert live.guarding.loaded is not None
    assert live.guarding.loaded.name == "g2"
    assert not room.guards.callers.of(HERE)[room.engineer.id].caller.rows


@pytest.mark.parametrize("how", ["changed", "removed"])
def test_a_policy_that_is_changed_in_the_database_turns_nothing_off(
    room: GuardedRoom, how: str
) -> None:
    room.deploy(guard="refuse")
    with room.house.database.write() as session:
        if how == "changed":
            session.execute(update(GuardPolicyRow).values(mode="off"))
        else:
            session.execute(delete(GuardPolicyRow))
    room.look()
    with pytest.raises(UnavailableError, match="guard"):
        room.invoke(X[:1].tolist())
    assert "integrity" in room.standing().fault
    with pytest.raises(TamperedError):
        room.deploy()
    room.set(mode="refuse")  # whoever may set it puts it right
    assert len(room.invoke(X[:1].tolist()).predictions) == 1


def test_nothing_is_left_of_an_endpoint_that_is_deleted(room: GuardedRoom) -> None:
    room.deploy(guard="refuse")
    room.attack()
    room.guards.stop()
    room("delete", EndpointReference(**PLACE))
    with room.house.database.read() as session:
        assert session.scalars(select(GuardPolicyRow)).all() == []
        assert session.scalars(select(GuardAlarmRow)).all() == []
    assert room.guards.callers.of(HERE) == {}
    assert room.guards.tallies() == {}
    room.create()
    room.deploy()  # another of the same name begins anew
    assert room.standing().mode == "observe"
    assert len(room.invoke(X[:1].tolist()).predictions) == 1
