"""Workspaces, roles and questions about access."""

import pytest
from pydantic import ValidationError as PydanticError
from tests.gate.gatehouse import Gatehouse

from strongroom.errors import (
    ConflictError,
    NotFoundError,
    RefusedError,
    StateError,
    ValidationError,
)
from strongroom.gate.access.roles import WORKSPACE_ROLES
from strongroom.gate.access.types import PrincipalKind, workspace_entity
from strongroom.gate.audit.types import Outcome
from strongroom.gate.workspaces.types import (
    AskAccess,
    AskWhoCan,
    CreateWorkspace,
    GrantRole,
    ListWorkspaces,
    RevokeRole,
    WorkspaceReference,
)

# ---- workspaces ----


def test_who_creates_a_workspace_owns_it_and_it_has_a_key(house: Gatehouse) -> None:
    chief = house.person("chief", "Operator")
    answer = house.call(chief, "workspace.create", CreateWorkspace(name="lab", description="x"))
    assert answer.result.name == "lab"
    with house.database.read() as session:
        assert len(house.keyring.versions(session, "lab")) == 1
    assert house.access.decide(chief, "manageMembers", workspace_entity("lab")).allowed
    shown = house.call(chief, "workspace.show", WorkspaceReference(workspace="lab")).result
    assert shown.description == "x"


def test_only_operators_create_workspaces(house: Gatehouse) -> None:
    owner = house.person("owner", "Owner")
    with pytest.raises(RefusedError):
        house.call(owner, "workspace.create", CreateWorkspace(name="lab"))


@pytest.mark.parametrize("name", ["default", "server", "system"])
def test_reserved_names_are_refused(house: Gatehouse, name: str) -> None:
    chief = house.person("chief", "Operator")
    with pytest.raises(ValidationError, match="reserved"):
        house.call(chief, "workspace.create", CreateWorkspace(name=name))


@pytest.mark.parametrize(
    "name", ["", "a", "A1", "a_b", "a b", "-ab", "ab-", "../x", "a" * 64, "ab\n", "é1"]
)
def test_names_that_are_not_right_are_refused(name: str) -> None:
    with pytest.raises(PydanticError):
        CreateWorkspace(name=name)


def test_a_name_is_taken_once(house: Gatehouse) -> None:
    chief = house.person("chief", "Operator")
    with pytest.raises(ConflictError):
        house.call(chief, "workspace.create", CreateWorkspace(name="clinic"))
    assert house.events()[-1].outcome is Outcome.FAILED
    # Neither role nor key came of it.
    assert not house.access.decide(chief, "readWorkspace", workspace_entity("clinic")).allowed
    with house.database.read() as session:
        assert house.keyring.versions(session, "clinic") == []


def test_a_key_that_cannot_be_made_leaves_no_workspace(
    house: Gatehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    chief = house.person("chief", "Operator")

    def full(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(house.workspaces, "_create_key", full)
        with pytest.raises(OSError, match="full"):
            house.call(chief, "workspace.create", CreateWorkspace(name="lab"))
    house.call(chief, "workspace.create", CreateWorkspace(name="lab"))


def test_one_sees_only_the_workspaces_one_may_read(house: Gatehouse) -> None:
    ann = house.person("ann", "Reader")
    chief = house.person("chief", "Operator")

    def names(principal: object) -> list[str]:
        listed = house.call(principal, "workspace.ls", ListWorkspaces())  # type: ignore[arg-type] # a principal
        return [workspace.name for workspace in listed.result.workspaces]

    assert names(ann) == ["clinic"]
    assert names(chief) == []
    house.grant(ann, "Reader", "other")
    assert names(ann) == ["clinic", "other"]
    page = house.call(ann, "workspace.ls", ListWorkspaces(after="clinic", limit=1)).result
    assert [workspace.name for workspace in page.workspaces] == ["other"]


def test_a_workspace_of_others_reads_as_one_that_is_not_there(house: Gatehouse) -> None:
    ann = house.person("ann", "Reader")
    messages = []
    for name in ("other", "nowhere"):
        with pytest.raises(RefusedError) as refused:
            house.call(ann, "workspace.show", WorkspaceReference(workspace=name))
        messages.append(refused.value.message)
    assert messages[0] == messages[1]


# ---- roles ----


def test_an_owner_gives_and_takes_roles(house: Gatehouse) -> None:
    owner, ann = house.person("owner", "Owner"), house.person("ann")
    clinic = workspace_entity("clinic")
    claim = house.claim(ann)
    asked = GrantRole(workspace="clinic", principal="ann", role="data scientist", claim=claim)
    given = house.call(owner, "role.grant", asked).result
    assert (given.principal, given.name, given.role) == (ann.id, "ann", "Data Scientist")
    assert house.access.decide(ann, "registerModel", clinic).allowed
    told = {"principal": ann.id, "role": "DataScientist", "claim": claim}
    assert told.items() <= house.events()[-1].details.items()
    members = house.call(owner, "role.ls", WorkspaceReference(workspace="clinic")).result
    assert [(m.name, m.role) for m in members.members] == [
        ("ann", "Data Scientist"), ("owner", "Owner"),
    ]  # fmt: skip
    assert set(members.roles) == {role.name for role in WORKSPACE_ROLES}
    left = house.call(
        owner,
        "role.revoke",
        RevokeRole(workspace="clinic", principal=ann.id, role="DataScientist"),
    ).result
    assert [m.name for m in left.members] == ["owner"]
    assert not house.access.decide(ann, "registerModel", clinic).allowed


def test_an_unknown_role_is_refused_with_a_list_of_roles(house: Gatehouse) -> None:
    owner, ann = house.person("owner", "Owner"), house.person("ann")
    for role in ("King", "Operator", "Owner, Reader"):
        with pytest.raises(ValidationError, match="unknown role") as refused:
            house.call(
                owner, "role.grant", GrantRole(workspace="clinic", principal="ann", role=role)
            )
        assert "Data Scientist" in refused.value.next_step
    assert not house.access.decide(ann, "readWorkspace", workspace_entity("clinic")).allowed


def test_only_owners_manage_members(house: Gatehouse) -> None:
    house.person("owner", "Owner")
    ann = house.person("ann")
    for role in WORKSPACE_ROLES[1:]:
        other = house.person(f"has-{role.id}", role.name)
        for name in ("role.grant", "role.revoke"):
            kind = GrantRole if name == "role.grant" else RevokeRole
            with pytest.raises(RefusedError):
                house.call(other, name, kind(workspace="clinic", principal=ann.id, role="Owner"))


def test_an_owner_elsewhere_manages_nothing_here(house: Gatehouse) -> None:
    owner = house.person("owner", "Owner", workspace="other")
    with pytest.raises(RefusedError):
        house.call(
            owner, "role.grant", GrantRole(workspace="clinic", principal="owner", role="Owner")
        )


def test_the_last_owner_stays(house: Gatehouse) -> None:
    owner = house.person("owner", "Owner")
    gone = RevokeRole(workspace="clinic", principal="owner", role="Owner")
    with pytest.raises(StateError, match="last Owner"):
        house.call(owner, "role.revoke", gone)
    second = house.person("second", "Owner")
    house.call(owner, "role.revoke", gone)
    assert not house.access.decide(owner, "readWorkspace", workspace_entity("clinic")).allowed
    assert house.access.decide(second, "manageMembers", workspace_entity("clinic")).allowed


def test_granting_twice_revoking_twice_and_strangers(house: Gatehouse) -> None:
    owner = house.person("owner", "Owner")
    house.person("ann", "Reader")
    with pytest.raises(ConflictError):
        house.call(
            owner, "role.grant", GrantRole(workspace="clinic", principal="ann", role="Reader")
        )
    with pytest.raises(NotFoundError):
        house.call(
            owner, "role.revoke", RevokeRole(workspace="clinic", principal="ann", role="Auditor")
        )
    with pytest.raises(NotFoundError, match="nobody"):
        house.call(
            owner, "role.grant", GrantRole(workspace="clinic", principal="nobody", role="Reader")
        )


# ---- questions about access ----


def test_one_may_ask_about_oneself(house: Gatehouse) -> None:
    ann = house.person("ann", "Reader")
    yes = house.call(ann, "access.can", AskAccess(workspace="clinic", action="readModel")).result
    no = house.call(
        ann,
        "access.can",
        AskAccess(
            workspace="clinic",
            action="readDatasetRows",
            resource_type="Dataset",
            resource="patients",
        ),
    ).result
    assert (yes.allowed, yes.policies) == (True, ["reader"])
    assert (no.allowed, no.policies) == (False, [])


def test_about_others_only_who_may_see_the_members(house: Gatehouse) -> None:
    ann, auditor = house.person("ann", "Reader"), house.person("auditor", "Auditor")
    question = AskAccess(workspace="clinic", action="readModel", principal="ann")
    assert house.call(auditor, "access.can", question).result.allowed
    with pytest.raises(RefusedError):
        house.call(
            ann,
            "access.can",
            AskAccess(workspace="clinic", action="readModel", principal="auditor"),
        )
    with pytest.raises(RefusedError):
        house.call(ann, "access.who_can", AskWhoCan(workspace="clinic", action="readModel"))


def test_who_can_lists_those_who_may(house: Gatehouse) -> None:
    auditor = house.person("auditor", "Auditor")
    house.person("owner", "Owner")
    house.person("officer", "Privacy Officer")
    house.person("ann", "Reader")
    house.account("robot", "Owner", kind=PrincipalKind.SERVICE)
    house.person("elsewhere", "Owner", workspace="other")
    answer = house.call(
        auditor, "access.who_can", AskWhoCan(workspace="clinic", action="readDatasetClear")
    ).result
    assert sorted(one.name for one in answer.principals) == ["officer", "owner", "robot"]


@pytest.mark.parametrize(
    ("action", "kind", "resource"),
    [
        ("fly", "Workspace", None),
        ("readModel", "Rocket", "one"),
        ("readModel", "Dataset", "one"),
        ("readModel", "Model", None),
        ("readModel", "Workspace", "other"),
        ("createUser", "Workspace", None),
    ],
)
def test_questions_that_make_no_sense_are_refused(
    house: Gatehouse, action: str, kind: str, resource: str | None
) -> None:
    ann = house.person("ann", "Owner")
    with pytest.raises(ValidationError):
        house.call(
            ann,
            "access.can",
            AskAccess(workspace="clinic", action=action, resource_type=kind, resource=resource),
        )
