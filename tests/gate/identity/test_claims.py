"""Whose an account is: invitations, claims, and every way for another to get in."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel
from pydantic import ValidationError as PydanticError
from sqlalchemy import select, update
from tests.gate.gatehouse import Gatehouse

from strongroom.errors import (
    ExpiredError,
    RefusedError,
    SignInError,
    StateError,
    StrongroomError,
    TamperedError,
    ValidationError,
)
from strongroom.gate.access.tables import GrantRow
from strongroom.gate.access.types import INVITED, Principal, PrincipalKind, workspace_entity
from strongroom.gate.audit.types import Outcome
from strongroom.gate.identity.bootstrap import local_key
from strongroom.gate.identity.tables import AccountRow, ApiKeyRow, LinkRow, SessionRow
from strongroom.gate.identity.types import (
    Claimed,
    CreateApiKey,
    CreateUser,
    ListApiKeys,
    ListUsers,
    Nothing,
    UserReference,
)
from strongroom.gate.workspaces.types import (
    CreateWorkspace,
    GrantRole,
    ListWorkspaces,
    RevokeRole,
    WorkspaceReference,
)


@pytest.fixture
def chief(house: Gatehouse) -> Principal:
    """The operator of the server, who owns no workspace."""
    return house.person("chief", "Operator")


@pytest.fixture
def owner(house: Gatehouse) -> Principal:
    """The Owner of `clinic`."""
    return house.person("owner", "Owner")


def invited(house: Gatehouse, chief: Principal, name: str = "ann", kind: str = "person") -> str:
    """The secret of an invitation to a new account."""
    house.call(chief, "user.create", CreateUser.model_validate({"name": name, "kind": kind}))
    token: str = house.call(chief, "user.invite", UserReference(user=name)).result.token
    return token


def claim(house: Gatehouse, invitation: str) -> Claimed:
    """What redeeming an invitation gives."""
    claimed: Claimed = house.call(
        house.sign_in.identify(invitation), "user.claim", Nothing()
    ).result
    return claimed


def grant(house: Gatehouse, giver: Principal, code: str | None, role: str = "Reader") -> None:
    """A role in `clinic` for ann."""
    asked = GrantRole(workspace="clinic", principal="ann", role=role, claim=code)
    house.call(giver, "role.grant", asked)


def reads(house: Gatehouse, who: Principal) -> bool:
    """Whether somebody sees what is in `clinic`."""
    return house.access.decide(who, "readWorkspace", workspace_entity("clinic")).allowed


# ---- the way in ----


@pytest.mark.parametrize("kind", ["person", "service"])
def test_a_person_redeems_an_invitation_and_an_owner_gives_the_role(
    house: Gatehouse, chief: Principal, owner: Principal, kind: str
) -> None:
    invitation = invited(house, chief, kind=kind)
    claimed = claim(house, invitation)
    ann = house.sign_in.identify(claimed.secret)
    assert not reads(house, ann)
    told = house.call(ann, "whoami", Nothing()).result
    assert told.claim == claimed.claim
    assert len(claimed.claim) == 9
    grant(house, owner, told.claim.replace("-", "").lower())
    assert reads(house, ann)
    events = house.events()
    for secret in (invitation, claimed.secret):
        assert secret not in repr(events) + repr(claimed)
    (redeemed,) = [event for event in events if event.operation == "user.claim"]
    assert redeemed.credential == invitation[:20]
    assert redeemed.details["claim"] == claimed.claim
    assert events[-1].details["claim"] == claimed.claim  # by whose word it was given


def test_an_invitation_opens_the_console_and_claims_the_account(
    house: Gatehouse, chief: Principal
) -> None:
    invitation = invited(house, chief)
    begun = house.sign_in.sign_in(invitation)
    assert house.call(begun.principal, "whoami", Nothing()).result.claim
    for again in (house.sign_in.sign_in, house.sign_in.identify):
        with pytest.raises(ExpiredError, match="was redeemed on"):
            again(invitation)


def test_who_comes_second_is_told_when_the_first_came(house: Gatehouse, chief: Principal) -> None:
    invitation = invited(house, chief)
    claim(house, invitation)
    house.clock.now += 3_600
    with pytest.raises(ExpiredError, match="was redeemed on 2") as met:
        house.sign_in.identify(invitation)
    assert "taken your place" in met.value.next_step
    assert house.events()[-1].details["reason"] == met.value.message


def test_a_later_role_in_the_same_workspace_needs_no_code(
    house: Gatehouse, chief: Principal, owner: Principal
) -> None:
    code = claim(house, invited(house, chief)).claim
    grant(house, owner, code)
    grant(house, owner, None, role="Auditor")
    other = house.person("other-owner", "Owner", workspace="other")
    with pytest.raises(ValidationError, match="claim code is needed"):
        house.call(
            other, "role.grant", GrantRole(workspace="other", principal="ann", role="Reader")
        )


# ---- an invitation is good for nothing else ----


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("whoami", Nothing()),
        ("token.create", CreateApiKey()),
        ("token.ls", ListApiKeys()),
        ("link.create", Nothing()),
        ("workspace.ls", ListWorkspaces()),
        ("workspace.show", WorkspaceReference(workspace="clinic")),
        ("user.ls", ListUsers()),
    ],
)
def test_an_invitation_is_good_for_nothing_but_to_be_redeemed(
    house: Gatehouse, chief: Principal, name: str, request_: BaseModel
) -> None:
    guest = house.sign_in.identify(invited(house, chief))
    house.grant(guest, "Owner")  # even then
    with pytest.raises(RefusedError, match="nothing but to be redeemed"):
        house.call(guest, name, request_)
    assert house.events()[-1].outcome is Outcome.REFUSED


def test_a_key_a_session_or_a_limited_key_claims_nothing(
    house: Gatehouse, chief: Principal
) -> None:
    ann = house.person("ann", "Reader")
    key = house.call(ann, "token.create", CreateApiKey(workspaces=["clinic"])).result.secret
    link = house.call(ann, "link.create", Nothing()).result.token
    for who in (ann, house.sign_in.identify(key), house.sign_in.sign_in(link).principal, chief):
        with pytest.raises(RefusedError, match="only an invitation"):
            house.call(who, "user.claim", Nothing())


def test_an_invitation_is_good_once(house: Gatehouse, chief: Principal) -> None:
    invitation = invited(house, chief)
    guest = house.sign_in.identify(invitation)  # both came before either redeemed it
    house.call(guest, "user.claim", Nothing())
    with pytest.raises(ExpiredError):
        house.call(guest, "user.claim", Nothing())


def test_an_invitation_expires_and_a_new_one_voids_it(house: Gatehouse, chief: Principal) -> None:
    first = invited(house, chief)
    second = house.call(chief, "user.invite", UserReference(user="ann")).result.token
    with pytest.raises(ExpiredError):
        house.sign_in.identify(first)
    house.clock.now += timedelta(hours=72).total_seconds()
    for way in (house.sign_in.identify, house.sign_in.sign_in):
        with pytest.raises(ExpiredError, match="expired"):
            way(second)


def test_a_disabled_account_is_not_claimed(house: Gatehouse, chief: Principal) -> None:
    invitation = invited(house, chief)
    guest = house.sign_in.identify(invitation)
    house.call(chief, "user.disable", UserReference(user="ann"))
    with pytest.raises(RefusedError):
        house.call(guest, "user.claim", Nothing())
    for way in (house.sign_in.identify, house.sign_in.sign_in):
        with pytest.raises(SignInError, match="disabled"):
            way(invitation)
    house.call(chief, "user.enable", UserReference(user="ann"))
    assert claim(house, invitation).secret  # the refused tries did not spend it


# ---- what an operator may try ----


def test_nobody_makes_credentials_for_another() -> None:
    for asked in ({"user": "ann"}, {"user": "chief"}, {"owner": "ann"}):
        for kind in (CreateApiKey, Nothing):  # what `token.create` and `link.create` take
            with pytest.raises(PydanticError):
                kind.model_validate(asked)


@pytest.mark.parametrize("role", ["Owner", "Reader", "Privacy Officer", "Auditor", "Operator"])
def test_an_operator_invites_nobody_into_an_account_with_a_role(
    house: Gatehouse, chief: Principal, role: str
) -> None:
    house.person("ann", role)
    with pytest.raises(StateError, match="holds roles"):
        house.call(chief, "user.invite", UserReference(user="ann"))
    assert house.events()[-1].outcome is Outcome.FAILED


def test_an_operator_invites_nobody_into_a_service_with_a_role(
    house: Gatehouse, chief: Principal
) -> None:
    house.account("robot", "Data Scientist", kind=PrincipalKind.SERVICE)
    with pytest.raises(StateError, match="holds roles"):
        house.call(chief, "user.invite", UserReference(user="robot"))


def test_disabling_and_enabling_gives_no_way_in(
    house: Gatehouse, chief: Principal, owner: Principal
) -> None:
    house.person("second", "Owner")
    for step in ("user.disable", "user.enable"):
        house.call(chief, step, UserReference(user=owner.id))
        with pytest.raises(StateError, match="holds roles"):
            house.call(chief, "user.invite", UserReference(user=owner.id))


def test_an_invitation_kept_until_the_person_has_a_role_is_worthless(
    house: Gatehouse, chief: Principal, owner: Principal
) -> None:
    code = claim(house, invited(house, chief)).claim
    kept = house.call(chief, "user.invite", UserReference(user="ann")).result.token
    grant(house, owner, code)
    guest = house.sign_in.identify(kept)
    assert guest.workspaces == INVITED
    with pytest.raises(StateError, match="holds roles"):
        house.call(guest, "user.claim", Nothing())
    with pytest.raises(StateError, match="holds roles"):
        house.sign_in.sign_in(kept)


def test_an_operator_who_redeems_it_first_gets_no_role(
    house: Gatehouse, chief: Principal, owner: Principal
) -> None:
    invitation = invited(house, chief)
    stolen = house.sign_in.identify(claim(house, invitation).secret)
    with pytest.raises(ExpiredError):
        house.sign_in.identify(invitation)  # the person notices, and has no code to tell
    for code in (None, "AAAA-AAAA"):
        with pytest.raises(ValidationError, match="claim"):
            grant(house, owner, code)
    assert not reads(house, stolen)


def test_a_new_claim_voids_all_that_was_before_and_has_another_code(
    house: Gatehouse, chief: Principal, owner: Principal
) -> None:
    first = claim(house, invited(house, chief))
    ann = house.sign_in.identify(first.secret)
    more = house.call(ann, "token.create", CreateApiKey(purpose="ci")).result.secret
    link = house.call(ann, "link.create", Nothing()).result.token
    begun = house.sign_in.sign_in(house.call(ann, "link.create", Nothing()).result.token)
    second = claim(house, house.call(chief, "user.invite", UserReference(user="ann")).result.token)
    for secret in (first.secret, more, begun.secret):
        with pytest.raises(SignInError):
            house.sign_in.identify(secret)
    with pytest.raises(ExpiredError):
        house.sign_in.sign_in(link)
    assert second.claim != first.claim
    with pytest.raises(ValidationError, match="not the claim code"):
        grant(house, owner, first.claim)  # the code that the Owner had from the person
    grant(house, owner, second.claim)


def test_an_unclaimed_account_gets_no_role(
    house: Gatehouse, chief: Principal, owner: Principal
) -> None:
    invited(house, chief)
    for code in (None, "AAAA-AAAA"):
        with pytest.raises(StateError, match="nobody has claimed"):
            grant(house, owner, code)


def test_an_operator_gives_nobody_a_role_in_a_workspace_of_others(
    house: Gatehouse, chief: Principal, owner: Principal
) -> None:
    assert reads(house, owner)
    for name in ("chief", "owner"):
        for role in ("Owner", "Reader", "Auditor"):
            with pytest.raises(RefusedError):
                house.call(
                    chief, "role.grant",
                    GrantRole(workspace="clinic", principal=name, role=role,
                              claim=house.claim(chief)),
                )  # fmt: skip
    with pytest.raises(RefusedError):
        house.call(
            chief, "role.revoke", RevokeRole(workspace="clinic", principal="owner", role="Owner")
        )
    with pytest.raises(StrongroomError):
        house.call(chief, "workspace.create", CreateWorkspace(name="clinic"))
    assert not reads(house, chief)


def test_who_made_a_workspace_is_out_once_its_owner_says_so(
    house: Gatehouse, chief: Principal, owner: Principal
) -> None:
    house.call(chief, "workspace.create", CreateWorkspace(name="ward"))
    house.call(
        chief, "role.grant",
        GrantRole(workspace="ward", principal="owner", role="Owner", claim=house.claim(owner)),
    )  # fmt: skip
    house.call(owner, "role.revoke", RevokeRole(workspace="ward", principal="chief", role="Owner"))
    ward = workspace_entity("ward")
    assert not house.access.decide(chief, "readWorkspace", ward).allowed
    for name in ("chief", "owner"):
        with pytest.raises(RefusedError):
            house.call(
                chief, "role.grant", GrantRole(workspace="ward", principal=name, role="Reader")
            )


def test_only_operators_invite(house: Gatehouse, owner: Principal) -> None:
    house.person("ann")
    for who in (owner, house.person("eve"), house.account("robot", kind=PrincipalKind.SERVICE)):
        for name in ("ann", "nobody"):
            with pytest.raises(RefusedError):
                house.call(who, "user.invite", UserReference(user=name))


# ---- what may be tried in the database ----


def test_a_key_moved_to_another_owner_is_worthless(house: Gatehouse) -> None:
    eve, ann = house.person("eve"), house.person("ann", "Owner")
    key = house.call(eve, "token.create", CreateApiKey()).result
    with house.database.write() as session:
        session.execute(update(ApiKeyRow).where(ApiKeyRow.id == key.id).values(owner=ann.id))
    with pytest.raises(SignInError, match="not valid"):
        house.sign_in.identify(key.secret)


def test_a_limit_taken_away_in_the_database_makes_the_key_worthless(house: Gatehouse) -> None:
    ann = house.person("ann", "Owner")
    key = house.call(ann, "token.create", CreateApiKey(workspaces=["clinic"])).result
    with house.database.write() as session:
        session.execute(update(ApiKeyRow).where(ApiKeyRow.id == key.id).values(workspaces=""))
    with pytest.raises(SignInError, match="not valid"):
        house.sign_in.identify(key.secret)


def test_links_invitations_and_sessions_moved_to_another_are_worthless(
    house: Gatehouse, chief: Principal
) -> None:
    ann, eve = house.person("ann-with-role", "Owner"), house.person("eve")
    invitation = invited(house, chief)
    link = house.call(eve, "link.create", Nothing()).result.token
    begun = house.sign_in.sign_in(house.call(eve, "link.create", Nothing()).result.token)
    with house.database.write() as session:
        session.execute(update(LinkRow).values(account=ann.id))
        session.execute(update(SessionRow).values(account=ann.id))
    for secret in (invitation, link):
        with pytest.raises(SignInError, match="not valid"):
            house.sign_in.sign_in(secret)
    for secret in (invitation, begun.secret):
        with pytest.raises(SignInError, match="not valid"):
            house.sign_in.identify(secret)


def test_an_invitation_made_unspent_in_the_database_does_not_take_a_role(
    house: Gatehouse, chief: Principal, owner: Principal
) -> None:
    invitation = invited(house, chief)
    guest = house.sign_in.identify(invitation)
    grant(house, owner, claim(house, invitation).claim)
    late = datetime.now(UTC) + timedelta(days=1)
    with house.database.write() as session:
        session.execute(update(LinkRow).values(used_at=None, expires_at=late))
    house.sign_in.forget()
    with pytest.raises(SignInError, match="changed outside"):
        house.sign_in.identify(invitation)
    # And were it believed, it would still not be redeemed.
    with pytest.raises(StateError, match="holds roles"):
        house.call(guest, "user.claim", Nothing())
    with house.database.write() as session:  # nor with the role hidden
        session.query(GrantRow).where(GrantRow.principal != owner.id).delete()
    with pytest.raises(TamperedError):
        house.call(guest, "user.claim", Nothing())


def test_an_invitation_made_unspent_is_not_redeemed_again_where_nobody_holds_a_role(
    house: Gatehouse, chief: Principal
) -> None:
    invitation = invited(house, chief)
    guest = house.sign_in.identify(invitation)
    claim(house, invitation)
    late = datetime.now(UTC) + timedelta(days=1)
    with house.database.write() as session:
        session.execute(update(LinkRow).values(used_at=None, expires_at=late))
    house.sign_in.forget()
    with pytest.raises(TamperedError, match="good no more"):
        house.call(guest, "user.claim", Nothing())


# ---- recovery at the machine ----


def test_recovery_keeps_claim_and_roles_and_claims_what_nobody_has(
    house: Gatehouse, chief: Principal, owner: Principal
) -> None:
    claimed = claim(house, invited(house, chief))
    grant(house, owner, claimed.claim)
    key = local_key(
        house.database, house.log, house.issuer, account="ann", purpose="recovery", days=1
    )
    ann = house.sign_in.identify(key)
    assert reads(house, ann)
    assert house.call(ann, "whoami", Nothing()).result.claim == claimed.claim
    assert [e.operation for e in house.events()].count("server.local_key") == 1
    invitation = invited(house, chief, "bob")
    key = local_key(
        house.database, house.log, house.issuer, account="bob", purpose="recovery", days=1
    )
    assert house.call(house.sign_in.identify(key), "whoami", Nothing()).result.claim
    with pytest.raises(ExpiredError):  # whoever still has the invitation has nothing
        house.sign_in.identify(invitation)


def test_a_claim_moved_to_another_account_gives_nothing(
    house: Gatehouse, chief: Principal, owner: Principal
) -> None:
    """Who writes the database takes the place, the name and the true code of another."""
    taken = {name: claim(house, invited(house, chief, name)) for name in ("ann", "mallory")}
    ann, mallory = (house.sign_in.identify(taken[name].secret).id for name in taken)
    with house.database.write() as session:
        moved = update(LinkRow).where(LinkRow.account == mallory, LinkRow.used_at.is_not(None))
        session.execute(moved.values(used_at=None))
        session.execute(update(LinkRow).where(LinkRow.account == ann).values(account=mallory))
        session.execute(update(AccountRow).where(AccountRow.id == ann).values(name="old"))
        session.execute(update(AccountRow).where(AccountRow.id == mallory).values(name="ann"))
    with pytest.raises(TamperedError):
        grant(house, owner, taken["ann"].claim)
    with house.database.read() as session:
        assert session.scalar(select(GrantRow).where(GrantRow.principal == mallory)) is None
