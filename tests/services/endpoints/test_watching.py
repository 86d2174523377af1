"""What may no longer answer stops by itself, and what may again starts."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.gate.gatehouse import gatehouse
from tests.services.endpoints.shelf import X, guards_of
from tests.services.endpoints.test_endpoints import PLACE, Room

from strongroom.errors import KeyUnavailableError, StateError, TamperedError, UnavailableError
from strongroom.services.endpoints.operations import EndpointOperations
from strongroom.services.endpoints.runners import Runners
from strongroom.services.endpoints.types import EndpointReference
from strongroom.services.endpoints.watching import Watch
from strongroom.vault.database import Database

TUMOUR = ("clinic", "tumour", 1)
ROWS = X[:1].tolist()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with gatehouse(Database.create_for_tests(tmp_path / "test.db")) as house:
        house.workspace("clinic")
        room = Room(house)
        room.create()
        room.deploy()
        yield room
        room.runners.close()


def watch(room: Room, runners: Runners | None = None) -> Watch:
    runners = runners or room.runners
    endpoints = EndpointOperations(room.shelf, runners, guards_of(room.house, room.shelf))
    return Watch(endpoints, room.shelf, runners, room.house.database)


def test_a_disabled_key_stops_the_endpoint_and_an_enabled_one_starts_it(room: Room) -> None:
    watching = watch(room)
    watching.look()
    assert room.invoke(ROWS).predictions
    room.shelf.fallen[TUMOUR] = KeyUnavailableError("the key is disabled")
    watching.look()
    with pytest.raises(UnavailableError, match="the key is disabled"):
        room.invoke(ROWS)
    assert "key.unavailable" in room("show", EndpointReference(**PLACE)).fault
    del room.shelf.fallen[TUMOUR]
    watching.look()
    assert room.invoke(ROWS).predictions


def test_a_retired_version_stops(room: Room) -> None:
    room.shelf.fallen[TUMOUR] = StateError("it is retired, not approved")
    watch(room).look()
    with pytest.raises(UnavailableError, match="retired"):
        room.invoke(ROWS)


def test_what_another_server_deployed_or_deleted_is_felt(room: Room) -> None:
    other = Runners()
    watching = watch(room, other)
    watching.look()
    assert other.get("clinic", "triage") is None
    watching.look()
    first = other.get("clinic", "triage")
    assert first is not None
    room.deploy(version=2)
    watching.look()
    assert other.get("clinic", "triage") is first
    watching.look()
    second = other.get("clinic", "triage")
    assert second is not None
    assert second.servable.version == 2
    room("delete", EndpointReference(**PLACE))
    watching.look()
    assert other.get("clinic", "triage") is None


def test_a_model_that_did_not_load_is_not_tried_again_and_again(room: Room) -> None:
    other = Runners()
    watching = watch(room, other)
    room.shelf.error = TamperedError("its bytes have changed")
    for _ in range(4):
        watching.look()
    assert "its bytes have changed" in other.fault("clinic", "triage")
    room.shelf.error = AssertionError("tried again")  # type: ignore[assignment] # would be raised
    for _ in range(3):
        watching.look()


def test_it_runs_in_a_thread_and_stops(room: Room) -> None:
    runners = Runners()
    endpoints = EndpointOperations(room.shelf, runners, guards_of(room.house, room.shelf))
    watching = Watch(endpoints, room.shelf, runners, room.house.database, seconds=0.01)
    watching.start()
    deadline = time.monotonic() + 240
    while runners.get("clinic", "triage") is None and time.monotonic() < deadline:
        time.sleep(0.01)
    watching.stop()
    assert runners.get("clinic", "triage") is not None
    runners.close()
