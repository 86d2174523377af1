"""Who can write the database but has not the key of the seals: what they change does not count."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from strongroom.errors import StateError, TamperedError
from strongroom.gate.access.decider import Access
from strongroom.gate.access.grants import Grants, Standing
from strongroom.gate.access.roles import OWNER, workspace_role
from strongroom.gate.access.types import SERVER, Principal, PrincipalKind, workspace_entity
from strongroom.vault.database import Database

NOW = datetime(2026, 11, 24, tzinfo=UTC)
GRANTS = Grants(bytes(range(32)))
READER = workspace_role("Reader")
CLINIC = workspace_entity("clinic")
OWNERS_GRANT = (
    "INSERT INTO grants (principal, workspace, role, granted_by, granted_at) "
    "SELECT '{0}', workspace, role, granted_by, granted_at FROM grants "
    "WHERE principal = 'usr_olga' AND workspace = 'clinic'"
)
OWNERS_SEAL = (
    "INSERT INTO standings (principal, number, mac) "
    "SELECT '{0}', number, mac FROM standings WHERE principal = 'usr_olga'"
)


@pytest.fixture
def house(database: Database) -> Database:
    """Olga owns `clinic`, Ann is a Reader of `clinic` and `lab`, Sam is suspended."""
    with database.write() as session:
        for principal, role, workspace in (
            ("usr_olga", OWNER, "clinic"), ("usr_ann", READER, "clinic"),
            ("usr_ann", READER, "lab"), ("usr_sam", OWNER, "clinic"),
        ):  # fmt: skip
            GRANTS.grant(session, principal, role, workspace, by="usr_olga", now=NOW)
        GRANTS.suspend(session, "usr_sam", now=NOW)
    return database


def person(name: str) -> Principal:
    return Principal(PrincipalKind.PERSON, f"usr_{name}")


def execute(database: Database, *statements: str) -> None:
    with database.write() as session:
        for statement in statements:
            session.execute(text(statement))


def alarms(access: Access, name: str) -> list[str]:
    """The reasons of the alarms, after a look that `name` may nothing at all."""
    with capture_logs() as lines:
        for action in ("readWorkspace", "manageMembers"):
            assert not access.decide(person(name), action, CLINIC).allowed, action
        assert not access.decide(person(name), "whoAmI", SERVER).allowed
    return [line["reason"] for line in lines if line["event"] == "standing_tampered"]


TAMPERINGS = {
    "an inserted grant, to a stranger": ("eve", [OWNERS_GRANT.format("usr_eve")]),
    "an inserted grant, to a member": ("ann", [OWNERS_GRANT.format("usr_ann")]),
    "a deleted grant": (
        "ann", ["DELETE FROM grants WHERE principal = 'usr_ann' AND workspace = 'lab'"],
    ),
    "a changed role": (
        "ann",
        ["UPDATE grants SET role = 'Owner' WHERE principal = 'usr_ann'"],
    ),
    "a changed workspace": (
        "ann",
        ["UPDATE grants SET workspace = 'vault' WHERE workspace = 'lab'"],
    ),
    "another giver": (
        "ann", ["UPDATE grants SET granted_by = 'usr_x' WHERE principal = 'usr_ann'"],
    ),
    "a lifted suspension": ("sam", ["DELETE FROM suspensions WHERE principal = 'usr_sam'"]),
    "another's rows, with their seal": (
        "eve", [OWNERS_GRANT.format("usr_eve"), OWNERS_SEAL.format("usr_eve")],
    ),
    "a removed seal": ("olga", ["DELETE FROM standings WHERE principal = 'usr_olga'"]),
    "an empty seal": (
        "eve",
        [OWNERS_GRANT.format("usr_eve"),
         "INSERT INTO standings (principal, number, mac) VALUES ('usr_eve', 1, x'')"],
    ),
    "a seal of text, as SQLite admits": (
        "eve",
        [OWNERS_GRANT.format("usr_eve"),
         "INSERT INTO standings (principal, number, mac) VALUES ('usr_eve', 1, 'text')"],
    ),
    "a moment that is none": (
        "ann", ["UPDATE grants SET granted_at = 'never' WHERE principal = 'usr_ann'"],
    ),
    "a changed number": (
        "olga", ["UPDATE standings SET number = number + 1 WHERE principal = 'usr_olga'"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "statements"), TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_rows_changed_in_the_database_give_nothing(
    house: Database, name: str, statements: list[str]
) -> None:
    execute(house, *statements)
    assert alarms(Access(house, GRANTS), name) == ["the seal does not fit"]
    with house.write() as session:
        assert GRANTS.workspaces_of(session, f"usr_{name}") == []
        # No later change seals the forgery.
        with pytest.raises(TamperedError):
            GRANTS.grant(session, f"usr_{name}", READER, "other", by="usr_olga", now=NOW)
        with pytest.raises(TamperedError):
            GRANTS.revoke(session, f"usr_{name}", READER, "clinic")
        with pytest.raises(TamperedError):
            GRANTS.suspend(session, f"usr_{name}", now=NOW)
        with pytest.raises(TamperedError):
            GRANTS.restore(session, f"usr_{name}")


def test_the_others_keep_what_they_hold(house: Database) -> None:
    execute(house, OWNERS_GRANT.format("usr_eve"))
    access = Access(house, GRANTS)
    assert alarms(access, "eve")
    assert access.decide(person("olga"), "manageMembers", CLINIC).allowed
    assert access.decide(person("ann"), "readWorkspace", CLINIC).allowed


def test_a_grant_put_back_after_its_revocation_gives_nothing(house: Database) -> None:
    execute(house, "CREATE TEMPORARY TABLE old AS SELECT * FROM grants")
    with house.write() as session:
        GRANTS.revoke(session, "usr_ann", READER, "clinic")
    execute(
        house,
        "INSERT INTO grants SELECT * FROM old WHERE principal = 'usr_ann' AND workspace = 'clinic'",
    )
    assert alarms(Access(house, GRANTS), "ann") == ["the seal does not fit"]


def test_old_rows_with_their_old_seal_are_noticed_by_who_saw_the_later_ones(
    house: Database,
) -> None:
    access = Access(house, GRANTS, cache_seconds=0.0)
    execute(
        house,
        "CREATE TEMPORARY TABLE old AS SELECT * FROM grants",
        "CREATE TEMPORARY TABLE seals AS SELECT * FROM standings",
    )
    with house.write() as session:
        GRANTS.revoke(session, "usr_ann", READER, "clinic")
    assert not access.decide(person("ann"), "readWorkspace", CLINIC).allowed
    assert access.decide(person("ann"), "whoAmI", SERVER).allowed
    execute(
        house,
        "INSERT INTO grants SELECT * FROM old WHERE principal = 'usr_ann' AND workspace = 'clinic'",
        "DELETE FROM standings WHERE principal = 'usr_ann'",
        "INSERT INTO standings SELECT * FROM seals WHERE principal = 'usr_ann'",
        "UPDATE policy_epoch SET epoch = epoch + 1",
    )
    assert alarms(access, "ann") == ["the seal is an old one"]


def test_an_epoch_that_goes_back_gives_nothing_and_hangs_nobody(house: Database) -> None:
    access = Access(house, GRANTS, cache_seconds=0.0)
    assert access.decide(person("olga"), "readWorkspace", CLINIC).allowed
    execute(house, "UPDATE policy_epoch SET epoch = 1")
    assert set(alarms(access, "ann")) == {"the epoch went back"}


def test_a_forged_owner_does_not_let_the_last_one_go(house: Database) -> None:
    execute(house, OWNERS_GRANT.format("usr_eve"))
    with house.write() as session:
        with pytest.raises(StateError, match="the last Owner"):
            GRANTS.revoke(session, "usr_olga", OWNER, "clinic")
        with pytest.raises(StateError, match="the last Owner"):
            GRANTS.suspend(session, "usr_olga", now=NOW)


def test_seals_of_another_key_do_not_count(house: Database) -> None:
    assert alarms(Access(house, Grants(bytes(32))), "olga") == ["the seal does not fit"]
    with pytest.raises(ValueError, match="32 bytes"):
        Grants(bytes(31))


def test_what_the_server_changes_verifies(house: Database) -> None:
    with house.write() as session:
        assert GRANTS.standing(session, "usr_eve") == Standing(frozenset(), suspended=False)
        GRANTS.restore(session, "usr_sam")
        GRANTS.revoke(session, "usr_sam", OWNER, "clinic")
        held = GRANTS.standing(session, "usr_sam")
        assert (held.grants, held.suspended) == (frozenset(), False)
        GRANTS.grant(session, "usr_sam", READER, "clinic", by="usr_olga", now=NOW)
        assert GRANTS.standing(session, "usr_sam").number > held.number
        assert GRANTS.workspaces_of(session, "usr_ann") == ["clinic", "lab"]
    assert Access(house, GRANTS).decide(person("sam"), "readWorkspace", CLINIC).allowed
