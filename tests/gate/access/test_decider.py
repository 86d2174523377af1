"""Decisions: who may, who may not, and when a change is felt."""

import contextlib
import random
import threading
import time
from datetime import UTC, datetime
from statistics import median

import pytest
from sqlalchemy import insert

from strongroom.errors import InternalError
from strongroom.gate.access.decider import Access
from strongroom.gate.access.grants import Grants
from strongroom.gate.access.policy_set import SlicedPolicies, policy_text, schema_text
from strongroom.gate.access.roles import OPERATOR, OWNER, WORKSPACE_ROLES, Role, workspace_role
from strongroom.gate.access.tables import SERVER_WIDE, GrantRow
from strongroom.gate.access.types import (
    ANONYMOUS,
    SERVER,
    Entity,
    Principal,
    PrincipalKind,
    workspace_entity,
)
from strongroom.vault.database import Database

GRANTS = Grants(bytes(range(32)))
NOW = datetime(2026, 11, 24, tzinfo=UTC)
DATASET = Entity("Dataset", "clinic/patients", "clinic")
ANN = Principal(PrincipalKind.PERSON, "usr_ann")


class Hand:
    """A clock moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def give(database: Database, principal: str, role: Role, workspace: str = "clinic") -> None:
    with database.write() as session:
        GRANTS.grant(session, principal, role, workspace, by="usr_x", now=NOW)


def take(database: Database, principal: str, role: Role, workspace: str = "clinic") -> None:
    with database.write() as session:
        GRANTS.revoke(session, principal, role, workspace)


def named(text: str) -> Role:
    return workspace_role(text)


def test_nobody_may_anything_by_default(database: Database) -> None:
    access = Access(database, GRANTS)
    for action in access.policies.slices:
        for entity in (DATASET, workspace_entity("clinic")):
            assert not access.decide(ANN, action, entity).allowed, action


def test_without_roles_one_may_only_look_after_oneself(database: Database) -> None:
    access = Access(database, GRANTS)
    may = {
        action for action in access.policies.slices if access.decide(ANN, action, SERVER).allowed
    }
    # An invitation is its own credential: beyond that, `within_limit` refuses `claimAccount`.
    assert may == {"whoAmI", "listWorkspaces", "manageOwnAccount", "claimAccount"}


def test_a_role_counts_in_its_workspace_only_and_names_its_policy(database: Database) -> None:
    give(database, "usr_ann", named("Data Scientist"))
    access = Access(database, GRANTS)
    decision = access.decide(ANN, "readDatasetMasked", DATASET)
    assert (decision.allowed, decision.policies) == (True, ("data_scientist.data",))
    elsewhere = Entity("Dataset", "other/patients", "other")
    assert not access.decide(ANN, "readDatasetMasked", elsewhere).allowed
    assert not access.decide(ANN, "readDatasetClear", DATASET).allowed


def test_an_id_that_claims_another_workspace_gains_nothing(database: Database) -> None:
    give(database, "usr_ann", OWNER)
    access = Access(database, GRANTS)
    foreign = Entity("Dataset", "clinic/patients", "other")
    assert not access.decide(ANN, "readDatasetRows", foreign).allowed


STRANGE_NAMES = [
    'a"b', "a\\", "line\nend", "\x00", "é", "\U0001f512", "__entity", "x" * 5_000, "", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("name", STRANGE_NAMES)
def test_strange_names_neither_open_nor_break_anything(database: Database, name: str) -> None:
    give(database, "usr_ann", OWNER)
    access = Access(database, GRANTS)
    own = access.decide(ANN, "readDatasetRows", Entity("Dataset", name, "clinic"))
    assert own.allowed == (name != "\ud800")  # not Unicode: refused, as nothing can be called so
    assert not access.decide(ANN, "readDatasetRows", Entity("Dataset", name, "other")).allowed
    assert not access.decide(ANN, "readWorkspace", workspace_entity(name)).allowed


def test_attributes_cannot_replace_the_workspace(database: Database) -> None:
    give(database, "usr_ann", OWNER)
    forged = Entity("Dataset", "other/patients", "other", {"workspace": "clinic"})
    assert not Access(database, GRANTS).decide(ANN, "readDatasetRows", forged).allowed


def test_the_operator_opens_no_workspace(database: Database) -> None:
    give(database, "usr_ann", OPERATOR, SERVER_WIDE)
    access = Access(database, GRANTS)
    assert access.decide(ANN, "createWorkspace", SERVER).policies == ("operator.server",)
    for action in access.policies.slices:
        assert not access.decide(ANN, action, workspace_entity("clinic")).allowed
        assert not access.decide(ANN, action, DATASET).allowed


def test_anonymous_may_nothing(database: Database) -> None:
    access = Access(database, GRANTS)
    assert not any(access.decide(ANONYMOUS, a, SERVER).allowed for a in access.policies.slices)


def test_service_identities_hold_roles_like_people(database: Database) -> None:
    give(database, "svc_job", named("ML Engineer"))
    service = Principal(PrincipalKind.SERVICE, "svc_job")
    assert (
        Access(database, GRANTS).decide(service, "deployModel", workspace_entity("clinic")).allowed
    )


@pytest.mark.parametrize(
    ("action", "entity"),
    [
        ("fly", DATASET),
        ("readDataset", Entity("Rocket", "clinic/one", "clinic")),
        ("readDataset", Entity("Model", "clinic/one", "clinic")),
        ("readDataset", Entity("Dataset", "clinic/patients", "clinic", {"colour": "blue"})),
        ("readDataset", Entity("Dataset", "clinic/patients", None)),
        ("readDataset", Entity("Dataset", "clinic/patients", "")),
        ("readWorkspace", Entity("Workspace", "clinic", "clinic", {"owner": "usr_ann"})),
        ("readWorkspace", Entity("Workspace", "clinic", "other")),
        ("createWorkspace", workspace_entity("clinic")),
    ],
)
def test_what_does_not_fit_the_schema_is_refused_to_all(
    database: Database, action: str, entity: Entity
) -> None:
    give(database, "usr_ann", OWNER)
    give(database, "usr_ann", OPERATOR, SERVER_WIDE)
    decision = Access(database, GRANTS).decide(ANN, action, entity)
    assert not decision.allowed
    assert decision.errors


def test_overflow_in_a_forbid_does_not_open_the_door(database: Database) -> None:
    schema = schema_text() + "\nentity Thing in [Workspace] = {workspace: Workspace, size?: Long};"
    schema += "\naction look appliesTo {principal: [Person], resource: [Thing]};"
    policies = policy_text() + (
        '\n@id("all") permit (principal, action == Action::"look", resource);'
        '\n@id("sums") forbid (principal, action == Action::"look", resource)'
        "\nwhen { resource has size && resource.size + 1 > 100 };"
    )
    access = Access(database, GRANTS, policies=SlicedPolicies.parse(schema, policies))

    def thing(size: int) -> Entity:
        return Entity("Thing", "clinic/t", "clinic", {"size": size})

    assert access.decide(ANN, "look", thing(5)).allowed
    assert access.decide(ANN, "look", thing(500)).policies == ("sums",)
    overflow = access.decide(ANN, "look", thing(2**63 - 1))
    assert not overflow.allowed
    assert overflow.errors
    assert not access.decide(ANN, "look", thing(2**63)).allowed


def test_true_and_one_are_not_taken_for_each_other_in_the_cache(database: Database) -> None:
    schema = schema_text() + "\nentity Thing in [Workspace] = {workspace: Workspace, big?: Bool};"
    schema += "\naction look appliesTo {principal: [Person], resource: [Thing]};"
    policies = policy_text() + (
        '\n@id("big") permit (principal, action == Action::"look", resource)'
        "\nwhen { resource has big && resource.big };"
    )
    access = Access(database, GRANTS, policies=SlicedPolicies.parse(schema, policies))
    assert access.decide(ANN, "look", Entity("Thing", "clinic/t", "clinic", {"big": True})).allowed
    assert not access.decide(ANN, "look", Entity("Thing", "clinic/t", "clinic", {"big": 1})).allowed


# ---- when a change is felt ----


def test_a_change_is_felt_elsewhere_within_the_cache_time(database: Database) -> None:
    clock = Hand()
    here, elsewhere = (Access(database, GRANTS, cache_seconds=1.0, clock=clock) for _ in range(2))
    give(database, "usr_ann", OWNER)
    give(database, "usr_bob", OWNER)
    assert elsewhere.decide(ANN, "readDatasetRows", DATASET).allowed
    take(database, "usr_ann", OWNER)
    clock.now = 0.99
    elsewhere.decide(ANN, "readDatasetRows", DATASET)  # may still be the old answer
    clock.now = 1.0
    assert not elsewhere.decide(ANN, "readDatasetRows", DATASET).allowed
    assert not here.decide(ANN, "readDatasetRows", DATASET).allowed


def test_reading_the_epoch_makes_a_change_felt_at_once(database: Database) -> None:
    access = Access(database, GRANTS, cache_seconds=3600.0)
    give(database, "usr_bob", OWNER)
    give(database, "usr_ann", OWNER)
    assert access.decide(ANN, "readDatasetRows", DATASET).allowed
    take(database, "usr_ann", OWNER)
    with database.read() as session:
        access.epoch(session)
    assert not access.decide(ANN, "readDatasetRows", DATASET).allowed


def test_a_change_that_is_rolled_back_is_never_felt(database: Database) -> None:
    access = Access(database, GRANTS, cache_seconds=0.0)
    give(database, "usr_bob", OWNER)
    give(database, "usr_ann", OWNER)
    with contextlib.suppress(ZeroDivisionError), database.write() as session:
        GRANTS.revoke(session, "usr_ann", OWNER, "clinic")
        access.epoch(session)
        assert access.decide(ANN, "readDatasetRows", DATASET).allowed
        raise ZeroDivisionError
    assert access.decide(ANN, "readDatasetRows", DATASET).allowed
    take(database, "usr_ann", OWNER)
    assert not access.decide(ANN, "readDatasetRows", DATASET).allowed


def test_suspension_overrules_every_role(database: Database) -> None:
    access = Access(database, GRANTS, cache_seconds=0.0)
    for name in ("usr_ann", "usr_bob"):
        give(database, name, OWNER)
    with database.write() as session:
        GRANTS.suspend(session, "usr_ann", now=NOW)
    decision = access.decide(ANN, "readDatasetRows", DATASET)
    assert (decision.allowed, decision.policies) == (False, ("everyone.suspended",))
    assert not access.decide(ANN, "whoAmI", SERVER).allowed
    with database.write() as session:
        GRANTS.restore(session, "usr_ann")
    assert access.decide(ANN, "readDatasetRows", DATASET).allowed


def test_no_thread_sees_a_revoked_grant_after_the_cache_time(database: Database) -> None:
    access = Access(database, GRANTS, cache_seconds=0.02)
    give(database, "usr_bob", OWNER)
    give(database, "usr_ann", OWNER)
    revoked_at: list[float] = []
    late: list[float] = []
    stop = threading.Event()

    def ask(number: int) -> None:
        while not stop.is_set():
            began = time.monotonic()
            entity = Entity("Dataset", f"clinic/{number}", "clinic")
            allowed = access.decide(ANN, "readDatasetRows", entity).allowed
            if allowed and revoked_at and began > revoked_at[0] + 0.02:
                late.append(began)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    take(database, "usr_ann", OWNER)
    revoked_at.append(time.monotonic())
    time.sleep(0.15)
    stop.set()
    for thread in threads:
        thread.join()
    assert late == []


def test_what_is_cached_is_what_would_be_decided_anew(database: Database) -> None:
    """A long-lived decider against a new one for each question, while grants come and go."""
    rng = random.Random(20261124)  # noqa: S311 - chooses questions, no secrets
    lasting = Access(database, GRANTS, cache_seconds=0.0)
    policies = lasting.policies
    people = [Principal(PrincipalKind.PERSON, f"usr_{n}") for n in range(3)]
    places = [workspace_entity("clinic"), DATASET, Entity("Model", "other/m", "other")]
    held: set[tuple[str, str, str]] = set()
    allowed = 0
    for _ in range(40):
        person, role = rng.choice(people), rng.choice(WORKSPACE_ROLES[1:])
        grant = (person.id, role.id, rng.choice(["clinic", "other"]))
        (take if grant in held else give)(database, person.id, role, grant[2])
        held ^= {grant}
        for _ in range(25):
            question = (rng.choice(people), rng.choice(sorted(policies.slices)), rng.choice(places))
            answer = lasting.decide(*question)
            assert answer == lasting.decide(*question)
            assert answer == Access(database, GRANTS, policies=policies).decide(*question)
            allowed += answer.allowed
    assert allowed > 20


# ---- policies ----


def test_built_in_policies_fit_the_schema_and_each_has_a_readable_id() -> None:
    policies = SlicedPolicies.built_in()
    files = {"everyone", "operator"} | {
        "owner", "contributor", "reader", "data_scientist", "ml_engineer", "compute_operator",
        "privacy_officer", "auditor", "release",
    }  # fmt: skip
    assert {identifier.partition(".")[0] for identifier in policies.ids} == files


TWICE = '@id("a") permit (principal, action, resource);' * 2


@pytest.mark.parametrize(
    ("policies", "says"),
    [
        ("permit (principal, action, resource);", "@id"),
        (TWICE, "@id"),
        ('@id("a") permit (principal, action == Action::"fly", resource);', "do not fit"),
        ('@id("a") permit (principal, action, resource) when { resource.colour == 1 };',
         "do not fit"),
        ('@id("a") permit (principal, action', "cannot be read"),
        ('@id("a") permit (principal == ?principal, action, resource);', "templates"),
    ],
)  # fmt: skip
def test_policies_that_are_not_right_are_refused_when_loaded(policies: str, says: str) -> None:
    with pytest.raises(InternalError, match=says):
        SlicedPolicies.parse(schema_text(), policies)


def test_action_groups_are_refused_since_slices_would_not_follow_them() -> None:
    schema = schema_text() + "\naction all; action one in [all] appliesTo {principal: [Person], "
    with pytest.raises(InternalError, match="group"):
        SlicedPolicies.parse(
            schema + "resource: [Server]};", '@id("a") permit (principal, action, resource);'
        )


def test_roles_have_one_name_for_people_and_one_for_cedar() -> None:
    assert [(r.id, r.attribute) for r in WORKSPACE_ROLES if " " in r.name] == [
        ("DataScientist", "dataScientist"), ("MLEngineer", "mlEngineer"),
        ("ComputeOperator", "computeOperator"), ("PrivacyOfficer", "privacyOfficer"),
    ]  # fmt: skip


# ---- speed: bounds with room for a busy machine; the marks are in benchmarks ----


def test_decisions_are_quick_also_with_a_hundred_thousand_grants(database: Database) -> None:
    roles = [role.id for role in WORKSPACE_ROLES]
    with database.write() as session:
        session.execute(
            insert(GrantRow),
            [
                {"principal": f"usr_{n}", "workspace": f"w{n % 100}", "role": roles[n % 8],
                 "granted_by": "", "granted_at": NOW}
                for n in range(100_000)
                if n != 3
            ],
        )  # fmt: skip
    give(database, "usr_3", WORKSPACE_ROLES[3], "w3")
    access = Access(database, GRANTS, cache_seconds=60.0)
    asker = Principal(PrincipalKind.PERSON, "usr_3")
    entities = [Entity("Dataset", f"w3/{n}", "w3") for n in range(1_000)]
    first: list[float] = []
    again: list[float] = []
    for times in (first, again):
        for entity in entities:
            began = time.perf_counter()
            allowed = access.decide(asker, "readDatasetMasked", entity).allowed
            times.append(time.perf_counter() - began)
            assert allowed
    assert median(first) < 500e-6
    assert median(again) < 20e-6
