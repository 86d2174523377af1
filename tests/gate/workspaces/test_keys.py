"""The key of a workspace: rotated, disabled, enabled, destroyed."""

import pytest
from pydantic import BaseModel
from sqlalchemy.orm import Session
from tests.gate.gatehouse import Gatehouse

from strongroom.errors import KeyUnavailableError, NotFoundError, RefusedError
from strongroom.gate.access.types import Principal
from strongroom.gate.audit.types import Outcome
from strongroom.gate.declaration import operations_of
from strongroom.gate.workspaces.keys import KeyOperations, KeyReference

CLINIC = KeyReference(workspace="clinic")
VERBS = ["list", "rotate", "disable", "enable", "destroy"]


@pytest.fixture
def owner(house: Gatehouse) -> Principal:
    with house.database.write() as session:
        house.keyring.create_workspace_key(session, "clinic")
    return house.person("owner", "Owner")


def three_keys(session: Session, workspace: str) -> int:
    """Stands for a room that keeps three wrapped keys."""
    assert workspace == "clinic"
    assert session.in_transaction()
    return 3


def call(house: Gatehouse, who: Principal, verb: str, request: KeyReference = CLINIC) -> BaseModel:
    room = KeyOperations(house.keyring, [three_keys])
    bound = next(b for b in operations_of(room) if b.declared.name == f"key.{verb}")
    result = house.gate.perform(bound, who, request).result
    assert isinstance(result, BaseModel)
    return result


def usable(house: Gatehouse) -> bool:
    with house.database.read() as session:
        try:
            house.keyring.require_enabled(session, "clinic")
        except KeyUnavailableError:
            return False
    return True


def test_disabled_means_unusable_and_enabled_usable_again(
    house: Gatehouse, owner: Principal
) -> None:
    call(house, owner, "disable")
    assert not usable(house)
    with pytest.raises(KeyUnavailableError):
        call(house, owner, "rotate")
    call(house, owner, "enable")
    assert usable(house)


def test_destroyed_means_for_good(house: Gatehouse, owner: Principal) -> None:
    shown = call(house, owner, "destroy").model_dump()
    assert [version["state"] for version in shown["versions"]] == ["destroyed"]
    for verb in ("enable", "disable", "rotate"):
        with pytest.raises(KeyUnavailableError):
            call(house, owner, verb)
    assert not usable(house)


def test_rotation_adds_a_version_and_rewraps(house: Gatehouse, owner: Principal) -> None:
    rotated = call(house, owner, "rotate").model_dump()
    assert rotated["rewrapped"] == 3
    assert [version["version"] for version in rotated["versions"]] == [1, 2]
    assert call(house, owner, "list").model_dump()["versions"] == rotated["versions"]
    event = house.events()[-2]
    assert (event.operation, event.outcome) == ("key.rotate", Outcome.ALLOWED)
    assert (event.details["version"], event.details["rewrapped"]) == (2, 3)


def test_a_failed_rewrap_rotates_nothing(house: Gatehouse, owner: Principal) -> None:
    def fails(_session: Session, _workspace: str) -> int:
        raise KeyUnavailableError("no")

    bound = next(
        b
        for b in operations_of(KeyOperations(house.keyring, [fails]))
        if b.declared.name == "key.rotate"
    )
    with pytest.raises(KeyUnavailableError):
        house.gate.perform(bound, owner, CLINIC)
    assert len(call(house, owner, "list").model_dump()["versions"]) == 1


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("role", ["Contributor", "Data Scientist", "Privacy Officer", "Auditor"])
def test_only_owners_may(house: Gatehouse, owner: Principal, verb: str, role: str) -> None:
    other = house.person("other", role)
    with pytest.raises(RefusedError):
        call(house, other, verb)
    assert usable(house)


@pytest.mark.parametrize("verb", VERBS)
def test_a_workspace_without_a_key_has_none(house: Gatehouse, verb: str) -> None:
    lab = house.person("lab-owner", "Owner", workspace="lab")
    with pytest.raises((NotFoundError, KeyUnavailableError)):
        call(house, lab, verb, KeyReference(workspace="lab"))
