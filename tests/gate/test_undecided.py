"""Calls on which nothing was decided: counted a route and a caller, recorded, floods as a count."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.gate.gatehouse import Gatehouse, gatehouse

from strongroom.errors import RateLimitedError, RefusedError, ValidationError
from strongroom.gate.audit.types import AuditClass, Outcome
from strongroom.gate.undecided import Undecided
from strongroom.vault.database import Database

ROUTE = Undecided("mlflow.request", "POST /runs/create", AuditClass.API_ACTIVITY)
OTHER = Undecided("mlflow.request", "POST /runs/delete", AuditClass.API_ACTIVITY)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gatehouse]:
    folder: Path = tmp_path_factory.mktemp("undecided")
    database = Database.create_for_tests(folder / "undecided.db")
    with gatehouse(database) as made:
        made.workspace("clinic")
        yield made
    database.close()


def test_each_route_of_each_caller_has_its_bucket(house: Gatehouse) -> None:
    ann, bob = house.person("ann", "Reader"), house.person("bob", "Reader")
    take = house.gate.undecided.take
    for _ in range(2):
        take(ROUTE, ann, 2)
    with pytest.raises(RateLimitedError):
        take(ROUTE, ann, 2)
    take(OTHER, ann, 2)
    take(ROUTE, bob, 2)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(ValidationError("no"), Outcome.FAILED), (RefusedError("no"), Outcome.REFUSED)],
)
def test_a_refusal_is_recorded_with_its_route_and_code(
    house: Gatehouse, error: ValidationError | RefusedError, outcome: Outcome
) -> None:
    cleo = house.person(f"cleo-{outcome}", "Reader")
    with pytest.raises(type(error)) as raised:
        house.gate.undecided.refuse(ROUTE, cleo, error, "r1")
    assert raised.value is error
    event = house.events()[-1]
    assert (event.operation, event.resource, event.outcome, event.reason, event.actor) == (
        "mlflow.request", "POST /runs/create", outcome, error.code, cleo.id,
    )  # fmt: skip


def test_a_flood_is_recorded_as_a_count(house: Gatehouse) -> None:
    dora = house.person("dora", "Reader")
    error = RateLimitedError("too many", retry_after_seconds=1)
    for _ in range(100):
        with pytest.raises(RateLimitedError):
            house.gate.undecided.refuse(ROUTE, dora, error, "r2")
    mine = [event for event in house.events() if event.actor == dora.id]
    assert 60 <= len(mine) < 70
    assert all("unrecorded" in event.details for event in mine)
