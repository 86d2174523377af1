"""Admitting versions by rules, with everything real: several people, replays, changed rows."""

from typing import Any

import pytest
from sqlalchemy import delete, select
from tests.services.models.modelroom import PLAIN, UNKNOWN, ModelRoom

from strongroom.engines.crypto import dsse
from strongroom.engines.crypto.signing import VerifyingKey
from strongroom.errors import (
    PromotionError,
    RefusedError,
    StateError,
    TamperedError,
    TooLargeError,
    ValidationError,
)
from strongroom.gate.access.types import Principal, PrincipalKind
from strongroom.gate.declaration import operations_of
from strongroom.gate.identity.tables import AccountRow
from strongroom.services.jobs.types import JobState
from strongroom.services.models.promotion_rules import DEFAULT_TEXT, FORMER_TEXT
from strongroom.services.models.promotion_types import (
    ListWaiting,
    SetPolicy,
    ShowHistory,
    ShowPolicy,
)
from strongroom.services.models.tables import ModelDecisionRow, ModelEntryRow, ModelPolicyRow
from strongroom.services.models.types import (
    ApproveModel,
    DecideModel,
    Decision,
    ModelReference,
    ModelState,
    Provenance,
)

PLACE: dict[str, Any] = {"workspace": "clinic", "name": "iris"}


def set_rules(room: ModelRoom, text: str, by: Principal | None = None) -> Any:  # noqa: ANN401 # as ModelRoom.call
    """Set the rules of the workspace as an Owner, or as `by`."""
    owner = by or room.house.person("olga", "Owner")
    bound = next(b for b in operations_of(room.room) if b.declared.name == "model.set_policy")
    return room.house.gate.perform(
        bound, owner, SetPolicy(workspace="clinic"), body=iter([text.encode()])
    ).result


def rules_of(room: ModelRoom) -> tuple[str, str, str]:
    """Text, digest and who set them."""
    shown = room.call(room.scientist, "model.policy", ShowPolicy(workspace="clinic"))
    text = b"".join(shown.chunks).decode()
    return text, shown.headers["Strongroom-Digest"], shown.headers["Strongroom-Set-By"]


def approve(room: ModelRoom, by: Principal, version: int = 1, **more: Any) -> Any:  # noqa: ANN401 # as ModelRoom.call
    return room.call(by, "model.approve", ApproveModel(**PLACE, version=version, **more))


def waiting(room: ModelRoom) -> Any:  # noqa: ANN401 # as ModelRoom.call
    return room.call(room.scientist, "model.waiting", ListWaiting(workspace="clinic")).waiting


def history(room: ModelRoom) -> Any:  # noqa: ANN401 # as ModelRoom.call
    return room.call(room.scientist, "model.history", ShowHistory(**PLACE)).decisions


def statement(room: ModelRoom) -> dsse.Statement:
    given = room.call(room.scientist, "model.statement", ModelReference(**PLACE, version=1))
    key = VerifyingKey.from_pem(given.public_key.encode())
    return dsse.verify(given.approval.encode(), [key])


def test_only_an_owner_sets_rules_and_it_is_on_the_record(room: ModelRoom) -> None:
    text, _, set_by = rules_of(room)
    assert (text, set_by) == (FORMER_TEXT, "")
    for nobody in (room.scientist, room.engineer, room.house.person("con", "Contributor")):
        with pytest.raises(RefusedError):
            set_rules(room, DEFAULT_TEXT, nobody)
    owner = room.house.person("ida", "Owner")
    set_rules(room, DEFAULT_TEXT, owner)
    shown = rules_of(room)
    assert (shown[0], shown[2]) == (DEFAULT_TEXT, owner.id)
    recorded = [event for event in room.house.events() if event.operation == "model.set_policy"]
    assert [event.outcome.value for event in recorded] == ["refused"] * 3 + ["allowed"]
    assert recorded[-1].details["after"] == shown[1]
    for text, error in (
        ("version = 3", ValidationError),
        ("#" * 70_000, TooLargeError),
        ("\x00", ValidationError),
    ):
        with pytest.raises(error):
            set_rules(room, text, owner)
    assert rules_of(room) == shown


def test_a_new_workspace_begins_with_two_approvals(room: ModelRoom) -> None:
    with room.house.database.write() as session:
        room.room.begin_workspace(session, "clinic")
    assert rules_of(room)[0] == DEFAULT_TEXT


def test_two_others_approve_and_who_waits_is_shown(room: ModelRoom) -> None:
    set_rules(room, DEFAULT_TEXT)
    carl = room.house.person("carl", "Contributor")
    room.checked(PLAIN)
    [before] = waiting(room)
    assert (before.approvals, before.people) == ([], ["carl", "max", "olga"])
    assert [one.rule for one in before.unmet] == ["approvals"]

    first = approve(room, room.engineer, comment="read it")
    assert (first.state, first.approvals) == (ModelState.CHECKED, [room.engineer.id])
    assert [one.rule for one in first.rules if not one.is_met] == ["approvals"]
    with pytest.raises(StateError):
        room.room.servable("clinic", "iris", 1)
    [now] = waiting(room)
    # Names, for people: an id tells nobody whom to ask.
    assert (now.registered_by, now.approvals, now.people) == ("dana", ["max"], ["carl", "olga"])
    assert [one.says for one in now.unmet] == ["1 of 2 approvals: max"]
    assert "1 of 2 approvals: max" in [one.says for one in first.rules]
    shown = room.call(room.scientist, "model.show", ModelReference(**PLACE, version=1))
    assert [one.decision for one in shown.decisions] == [Decision.APPROVAL]
    assert "approvals" in [one.rule for one in shown.rules if not one.is_met]
    with pytest.raises(StateError, match="already"):
        approve(room, room.engineer)

    second = approve(room, carl, comment="so did I")
    assert second.state is ModelState.APPROVED
    assert room.room.servable("clinic", "iris", 1).files == PLAIN
    assert waiting(room) == []
    assert [(one.decision, one.by) for one in history(room)] == [
        (Decision.APPROVED, carl.id), (Decision.APPROVAL, room.engineer.id),
    ]  # fmt: skip
    said: Any = statement(room).predicate
    assert said["rules"] == rules_of(room)[1]
    assert [(one["approved_by"], one["comment"]) for one in said["approvals"]] == [
        (room.engineer.id, "read it"), (carl.id, "so did I"),
    ]  # fmt: skip
    assert {one["rule"] for one in said["met"]} >= {"scan", "signature", "approver", "approvals"}


def test_who_registers_does_not_approve_nor_through_a_program(room: ModelRoom) -> None:
    set_rules(room, DEFAULT_TEXT.replace("approvals = 2", "approvals = 1"))
    room.house.grant(room.scientist, "ML Engineer")
    room.checked(PLAIN)
    with pytest.raises(PromotionError, match="who registers"):
        approve(room, room.scientist)
    program = room.house.account("bot", "ML Engineer", kind=PrincipalKind.SERVICE)
    with pytest.raises(PromotionError, match="only people"):
        approve(room, program)
    # What a program registers is the work of whoever made it, also if a row is rewritten later.
    for maker in (room.engineer.id, "usr_somebodyelse"):
        with room.house.database.write() as session:
            session.get_one(AccountRow, program.id).created_by = maker
        if maker == room.engineer.id:
            room.wait(room.register_sealed(room.seal(PLAIN), version=2, actor=program))
        with pytest.raises(PromotionError, match="who registers"):
            approve(room, room.engineer, 2)
    refused = [event for event in room.house.events() if event.operation == "model.approve"]
    assert {event.outcome.value for event in refused} == {"refused"}
    assert room.call(room.engineer, "model.waiting", ListWaiting(workspace="clinic")).waiting


def test_nobody_is_written_in_the_place_of_who_registered(room: ModelRoom) -> None:
    set_rules(room, DEFAULT_TEXT.replace("approvals = 2", "approvals = 1"))
    room.house.grant(room.scientist, "ML Engineer")
    checked = room.checked(PLAIN).id
    with room.house.database.write() as session:
        session.get_one(ModelEntryRow, checked).registered_by = room.engineer.id
    for judge in (room.scientist, room.engineer):
        with pytest.raises(TamperedError, match="another than the one who registered"):
            approve(room, judge)
    assert room.call(room.scientist, "model.show", ModelReference(**PLACE, version=1)).is_tampered
    [told] = waiting(room)
    assert ([one.rule for one in told.unmet], told.people) == (["integrity"], [])

    # Also before the checks have signed who it was.
    sealed = room.seal(PLAIN)
    with room.house.database.write() as session:
        fresh = room.room.register(
            session, workspace="clinic", model="iris", version=2, files=sealed,
            provenance=Provenance(), actor=room.scientist.id,
        )  # fmt: skip
        session.get_one(ModelEntryRow, fresh).registered_by = room.engineer.id
    job = room.jobs.wait(room.row(fresh).job, 60)
    assert (job.state, "another than the one" in job.error) == (JobState.FAILED, True)
    assert room.row(fresh).state == ModelState.QUARANTINED
    assert room.row(fresh).tampered_at is not None


def test_every_rule_that_is_not_met_is_named(room: ModelRoom) -> None:
    set_rules(
        room,
        "version = 1\napprovals = 1\nscan = 'clean'\nsigned_by = ['00ff']\n"
        "unknown_data = 'refuse'\npurposes = 'compatible'\n"
        "[[assessments]]\nkind = 'robustness'\nnewer_than_days = 30\n",
    )
    room.wait(room.register({"model.pkl": UNKNOWN}))
    with pytest.raises(PromotionError) as caught:
        approve(room, room.engineer, accept_findings=True, comment="ours")
    for words in ("scan:", "signature:", "no assessment of kind robustness", "purpose:", "data:"):
        assert words in caught.value.message
    assert caught.value.code == "model.promotion"
    assert "--purpose" in caught.value.next_step
    assert decisions(room) == []


def test_approvals_under_other_rules_or_of_people_without_the_role_do_not_count(
    room: ModelRoom,
) -> None:
    set_rules(room, DEFAULT_TEXT)
    carl, ida = room.house.person("carl", "Contributor"), room.house.person("ida", "Owner")
    room.checked(PLAIN)
    approve(room, carl)
    set_rules(room, DEFAULT_TEXT + "# stricter, one day\n", ida)
    assert waiting(room)[0].approvals == []
    approve(room, carl)
    room.house.revoke(carl, "Contributor")
    assert waiting(room)[0].approvals == []
    assert approve(room, room.engineer).state is ModelState.CHECKED
    room.house.revoke(room.engineer, "ML Engineer")
    assert approve(room, ida).state is ModelState.CHECKED
    assert len(history(room)) == 4

    # Two have approved, one of whom could not for a while: nobody else need be found.
    room.house.grant(carl, "Contributor")
    [told] = waiting(room)
    assert (sorted(told.approvals), told.unmet) == (["carl", "ida"], [])
    assert told.people == ["carl", "ida", "olga"]
    ended = approve(room, carl, comment="back")
    assert (ended.state, ended.approvals) == (ModelState.APPROVED, [ida.id, carl.id])
    said: Any = statement(room).predicate
    assert [one["approved_by"] for one in said["approvals"]] == [ida.id, carl.id]


def decisions(room: ModelRoom) -> list[ModelDecisionRow]:
    with room.house.database.read() as session:
        return list(session.scalars(select(ModelDecisionRow).order_by(ModelDecisionRow.number)))


def test_decisions_changed_in_the_database_do_not_count(room: ModelRoom) -> None:
    set_rules(room, DEFAULT_TEXT)
    carl = room.house.person("carl", "Contributor")
    for entry in [room.register(PLAIN, version=version) for version in range(1, 6)]:
        room.wait(entry)
    for version in range(1, 6):
        approve(room, room.engineer, version)
    another, gone, added, copied, untouched = decisions(room)
    with room.house.database.write() as session:
        session.get_one(ModelDecisionRow, another.number).by = carl.id
        session.execute(delete(ModelDecisionRow).where(ModelDecisionRow.number == gone.number))
        session.add(
            ModelDecisionRow(
                entry=added.entry, decision=added.decision, by=carl.id, at=added.at, comment="",
                envelope=added.envelope,
            )
        )  # fmt: skip
        session.get_one(ModelDecisionRow, copied.number).envelope = untouched.envelope
    for version in range(1, 5):
        with pytest.raises(TamperedError):
            approve(room, carl, version)
        shown = room.call(room.scientist, "model.show", ModelReference(**PLACE, version=version))
        assert shown.is_tampered
        assert [one.rule for one in shown.rules] == ["integrity"]
    with pytest.raises(TamperedError):
        history(room)
    # One that was changed keeps nobody from seeing the others.
    assert [(one.version, [rule.rule for rule in one.unmet]) for one in waiting(room)] == [
        *((version, ["integrity"]) for version in range(1, 5)), (5, ["approvals"]),
    ]  # fmt: skip
    assert room.operations().count(("model.tampered", "failed")) == 4
    assert approve(room, carl, 5).state is ModelState.APPROVED


def test_a_partial_approval_put_in_place_of_an_approval_is_not_believed(room: ModelRoom) -> None:
    set_rules(room, DEFAULT_TEXT)
    entry = room.checked(PLAIN).id
    approve(room, room.engineer)
    [partial] = decisions(room)
    with room.house.database.write() as session:
        row = session.get_one(ModelEntryRow, entry)
        row.state, row.approval = "approved", partial.envelope
    with pytest.raises(TamperedError):
        room.room.servable("clinic", "iris", 1)
    with pytest.raises(TamperedError), room.house.database.read() as session:
        room.room.require_standing(session, "clinic", "iris", 1)


def test_rules_changed_in_the_database_admit_nothing(room: ModelRoom) -> None:
    owner = room.house.person("ida", "Owner")
    set_rules(room, FORMER_TEXT, owner)
    with room.house.database.read() as session:
        lax = session.get_one(ModelPolicyRow, "clinic").rules
    set_rules(room, DEFAULT_TEXT, owner)
    with room.house.database.read() as session:
        strict = session.get_one(ModelPolicyRow, "clinic").rules
    room.checked(PLAIN)
    for rules in (lax, b"version = 1", None):
        with room.house.database.write() as session:
            row = session.get_one(ModelPolicyRow, "clinic")
            if rules is None:
                session.delete(row)
            else:
                row.rules = rules
        with pytest.raises(TamperedError):
            approve(room, room.engineer)
        with pytest.raises(TamperedError):
            rules_of(room)
    assert strict != lax
    assert decisions(room) == []


def test_rejecting_and_retiring_are_signed_too(room: ModelRoom) -> None:
    for version in (1, 2):
        room.wait(room.register(PLAIN, version=version))
    approve(room, room.engineer)
    for name, version in (("model.retire", 1), ("model.reject", 2)):
        room.call(room.engineer, name, DecideModel(**PLACE, version=version, comment="old"))
    found = {(one.version, one.decision.value): one for one in history(room)}
    assert set(found) == {(1, "approved"), (1, "retired"), (2, "rejected")}
    assert all(one.is_signed for one in found.values())
    with room.house.database.read() as session:
        key = room.room._keys.verifying_key(session)
    rejected = next(one for one in decisions(room) if one.decision == "rejected")
    assert rejected.envelope is not None
    said = dsse.verify(rejected.envelope, [key])
    assert (said.predicate["decision"], said.predicate["by"]) == ("rejected", room.engineer.id)


def test_rules_follow_a_rotation_of_the_key(room: ModelRoom) -> None:
    set_rules(room, DEFAULT_TEXT)
    with room.house.database.write() as session:
        room.house.keyring.rotate(session, "clinic")
        assert room.room.rewrap(session, "clinic") == 1
    assert rules_of(room)[0] == DEFAULT_TEXT
