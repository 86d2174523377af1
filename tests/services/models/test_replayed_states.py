"""Rows of versions put back to an earlier state, or written by hand: not believed, and recorded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from tests.services.models.modelroom import (
    HOSTILE,
    PLAIN,
    UNKNOWN,
    ModelRoom,
    mlflow_folder,
    modelroom,
    reference,
)
from tests.vault.test_migrations import own_database

from strongroom.errors import ModelRefusedError, StateError, TamperedError
from strongroom.services.jobs.types import JobState
from strongroom.services.models.tables import ModelEntryRow, ModelFileRow
from strongroom.services.models.types import (
    ApproveModel,
    CheckState,
    DecideModel,
    ListModels,
    ModelState,
    PullModel,
)

APPROVE = ApproveModel(workspace="clinic", name="iris", version=1)
DECIDE = DecideModel(workspace="clinic", name="iris", version=1)
PULL = PullModel(workspace="clinic", name="iris", version=1)


@pytest.fixture(params=["sqlite", "postgresql"])
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ModelRoom]:
    """A room with running jobs, over either database."""
    if request.param == "sqlite":
        with modelroom(tmp_path) as built:
            yield built
        return
    with (
        own_database(request.getfixturevalue("postgres_server_url")) as url,
        modelroom(tmp_path, database_url=url) as built,
    ):
        yield built


def columns(room: ModelRoom, entry: str) -> dict[str, Any]:
    """A row as somebody who reads the database sees it."""
    row = room.row(entry)
    return {column.name: getattr(row, column.name) for column in ModelEntryRow.__table__.columns}


def put(room: ModelRoom, entry: str, **values: object) -> None:
    """Write a row as somebody who can write the database does."""
    with room.house.database.write() as session:
        session.execute(update(ModelEntryRow).where(ModelEntryRow.id == entry).values(**values))


def alarms(room: ModelRoom) -> int:
    return room.operations().count(("model.tampered", "failed"))


def require_standing(room: ModelRoom) -> None:
    """What an endpoint that serves the version asks every few seconds."""
    with room.house.database.read() as session:
        room.room.require_standing(session, "clinic", "iris", 1)


def test_a_retired_version_is_not_approved_again_by_its_old_row(room: ModelRoom) -> None:
    entry = room.checked(PLAIN).id
    room.call(room.engineer, "model.approve", APPROVE)
    approved = columns(room, entry)
    require_standing(room)
    room.call(room.engineer, "model.retire", DECIDE)
    retired = columns(room, entry)
    put(room, entry, **approved)

    for _ in range(2):
        with pytest.raises(TamperedError, match="older"):
            require_standing(room)
    assert alarms(room) == 1, "once on the record, not once a look"
    for denied in (
        lambda: room.room.servable("clinic", "iris", 1),
        lambda: room.call(room.engineer, "model.verify", reference()),
        lambda: room.call(room.scientist, "model.pull", PULL),
        lambda: room.call(room.engineer, "model.retire", DECIDE),
    ):
        with pytest.raises(TamperedError, match="older"):
            denied()
    assert {("model.verify", "failed"), ("model.pull", "failed")} <= set(room.operations())
    with room.house.database.read() as session:
        checked = room.room.states(session, [entry])[entry]
    assert checked.state is CheckState.FAILED
    assert room.call(room.scientist, "model.show", reference()).is_tampered
    [listed] = room.call(room.scientist, "model.ls", ListModels(workspace="clinic")).versions
    assert listed.is_tampered

    put(room, entry, **retired)
    room.call(room.engineer, "model.verify", reference())
    shown = room.call(room.scientist, "model.show", reference())
    assert (shown.state, shown.is_tampered) == (ModelState.RETIRED, False)


def test_a_version_that_a_person_rejected_stays_so(room: ModelRoom) -> None:
    entry = room.checked(PLAIN).id
    checked = columns(room, entry)
    room.call(room.engineer, "model.reject", DECIDE)
    put(room, entry, **checked)
    for name, who, asked in (
        ("model.approve", room.engineer, APPROVE),
        ("model.reject", room.engineer, DECIDE),
        ("model.pull", room.scientist, PULL),
    ):
        with pytest.raises(TamperedError, match="older"):
            room.call(who, name, asked)
        assert (name, "failed") in room.operations()
    assert room.row(entry).approval is None


def test_a_rejected_row_turned_approved_is_not_served(room: ModelRoom) -> None:
    bad = room.wait(room.register(mlflow_folder(HOSTILE), version=1)).id
    good = room.wait(room.register(PLAIN, version=2)).id
    room.call(room.engineer, "model.approve", APPROVE.model_copy(update={"version": 2}))
    theirs = columns(room, good)
    names = ("state", "verdict", "reason", "serving", "digest", "statement", "report", "approval")
    put(room, bad, **{name: theirs[name] for name in names})
    for denied in (
        lambda: room.room.servable("clinic", "iris", 1),
        lambda: room.call(room.scientist, "model.pull", PULL),
        lambda: require_standing(room),
    ):
        with pytest.raises(TamperedError):
            denied()
    assert alarms(room) >= 1
    assert room.room.servable("clinic", "iris", 2).files == PLAIN


@pytest.mark.parametrize("name", ["verdict", "report"])
def test_a_scan_that_asks_for_a_person_is_not_turned_clean(room: ModelRoom, name: str) -> None:
    entry = room.wait(room.register({"model.pkl": UNKNOWN}, version=1)).id
    other = columns(room, room.wait(room.register(PLAIN, version=2)).id)
    put(room, entry, **{name: other[name]})
    accepting = APPROVE.model_copy(update={"accept_findings": True, "comment": "ours"})
    for asked in (APPROVE, accepting):
        with pytest.raises(TamperedError, match="older"):
            room.call(room.engineer, "model.approve", asked)
    with pytest.raises((TamperedError, StateError)):
        room.call(room.scientist, "model.pull", PULL)
    assert room.call(room.scientist, "model.show", reference()).is_tampered


def test_a_rejected_version_is_not_checked_again(room: ModelRoom) -> None:
    entry = room.register(PLAIN)
    fresh = columns(room, entry)
    room.wait(entry)
    room.call(room.engineer, "model.reject", DECIDE)
    put(room, entry, **{**fresh, "job": ""})
    room.room.start()  # as after a crash: what is quarantined is checked again
    assert room.jobs.wait(room.row(entry).job, 60).state is JobState.FAILED
    assert room.row(entry).state == "quarantined"
    assert alarms(room) == 1
    with pytest.raises(StateError):
        room.call(room.engineer, "model.approve", APPROVE)
    with pytest.raises((StateError, ModelRefusedError)):
        room.call(room.scientist, "model.pull", PULL)


@pytest.mark.parametrize("harm", ["another", "one more", "gone"])
def test_files_put_in_the_place_of_the_registered_ones_are_not_signed(
    tmp_path: Path, harm: str
) -> None:
    with modelroom(tmp_path, start_jobs=False) as room:
        entry = room.register({"a.txt": b"as sent\n", "b.txt": b"b\n"})
        [other] = room.seal({"a.txt": b"slipped in\n"})
        with room.house.database.write() as session:
            if harm == "another":
                session.get_one(ModelFileRow, (entry, "a.txt")).blob = other.blob
            elif harm == "one more":
                session.add(ModelFileRow(entry=entry, path="c.txt", blob=other.blob))
            else:
                session.delete(session.get_one(ModelFileRow, (entry, "a.txt")))
        room.jobs.start()
        assert room.jobs.wait(room.row(entry).job, 60).state is JobState.FAILED
        row = room.row(entry)
        assert (row.state, row.statement) == ("quarantined", None)
        assert alarms(room) == 1
