"""Deleting versions: by an Owner, by rules, and what stays."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from tests.services.models.modelroom import HOSTILE, PLAIN, ModelRoom, reference
from tests.services.models.test_promotion import approve, history, set_rules

from strongroom.errors import (
    ConflictError,
    ModelRefusedError,
    NotFoundError,
    RefusedError,
    StateError,
    TamperedError,
)
from strongroom.faces.mlflow.tables import ArtifactRow
from strongroom.services.models.keeping_types import (
    CompareVersions,
    DeleteVersion,
    PruneModels,
)
from strongroom.services.models.promotion_rules import Retention
from strongroom.services.models.retention import Kept, outdated
from strongroom.services.models.tables import ModelEntryRow, ModelFileRow
from strongroom.services.models.types import (
    DecideModel,
    Decision,
    ListModels,
    ModelState,
    Provenance,
    PullModel,
)

NOW = datetime(2026, 11, 27, tzinfo=UTC)
PRUNE = PruneModels(workspace="clinic")


def rm(version: int = 1) -> DeleteVersion:
    return DeleteVersion(workspace="clinic", name="iris", version=version, comment="a mistake")


def decide(version: int = 1) -> DecideModel:
    return DecideModel(workspace="clinic", name="iris", version=version)


def test_what_the_rules_no_longer_keep() -> None:
    states = [ModelState.RETIRED, ModelState.REJECTED, ModelState.APPROVED, ModelState.CHECKED]
    versions = [
        Kept("m", number, states[number % 4], NOW - timedelta(days=100 - number))
        for number in range(1, 9)
    ]

    def gone(**rules: int) -> list[int]:
        found = outdated(Retention(**rules), versions, NOW)
        assert all(one.reason for one in found)
        return [one.version.version for one in found]

    assert gone() == []
    assert gone(rejected_days=97) == [1]
    assert gone(rejected_days=90, retired_days=95) == [1, 4, 5]
    assert gone(retired_days=1) == [4, 8]
    assert gone(keep_versions=3) == [1, 4, 5]
    assert gone(keep_versions=8) == []
    two = [*versions, Kept("n", 1, ModelState.RETIRED, NOW)]
    assert [each.version.model for each in outdated(Retention(keep_versions=1), two, NOW)] == [
        "m"
    ] * 3


def test_an_owner_deletes_a_version_and_its_number_stays_taken(room: ModelRoom) -> None:
    owner = room.house.person("ida", "Owner")
    shared = room.seal({"shared.md": b"# of a run as well\n"})
    entry = room.register_sealed([*room.seal(PLAIN), *shared])
    with room.house.database.write() as session:
        session.add(ArtifactRow(
            workspace="clinic", experiment="1", folder="run1", path="shared.md",
            blob=shared[0].blob, size=1, created_at=NOW,
        ))  # fmt: skip
    row = room.wait(entry)
    with room.house.database.read() as session:
        blobs = {file.path: file.blob for file in session.scalars(select(ModelFileRow))}
    parts = [room.file_of(one) for one in (row.report, row.statement) if one is not None]
    own, theirs = room.file_of(blobs["notes.md"]), room.file_of(blobs["shared.md"])
    approve(room, room.engineer)
    with pytest.raises(StateError, match="approved"):
        room.call(owner, "model.rm", rm())
    room.call(room.engineer, "model.retire", decide())
    for nobody in (room.engineer, room.scientist, room.house.person("con", "Contributor")):
        with pytest.raises(RefusedError):
            room.call(nobody, "model.rm", rm())
    gone = room.call(owner, "model.rm", rm())
    assert (gone.files, gone.shared, gone.bytes) == (2, 1, len(PLAIN["notes.md"]))
    assert [path.exists() for path in (own, *parts, theirs)] == [False, False, False, True]

    listed = room.call(owner, "model.ls", ListModels(workspace="clinic"))
    assert listed.versions == []
    [kept] = room.call(owner, "model.ls", ListModels(workspace="clinic", deleted=True)).versions
    assert (kept.is_deleted, kept.is_tampered, kept.state) == (True, False, ModelState.RETIRED)
    shown = room.call(owner, "model.show", reference())
    assert (shown.files, shown.findings, shown.is_tampered) == ([], [], False)
    assert [one.decision for one in history(room)] == [
        Decision.DELETED, Decision.RETIRED, Decision.APPROVED,
    ]  # fmt: skip
    for denied in (
        lambda: room.call(owner, "model.rm", rm()),
        lambda: room.call(owner, "model.verify", reference()),
        lambda: room.call(owner, "model.retire", decide()),
        lambda: room.call(owner, "model.pull", PullModel(**reference().model_dump())),
        lambda: room.room.servable("clinic", "iris", 1),
    ):
        with pytest.raises(StateError):
            denied()
    with pytest.raises(ConflictError):
        room.register(PLAIN)
    # A row that says so by hand is no deletion, and one that takes it back brings nothing back.
    with room.house.database.write() as session:
        session.get_one(ModelEntryRow, entry).deleted_at = None
    assert room.call(owner, "model.show", reference()).is_tampered
    with pytest.raises((StateError, TamperedError)):
        room.room.servable("clinic", "iris", 1)
    second = room.wait(room.register(PLAIN, version=2)).id
    with room.house.database.write() as session:
        session.get_one(ModelEntryRow, second).deleted_at = NOW
    with pytest.raises(TamperedError):
        room.call(owner, "model.verify", reference(version=2))


def test_rules_delete_what_was_rejected_or_retired_and_show_it_first(room: ModelRoom) -> None:
    owner = room.house.person("ida", "Owner")
    text = "version = 1\napprovals = 1\n[retention]\nkeep_versions = 1\n"
    set_rules(room, text, owner)
    files = [PLAIN, {"m.pkl": HOSTILE}, PLAIN, PLAIN]
    for entry in [room.register(one, version=number) for number, one in enumerate(files, 1)]:
        room.wait(entry)
    for version in (1, 3):
        approve(room, room.engineer, version)
    room.call(room.engineer, "model.retire", decide(1))
    with pytest.raises(RefusedError):
        room.call(room.engineer, "model.prune", PRUNE)
    stored = len(room.stored())
    shown = room.call(owner, "model.prune", PRUNE)
    assert [(one.version, one.state) for one in shown.versions] == [(1, "retired"), (2, "rejected")]
    assert (shown.deleted, len(room.stored())) == (False, stored)
    done = room.call(owner, "model.prune", PruneModels(workspace="clinic", delete=True))
    assert [one.version for one in done.versions] == [1, 2]
    assert len(room.stored()) < stored
    recorded = [event for event in room.house.events() if event.operation == "model.prune"][-1]
    assert recorded.details["named"] == "iris/1, iris/2"
    assert room.call(owner, "model.prune", PRUNE).versions == []
    assert room.room.servable("clinic", "iris", 3).files == PLAIN
    with pytest.raises(ModelRefusedError):
        room.call(owner, "model.pull", PullModel(**reference(version=2).model_dump()))


def test_two_versions_are_compared(room: ModelRoom) -> None:
    same = {"readme.md": b"# both\n"}
    for version, notes in ((1, b"# one\n"), (2, b"# another, longer\n")):
        provenance = Provenance(
            parameters={"C": str(version), "kind": "plain"}, metrics={"auc": 0.9 + version / 100}
        )
        room.wait(
            room.register({**same, "notes.md": notes}, version=version, provenance=provenance)
        )
    approve(room, room.engineer)
    asked = CompareVersions(workspace="clinic", name="iris", version=1, other=2)
    found = room.call(room.scientist, "model.compare", asked)
    assert found.same_files == 1
    assert [one.name for one in found.files] == ["notes.md"]
    assert [(one.name, one.before, one.after) for one in found.parameters] == [("C", "1", "2")]
    assert [one.name for one in found.metrics] == ["auc"]
    facts = {one.name: (one.before, one.after) for one in found.facts}
    assert facts["state"] == ("approved", "checked")
    assert facts["rules not met"] == ("", "approvals")
    with pytest.raises(NotFoundError):
        room.call(room.scientist, "model.compare", asked.model_copy(update={"other": 3}))
