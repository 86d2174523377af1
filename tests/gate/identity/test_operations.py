"""Verbs on accounts, keys and links: what they do, and to whom they are refused."""

import pytest
from pydantic import ValidationError as PydanticError
from tests.gate.gatehouse import API_KEY_DAYS, Gatehouse

from strongroom.errors import (
    CallerError,
    ConflictError,
    NotFoundError,
    RefusedError,
    SignInError,
    StateError,
    ValidationError,
)
from strongroom.gate.access.types import PrincipalKind
from strongroom.gate.audit.types import Outcome
from strongroom.gate.identity.types import (
    ApiKeyReference,
    CreateApiKey,
    CreateUser,
    ListApiKeys,
    ListUsers,
    Nothing,
    UserReference,
)
from strongroom.gate.workspaces.types import ListWorkspaces


def test_an_operator_makes_people_and_service_identities(house: Gatehouse) -> None:
    chief = house.person("chief", "Operator")
    ann = house.call(chief, "user.create", CreateUser(name="ann")).result
    robot = house.call(chief, "user.create", CreateUser(name="robot", kind="service")).result
    assert ann.id.startswith("usr_")
    assert robot.id.startswith("svc_")
    listed = house.call(chief, "user.ls", ListUsers()).result.users
    assert [user.name for user in listed] == ["ann", "chief", "robot"]
    page = house.call(chief, "user.ls", ListUsers(after="ann", limit=1)).result.users
    assert [user.name for user in page] == ["chief"]
    created = house.events()[0]
    assert created.details == {"account": ann.id, "kind": "person"}
    assert "ann" not in repr(created).replace(ann.id, "")  # names are kept out of the log


def test_names_are_unique_whatever_their_case(house: Gatehouse) -> None:
    chief = house.person("chief", "Operator")
    house.call(chief, "user.create", CreateUser(name="Ann"))
    with pytest.raises(ConflictError):
        house.call(chief, "user.create", CreateUser(name="ann"))


@pytest.mark.parametrize("name", ["", "a", "usr_aaaa", "a b", "-a", "a-", "é", "a" * 65, "a\n"])
def test_names_that_are_not_right_are_refused(name: str) -> None:
    with pytest.raises(PydanticError):
        CreateUser(name=name)


def test_owners_of_a_workspace_are_no_operators(house: Gatehouse) -> None:
    owner = house.person("owner", "Owner")
    house.person("ann", "Reader")
    with pytest.raises(RefusedError):
        house.call(owner, "user.create", CreateUser(name="eve"))
    with pytest.raises(RefusedError):
        house.call(owner, "user.ls", ListUsers())
    for name in ("user.disable", "user.enable"):
        with pytest.raises(RefusedError):
            house.call(owner, name, UserReference(user="ann"))
    assert {event.outcome for event in house.events()} == {Outcome.REFUSED}


def test_whoami_tells_who_one_is(house: Gatehouse) -> None:
    ann = house.person("ann")
    secret = house.call(ann, "token.create", CreateApiKey()).result.secret
    told = house.call(house.sign_in.identify(secret), "whoami", Nothing()).result
    assert (told.id, told.name, told.kind, told.credential) == (
        ann.id, "ann", "person", secret[:20],
    )  # fmt: skip


# ---- keys ----


def test_a_key_of_ones_own_is_shown_once(house: Gatehouse) -> None:
    ann = house.person("ann", "Data Scientist")
    made = house.call(ann, "token.create", CreateApiKey(workspaces=["clinic"])).result
    assert house.sign_in.identify(made.secret).workspaces == ("clinic",)
    (listed,) = house.call(ann, "token.ls", ListApiKeys()).result.keys
    assert (listed.id, listed.state, listed.workspaces) == (made.id, "active", ["clinic"])
    assert made.secret not in repr(listed) + repr(made) + repr(house.events())
    assert "secret" not in listed.model_dump()


def test_two_keys_of_one_purpose_may_be_active(house: Gatehouse) -> None:
    ann = house.person("ann")
    first = house.call(ann, "token.create", CreateApiKey(days=1)).result
    house.call(ann, "token.create", CreateApiKey())
    with pytest.raises(StateError, match="2 active"):
        house.call(ann, "token.create", CreateApiKey())
    house.call(ann, "token.create", CreateApiKey(purpose="ci"))
    house.clock.now += 24 * 3600  # the first has expired and no longer counts
    house.call(ann, "token.create", CreateApiKey())
    states = {key.id: key.state for key in house.call(ann, "token.ls", ListApiKeys()).result.keys}
    assert states[first.id] == "expired"


def test_a_key_lasts_no_longer_than_the_server_allows(house: Gatehouse) -> None:
    ann = house.person("ann")
    with pytest.raises(ValidationError, match="days"):
        house.call(ann, "token.create", CreateApiKey(days=API_KEY_DAYS + 1))
    with pytest.raises(PydanticError):
        CreateApiKey(days=0)


def test_a_key_is_limited_to_workspaces_that_its_owner_has(house: Gatehouse) -> None:
    ann = house.person("ann", "Reader")
    with pytest.raises(ValidationError, match="other"):
        house.call(ann, "token.create", CreateApiKey(workspaces=["clinic", "other"]))
    assert house.call(ann, "token.ls", ListApiKeys()).result.keys == []


def test_a_limited_key_makes_no_unlimited_one(house: Gatehouse) -> None:
    ann = house.person("ann", "Owner")
    limited = house.call(ann, "token.create", CreateApiKey(workspaces=["clinic"])).result.secret
    principal = house.sign_in.identify(limited)
    for name, request in (("token.create", CreateApiKey()), ("link.create", Nothing())):
        with pytest.raises(RefusedError):
            house.call(principal, name, request)


def test_a_revoked_key_is_worthless_at_once(house: Gatehouse) -> None:
    ann = house.person("ann")
    made = house.call(ann, "token.create", CreateApiKey()).result
    house.sign_in.identify(made.secret)
    shown = house.call(ann, "token.revoke", ApiKeyReference(key=made.id)).result
    assert shown.state == "revoked"
    with pytest.raises(SignInError):
        house.sign_in.identify(made.secret)
    again = house.call(ann, "token.revoke", ApiKeyReference(key=made.id)).result
    assert again.state == "revoked"


def test_the_keys_of_others_are_the_operators_only(house: Gatehouse) -> None:
    chief, ann = house.person("chief", "Operator"), house.person("ann", "Reader")
    eve = house.person("eve", "Owner")
    for_ann = house.call(ann, "token.create", CreateApiKey()).result
    assert len(house.call(chief, "token.ls", ListApiKeys(user=ann.id)).result.keys) == 1
    for name, request in (
        ("token.ls", ListApiKeys(user="ann")),
        ("token.revoke", ApiKeyReference(key=for_ann.id)),
        ("user.invite", UserReference(user="ann")),
    ):
        with pytest.raises(RefusedError):
            house.call(eve, name, request)
        assert house.events()[-1].outcome is Outcome.REFUSED
    house.call(chief, "token.revoke", ApiKeyReference(key=for_ann.id))
    with pytest.raises(SignInError):
        house.sign_in.identify(for_ann.secret)


def test_a_refusal_does_not_tell_whether_an_account_or_key_exists(house: Gatehouse) -> None:
    chief, eve = house.person("chief", "Operator"), house.person("eve")
    unknown = "srk_" + "a" * 16
    for name, request in (
        ("token.ls", ListApiKeys(user="nobody")),
        ("user.invite", UserReference(user="nobody")),
        ("user.disable", UserReference(user="nobody")),
        ("token.revoke", ApiKeyReference(key=unknown)),
    ):
        with pytest.raises(RefusedError):
            house.call(eve, name, request)
        with pytest.raises(NotFoundError):
            house.call(chief, name, request)


def test_a_limited_key_may_ask_about_itself(house: Gatehouse) -> None:
    ann = house.person("ann", "Owner")
    house.grant(ann, "Reader", "other")
    limited = house.call(ann, "token.create", CreateApiKey(workspaces=["clinic"])).result.secret
    principal = house.sign_in.identify(limited)
    assert house.call(principal, "whoami", Nothing()).result.workspaces == ["clinic"]
    listed = house.call(principal, "workspace.ls", ListWorkspaces()).result.workspaces
    assert [workspace.name for workspace in listed] == ["clinic"]


# ---- disabling ----


def test_a_disabled_account_may_nothing_until_it_is_enabled(house: Gatehouse) -> None:
    chief, ann = house.person("chief", "Operator"), house.person("ann", "Reader")
    secret = house.call(ann, "token.create", CreateApiKey()).result.secret
    house.sign_in.identify(secret)
    assert house.call(chief, "user.disable", UserReference(user="ann")).result.disabled
    with pytest.raises(SignInError):
        house.sign_in.identify(secret)
    with pytest.raises(RefusedError):
        house.call(ann, "whoami", Nothing())
    with pytest.raises(ConflictError):
        house.call(chief, "user.disable", UserReference(user=ann.id))
    assert [u.disabled for u in house.call(chief, "user.ls", ListUsers()).result.users] == [
        True, False,
    ]  # fmt: skip
    assert not house.call(chief, "user.enable", UserReference(user="ann")).result.disabled
    assert house.sign_in.identify(secret).id == ann.id
    with pytest.raises(NotFoundError):
        house.call(chief, "user.enable", UserReference(user="ann"))


def test_the_last_operator_and_the_last_owner_cannot_be_disabled(house: Gatehouse) -> None:
    chief, owner = house.person("chief", "Operator"), house.person("owner", "Owner")
    for name in ("chief", "owner"):
        with pytest.raises(StateError, match="last"):
            house.call(chief, "user.disable", UserReference(user=name))
    house.person("second", "Owner", "Operator")
    house.call(chief, "user.disable", UserReference(user=owner.id))
    with pytest.raises(StateError, match="last Owner"):
        # A disabled Owner does not count: nobody could act for the workspace.
        house.call(chief, "user.disable", UserReference(user="second"))


# ---- links ----


def test_a_link_signs_a_person_in(house: Gatehouse) -> None:
    ann = house.person("ann")
    link = house.call(ann, "link.create", Nothing()).result
    assert house.sign_in.sign_in(link.token).principal.id == ann.id
    assert link.token not in repr(link) + repr(house.events())


def test_a_service_identity_has_no_console(house: Gatehouse) -> None:
    robot = house.account("robot", kind=PrincipalKind.SERVICE)
    with pytest.raises(CallerError, match="no console"):
        house.call(robot, "link.create", Nothing())
