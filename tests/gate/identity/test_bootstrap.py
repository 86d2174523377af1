"""The first person, and the way back in when every key is lost."""

import pytest
from tests.gate.gatehouse import Gatehouse

from strongroom.errors import NotFoundError, SignInError
from strongroom.gate.access.types import SERVER, PrincipalKind, workspace_entity
from strongroom.gate.identity.bootstrap import FirstPerson, bootstrap, local_link
from strongroom.gate.identity.types import Nothing
from strongroom.gate.workspaces.types import CreateWorkspace


def test_the_first_person_is_an_operator_with_a_key_and_a_link(house: Gatehouse) -> None:
    first = bootstrap(
        house.database, house.log, house.issuer, house.grants, api_key_days=90, link_minutes=10
    )
    assert first is not None
    principal = house.sign_in.identify(first.api_key)
    assert (principal.id, principal.name) == (first.id, "operator")
    assert house.sign_in.sign_in(first.link).principal.id == first.id
    assert house.access.decide(principal, "createWorkspace", SERVER).allowed
    assert not house.access.decide(principal, "readWorkspace", workspace_entity("clinic")).allowed
    house.call(principal, "workspace.create", CreateWorkspace(name="lab"))
    assert house.access.decide(principal, "manageMembers", workspace_entity("lab")).allowed
    event = house.events()[0]
    assert (event.operation, event.actor_kind, event.resource) == (
        "server.bootstrap", "host", first.id,
    )  # fmt: skip
    for secret in (first.api_key, first.link):
        assert secret.split("_")[2] not in repr(first) + repr(house.events())


def test_there_is_no_second_first_person(house: Gatehouse) -> None:
    house.person("ann", "Reader")
    again = bootstrap(
        house.database, house.log, house.issuer, house.grants, api_key_days=90, link_minutes=10
    )
    assert again is None
    assert house.events() == []


def test_a_key_that_nobody_ever_used_may_be_lost_and_is_replaced(house: Gatehouse) -> None:
    def again() -> FirstPerson | None:
        return bootstrap(
            house.database, house.log, house.issuer, house.grants, api_key_days=90, link_minutes=10
        )

    lost = again()
    first = again()
    assert lost is not None
    assert first is not None
    assert first.id == lost.id
    for secret in (lost.api_key, lost.link):
        with pytest.raises(SignInError):
            (house.sign_in.sign_in if secret == lost.link else house.sign_in.identify)(secret)
    assert house.sign_in.identify(first.api_key).id == first.id
    # From now on there is somebody.
    assert again() is None
    assert house.sign_in.identify(first.api_key).id == first.id


def test_a_link_that_was_used_counts_too(house: Gatehouse) -> None:
    first = bootstrap(
        house.database, house.log, house.issuer, house.grants, api_key_days=90, link_minutes=10
    )
    assert first is not None
    house.sign_in.sign_in(first.link)
    again = bootstrap(
        house.database, house.log, house.issuer, house.grants, api_key_days=90, link_minutes=10
    )
    assert again is None


def test_a_record_that_cannot_be_written_leaves_nobody(
    house: Gatehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(house.log, "append", full)
        with pytest.raises(OSError, match="full"):
            bootstrap(
                house.database,
                house.log,
                house.issuer,
                house.grants,
                api_key_days=90,
                link_minutes=10,
            )
    first = bootstrap(
        house.database, house.log, house.issuer, house.grants, api_key_days=90, link_minutes=10
    )
    assert first is not None


def test_a_local_link_is_for_a_person_and_on_the_record(house: Gatehouse) -> None:
    ann = house.person("ann")
    house.account("robot", kind=PrincipalKind.SERVICE)
    link = local_link(house.database, house.log, house.issuer, account="ann", link_minutes=10)
    assert house.sign_in.sign_in(link).principal.id == ann.id
    assert house.events()[0].operation == "server.local_link"
    for name in ("robot", "nobody"):
        with pytest.raises(NotFoundError):
            local_link(house.database, house.log, house.issuer, account=name, link_minutes=10)


def test_no_operation_leads_here() -> None:
    from strongroom.gate.declaration import DECLARED

    assert not any("bootstrap" in name or "local" in name for name in DECLARED)
    assert Nothing.model_fields == {}
