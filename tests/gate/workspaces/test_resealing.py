"""Making again what a member holds: shown first, done with a reason, and never more than that."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, update
from tests.gate.gatehouse import Gatehouse

from strongroom.errors import (
    ConflictError,
    NotFoundError,
    RefusedError,
    StateError,
    TamperedError,
    ValidationError,
)
from strongroom.gate.access.roles import OWNER, READER, Role
from strongroom.gate.access.tables import GrantRow, StandingRow, SuspensionRow
from strongroom.gate.access.types import Principal, PrincipalKind
from strongroom.gate.audit.findings import open_findings
from strongroom.gate.audit.tables import IntegrityFindingRow
from strongroom.gate.hosting import host_event
from strongroom.gate.identity.accounts import create_account
from strongroom.gate.workspaces.types import Resealed, ResealRole, WorkspaceReference
from strongroom.vault.seals import SealChangeRow


def person(house: Gatehouse, name: str, *held: tuple[Role, str]) -> Principal:
    """Somebody whose roles the log tells of."""
    now = datetime.now(UTC)
    with house.database.write() as session:
        row = create_account(
            session, name, PrincipalKind.PERSON, by="", now=now, random=house.issuer.random
        )
        for role, workspace in held:
            house.grants.grant(session, row.id, role, workspace, by=row.id, now=now)
        house.log.append(session, host_event("test.person"))
        return Principal(PrincipalKind.PERSON, row.id, name)


def harm(house: Gatehouse, *statements: Any) -> None:  # noqa: ANN401 # any SQL
    """Change rows as somebody who can write the database does."""
    with house.database.write() as session:
        for statement in statements:
            session.execute(statement)


def reseal(house: Gatehouse, by: Principal, who: str, **fields: Any) -> Resealed:  # noqa: ANN401 # of the request
    request = ResealRole(workspace="clinic", principal=who, **fields)
    result = house.call(by, "role.reseal", request).result
    assert isinstance(result, Resealed)
    return result


def holds(house: Gatehouse, who: Principal) -> set[tuple[str, str]]:
    with house.database.read() as session:
        return set(house.grants.standing(session, who.id).grants)


def forged(who: str, role: str, workspace: str = "clinic") -> Any:  # noqa: ANN401 # SQL
    return insert(GrantRow).values(
        principal=who, workspace=workspace, role=role, granted_by="usr_x",
        granted_at=datetime(2026, 11, 1, tzinfo=UTC),
    )  # fmt: skip


@pytest.fixture
def owner(house: Gatehouse) -> Principal:
    return person(house, "olga", (OWNER, "clinic"))


def test_the_difference_is_shown_then_made_good_and_both_are_recorded(
    house: Gatehouse, owner: Principal
) -> None:
    ann = person(house, "ann", (READER, "clinic"), (READER, "other"))
    harm(
        house,
        update(GrantRow).where(GrantRow.principal == ann.id, GrantRow.workspace == "clinic")
        .values(role="Owner"),
        delete(GrantRow).where(GrantRow.principal == ann.id, GrantRow.workspace == "other"),
        insert(SuspensionRow).values(principal=ann.id, since=datetime.now(UTC)),
        insert(IntegrityFindingRow).values(
            kind="standing", subject=ann.id, reason="r", found_at=datetime.now(UTC), entry=0
        ),
    )  # fmt: skip
    with pytest.raises(TamperedError):
        holds(house, ann)
    shown = reseal(house, owner, "ann")
    # What is about another workspace is only counted: its name is none of this Owner's business.
    assert shown.difference == [
        "- Owner of clinic", "- disabled", "+ Reader of clinic", "and 1 more elsewhere",
    ]  # fmt: skip
    assert not shown.done
    with pytest.raises(TamperedError):
        holds(house, ann)

    done = reseal(house, owner, "ann", confirm=shown.confirm, reason="ticket 7")
    assert (done.done, done.difference) == (True, shown.difference)
    assert holds(house, ann) == {("clinic", "Reader"), ("other", "Reader")}
    with house.database.read() as session:
        assert not house.grants.standing(session, ann.id).suspended
        assert open_findings(session) == []
    *_, first, whole, last = house.events()
    assert [first.operation, whole.operation, last.operation] == [
        "role.reseal", "server.resealed", "role.reseal",
    ]  # fmt: skip
    assert (last.workspace, last.details["reason"], last.details["done"]) == (
        "clinic", "ticket 7", True,
    )  # fmt: skip
    assert "other" not in str(dict(last.details))
    assert (whole.workspace, whole.actor, whole.resource) == ("", owner.id, ann.id)
    assert "+ Reader of other" in whole.details.values()
    with pytest.raises(StateError, match="as this server left it"):
        reseal(house, owner, "ann")
    # A second time, too: the repair is told to the log, so the log can tell again.
    harm(house, delete(GrantRow).where(GrantRow.principal == ann.id))
    assert "+ Reader of clinic" in reseal(house, owner, "ann").difference


def test_a_forged_grant_of_somebody_who_holds_nothing_goes_away(
    house: Gatehouse, owner: Principal
) -> None:
    eve = person(house, "eve")
    harm(house, forged(eve.id, "Owner"))
    members = house.call(owner, "role.ls", WorkspaceReference(workspace="clinic")).result.members
    assert {member.name: member.tampered for member in members} == {"olga": False, "eve": True}
    shown = reseal(house, owner, "eve")
    assert shown.difference == ["- Owner of clinic"]
    reseal(house, owner, "eve", confirm=shown.confirm, reason="forged")
    assert holds(house, eve) == set()


def test_a_role_that_does_not_exist_is_listed_and_holds_nothing(
    house: Gatehouse, owner: Principal
) -> None:
    eve = person(house, "eve")
    harm(house, forged(eve.id, "God"))
    members = house.call(owner, "role.ls", WorkspaceReference(workspace="clinic")).result.members
    assert [(m.role, m.tampered) for m in members if m.principal == eve.id] == [("God", True)]


def test_what_was_not_shown_is_not_done(house: Gatehouse, owner: Principal) -> None:
    ann = person(house, "ann", (READER, "clinic"))
    harm(house, update(GrantRow).where(GrantRow.principal == ann.id).values(role="Owner"))
    code = reseal(house, owner, "ann").confirm
    with pytest.raises(ValidationError, match="reason"):
        reseal(house, owner, "ann", confirm=code)
    harm(house, update(GrantRow).where(GrantRow.principal == ann.id).values(role="Contributor"))
    with pytest.raises(ConflictError, match="not the one"):
        reseal(house, owner, "ann", confirm=code, reason="ticket 7")
    with pytest.raises(TamperedError):
        holds(house, ann)


def test_only_an_owner_and_only_of_a_workspace_that_it_is_about(
    house: Gatehouse, owner: Principal
) -> None:
    ann = person(house, "ann", (READER, "other"))
    harm(house, update(GrantRow).where(GrantRow.principal == ann.id).values(role="Owner"))
    with pytest.raises(NotFoundError, match="nothing to do with"):
        reseal(house, owner, "ann")
    harm(house, forged(ann.id, "Owner"))
    assert reseal(house, owner, "ann").difference == ["- Owner of clinic", "and 2 more elsewhere"]
    for who in (person(house, "con"), ann):
        with pytest.raises(RefusedError):
            reseal(house, who, "ann")
    assert [e.outcome.value for e in house.events() if e.operation == "role.reseal"][-2:] == [
        "refused", "refused",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "hide",
    [
        lambda line: delete(SealChangeRow).where(SealChangeRow.position == line),
        lambda line: (
            update(SealChangeRow).where(SealChangeRow.position == line).values(subject="usr_x")
        ),
        lambda line: update(SealChangeRow).where(SealChangeRow.position == line).values(entry=0),
        lambda line: update(SealChangeRow).where(SealChangeRow.position == line).values(entry=None),
    ],
)
def test_a_revocation_that_is_hidden_from_the_journal_brings_no_role_back(
    house: Gatehouse, owner: Principal, hide: Callable[[int], Any]
) -> None:
    ann = person(house, "ann", (READER, "clinic"), (OWNER, "clinic"))
    with house.database.write() as session:
        house.grants.revoke(session, ann.id, OWNER, "clinic")
        house.log.append(session, host_event("test.revoke"))
    with house.database.read() as session:
        line = session.scalars(select(func.max(SealChangeRow.position))).one()
    person(house, "later", (READER, "clinic"))  # the line is not the chain's end, which is known
    harm(
        house,
        hide(line),
        delete(StandingRow).where(StandingRow.principal == ann.id),
    )
    with pytest.raises(TamperedError):
        reseal(house, owner, "ann")
    with pytest.raises(TamperedError):
        holds(house, ann)
